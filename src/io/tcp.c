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

/* What the system did not take of the outbox: little, and in front of all that is sent afterwards. */
struct rest {
    size_t begin, end;
    char bytes[];
};

struct tcp_stream {
    struct stream stream;
    struct loop_source source;
    union {
        struct attempt *attempt; /* until STREAM_OPEN: while connecting */
        struct rest *rest;       /* from then on; NULL: nothing waits */
    };
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

static struct attempt *attempt_of(const struct tcp_stream *tcp)
{
    return tcp->stream.bits & STREAM_OPEN ? NULL : tcp->attempt;
}

static struct rest *rest_of(const struct tcp_stream *tcp)
{
    return tcp->stream.bits & STREAM_OPEN ? tcp->rest : NULL;
}

static void attempt_end(struct tcp_stream *tcp)
{
    if (!attempt_of(tcp))
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

/* -- what waited in the outbox -- */

static void drop_rest(struct tcp_stream *tcp)
{
    struct rest *rest = rest_of(tcp);
    if (!rest)
        return;
    backlog_note(loop_backlog(tcp->stream.loop), sizeof(*rest) + rest->end, 0);
    free(TAKE(tcp->rest));
}

/* 0: all of it has left. -EAGAIN or another -errno. */
static int send_rest(struct tcp_stream *tcp)
{
    struct rest *rest = tcp->rest;
    ssize_t n = sys_send(tcp->source.fd, rest->bytes + rest->begin, rest->end - rest->begin);
    if (n < 0)
        return -errno;
    rest->begin += (size_t)n;
    if (rest->begin < rest->end)
        return -EAGAIN;
    drop_rest(tcp);
    return 0;
}

/* Behind the rest that there is. 0 or -ENOMEM. */
static int keep_rest(struct tcp_stream *tcp, struct slice bytes)
{
    struct rest *old = tcp->rest;
    size_t n_old = old ? old->end - old->begin : 0;
    struct rest *rest = malloc(sizeof(*rest) + n_old + bytes.len);
    if (!rest)
        return -ENOMEM;
    *rest = (struct rest){.end = n_old + bytes.len};
    if (n_old > 0)
        memcpy(rest->bytes, old->bytes + old->begin, n_old);
    memcpy(rest->bytes + n_old, bytes.ptr, bytes.len);
    drop_rest(tcp);
    tcp->rest = rest;
    tcp->stream.bits &= (unsigned short)~STREAM_WRITABLE;
    backlog_note(loop_backlog(tcp->stream.loop), 0, sizeof(*rest) + rest->end);
    return 0;
}

/* A letter that is out of the outbox. 0: it was sent, or kept. */
static int send_letter(struct tcp_stream *tcp, struct slice bytes)
{
    tcp->stream.n_letters--;
    if (tcp->stream.bits & STREAM_FAILED)
        return tcp->stream.error;
    ssize_t n = tcp->rest ? 0 : sys_send(tcp->source.fd, bytes.ptr, bytes.len);
    if (n < 0 && errno != EAGAIN)
        return -errno;
    bytes = slice_skip(bytes, n > 0 ? (size_t)n : 0);
    return bytes.len == 0 ? 0 : keep_rest(tcp, bytes);
}

/* At the end of the turn: no call of the owner runs. */
static void on_sent_late(void *sender, struct slice bytes)
{
    struct tcp_stream *tcp = sender;
    int r = send_letter(tcp, bytes);
    if (r < 0)
        stream_fail(&tcp->stream, r);
}

/* Before anything else is done to the sending side. 0; -EAGAIN: something of it waits still; another -errno. */
static int send_letters(struct tcp_stream *tcp)
{
    struct slice bytes;
    while (tcp->stream.n_letters > 0) {
        bool is_there = outbox_take(loop_outbox(tcp->stream.loop), tcp, &bytes);
        ASSERT(is_there);
        int r = send_letter(tcp, bytes);
        if (r < 0 && !(tcp->stream.bits & STREAM_FAILED))
            (void)stream_broke(&tcp->stream, r);
    }
    if (tcp->stream.bits & STREAM_FAILED)
        return tcp->stream.error;
    return rest_of(tcp) ? -EAGAIN : 0;
}

/* -- */

static ssize_t tcp_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    int r = send_letters(tcp_of(stream));
    if (r < 0)
        return r;

    const size_t len = iov_size(iov, n_iov);
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

static ssize_t tcp_postv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    const unsigned sound = STREAM_OPEN | STREAM_WRITABLE;
    struct outbox *box = loop_outbox(stream->loop);
    size_t len = iov_size(iov, n_iov);
    if (!box || (stream->bits & (sound | STREAM_FAILED)) != sound ||
        !outbox_put(box, tcp_of(stream), on_sent_late, iov, n_iov, len))
        return tcp_sendv(stream, iov, n_iov);
    stream->n_letters++;
    return (ssize_t)len;
}

static int tcp_shutdown(struct stream *stream)
{
    if (stream->bits & STREAM_FAILED)
        return stream->error;
    if (!(stream->bits & STREAM_OPEN))
        return -EAGAIN;
    int r = send_letters(tcp_of(stream));
    if (r < 0)
        return r;
    return shutdown(tcp_of(stream)->source.fd, SHUT_WR) < 0 ? stream_broke(stream, -errno) : 0;
}

static void tcp_close(struct stream *stream)
{
    struct tcp_stream *tcp = tcp_of(stream);
    attempt_end(tcp);
    (void)send_letters(tcp);
    drop_rest(tcp);
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
    int r = send_letters(tcp_of(to));
    if (r < 0)
        return r;
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

    if (events & EPOLLERR || attempt_of(tcp)) {
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
    if (attempt_of(tcp)) {
        if (!(events & EPOLLOUT))
            return;
        attempt_end(tcp);
        bits |= STREAM_OPEN;
    }
    if (rest_of(tcp) && bits & STREAM_WRITABLE) {
        int r = send_rest(tcp);
        if (r < 0 && r != -EAGAIN) {
            stream_fail(stream, r);
            return;
        }
        bits &= r < 0 ? ~(unsigned)STREAM_WRITABLE : ~0U;
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
