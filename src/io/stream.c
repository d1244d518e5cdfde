/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all kinds of streams share. See stream.h.
 */
#include "io/stream.h"

#include "base/assert.h"

ssize_t stream_send(struct stream *stream, struct slice bytes)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
    return stream_sendv(stream, &iov, 1);
}

void stream_close(struct stream *stream)
{
    if (stream)
        stream->ops->close(stream);
}

void stream_raise(struct stream *stream, unsigned bits)
{
    unsigned new_bits = bits & ~(unsigned)stream->bits;
    if (!new_bits)
        return;
    stream->bits |= (unsigned short)new_bits;
    stream->on_event(stream, new_bits);
}

void stream_fail(struct stream *stream, int error)
{
    ASSERT(error < 0);
    if (stream->bits & STREAM_FAILED)
        return;
    stream->error = (short)error;
    stream_raise(stream, STREAM_FAILED | STREAM_READABLE | STREAM_WRITABLE);
}

int stream_broke(struct stream *stream, int error)
{
    ASSERT(error < 0);
    if (!(stream->bits & STREAM_FAILED)) {
        stream->error = (short)error;
        stream->bits |= STREAM_FAILED | STREAM_READABLE | STREAM_WRITABLE;
    }
    return stream->error;
}
