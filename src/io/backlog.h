/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory in which the connections of one loop keep what a peer does not take: bytes that wait to be sent, and bytes
 * that were read for somebody who cannot have them yet. Each connection has marks of its own, which are generous; all
 * together have one bound. Beyond it there is pressure: each may keep but a little, and little is read at once, so that
 * who is slow waits in the system's buffers, and in the end at the other side. Nobody is refused for it, but for the
 * case below, and whoever takes what is sent goes on as before.
 *
 * So the whole stays below the bound, one read, and two times BACKLOG_LITTLE_BYTES per connection, of clients and of
 * instances. A connection that carries more than one way at a time must be read all the same, since what it says next
 * may be what lets the rest go: it is promised little instead (http/h2_session.h), and what it was promised before is
 * taken until twice the bound is kept. From then on, too, it loses answers that it leaves waiting beside others. Memory
 * is counted, not bytes: of a piece of which all but one byte was sent, all is there still.
 */
#pragma once

#include "base/counter.h"
#include "base/util.h"

#include <stdbool.h>
#include <stddef.h>

/* The loop's thread writes, any may read. */
struct backlog {
    _Atomic uint64_t n_bytes;
    _Atomic uint64_t n_bytes_max; /* SIZE_MAX until somebody sets it */
};

/* What a connection may keep under pressure, and what is read of one at once. */
#define BACKLOG_LITTLE_BYTES ((size_t)16 * 1024)

static inline uint64_t backlog_bytes(const struct backlog *backlog)
{
    return atomic_load_explicit(&backlog->n_bytes, memory_order_relaxed);
}

static inline uint64_t backlog_bytes_max(const struct backlog *backlog)
{
    return atomic_load_explicit(&backlog->n_bytes_max, memory_order_relaxed);
}

static inline bool backlog_is_pressed(const struct backlog *backlog)
{
    return backlog_bytes(backlog) > backlog_bytes_max(backlog);
}

/* Nothing is taken any more that can be left where it is. */
static inline bool backlog_is_full(const struct backlog *backlog)
{
    return backlog_bytes(backlog) / 2 > backlog_bytes_max(backlog);
}

/* A connection's own mark, or size of a read, as it is to be now. */
static inline size_t backlog_mark(const struct backlog *backlog, size_t bytes)
{
    return backlog_is_pressed(backlog) ? min_size(bytes, BACKLOG_LITTLE_BYTES) : bytes;
}

/* A buffer that is counted had `before` bytes of memory and has `now`. */
static inline void backlog_note(struct backlog *backlog, size_t before, size_t now)
{
    counter_add(&backlog->n_bytes, now - before);
}
