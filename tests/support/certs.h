/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates for tests, made when they are needed, so that none lies in the repository and expires there. All are
 * files in a folder of their own, which goes away with certs_free. What cannot be made fails the test.
 */
#pragma once

#include "base/slice.h"
#include "io/tls.h"

/* An authority and its folder. */
struct certs;

/* The authority's own certificate is good for `days` from now; a negative number: it has expired so long ago. */
struct certs *certs_new(int days);

/* An authority under another one. The files of what it issues hold its own certificate, too: a chain of two. */
struct certs *certs_new_under(const struct certs *parent);

void certs_free(struct certs *certs);

/* The authority's certificate, for tls_options.ca_file. Paths live as long as the certs. */
const char *certs_ca_file(const struct certs *certs);

struct cert_options {
    const char *common_name; /* NULL: none */
    const char *names;       /* as OpenSSL spells them: "DNS:a.test, DNS:*.b.test, IP:127.0.0.1"; NULL: none */
    int days;                /* as above; 0: 30 */
    unsigned rsa_bits;       /* 0: an elliptic curve key, which is made much faster */
};

/* A new key, and a certificate for it that the authority has signed. */
struct tls_identity certs_issue(struct certs *certs, const struct cert_options *options);

/* A file with this content, for all that is no certificate. */
const char *certs_write(struct certs *certs, struct slice content);

/* The key of an identity once more, but with a passphrase. */
const char *certs_protect_key(struct certs *certs, const struct tls_identity *identity);
