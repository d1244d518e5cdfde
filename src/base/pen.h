/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes short pieces into room that was measured for all of them before, so that a piece costs a comparison and its
 * bytes: for heads of messages, which have dozens. That the room suffices is its user's promise, and asserted.
 *
 *     int r = pen_begin(&pen, buf, n_bytes_max);
 *     pen_put(&pen, …) …
 *     pen_end(&pen, buf);
 */
#pragma once

#include "base/buf.h"

struct pen {
    char *at, *end;
};

/* Behind what is in the buf, which must be left alone until pen_end. 0, -ENOMEM, -EMSGSIZE. */
static inline int pen_begin(struct pen *pen, struct buf *buf, size_t n_bytes_max)
{
    int r = buf_reserve(buf, n_bytes_max, &pen->at);
    if (r == 0)
        pen->end = pen->at + n_bytes_max;
    return r;
}

static inline void pen_put(struct pen *pen, struct slice bytes)
{
    ASSERT(bytes.len <= (size_t)(pen->end - pen->at));
    if (bytes.len > 0)
        pen->at = mempcpy(pen->at, bytes.ptr, bytes.len);
}

static inline void pen_put_u64(struct pen *pen, uint64_t value)
{
    char room[SLICE_U64_MAX];
    pen_put(pen, slice_of_u64(value, room));
}

static inline void pen_end(struct pen *pen, struct buf *buf)
{
    buf_commit(buf, (size_t)(pen->at - (buf->ptr + buf->len)));
}
