/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiving side of a stream on a socket: first what an owner left unread of what was received ahead, then what was
 * received ahead in this turn (inbox.h), then what the system has. Who leaves a letter unread finds it kept, so that
 * receiving ahead is nothing that an owner could notice; it is not done while STREAM_READABLE is set, so that of who
 * does not read no more than one letter is kept.
 */
#include "io/tcp_priv.h"

#include "base/assert.h"
#include "io/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Who has sent no more than that at once will be received from ahead: his next bytes fit into a letter, probably. */
enum { READ_AHEAD_BYTES = 4096 };

/* There is no more: what comes from now on is a new edge, unless it is an end or a failure, which stays. */
static void have_read_all(struct tcp_stream *tcp)
{
    if (!(tcp->stream.bits & (STREAM_PEER_DONE | STREAM_FAILED)))
        tcp->stream.bits &= (unsigned short)~STREAM_READABLE;
}

/* Something was, and is not all read. */
static bool is_ahead(const struct tcp_stream *tcp)
{
    return tcp->source.letter != 0 || (tcp->kept && tcp->kept->in);
}

/* Empty for an error that nobody was told of yet. */
static struct slice ahead_bytes(const struct tcp_stream *tcp)
{
    const struct inbox_letter *letter = tcp_letter(tcp);
    return letter ? letter->bytes : rest_bytes(tcp->kept->in);
}

static void ahead_skip(struct tcp_stream *tcp, size_t n)
{
    struct inbox_letter *letter = tcp_letter(tcp);
    if (!letter) {
        rest_skip(&tcp->kept->in, n, loop_backlog(tcp->stream.loop));
        return;
    }
    letter->bytes = slice_skip(letter->bytes, n);
    if (letter->bytes.len > 0)
        return;
    if (letter->is_all) {
        have_read_all(tcp);
        tcp->source.reads_ahead = true;
    }
    tcp_close_letter(tcp, letter);
}

static ssize_t recv_ahead(struct tcp_stream *tcp, void *ret_bytes, size_t len)
{
    struct slice bytes = ahead_bytes(tcp);
    size_t n = min_size(len, bytes.len);
    if (n == 0) {
        tcp->stream.bits &= (unsigned short)~STREAM_READABLE;
        return -EAGAIN;
    }
    memcpy(ret_bytes, bytes.ptr, n);
    ahead_skip(tcp, n);
    return (ssize_t)n;
}

void tcp_keep_letter(struct tcp_stream *tcp, struct inbox_letter *letter)
{
    ASSERT(!tcp->kept || !tcp->kept->in);
    int r = tcp_make_kept(tcp);
    if (r == 0)
        r = rest_add(&tcp->kept->in, letter->bytes, loop_backlog(tcp->stream.loop));
    tcp_close_letter(tcp, letter);
    tcp->source.reads_ahead = false; /* which a stream that had failed before still is */
    if (r < 0)
        stream_fail(&tcp->stream, r);
}

/* What the system gave instead of bytes, by `n` and errno: the end, a failure, or that there is no more. */
static ssize_t received_none(struct stream *stream, ssize_t n)
{
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

ssize_t tcp_recv(struct stream *stream, void *ret_bytes, size_t len)
{
    ASSERT(len > 0);
    if (!(stream->bits & STREAM_OPEN))
        return stream->bits & STREAM_FAILED ? stream->error : -EAGAIN;
    struct tcp_stream *tcp = tcp_of(stream);
    if (is_ahead(tcp))
        return recv_ahead(tcp, ret_bytes, len);

    ssize_t n = sys_recv(tcp->source.fd, ret_bytes, len);
    if (n > 0) {
        if ((size_t)n < len)
            have_read_all(tcp);
        tcp->source.reads_ahead = (size_t)n < len && n <= READ_AHEAD_BYTES;
        return n;
    }
    return received_none(stream, n);
}

/* What was received ahead, into the pipe. */
static ssize_t pipe_ahead(struct tcp_stream *tcp, int pipe_fd, size_t len)
{
    struct slice bytes = ahead_bytes(tcp);
    if (bytes.len == 0)
        return -EAGAIN;
    ssize_t n = write(pipe_fd, bytes.ptr, min_size(len, bytes.len));
    if (n < 0)
        return stream_broke(&tcp->stream, -errno);
    ahead_skip(tcp, (size_t)n);
    return n;
}

/* Not a short read but EAGAIN says that there is no more: how much fits into a pipe depends on how the bytes lie. */
ssize_t tcp_splice_in(struct stream *from, int pipe_fd, size_t len)
{
    if (is_ahead(tcp_of(from)))
        return pipe_ahead(tcp_of(from), pipe_fd, len);
    ssize_t n = splice(tcp_descriptor(from), NULL, pipe_fd, NULL, len, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    return n > 0 ? n : received_none(from, n);
}
