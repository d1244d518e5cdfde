/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening is one state machine: each IP address in turn is connected to, then TLS shakes hands on the first that took
 * the connection. Nothing was said to anybody before that, so the next address may always be tried.
 */
#include "client/conn.h"

#include "base/util.h"
#include "client/tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum conn_state { CONN_NEXT, CONN_CONNECTING, CONN_SHAKING_HANDS, CONN_OPEN };

struct conn {
    enum conn_state state;
    int fd;
    struct address address;
    struct conn_files files;
    nsec_t deadline_ns, try_until_ns; /* of opening; of the address that is tried now */
    struct addrinfo *infos;           /* what the name stands for */
    const struct addrinfo *next;      /* the one to try next */
    bool is_unix_tried;
    int error;               /* why the last one failed */
    struct tls_session *tls; /* NULL: plain */
};

static int look_up(struct conn *conn, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    int r = getaddrinfo(conn->address.host, conn->address.port, &hints, &conn->infos);
    if (r == EAI_MEMORY)
        return -ENOMEM;
    if (r != 0) {
        conn->infos = NULL;
        return err_set(err, -EHOSTUNREACH, "%s", gai_strerror(r));
    }
    conn->next = conn->infos;
    return 0;
}

int conn_start(const struct address *address, const struct conn_files *files, nsec_t deadline_ns,
               struct conn **ret_conn, struct err *err)
{
    struct conn *conn CLEANUP(conn_closep) = calloc(1, sizeof(*conn));
    if (!conn)
        return err_set(err, -ENOMEM, "out of memory");
    conn->fd = -1;
    conn->address = *address;
    conn->files = *files;
    conn->deadline_ns = deadline_ns;
    conn->error = -EHOSTUNREACH;
    if (address->scheme != ADDRESS_UNIX) {
        int r = look_up(conn, err);
        if (r < 0)
            return r;
    }
    *ret_conn = TAKE(conn);
    return 0;
}

static void drop_socket(struct conn *conn)
{
    tls_session_free(TAKE(conn->tls));
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
}

void conn_close(struct conn *conn)
{
    if (!conn)
        return;
    drop_socket(conn);
    if (conn->infos)
        freeaddrinfo(conn->infos);
    free(conn);
}

void conn_closep(struct conn **conn)
{
    conn_close(*conn);
}

/* ------------------------------------------------------------------------------------------------ opening */

static int connect_socket(struct conn *conn, int family, const struct sockaddr *sockaddr, socklen_t len)
{
    conn->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return -errno;
    if (family != AF_UNIX)
        (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return connect(conn->fd, sockaddr, len) == 0 || errno == EINPROGRESS || errno == EINTR ? 0 : -errno;
}

static int connect_unix(struct conn *conn)
{
    const char *path = conn->address.host;
    struct sockaddr_un sockaddr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(sockaddr.sun_path, path, len);
    if (path[0] == '@') /* an abstract name: begins with NUL and is not ended by one */
        sockaddr.sun_path[0] = '\0';
    else
        len++;
    return connect_socket(conn, AF_UNIX, (const struct sockaddr *)(const void *)&sockaddr,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

/* Begins with the next IP address, or with the path. 0, or why the last of them failed. */
static int try_next(struct conn *conn)
{
    drop_socket(conn);
    unsigned n_left = 0;
    for (const struct addrinfo *info = conn->next; info; info = info->ai_next)
        n_left++;
    if (conn->address.scheme == ADDRESS_UNIX ? conn->is_unix_tried : n_left == 0)
        return conn->error;
    nsec_t now_ns = time_now();
    conn->try_until_ns = now_ns + (conn->deadline_ns - now_ns) / (n_left > 0 ? n_left : 1);
    conn->is_unix_tried = true;
    const struct addrinfo *info = conn->next;
    if (info)
        conn->next = info->ai_next;
    int r = info ? connect_socket(conn, info->ai_family, info->ai_addr, info->ai_addrlen) : connect_unix(conn);
    if (r < 0)
        conn->error = r;
    else
        conn->state = CONN_CONNECTING;
    return 0;
}

/* 0: connected. -EAGAIN. Other failures are remembered and the next address is due. */
static int finish_connect(struct conn *conn)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer), error_len = sizeof(int);
    int error = 0;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
        error = errno;
    if (error == 0 && getpeername(conn->fd, (struct sockaddr *)(void *)&peer, &len) == 0)
        return 0;
    if (error == 0 && time_now() < conn->try_until_ns)
        return -EAGAIN;
    conn->error = error != 0 ? -error : -ETIMEDOUT;
    conn->state = CONN_NEXT;
    return 0;
}

static int begin_tls(struct conn *conn, struct err *err)
{
    conn->state = CONN_OPEN;
    if (conn->address.scheme != ADDRESS_HTTPS)
        return 0;
    conn->state = CONN_SHAKING_HANDS;
    return tls_session_new(conn->fd, &conn->address, &conn->files, &conn->tls, err);
}

int conn_open(struct conn *conn, struct err *err)
{
    int r = 0;
    while (r == 0 && conn->state != CONN_OPEN) {
        if (conn->state == CONN_NEXT) {
            r = try_next(conn);
            if (r < 0)
                return err_set_errno(err, r, "cannot connect");
        } else if (conn->state == CONN_CONNECTING) {
            r = finish_connect(conn);
            if (r == 0 && conn->state == CONN_CONNECTING)
                r = begin_tls(conn, err);
        } else {
            r = tls_session_shake_hands(conn->tls, err);
            if (r == 0)
                conn->state = CONN_OPEN;
            else if (r == -EAGAIN && time_now() >= conn->deadline_ns)
                return err_set_errno(err, -ETIMEDOUT, "TLS");
        }
    }
    return r;
}

int conn_fd(const struct conn *conn)
{
    return conn->fd;
}

unsigned conn_events(const struct conn *conn)
{
    if (conn->state == CONN_CONNECTING)
        return EPOLLOUT;
    return conn->tls && tls_session_has_output(conn->tls) ? EPOLLIN | EPOLLOUT : EPOLLIN;
}

nsec_t conn_wake_ns(const struct conn *conn)
{
    return conn->state == CONN_CONNECTING ? conn->try_until_ns : conn->deadline_ns;
}

/* ------------------------------------------------------------------------------------------------ bytes */

ssize_t conn_send(struct conn *conn, struct slice bytes, struct err *err)
{
    if (conn->tls)
        return tls_session_send(conn->tls, bytes, err);
    ssize_t n = send(conn->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? -EAGAIN : err_set_errno(err, -errno, "cannot send");
}

int conn_flush(struct conn *conn, struct err *err)
{
    return conn->tls ? tls_session_flush(conn->tls, err) : 0;
}

ssize_t conn_recv(struct conn *conn, void *ret_bytes, size_t len, struct err *err)
{
    if (conn->tls)
        return tls_session_recv(conn->tls, ret_bytes, len, err);
    ssize_t n;
    do
        n = recv(conn->fd, ret_bytes, len, 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0)
        return n;
    return errno == EAGAIN ? -EAGAIN : err_set_errno(err, -errno, "cannot receive");
}
