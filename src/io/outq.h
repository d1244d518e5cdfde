/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What could not be sent yet: a bounded queue of bytes in front of one stream, which counts in its loop's backlog.
 *
 * Sending tries the system first; only the rest is copied and kept. An empty queue owns no memory. The bound is the
 * writer's to respect: it stops when outq_size is above a high mark and goes on when that is at a low one or below, so
 * that it does not stop and start at every byte (backlog_mark). Then the queue holds at most the high mark and what one
 * call adds; it takes a whole message or none of it.
 */
#pragma once

#include "io/stream.h"

struct outq_chunk;

struct outq {
    struct outq_chunk *first, *last;
    size_t n_bytes;
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
 * Sends the pieces in order behind what waits already; copies what the stream does not take now. While something waits
 * the stream is not tried: that is for outq_flush, when STREAM_WRITABLE comes.
 * 0 when all was sent or queued; -ENOMEM when the rest could not be kept (the stream is then cut in the middle: close
 * it); the stream's -errno when it failed.
 */
int outq_sendv(struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov);
int outq_send(struct outq *queue, struct stream *stream, struct slice bytes);
/* The same by stream_postv. */
int outq_postv(struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov);

/* Sends what waits. 0 (perhaps with bytes left), or the stream's -errno. */
int outq_flush(struct outq *queue, struct stream *stream);
