/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected, ordered, two-way flow of bytes: plain TCP or Unix socket, TLS over either, or a simulated one. All are
 * used alike; no call blocks.
 *
 * Readiness is remembered. The stream calls on_event when bits are newly set; stream_recv and stream_send clear a bit
 * when they find that the system has no more, so an owner that stopped reading (backpressure) simply goes on later
 * while the bit is still set: no descriptor is ever re-armed. The owner's pattern is: on_event notes and ticks the
 * owner's one state machine, which reads and writes while the bits it needs are set.
 *
 * A stream belongs to one loop and its thread. The owner closes it exactly once, from any of its callbacks; after
 * stream_close no callback comes and the memory is gone. on_event and owner may be changed at any time, which is how a
 * connection is handed from one state machine to the next; bits that are set already are not told again.
 */
#pragma once

#include "base/slice.h"
#include "io/loop.h"

#include <sys/types.h>
#include <sys/uio.h>

enum stream_bits {
    STREAM_OPEN = 1 << 0,      /* connected, and the TLS handshake done: until then nothing can be sent or received */
    STREAM_READABLE = 1 << 1,  /* stream_recv may give something: bytes, the end, or the error */
    STREAM_WRITABLE = 1 << 2,  /* stream_send may take something */
    STREAM_PEER_DONE = 1 << 3, /* the peer has closed its sending side; bytes may still be unread */
    STREAM_FAILED = 1 << 4,    /* reset, refused, handshake failed: `error` says which; see stream_recv */
};

struct stream;
typedef void (*stream_event_fn)(struct stream *stream, unsigned new_bits);

struct stream_ops {
    const char *name; /* "tcp" (Unix sockets too), "tls", "sim" */
    ssize_t (*recv)(struct stream *stream, void *ret_bytes, size_t len);
    ssize_t (*sendv)(struct stream *stream, const struct iovec *iov, int n_iov);
    ssize_t (*postv)(struct stream *stream, const struct iovec *iov, int n_iov); /* NULL: as sendv */
    int (*shutdown)(struct stream *stream);
    void (*close)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    struct loop *loop;
    stream_event_fn on_event;
    void *owner;         /* the owner's to use */
    unsigned short bits; /* enum stream_bits */
    short error;         /* negative errno once STREAM_FAILED */
    unsigned n_letters;  /* tcp.c's */
};

/*
 * Bytes received; 0 at the end of the peer's bytes; -EAGAIN when there are none now; another -errno when it failed.
 * What arrived before a failure is still received first: a peer that answers early and then resets is heard.
 */
static inline ssize_t stream_recv(struct stream *stream, void *ret_bytes, size_t len)
{
    return stream->ops->recv(stream, ret_bytes, len);
}

/*
 * Bytes taken, possibly fewer than offered (then STREAM_WRITABLE is cleared and will come again); -EAGAIN when none;
 * another -errno when it failed. Never raises SIGPIPE. Bytes refused must be offered again unchanged.
 */
static inline ssize_t stream_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    return stream->ops->sendv(stream, iov, n_iov);
}

ssize_t stream_send(struct stream *stream, struct slice bytes);

/* The bytes of all pieces. */
static inline size_t iov_size(const struct iovec *iov, int n_iov)
{
    size_t n = 0;
    for (int i = 0; i < n_iov; i++)
        n += iov[i].iov_len;
    return n;
}

/*
 * As stream_sendv, but what is taken may leave at the end of the turn only (outbox.h). When it cannot, STREAM_FAILED
 * comes: not for what must be known to have been sent, or not. What the system does not take then is kept, and lost
 * when the stream is closed: who must see it off calls stream_shutdown until that is done.
 */
static inline ssize_t stream_postv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    return (stream->ops->postv ? stream->ops->postv : stream->ops->sendv)(stream, iov, n_iov);
}

/* Something that was posted has not left yet: whether the system takes it, the end of the turn will show. */
static inline bool stream_is_posting(const struct stream *stream)
{
    return stream->n_letters > 0;
}

/* Ends our sending side (FIN, close_notify); receiving goes on. 0, -EAGAIN (call again when writable), -errno. */
static inline int stream_shutdown(struct stream *stream)
{
    return stream->ops->shutdown(stream);
}

/* Releases everything at once; unsent bytes in the kernel are still delivered. NULL is fine. */
void stream_close(struct stream *stream);

/*
 * For those who implement streams.
 *
 * stream_raise sets bits and tells the owner of those that are new. stream_fail remembers the failure and raises
 * STREAM_FAILED with all bits that an owner may wait for. After both the stream may be gone. stream_broke is for a
 * failure found inside recv or sendv: it is remembered and returned, and the owner, who is just reading the return
 * value, is not called. The first failure counts: later ones are consequences.
 */
void stream_raise(struct stream *stream, unsigned bits);
void stream_fail(struct stream *stream, int error);
int stream_broke(struct stream *stream, int error);
