/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path-copied B+tree; what happens inside a node is tree_node.c's.
 *
 * All records are in leaves (height 0). The key of an inner slot is the lowest one below it, its digest kept exact on
 * the way up of each change, so there are no separator keys whose memory somebody would have to own.
 *
 * Invariants, besides those of the nodes:
 *  1. A node with batch < tree->batch is never written, but for its `link` once it is retired.
 *  2. All leaves are at the same depth.
 */
#include "store/local/tree_node.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* A node with fewer slots than this looks for a neighbour to become one with. */
#define FEW (TREE_SLOTS / 4)

/* A record is fetched so many before its turn. */
#define AHEAD 4

/* Spare nodes beyond these are freed. */
#define SPARE_MAX 1024

/* ------------------------------------------------------------------------------------------------ nodes */

static struct tree_node *node_take(struct tree *tree, unsigned height)
{
    struct tree_node *node = tree->spare;
    ASSERT(node);
    tree->spare = node->link;
    tree->n_spare--;
    node->batch = tree->batch;
    node->n_items = 0;
    node->link = NULL;
    node->skip = 0;
    node->n = 0;
    node->height = (uint8_t)height;
    node->entered = TREE_SLOTS;
    return node;
}

/* The node is not part of the working root any more: reused at once when only this batch has seen it. */
static void node_drop(struct tree *tree, struct tree_node *node)
{
    if (node->batch == tree->batch) {
        node->link = tree->spare;
        tree->spare = node;
        tree->n_spare++;
    } else {
        node->link = tree->retired;
        tree->retired = node;
    }
}

/* The node itself when it may be changed, else a copy that takes its place. */
static struct tree_node *node_own(struct tree *tree, struct tree_node *node)
{
    if (node->batch == tree->batch)
        return node;
    struct tree_node *copy = node_take(tree, node->height);
    uint64_t batch = copy->batch;
    *copy = *node;
    copy->batch = batch;
    copy->link = NULL;
    node_drop(tree, node);
    return copy;
}

/* ------------------------------------------------------------------------------------------------ changing */

void tree_init(struct tree *tree)
{
    *tree = (struct tree){.batch = 1};
}

static void node_free_all(struct tree_node *node)
{
    for (unsigned i = 0; node->height && i < node->n; i++)
        node_free_all(node->child[i]);
    free(node);
}

static void free_chain(struct tree_node *chain)
{
    while (chain) {
        struct tree_node *next = chain->link;
        free(chain);
        chain = next;
    }
}

void tree_deinit(struct tree *tree)
{
    if (tree->root)
        node_free_all(tree->root);
    free_chain(tree->retired);
    free_chain(tree->spare);
    tree_init(tree);
}

void tree_give_back(struct tree *tree, struct tree_node *chain)
{
    while (chain && tree->n_spare < SPARE_MAX) {
        struct tree_node *next = chain->link;
        chain->link = tree->spare;
        tree->spare = chain;
        tree->n_spare++;
        chain = next;
    }
    free_chain(chain);
}

int tree_reserve(struct tree *tree, size_t n_changes)
{
    /*
     * A change copies a node per level and makes one more per level (a split or a merged neighbour), and perhaps a
     * root; the tree may grow by a level on the way.
     */
    size_t levels = tree->root ? tree->root->height + 2u : 2;
    size_t wanted = n_changes * (2 * levels + 1);
    while (tree->n_spare < wanted) {
        struct tree_node *node = malloc(sizeof(*node));
        if (!node)
            return -ENOMEM;
        node->link = tree->spare;
        tree->spare = node;
        tree->n_spare++;
    }
    return 0;
}

/* What a slot leads to: a record in a leaf, else a child. */
static void insert(struct tree_node *node, unsigned slot, const struct store_kv *record, struct tree_node *child)
{
    tree_node_open_slot(node, slot);
    if (node->height == 0)
        node->record[slot] = record;
    else
        node->child[slot] = child;
    tree_node_digest_slot(node, slot);
}

/*
 * How many slots a full node keeps when another is to be put in at `slot`: half, but for keys that arrive in order.
 * Those would leave half-full nodes behind, so what is behind them moves away, be it far less or far more than half:
 * they go on filling the node that they came to.
 */
static unsigned cut_for(const struct tree_node *node, unsigned slot)
{
    const unsigned most = TREE_SLOTS - FEW / 2;
    if (slot != TREE_SLOTS && slot != node->entered + 1u)
        return TREE_SLOTS / 2;
    return slot < most ? slot : most;
}

/* As insert, splitting the node when it is full; the new right neighbour, or NULL. */
static struct tree_node *insert_splitting(struct tree *tree, struct tree_node *node, unsigned slot,
                                          const struct store_kv *record, struct tree_node *child)
{
    if (node->n < TREE_SLOTS) {
        insert(node, slot, record, child);
        return NULL;
    }

    unsigned cut = cut_for(node, slot);
    struct tree_node *right = node_take(tree, node->height);
    tree_node_append(right, node, cut);
    node->n = (uint16_t)cut;
    tree_node_digest(node);
    if (slot <= cut)
        insert(node, slot, record, child);
    else
        insert(right, slot - cut, record, child);
    tree_node_count(node);
    tree_node_count(right);
    return right;
}

/* Puts a record below *place (which becomes a copy where needed); the right neighbour if the node had to be split. */
static struct tree_node *put_below(struct tree *tree, struct tree_node **place, struct way *way,
                                   const struct store_kv *kv, const struct store_kv **ret_old)
{
    struct tree_node *node = *place = node_own(tree, *place);
    if (node->height == 0) {
        bool equal;
        unsigned slot = tree_node_search(node, way, &equal);
        if (equal) {
            *ret_old = node->record[slot];
            node->record[slot] = kv;
            return NULL;
        }
        node->n_items++;
        return insert_splitting(tree, node, slot, kv, NULL);
    }

    unsigned slot = tree_node_descend(node, way);
    struct tree_node *right = put_below(tree, &node->child[slot], way, kv, ret_old);
    if (*ret_old)
        return NULL;
    node->n_items++;
    if (slot == 0 && tree_node_low(node, 0) == kv)
        tree_node_digest_slot(node, 0);
    return right ? insert_splitting(tree, node, slot + 1, NULL, right) : NULL;
}

const struct store_kv *tree_put(struct tree *tree, const struct store_kv *kv)
{
    if (!tree->root)
        tree->root = node_take(tree, 0);

    const struct store_kv *old = NULL;
    struct way way = {.key = kv->key};
    struct tree_node *right = put_below(tree, &tree->root, &way, kv, &old);
    if (right) {
        struct tree_node *left = tree->root;
        ASSERT(left->height + 1 < TREE_HEIGHT_MAX);
        tree->root = node_take(tree, left->height + 1u);
        insert(tree->root, 0, NULL, left);
        insert(tree->root, 1, NULL, right);
        tree_node_count(tree->root);
    }
    return old;
}

/* Makes one node of a child that has become small and a neighbour, when both fit with room to spare. */
static void merge_small(struct tree *tree, struct tree_node *node, unsigned slot)
{
    if (node->n < 2 || node->child[slot]->n >= FEW)
        return;
    unsigned left = slot + 1u < node->n ? slot : slot - 1;
    if (node->child[left]->n + node->child[left + 1]->n > TREE_SLOTS * 3 / 4)
        return;

    struct tree_node *right = node->child[left + 1];
    node->child[left] = node_own(tree, node->child[left]);
    tree_node_append(node->child[left], right, 0);
    node_drop(tree, right);
    tree_node_erase(node, left + 1);
}

/* Removes a key that is there from below *place. */
static const struct store_kv *remove_below(struct tree *tree, struct tree_node **place, struct way *way)
{
    struct tree_node *node = *place = node_own(tree, *place);
    node->n_items--;
    if (node->height == 0) {
        bool equal;
        unsigned slot = tree_node_search(node, way, &equal);
        ASSERT(equal);
        const struct store_kv *old = node->record[slot];
        tree_node_erase(node, slot);
        return old;
    }

    unsigned slot = tree_node_descend(node, way);
    const struct store_kv *low = tree_node_low(node, slot);
    const struct store_kv *old = remove_below(tree, &node->child[slot], way);
    if (node->child[slot]->n == 0) {
        node_drop(tree, node->child[slot]);
        tree_node_erase(node, slot);
        return old;
    }
    if (old == low)
        tree_node_digest_slot(node, slot);
    merge_small(tree, node, slot);
    return old;
}

const struct store_kv *tree_remove(struct tree *tree, struct slice key)
{
    if (!tree_find(tree->root, key))
        return NULL;

    struct way way = {.key = key};
    const struct store_kv *old = remove_below(tree, &tree->root, &way);
    while (tree->root && (tree->root->n == 0 || (tree->root->height && tree->root->n == 1))) {
        struct tree_node *gone = tree->root;
        tree->root = gone->n ? gone->child[0] : NULL;
        node_drop(tree, gone);
    }
    return old;
}

struct tree_node *tree_seal(struct tree *tree)
{
    tree->batch++;
    return tree->root;
}

struct tree_node *tree_take_retired(struct tree *tree)
{
    return TAKE(tree->retired);
}

struct tree_mark tree_mark(struct tree *tree)
{
    return (struct tree_mark){.root = tree_seal(tree), .retired = tree->retired};
}

/* Gives back what this batch made: below an older node there is nothing of it. */
static void drop_batch(struct tree *tree, struct tree_node *node)
{
    if (node->batch != tree->batch)
        return;
    for (unsigned i = 0; node->height && i < node->n; i++)
        drop_batch(tree, node->child[i]);
    node_drop(tree, node);
}

void tree_rollback(struct tree *tree, struct tree_mark mark)
{
    if (tree->root)
        drop_batch(tree, tree->root);
    tree->root = mark.root;
    tree->retired = mark.retired; /* those put before it are in use again */
}

/* ------------------------------------------------------------------------------------------------ reading */

const struct store_kv *tree_find(const struct tree_node *root, struct slice key)
{
    if (!root)
        return NULL;
    struct way way = {.key = key};
    const struct tree_node *node = root;
    while (node->height > 0)
        node = node->child[tree_node_descend(node, &way)];
    bool equal;
    unsigned slot = tree_node_search(node, &way, &equal);
    return equal ? node->record[slot] : NULL;
}

uint64_t tree_size(const struct tree_node *root)
{
    return root ? root->n_items : 0;
}

uint64_t tree_rank(const struct tree_node *root, struct slice key)
{
    if (!root)
        return 0;
    uint64_t below = 0;
    struct way way = {.key = key};
    const struct tree_node *node = root;
    while (node->height > 0) {
        unsigned slot = tree_node_descend(node, &way);
        for (unsigned i = 0; i < slot; i++)
            below += node->child[i]->n_items;
        node = node->child[slot];
    }
    bool equal;
    return below + tree_node_search(node, &way, &equal);
}

void tree_seek(struct tree_iter *iter, const struct tree_node *root, struct slice key)
{
    iter->height = 0;
    struct way way = {.key = key};
    for (const struct tree_node *node = root; node;) {
        bool equal;
        unsigned slot = node->height ? tree_node_descend(node, &way) : tree_node_search(node, &way, &equal);
        ASSERT(iter->height < TREE_HEIGHT_MAX);
        iter->path[iter->height].node = node;
        iter->path[iter->height].slot = slot;
        iter->height++;
        node = node->height ? node->child[slot] : NULL;
    }
}

/* Moves on from a leaf that is used up: up to the first level with a slot to the right, then down on its left side. */
static void iter_next_leaf(struct tree_iter *iter)
{
    unsigned level = iter->height - 1;
    do {
        if (level == 0) {
            iter->height = 0;
            return;
        }
        level--;
    } while (++iter->path[level].slot == iter->path[level].node->n);

    for (; level + 1 < iter->height; level++) {
        iter->path[level + 1].node = iter->path[level].node->child[iter->path[level].slot];
        iter->path[level + 1].slot = 0;
    }
}

const struct store_kv *tree_next(struct tree_iter *iter)
{
    while (iter->height) {
        const struct tree_node *leaf = iter->path[iter->height - 1].node;
        unsigned slot = iter->path[iter->height - 1].slot;
        if (slot + AHEAD < leaf->n)
            tree_fetch(leaf->record[slot + AHEAD], TREE_RECORD_BYTES);
        if (slot < leaf->n) {
            iter->path[iter->height - 1].slot++;
            return leaf->record[slot];
        }
        iter_next_leaf(iter);
    }
    return NULL;
}
