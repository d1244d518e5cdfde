/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the server, shared by server.c (the set of connections), connection.c (the life of one),
 * connection_output.c (what it sends) and session.c (what a session sees of it). Sessions use session.h.
 */
#pragma once

#include "base/slab.h"
#include "http/deadline.h"
#include "http/session.h"
#include "io/outq.h"

/*
 * The life of a connection; connection.c moves it:
 *
 *     SNIFF -> HANDSHAKE -> SNIFF       the first byte is TLS's; without ALPN the first bytes inside decide again
 *     SNIFF, HANDSHAKE -> SESSION       HTTP/1 or HTTP/2 is known
 *     SESSION -> REST -> SESSION        between the requests of HTTP/1
 *     SNIFF, SESSION, REST -> FLUSH -> LINGER all was said
 *     any -> CLOSED
 */
enum connection_state {
    CONNECTION_SNIFF,     /* nothing is known yet */
    CONNECTION_HANDSHAKE, /* of TLS */
    CONNECTION_SESSION,   /* a session speaks */
    CONNECTION_REST,      /* nothing is under way, and nothing is kept for it */
    CONNECTION_FLUSH,     /* the last bytes leave, and our end */
    CONNECTION_LINGER,    /* our side has ended; what the peer still sends is thrown away */
    CONNECTION_CLOSED,    /* about to be freed */
};

/* An idle one is all the memory that a connection costs beside its stream and its session: see test_server.c. */
struct http_connection {
    struct list link; /* in server->open, ->woken or ->done */
    struct http_server *server;
    struct stream *stream;
    struct session *session; /* in CONNECTION_SESSION */
    struct outq queue;
    struct deadline deadline;
    struct peer peer;
    uint8_t state;         /* enum connection_state */
    uint8_t n_preface : 5; /* in CONNECTION_SNIFF: so many bytes, the beginning of the HTTP/2 preface, were read */
    uint8_t protocol : 1;  /* enum http_protocol, once known */
    bool session_over : 1; /* http_connection_done was called */
    bool close_now : 1;    /* with HTTP_CLOSE_NOW */
    bool broken : 1;       /* a send failed, or its rest could not be kept */
    bool in_session : 1;   /* a call of the session runs */
    bool posted : 1;       /* the deadline is for the last answer, which may be kept behind our back: io/outbox.h */
};

/* The room in which small pieces of output are gathered. */
#define HTTP_GATHER_BYTES (64 * 1024)

/* The room for strings of compressed heads: the largest http.head_bytes, and one field more. */
#define HTTP_ROOM_BYTES (136 * 1024)

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct exchange_handler handler;
    struct http_metrics *metrics;
    unsigned slot;

    struct slab connections;
    struct slab sessions; /* h1_session */
    struct slab streams;  /* h2_stream */
    struct pipes pipes;
    unsigned n_connections;
    struct list open;  /* connections that wait for events */
    struct list woken; /* whose sessions asked to be called at the end of the turn */
    struct list done;  /* whose sessions are over */
    struct loop_task turn_end;

    bool is_draining, drain_begun;
    void (*on_drained)(void *ctx); /* NULL once it was called */
    void *drained_ctx;
    void (*on_closed)(void *ctx, const struct peer *peer); /* NULL: nobody counts */
    void *closed_ctx;

    struct http_fields fields;
    struct http_connection *gatherer; /* whose bytes are in the room; NULL when it is empty */
    size_t n_gathered;
    char gathered[HTTP_GATHER_BYTES];
    char room[HTTP_ROOM_BYTES]; /* not touched, and so no memory, until somebody sends such a head */
};

/* A connection that was given to the server is gone. */
void server_tell_closed(struct http_server *server, const struct peer *peer);

/* Takes the stream over. NULL when out of memory; the stream is then closed. */
struct http_connection *connection_new(struct http_server *server, struct stream *stream, const struct peer *peer);
/* Looks at what the stream may have already; may close the connection. */
void connection_start(struct http_connection *connection);

/* Aborts what runs, then closes. */
void connection_abort(struct http_connection *connection, enum exchange_end end);

/* No new requests; may close the connection. */
void connection_drain(struct http_connection *connection);

/* What its peer is known for: http/talkers.h. */
void connection_count_talk(const struct http_connection *connection, unsigned n_requests, size_t n_bytes);

/* Parts of server->turn_end: what was asked for by http_connection_wake and http_connection_done. */
void connection_run_woken(struct http_connection *connection);
void connection_run_done(struct http_connection *connection);

/* Sends what this connection or whichever has gathered. */
void server_flush_gathered(struct http_server *server);

/* Forgets the connection's gathered bytes. */
void connection_drop_gathered(struct http_connection *connection);
