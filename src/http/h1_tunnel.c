/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two streams, of which each gets what the other sends, once HTTP is over on a connection. The session owns the
 * client's side and all that is told; here are the bytes.
 *
 * Each way is by itself: what is read is offered to the other side at once, and nothing more is read while some of it
 * waits. A way on which much comes is led through a pipe, when there is one and both streams are plain, until it has
 * run dry.
 */
#include "http/h1_session.h"

#include <errno.h>
#include <stdlib.h>

/* Read at once; and at most so much waits for a peer that does not take it, if it is not in a pipe. */
enum { PIECE_BYTES = 64 * 1024 };

/* Pieces per turn. */
enum { MOVES_MAX = 4 };

struct way {
    struct stream *from, *to;
    struct outq *queue; /* in front of `to` */
    struct pipe *pipe;  /* NULL: none is used */
    uint64_t *n_bytes;  /* where they are counted */
    bool is_bulk;       /* the last piece was a full one */
    bool ended;         /* `from` has ended */
    bool shut;          /* so `to` was told */
};

struct h1_tunnel {
    struct h1_session *h1;
    struct stream *other;
    struct outq queue;
    struct way to_client, to_other;
};

static struct http_connection *connection_of(const struct h1_tunnel *tunnel)
{
    return tunnel->h1->session.connection;
}

static void on_other_event(struct stream *stream, unsigned new_bits)
{
    struct h1_tunnel *tunnel = stream->owner;
    (void)new_bits;
    http_connection_wake(connection_of(tunnel));
}

int h1_tunnel_new(struct h1_session *h1, const struct tunnel *options, struct h1_tunnel **ret_tunnel)
{
    struct http_connection *connection = h1->session.connection;
    struct stream *client = http_connection_stream(connection);
    struct h1_tunnel *tunnel = calloc(1, sizeof(*tunnel));
    if (!tunnel) {
        stream_close(options->other);
        return -ENOMEM;
    }
    tunnel->h1 = h1;
    tunnel->other = options->other;
    tunnel->other->on_event = on_other_event;
    tunnel->other->owner = tunnel;
    outq_init(&tunnel->queue);
    tunnel->to_client = (struct way){
        .from = tunnel->other,
        .to = client,
        .queue = http_connection_queue(connection),
        .n_bytes = &options->result->to_client,
    };
    tunnel->to_other = (struct way){
        .from = client,
        .to = tunnel->other,
        .queue = &tunnel->queue,
        .n_bytes = &options->result->to_other,
    };
    *ret_tunnel = tunnel;
    return 0;
}

void h1_tunnel_free(struct h1_tunnel *tunnel)
{
    if (!tunnel)
        return;
    struct pipes *pipes = http_connection_pipes(connection_of(tunnel));
    pipes_give(pipes, tunnel->to_client.pipe);
    pipes_give(pipes, tunnel->to_other.pipe);
    outq_deinit(&tunnel->queue);
    stream_close(tunnel->other);
    free(tunnel);
}

int h1_tunnel_take(struct h1_tunnel *tunnel, struct slice bytes)
{
    *tunnel->to_other.n_bytes += bytes.len;
    return bytes.len > 0 ? outq_send(&tunnel->queue, tunnel->other, bytes) : 0;
}

/* A piece through the read buffer. H1_TUNNEL_STILL, H1_TUNNEL_MOVED or a negative errno. */
static int move_piece(struct way *way)
{
    char *room = loop_read_buffer(way->from->loop);
    ssize_t n = stream_recv(way->from, room, backlog_mark(loop_backlog(way->from->loop), PIECE_BYTES));
    way->is_bulk = n == PIECE_BYTES;
    if (n == -EAGAIN)
        return H1_TUNNEL_STILL;
    if (n < 0)
        return (int)n;
    way->ended = n == 0;
    *way->n_bytes += (size_t)n;
    int r = n > 0 ? outq_send(way->queue, way->to, slice_from(room, (size_t)n)) : 0;
    return r < 0 ? r : H1_TUNNEL_MOVED;
}

/* A piece through the pipe, which is given back when it runs dry. */
static int move_by_pipe(struct way *way, struct pipes *pipes)
{
    ssize_t n = way->pipe->n_bytes > 0 ? (ssize_t)way->pipe->n_bytes : pipe_fill(way->pipe, way->from, PIPE_BYTES);
    if (n > 0)
        n = pipe_drain(way->pipe, way->to);
    if (n > 0)
        *way->n_bytes += (size_t)n;
    way->ended = n == 0;
    if (way->pipe->n_bytes == 0 && n < PIECE_BYTES) {
        way->is_bulk = false;
        pipes_give(pipes, TAKE(way->pipe));
    }
    if (n == -EAGAIN)
        return H1_TUNNEL_STILL;
    return n < 0 ? (int)n : H1_TUNNEL_MOVED;
}

static int move_some(struct way *way, struct pipes *pipes)
{
    size_t n_queued = outq_size(way->queue);
    if (n_queued > 0) {
        int r = way->to->bits & STREAM_WRITABLE ? outq_flush(way->queue, way->to) : 0;
        if (r < 0)
            return r;
        return outq_size(way->queue) < n_queued ? H1_TUNNEL_MOVED : H1_TUNNEL_STILL;
    }
    bool is_inside = way->pipe && way->pipe->n_bytes > 0;
    if (way->ended ||
        !((is_inside ? way->to->bits : way->from->bits) & (is_inside ? STREAM_WRITABLE : STREAM_READABLE)))
        return H1_TUNNEL_STILL;
    if (way->is_bulk && !way->pipe && pipe_fits(way->from) && pipe_fits(way->to))
        way->pipe = pipes_take(pipes);
    return way->pipe ? move_by_pipe(way, pipes) : move_piece(way);
}

/* The end follows the last byte. */
static int pass_end_on(struct way *way)
{
    if (!way->ended || way->shut || !outq_is_empty(way->queue))
        return 0;
    int r = stream_shutdown(way->to);
    way->shut = r == 0;
    return r == -EAGAIN ? 0 : r;
}

void h1_tunnel_end(struct h1_tunnel *tunnel)
{
    tunnel->to_other.ended = true;
    (void)pass_end_on(&tunnel->to_other);
}

static int move_way(struct way *way, struct http_connection *connection)
{
    struct pipes *pipes = http_connection_pipes(connection);
    int moved = H1_TUNNEL_STILL, r = H1_TUNNEL_MOVED;
    for (int i = 0; i < MOVES_MAX && r == H1_TUNNEL_MOVED; i++) {
        r = move_some(way, pipes);
        if (r < 0)
            return r;
        moved |= r;
    }
    if (r == H1_TUNNEL_MOVED)
        http_connection_wake(connection); /* there may be more, but it is the turn of others */
    r = pass_end_on(way);
    return r < 0 ? r : moved;
}

int h1_tunnel_move(struct h1_tunnel *tunnel)
{
    struct http_connection *connection = connection_of(tunnel);
    int to_other = move_way(&tunnel->to_other, connection);
    if (to_other < 0)
        return to_other;
    int to_client = move_way(&tunnel->to_client, connection);
    if (to_client < 0)
        return to_client;
    if (tunnel->to_other.shut && tunnel->to_client.shut)
        return H1_TUNNEL_OVER;
    return to_other | to_client;
}
