/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session is one protocol being spoken on one server connection. The connection (connection.c) owns the stream, the
 * unsent bytes, the deadline and its place in the server's lists; once it knows the protocol it makes a session,
 * forwards events and deadlines to it, and is told when it is over.
 *
 * The thread-shared read buffer is used inside on_event and on_deadline only: no call that a front end makes may read
 * from a stream, since the request that it just looks at may lie in that buffer. What such a call makes possible (the
 * next request, more of a body) is done by http_connection_wake.
 *
 * Not for front ends: they see exchanges only.
 */
#pragma once

#include "base/slab.h"
#include "http/server.h"
#include "io/outq.h"
#include "io/pipes.h"

struct http_connection;

struct session;

struct session_ops {
    const char *name; /* "h1", "h2" */
    /* new_bits may be 0: after http_connection_wake. Not called while a call of the same session runs. */
    void (*on_event)(struct session *session, unsigned new_bits);
    /* What http_connection_set_deadline set has passed. NULL for a session with timers of its own. */
    void (*on_deadline)(struct session *session);
    /* Nothing is under way, and a new session could take over. NULL: never. Asked after a call of the session. */
    bool (*is_resting)(struct session *session);
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
struct stream *http_connection_stream(const struct http_connection *connection);
struct loop *http_connection_loop(const struct http_connection *connection);
const struct peer *http_connection_peer(const struct http_connection *connection);
const struct http_server_options *http_connection_options(const struct http_connection *connection);
const struct exchange_handler *http_connection_handler(const struct http_connection *connection);
/* The parse room of this worker: fields of the head being looked at; valid inside one callback. */
struct http_fields *http_connection_fields(const struct http_connection *connection);
/* Room of this worker for what a head unpacks to, like the fields: more than the largest head that is taken. */
char *http_connection_room(const struct http_connection *connection, size_t *ret_bytes);
/* Where the sessions of HTTP/1 are allocated: a malloc for each would cost an idle connection its header, too. */
struct slab *http_connection_sessions(const struct http_connection *connection);
/* Where the streams of HTTP/2 are allocated: of one size, and gone after a turn or two. */
struct slab *http_connection_streams(const struct http_connection *connection);
bool http_connection_is_draining(const struct http_connection *connection);

/*
 * Output (connection_output.c). Small pieces are gathered in a room that the connections of a worker share, and leave
 * in one send: at http_connection_flush, at the end of the turn, or when the room is full or another connection needs
 * it. Pieces of HTTP_PUT_COPIED_MAX and more leave at once, behind what is gathered. What the stream does not take is
 * kept in the connection's queue and sent when it can be.
 *
 * A failure is remembered: later calls do nothing, flush returns it, and the session is woken.
 */
#define HTTP_PUT_COPIED_MAX (16 * 1024)
void http_connection_put(struct http_connection *connection, struct slice bytes);
/* The room itself, to write to: what was written counts after _put_end. In between nothing else is put. */
char *http_connection_put_begin(struct http_connection *connection, size_t *ret_bytes_max);
void http_connection_put_end(struct http_connection *connection, size_t n_bytes);
int http_connection_flush(struct http_connection *connection);
/* Sends these at once, behind what was put: for a session that has gathered them itself. As flush. */
int http_connection_send(struct http_connection *connection, struct slice bytes);
/* The same for what is in a pipe, as far as the peer takes it. Bytes sent, -EAGAIN or another -errno. */
ssize_t http_connection_send_pipe(struct http_connection *connection, struct pipe *pipe);
/* Bytes that wait because the peer does not take them. */
size_t http_connection_unsent(const struct http_connection *connection);
/* So many of them that writers are told to wait; so few that they may go on. Under pressure (io/backlog.h) fewer. */
bool http_connection_is_full(const struct http_connection *connection);
bool http_connection_has_room(const struct http_connection *connection);
/*
 * Something that was sent may not have reached the system: it waits here, inside of TLS, or for the end of the turn
 * (io/outbox.h), after which it is known.
 */
bool http_connection_is_sending(const struct http_connection *connection);
bool http_connection_is_broken(const struct http_connection *connection);

/* The bytes that wait, for a session that has nothing to put any more and passes on what others say (h1_tunnel.c). */
struct outq *http_connection_queue(struct http_connection *connection);
struct pipes *http_connection_pipes(const struct http_connection *connection);

/* Calls on_event with no bits at the end of this turn; in the next turn when called from there. */
void http_connection_wake(struct http_connection *connection);

/* The one deadline of the connection; NSEC_NEVER: none. Moving it to later costs one store. */
void http_connection_set_deadline(struct http_connection *connection, nsec_t deadline_ns);

/* Moves it for what the peer has moved (http/deadline.h), which may be nothing. */
void http_connection_earn_deadline(struct http_connection *connection, nsec_t timeout_ns, size_t n_bytes);

/* Counts an answer in the metrics; and a request that was refused as malformed. */
void http_connection_count(struct http_connection *connection, unsigned status);
void http_connection_count_malformed(struct http_connection *connection);

enum http_close {
    HTTP_CLOSE_LINGER, /* all was said: send what waits, end our side, read what still comes for a while, then close */
    HTTP_CLOSE_NOW,    /* idle, reset or broken */
};

/*
 * The session is over. The connection frees it (ops->free) at the end of the loop's turn, not inside this call, and
 * then closes the stream in the way asked for. No events are forwarded any more. What was put before still leaves.
 */
void http_connection_done(struct http_connection *connection, enum http_close how);
