/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A certificate with its chain and private key, loaded and checked: what a `struct tls_identity` names. Immutable after
 * loading, so that all threads may read it.
 */
#pragma once

#include "base/err.h"
#include "io/tls.h"

#include <openssl/x509v3.h>

struct tls_credential {
    X509 *cert;
    STACK_OF(X509) * chain; /* the other certificates of the file */
    EVP_PKEY *key;
    GENERAL_NAMES *names; /* the certificate's subject alternative names; NULL when it has none */
};

/*
 * Fills a zeroed credential. Fails, naming the file, on files that cannot be read, on a key that is not the
 * certificate's, and on a certificate that has expired: no client would accept it.
 */
int tls_credential_init(struct tls_credential *credential, const struct tls_identity *identity, struct err *err);
void tls_credential_deinit(struct tls_credential *credential);
