/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching and changing one node. Why a way may tell more bytes to be shared than are: a digest has zeros behind a
 * key's end, so bytes of zero may seem to be shared that one of the two keys has not got. If that is the lower key, it
 * is in the node, and then `skip` is no longer than it is; if it is the way's, it is below all keys of the node, and
 * digests of zeros put it there.
 */
#include "store/local/tree_node.h"

#include "base/assert.h"

#include <endian.h>

/* Eight bytes of a key, big-endian, zeros behind its end. */
static uint64_t key_digest(struct slice key, size_t skip)
{
    uint64_t bytes = 0;
    if (skip + sizeof(bytes) <= key.len)
        memcpy(&bytes, key.ptr + skip, sizeof(bytes));
    else if (skip < key.len)
        memcpy(&bytes, key.ptr + skip, key.len - skip);
    return be64toh(bytes);
}

/* How many bytes two digests share; they differ. */
static size_t shared_bytes(uint64_t a, uint64_t b)
{
    return (size_t)__builtin_clzll(a ^ b) / 8;
}

static size_t common_prefix(struct slice a, struct slice b, size_t from)
{
    size_t n = min_size(a.len, b.len);
    for (; from < n; from += sizeof(uint64_t)) {
        uint64_t x = key_digest(a, from), y = key_digest(b, from);
        if (x != y)
            return min_size(n, from + shared_bytes(x, y));
    }
    return n;
}

const struct store_kv *tree_node_low(const struct tree_node *node, unsigned slot)
{
    for (; node->height > 0; slot = 0)
        node = node->child[slot];
    return node->record[slot];
}

/* ------------------------------------------------------------------------------------------------ searching */

/* Whether the way's key has the bytes that all keys of the node share; else its order to all of them is known. */
static bool shares_prefix(const struct tree_node *node, struct way *way)
{
    if (way->order == 0 && way->shared < node->skip) {
        struct slice low = tree_node_low(node, 0)->key;
        way->shared = common_prefix(way->key, low, way->shared);
        if (way->shared < node->skip)
            way->order = slice_compare(way->key, low) < 0 ? -1 : 1;
    }
    return way->shared >= node->skip;
}

/* The first slot whose digest is not below; without branches, which would be guessed wrongly half of the time. */
static unsigned first_not_below(const struct tree_node *node, uint64_t digest)
{
    const uint64_t *begin = node->digest;
    for (unsigned n = node->n; n > 1; n -= n / 2)
        begin += begin[n / 2 - 1] < digest ? n / 2 : 0;
    return (unsigned)(begin - node->digest) + (*begin < digest);
}

unsigned tree_node_search(const struct tree_node *node, struct way *way, bool *ret_equal)
{
    *ret_equal = false;
    tree_fetch(node, sizeof(*node));
    if (node->n == 0)
        return 0;
    if (!shares_prefix(node, way))
        return way->order < 0 ? 0 : node->n;

    uint64_t digest = key_digest(way->key, node->skip);
    unsigned begin = first_not_below(node, digest), end = begin;
    while (end < node->n && node->digest[end] == digest)
        end++;
    while (begin < end) {
        unsigned middle = (begin + end) / 2;
        int order = slice_compare(tree_node_low(node, middle)->key, way->key);
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

unsigned tree_node_descend(const struct tree_node *node, struct way *way)
{
    bool equal;
    unsigned slot = tree_node_search(node, way, &equal);
    if (!equal && slot > 0)
        slot--;
    if (way->shared < node->skip)
        return slot; /* they differ in what the child's keys share too */

    uint64_t digest = key_digest(way->key, node->skip);
    way->order = 0;
    way->shared = node->skip + sizeof(digest);
    if (digest != node->digest[slot]) {
        way->order = digest < node->digest[slot] ? -1 : 1;
        way->shared = node->skip + shared_bytes(digest, node->digest[slot]);
    }
    return slot;
}

/* ------------------------------------------------------------------------------------------------ changing */

void tree_node_digest(struct tree_node *node)
{
    if (node->n == 0)
        return;
    node->skip = (uint32_t)common_prefix(tree_node_low(node, 0)->key, tree_node_low(node, node->n - 1u)->key, 0);
    for (unsigned i = 0; i < node->n; i++)
        node->digest[i] = key_digest(tree_node_low(node, i)->key, node->skip);
}

void tree_node_digest_slot(struct tree_node *node, unsigned slot)
{
    /* One key between the ends leaves what they share as it is; a new end may share less. */
    bool is_inside = slot > 0 && slot + 1 < node->n;
    if (is_inside || (node->n > 1 && common_prefix(tree_node_low(node, 0)->key, tree_node_low(node, node->n - 1u)->key,
                                                   0) >= node->skip))
        node->digest[slot] = key_digest(tree_node_low(node, slot)->key, node->skip);
    else
        tree_node_digest(node);
}

void tree_node_count(struct tree_node *node)
{
    node->n_items = node->height ? 0 : node->n;
    for (unsigned i = 0; node->height && i < node->n; i++)
        node->n_items += node->child[i]->n_items;
}

void tree_node_open_slot(struct tree_node *node, unsigned slot)
{
    ASSERT(node->n < TREE_SLOTS && slot <= node->n);
    unsigned behind = node->n - slot;
    memmove(&node->digest[slot + 1], &node->digest[slot], behind * sizeof(node->digest[0]));
    memmove(&node->child[slot + 1], &node->child[slot], behind * sizeof(node->child[0]));
    node->n++;
    node->entered = (uint8_t)slot;
}

void tree_node_erase(struct tree_node *node, unsigned slot)
{
    ASSERT(slot < node->n);
    unsigned behind = node->n - slot - 1u;
    memmove(&node->digest[slot], &node->digest[slot + 1], behind * sizeof(node->digest[0]));
    memmove(&node->child[slot], &node->child[slot + 1], behind * sizeof(node->child[0]));
    node->n--;
}

void tree_node_append(struct tree_node *to, const struct tree_node *from, unsigned begin)
{
    unsigned n = from->n - begin;
    ASSERT(to->n + n <= TREE_SLOTS);
    memcpy(&to->child[to->n], &from->child[begin], n * sizeof(from->child[0]));
    to->n = (uint16_t)(to->n + n);
    tree_node_digest(to);
    tree_node_count(to);
}
