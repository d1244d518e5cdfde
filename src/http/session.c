/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a session may use of its connection and, through it, of what the connections of a worker share; and what it has
 * counted. Sessions know no more of the server, so that this is all that they can depend on.
 */
#include "http/server_impl.h"

struct stream *http_connection_stream(const struct http_connection *connection)
{
    return connection->stream;
}

struct loop *http_connection_loop(const struct http_connection *connection)
{
    return connection->server->loop;
}

const struct peer *http_connection_peer(const struct http_connection *connection)
{
    return &connection->peer;
}

const struct http_server_options *http_connection_options(const struct http_connection *connection)
{
    return &connection->server->options;
}

const struct exchange_handler *http_connection_handler(const struct http_connection *connection)
{
    return &connection->server->handler;
}

struct http_fields *http_connection_fields(const struct http_connection *connection)
{
    return &connection->server->fields;
}

char *http_connection_room(const struct http_connection *connection, size_t *ret_bytes)
{
    *ret_bytes = sizeof(connection->server->room);
    return connection->server->room;
}

struct slab *http_connection_sessions(const struct http_connection *connection)
{
    return &connection->server->sessions;
}

struct slab *http_connection_streams(const struct http_connection *connection)
{
    return &connection->server->streams;
}

struct outq *http_connection_queue(struct http_connection *connection)
{
    return &connection->queue;
}

struct pipes *http_connection_pipes(const struct http_connection *connection)
{
    return &connection->server->pipes;
}

bool http_connection_is_draining(const struct http_connection *connection)
{
    return connection->server->is_draining;
}

void http_connection_set_deadline(struct http_connection *connection, nsec_t deadline_ns)
{
    connection->posted = false;
    deadline_set(connection->server->loop, &connection->deadline, deadline_ns);
}

void http_connection_earn_deadline(struct http_connection *connection, nsec_t timeout_ns, size_t n_bytes)
{
    struct http_server *server = connection->server;
    deadline_earn(server->loop, &connection->deadline, timeout_ns, n_bytes, server->options.rate_min_bytes);
}

void connection_count_talk(const struct http_connection *connection, unsigned n_requests, size_t n_bytes)
{
    const struct http_server *server = connection->server;
    if (server->metrics)
        talkers_count(server->metrics->talkers, server->slot, &connection->peer, n_requests, n_bytes,
                      loop_now(server->loop));
}

void http_connection_count(struct http_connection *connection, unsigned status)
{
    struct http_server *server = connection->server;
    if (server->metrics)
        http_metrics_request(server->metrics, server->slot, connection->protocol, status);
    connection_count_talk(connection, 1, 0);
}

void http_connection_count_malformed(struct http_connection *connection)
{
    struct http_server *server = connection->server;
    if (server->metrics)
        http_metrics_malformed(server->metrics, server->slot);
}
