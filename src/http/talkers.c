/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table is sets of a few places each. Who comes anew takes the place of the one in his set who talked least, so that
 * neither many addresses nor one with many connections push out those that are asked for, and counting is always a look
 * at one set.
 *
 * The rate is that of the minute before, as far as it still overlaps the last 60 seconds, and of the present one.
 */
#include "http/talkers.h"

#include "base/assert.h"
#include "base/counter.h"
#include "base/hash.h"
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define SETS      64 /* a power of two */
#define PLACES    8
#define MINUTE_NS (60 * NSEC_PER_SEC)
#define ASK_BYTES 4096 /* so many bytes are as much work as a request */

struct place {
    struct peer peer;       /* family 0: nobody; changed under the lock */
    _Atomic int64_t minute; /* which one the present one is */
    _Atomic uint64_t n_requests, n_bytes;
    struct {
        _Atomic uint64_t n_requests, n_bytes;
    } present, before;
};

struct table {
    pthread_mutex_t lock;
    struct place *last; /* who was counted last, and mostly is again; NULL: nobody was */
    struct place sets[SETS][PLACES];
};

struct talkers {
    struct hash_key key;
    unsigned n_tables;
    struct table tables[];
};

int talkers_new(unsigned n_slots, struct talkers **ret_talkers)
{
    struct talkers *talkers = calloc(1, sizeof(*talkers) + n_slots * sizeof(talkers->tables[0]));
    int r = talkers ? random_system(&talkers->key, sizeof(talkers->key)) : -ENOMEM;
    if (r < 0) {
        free(talkers);
        return r;
    }
    for (; talkers->n_tables < n_slots; talkers->n_tables++)
        pthread_mutex_init(&talkers->tables[talkers->n_tables].lock, NULL);
    *ret_talkers = talkers;
    return 0;
}

void talkers_free(struct talkers *talkers)
{
    for (unsigned i = 0; talkers && i < talkers->n_tables; i++)
        pthread_mutex_destroy(&talkers->tables[i].lock);
    free(talkers);
}

/* ------------------------------------------------------------------------------------------------ a place */

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void set(_Atomic uint64_t *count, uint64_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

static bool is_same(const struct peer *a, const struct peer *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Of a number that was counted in the minute before, what falls into the last 60 s. */
static uint64_t overlap(uint64_t n, nsec_t now_ns)
{
    return n * (uint64_t)(MINUTE_NS - now_ns % MINUTE_NS) / (uint64_t)MINUTE_NS;
}

/* `present` and `before` are of the place's minute, which may be over, or have begun after now_ns. */
static uint64_t in_last_minute(const struct place *place, uint64_t present, uint64_t before, nsec_t now_ns)
{
    int64_t age = now_ns / MINUTE_NS - atomic_load_explicit(&place->minute, memory_order_relaxed);
    if (age <= 0)
        return present + overlap(before, now_ns);
    return age == 1 ? overlap(present, now_ns) : 0;
}

static struct talker show(const struct place *place, nsec_t now_ns)
{
    return (struct talker){
        .peer = place->peer,
        .n_requests = get(&place->n_requests),
        .n_bytes = get(&place->n_bytes),
        .requests_per_minute =
            in_last_minute(place, get(&place->present.n_requests), get(&place->before.n_requests), now_ns),
        .bytes_per_minute = in_last_minute(place, get(&place->present.n_bytes), get(&place->before.n_bytes), now_ns),
    };
}

static uint64_t weight_of(const struct talker *talker)
{
    return talker->requests_per_minute + talker->bytes_per_minute / ASK_BYTES;
}

/* ------------------------------------------------------------------------------------------------ counting */

static void begin_minute(struct place *place, int64_t minute, uint64_t n_requests, uint64_t n_bytes)
{
    set(&place->before.n_requests, n_requests);
    set(&place->before.n_bytes, n_bytes);
    set(&place->present.n_requests, 0);
    set(&place->present.n_bytes, 0);
    atomic_store_explicit(&place->minute, minute, memory_order_relaxed);
}

/* Brings the place up to the minute. */
static void turn(struct place *place, int64_t minute)
{
    int64_t last = atomic_load_explicit(&place->minute, memory_order_relaxed);
    bool is_next = minute == last + 1;
    if (last < minute)
        begin_minute(place, minute, is_next ? get(&place->present.n_requests) : 0,
                     is_next ? get(&place->present.n_bytes) : 0);
}

static size_t set_of(const struct talkers *talkers, const struct peer *peer)
{
    return hash_bytes(&talkers->key, slice_from(peer->ip, sizeof(peer->ip))) % SETS;
}

static void give_place(struct table *table, struct place *place, const struct peer *peer, nsec_t now_ns)
{
    pthread_mutex_lock(&table->lock);
    place->peer = *peer;
    place->peer.port = 0;
    set(&place->n_requests, 0);
    set(&place->n_bytes, 0);
    begin_minute(place, now_ns / MINUTE_NS, 0, 0);
    pthread_mutex_unlock(&table->lock);
}

/* His place in the set, or the one of whoever talked least. */
static struct place *find_place(struct table *table, struct place *set, const struct peer *peer, nsec_t now_ns)
{
    struct place *least = NULL;
    uint64_t least_weight = UINT64_MAX;
    for (unsigned i = 0; i < PLACES; i++) {
        if (is_same(&set[i].peer, peer))
            return &set[i];
    }
    for (unsigned i = 0; i < PLACES; i++) {
        const struct talker talker = show(&set[i], now_ns);
        uint64_t weight = set[i].peer.family == 0 ? 0 : weight_of(&talker) + 1;
        if (weight < least_weight) {
            least = &set[i];
            least_weight = weight;
        }
    }
    give_place(table, least, peer, now_ns);
    return least;
}

void talkers_count(struct talkers *talkers, unsigned slot, const struct peer *peer, unsigned n_requests,
                   uint64_t n_bytes, nsec_t now_ns)
{
    ASSERT(slot < talkers->n_tables);
    struct table *table = &talkers->tables[slot];
    if (!table->last || !is_same(&table->last->peer, peer))
        table->last = find_place(table, table->sets[set_of(talkers, peer)], peer, now_ns);
    struct place *place = table->last;
    turn(place, now_ns / MINUTE_NS);
    counter_add(&place->n_requests, n_requests);
    counter_add(&place->n_bytes, n_bytes);
    counter_add(&place->present.n_requests, n_requests);
    counter_add(&place->present.n_bytes, n_bytes);
}

/* ------------------------------------------------------------------------------------------------ telling */

static int compare_peers(const void *a, const void *b)
{
    const struct talker *left = a, *right = b;
    int by_ip = memcmp(left->peer.ip, right->peer.ip, sizeof(left->peer.ip));
    return by_ip != 0 ? by_ip : (int)left->peer.family - (int)right->peer.family;
}

static int compare_weights(const void *a, const void *b)
{
    uint64_t left = weight_of(a), right = weight_of(b);
    return left != right ? (left < right) - (left > right) : compare_peers(a, b);
}

/* All of all tables, behind each other. */
static size_t gather(struct talkers *talkers, nsec_t now_ns, struct talker *all)
{
    size_t n = 0;
    for (unsigned i = 0; i < talkers->n_tables; i++) {
        struct table *table = &talkers->tables[i];
        pthread_mutex_lock(&table->lock);
        for (unsigned at = 0; at < SETS * PLACES; at++) {
            const struct place *place = &table->sets[at / PLACES][at % PLACES];
            if (place->peer.family != 0)
                all[n++] = show(place, now_ns);
        }
        pthread_mutex_unlock(&table->lock);
    }
    return n;
}

/* Those that are one, next to each other, become one. */
static size_t add_up(struct talker *all, size_t n)
{
    size_t n_left = 0;
    for (size_t i = 0; i < n; i++) {
        if (n_left == 0 || !is_same(&all[n_left - 1].peer, &all[i].peer)) {
            all[n_left++] = all[i];
            continue;
        }
        struct talker *sum = &all[n_left - 1];
        sum->n_requests += all[i].n_requests;
        sum->n_bytes += all[i].n_bytes;
        sum->requests_per_minute += all[i].requests_per_minute;
        sum->bytes_per_minute += all[i].bytes_per_minute;
    }
    return n_left;
}

int talkers_top(struct talkers *talkers, nsec_t now_ns, struct talker ret_top[TALKERS_TOP_MAX])
{
    struct talker *all = calloc((size_t)talkers->n_tables * SETS * PLACES, sizeof(*all));
    if (!all)
        return -ENOMEM;
    size_t n = gather(talkers, now_ns, all);
    qsort(all, n, sizeof(*all), compare_peers);
    n = add_up(all, n);
    qsort(all, n, sizeof(*all), compare_weights);
    n = n < TALKERS_TOP_MAX ? n : TALKERS_TOP_MAX;
    memcpy(ret_top, all, n * sizeof(*all));
    free(all);
    return (int)n;
}
