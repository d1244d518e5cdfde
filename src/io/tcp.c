/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life and the events of a stream on a kernel socket. What goes in and out: tcp_receive.c, tcp_send.c.
 *
 * Edge-triggered, with no look more than needed:
 *  - A short read clears STREAM_READABLE: what arrives later is a new edge. An end or a failure that came with the
 *    bytes has its own bit (RDHUP, ERR), which keeps STREAM_READABLE set.
 *  - A short write clears STREAM_WRITABLE: the kernel has noted that we want space, and tells by an edge.
 *
 * The socket's error is fetched (and by that cleared) once, when epoll reports it, and is then remembered in the
 * stream; bytes that arrived before it are still in the kernel's queue, and once they are read the error is what recv
 * gives.
 */
#include "io/tcp_priv.h"

#include "base/assert.h"
#include "io/descriptors.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

struct attempt {
    struct timer deadline;
    struct tcp_stream *tcp;
};

static struct attempt *attempt_of(const struct tcp_stream *tcp)
{
    return tcp->stream.bits & STREAM_OPEN ? NULL : tcp->attempt;
}

int tcp_make_kept(struct tcp_stream *tcp)
{
    if (!tcp->kept)
        tcp->kept = calloc(1, sizeof(*tcp->kept));
    return tcp->kept ? 0 : -ENOMEM;
}

static void kept_free(struct tcp_stream *tcp)
{
    struct kept *kept = tcp_kept(tcp);
    if (!kept)
        return;
    rest_drop(&kept->in, loop_backlog(tcp->stream.loop));
    rest_drop(&kept->out, loop_backlog(tcp->stream.loop));
    free(TAKE(tcp->kept));
}

static void attempt_end(struct tcp_stream *tcp)
{
    if (!attempt_of(tcp))
        return;
    loop_cancel(tcp->stream.loop, &tcp->attempt->deadline);
    free(TAKE(tcp->attempt));
}

static void tcp_close(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    attempt_end(tcp);
    (void)tcp_send_letters(tcp);
    kept_free(tcp);
    loop_remove(stream->loop, &tcp->source);
    (void)close(tcp->source.fd);
    slab_free(loop_stream_slab(stream->loop), tcp);
}

static const struct stream_ops tcp_ops = {
    .name = "tcp",
    .recv = tcp_recv,
    .sendv = tcp_sendv,
    .postv = tcp_postv,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
};

int tcp_descriptor(const struct stream *stream)
{
    bool is_plain = stream->ops == &tcp_ops && stream->bits & STREAM_OPEN;
    return is_plain ? container_of((uintptr_t)stream, struct tcp_stream, stream)->source.fd : -1;
}

static unsigned bits_of(uint32_t events)
{
    unsigned bits = 0;
    if (events & EPOLLIN)
        bits |= STREAM_READABLE;
    if (events & EPOLLOUT)
        bits |= STREAM_WRITABLE;
    if (events & EPOLLRDHUP)
        bits |= STREAM_READABLE | STREAM_PEER_DONE;
    if (events & EPOLLHUP)
        bits |= STREAM_READABLE | STREAM_PEER_DONE | STREAM_WRITABLE;
    return bits;
}

/* May free the stream. */
static void take_events(struct tcp_stream *tcp, uint32_t events)
{
    struct stream *stream = &tcp->stream;
    if (events & EPOLLERR || attempt_of(tcp)) {
        int error = 0;
        int r = getsockopt(tcp->source.fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
        ASSERT(r == 0);
        if (error != 0) {
            attempt_end(tcp);
            stream_fail(stream, -error);
            return;
        }
    }
    unsigned bits = bits_of(events);
    if (attempt_of(tcp)) {
        if (!(events & EPOLLOUT))
            return;
        attempt_end(tcp);
        bits |= STREAM_OPEN;
    }
    if (bits & STREAM_WRITABLE && tcp_has_rest_out(tcp)) {
        int r = tcp_send_rest(tcp);
        if (r < 0 && r != -EAGAIN) {
            stream_fail(stream, r);
            return;
        }
        bits &= r < 0 ? ~(unsigned)STREAM_WRITABLE : ~0U;
    }
    if (bits & STREAM_READABLE)
        tcp->source.reads_ahead = false;
    stream_raise(stream, bits);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct tcp_stream *tcp = container_of(source, struct tcp_stream, source);
    struct stream *stream = &tcp->stream;
    struct inbox_letter *letter = tcp_letter(tcp);
    if (letter && letter->error < 0) {
        tcp_close_letter(tcp, letter);
        stream_fail(stream, letter->error);
        return;
    }
    if (!(stream->bits & STREAM_FAILED))
        take_events(tcp, events);
    if (letter && letter->is_there) /* so the stream is, too */
        tcp_keep_letter(tcp, letter);
}

static void on_deadline(struct timer *timer)
{
    struct tcp_stream *tcp = container_of(timer, struct attempt, deadline)->tcp;
    attempt_end(tcp);
    stream_fail(&tcp->stream, -ETIMEDOUT);
}

/* A stream on the descriptor, which it takes over, on failure too. */
static int tcp_new(struct loop *loop, int fd, stream_event_fn on_event, void *owner, struct tcp_stream **ret_tcp)
{
    struct tcp_stream *tcp = slab_alloc(loop_stream_slab(loop));
    int r = -ENOMEM;
    if (tcp) {
        *tcp = (struct tcp_stream){
            .stream = {.ops = &tcp_ops, .loop = loop, .on_event = on_event, .owner = owner},
            .source = {.fd = fd, .on_ready = on_ready},
        };
        r = loop_add(loop, &tcp->source, LOOP_STREAM_EVENTS);
    }
    if (r < 0) {
        slab_free(loop_stream_slab(loop), tcp);
        (void)close(fd);
        return r;
    }
    *ret_tcp = tcp;
    return 0;
}

int tcp_adopt(struct loop *loop, int fd, stream_event_fn on_event, void *owner, struct stream **ret_stream)
{
    struct tcp_stream *tcp;
    int r = tcp_new(loop, fd, on_event, owner, &tcp);
    if (r < 0)
        return r;
    tcp->stream.bits = STREAM_OPEN | STREAM_WRITABLE;
    *ret_stream = &tcp->stream;
    return 0;
}

/* A socket that is connecting, or perhaps connected already: its descriptor, or -errno. */
static int begin_connect(const struct addr *addr)
{
    int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (!descriptor_may_be(fd, DESCRIPTOR_OF_SERVICE)) {
        (void)close(fd);
        return -EMFILE;
    }
    if (addr->any.sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, &addr->any, addr->len) < 0 && errno != EINPROGRESS) {
        /* A Unix socket whose queue is full does not wait, it says EAGAIN: busy, which is as good as refused. */
        int r = errno == EAGAIN ? -ECONNREFUSED : -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

int tcp_connect(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event, void *owner,
                struct stream **ret_stream)
{
    struct attempt *attempt = malloc(sizeof(*attempt));
    if (!attempt)
        return -ENOMEM;
    struct tcp_stream *tcp;
    int r = begin_connect(addr);
    if (r >= 0)
        r = tcp_new(loop, r, on_event, owner, &tcp);
    if (r < 0) {
        free(attempt);
        return r;
    }
    attempt->tcp = tcp;
    timer_init(&attempt->deadline, on_deadline);
    loop_arm(loop, &attempt->deadline, deadline_ns);
    tcp->attempt = attempt;
    *ret_stream = &tcp->stream;
    return 0;
}
