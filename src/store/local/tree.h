/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordered set of key-value records, by key: a B+tree whose nodes are copied along the path of a change, so that
 * every root sealed earlier stays as it was for its readers.
 *
 * One thread changes the tree; any number of threads read sealed roots without locks. A batch is what happens between
 * two seals: nodes made in it are nobody else's yet and are changed in place, older ones are copied once and retired.
 * Who still reads a retired node is not the tree's business: tree_take_retired hands them out, the caller frees them
 * when it is safe (mvcc.c).
 *
 * Records are not owned. Their keys must not change or go away while they are in a root that somebody reads.
 * Changes cannot fail once tree_reserve has made room for them.
 */
#pragma once

#include "store/store.h"

struct tree_node;

struct tree {
    struct tree_node *root; /* NULL: empty */
    uint64_t batch;
    struct tree_node *spare; /* reserved nodes */
    size_t n_spare;
    struct tree_node *retired;
};

void tree_init(struct tree *tree);
void tree_deinit(struct tree *tree); /* all nodes of the working root, retired and spare ones; no reader may be left */

/* Makes room for n_changes calls of tree_put or tree_remove in any order. 0 or -ENOMEM. */
int tree_reserve(struct tree *tree, size_t n_changes);

/* Puts the record in, in place of the one with the same key, which is returned (NULL: there was none). */
const struct store_kv *tree_put(struct tree *tree, const struct store_kv *kv);

/* Takes the record with that key out and returns it; NULL when there is none. */
const struct store_kv *tree_remove(struct tree *tree, struct slice key);

/* Ends the batch: the root as it is now will never change again. */
struct tree_node *tree_seal(struct tree *tree);

/*
 * A point to come back to. tree_mark seals; tree_rollback throws away all changes since, cannot fail, and may be called
 * once per mark, before the next seal.
 */
struct tree_mark {
    struct tree_node *root, *retired;
};
struct tree_mark tree_mark(struct tree *tree);
void tree_rollback(struct tree *tree, struct tree_mark mark);

/* The chain of nodes that no root sealed from now on refers to; given back once no reader can be at them. */
struct tree_node *tree_take_retired(struct tree *tree);
void tree_give_back(struct tree *tree, struct tree_node *chain); /* to be used again, or freed */

/* -------- reading; `root` may be NULL */

const struct store_kv *tree_find(const struct tree_node *root, struct slice key);
uint64_t tree_size(const struct tree_node *root);
/* How many keys are below `key`. */
uint64_t tree_rank(const struct tree_node *root, struct slice key);

#define TREE_HEIGHT_MAX 16

struct tree_iter {
    unsigned height; /* levels in use; 0: at the end */
    struct {
        const struct tree_node *node;
        unsigned slot;
    } path[TREE_HEIGHT_MAX];
};

/* Stands before the first record whose key is not below `key`. */
void tree_seek(struct tree_iter *iter, const struct tree_node *root, struct slice key);
/* The next record in key order; NULL at the end. */
const struct store_kv *tree_next(struct tree_iter *iter);
