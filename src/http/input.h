/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input of an HTTP/1 state machine during one tick. It lives in the loop's shared read buffer; what cannot be used
 * yet (part of a head, bytes behind the message that is due, a paused body) is held in a buf between ticks and copied
 * back in front of what is read next. So a connection without such a rest owns no buffer, and all that is to be parsed
 * lies in one piece.
 */
#pragma once

#include "base/buf.h"
#include "io/stream.h"

/* Read beyond what is surely wanted, at most: so much may have to be held, and less under pressure (io/backlog.h). */
#define INPUT_AHEAD_BYTES ((size_t)32 * 1024)

struct input {
    struct slice bytes; /* unread; inside the read buffer */
    size_t n_searched;  /* of bytes: the end of a head was not found in them */
    struct stream *stream;
    int reads_left;
};

/*
 * early: bytes that were read into the read buffer before; else what is held, which may be NULL. searched: what is held
 * was so in vain.
 */
void input_begin(struct input *in, struct stream *stream, struct slice early, struct buf *held, bool searched);

static inline void input_consume(struct input *in, size_t n)
{
    in->bytes = slice_skip(in->bytes, n);
    in->n_searched = 0;
}

/*
 * Reads behind the bytes that are there: `wanted` and INPUT_AHEAD_BYTES more, as far as there is room. Outcomes, or the
 * stream's -errno.
 */
enum input_outcome {
    INPUT_MORE,  /* there are more bytes now */
    INPUT_NONE,  /* an event will tell */
    INPUT_LATER, /* there is more, but it is the turn of other connections: tick again in the next turn */
    INPUT_END,   /* the peer has ended */
};
int input_fill(struct input *in, uint64_t wanted);

/* Holds what is unread in *held, which is made or freed as needed, and counts in the loop's backlog. 0 or -ENOMEM. */
int input_hold(const struct input *in, struct buf **held);
void input_free_held(struct loop *loop, struct buf **held);
