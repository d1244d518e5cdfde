/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes. The memory doubles, so that n appended bytes are copied at most about 2n times.
 *
 * Invariants:
 * 1. len <= cap, and with a limit cap <= limit.
 * 2. ptr is NULL exactly when cap is 0; otherwise cap + 1 bytes are allocated. The spare byte takes the NUL that
 *    vsnprintf insists on, which would otherwise keep buf_printf from filling a buf up to its limit.
 * 3. Once error is set nothing is appended until buf_reset: a text never has a hole in its middle.
 */
#include "base/buf.h"

#include "base/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAP_FIRST 128

void buf_deinit(struct buf *buf)
{
    free(buf->ptr);
    *buf = (struct buf){.limit = buf->limit};
}

void buf_reset(struct buf *buf)
{
    buf->len = 0;
    buf->error = 0;
}

static int fail(struct buf *buf, int error)
{
    buf->error = error;
    return error;
}

/* Makes cap at least len + n. */
static int grow(struct buf *buf, size_t n)
{
    size_t want;
    if (__builtin_add_overflow(buf->len, n, &want) || (buf->limit && want > buf->limit))
        return fail(buf, -EMSGSIZE);

    size_t doubled;
    if (__builtin_mul_overflow(buf->cap, 2, &doubled))
        doubled = 0;
    size_t cap = max_size(max_size(doubled, CAP_FIRST), want);
    if (buf->limit)
        cap = min_size(cap, buf->limit);
    char *ptr = cap < SIZE_MAX ? realloc(buf->ptr, cap + 1) : NULL;
    if (!ptr)
        return fail(buf, -ENOMEM);
    buf->ptr = ptr;
    buf->cap = cap;
    return 0;
}

int buf_reserve_more(struct buf *buf, size_t n, char **ret_room)
{
    ASSERT(buf->len <= buf->cap);
    if (buf->error)
        return buf->error;
    /* The first call allocates even for n = 0, so that the room is never NULL. */
    if (n > buf->cap - buf->len || !buf->ptr) {
        int r = grow(buf, n);
        if (r < 0)
            return r;
    }
    *ret_room = buf->ptr + buf->len;
    return 0;
}

int buf_append(struct buf *buf, struct slice bytes)
{
    if (bytes.len == 0)
        return buf->error;
    char *room;
    int r = buf_reserve(buf, bytes.len, &room);
    if (r < 0)
        return r;
    memcpy(room, bytes.ptr, bytes.len);
    buf_commit(buf, bytes.len);
    return 0;
}

int buf_append_str(struct buf *buf, const char *str)
{
    return buf_append(buf, slice_from_str(str));
}

int buf_append_char(struct buf *buf, char c)
{
    return buf_append(buf, slice_from(&c, 1));
}

int buf_append_u64(struct buf *buf, uint64_t value)
{
    char room[SLICE_U64_MAX];
    return buf_append(buf, slice_of_u64(value, room));
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
    if (buf->error)
        return buf->error;

    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return fail(buf, -EMSGSIZE); /* a text of more than INT_MAX bytes */

    char *room;
    int r = buf_reserve(buf, (size_t)n, &room);
    if (r < 0)
        return r;
    va_start(args, fmt);
    (void)vsnprintf(room, (size_t)n + 1, fmt, args);
    va_end(args);
    buf_commit(buf, (size_t)n);
    return 0;
}

void buf_consume(struct buf *buf, size_t n)
{
    ASSERT(n <= buf->len);
    buf->len -= n;
    if (n > 0 && buf->len > 0)
        memmove(buf->ptr, buf->ptr + n, buf->len);
}
