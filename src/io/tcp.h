/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain streams over TCP and Unix sockets, the kernel's own. See stream.h for how they are used.
 *
 * A short read clears STREAM_READABLE without asking the kernel once more: RDHUP, which is registered too, tells of an
 * end that came with it.
 */
#pragma once

#include "io/addr.h"
#include "io/stream.h"

/*
 * A stream on an accepted, non-blocking socket, whose descriptor it takes over (on failure too: it is closed). It is
 * open and writable from the start; the first turn tells whether there is something to read. 0, -ENOMEM, -errno.
 */
int tcp_adopt(struct loop *loop, int fd, stream_event_fn on_event, void *owner, struct stream **ret_stream);

/*
 * Begins to connect. The stream raises STREAM_OPEN when connected or STREAM_FAILED (-ECONNREFUSED, …; -ETIMEDOUT when
 * deadline_ns passed first; NSEC_NEVER leaves that to the kernel). Both come in a later turn, never from inside this
 * call. 0, or a -errno when it failed at once: out of memory or descriptors, no route, no such Unix socket.
 */
int tcp_connect(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event, void *owner,
                struct stream **ret_stream);

/* For pipes.h: the socket of a plain stream; -1: the stream is something else, or not open yet. */
int tcp_descriptor(const struct stream *stream);

/* splice(2) between a plain stream and an empty, or a filled, pipe. Outcomes and bits as with recv and sendv. */
ssize_t tcp_splice_in(struct stream *from, int pipe_fd, size_t len);
ssize_t tcp_splice_out(struct stream *to, int pipe_fd, size_t len);
