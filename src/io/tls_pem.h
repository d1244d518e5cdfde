/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys from PEM files. Each failure is one sentence that names the file and what is wrong with it.
 */
#pragma once

#include "base/err.h"

#include <openssl/x509.h>

/* All certificates of the file, at least one, in its order. The caller frees them (tls_pem_free_certs). */
int tls_pem_read_certs(const char *file, STACK_OF(X509) * *ret_certs, struct err *err);
void tls_pem_free_certs(STACK_OF(X509) * certs);

/* The first private key of the file; never asks for a passphrase. The caller frees it (EVP_PKEY_free). */
int tls_pem_read_key(const char *file, EVP_PKEY **ret_key, struct err *err);
