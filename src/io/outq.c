/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks in a list, filled at the end and sent from the front. A chunk has room for more than what made it, so that
 * many small messages (events to a slow watcher) share one. A chunk that is sent is freed at once. The loop's backlog
 * counts chunks as long as they live, however much of them was sent.
 *
 * Invariants: no chunk is empty; n_bytes is the sum of their lengths.
 */
#include "io/outq.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With malloc's own header a whole number of pages. */
enum { CHUNK_BYTES = 4096 - 16, IOV_PER_FLUSH = 16 };

struct outq_chunk {
    struct outq_chunk *next;
    struct backlog *backlog;
    size_t begin, end, cap;
    char bytes[];
};

void outq_init(struct outq *queue)
{
    *queue = (struct outq){0};
}

static void chunk_free(struct outq_chunk *chunk)
{
    backlog_note(chunk->backlog, sizeof(*chunk) + chunk->cap, 0);
    free(chunk);
}

void outq_deinit(struct outq *queue)
{
    for (struct outq_chunk *chunk = queue->first, *next; chunk; chunk = next) {
        next = chunk->next;
        chunk_free(chunk);
    }
    outq_init(queue);
}

static struct outq_chunk *chunk_new(struct backlog *backlog, size_t n_bytes)
{
    size_t size = max_size(CHUNK_BYTES, sizeof(struct outq_chunk) + n_bytes);
    struct outq_chunk *chunk = malloc(size);
    if (chunk) {
        chunk->next = NULL;
        chunk->backlog = backlog;
        chunk->begin = chunk->end = 0;
        chunk->cap = size - sizeof(*chunk);
        backlog_note(backlog, 0, size);
    }
    return chunk;
}

/* Copies bytes into the last chunk as far as there is room; gives how many. */
static size_t fill_last(struct outq *queue, const char *bytes, size_t len)
{
    struct outq_chunk *last = queue->last;
    size_t n = last ? min_size(len, last->cap - last->end) : 0;
    if (n > 0) {
        memcpy(last->bytes + last->end, bytes, n);
        last->end += n;
        queue->n_bytes += n;
    }
    return n;
}

/* Keeps the pieces but for their first n_skip bytes: all, or with -ENOMEM nothing. */
static int keep(struct outq *queue, struct backlog *backlog, const struct iovec *iov, int n_iov, size_t n_skip)
{
    size_t n_bytes = iov_size(iov, n_iov) - n_skip;
    size_t n_room = queue->last ? queue->last->cap - queue->last->end : 0;
    struct outq_chunk *chunk = NULL;
    if (n_bytes > n_room) {
        chunk = chunk_new(backlog, n_bytes - n_room);
        if (!chunk)
            return -ENOMEM;
    }

    for (int i = 0; i < n_iov; i++) {
        size_t skipped = min_size(n_skip, iov[i].iov_len);
        n_skip -= skipped;
        size_t len = iov[i].iov_len - skipped;
        if (len == 0)
            continue;
        const char *bytes = (const char *)iov[i].iov_base + skipped;
        size_t n = fill_last(queue, bytes, len);
        if (n == len)
            continue;
        if (chunk) {
            *(queue->last ? &queue->last->next : &queue->first) = chunk;
            queue->last = TAKE(chunk);
        }
        n += fill_last(queue, bytes + n, len - n);
        ASSERT(n == len);
    }
    ASSERT(!chunk);
    return 0;
}

typedef ssize_t (*send_fn)(struct stream *stream, const struct iovec *iov, int n_iov);

static int send_by(send_fn send, struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov)
{
    size_t n_sent = 0;
    if (outq_is_empty(queue)) {
        ssize_t n = send(stream, iov, n_iov);
        if (n < 0 && n != -EAGAIN)
            return (int)n;
        n_sent = n > 0 ? (size_t)n : 0;
    }
    return n_sent == iov_size(iov, n_iov) ? 0 : keep(queue, loop_backlog(stream->loop), iov, n_iov, n_sent);
}

int outq_sendv(struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov)
{
    return send_by(stream_sendv, queue, stream, iov, n_iov);
}

int outq_postv(struct outq *queue, struct stream *stream, const struct iovec *iov, int n_iov)
{
    return send_by(stream_postv, queue, stream, iov, n_iov);
}

int outq_send(struct outq *queue, struct stream *stream, struct slice bytes)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
    return outq_sendv(queue, stream, &iov, 1);
}

/* Takes n sent bytes off the front. */
static void drop_sent(struct outq *queue, size_t n)
{
    ASSERT(n <= queue->n_bytes);
    queue->n_bytes -= n;
    while (n > 0) {
        struct outq_chunk *first = queue->first;
        size_t len = first->end - first->begin;
        if (n < len) {
            first->begin += n;
            return;
        }
        n -= len;
        queue->first = first->next;
        if (!queue->first)
            queue->last = NULL;
        chunk_free(first);
    }
}

int outq_flush(struct outq *queue, struct stream *stream)
{
    while (!outq_is_empty(queue)) {
        struct iovec iov[IOV_PER_FLUSH];
        int n_iov = 0;
        for (struct outq_chunk *chunk = queue->first; chunk && n_iov < IOV_PER_FLUSH; chunk = chunk->next)
            iov[n_iov++] = (struct iovec){chunk->bytes + chunk->begin, chunk->end - chunk->begin};

        ssize_t n = stream_sendv(stream, iov, n_iov);
        if (n < 0)
            return n == -EAGAIN ? 0 : (int)n;
        drop_sent(queue, (size_t)n);
        if (!(stream->bits & STREAM_WRITABLE))
            return 0;
    }
    return 0;
}
