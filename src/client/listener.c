/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Level-triggered: what is not accepted now wakes the task again. A listener that pauses, or for which there are no
 * descriptors, is not waited for meanwhile.
 */
#include "client/listener.h"

#include "base/slice.h"
#include "client/conn.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG          128
#define ACCEPTS_PER_TURN 32
#define NO_ROOM_WAIT_NS  (100 * NSEC_PER_MSEC)

/* ------------------------------------------------------------------------------------------------ accepting */

static void pause_accepting(struct listener *listener)
{
    listener->is_paused = true;
    (void)task_watch(&listener->task, listener->driver, -1, 0);
}

static void on_ready(struct task *task)
{
    struct listener *listener = container_of(task, struct listener, task);
    listener_resume(listener); /* after a wait for room */
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->is_paused; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            pause_accepting(listener);
            task_wake_at(task, listener->driver, time_now() + NO_ROOM_WAIT_NS);
        }
        if (fd < 0)
            return; /* nobody, or one that has gone: the next wakes us */
        if (!listener->on_connection(listener->ctx, fd))
            pause_accepting(listener);
    }
}

void listener_resume(struct listener *listener)
{
    if (!listener->is_paused || listener->fd < 0)
        return;
    listener->is_paused = false;
    if (task_watch(&listener->task, listener->driver, listener->fd, EPOLLIN) < 0) {
        listener->is_paused = true;
        task_wake_at(&listener->task, listener->driver, time_now() + NO_ROOM_WAIT_NS);
    }
}

void listener_take_rest(struct listener *listener)
{
    for (int i = 0; i < 2 * BACKLOG && listener->driver && listener->fd >= 0; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        (void)listener->on_connection(listener->ctx, fd);
    }
}

/* ------------------------------------------------------------------------------------------------ opening */

static int listen_unix(struct listener *listener, const char *path, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct sockaddr *sockaddr = (const struct sockaddr *)(const void *)&address;
    if (path[0] != '/' || strlen(path) >= sizeof(address.sun_path))
        return err_set(err, -EINVAL, "expected unix:/PATH, an absolute path of at most %zu bytes",
                       sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path));
    listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return err_set_errno(err, -errno, "socket");
    struct stat file;
    if (lstat(path, &file) == 0 && S_ISSOCK(file.st_mode) && connect(listener->fd, sockaddr, sizeof(address)) < 0 &&
        errno == ECONNREFUSED)
        (void)unlink(path); /* left behind by one that was killed */
    if (bind(listener->fd, sockaddr, sizeof(address)) < 0)
        return err_set_errno(err, -errno, "bind");
    (void)snprintf(listener->address, sizeof(listener->address), "unix:%s", path);
    return 0;
}

static int bind_tcp(struct listener *listener, const struct addrinfo *info, struct err *err)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[64], port[8];
    listener->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0)
        return err_set_errno(err, -errno, "socket");
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener->fd, info->ai_addr, info->ai_addrlen) < 0 ||
        getsockname(listener->fd, (struct sockaddr *)(void *)&bound, &len) < 0)
        return err_set_errno(err, -errno, "bind");
    if (getnameinfo((const struct sockaddr *)(const void *)&bound, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(err, -EINVAL, "an address without a name");
    bool is_v6 = info->ai_family == AF_INET6;
    (void)snprintf(listener->address, sizeof(listener->address), "%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
                   port);
    return 0;
}

/* "HOST:PORT" into its parts; the host without brackets. */
static int split(const char *address, char ret_host[256], char ret_port[6], struct err *err)
{
    const char *colon = strrchr(address, ':');
    struct slice host = {address, colon ? (size_t)(colon - address) : 0};
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = (struct slice){host.ptr + 1, host.len - 2};
    if (host.len == 0 || host.len >= 256 || strlen(colon + 1) == 0 || strlen(colon + 1) >= 6)
        return err_set(err, -EINVAL, "expected HOST:PORT");
    (void)snprintf(ret_host, 256, "%.*s", SLICE_ARG(host));
    (void)snprintf(ret_port, 6, "%s", colon + 1);
    return 0;
}

static int listen_tcp(struct listener *listener, const char *address, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *info = NULL;
    char host[256], port[6];
    int r = split(address, host, port, err);
    if (r < 0)
        return r;
    int failure = getaddrinfo(host, port, &hints, &info);
    if (failure != 0)
        return err_set(err, failure == EAI_MEMORY ? -ENOMEM : -EINVAL, "%s", gai_strerror(failure));
    r = bind_tcp(listener, info, err);
    freeaddrinfo(info);
    return r;
}

int listener_open(struct listener *listener, struct driver *driver, const char *address, bool may_be_unix,
                  struct err *err)
{
    bool is_unix = may_be_unix && strncmp(address, "unix:", 5) == 0;
    listener->fd = -1;
    listener->driver = driver;
    listener->is_paused = true;
    task_init(&listener->task, driver, on_ready);
    int r = is_unix ? listen_unix(listener, address + 5, err) : listen_tcp(listener, address, err);
    if (r == 0 && listen(listener->fd, BACKLOG) < 0)
        r = err_set_errno(err, -errno, "listen");
    if (r < 0) {
        listener_close(listener);
        return err_wrap(err, r, "cannot listen on \"%s\"", address);
    }
    listener_resume(listener);
    return 0;
}

void listener_close(struct listener *listener)
{
    if (!listener->driver)
        return;
    task_deinit(&listener->task, listener->driver);
    if (listener->fd < 0)
        return;
    close(listener->fd);
    listener->fd = -1;
    if (strncmp(listener->address, "unix:", 5) == 0)
        (void)unlink(listener->address + 5);
}

bool listener_has_host(const struct listener *listener)
{
    return strncmp(listener->address, "0.0.0.0:", 8) != 0 && strncmp(listener->address, "[::]:", 5) != 0;
}
