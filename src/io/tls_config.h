/* SPDX-License-Identifier: Apache-2.0 */
/* What a tls_config is, for the files that implement TLS; users see tls.h. */
#pragma once

#include "io/tls.h"
#include "io/tls_credential.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

/* ALPN lists on the wire have one length byte per name; one of our own names rarely has more than eight. */
#define TLS_ALPN_MAX 128

/* Written by its maker only; then read by all threads, but for the count. */
struct tls_config {
    atomic_uint n_refs;
    bool is_server;
    enum tls_peer_check peer_check;
    SSL_CTX *context;       /* knows the first identity */
    BIO_METHOD *bio_method; /* OpenSSL wants it kept for as long as any of its BIOs lives */
    unsigned char alpn[TLS_ALPN_MAX];
    unsigned alpn_len;
    size_t n_credentials;
    struct tls_credential credentials[];
};
