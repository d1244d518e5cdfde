/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an HTTP/1 client connection, shared by h1_client.c, which reads responses and ends calls, and
 * h1_client_request.c, which sends requests. Others use h1_client.h.
 */
#pragma once

#include "http/deadline.h"
#include "http/h1_client.h"
#include "io/outq.h"

enum h1_client_state {
    H1_CLIENT_IDLE,
    H1_CLIENT_HEAD, /* waits for the response's head; the request may still be on its way */
    H1_CLIENT_BODY, /* and for the rest of the body */
    H1_CLIENT_DONE, /* the response is complete; finish() is due */
};

struct h1_client {
    struct client_connection connection;
    struct h1_client_room *room;
    struct stream *stream;
    struct client_call *call; /* NULL: none, or cancelled inside a tick */
    struct outq queue;
    struct buf *held;
    struct http1_body body;
    uint64_t request_left; /* of a promised length */
    struct deadline deadline;
    struct loop_task task;
    int result; /* of a call that is over or broken */
    enum http_method method;
    uint8_t state;         /* enum h1_client_state */
    bool has_served : 1;   /* a call was started on it before */
    bool chunked : 1;      /* the request's body is */
    bool request_done : 1; /* the user has given all of the request */
    bool keep_alive : 1;   /* the response allows another call */
    bool asked_to_close : 1;
    bool may_switch : 1; /* the request allows 101 … */
    bool switched : 1;   /* … which has come: the end of the tick hands the stream over */
    bool paused : 1;
    bool writer_waits : 1;
    bool is_repeatable : 1; /* the request is */
    bool cancelled : 1;
    bool in_tick : 1;
    bool searched : 1; /* what is held is an incomplete head */
    bool progressed : 1;
};

struct h1_client *h1_client_of(struct client_connection *connection);

/* Moves the deadline to where it belongs in the present state. */
void h1_client_move_deadline(struct h1_client *client);

/* With a length the last promised byte ends a request, whether the user has said so yet or not. */
bool h1_client_request_is_whole(const struct h1_client *client);

/* Sends, or forgets, what the connection has gathered of its request; harmless when it is nothing. */
void h1_client_flush_gathered(struct h1_client *client);
void h1_client_drop_gathered(struct h1_client *client);

/* The system took something of the request. */
void h1_client_note_sent(struct h1_client *client);

/* Asks for a tick at the end of the turn, unless one runs. */
void h1_client_tick_later(struct h1_client *client);

/* What h1_client_request.c adds to the table of operations. */
void h1_client_start(struct client_connection *connection, struct client_call *call,
                     const struct client_request *request);
int h1_client_write(struct client_call *call, struct slice bytes);
void h1_client_end(struct client_call *call, const struct header *trailers, unsigned n_trailers);
