/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A non-blocking connection: TCP, TLS over TCP, or a Unix socket. Whoever has it waits for its descriptor with a loop
 * of his own. One thread at a time.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "base/time.h"
#include "client/address.h"

#include <sys/types.h>

/* PEM files for https; each may be NULL. They must stay until the connection is open. */
struct conn_files {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
};

struct conn;

/*
 * Begins to connect. Each of the IP addresses that a name stands for gets an equal share of the time to the deadline.
 * Looking up a name is the one thing that blocks. 0; -EHOSTUNREACH for an unknown name; -ENOMEM; -errno.
 */
int conn_start(const struct address *address, const struct conn_files *files, nsec_t deadline_ns,
               struct conn **ret_conn, struct err *err);

/* NULL is fine. */
void conn_close(struct conn *conn);
void conn_closep(struct conn **conn);

/*
 * Goes on with opening. 0: it is open. -EAGAIN: call again when the descriptor is ready for conn_events, or at
 * conn_wake_ns. -EINVAL when a file of `files` is not usable; -ETIMEDOUT; -EPROTO when the TLS handshake failed (the
 * server's certificate is always verified); -ENOMEM; else what the system says. err says it in words.
 */
int conn_open(struct conn *conn, struct err *err);

/* The descriptor changes only during conn_open. */
int conn_fd(const struct conn *conn);
/* What to wait for: EPOLLIN, EPOLLOUT or both. */
unsigned conn_events(const struct conn *conn);
nsec_t conn_wake_ns(const struct conn *conn);

/* Bytes taken, more than 0; -EAGAIN; -errno. Never raises SIGPIPE. */
ssize_t conn_send(struct conn *conn, struct slice bytes, struct err *err);

/* 0 when all that was taken has been given to the kernel; -EAGAIN; -errno. */
int conn_flush(struct conn *conn, struct err *err);

/* Bytes received; 0 at the end of the peer's bytes; -EAGAIN; -errno. */
ssize_t conn_recv(struct conn *conn, void *ret_bytes, size_t len, struct err *err);
