/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an address is proved free without a gap: the first socket binds and listens without SO_REUSEPORT, which only one
 * socket on the machine can do; it then allows sharing, and the others join. Two processes that start at the same time
 * both bind at most; the second to listen fails.
 *
 * TCP_NODELAY is set on the listening socket, from which Linux's accepted sockets inherit it: no call per connection.
 */
#include "io/listener.h"

#include "base/assert.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct listener {
    struct addr addr;
    bool has_file;  /* a Unix socket's, to be removed */
    unsigned n;     /* as asked for */
    unsigned n_fds; /* 1 for a Unix socket */
    int fds[];
};

static int set_option(int fd, int level, int option)
{
    return setsockopt(fd, level, option, &(int){1}, sizeof(int)) < 0 ? -errno : 0;
}

static int new_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

/* Binds, with all options set, and listens. */
static int start_tcp(int fd, const struct addr *addr, const struct listen_options *options, bool is_shared)
{
    int r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (r == 0 && is_shared)
        r = set_option(fd, SOL_SOCKET, SO_REUSEPORT);
    if (r == 0)
        r = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (r == 0 && addr->any.sa_family == AF_INET6 && addr_is_unspecified(addr) &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){0}, sizeof(int)) < 0)
        r = -errno;
    if (r < 0)
        return r;
    if (bind(fd, &addr->any, addr->len) < 0 || listen(fd, options->backlog) < 0)
        return -errno;
    return 0;
}

/* One more socket on listener->addr. */
static int add_tcp(struct listener *listener, const struct listen_options *options, bool is_shared)
{
    int fd = new_socket(listener->addr.any.sa_family);
    if (fd < 0)
        return fd;
    listener->fds[listener->n_fds++] = fd;
    return start_tcp(fd, &listener->addr, options, is_shared);
}

static int open_tcp(struct listener *listener, const struct listen_options *options)
{
    int r = add_tcp(listener, options, false);
    if (r == -EAFNOSUPPORT && addr_is_unspecified(&listener->addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = listener->addr.v6.sin6_port};
        listener->addr = (struct addr){.len = sizeof(v4), .v4 = v4};
        r = add_tcp(listener, options, false);
    }
    if (r < 0)
        return r;
    if (getsockname(listener->fds[0], &listener->addr.any, &listener->addr.len) < 0)
        return -errno;
    if (listener->n > 1)
        r = set_option(listener->fds[0], SOL_SOCKET, SO_REUSEPORT);
    while (r == 0 && listener->n_fds < listener->n)
        r = add_tcp(listener, options, true);
    return r;
}

/* Whether the address is that of a socket file on which nobody listens. */
static bool is_stale(const struct addr *addr)
{
    struct stat info;
    if (addr->unix_path.sun_path[0] == 0 || lstat(addr->unix_path.sun_path, &info) < 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = new_socket(AF_UNIX);
    if (fd < 0)
        return false;
    bool is_refused = connect(fd, &addr->any, addr->len) < 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return is_refused;
}

static int open_unix(struct listener *listener, const struct listen_options *options)
{
    const struct addr *addr = &listener->addr;
    const char *path = addr->unix_path.sun_path;
    int fd = new_socket(AF_UNIX);
    if (fd < 0)
        return fd;
    listener->fds[listener->n_fds++] = fd;

    int r = bind(fd, &addr->any, addr->len);
    if (r < 0 && errno == EADDRINUSE && is_stale(addr)) {
        (void)unlink(path);
        r = bind(fd, &addr->any, addr->len);
    }
    if (r < 0)
        return -errno;
    listener->has_file = path[0] != 0;
    /* Nobody can connect before it listens, so it is never open to more than these. */
    if (listener->has_file && chmod(path, (mode_t)options->unix_mode) < 0)
        return -errno;
    return listen(fd, options->backlog) < 0 ? -errno : 0;
}

static void listener_closep(struct listener **listener)
{
    listener_close(*listener);
}

int listener_open(const struct addr *addr, unsigned n, const struct listen_options *options,
                  struct listener **ret_listener, struct err *err)
{
    ASSERT(n > 0);
    char text[ADDR_TEXT_MAX];
    (void)addr_format(addr, text);
    CLEANUP(listener_closep) struct listener *listener = calloc(1, sizeof(*listener) + n * sizeof(listener->fds[0]));
    if (!listener)
        return err_set_errno(err, -ENOMEM, "cannot listen on %s", text);
    listener->addr = *addr;
    listener->n = n;

    int r = addr->any.sa_family == AF_UNIX ? open_unix(listener, options) : open_tcp(listener, options);
    if (r == -EADDRINUSE)
        return err_set(err, r, "cannot listen on %s: the address is in use", text);
    if (r < 0)
        return err_set_errno(err, r, "cannot listen on %s", text);
    *ret_listener = TAKE(listener);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener)
        return;
    /* The file first: after the close another process may have made its own. */
    if (listener->has_file)
        (void)unlink(listener->addr.unix_path.sun_path);
    for (unsigned i = 0; i < listener->n_fds; i++)
        (void)close(listener->fds[i]);
    free(listener);
}

const struct addr *listener_addr(const struct listener *listener)
{
    return &listener->addr;
}

int listener_fd(const struct listener *listener, unsigned index)
{
    ASSERT(index < listener->n);
    return listener->fds[index < listener->n_fds ? index : 0];
}
