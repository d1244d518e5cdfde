/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the pool, for the files that it is made of: pool.c has the places and those who wait there,
 * pool_attempt.c connections that are being opened, pool_connection.c those that are open.
 *
 * Invariants:
 *  1. place->n_open counts its idle and busy connections and its attempts.
 *  2. Nobody waits while a connection that suits him is idle.
 *  3. A user is called back last: by then a place that nobody needs is gone.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "http/pool.h"

struct pool {
    struct loop *loop;
    struct pool_options options;
    struct hash_key hash_key;
    struct htab places; /* those that are found by their keys */
    struct list all;    /* pool_place.link: all places, in the order in which their idle connections give way */
    unsigned n_places;
    struct h1_client_room room;
    struct pool_stats stats;
};

struct pool_place {
    struct htab_node node; /* in pool->places, unless it has an owner */
    struct list link;      /* in pool->all */
    struct pool *pool;
    struct addr addr;
    struct tls_config *tls;
    char *server_name;
    unsigned n_open, n_idle, n_attempts, n_waits;
    struct list idle;         /* client_connection.link; the one used last in front */
    struct list waits;        /* pool_wait.link; the oldest in front */
    struct list attempts;     /* attempt.link */
    pool_closed_fn on_closed; /* NULL: nobody wants to know */
    void *closed_ctx;
    bool is_found; /* by its key: it has no owner, and had none */
    bool is_owned; /* its owner has not freed it */
};

/* -- pool.c -- */

/* Frees a place that has no connection, no attempt, nobody who waits, and no owner. */
void pool_drop_if_unused(struct pool_place *place);

bool pool_may_open(const struct pool_place *place);

/* Takes the one who waits longest, and for a connection like this, off the list; NULL when nobody does. */
struct pool_wait *pool_next_wait(struct pool_place *place, bool is_new);

/* Sees to it that those who wait have something to wait for. */
void pool_serve_waits(struct pool_place *place);

/* -- pool_attempt.c -- */

/* Begins to open one more connection, for whoever waits then. 0 or a negative errno. */
int pool_attempt_start(struct pool_place *place);

/* Gives all of them up. */
void pool_close_attempts(struct pool_place *place);

/* -- pool_connection.c -- */

/*
 * A connection on a stream that is open, which is taken over (closed on failure). It goes to who waits for it, or is
 * kept; the place may be gone then. 0 or -ENOMEM, and then the place is as before.
 */
int pool_add_connection(struct pool_place *place, struct stream *stream);

/* The idle one that was used last; NULL when even that was idle for longer. */
struct client_connection *pool_take_idle(struct pool_place *place, nsec_t idle_max_ns);

/* Closes the idle one that is so for longest, of which there is one. */
void pool_expire_oldest(struct pool_place *place);

/* pool_make_room for a connection of `place`, which stays; other places may be gone then. */
bool pool_give_way(struct pool *pool, const struct pool_place *place);

/* Closes all that are idle. */
void pool_close_all_idle(struct pool_place *place);

/* A connection or an attempt is no more. */
static inline void pool_count_closed(struct pool_place *place)
{
    place->n_open--;
    place->pool->stats.n_open--;
}
