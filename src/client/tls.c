/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL works on memory here and the bytes are carried by send and recv: its own socket code would raise SIGPIPE in
 * the caller's program.
 */
#include "client/tls.h"

#include "base/util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/socket.h>

struct tls_session {
    SSL_CTX *context;
    SSL *ssl; /* owns both BIOs */
    BIO *from_peer, *to_peer;
    int fd;
};

static int fail(struct err *err, int code, const char *what)
{
    char reason[256] = "";
    unsigned long error = ERR_peek_last_error();
    if (error)
        ERR_error_string_n(error, reason, sizeof(reason));
    ERR_clear_error();
    return err_set(err, code, "%s%s%s", what, error ? ": " : "", reason);
}

static int load_files(SSL_CTX *context, const struct conn_files *files, struct err *err)
{
    if (files->ca_file ? SSL_CTX_load_verify_locations(context, files->ca_file, NULL) != 1
                       : SSL_CTX_set_default_verify_paths(context) != 1)
        return fail(err, -EINVAL, files->ca_file ? files->ca_file : "the system's authorities");
    if (!files->cert_file)
        return 0;
    const char *key_file = files->key_file ? files->key_file : files->cert_file;
    if (SSL_CTX_use_certificate_chain_file(context, files->cert_file) != 1)
        return fail(err, -EINVAL, files->cert_file);
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        return fail(err, -EINVAL, key_file);
    return 0;
}

/* What the certificate must name: the host as it was written, an IP address or a name. */
static int expect_host(SSL *ssl, const char *host)
{
    unsigned char ip[16];
    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static int make_bios(struct tls_session *session)
{
    BIO *from_peer = BIO_new(BIO_s_mem()), *to_peer = BIO_new(BIO_s_mem());
    if (!from_peer || !to_peer) {
        BIO_free(from_peer);
        BIO_free(to_peer);
        return -ENOMEM;
    }
    session->from_peer = from_peer;
    session->to_peer = to_peer;
    SSL_set_bio(session->ssl, from_peer, to_peer);
    return 0;
}

static int prepare(struct tls_session *session, const char *host, const struct conn_files *files, struct err *err)
{
    session->context = SSL_CTX_new(TLS_client_method());
    if (!session->context)
        return fail(err, -ENOMEM, "TLS");
    SSL_CTX_set_min_proto_version(session->context, TLS1_2_VERSION);
    SSL_CTX_set_verify(session->context, SSL_VERIFY_PEER, NULL);
    int r = load_files(session->context, files, err);
    if (r < 0)
        return r;
    session->ssl = SSL_new(session->context);
    if (!session->ssl || !expect_host(session->ssl, host) || make_bios(session) < 0)
        return fail(err, -ENOMEM, "TLS");
    SSL_set_connect_state(session->ssl);
    return 0;
}

int tls_session_new(int fd, const struct address *address, const struct conn_files *files,
                    struct tls_session **ret_session, struct err *err)
{
    struct tls_session *session = calloc(1, sizeof(*session));
    if (!session)
        return err_set(err, -ENOMEM, "out of memory");
    session->fd = fd;
    ERR_clear_error();
    int r = prepare(session, address->host, files, err);
    if (r < 0) {
        tls_session_free(session);
        return r;
    }
    *ret_session = session;
    return 0;
}

void tls_session_free(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->ssl);
    SSL_CTX_free(session->context);
    free(session);
}

bool tls_session_has_output(const struct tls_session *session)
{
    return BIO_pending(session->to_peer) > 0;
}

int tls_session_flush(struct tls_session *session, struct err *err)
{
    char *bytes;
    for (long len; (len = BIO_get_mem_data(session->to_peer, &bytes)) > 0;) {
        ssize_t n = send(session->fd, bytes, (size_t)len, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? -EAGAIN : err_set_errno(err, -errno, "cannot send");
        char sent[4096]; /* a memory BIO is emptied by reading it */
        while (n > 0)
            n -= BIO_read(session->to_peer, sent, (int)min_size((size_t)n, sizeof(sent)));
    }
    return 0;
}

/* Brings more bytes of the peer to OpenSSL. 0, -EAGAIN, -ECONNRESET when there are no more, -errno. */
static int fill(struct tls_session *session, struct err *err)
{
    char bytes[16 * 1024];
    ssize_t n = recv(session->fd, bytes, sizeof(bytes), 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -EAGAIN : err_set_errno(err, -errno, "cannot receive");
    if (n == 0)
        return err_set(err, -ECONNRESET, "the connection was closed in the middle of TLS");
    return BIO_write(session->from_peer, bytes, (int)n) == n ? 0 : fail(err, -ENOMEM, "TLS");
}

/*
 * After an OpenSSL call returned `result` and could not go on: carries bytes both ways. 0: call it again;
 * TLS_ENDED: the peer has said that no more bytes come; -EAGAIN; -errno.
 */
enum { TLS_ENDED = 1 };
static int carry(struct tls_session *session, int result, struct err *err)
{
    int reason = SSL_get_error(session->ssl, result);
    long verified = SSL_get_verify_result(session->ssl);
    int r = tls_session_flush(session, NULL); /* an alert, too, should reach the server */
    switch (reason) {
    case SSL_ERROR_WANT_READ:
        return r < 0 && r != -EAGAIN ? err_set_errno(err, r, "cannot send") : fill(session, err);
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    default:
        if (verified != X509_V_OK)
            return err_set(err, -EPROTO, "the server's certificate: %s", X509_verify_cert_error_string(verified));
        return fail(err, -EPROTO, "TLS failed");
    }
}

int tls_session_shake_hands(struct tls_session *session, struct err *err)
{
    for (;;) {
        ERR_clear_error();
        int result = SSL_do_handshake(session->ssl);
        if (result == 1)
            return tls_session_flush(session, err);
        int r = carry(session, result, err);
        if (r != 0)
            return r < 0 ? r : err_set(err, -EPROTO, "the server ended the TLS handshake");
    }
}

ssize_t tls_session_send(struct tls_session *session, struct slice bytes, struct err *err)
{
    int r = tls_session_flush(session, err);
    while (r == 0) {
        size_t n = 0;
        ERR_clear_error();
        int result = SSL_write_ex(session->ssl, bytes.ptr, bytes.len, &n);
        if (result == 1) {
            r = tls_session_flush(session, err);
            return r < 0 && r != -EAGAIN ? r : (ssize_t)n;
        }
        r = carry(session, result, err);
    }
    return r < 0 ? r : err_set(err, -ECONNRESET, "the server has ended the connection");
}

ssize_t tls_session_recv(struct tls_session *session, void *ret_bytes, size_t len, struct err *err)
{
    for (;;) {
        ERR_clear_error();
        size_t n = 0;
        int result = SSL_read_ex(session->ssl, ret_bytes, len, &n);
        if (result == 1)
            return (ssize_t)n;
        int r = carry(session, result, err);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}
