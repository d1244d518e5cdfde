/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blocking connection with a deadline: TCP, TLS over TCP, or a Unix socket. Each wait is a poll that ends with
 * -ETIMEDOUT when the deadline of the whole connection has passed. One thread at a time.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "base/time.h"
#include "client/address.h"

#include <sys/types.h>

/* PEM files for https; each may be NULL. */
struct conn_files {
    const char *ca_file;
    const char *cert_file;
    const char *key_file;
};

struct conn;

/* The monotonic clock that deadlines are of. */
nsec_t conn_now(void);

/*
 * 0; -EINVAL when a file of `files` is not usable; -ETIMEDOUT; -ENOMEM; -EPROTO when the TLS handshake failed (the
 * server's certificate is always verified); else what the system says. err says it in words.
 */
int conn_open(const struct address *address, const struct conn_files *files, nsec_t deadline_ns, struct conn **ret_conn,
              struct err *err);

/* NULL is fine. */
void conn_close(struct conn *conn);
void conn_closep(struct conn **conn);

/* Sends all of it: 0 or -errno. Never raises SIGPIPE. */
int conn_send(struct conn *conn, struct slice bytes, struct err *err);

/* Bytes received; 0 at the end of the peer's bytes; -errno. */
ssize_t conn_recv(struct conn *conn, void *ret_bytes, size_t len, struct err *err);
