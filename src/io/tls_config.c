/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes tls_configs: one SSL_CTX with the policy and the default identity, and the list of identities among which the
 * name asked for (SNI) selects, before any certificate is sent.
 *
 * A connection holds a reference to its config, and frees its SSL before it drops the reference, so that the last one
 * to drop it finds nobody in the SSL_CTX.
 */
#include "io/tls_config.h"

#include "io/tls_bio.h"
#include "io/tls_error.h"
#include "io/tls_name.h"
#include "io/tls_pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>

/* For TLS 1.2; those of 1.3 are all good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

static void config_free(struct tls_config *config)
{
    for (size_t i = 0; i < config->n_credentials; i++)
        tls_credential_deinit(&config->credentials[i]);
    SSL_CTX_free(config->context);
    BIO_meth_free(config->bio_method);
    free(config);
}

struct tls_config *tls_config_ref(struct tls_config *config)
{
    atomic_fetch_add_explicit(&config->n_refs, 1, memory_order_relaxed);
    return config;
}

struct tls_config *tls_config_unref(struct tls_config *config)
{
    if (config && atomic_fetch_sub_explicit(&config->n_refs, 1, memory_order_acq_rel) == 1)
        config_free(config);
    return NULL;
}

void tls_config_unrefp(struct tls_config **config)
{
    tls_config_unref(*config);
}

/* A whole name goes before a "*", whatever the order of the identities; then the first wins. */
static const struct tls_credential *select_credential(const struct tls_config *config, struct slice name)
{
    for (enum tls_name_match match = TLS_NAME_WHOLE; match <= TLS_NAME_STAR; match++) {
        for (size_t i = 0; i < config->n_credentials; i++) {
            if (tls_name_matches(config->credentials[i].names, name, match))
                return &config->credentials[i];
        }
    }
    return NULL;
}

static int on_server_name(SSL *ssl, int *ret_alert, void *ctx)
{
    const struct tls_config *config = ctx;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_credential *found = name ? select_credential(config, slice_from_str(name)) : NULL;
    if (!found)
        return SSL_TLSEXT_ERR_NOACK;
    if (found == &config->credentials[0])
        return SSL_TLSEXT_ERR_OK;
    /* OpenSSL keeps one certificate per kind of key: the default one must go, or it could still be chosen. */
    SSL_certs_clear(ssl);
    if (SSL_use_cert_and_key(ssl, found->cert, found->key, found->chain, 1) == 1)
        return SSL_TLSEXT_ERR_OK;
    *ret_alert = SSL_AD_INTERNAL_ERROR;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* RFC 7301, 3.2: our preference decides; nothing in common is fatal. */
static int on_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len, const unsigned char *offered,
                   unsigned offered_len, void *ctx)
{
    (void)ssl;
    const struct tls_config *config = ctx;
    unsigned char *name = NULL;
    if (SSL_select_next_proto(&name, ret_len, config->alpn, config->alpn_len, offered, offered_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static int encode_alpn(struct tls_config *config, const char *const *alpn, struct err *err)
{
    for (; alpn && *alpn; alpn++) {
        size_t len = strlen(*alpn);
        if (len == 0 || len > UINT8_MAX || config->alpn_len + 1 + len > sizeof(config->alpn))
            return err_set(err, -EINVAL, "the list of TLS protocols (ALPN) is too long, or a name in it is empty");
        config->alpn[config->alpn_len++] = (unsigned char)len;
        memcpy(config->alpn + config->alpn_len, *alpn, len);
        config->alpn_len += (unsigned)len;
    }
    return 0;
}

static int set_policy(SSL_CTX *context, struct err *err)
{
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    /* An idle connection gives its record buffers back; a record is read with its header, in one system call. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
    /* Tickets keep a session at the client; a cache of our own would be a lock and memory that peers make us spend. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    static const unsigned char session_context[] = "muster";
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(context, CIPHERS) != 1 ||
        SSL_CTX_set_session_id_context(context, session_context, sizeof(session_context) - 1) != 1)
        return tls_error_take(err, "cannot set up TLS");
    return 0;
}

/* A server also tells its clients the names of the authorities, by which they choose their certificate. */
static int load_authorities(struct tls_config *config, const char *file, struct err *err)
{
    if (!file && config->is_server) /* or whoever has a certificate for some web site would be let in */
        return err_set(err, -EINVAL, "client certificates can only be checked against a file of authorities");
    if (!file)
        return SSL_CTX_set_default_verify_paths(config->context) == 1
                   ? 0
                   : tls_error_take(err, "cannot use the system's trusted authorities");
    STACK_OF(X509) *certs = NULL;
    int result = tls_pem_read_certs(file, &certs, err);
    if (result < 0)
        return result;
    for (int i = 0; result == 0 && i < sk_X509_num(certs); i++) {
        X509 *cert = sk_X509_value(certs, i);
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(config->context), cert) != 1 ||
            (config->is_server && SSL_CTX_add_client_CA(config->context, cert) != 1))
            result = tls_error_take(err, file);
    }
    tls_pem_free_certs(certs);
    return result;
}

static int load_peer_check(struct tls_config *config, const struct tls_options *options, struct err *err)
{
    config->peer_check = options->peer_check;
    if (options->peer_check == TLS_PEER_IGNORE)
        return 0;
    int mode = SSL_VERIFY_PEER;
    if (options->peer_check == TLS_PEER_REQUIRE)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(config->context, mode, NULL);
    return load_authorities(config, options->ca_file, err);
}

/* Whether OpenSSL would serve this credential at all: it has demands of its own, such as the least size of a key. */
static int try_credential(SSL_CTX *context, const struct tls_credential *credential)
{
    SSL *ssl = SSL_new(context);
    int result = ssl ? SSL_use_cert_and_key(ssl, credential->cert, credential->key, credential->chain, 1) : 0;
    SSL_free(ssl);
    return result;
}

/* Only the first goes into the SSL_CTX; that the others would do is found out now, not when the first client asks. */
static int load_identities(struct tls_config *config, const struct tls_options *options, struct err *err)
{
    for (size_t i = 0; i < options->n_identities; i++) {
        struct tls_credential *credential = &config->credentials[config->n_credentials++];
        int result = tls_credential_init(credential, &options->identities[i], err);
        if (result < 0)
            return result;
        result =
            i == 0 ? SSL_CTX_use_cert_and_key(config->context, credential->cert, credential->key, credential->chain, 1)
                   : try_credential(config->context, credential);
        if (result != 1)
            return tls_error_take(err, options->identities[i].cert_file);
    }
    return 0;
}

static int config_new(bool is_server, const struct tls_options *options, struct tls_config **ret_config,
                      struct err *err)
{
    CLEANUP(tls_config_unrefp)
    struct tls_config *config = calloc(1, sizeof(*config) + options->n_identities * sizeof(config->credentials[0]));
    if (!config)
        return err_set_errno(err, -ENOMEM, "cannot set up TLS");
    atomic_init(&config->n_refs, 1);
    config->is_server = is_server;
    ERR_clear_error();
    config->context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    config->bio_method = tls_bio_method_new();
    if (!config->context || !config->bio_method)
        return tls_error_take(err, "cannot set up TLS");

    int result = set_policy(config->context, err);
    if (result == 0)
        result = load_identities(config, options, err);
    if (result == 0)
        result = load_peer_check(config, options, err);
    if (result == 0)
        result = encode_alpn(config, options->alpn, err);
    if (result < 0)
        return result;
    *ret_config = TAKE(config);
    return 0;
}

int tls_config_new_server(const struct tls_options *options, struct tls_config **ret_config, struct err *err)
{
    if (options->n_identities == 0)
        return err_set(err, -EINVAL, "a TLS server needs a certificate and its key");
    struct tls_config *config = NULL;
    int result = config_new(true, options, &config, err);
    if (result < 0)
        return result;
    SSL_CTX_set_tlsext_servername_callback(config->context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(config->context, config);
    if (config->alpn_len > 0)
        SSL_CTX_set_alpn_select_cb(config->context, on_alpn, config);
    *ret_config = config;
    return 0;
}

int tls_config_new_client(const struct tls_options *options, struct tls_config **ret_config, struct err *err)
{
    if (options->n_identities > 1)
        return err_set(err, -EINVAL, "a TLS client has one certificate at most");
    CLEANUP(tls_config_unrefp) struct tls_config *config = NULL;
    int result = config_new(false, options, &config, err);
    if (result < 0)
        return result;
    /* 0 is success here, unlike in the rest of OpenSSL. */
    if (config->alpn_len > 0 && SSL_CTX_set_alpn_protos(config->context, config->alpn, config->alpn_len) != 0)
        return tls_error_take(err, "cannot set up TLS");
    *ret_config = TAKE(config);
    return 0;
}
