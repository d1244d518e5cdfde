/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of the path-copied B+tree (tree.c): slots in key order and the search among them.
 *
 * Comparing keys through a pointer per slot would cost a cache miss each. So a node notes how many leading bytes all
 * its keys share (`skip`) and has the next eight of each key in an array of integers (`digest`): a search compares
 * integers, and looks at a record only where eight bytes do not decide. Nor does it compare the shared bytes: what a
 * node on the way has shown says how much of the key agrees with the keys below (struct way).
 *
 * Invariants:
 *  1. Slots 0..n-1 are in strictly ascending key order; a node that is not the root has n >= 1.
 *  2. The key of a leaf's slot is that of its record, that of an inner slot the lowest one below its child.
 *  3. All keys of the slots share their first `skip` bytes; digest[i] is bytes skip..skip+7 of key i, big-endian, zeros
 *     behind a key's end.
 */
#pragma once

#include "store/local/tree.h"

#define TREE_SLOTS 32

struct tree_node {
    uint64_t batch;         /* the one that it was made in */
    uint64_t n_items;       /* records below */
    struct tree_node *link; /* in the chains of spare and retired nodes */
    uint32_t skip;
    uint16_t n;
    uint8_t height;  /* 0: a leaf */
    uint8_t entered; /* the slot that was opened last: a hint */
    uint64_t digest[TREE_SLOTS];
    union {
        const struct store_kv *record[TREE_SLOTS]; /* in a leaf */
        struct tree_node *child[TREE_SLOTS];
    };
};

/* A key on its way from the root down, and what is known of it and the lowest key of the node it has come to. */
struct way {
    struct slice key;
    size_t shared; /* so many leading bytes are the same */
    int order; /* -1, 1: behind them the key is below, above that lowest one; 0: not known, perhaps more are the same */
};

/* So much of a record (its key and value lie behind it) that the processor sees the pattern and goes on by itself. */
#define TREE_RECORD_BYTES 256

/* Asks for all of what is used soon: nodes and records lie anywhere, and line by line each would be waited for. */
static inline void tree_fetch(const void *memory, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes; at += 64)
        __builtin_prefetch((const char *)memory + at);
}

/* The lowest record in or below a slot. */
const struct store_kv *tree_node_low(const struct tree_node *node, unsigned slot);

/* The first slot whose key is not below the way's, n when all are; *ret_equal: it is that very key. */
unsigned tree_node_search(const struct tree_node *node, struct way *way, bool *ret_equal);

/* The slot of the child in which the key is or would be; the way leads there. For inner nodes. */
unsigned tree_node_descend(const struct tree_node *node, struct way *way);

/* Restores invariant 3 after the key of one slot changed, or of any. */
void tree_node_digest_slot(struct tree_node *node, unsigned slot);
void tree_node_digest(struct tree_node *node);

/* Counts n_items anew. */
void tree_node_count(struct tree_node *node);

/* A place for one more slot, which must be there; the caller fills it in and digests it. */
void tree_node_open_slot(struct tree_node *node, unsigned slot);
void tree_node_erase(struct tree_node *node, unsigned slot);

/* Adds slots begin..n-1 of `from` behind those of `to`, and counts. */
void tree_node_append(struct tree_node *to, const struct tree_node *from, unsigned begin);
