/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream on a kernel socket, in 64 bytes; only one that is connecting has something more, its deadline.
 *
 * Edge-triggered, with no look more than needed:
 *  - A short read clears STREAM_READABLE: what arrives later is a new edge. An end or a failure that came with the
 * bytes has its own bit (RDHUP, ERR), which keeps STREAM_READABLE set.
 *  - A short write clears STREAM_WRITABLE: the kernel has noted that we want space, and tells by an edge.
 *
 * The socket's error is fetched (and by that cleared) once, when epoll reports it, and is then remembered in the
 * stream; bytes that arrived before it are still in the kernel's queue, and once they are read the error is what recv
 * gives.
 */
#include "io/tcp.h"

#include "base/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct attempt;

struct tcp_stream {
    struct stream stream;
    struct loop_source source;
    struct attempt *attempt; /* while connecting */
};
_Static_assert(sizeof(struct tcp_stream) <= LOOP_STREAM_BYTES, "an idle connection is small");

struct attempt {
    struct timer deadline;
    struct tcp_stream *tcp;
};

static struct tcp_stream *tcp_of(struct stream *stream)
{
    return container_of(stream, struct tcp_stream, stream);
}

static void attempt_end(struct tcp_stream *tcp)
{
    if (!tcp->attempt)
        return;
    loop_cancel(tcp->stream.loop, &tcp->attempt->deadline);
    free(TAKE(tcp->attempt));
}

/*
 * The system calls themselves: in a process of several threads the C library's are points at which a thread could be
 * cancelled, which none of ours ever is, and keep books about that with two locked instructions each.
 */
static ssize_t sys_recv(int fd, void *bytes, size_t len)
{
    return syscall(SYS_recvfrom, fd, bytes, len, 0, NULL, NULL);
}

static ssize_t sys_send(int fd, const void *bytes, size_t len)
{
    return syscall(SYS_sendto, fd, bytes, len, MSG_NOSIGNAL, NULL, 0);
}

static ssize_t tcp_recv(struct stream *stream, void *ret_bytes, size_t len)
{
    ASSERT(len > 0);
    if (!(stream->bits & STREAM_OPEN))
        return stream->bits & STREAM_FAILED ? stream->error : -EAGAIN;

    ssize_t n = sys_recv(tcp_of(stream)->source.fd, ret_bytes, len);
    if (n > 0) {
        if ((size_t)n < len && !(stream->bits & (STREAM_PEER_DONE | STREAM_FAILED)))
            stream->bits &= (unsigned short)~STREAM_READABLE;
        return n;
    }
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (n == 0) {
        stream->bits |= STREAM_PEER_DONE | STREAM_READABLE;
        return 0;
    }
    if (errno != EAGAIN)
        return stream_broke(stream, -errno);
    stream->bits &= (unsigned short)~STREAM_READABLE;
    return -EAGAIN;
}

static ssize_t tcp_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;

    size_t len = 0;
    for (int i = 0; i < n_iov; i++)
        len += iov[i].iov_len;
    const int fd = tcp_of(stream)->source.fd;
    ssize_t n;
    if (n_iov == 1) { /* the usual case, and the cheaper call */
        n = sys_send(fd, iov->iov_base, len);
    } else {
        struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n_iov};
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    if (n < 0 && errno != EAGAIN)
        return stream_broke(stream, -errno);
    if (n < (ssize_t)len)
        stream->bits &= (unsigned short)~STREAM_WRITABLE;
    return n < 0 ? -EAGAIN : n;
}

static int tcp_shutdown(struct stream *stream)
{
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    return shutdown(tcp_of(stream)->source.fd, SHUT_WR) < 0 ? stream_broke(stream, -errno) : 0;
}

static void tcp_close(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    attempt_end(tcp);
    loop_remove(stream->loop, &tcp->source);
    (void)close(tcp->source.fd);
    slab_free(loop_stream_slab(stream->loop), tcp);
}

static const struct stream_ops tcp_ops = {
    .name = "tcp",
    .recv = tcp_recv,
    .sendv = tcp_sendv,
    .shutdown = tcp_shutdown,
    .close = tcp_close,
};

int tcp_descriptor(const struct stream *stream)
{
    bool is_plain = stream->ops == &tcp_ops && stream->bits & STREAM_OPEN;
    return is_plain ? container_of((uintptr_t)stream, struct tcp_stream, stream)->source.fd : -1;
}

/* Not a short read but EAGAIN says that there is no more: how much fits into a pipe depends on how the bytes lie. */
ssize_t tcp_splice_in(struct stream *from, int pipe_fd, size_t len)
{
    ssize_t n = splice(tcp_descriptor(from), NULL, pipe_fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n > 0)
        return n;
    if (from->bits & STREAM_FAILED)
        return from->error;
    if (n == 0) {
        from->bits |= STREAM_PEER_DONE | STREAM_READABLE;
        return 0;
    }
    if (errno != EAGAIN)
        return stream_broke(from, -errno);
    from->bits &= (unsigned short)~STREAM_READABLE;
    return -EAGAIN;
}

ssize_t tcp_splice_out(struct stream *to, int pipe_fd, size_t len)
{
    if (to->bits & STREAM_FAILED)
        return to->error;
    ssize_t n = splice(pipe_fd, NULL, tcp_descriptor(to), NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n >= 0)
        return n;
    if (errno != EAGAIN)
        return stream_broke(to, -errno);
    to->bits &= (unsigned short)~STREAM_WRITABLE;
    return -EAGAIN;
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

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct tcp_stream *tcp = container_of(source, struct tcp_stream, source);
    struct stream *stream = &tcp->stream;
    if (stream->bits & STREAM_FAILED)
        return;

    if (events & EPOLLERR || tcp->attempt) {
        int error = 0;
        int r = getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof(error)});
        ASSERT(r == 0);
        if (error != 0) {
            attempt_end(tcp);
            stream_fail(stream, -error);
            return;
        }
    }
    unsigned bits = bits_of(events);
    if (tcp->attempt) {
        if (!(events & EPOLLOUT))
            return;
        attempt_end(tcp);
        bits |= STREAM_OPEN;
    }
    stream_raise(stream, bits);
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
