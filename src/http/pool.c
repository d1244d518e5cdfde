/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections are grouped by place. A place exists as long as it has a connection, an attempt to open one, somebody who
 * waits, or an owner.
 *
 * An attempt is not bound to the wait that caused it: the first connection that becomes free goes to the one who waits
 * longest of those whom it suits, and a failed attempt fails the one who waits longest.
 *
 * Invariants:
 *  1. place->n_open counts its idle and busy connections and its attempts.
 *  2. Nobody waits while a connection that suits him is idle.
 *  3. A user is called back last: by then a place that nobody needs is gone.
 */
#include "http/pool.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/htab.h"
#include "base/random.h"
#include "io/tcp.h"

#include <errno.h>
#include <stdlib.h>

struct pool {
    struct loop *loop;
    struct pool_options options;
    struct hash_key hash_key;
    struct htab places;
    struct h1_client_room room;
    struct pool_stats stats;
};

struct pool_place {
    struct htab_node node; /* in pool->places, unless it has an owner */
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

/* A connection that is being opened. */
struct attempt {
    struct list link;
    struct pool_place *place;
    struct stream *stream;
    struct timer timer;
    bool in_handshake;
};

void pool_options_init(struct pool_options *options)
{
    *options = (struct pool_options){
        .n_idle_max = 4096,
        .n_idle_per_key_max = 256,
        .n_waits_per_key_max = 1024,
        .connect_timeout_ns = 5 * NSEC_PER_SEC,
        .wait_timeout_ns = 10 * NSEC_PER_SEC,
        .connect = tcp_connect,
    };
    h1_client_options_init(&options->client);
}

/* -- places -- */

static uint64_t hash_of(const struct pool *pool, const struct pool_key *key)
{
    uint64_t of_addr = hash_bytes(&pool->hash_key, slice_from(&key->addr.any, key->addr.len));
    return of_addr ^ hash_bytes(&pool->hash_key, key->server_name);
}

static struct pool_place *find_place(const struct pool *pool, const struct pool_key *key)
{
    htab_for_each_match (node, &pool->places, hash_of(pool, key)) {
        struct pool_place *place = container_of(node, struct pool_place, node);
        if (addr_equal(&place->addr, &key->addr) && place->tls == key->tls &&
            slice_equal_str(key->server_name, place->server_name))
            return place;
    }
    return NULL;
}

static struct pool_place *place_new(struct pool *pool, const struct pool_key *key)
{
    struct pool_place *place = malloc(sizeof(*place));
    char *server_name = slice_dup(key->server_name);
    if (!place || !server_name) {
        free(server_name);
        free(place);
        return NULL;
    }
    *place = (struct pool_place){.pool = pool, .addr = key->addr, .server_name = server_name};
    place->tls = key->tls ? tls_config_ref(key->tls) : NULL;
    list_init(&place->idle);
    list_init(&place->waits);
    list_init(&place->attempts);
    return place;
}

static void drop_if_unused(struct pool_place *place)
{
    if (place->n_open > 0 || place->n_waits > 0 || place->is_owned)
        return;
    if (place->is_found)
        htab_remove(&place->pool->places, &place->node);
    (void)tls_config_unref(place->tls);
    free(place->server_name);
    free(place);
}

/* One that others find by its key. */
static struct pool_place *found_place_new(struct pool *pool, const struct pool_key *key)
{
    struct pool_place *place = place_new(pool, key);
    if (!place)
        return NULL;
    if (htab_insert(&pool->places, &place->node, hash_of(pool, key)) < 0) {
        drop_if_unused(place);
        return NULL;
    }
    place->is_found = true;
    return place;
}

/* -- attempts -- */

static void on_attempt_event(struct stream *stream, unsigned new_bits);
static void on_attempt_timer(struct timer *timer);

/* 0 or a negative errno. */
static int attempt_start(struct pool_place *place)
{
    struct pool *pool = place->pool;
    struct attempt *attempt = malloc(sizeof(*attempt));
    if (!attempt)
        return -ENOMEM;
    *attempt = (struct attempt){.place = place};
    int r = pool->options.connect(pool->loop, &place->addr, NSEC_NEVER, on_attempt_event, attempt, &attempt->stream);
    if (r < 0) {
        free(attempt);
        return r;
    }
    list_init(&attempt->link);
    list_push_back(&place->attempts, &attempt->link);
    timer_init(&attempt->timer, on_attempt_timer);
    loop_arm(pool->loop, &attempt->timer, loop_now(pool->loop) + pool->options.connect_timeout_ns);
    place->n_attempts++;
    place->n_open++;
    pool->stats.n_open++;
    return 0;
}

/* The place still counts what came of it as open. Gives the stream to the caller. */
static struct stream *attempt_end(struct attempt *attempt)
{
    struct stream *stream = attempt->stream;
    loop_cancel(attempt->place->pool->loop, &attempt->timer);
    list_remove(&attempt->link);
    attempt->place->n_attempts--;
    free(attempt);
    return stream;
}

static void count_closed(struct pool_place *place)
{
    place->n_open--;
    place->pool->stats.n_open--;
}

/* -- waits -- */

static void end_wait(struct pool_wait *wait)
{
    list_remove(&wait->link);
    loop_cancel(wait->place->pool->loop, &wait->timer);
    wait->place->n_waits--;
}

/* Takes the one who waits longest, and for a connection like this, off the list; NULL when nobody does. */
static struct pool_wait *next_wait(struct pool_place *place, bool is_new)
{
    list_for_each (link, &place->waits) {
        struct pool_wait *wait = container_of(link, struct pool_wait, link);
        if (is_new || !wait->wants_new) {
            end_wait(wait);
            return wait;
        }
    }
    return NULL;
}

static bool may_open(const struct pool_place *place)
{
    unsigned max = place->pool->options.n_per_key_max;
    return max == 0 || place->n_open < max;
}

/* Sees to it that those who wait have something to wait for. */
static void serve_waits(struct pool_place *place)
{
    while (place->n_attempts < place->n_waits && may_open(place)) {
        int r = attempt_start(place);
        if (r < 0) {
            struct pool_wait *oldest = container_of(place->waits.next, struct pool_wait, link);
            oldest->result = r;
            loop_arm(place->pool->loop, &oldest->timer, loop_now(place->pool->loop));
            return;
        }
    }
}

static void on_wait_timer(struct timer *timer)
{
    struct pool_wait *wait = container_of(timer, struct pool_wait, timer);
    struct pool_place *place = wait->place;
    end_wait(wait);
    serve_waits(place);
    drop_if_unused(place);
    wait->on_ready(wait, wait->result, NULL);
}

void pool_cancel(struct pool_wait *wait)
{
    if (!list_is_linked(&wait->link))
        return;
    end_wait(wait); /* the attempt goes on: somebody may want it */
    drop_if_unused(wait->place);
}

/* -- idle connections -- */

static nsec_t idle_ns(const struct pool_place *place, const struct client_connection *connection)
{
    return loop_now(place->pool->loop) - connection->idle_since_ns;
}

/* The one used last, unless even that was idle for too long. */
static struct client_connection *take_idle(struct pool_place *place, nsec_t idle_max_ns)
{
    if (list_is_empty(&place->idle) || idle_max_ns == 0)
        return NULL;
    struct client_connection *connection = container_of(place->idle.next, struct client_connection, link);
    if (idle_ns(place, connection) > idle_max_ns)
        return NULL;
    list_remove(&connection->link);
    place->n_idle--;
    place->pool->stats.n_idle--;
    return connection;
}

static void close_idle(struct pool_place *place, struct client_connection *connection)
{
    list_remove(&connection->link);
    place->n_idle--;
    place->pool->stats.n_idle--;
    count_closed(place);
    client_connection_close(connection);
}

/* Keeps it, the freshest, and closes the oldest when that is one too many. */
static void keep_idle(struct pool_place *place, struct client_connection *connection)
{
    struct pool *pool = place->pool;
    list_push_front(&place->idle, &connection->link);
    place->n_idle++;
    pool->stats.n_idle++;
    if (place->n_idle > pool->options.n_idle_per_key_max || pool->stats.n_idle > pool->options.n_idle_max) {
        pool->stats.n_idle_expired++;
        close_idle(place, container_of(place->idle.prev, struct client_connection, link));
    }
}

static void close_busy(struct pool_place *place, struct client_connection *connection)
{
    client_connection_close(connection);
    count_closed(place);
    serve_waits(place);
    drop_if_unused(place);
}

/* A connection that can take a call. */
static void offer(struct pool_place *place, struct client_connection *connection, bool is_new)
{
    struct pool_wait *wait = next_wait(place, is_new);
    if (wait) {
        place->pool->stats.n_reused += !is_new;
        wait->on_ready(wait, 0, connection);
    } else if ((place->is_found || place->is_owned) && (place->n_waits == 0 || may_open(place))) {
        keep_idle(place, connection);
        drop_if_unused(place); /* when none may be kept */
    } else {
        close_busy(place, connection); /* nobody can want it, or it takes the room of a new one that somebody wants */
    }
}

static void on_free(struct client_connection *connection, bool reusable)
{
    struct pool_place *place = connection->owner;
    if (connection->idle_timeout_s > 0 && place->on_closed)
        place->on_closed(place->closed_ctx, connection->idle_timeout_s * NSEC_PER_SEC, true);
    if (connection->was_left && place->on_closed)
        place->on_closed(place->closed_ctx, 0, false);
    if (reusable)
        offer(place, connection, false);
    else
        close_busy(place, connection);
}

static void on_lost(struct client_connection *connection, enum client_loss loss)
{
    struct pool_place *place = connection->owner;
    struct pool_stats *stats = &place->pool->stats;
    switch (loss) {
    case CLIENT_LOSS_CLOSED:
        stats->n_idle_closed++;
        if (place->on_closed)
            place->on_closed(place->closed_ctx, idle_ns(place, connection), false);
        break;
    case CLIENT_LOSS_UNASKED:
        stats->n_idle_unasked++;
        break;
    case CLIENT_LOSS_IDLE_LONG:
        stats->n_idle_expired++;
        break;
    }
    close_idle(place, connection);
    drop_if_unused(place);
}

static const struct client_owner_ops owner_ops = {.on_free = on_free, .on_lost = on_lost};

/* -- what becomes of an attempt -- */

/* The stream of the attempt is closed, or was already. */
static void attempt_failed(struct pool_place *place, int error)
{
    count_closed(place);
    place->pool->stats.n_connect_failed++;
    struct pool_wait *wait = next_wait(place, true);
    serve_waits(place);
    drop_if_unused(place);
    if (wait)
        wait->on_ready(wait, error, NULL);
}

static void attempt_fail(struct attempt *attempt, int error)
{
    struct pool_place *place = attempt->place;
    stream_close(attempt_end(attempt));
    attempt_failed(place, error);
}

static void attempt_done(struct attempt *attempt)
{
    struct pool_place *place = attempt->place;
    struct client_connection *connection;
    int r = h1_client_new(&place->pool->room, attempt_end(attempt), &owner_ops, place, &connection);
    if (r < 0) {
        attempt_failed(place, r);
        return;
    }
    place->pool->stats.n_opened++;
    offer(place, connection, true);
}

static void begin_handshake(struct attempt *attempt)
{
    struct pool_place *place = attempt->place;
    attempt->in_handshake = true;
    int r =
        tls_connect(TAKE(attempt->stream), place->tls, place->server_name, on_attempt_event, attempt, &attempt->stream);
    if (r < 0)
        attempt_fail(attempt, r);
}

static void on_attempt_event(struct stream *stream, unsigned new_bits)
{
    struct attempt *attempt = stream->owner;
    (void)new_bits;
    if (stream->bits & STREAM_FAILED)
        attempt_fail(attempt, stream->error);
    else if (!(stream->bits & STREAM_OPEN))
        return;
    else if (attempt->place->tls && !attempt->in_handshake)
        begin_handshake(attempt);
    else
        attempt_done(attempt);
}

static void on_attempt_timer(struct timer *timer)
{
    attempt_fail(container_of(timer, struct attempt, timer), -ETIMEDOUT);
}

/* -- the pool -- */

int pool_new(struct loop *loop, const struct pool_options *options, struct pool **ret_pool)
{
    struct pool *pool = malloc(sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->loop = loop;
    pool->options = *options;
    pool->places = (struct htab){0};
    pool->stats = (struct pool_stats){0};
    int r = random_system(&pool->hash_key, sizeof(pool->hash_key));
    if (r < 0) {
        free(pool);
        return r;
    }
    h1_client_room_init(&pool->room, loop, &options->client);
    *ret_pool = pool;
    return 0;
}

/* All that nobody uses now. */
static void close_place(struct pool_place *place)
{
    ASSERT(place->n_waits == 0);
    list_for_each (link, &place->attempts) {
        stream_close(attempt_end(container_of(link, struct attempt, link)));
        count_closed(place);
    }
    list_for_each (link, &place->idle)
        close_idle(place, container_of(link, struct client_connection, link));
    drop_if_unused(place);
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    htab_for_each (node, &pool->places)
        close_place(container_of(node, struct pool_place, node));
    ASSERT(pool->stats.n_open == 0);
    htab_deinit(&pool->places);
    h1_client_room_deinit(&pool->room);
    free(pool);
}

/* For somebody who finds nothing idle that suits him. POOL_WAIT or a negative errno. */
static int begin_wait(struct pool_place *place, bool wants_new, struct pool_wait *wait)
{
    struct pool *pool = place->pool;
    if (place->n_waits >= pool->options.n_waits_per_key_max)
        return -EBUSY;
    if (!may_open(place) && place->n_idle > 0) {
        pool->stats.n_idle_expired++;
        close_idle(place, container_of(place->idle.prev, struct client_connection, link));
    }
    if (place->n_attempts <= place->n_waits && may_open(place)) {
        int r = attempt_start(place);
        if (r < 0)
            return r;
    }
    wait->place = place;
    wait->result = -ETIMEDOUT;
    wait->wants_new = wants_new;
    list_init(&wait->link);
    list_push_back(&place->waits, &wait->link);
    place->n_waits++;
    timer_init(&wait->timer, on_wait_timer);
    loop_arm(pool->loop, &wait->timer, loop_now(pool->loop) + pool->options.wait_timeout_ns);
    return POOL_WAIT;
}

int pool_place_get(struct pool_place *place, const struct pool_want *want, struct pool_wait *wait,
                   struct client_connection **ret_connection)
{
    nsec_t idle_max_ns = want ? want->idle_max_ns : NSEC_NEVER;
    list_init(&wait->link);
    struct client_connection *connection = take_idle(place, idle_max_ns);
    if (!connection)
        return begin_wait(place, idle_max_ns == 0, wait);
    place->pool->stats.n_reused++;
    *ret_connection = connection;
    return 0;
}

int pool_get(struct pool *pool, const struct pool_key *key, struct pool_wait *wait,
             struct client_connection **ret_connection)
{
    list_init(&wait->link);
    struct pool_place *place = find_place(pool, key);
    if (!place)
        place = found_place_new(pool, key);
    if (!place)
        return -ENOMEM;
    int r = pool_place_get(place, NULL, wait, ret_connection);
    if (r < 0)
        drop_if_unused(place);
    return r;
}

int pool_place_new(struct pool *pool, const struct pool_key *key, struct pool_place **ret_place)
{
    struct pool_place *place = place_new(pool, key);
    if (!place)
        return -ENOMEM;
    place->is_owned = true;
    *ret_place = place;
    return 0;
}

void pool_place_free(struct pool_place *place)
{
    if (!place)
        return;
    ASSERT(place->is_owned);
    place->is_owned = false;
    place->on_closed = NULL;
    close_place(place);
}

void pool_place_on_closed(struct pool_place *place, pool_closed_fn fn, void *ctx)
{
    place->on_closed = fn;
    place->closed_ctx = ctx;
}

void pool_close_idle(struct pool *pool, const struct pool_key *key)
{
    struct pool_place *place = find_place(pool, key);
    if (!place)
        return;
    list_for_each (link, &place->idle)
        close_idle(place, container_of(link, struct client_connection, link));
    drop_if_unused(place);
}

void pool_get_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
    *ret_stats = pool->stats;
}
