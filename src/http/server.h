/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP server of one worker: takes accepted descriptors, tells TLS, HTTP/2 and HTTP/1 apart by their first bytes,
 * and runs the right session on each until it ends.
 *
 * The states of a connection are listed in server_impl.h. An idle plain connection owns no buffer.
 *
 * All of it lives on one loop.
 */
#pragma once

#include "http/exchange.h"
#include "http/metrics.h"
#include "io/tls.h"
#include "wire/http1.h"

struct http_server_options {
    struct http1_limits limits;
    nsec_t head_timeout_ns;   /* from the first byte of a head (or the accept) to its end */
    nsec_t body_timeout_ns;   /* longest pause inside a body */
    nsec_t idle_timeout_ns;   /* between requests */
    nsec_t answer_timeout_ns; /* longest that a front end keeps a request without progress, unless it says otherwise */
    nsec_t send_timeout_ns;   /* longest time a peer may take nothing while we have something for it */
    size_t rate_min_bytes; /* per second, of a body that we wait for or an answer that waits: http/deadline.h; 0: any */
    nsec_t linger_ns;      /* after the last answer, for the peer to read it before the connection is closed */
    size_t body_drain_bytes; /* how much of an unwanted body is read before the connection is closed instead */
    size_t send_high_bytes;  /* a session above this stops reading and tells writers to wait */
    size_t send_low_bytes;
    size_t unsent_bytes; /* of the loop, for slow peers of all its servers and clients: io/backlog.h */
    unsigned h2_max_streams;
    unsigned n_connections_max; /* per worker; beyond: accepted, answered 503 (without TLS) and closed, counted */
    struct tls_config *tls;     /* NULL: plain only */
    bool plain_allowed;         /* false: with tls set, plain HTTP is refused with one clear answer */
};

void http_server_options_init(struct http_server_options *options); /* the defaults */

struct http_server;

/*
 * slot: the worker's slot in the metrics, which may be NULL. options and handler are copied; what the handler's ctx
 * points to must outlive the server. 0 or -ENOMEM.
 */
int http_server_new(struct loop *loop, const struct http_server_options *options,
                    const struct exchange_handler *handler, struct http_metrics *metrics, unsigned slot,
                    struct http_server **ret_server);

/* Aborts what is left. Not from inside a callback of one of its exchanges. */
void http_server_free(struct http_server *server);

/* On reload. Limits and deadlines hold from the next request on; TLS and the number of streams for new connections. */
void http_server_set_options(struct http_server *server, const struct http_server_options *options);

/* Takes over an accepted descriptor, which is turned away at once when there are too many, or when draining. */
void http_server_accept(struct http_server *server, int fd, const struct peer *peer);
/* The same for a stream that is open already (tests, simulated streams). */
void http_server_adopt(struct http_server *server, struct stream *stream, const struct peer *peer);

/*
 * No new requests: HTTP/2 gets GOAWAY in two steps, HTTP/1 `Connection: close` on the next answer; idle connections are
 * closed. Exchanges that run may finish. on_drained is called once when no connection is left, in a later turn or at
 * the end of this one; it may free the server.
 */
void http_server_drain(struct http_server *server, void (*on_drained)(void *ctx), void *ctx);

/*
 * Has fn called for each connection given to the server when it is closed, those refused at once included: for whoever
 * counts what he gave. Before the first one. peer: as it was given.
 */
void http_server_on_closed(struct http_server *server, void (*fn)(void *ctx, const struct peer *peer), void *ctx);

unsigned http_server_n_connections(const struct http_server *server);
