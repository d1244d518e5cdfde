/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See input.h.
 */
#include "http/input.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* Per tick. */
enum { READS_MAX = 4 };

void input_begin(struct input *in, struct stream *stream, struct slice early, struct buf *held, bool searched)
{
    *in = (struct input){.bytes = early, .stream = stream, .reads_left = READS_MAX};
    if (!held)
        return;
    ASSERT(early.len == 0 && held->len <= LOOP_READ_BUFFER_BYTES);
    in->bytes = slice_from(memcpy(loop_read_buffer(stream->loop), held->ptr, held->len), held->len);
    in->n_searched = searched ? held->len : 0;
    buf_reset(held);
}

int input_fill(struct input *in, uint64_t wanted)
{
    if (!(in->stream->bits & STREAM_READABLE))
        return INPUT_NONE;
    if (in->reads_left == 0)
        return INPUT_LATER;
    in->reads_left--;

    char *room = loop_read_buffer(in->stream->loop);
    if (in->bytes.len > 0 && in->bytes.ptr != room)
        memmove(room, in->bytes.ptr, in->bytes.len);
    in->bytes.ptr = room;
    size_t n_room = LOOP_READ_BUFFER_BYTES - in->bytes.len;
    ASSERT(n_room > INPUT_AHEAD_BYTES);
    if (wanted < n_room - INPUT_AHEAD_BYTES)
        n_room = (size_t)wanted + INPUT_AHEAD_BYTES;
    n_room = backlog_mark(loop_backlog(in->stream->loop), n_room);

    ssize_t n = stream_recv(in->stream, room + in->bytes.len, n_room);
    if (n < 0)
        return n == -EAGAIN ? INPUT_NONE : (int)n;
    in->bytes.len += (size_t)n;
    return n > 0 ? INPUT_MORE : INPUT_END;
}

int input_hold(const struct input *in, struct buf **held)
{
    struct loop *loop = in->stream->loop;
    if (in->bytes.len == 0) {
        input_free_held(loop, held);
        return 0;
    }
    if (!*held)
        *held = calloc(1, sizeof(**held));
    if (!*held)
        return -ENOMEM;
    size_t cap = (*held)->cap;
    int r = buf_append(*held, in->bytes);
    backlog_note(loop_backlog(loop), cap, (*held)->cap);
    return r;
}

void input_free_held(struct loop *loop, struct buf **held)
{
    if (!*held)
        return;
    backlog_note(loop_backlog(loop), (*held)->cap, 0);
    buf_deinit(*held);
    free(TAKE(*held));
}
