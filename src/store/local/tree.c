/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path-copied B+tree.
 *
 * All records are in leaves (height 0). Every slot of an inner node has the lowest record of its child beside it, kept
 * exact on the way up of each change, so there are no separate separator keys whose memory somebody would have to own.
 *
 * Comparing keys through a pointer per slot would cost a cache miss each. So a node notes how many leading bytes all
 * its keys share (`skip`) and has the next eight of each key in an array of integers (`digest`): a search compares the
 * shared bytes once, then integers, and looks at a record only where eight bytes do not decide.
 *
 * Invariants:
 *  1. Slots 0..n-1 are in strictly ascending key order; a node that is not the root has n >= 1.
 *  2. low[i] is the lowest record below child[i] (the record itself in a leaf); n_items counts the records below.
 *  3. All keys of a node share their first `skip` bytes; digest[i] is bytes skip..skip+7 of key i, big-endian, zeros
 *     behind a key's end.
 *  4. A node with batch < tree->batch is never written, but for its `link` once it is retired.
 *  5. All leaves are at the same depth.
 */
#include "store/local/tree.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS 32

/* A node with fewer slots than this looks for a neighbour to become one with. */
#define FEW (SLOTS / 4)

struct tree_node {
    uint64_t batch;
    uint64_t n_items;
    struct tree_node *link; /* in the chains of spare and retired nodes */
    uint32_t skip;
    uint16_t n;
    uint16_t height;
    uint64_t digest[SLOTS];
    const struct store_kv *low[SLOTS];
    struct tree_node *child[SLOTS];
};

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
    node->height = (uint16_t)height;
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

static size_t common_prefix(struct slice a, struct slice b, size_t from)
{
    size_t n = min_size(a.len, b.len);
    while (from < n && a.ptr[from] == b.ptr[from])
        from++;
    return min_size(from, n);
}

static uint64_t key_digest(struct slice key, size_t skip)
{
    unsigned char bytes[8] = {0};
    if (skip < key.len)
        memcpy(bytes, key.ptr + skip, min_size(8, key.len - skip));
    uint64_t value;
    memcpy(&value, bytes, 8);
    return __builtin_bswap64(value);
}

/* Restores invariant 3 after slots changed. */
static void node_digest(struct tree_node *node)
{
    if (node->n == 0)
        return;
    node->skip = (uint32_t)common_prefix(node->low[0]->key, node->low[node->n - 1]->key, 0);
    for (unsigned i = 0; i < node->n; i++)
        node->digest[i] = key_digest(node->low[i]->key, node->skip);
}

static void node_count(struct tree_node *node)
{
    node->n_items = 0;
    for (unsigned i = 0; i < node->n; i++)
        node->n_items += node->height ? node->child[i]->n_items : 1;
}

/* The first slot whose key is not below `key`, n when all are; *ret_equal: it is that very key. */
static unsigned node_search(const struct tree_node *node, struct slice key, bool *ret_equal)
{
    *ret_equal = false;
    if (node->n == 0)
        return 0;

    struct slice first = node->low[0]->key;
    size_t shared = common_prefix(key, first, 0);
    if (shared < node->skip)
        return store_key_compare(key, first) < 0 ? 0 : node->n;

    uint64_t digest = key_digest(key, node->skip);
    unsigned begin = 0, end = node->n;
    while (begin < end) {
        unsigned middle = (begin + end) / 2;
        int order;
        if (node->digest[middle] != digest)
            order = node->digest[middle] < digest ? -1 : 1;
        else
            order = store_key_compare(node->low[middle]->key, key);
        if (order == 0) {
            *ret_equal = true;
            return middle;
        }
        if (order < 0)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* The child in which `key` is or would be. */
static unsigned node_child_for(const struct tree_node *node, struct slice key)
{
    bool equal;
    unsigned slot = node_search(node, key, &equal);
    return equal || slot == 0 ? slot : slot - 1;
}

static void node_insert(struct tree_node *node, unsigned slot, const struct store_kv *low, struct tree_node *child)
{
    ASSERT(node->n < SLOTS && slot <= node->n);
    unsigned behind = node->n - slot;
    memmove(&node->low[slot + 1], &node->low[slot], behind * sizeof(node->low[0]));
    memmove(&node->digest[slot + 1], &node->digest[slot], behind * sizeof(node->digest[0]));
    memmove(&node->child[slot + 1], &node->child[slot], behind * sizeof(node->child[0]));
    node->low[slot] = low;
    node->child[slot] = child;
    node->n++;

    /* One more key between the ends leaves what they share as it is; a new end may share less. */
    bool is_inside = slot > 0 && slot + 1 < node->n;
    if (is_inside || (node->n > 1 && common_prefix(node->low[0]->key, node->low[node->n - 1]->key, 0) >= node->skip))
        node->digest[slot] = key_digest(low->key, node->skip);
    else
        node_digest(node);
}

static void node_erase(struct tree_node *node, unsigned slot)
{
    ASSERT(slot < node->n);
    unsigned behind = node->n - slot - 1u;
    memmove(&node->low[slot], &node->low[slot + 1], behind * sizeof(node->low[0]));
    memmove(&node->digest[slot], &node->digest[slot + 1], behind * sizeof(node->digest[0]));
    memmove(&node->child[slot], &node->child[slot + 1], behind * sizeof(node->child[0]));
    node->n--;
}

/* Adds slots begin..n-1 of `from` behind those of `to`. */
static void node_append(struct tree_node *to, const struct tree_node *from, unsigned begin)
{
    unsigned n = from->n - begin;
    ASSERT(to->n + n <= SLOTS);
    memcpy(&to->low[to->n], &from->low[begin], n * sizeof(from->low[0]));
    memcpy(&to->child[to->n], &from->child[begin], n * sizeof(from->child[0]));
    to->n = (uint16_t)(to->n + n);
    node_digest(to);
    node_count(to);
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

void tree_free_nodes(struct tree_node *chain)
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
    tree_free_nodes(tree->retired);
    tree_free_nodes(tree->spare);
    tree_init(tree);
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

/* Inserts a slot, splitting the node when it is full; the new right neighbour, or NULL. */
static struct tree_node *insert_splitting(struct tree *tree, struct tree_node *node, unsigned slot,
                                          const struct store_kv *low, struct tree_node *child)
{
    if (node->n < SLOTS) {
        node_insert(node, slot, low, child);
        return NULL;
    }

    /* Keys that arrive in order would leave half-full nodes behind: then the right one begins nearly empty. */
    unsigned cut = slot == SLOTS ? SLOTS - FEW / 2 : SLOTS / 2;
    struct tree_node *right = node_take(tree, node->height);
    node_append(right, node, cut);
    node->n = (uint16_t)cut;
    node_digest(node);
    if (slot <= cut)
        node_insert(node, slot, low, child);
    else
        node_insert(right, slot - cut, low, child);
    node_count(node);
    node_count(right);
    return right;
}

/* Puts kv below *place (which becomes a copy where needed); the right neighbour if the node had to be split. */
static struct tree_node *put_below(struct tree *tree, struct tree_node **place, const struct store_kv *kv,
                                   const struct store_kv **ret_old)
{
    struct tree_node *node = *place = node_own(tree, *place);
    if (node->height == 0) {
        bool equal;
        unsigned slot = node_search(node, kv->key, &equal);
        if (equal) {
            *ret_old = node->low[slot];
            node->low[slot] = kv;
            return NULL;
        }
        node->n_items++;
        return insert_splitting(tree, node, slot, kv, NULL);
    }

    unsigned slot = node_child_for(node, kv->key);
    struct tree_node *right = put_below(tree, &node->child[slot], kv, ret_old);
    bool new_lowest = *ret_old == NULL && node->child[slot]->low[0] == kv;
    node->low[slot] = node->child[slot]->low[0];
    if (new_lowest)
        node_digest(node);
    if (*ret_old == NULL)
        node->n_items++;
    return right ? insert_splitting(tree, node, slot + 1, right->low[0], right) : NULL;
}

const struct store_kv *tree_put(struct tree *tree, const struct store_kv *kv)
{
    if (!tree->root)
        tree->root = node_take(tree, 0);

    const struct store_kv *old = NULL;
    struct tree_node *right = put_below(tree, &tree->root, kv, &old);
    if (right) {
        struct tree_node *left = tree->root;
        ASSERT(left->height + 1 < TREE_HEIGHT_MAX);
        tree->root = node_take(tree, left->height + 1u);
        node_insert(tree->root, 0, left->low[0], left);
        node_insert(tree->root, 1, right->low[0], right);
        node_count(tree->root);
    }
    return old;
}

/* Makes one node of a child that has become small and a neighbour, when both fit with room to spare. */
static void merge_small(struct tree *tree, struct tree_node *node, unsigned slot)
{
    if (node->n < 2 || node->child[slot]->n >= FEW)
        return;
    unsigned left = slot + 1u < node->n ? slot : slot - 1;
    if (node->child[left]->n + node->child[left + 1]->n > SLOTS * 3 / 4)
        return;

    struct tree_node *right = node->child[left + 1];
    node->child[left] = node_own(tree, node->child[left]);
    node_append(node->child[left], right, 0);
    node_drop(tree, right);
    node_erase(node, left + 1);
}

/* Removes a key that is there from below *place. */
static const struct store_kv *remove_below(struct tree *tree, struct tree_node **place, struct slice key)
{
    struct tree_node *node = *place = node_own(tree, *place);
    node->n_items--;
    if (node->height == 0) {
        bool equal;
        unsigned slot = node_search(node, key, &equal);
        ASSERT(equal);
        const struct store_kv *old = node->low[slot];
        node_erase(node, slot);
        return old;
    }

    unsigned slot = node_child_for(node, key);
    const struct store_kv *old = remove_below(tree, &node->child[slot], key);
    struct tree_node *child = node->child[slot];
    if (child->n == 0) {
        node_drop(tree, child);
        node_erase(node, slot);
        return old;
    }
    if (node->low[slot] != child->low[0]) {
        node->low[slot] = child->low[0];
        node_digest(node);
    }
    merge_small(tree, node, slot);
    return old;
}

const struct store_kv *tree_remove(struct tree *tree, struct slice key)
{
    if (!tree_find(tree->root, key))
        return NULL;

    const struct store_kv *old = remove_below(tree, &tree->root, key);
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
    const struct tree_node *node = root;
    while (node && node->height)
        node = node->child[node_child_for(node, key)];
    if (!node)
        return NULL;
    bool equal;
    unsigned slot = node_search(node, key, &equal);
    return equal ? node->low[slot] : NULL;
}

uint64_t tree_size(const struct tree_node *root)
{
    return root ? root->n_items : 0;
}

uint64_t tree_rank(const struct tree_node *root, struct slice key)
{
    uint64_t below = 0;
    const struct tree_node *node = root;
    while (node && node->height) {
        unsigned slot = node_child_for(node, key);
        for (unsigned i = 0; i < slot; i++)
            below += node->child[i]->n_items;
        node = node->child[slot];
    }
    bool equal;
    return node ? below + node_search(node, key, &equal) : 0;
}

void tree_seek(struct tree_iter *iter, const struct tree_node *root, struct slice key)
{
    iter->height = 0;
    if (!root)
        return;
    for (const struct tree_node *node = root;; node = node->child[iter->path[iter->height - 1].slot]) {
        bool equal;
        ASSERT(iter->height < TREE_HEIGHT_MAX);
        iter->path[iter->height].node = node;
        iter->path[iter->height].slot = node->height ? node_child_for(node, key) : node_search(node, key, &equal);
        iter->height++;
        if (node->height == 0)
            return;
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
        if (slot < leaf->n) {
            iter->path[iter->height - 1].slot++;
            return leaf->low[slot];
        }
        iter_next_leaf(iter);
    }
    return NULL;
}
