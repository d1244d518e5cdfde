/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one source that is level-triggered: a backlog longer than one turn takes is reported again by itself, and nothing
 * is missed across a pause. EPOLLEXCLUSIVE keeps a connection to a shared (Unix) socket from waking all workers.
 *
 * Out of descriptors, a level-triggered socket would spin, so it is taken off the loop for the pause.
 *
 * The system gives the lowest number that is free, so the number of a new descriptor says how many are in use at least:
 * nobody counts.
 */
#include "io/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 64,
    /* Of the descriptors that the process may have. */
    RESERVE_PART = 8,
    RESERVE_PART_PREFERRED = 16,
};
static const nsec_t pause_ns = 50 * NSEC_PER_MSEC;

struct acceptor {
    struct loop_source source;
    struct loop *loop;
    struct timer pause; /* armed: off the loop */
    accept_fn on_accept;
    accept_shortage_fn on_shortage; /* NULL: nobody wants to know */
    void *ctx;
    int reserve_part;
    int fd_end;   /* from here on they are not for clients; looked up again when it is reached */
    int spare_fd; /* given up to refuse a connection when there is no other; -1 while there is none */
};

static void open_spare(struct acceptor *acceptor)
{
    if (acceptor->spare_fd < 0)
        acceptor->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void pause_accepting(struct acceptor *acceptor)
{
    loop_remove(acceptor->loop, &acceptor->source);
    loop_arm(acceptor->loop, &acceptor->pause, loop_now(acceptor->loop) + pause_ns);
}

static int listen_again(struct acceptor *acceptor)
{
    return loop_add(acceptor->loop, &acceptor->source, EPOLLIN | EPOLLEXCLUSIVE);
}

static void end_pause(struct timer *timer)
{
    struct acceptor *acceptor = container_of(timer, struct acceptor, pause);
    open_spare(acceptor);
    if (listen_again(acceptor) < 0) /* the kernel is out of memory: try once more */
        loop_arm(acceptor->loop, &acceptor->pause, loop_now(acceptor->loop) + pause_ns);
}

static int find_fd_end(int reserve_part)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int)(limit.rlim_cur - limit.rlim_cur / (rlim_t)reserve_part);
}

/* The descriptor is one of those that are not for clients. */
static bool is_reserved(struct acceptor *acceptor, int fd)
{
    if (fd >= acceptor->fd_end)
        acceptor->fd_end = find_fd_end(acceptor->reserve_part);
    return fd >= acceptor->fd_end;
}

/* Closes the connections that wait, with the spare descriptor. Gives their number. */
static unsigned refuse_waiting(struct acceptor *acceptor)
{
    unsigned n_refused = 0;
    for (int i = 0; i < ACCEPTS_PER_TURN && acceptor->spare_fd >= 0; i++) {
        (void)close(acceptor->spare_fd);
        acceptor->spare_fd = -1;
        int fd = accept4(acceptor->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            n_refused++;
            (void)close(fd);
        }
        open_spare(acceptor);
        if (fd < 0)
            break;
    }
    return n_refused;
}

/* So many were closed already. */
static void on_no_descriptor(struct acceptor *acceptor, int error, unsigned n_closed)
{
    unsigned n_refused = n_closed + refuse_waiting(acceptor);
    pause_accepting(acceptor);
    if (acceptor->on_shortage)
        acceptor->on_shortage(acceptor->ctx, error, n_refused);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    (void)events;
    struct acceptor *acceptor = container_of(source, struct acceptor, source);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct addr addr = {.len = sizeof(addr) - offsetof(struct addr, any)};
        int fd = accept4(source->fd, &addr.any, &addr.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && is_reserved(acceptor, fd)) {
            (void)close(fd);
            on_no_descriptor(acceptor, -EMFILE, 1);
            return;
        }
        if (fd >= 0) {
            struct peer peer;
            peer_from_addr(&addr, &peer);
            acceptor->on_accept(acceptor->ctx, fd, &peer);
            continue;
        }
        switch (errno) {
        case EAGAIN:
            return;
        case EMFILE:
        case ENFILE:
            on_no_descriptor(acceptor, -errno, 0);
            return;
        case ENOBUFS:
        case ENOMEM:
            pause_accepting(acceptor);
            return;
        default: /* that one connection broke before it was taken */
            break;
        }
    }
}

int acceptor_new(struct loop *loop, int listen_fd, accept_fn on_accept, void *ctx, struct acceptor **ret_acceptor)
{
    struct acceptor *acceptor = malloc(sizeof(*acceptor));
    if (!acceptor)
        return -ENOMEM;
    *acceptor = (struct acceptor){
        .source = {.fd = listen_fd, .on_ready = on_ready},
        .loop = loop,
        .on_accept = on_accept,
        .ctx = ctx,
        .reserve_part = RESERVE_PART,
        .fd_end = find_fd_end(RESERVE_PART),
        .spare_fd = -1,
    };
    timer_init(&acceptor->pause, end_pause);
    open_spare(acceptor);
    int r = acceptor->spare_fd < 0 ? -errno : listen_again(acceptor);
    if (r < 0) {
        if (acceptor->spare_fd >= 0)
            (void)close(acceptor->spare_fd);
        free(acceptor);
        return r;
    }
    *ret_acceptor = acceptor;
    return 0;
}

void acceptor_free(struct acceptor *acceptor)
{
    if (!acceptor)
        return;
    if (timer_is_armed(&acceptor->pause))
        loop_cancel(acceptor->loop, &acceptor->pause);
    else
        loop_remove(acceptor->loop, &acceptor->source);
    if (acceptor->spare_fd >= 0)
        (void)close(acceptor->spare_fd);
    free(acceptor);
}

void acceptor_on_shortage(struct acceptor *acceptor, accept_shortage_fn fn)
{
    acceptor->on_shortage = fn;
}

void acceptor_prefer(struct acceptor *acceptor)
{
    acceptor->reserve_part = RESERVE_PART_PREFERRED;
}
