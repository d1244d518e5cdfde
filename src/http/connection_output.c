/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection sends. The room belongs to one connection at a time: the answers to pipelined requests, and the
 * head and body of a small answer, leave in one send without a buffer per connection and without an allocation. Who
 * wants the room while it holds another connection's bytes sends those first.
 *
 * Invariants:
 *  1. The room is not empty exactly when server->gatherer is set, and then server->turn_end is deferred: nothing stays
 *     there longer than a turn.
 *  2. Bytes leave in the order in which they were put: the queue is older than the room.
 */
#include "http/server_impl.h"

#include <errno.h>

static void send_failed(struct http_connection *connection)
{
    connection->broken = true;
    if (connection->state == CONNECTION_SESSION)
        http_connection_wake(connection);
}

/* Sends what the connection has gathered (it has the room, or nothing) and then `bytes`. */
static void send_out(struct http_connection *connection, struct slice bytes)
{
    struct http_server *server = connection->server;
    struct iovec iov[2];
    int n_iov = 0;
    if (server->gatherer == connection)
        iov[n_iov++] = (struct iovec){server->gathered, server->n_gathered};
    if (bytes.len > 0)
        iov[n_iov++] = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
    server->gatherer = NULL;
    server->n_gathered = 0;
    if (n_iov == 0 || connection->broken)
        return;
    connection_count_talk(connection, 0, iov[0].iov_len + (n_iov > 1 ? iov[1].iov_len : 0));

    bool had_unsent = http_connection_unsent(connection) > 0;
    if (outq_postv(&connection->queue, connection->stream, iov, n_iov) < 0)
        send_failed(connection);
    else if (!had_unsent && http_connection_unsent(connection) > 0 && connection->state == CONNECTION_SESSION)
        http_connection_wake(connection); /* from now on the send deadline counts */
}

void server_flush_gathered(struct http_server *server)
{
    if (server->gatherer)
        send_out(server->gatherer, (struct slice){0});
}

void connection_drop_gathered(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (server->gatherer == connection) {
        server->gatherer = NULL;
        server->n_gathered = 0;
    }
}

char *http_connection_put_begin(struct http_connection *connection, size_t *ret_bytes_max)
{
    struct http_server *server = connection->server;
    if (server->gatherer != connection)
        server_flush_gathered(server);
    if (server->n_gathered == HTTP_GATHER_BYTES)
        send_out(connection, (struct slice){0});
    *ret_bytes_max = HTTP_GATHER_BYTES - server->n_gathered;
    return server->gathered + server->n_gathered;
}

void http_connection_put_end(struct http_connection *connection, size_t n_bytes)
{
    struct http_server *server = connection->server;
    if (n_bytes == 0 || connection->broken)
        return;
    if (!server->gatherer) {
        server->gatherer = connection;
        loop_defer(server->loop, &server->turn_end);
    }
    server->n_gathered += n_bytes;
}

void http_connection_put(struct http_connection *connection, struct slice bytes)
{
    struct http_server *server = connection->server;
    if (bytes.len == 0 || connection->broken)
        return;
    if (server->gatherer != connection)
        server_flush_gathered(server);
    if (bytes.len >= HTTP_PUT_COPIED_MAX) {
        send_out(connection, bytes);
        return;
    }
    if (bytes.len > HTTP_GATHER_BYTES - server->n_gathered)
        send_out(connection, (struct slice){0});
    memcpy(server->gathered + server->n_gathered, bytes.ptr, bytes.len);
    http_connection_put_end(connection, bytes.len);
}

int http_connection_flush(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (!connection->broken && http_connection_unsent(connection) > 0 &&
        connection->stream->bits & (STREAM_WRITABLE | STREAM_FAILED) &&
        outq_flush(&connection->queue, connection->stream) < 0)
        send_failed(connection);
    if (server->gatherer == connection)
        send_out(connection, (struct slice){0});
    return connection->broken ? -EPIPE : 0;
}

int http_connection_send(struct http_connection *connection, struct slice bytes)
{
    struct http_server *server = connection->server;
    if (server->gatherer != connection)
        server_flush_gathered(server);
    send_out(connection, bytes);
    return connection->broken ? -EPIPE : 0;
}

ssize_t http_connection_send_pipe(struct http_connection *connection, struct pipe *pipe)
{
    if (http_connection_flush(connection) < 0)
        return -EPIPE;
    if (http_connection_unsent(connection) > 0)
        return -EAGAIN;
    ssize_t n = pipe_drain(pipe, connection->stream);
    if (n < 0 && n != -EAGAIN)
        send_failed(connection);
    if (n > 0)
        connection_count_talk(connection, 0, (size_t)n);
    return n;
}

size_t http_connection_unsent(const struct http_connection *connection)
{
    return outq_size(&connection->queue);
}

bool http_connection_is_sending(const struct http_connection *connection)
{
    const struct stream *stream = connection->stream;
    return http_connection_unsent(connection) > 0 || !(stream->bits & STREAM_WRITABLE) || stream_is_posting(stream);
}

bool http_connection_is_full(const struct http_connection *connection)
{
    const struct http_server *server = connection->server;
    size_t n_unsent = http_connection_unsent(connection);
    return n_unsent > 0 && n_unsent > backlog_mark(loop_backlog(server->loop), server->options.send_high_bytes);
}

bool http_connection_has_room(const struct http_connection *connection)
{
    const struct http_server *server = connection->server;
    return http_connection_unsent(connection) <=
           backlog_mark(loop_backlog(server->loop), server->options.send_low_bytes);
}

bool http_connection_is_broken(const struct http_connection *connection)
{
    return connection->broken;
}
