/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue holds the whole story of a failure, of which one entry is told. For files it is the oldest, what went wrong
 * first. For connections it is the newest, what OpenSSL's TLS made of it: "certificate verify failed" says more than
 * the arithmetic that failed below it.
 */
#include "io/tls_error.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

static const char *reason_text(unsigned long code)
{
    const char *text = ERR_reason_error_string(code);
    return text ? text : "no reason given";
}

int tls_error_take(struct err *err, const char *what)
{
    unsigned long code = ERR_peek_error();
    ERR_clear_error();
    int result = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EINVAL;
    return err_set(err, result, "%s: %s", what, reason_text(code));
}

/* The faults that people meet most are put in their words. */
static int explain(struct err *err, const SSL *ssl, unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return err_set(err, -EKEYREJECTED, "the peer's certificate was refused: %s",
                       X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return err_set(err, -EKEYREJECTED, "the client gave no certificate");
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return err_set(err, -EPROTO, "the peer speaks plain HTTP where TLS was expected");
    case SSL_R_WRONG_VERSION_NUMBER:
        return err_set(err, -EPROTO, "the peer does not speak TLS");
    case SSL_R_NO_APPLICATION_PROTOCOL:
        return err_set(err, -EPROTO, "no protocol (ALPN) in common with the peer");
    default:
        return err_set(err, -EPROTO, "%s: %s",
                       ERR_GET_REASON(code) > SSL_AD_REASON_OFFSET ? "the peer ended TLS" : "TLS failed",
                       reason_text(code));
    }
}

int tls_error_take_peer(struct err *err, const SSL *ssl)
{
    unsigned long code = ERR_peek_last_error();
    ERR_clear_error();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        return err_set_errno(err, -ENOMEM, "TLS failed");
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return err_set(err, -EPROTO, "TLS failed: %s", reason_text(code));
    return explain(err, ssl, code);
}
