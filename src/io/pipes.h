/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel pipes, through which bytes go from one socket to another without passing through our memory (splice(2)). They
 * are kept for the next user, since making one costs more than a small body; few are open at a time.
 *
 * A set of pipes belongs to one thread. The process must ignore SIGPIPE: splice has no way to ask for that.
 */
#pragma once

#include "base/list.h"
#include "io/stream.h"

/* What a pipe has room for, if the system allows it. */
#define PIPE_BYTES ((size_t)1024 * 1024)

#define PIPES_MAX      64 /* open ones */
#define PIPES_IDLE_MAX 16

struct pipe {
    struct list link;
    int read_fd, write_fd;
    size_t n_bytes; /* inside */
};

struct pipes {
    struct list idle;
    unsigned n_open, n_idle;
};

void pipes_init(struct pipes *pipes);
/* All pipes must have been given back. */
void pipes_deinit(struct pipes *pipes);

/* An empty pipe; NULL when there are too many, or no memory or descriptors for one more. */
struct pipe *pipes_take(struct pipes *pipes);
/* What is inside is lost. Accepts NULL. */
void pipes_give(struct pipes *pipes, struct pipe *pipe);

/* Whether bytes of this stream can go through a pipe: only if they are as they came from the network. */
bool pipe_fits(const struct stream *stream);

/*
 * From the stream into the pipe, which must be empty, at most `len`; and out of it, as much as goes. Outcomes and
 * readiness bits as with stream_recv and stream_send. A pipe that was filled is emptied before it is filled again.
 */
ssize_t pipe_fill(struct pipe *pipe, struct stream *from, size_t len);
ssize_t pipe_drain(struct pipe *pipe, struct stream *to);
