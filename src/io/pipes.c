/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See pipes.h. That a pipe is filled only when it is empty is what makes EAGAIN unambiguous: it is the socket that has
 * nothing, not the pipe that is full.
 */
#include "io/pipes.h"

#include "base/assert.h"
#include "base/util.h"
#include "io/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void pipes_init(struct pipes *pipes)
{
    *pipes = (struct pipes){0};
    list_init(&pipes->idle);
}

static void pipe_close(struct pipes *pipes, struct pipe *pipe)
{
    (void)close(pipe->read_fd);
    (void)close(pipe->write_fd);
    free(pipe);
    pipes->n_open--;
}

void pipes_deinit(struct pipes *pipes)
{
    struct list *link;
    while ((link = list_pop_front(&pipes->idle)))
        pipe_close(pipes, container_of(link, struct pipe, link));
    ASSERT(pipes->n_open == 0);
}

static struct pipe *pipe_open(struct pipes *pipes)
{
    int fds[2];
    struct pipe *pipe = malloc(sizeof(*pipe));
    if (!pipe || pipe2(fds, O_NONBLOCK | O_CLOEXEC) < 0) {
        free(pipe);
        return NULL;
    }
    (void)fcntl(fds[1], F_SETPIPE_SZ, (int)PIPE_BYTES); /* with less it works too */
    *pipe = (struct pipe){.read_fd = fds[0], .write_fd = fds[1]};
    list_init(&pipe->link);
    pipes->n_open++;
    return pipe;
}

struct pipe *pipes_take(struct pipes *pipes)
{
    struct list *link = list_pop_front(&pipes->idle);
    if (!link)
        return pipes->n_open < PIPES_MAX ? pipe_open(pipes) : NULL;
    pipes->n_idle--;
    return container_of(link, struct pipe, link);
}

void pipes_give(struct pipes *pipes, struct pipe *pipe)
{
    if (!pipe)
        return;
    if (pipe->n_bytes > 0 || pipes->n_idle >= PIPES_IDLE_MAX) {
        pipe_close(pipes, pipe);
        return;
    }
    list_push_front(&pipes->idle, &pipe->link);
    pipes->n_idle++;
}

bool pipe_fits(const struct stream *stream)
{
    return tcp_descriptor(stream) >= 0;
}

ssize_t pipe_fill(struct pipe *pipe, struct stream *from, size_t len)
{
    ASSERT(pipe->n_bytes == 0 && len > 0);
    ssize_t n = tcp_splice_in(from, pipe->write_fd, min_size(len, PIPE_BYTES));
    if (n > 0)
        pipe->n_bytes = (size_t)n;
    return n;
}

ssize_t pipe_drain(struct pipe *pipe, struct stream *to)
{
    size_t n_before = pipe->n_bytes;
    while (pipe->n_bytes > 0) {
        ssize_t n = tcp_splice_out(to, pipe->read_fd, pipe->n_bytes);
        if (n < 0)
            return n == -EAGAIN && pipe->n_bytes < n_before ? (ssize_t)(n_before - pipe->n_bytes) : n;
        pipe->n_bytes -= (size_t)n;
    }
    return (ssize_t)n_before;
}
