/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that a name stands for are tried in order, each with an equal share of the time that is left, so that one
 * that does not answer leaves time for the next.
 */
#include "client/socket.h"

#include "client/conn.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Waits until fd is ready for events: 0, -ETIMEDOUT, -errno. */
static int wait_ready(int fd, short events, nsec_t deadline_ns)
{
    for (;;) {
        nsec_t left_ns = deadline_ns - conn_now();
        if (left_ns <= 0)
            return -ETIMEDOUT;
        nsec_t left_ms = (left_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int n = poll(&poll_fd, 1, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -errno;
    }
}

static int connect_until(int fd, const struct sockaddr *sockaddr, socklen_t len, nsec_t deadline_ns)
{
    if (connect(fd, sockaddr, len) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return -errno;
    int r = wait_ready(fd, POLLOUT, deadline_ns);
    if (r < 0)
        return r;
    int error = 0;
    socklen_t error_len = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0)
        return -errno;
    return -error;
}

static int open_one(int family, const struct sockaddr *sockaddr, socklen_t len, nsec_t deadline_ns)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = connect_until(fd, sockaddr, len, deadline_ns);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

static int connect_unix(const char *path, nsec_t deadline_ns)
{
    struct sockaddr_un sockaddr = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    memcpy(sockaddr.sun_path, path, len);
    if (path[0] == '@') /* an abstract name: begins with NUL and is not ended by one */
        sockaddr.sun_path[0] = '\0';
    else
        len++;
    return open_one(AF_UNIX, (const struct sockaddr *)(const void *)&sockaddr,
                    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len), deadline_ns);
}

static int connect_any(const struct addrinfo *infos, nsec_t deadline_ns)
{
    unsigned n_left = 0;
    for (const struct addrinfo *info = infos; info; info = info->ai_next)
        n_left++;
    int fd = -EHOSTUNREACH;
    for (const struct addrinfo *info = infos; info && fd < 0; info = info->ai_next, n_left--) {
        nsec_t now_ns = conn_now();
        fd = open_one(info->ai_family, info->ai_addr, info->ai_addrlen, now_ns + (deadline_ns - now_ns) / n_left);
    }
    return fd;
}

static int connect_tcp(const struct address *address, nsec_t deadline_ns, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    struct addrinfo *infos = NULL;
    int r = getaddrinfo(address->host, address->port, &hints, &infos);
    if (r == EAI_MEMORY)
        return -ENOMEM;
    if (r != 0)
        return err_set(err, -EHOSTUNREACH, "%s", gai_strerror(r));
    int fd = connect_any(infos, deadline_ns);
    freeaddrinfo(infos);
    return fd < 0 ? err_set_errno(err, fd, "cannot connect") : fd;
}

int socket_connect(const struct address *address, nsec_t deadline_ns, struct err *err)
{
    if (address->scheme != ADDRESS_UNIX)
        return connect_tcp(address, deadline_ns, err);
    int fd = connect_unix(address->host, deadline_ns);
    return fd < 0 ? err_set_errno(err, fd, "cannot connect") : fd;
}

int socket_send(int fd, struct slice bytes, nsec_t deadline_ns)
{
    while (!slice_is_empty(bytes)) {
        ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (n >= 0) {
            bytes = slice_skip(bytes, (size_t)n);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = wait_ready(fd, POLLOUT, deadline_ns);
        if (r < 0)
            return r;
    }
    return 0;
}

ssize_t socket_recv(int fd, void *ret_bytes, size_t len, nsec_t deadline_ns)
{
    for (;;) {
        ssize_t n = recv(fd, ret_bytes, len, 0);
        if (n >= 0)
            return n;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        int r = wait_ready(fd, POLLIN, deadline_ns);
        if (r < 0)
            return r;
    }
}
