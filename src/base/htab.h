/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive hash table. A node is embedded in its object and keeps the object's hash; the table knows nothing of keys,
 * the caller compares them:
 *
 *     htab_for_each_match (node, &pool->by_name, hash) {
 *         struct host *host = container_of(node, struct host, by_name);
 *         if (slice_equal(host->name, name))
 *             return host;
 *     }
 *
 * Hashes must be spread over all their bits (hash_bytes). Objects belong to the caller, the table owns only its array
 * of chains, which doubles as it fills and never shrinks. Zero-initialised is empty and owns nothing. One thread at a
 * time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct htab_node {
    struct htab_node *next; /* in the chain */
    uint64_t hash;
};

struct htab {
    struct htab_node **chains;
    size_t n_chains; /* 0 or a power of two */
    size_t len;      /* nodes in the table */
};

/* Frees the array; the table must be empty. */
void htab_deinit(struct htab *htab);

/* 0, or -ENOMEM with the table unchanged. The node must be in no table. */
int htab_insert(struct htab *htab, struct htab_node *node, uint64_t hash);

/* The node must be in this table. */
void htab_remove(struct htab *htab, struct htab_node *node);

/* The nodes with this hash, in no order; NULL at the end. Several only when keys are equal or their hashes collide. */
struct htab_node *htab_match_first(const struct htab *htab, uint64_t hash);
struct htab_node *htab_match_next(const struct htab_node *node);

/* All nodes, in no order; NULL at the end. */
struct htab_node *htab_first(const struct htab *htab);
struct htab_node *htab_next(const struct htab *htab, const struct htab_node *node);

/* Walks the nodes with one hash; the body must not remove the current one and go on. */
#define htab_for_each_match(node, htab, hash)                                                                          \
    for (struct htab_node *node = htab_match_first(htab, hash); node; node = htab_match_next(node))

/* Walks all nodes; the body may remove the current one, and inserts none. */
#define htab_for_each(node, htab)                                                                                      \
    for (struct htab_node *node = htab_first(htab), *node##_next; node && (node##_next = htab_next(htab, node), 1);    \
         node = node##_next)
