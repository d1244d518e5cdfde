/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session is one protocol being spoken on one server connection. The server (server.c) owns the connection's stream
 * and its place in the list of connections; once it knows the protocol it makes a session, forwards the stream's events
 * to it, and is told when it is over.
 *
 * Not for front ends: they see exchanges only.
 */
#pragma once

#include "http/server.h"

struct http_connection; /* server.c's */

struct session;

struct session_ops {
    const char *name; /* "h1", "h2" */
    void (*on_event)(struct session *session, unsigned new_bits);
    /* No new requests; call http_connection_done when the last exchange has ended. May do so at once. */
    void (*drain)(struct session *session);
    /* Aborts what runs (on_close of each exchange with `end`) and frees the session; the stream is the connection's. */
    void (*free)(struct session *session, enum exchange_end end);
};

struct session {
    const struct session_ops *ops;
    struct http_connection *connection;
};

/*
 * Both begin with bytes that were already read while the protocol was not known (valid during the call).
 * 0 or -ENOMEM; on failure nothing is left. When the session finds within the call that it is over, it says so by
 * http_connection_done as at any other time.
 */
int h1_session_new(struct http_connection *connection, struct slice early, struct session **ret_session);
int h2_session_new(struct http_connection *connection, struct slice early, struct session **ret_session);

/* What a session may use of its connection. */
struct stream *http_connection_stream(struct http_connection *connection);
struct loop *http_connection_loop(struct http_connection *connection);
const struct peer *http_connection_peer(const struct http_connection *connection);
const struct http_server_options *http_connection_options(const struct http_connection *connection);
const struct exchange_handler *http_connection_handler(const struct http_connection *connection);
/* The parse room of this worker: fields of the head being looked at; valid inside one callback. */
struct http_fields *http_connection_fields(struct http_connection *connection);
bool http_connection_is_draining(const struct http_connection *connection);

/* Counts a finished exchange in the metrics. */
void http_connection_count(struct http_connection *connection, unsigned status);

enum http_close {
    HTTP_CLOSE_LINGER, /* all was said: end our side, read what still comes for a while, then close */
    HTTP_CLOSE_NOW,    /* reset or broken */
};

/*
 * The session is over. The connection frees it (ops->free) at the end of the loop's turn, not inside this call, and then
 * closes the stream in the way asked for. No events are forwarded any more.
 */
void http_connection_done(struct http_connection *connection, enum http_close how);
