/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a pool that are open: idle, or busy with a call, from which they come back by themselves. One that is
 * free goes to the one who waits longest of those whom it suits; else it is kept, in front of those used before it.
 */
#include "http/pool_priv.h"

static nsec_t idle_ns(const struct pool_place *place, const struct client_connection *connection)
{
    return loop_now(place->pool->loop) - connection->idle_since_ns;
}

static void remove_idle(struct pool_place *place, struct client_connection *connection)
{
    list_remove(&connection->link);
    place->n_idle--;
    place->pool->stats.n_idle--;
}

static void close_idle(struct pool_place *place, struct client_connection *connection)
{
    remove_idle(place, connection);
    pool_count_closed(place);
    client_connection_close(connection);
}

struct client_connection *pool_take_idle(struct pool_place *place, nsec_t idle_max_ns)
{
    if (list_is_empty(&place->idle) || idle_max_ns == 0)
        return NULL;
    struct client_connection *connection = container_of(place->idle.next, struct client_connection, link);
    if (idle_ns(place, connection) > idle_max_ns)
        return NULL;
    remove_idle(place, connection);
    return connection;
}

void pool_expire_oldest(struct pool_place *place)
{
    place->pool->stats.n_idle_expired++;
    close_idle(place, container_of(place->idle.prev, struct client_connection, link));
}

/* Places take turns, so that one that was used a moment ago is rarely met, and those that have none are passed once. */
bool pool_give_way(struct pool *pool, const struct pool_place *place)
{
    for (unsigned n = pool->n_places; n > 0; n--) {
        struct pool_place *next = container_of(pool->all.next, struct pool_place, link);
        list_remove(&next->link);
        list_push_back(&pool->all, &next->link);
        if (next->n_idle == 0)
            continue;
        pool_expire_oldest(next);
        if (next != place)
            pool_drop_if_unused(next);
        return true;
    }
    return false;
}

bool pool_make_room(struct pool *pool)
{
    return pool_give_way(pool, NULL);
}

void pool_close_all_idle(struct pool_place *place)
{
    list_for_each (link, &place->idle)
        close_idle(place, container_of(link, struct client_connection, link));
}

/* Keeps it, the freshest, and closes another one when that is one too many. */
static void keep_idle(struct pool_place *place, struct client_connection *connection)
{
    struct pool *pool = place->pool;
    list_push_front(&place->idle, &connection->link);
    place->n_idle++;
    pool->stats.n_idle++;
    if (place->n_idle > pool->options.n_idle_per_key_max)
        pool_expire_oldest(place);
    else if (pool->stats.n_idle > pool->options.n_idle_max)
        (void)pool_give_way(pool, place);
}

static void close_busy(struct pool_place *place, struct client_connection *connection)
{
    client_connection_close(connection);
    pool_count_closed(place);
    pool_serve_waits(place);
    pool_drop_if_unused(place);
}

/* A connection that can take a call. */
static void offer(struct pool_place *place, struct client_connection *connection, bool is_new)
{
    struct pool_wait *wait = pool_next_wait(place, is_new);
    if (wait) {
        place->pool->stats.n_reused += !is_new;
        wait->on_ready(wait, 0, connection);
    } else if ((place->is_found || place->is_owned) && (place->n_waits == 0 || pool_may_open(place))) {
        keep_idle(place, connection);
        pool_drop_if_unused(place); /* when none may be kept */
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
    pool_drop_if_unused(place);
}

static const struct client_owner_ops owner_ops = {.on_free = on_free, .on_lost = on_lost};

int pool_add_connection(struct pool_place *place, struct stream *stream)
{
    struct client_connection *connection;
    int r = h1_client_new(&place->pool->room, stream, &owner_ops, place, &connection);
    if (r < 0)
        return r;
    place->pool->stats.n_opened++;
    offer(place, connection, true);
    return 0;
}
