/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending side of a stream on a socket. What was posted in a busy turn waits in the outbox (outbox.h) and leaves at
 * its end, or before whatever is sent directly; what the system does not take then is kept, in front of the rest.
 */
#include "io/tcp_priv.h"

#include "base/assert.h"
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

int tcp_send_rest(struct tcp_stream *tcp)
{
    struct slice bytes = rest_bytes(tcp->kept->out);
    ssize_t n = sys_send(tcp->source.fd, bytes.ptr, bytes.len);
    if (n < 0)
        return -errno;
    rest_skip(&tcp->kept->out, (size_t)n, loop_backlog(tcp->stream.loop));
    return tcp->kept->out ? -EAGAIN : 0;
}

/* Behind the rest that there is. 0 or -ENOMEM. */
static int keep_rest(struct tcp_stream *tcp, struct slice bytes)
{
    int r = tcp_make_kept(tcp);
    if (r == 0)
        r = rest_add(&tcp->kept->out, bytes, loop_backlog(tcp->stream.loop));
    if (r == 0)
        tcp->stream.bits &= (unsigned short)~STREAM_WRITABLE;
    return r;
}

/* A letter that is out of the outbox. 0: it was sent, or kept. */
static int send_letter(struct tcp_stream *tcp, struct slice bytes)
{
    tcp->stream.n_letters--;
    if (tcp->stream.bits & STREAM_FAILED)
        return tcp->stream.error;
    ssize_t n = tcp_has_rest_out(tcp) ? 0 : sys_send(tcp->source.fd, bytes.ptr, bytes.len);
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

int tcp_send_letters(struct tcp_stream *tcp)
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
    return !(tcp->stream.bits & STREAM_OPEN) || tcp_has_rest_out(tcp) ? -EAGAIN : 0;
}

ssize_t tcp_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    int r = tcp_send_letters(tcp_of(stream));
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

ssize_t tcp_postv(struct stream *stream, const struct iovec *iov, int n_iov)
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

int tcp_shutdown(struct stream *stream)
{
    int r = tcp_send_letters(tcp_of(stream));
    if (r < 0)
        return r;
    return shutdown(tcp_of(stream)->source.fd, SHUT_WR) < 0 ? stream_broke(stream, -errno) : 0;
}

ssize_t tcp_splice_out(struct stream *to, int pipe_fd, size_t len)
{
    int r = tcp_send_letters(tcp_of(to));
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
