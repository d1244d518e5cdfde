/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The copy of one service's instances, and its handles. A change costs what it touches; what is made of the whole (the
 * list, the candidates of a choice) is made when somebody asks for it, once per change.
 *
 * Under the client's lock.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "base/list.h"
#include "client/client.h"
#include "client/known.h"

/* Instances of one service that are kept; a server that sends more is not believed. */
#define CACHE_INSTANCES_MAX ((size_t)1 << 20)

struct cache {
    struct list link;    /* in its follow, or on no list */
    struct list handles; /* it lives as long as one of them */
    char *name;
    struct hash_key hash_key;
    struct htab members;
    unsigned n_offered, n_doubtful;
    uint64_t round; /* of the last snapshot */
    bool is_static;
    bool is_known; /* the registry has answered once */
    bool is_due;   /* a snapshot of it is to come in this stream */
    uint64_t turn; /* round-robin */
    /* Made on demand; dropped at each change. */
    struct muster_instances *list;
    struct muster_instances *candidates; /* offered ones, else those of last resort */
    uint64_t total_weight;
    bool is_even; /* all candidates have the same weight */
};

struct muster_service {
    struct list link; /* in its cache */
    struct cache *cache;
    struct muster_client *client;
    struct task notify;
    muster_service_fn fn;
    void *ctx;
    unsigned n_waiting; /* calls that wait for it: the last of them frees it when it was freed meanwhile */
    bool is_freed;      /* and its cache is no longer there */
};

/* NULL: out of memory. */
struct cache *cache_new(const char *name);
void cache_free(struct cache *cache);

/* A handle more. NULL: out of memory. */
struct muster_service *cache_new_handle(struct cache *cache, struct muster_client *client);

/* Begin and end of a call that waits for a handle: without the lock, and with it, which is then given up. */
struct muster_client *cache_begin_waiting(struct muster_service *service);
void cache_end_waiting(struct muster_service *service);

/* An instance came or changed, or went. 0, -EINVAL (it is none that a muster gives), -ENOMEM: unchanged. */
int cache_put(struct cache *cache, json_t *instance);
void cache_remove(struct cache *cache, const char *id);

/*
 * All instances anew, after the stream was lost: what is not among them stays for now as one of last resort, until
 * cache_drop_doubtful. `is_certain`: it goes at once.
 */
int cache_replace(struct cache *cache, const json_t *instances, bool is_certain);
void cache_drop_doubtful(struct cache *cache);

/* The list of all, or of the candidates; belongs to the cache. NULL: out of memory. */
struct muster_instances *cache_list(struct cache *cache);
struct muster_instances *cache_candidates(struct cache *cache);
