/* SPDX-License-Identifier: Apache-2.0 */
#include "client/conn.h"

#include "base/util.h"
#include "client/socket.h"
#include "client/tls.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct conn {
    int fd;
    nsec_t deadline_ns;
    struct tls_session *tls; /* NULL: plain */
};

nsec_t conn_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

int conn_open(const struct address *address, const struct conn_files *files, nsec_t deadline_ns, struct conn **ret_conn,
              struct err *err)
{
    struct conn *conn CLEANUP(conn_closep) = calloc(1, sizeof(*conn));
    if (!conn)
        return -ENOMEM;
    conn->deadline_ns = deadline_ns;
    conn->fd = socket_connect(address, deadline_ns, err);
    if (conn->fd < 0)
        return conn->fd;
    if (address->scheme == ADDRESS_HTTPS) {
        int r = tls_session_open(conn->fd, address, files, deadline_ns, &conn->tls, err);
        if (r < 0)
            return r;
    }
    *ret_conn = TAKE(conn);
    return 0;
}

void conn_close(struct conn *conn)
{
    if (!conn)
        return;
    tls_session_free(conn->tls);
    if (conn->fd >= 0)
        close(conn->fd);
    free(conn);
}

void conn_closep(struct conn **conn)
{
    conn_close(*conn);
}

int conn_send(struct conn *conn, struct slice bytes, struct err *err)
{
    if (conn->tls)
        return tls_session_send(conn->tls, bytes, err);
    int r = socket_send(conn->fd, bytes, conn->deadline_ns);
    return r < 0 ? err_set_errno(err, r, "cannot send") : 0;
}

ssize_t conn_recv(struct conn *conn, void *ret_bytes, size_t len, struct err *err)
{
    if (conn->tls)
        return tls_session_recv(conn->tls, ret_bytes, len, err);
    ssize_t n = socket_recv(conn->fd, ret_bytes, len, conn->deadline_ns);
    return n < 0 ? err_set_errno(err, (int)n, "cannot receive") : n;
}
