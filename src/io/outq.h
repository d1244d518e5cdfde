/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could not be sent yet: a bounded queue of bytes in front of one stream.
 *
 * Sending tries the system first; only the rest is copied and kept. An empty queue owns no memory. Above the high mark
 * its writer should stop (outq_is_full) and is told by the return of outq_flush when it fell below the low mark. The
 * hard limit (twice the high mark plus what one call may add) is the writer's to respect: the queue takes a whole message
 * or fails with -ENOMEM, it never takes half.
 */
#pragma once

#include "io/stream.h"

struct outq_chunk;

struct outq {
    struct outq_chunk *first, *last;
    size_t n_bytes;
};

/* How full is full; constant per kind of connection, so not stored per queue. */
struct outq_marks {
    size_t low_bytes, high_bytes;
};

void outq_init(struct outq *queue);
void outq_deinit(struct outq *queue);

static inline size_t outq_size(const struct outq *queue)
{
    return queue->n_bytes;
}

static inline bool outq_is_empty(const struct outq *queue)
{
    return queue->n_bytes == 0;
}

/*
 * Sends the pieces in order behind what waits already; copies what the stream does not take now.
 * 0 when all was sent or queued; -ENOMEM when the rest could not be kept (the stream is then cut in the middle: close
 * it); the stream's -errno when it failed.
 */
int outq_sendv(struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov);

/* Sends what waits. 0 (perhaps with bytes left), or the stream's -errno. */
int outq_flush(struct outq *queue, struct stream *stream);
