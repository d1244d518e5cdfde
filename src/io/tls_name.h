/* SPDX-License-Identifier: Apache-2.0 */
/* The names in certificates. */
#pragma once

#include "base/slice.h"

#include <openssl/x509v3.h>

enum tls_name_match {
    TLS_NAME_WHOLE, /* the certificate has this very name */
    TLS_NAME_STAR,  /* the certificate has "*.x", the name is "<one label>.x" */
};

/*
 * Whether one of the DNS names covers `name`. Only subject alternative names count, as for today's clients; a common
 * name in the subject is not looked at.
 */
bool tls_name_matches(const GENERAL_NAMES *names, struct slice name, enum tls_name_match match);

/*
 * Who a client is: the subject's common name, or else its first DNS name; NULL when there is none that could stand in a
 * log line. Freed by the caller. 0 or -ENOMEM.
 */
int tls_name_of_peer(X509 *cert, char **ret_name);
