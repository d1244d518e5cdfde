/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS on a connected socket, client side. The server's certificate is verified, its name too.
 */
#pragma once

#include "client/conn.h"

struct tls_session;

/* Does the handshake. 0, -EINVAL (a file), -EPROTO (refused by either side), -ETIMEDOUT, -ENOMEM, -errno. */
int tls_session_open(int fd, const struct address *address, const struct conn_files *files, nsec_t deadline_ns,
                     struct tls_session **ret_session, struct err *err);

/* NULL is fine; the socket stays open. */
void tls_session_free(struct tls_session *session);

int tls_session_send(struct tls_session *session, struct slice bytes, struct err *err);
ssize_t tls_session_recv(struct tls_session *session, void *ret_bytes, size_t len, struct err *err);
