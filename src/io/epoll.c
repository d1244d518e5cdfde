/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wake-up is an eventfd registered edge-triggered: each write is a new edge, so it is never read, and a wake-up
 * costs one write and no read. Its event carries no data, which tells it from the sources'; it is dropped here.
 */
#include "io/epoll.h"

#include "base/assert.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct epoll_system {
    int epoll_fd;
    int wake_fd;
};

static nsec_t epoll_now(void *ctx)
{
    (void)ctx;
    return time_now();
}

static nsec_t epoll_wall_now(void *ctx)
{
    (void)ctx;
    return time_wall_now();
}

static int epoll_add(void *ctx, int fd, uint32_t events, void *data)
{
    struct epoll_system *system = ctx;
    struct epoll_event event = {.events = events, .data.ptr = data};
    return epoll_ctl(system->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void epoll_remove(void *ctx, int fd)
{
    struct epoll_system *system = ctx;
    /* Closing would do it too, unless a child process that is between fork and exec holds the socket open. */
    int r = epoll_ctl(system->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    ASSERT(r == 0);
}

/* In milliseconds rounded up, so that a timer which is almost due is not polled for. */
static int timeout_ms(nsec_t timeout_ns)
{
    if (timeout_ns == NSEC_NEVER)
        return -1;
    nsec_t ms = timeout_ns / NSEC_PER_MSEC + (timeout_ns % NSEC_PER_MSEC != 0);
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static int epoll_system_wait(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns)
{
    struct epoll_system *system = ctx;
    int n = epoll_wait(system->epoll_fd, events, max_events, timeout_ms(timeout_ns));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        if (!events[i].data.ptr) {
            events[i] = events[--n];
            break;
        }
    }
    return n;
}

static void epoll_wake(void *ctx)
{
    struct epoll_system *system = ctx;
    /* It can only fail when 2^64 wake-ups were never read, and then the reader is being woken anyway. */
    (void)!write(system->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

static void epoll_system_free(void *ctx)
{
    struct epoll_system *system = ctx;
    if (!system)
        return;
    if (system->wake_fd >= 0)
        (void)close(system->wake_fd);
    if (system->epoll_fd >= 0)
        (void)close(system->epoll_fd);
    free(system);
}

static void epoll_system_freep(struct epoll_system **system)
{
    epoll_system_free(*system);
}

int epoll_system_new(struct epoll_system **ret_system)
{
    CLEANUP(epoll_system_freep) struct epoll_system *system = malloc(sizeof(*system));
    if (!system)
        return -ENOMEM;
    *system = (struct epoll_system){.epoll_fd = -1, .wake_fd = -1};
    system->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (system->epoll_fd < 0)
        return -errno;
    system->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (system->wake_fd < 0)
        return -errno;
    int r = epoll_add(system, system->wake_fd, EPOLLIN | EPOLLET, NULL);
    if (r < 0)
        return r;
    *ret_system = TAKE(system);
    return 0;
}

const struct loop_system epoll_system_ops = {
    .now = epoll_now,
    .wall_now = epoll_wall_now,
    .add = epoll_add,
    .remove = epoll_remove,
    .wait = epoll_system_wait,
    .wake = epoll_wake,
    .free = epoll_system_free,
};
