/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one source that is level-triggered: a backlog longer than one turn takes is reported again by itself, and nothing
 * is missed across a pause. EPOLLEXCLUSIVE keeps a connection to a shared (Unix) socket from waking all workers.
 *
 * Out of descriptors, a level-triggered socket would spin, so it is taken off the loop for the pause.
 */
#include "io/acceptor.h"

#include "io/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCEPTS_PER_TURN = 64 };
static const nsec_t pause_ns = 50 * NSEC_PER_MSEC;

struct acceptor {
    struct loop_source source;
    struct loop *loop;
    struct timer pause; /* armed: off the loop */
    accept_fn on_accept;
    accept_need_fn on_need;         /* NULL: nobody has any to spare */
    accept_shortage_fn on_shortage; /* NULL: nobody wants to know */
    void *ctx;
    enum descriptor_use use;
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

/* The same with the number that was given up for it: it leaves none of the reserve in use. */
static int lowered(int fd)
{
    int lower = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (lower < 0)
        return fd;
    (void)close(fd);
    return lower;
}

/* False: there is no other, or not now. */
static bool take_one(struct acceptor *acceptor)
{
    struct addr addr = {.len = sizeof(addr) - offsetof(struct addr, any)};
    int fd = accept4(acceptor->source.fd, &addr.any, &addr.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int error = fd < 0 ? errno : descriptor_may_be(fd, acceptor->use) ? 0 : EMFILE;
    bool is_short = error == EMFILE || error == ENFILE;
    if (is_short && acceptor->on_need && acceptor->on_need(acceptor->ctx)) {
        if (fd < 0)
            return true;
        fd = lowered(fd);
        error = 0;
    }
    struct peer peer;
    switch (error) {
    case 0:
        peer_from_addr(&addr, &peer);
        acceptor->on_accept(acceptor->ctx, fd, &peer);
        return true;
    case EMFILE:
    case ENFILE:
        if (fd >= 0)
            (void)close(fd);
        on_no_descriptor(acceptor, -error, fd >= 0);
        return false;
    case ENOBUFS:
    case ENOMEM:
        pause_accepting(acceptor);
        return false;
    default: /* that one connection broke before it was taken */
        return error != EAGAIN;
    }
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    (void)events;
    struct acceptor *acceptor = container_of(source, struct acceptor, source);
    for (int i = 0; i < ACCEPTS_PER_TURN && take_one(acceptor); i++)
        continue;
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
        .use = DESCRIPTOR_OF_CLIENT,
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

void acceptor_on_need(struct acceptor *acceptor, accept_need_fn fn)
{
    acceptor->on_need = fn;
}

void acceptor_prefer(struct acceptor *acceptor)
{
    acceptor->use = DESCRIPTOR_OF_SERVICE;
}
