/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client connection that speaks HTTP/1.1: one call at a time, never pipelined.
 */
#pragma once

#include "base/buf.h"
#include "http/client.h"
#include "wire/http1.h"

/* How long may what take; the deadlines start anew with each progress. */
struct h1_client_options {
    struct http1_limits limits;
    nsec_t send_timeout_ns; /* the server takes nothing of the request */
    nsec_t head_timeout_ns; /* from the last byte of the request that was sent to the end of the response's head */
    nsec_t body_timeout_ns; /* longest pause inside the body */
    nsec_t idle_timeout_ns; /* without a call */
    size_t send_high_bytes, send_low_bytes;
};

void h1_client_options_init(struct h1_client_options *options); /* the defaults */

struct h1_client;

/* What the connections of one loop share: options, and room for one head at a time, that comes or that goes. */
struct h1_client_room {
    struct loop *loop;
    struct h1_client_options options;
    struct http_fields fields;
    struct http_response response; /* of the 101 that is being handed over */
    struct h1_client *gatherer;    /* whose bytes are in `gathered`; NULL: nobody's */
    struct buf gathered;
};

void h1_client_room_init(struct h1_client_room *room, struct loop *loop, const struct h1_client_options *options);
void h1_client_room_deinit(struct h1_client_room *room);

/* On a stream that is open, which is taken over (closed on failure). 0 or -ENOMEM. */
int h1_client_new(struct h1_client_room *room, struct stream *stream, const struct client_owner_ops *owner_ops,
                  void *owner, struct client_connection **ret_connection);
