/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of a few entries: a request looks in one of them. Its worker alone changes which edge an entry is, under a lock
 * that readers take to look at all of them; it reads that, and counts, without.
 *
 * The rate is that of the last whole window and what has come since, each window being WINDOW_NS long.
 */
#include "gateway/edges.h"

#include "base/counter.h"
#include "base/util.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WAYS      8
#define SETS      (EDGES_MAX / WAYS)
#define WINDOW_NS (10 * NSEC_PER_SEC)
#define IDLE_NS   (60 * NSEC_PER_SEC) /* then it may make room */

struct entry {
    /* changed under the lock */
    uint64_t service;
    struct peer peer;
    uint8_t kind, n_caller;
    char caller[EDGE_CALLER_MAX];
    /* written by the worker */
    _Atomic uint64_t n_requests, n_errors;
    _Atomic int64_t window; /* the number of the window in which the last request came */
    _Atomic uint64_t n_in_window, n_in_last;
};

struct edges {
    pthread_mutex_t lock;
    struct hash_key key;
    uint64_t keys[SETS][WAYS]; /* of the entries, those of a set together; 0: no edge */
    struct entry entries[SETS][WAYS];
};

int edges_new(const struct hash_key *key, struct edges **ret_edges)
{
    struct edges *edges = calloc(1, sizeof(*edges)); /* pages that no edge is in are never touched */
    if (!edges)
        return -ENOMEM;
    pthread_mutex_init(&edges->lock, NULL);
    edges->key = *key;
    *ret_edges = edges;
    return 0;
}

void edges_free(struct edges *edges)
{
    if (!edges)
        return;
    pthread_mutex_destroy(&edges->lock);
    free(edges);
}

/* ------------------------------------------------------------------------------------------------ which edge */

/* What an edge is known by; `caller` and `peer` as its kind has them. */
struct name {
    enum edge_kind kind;
    struct slice caller;
    struct peer peer;
    uint64_t service;
};

/* Addresses are spread quickly, not safely: who makes his collide is counted with others of his kind, no more. */
static uint64_t key_of(const struct edges *edges, const struct name *name)
{
    uint64_t ip[2];
    if (name->kind == EDGE_CERTIFICATE)
        return (hash_bytes(&edges->key, name->caller) ^ name->service) | 1;
    memcpy(ip, name->peer.ip, sizeof(ip));
    uint64_t hash = hash_number(ip[0] ^ edges->key.k0) ^ hash_number(hash_number(ip[1] ^ edges->key.k1) + name->kind);
    return (hash_number(hash) ^ name->service) | 1;
}

static enum edge_kind kind_of(const struct peer *peer)
{
    const uint8_t *ip = peer->ip;
    struct addr addr;
    if (peer->family == AF_UNIX)
        return EDGE_LOCAL;
    addr_from_ip(peer, &addr);
    if (addr_is_loopback(&addr))
        return EDGE_LOCAL;
    if (peer->family == AF_INET6)
        return (ip[0] & 0xfe) == 0xfc || (ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80) ? EDGE_PRIVATE : EDGE_OTHER;
    bool is_private = ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xf0) == 16) || (ip[0] == 192 && ip[1] == 168) ||
                      (ip[0] == 100 && (ip[1] & 0xc0) == 64) || (ip[0] == 169 && ip[1] == 254);
    return is_private ? EDGE_PRIVATE : EDGE_OTHER;
}

static bool is_idle(const struct entry *entry, nsec_t now_ns)
{
    return now_ns - atomic_load_explicit(&entry->window, memory_order_relaxed) * WINDOW_NS > IDLE_NS;
}

static void rename_entry(struct edges *edges, struct entry *entry, uint64_t key, const struct name *name, nsec_t now_ns)
{
    size_t index = (size_t)(entry - &edges->entries[0][0]);
    pthread_mutex_lock(&edges->lock);
    edges->keys[index / WAYS][index % WAYS] = key;
    entry->service = name->service;
    entry->kind = (uint8_t)name->kind;
    entry->peer = name->peer;
    entry->n_caller = (uint8_t)min_size(name->caller.len, sizeof(entry->caller));
    if (entry->n_caller > 0)
        memcpy(entry->caller, name->caller.ptr, entry->n_caller);
    atomic_store_explicit(&entry->n_requests, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->n_errors, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->window, now_ns / WINDOW_NS, memory_order_relaxed);
    atomic_store_explicit(&entry->n_in_window, 0, memory_order_relaxed);
    atomic_store_explicit(&entry->n_in_last, 0, memory_order_relaxed);
    pthread_mutex_unlock(&edges->lock);
}

/* NULL: there is no room. is_urgent: then the one that came first in its set goes. */
static struct entry *find(struct edges *edges, const struct name *name, bool is_urgent, nsec_t now_ns)
{
    uint64_t key = key_of(edges, name);
    const uint64_t *keys = edges->keys[(key >> 1) % SETS];
    struct entry *set = edges->entries[(key >> 1) % SETS], *free_entry = is_urgent ? &set[0] : NULL;
    for (unsigned i = 0; i < WAYS; i++)
        if (keys[i] == key)
            return &set[i];
    for (unsigned i = 0; i < WAYS; i++) {
        if (keys[i] == 0 || is_idle(&set[i], now_ns)) {
            free_entry = &set[i];
            break;
        }
    }
    if (free_entry)
        rename_entry(edges, free_entry, key, name, now_ns);
    return free_entry;
}

/* ------------------------------------------------------------------------------------------------ counting */

static void count(struct entry *entry, bool is_error, nsec_t now_ns)
{
    int64_t window = now_ns / WINDOW_NS, last = atomic_load_explicit(&entry->window, memory_order_relaxed);
    if (window != last) {
        uint64_t n = atomic_load_explicit(&entry->n_in_window, memory_order_relaxed);
        atomic_store_explicit(&entry->n_in_last, window == last + 1 ? n : 0, memory_order_relaxed);
        atomic_store_explicit(&entry->n_in_window, 0, memory_order_relaxed);
        atomic_store_explicit(&entry->window, window, memory_order_relaxed);
    }
    counter_add(&entry->n_in_window, 1);
    counter_add(&entry->n_requests, 1);
    if (is_error)
        counter_add(&entry->n_errors, 1);
}

void edges_count(struct edges *edges, struct slice caller, const struct peer *peer, uint64_t service, bool is_error,
                 nsec_t now_ns)
{
    struct name name = {.kind = EDGE_ADDRESS, .peer = *peer, .service = service};
    name.peer.port = 0;
    if (caller.len > 0)
        name = (struct name){.kind = EDGE_CERTIFICATE, .caller = caller, .service = service};
    else if (peer->family == AF_UNIX)
        name = (struct name){.kind = EDGE_LOCAL, .service = service};
    struct entry *entry = find(edges, &name, false, now_ns);
    if (!entry) {
        name = (struct name){.kind = kind_of(peer), .service = service};
        entry = find(edges, &name, true, now_ns);
    }
    count(entry, is_error, now_ns);
}

/* ------------------------------------------------------------------------------------------------ reading */

static double rate_of(const struct entry *entry, nsec_t now_ns)
{
    int64_t window = now_ns / WINDOW_NS, last = atomic_load_explicit(&entry->window, memory_order_relaxed);
    double n_now = (double)atomic_load_explicit(&entry->n_in_window, memory_order_relaxed);
    double n_last = (double)atomic_load_explicit(&entry->n_in_last, memory_order_relaxed);
    double gone_s = (double)(now_ns % WINDOW_NS) / NSEC_PER_SEC, window_s = (double)WINDOW_NS / NSEC_PER_SEC;
    if (window > last + 1)
        return 0;
    if (window == last + 1)
        return n_now / (window_s + gone_s);
    return n_last > 0 ? (n_last + n_now) / (window_s + gone_s) : n_now / (gone_s > 1 ? gone_s : 1);
}

void edges_each(struct edges *edges, nsec_t now_ns, void (*fn)(void *ctx, const struct edge *edge), void *ctx)
{
    pthread_mutex_lock(&edges->lock);
    for (unsigned i = 0; i < EDGES_MAX; i++) {
        const struct entry *entry = &edges->entries[i / WAYS][i % WAYS];
        if (edges->keys[i / WAYS][i % WAYS] == 0)
            continue;
        const struct edge edge = {
            .kind = (enum edge_kind)entry->kind,
            .caller = slice_from(entry->caller, entry->n_caller),
            .peer = entry->peer,
            .service = entry->service,
            .n_requests = atomic_load_explicit(&entry->n_requests, memory_order_relaxed),
            .n_errors = atomic_load_explicit(&entry->n_errors, memory_order_relaxed),
            .rate = rate_of(entry, now_ns),
        };
        fn(ctx, &edge);
    }
    pthread_mutex_unlock(&edges->lock);
}
