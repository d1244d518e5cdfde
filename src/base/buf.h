/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growing run of bytes with a limit. Owns its memory; zero-initialised is empty and owns nothing, so an idle object
 * with a buf costs no heap.
 *
 * Appending past the limit fails with -EMSGSIZE, out of memory with -ENOMEM; in both cases the bytes already there are
 * unchanged, and the error is sticky (`buf_error`), so that a writer may append many times and check once.
 */
#pragma once

#include "base/assert.h"
#include "base/slice.h"
#include "base/util.h"

struct buf {
    char *ptr;
    size_t len, cap;
    size_t limit; /* 0: none */
    int error;    /* first failure since the last reset */
};

/* Frees the memory and leaves an empty buf with the same limit. */
void buf_deinit(struct buf *buf);

/* Forgets the bytes and the error, keeps the memory. */
void buf_reset(struct buf *buf);

static inline struct slice buf_slice(const struct buf *buf)
{
    return (struct slice){buf->ptr, buf->len};
}

static inline int buf_error(const struct buf *buf)
{
    return buf->error;
}

/* The part of buf_reserve that allocates. */
int buf_reserve_more(struct buf *buf, size_t n, char **ret_room);

/* Room for n more bytes at ret_room; they count after buf_commit. 0, -ENOMEM, -EMSGSIZE. */
static inline int buf_reserve(struct buf *buf, size_t n, char **ret_room)
{
    if (buf->error || !buf->ptr || n > buf->cap - buf->len)
        return buf_reserve_more(buf, n, ret_room);
    *ret_room = buf->ptr + buf->len;
    return 0;
}

static inline void buf_commit(struct buf *buf, size_t n)
{
    ASSERT(n <= buf->cap - buf->len);
    buf->len += n;
}

int buf_append(struct buf *buf, struct slice bytes);
int buf_append_str(struct buf *buf, const char *str);
int buf_append_char(struct buf *buf, char c);
int buf_append_u64(struct buf *buf, uint64_t value);
int buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Drops the first n bytes (moves the rest to the front). */
void buf_consume(struct buf *buf, size_t n);
