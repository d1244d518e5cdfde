/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who watches a key: nodes by the single key or the range of keys that each waits for. Finding those of a key costs the
 * matches and a logarithm, not the number of nodes.
 *
 * Nodes that wait for the same share one spot. Spots of single keys are found by hash; those of ranges are also in a
 * balanced tree of intervals. One thread.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "base/list.h"
#include "base/random.h"
#include "base/slice.h"

struct watch_spot;

/* Embedded in what watches. */
struct watch_node {
    struct list link;        /* among those of its spot */
    struct watch_spot *spot; /* NULL: in no index */
};

struct watch_index {
    struct hash_key hash_key;
    struct htab spots;
    struct watch_spot *ranges; /* root of the tree */
    size_t n_single;           /* spots of single keys */
    struct random dice;        /* for the tree */
};

/* 0, or -errno when the system has no random numbers. */
int watch_index_init(struct watch_index *index);
/* It must be empty. */
void watch_index_deinit(struct watch_index *index);

/* As store_range: `end` empty for the single key, "\0" for all from key on, else [key, end). Both are copied. */
int watch_index_add(struct watch_index *index, struct watch_node *node, struct slice key, struct slice end);
/* Harmless when it is in none. */
void watch_index_remove(struct watch_index *index, struct watch_node *node);

static inline bool watch_index_is_empty(const struct watch_index *index)
{
    return index->spots.len == 0;
}

/* Any node; NULL when there is none. */
struct watch_node *watch_index_first(const struct watch_index *index);

/* Calls fn for each node that waits for this key, in no order; fn neither adds nor removes. */
typedef void (*watch_match_fn)(void *ctx, struct watch_node *node);
void watch_index_match(const struct watch_index *index, struct slice key, watch_match_fn fn, void *ctx);
