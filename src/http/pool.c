/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections are grouped by place. A place exists as long as it has a connection, an attempt to open one, somebody who
 * waits, or an owner. What holds for all of the pool's files: pool_priv.h.
 */
#include "http/pool_priv.h"

#include "base/assert.h"
#include "base/random.h"
#include "io/tcp.h"

#include <errno.h>
#include <stdlib.h>

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
    list_init(&place->link);
    list_push_back(&pool->all, &place->link);
    pool->n_places++;
    list_init(&place->idle);
    list_init(&place->waits);
    list_init(&place->attempts);
    return place;
}

void pool_drop_if_unused(struct pool_place *place)
{
    if (place->n_open > 0 || place->n_waits > 0 || place->is_owned)
        return;
    if (place->is_found)
        htab_remove(&place->pool->places, &place->node);
    list_remove(&place->link);
    place->pool->n_places--;
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
        pool_drop_if_unused(place);
        return NULL;
    }
    place->is_found = true;
    return place;
}

/* -- waits -- */

static void end_wait(struct pool_wait *wait)
{
    list_remove(&wait->link);
    loop_cancel(wait->place->pool->loop, &wait->timer);
    wait->place->n_waits--;
}

struct pool_wait *pool_next_wait(struct pool_place *place, bool is_new)
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

bool pool_may_open(const struct pool_place *place)
{
    unsigned max = place->pool->options.n_per_key_max;
    return max == 0 || place->n_open < max;
}

void pool_serve_waits(struct pool_place *place)
{
    while (place->n_attempts < place->n_waits && pool_may_open(place)) {
        int r = pool_attempt_start(place);
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
    pool_serve_waits(place);
    pool_drop_if_unused(place);
    wait->on_ready(wait, wait->result, NULL);
}

/* For somebody who finds nothing idle that suits him. POOL_WAIT or a negative errno. */
static int begin_wait(struct pool_place *place, bool wants_new, struct pool_wait *wait)
{
    struct pool *pool = place->pool;
    if (place->n_waits >= pool->options.n_waits_per_key_max)
        return -EBUSY;
    if (place->n_idle > (pool_may_open(place) ? 1 : 0))
        pool_expire_oldest(place);
    if (place->n_attempts <= place->n_waits && pool_may_open(place)) {
        int r = pool_attempt_start(place);
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

void pool_cancel(struct pool_wait *wait)
{
    if (!list_is_linked(&wait->link))
        return;
    end_wait(wait); /* the attempt goes on: somebody may want it */
    pool_drop_if_unused(wait->place);
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
    list_init(&pool->all);
    pool->n_places = 0;
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

void pool_set_options(struct pool *pool, const struct pool_options *options)
{
    pool->options = *options;
    pool->room.options = options->client;
}

/* All that nobody uses now. */
static void close_place(struct pool_place *place)
{
    ASSERT(place->n_waits == 0);
    pool_close_attempts(place);
    pool_close_all_idle(place);
    pool_drop_if_unused(place);
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

int pool_place_get(struct pool_place *place, const struct pool_want *want, struct pool_wait *wait,
                   struct client_connection **ret_connection)
{
    nsec_t idle_max_ns = want ? want->idle_max_ns : NSEC_NEVER;
    list_init(&wait->link);
    struct client_connection *connection = pool_take_idle(place, idle_max_ns);
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
        pool_drop_if_unused(place);
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

unsigned pool_place_n_idle(const struct pool_place *place)
{
    return place->n_idle;
}

void pool_place_set_tls(struct pool_place *place, struct tls_config *tls)
{
    ASSERT(place->is_owned && place->tls && tls);
    (void)tls_config_ref(tls);
    (void)tls_config_unref(place->tls);
    place->tls = tls;
}

void pool_get_stats(const struct pool *pool, struct pool_stats *ret_stats)
{
    *ret_stats = pool->stats;
}
