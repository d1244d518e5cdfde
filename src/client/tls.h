/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS on a connected, non-blocking socket, client side. The server's certificate is verified, its name too. -EAGAIN
 * always means: call again when the socket is readable, or writable while there is output.
 */
#pragma once

#include "client/conn.h"

struct tls_session;

/* 0, -EINVAL (a file), -ENOMEM. */
int tls_session_new(int fd, const struct address *address, const struct conn_files *files,
                    struct tls_session **ret_session, struct err *err);

/* NULL is fine; the socket stays open. */
void tls_session_free(struct tls_session *session);

/* 0 when it is done; -EAGAIN, -EPROTO (refused by either side), -ENOMEM, -errno. */
int tls_session_shake_hands(struct tls_session *session, struct err *err);

/* As conn_send, conn_flush and conn_recv. */
ssize_t tls_session_send(struct tls_session *session, struct slice bytes, struct err *err);
int tls_session_flush(struct tls_session *session, struct err *err);
ssize_t tls_session_recv(struct tls_session *session, void *ret_bytes, size_t len, struct err *err);

bool tls_session_has_output(const struct tls_session *session);
