/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream on a kernel socket, for the files that it is made of: tcp.c has its life and its events, tcp_receive.c and
 * tcp_send.c what goes in and out. 64 bytes; only one that is connecting, or has something to keep, has more.
 */
#pragma once

#include "base/util.h"
#include "io/rest.h"
#include "io/tcp.h"

struct attempt;

/* Made when it is needed first. */
struct kept {
    struct rest *in;  /* received ahead, and not read by the owner then: in front of all that is received */
    struct rest *out; /* what the system did not take of the outbox: in front of all that is sent */
};

struct tcp_stream {
    struct stream stream;
    struct loop_source source;
    union {
        struct attempt *attempt; /* until STREAM_OPEN: while connecting */
        struct kept *kept;       /* from then on; NULL: nothing was ever kept */
    };
};
_Static_assert(sizeof(struct tcp_stream) <= LOOP_STREAM_BYTES, "an idle connection is small");

static inline struct tcp_stream *tcp_of(struct stream *stream)
{
    return container_of(stream, struct tcp_stream, stream);
}

static inline struct kept *tcp_kept(const struct tcp_stream *tcp)
{
    return tcp->stream.bits & STREAM_OPEN ? tcp->kept : NULL;
}

static inline bool tcp_has_rest_out(const struct tcp_stream *tcp)
{
    const struct kept *kept = tcp_kept(tcp);
    return kept && kept->out;
}

/* Makes it, if there is none. 0 or -ENOMEM. */
int tcp_make_kept(struct tcp_stream *tcp);

/* -- tcp_receive.c -- */

ssize_t tcp_recv(struct stream *stream, void *ret_bytes, size_t len);

/* The turn of a letter is over, and the owner has not read it, or not all of it. The stream may be gone afterwards. */
void tcp_keep_letter(struct tcp_stream *tcp, struct inbox_letter *letter);

/* NULL: nothing was received ahead in this turn, or all of it is read. */
static inline struct inbox_letter *tcp_letter(const struct tcp_stream *tcp)
{
    return tcp->source.letter ? inbox_letter(loop_inbox(tcp->stream.loop), tcp->source.letter) : NULL;
}

static inline void tcp_close_letter(struct tcp_stream *tcp, struct inbox_letter *letter)
{
    letter->is_there = false;
    tcp->source.letter = 0;
}

/* -- tcp_send.c -- */

ssize_t tcp_sendv(struct stream *stream, const struct iovec *iov, int n_iov);
ssize_t tcp_postv(struct stream *stream, const struct iovec *iov, int n_iov);
int tcp_shutdown(struct stream *stream);

/*
 * What waits in the outbox is sent, before anything else is done to the sending side; of what the system does not take
 * a rest is kept. 0: more may be sent. -EAGAIN: something of it waits still, or it is not open yet. Another -errno.
 */
int tcp_send_letters(struct tcp_stream *tcp);

/* The rest, when the system has room again. 0: all of it has left. -EAGAIN or another -errno. */
int tcp_send_rest(struct tcp_stream *tcp);
