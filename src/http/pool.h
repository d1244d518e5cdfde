/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client connections of one loop: kept open between calls, found by where they lead to, opened when none is idle.
 *
 * Of the idle connections to one place the one used last is given first, so that the others grow old and are closed.
 * Who finds only such as do not suit him has one opened in place of the oldest, but for the last, so that there are
 * not more than were in use at once, and one for whom any will do. When there are too many of them, or no descriptor
 * is left for a new one, others give way, by turns of their places. An idle connection on which bytes or an end arrive
 * is closed and counted. Whether a connection may be used again after a call is decided by the connection (client.h).
 */
#pragma once

#include "http/h1_client.h"
#include "io/addr.h"
#include "io/tls.h"

/* Where a connection leads to. Connections are shared only when all of it is equal. */
struct pool_key {
    struct addr addr;
    struct tls_config *tls;   /* NULL: plain */
    struct slice server_name; /* with tls: for SNI and verification */
};

/* How a connection is opened: tcp_connect, or what a test puts in its place. */
typedef int (*pool_connect_fn)(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                               void *owner, struct stream **ret_stream);

struct pool_options {
    unsigned n_idle_max; /* in all */
    unsigned n_idle_per_key_max;
    unsigned n_per_key_max; /* open ones, in use or not; 0: no limit, then nobody waits for others */
    unsigned n_waits_per_key_max;
    nsec_t connect_timeout_ns; /* TLS handshake included */
    nsec_t wait_timeout_ns;    /* for a connection, however it comes */
    struct h1_client_options client;
    pool_connect_fn connect;
};

void pool_options_init(struct pool_options *options); /* the defaults */

struct pool_stats {
    uint64_t n_opened, n_reused, n_connect_failed;
    uint64_t n_idle_closed;  /* ended by the server while idle */
    uint64_t n_idle_unasked; /* on which bytes came while idle */
    uint64_t n_idle_expired; /* idle too long, or one too many */
    unsigned n_open, n_idle;
};

struct pool;
struct pool_place;

/* 0, -ENOMEM, or why there are no random bytes (base/random.h). */
int pool_new(struct loop *loop, const struct pool_options *options, struct pool **ret_pool);
/* Other options than it was made with: for what begins from now on, on connections that are there, too. */
void pool_set_options(struct pool *pool, const struct pool_options *options);
/* No call may run, nobody may wait, and no place may be left that somebody owns. Accepts NULL. */
void pool_free(struct pool *pool);

/* Somebody who waits for a connection; the memory is the caller's. */
struct pool_wait {
    /* The caller's: result is 0, or -ETIMEDOUT, -ECONNREFUSED, … ; connection is NULL then. */
    void (*on_ready)(struct pool_wait *wait, int result, struct client_connection *connection);

    /* The pool's. */
    struct list link; /* linked while waiting */
    struct timer timer;
    struct pool_place *place;
    int result; /* when the timer fires */
    bool wants_new;
};

/*
 * A connection for one call, which must be started at once (client_call_start), and after which the connection comes
 * back by itself.
 *
 * 0: *ret_connection is it. POOL_WAIT: on_ready follows, never from inside this call. Negative: -EBUSY (too many wait),
 * -ENOMEM, or why it cannot even be tried to connect.
 */
enum { POOL_WAIT = 1 };
int pool_get(struct pool *pool, const struct pool_key *key, struct pool_wait *wait,
             struct client_connection **ret_connection);

/*
 * A place that belongs to somebody, who gets its connections without looking for it. Connections are not shared with
 * those of pool_get, even if they lead to the same address.
 */
int pool_place_new(struct pool *pool, const struct pool_key *key, struct pool_place **ret_place); /* 0 or -ENOMEM */

/*
 * Closes its idle connections, gives up those that are being opened, and closes those in use when their calls are over.
 * Nobody may wait. Accepts NULL.
 */
void pool_place_free(struct pool_place *place);

/* What somebody asks of a connection. */
struct pool_want {
    nsec_t idle_max_ns; /* not one that was idle for longer; 0: a new one; NSEC_NEVER: any */
};

/* As pool_get. want may be NULL: any. */
int pool_place_get(struct pool_place *place, const struct pool_want *want, struct pool_wait *wait,
                   struct client_connection **ret_connection);

/*
 * Has fn told how long the server keeps idle connections: that it has closed one that had been idle for idle_ns (0:
 * right behind a response, without a word), or (is_promise) that it says with its responses to keep them so long. Not
 * from inside a call of the pool.
 */
typedef void (*pool_closed_fn)(void *ctx, nsec_t idle_ns, bool is_promise);
void pool_place_on_closed(struct pool_place *place, pool_closed_fn fn, void *ctx);

/* Closes an idle connection, so that its descriptor can be had for something else. False: none is idle. */
bool pool_make_room(struct pool *pool);

/* on_ready will not come. Harmless on one that does not wait. */
void pool_cancel(struct pool_wait *wait);

/* How many of its connections are idle. */
unsigned pool_place_n_idle(const struct pool_place *place);

/* Of a place with tls, by the owner: connections to come are made with that; those that are there keep their own. */
void pool_place_set_tls(struct pool_place *place, struct tls_config *tls);

void pool_get_stats(const struct pool *pool, struct pool_stats *ret_stats);
