/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's error queue, turned into our errors.
 *
 * The queue belongs to the thread, not to a connection: what one connection leaves there, the next would take for its
 * own. So every call into OpenSSL that is judged by the queue is preceded by ERR_clear_error, and both functions here
 * leave the queue empty.
 */
#pragma once

#include "base/err.h"

#include <openssl/ssl.h>

/* A failed set-up: "<what>: <OpenSSL's reason>" in err; -ENOMEM or -EINVAL. */
int tls_error_take(struct err *err, const char *what);

/* A failed connection: why, for a log line, in err; -EKEYREJECTED, -EPROTO or -ENOMEM (see tls.h). */
int tls_error_take_peer(struct err *err, const SSL *ssl);
