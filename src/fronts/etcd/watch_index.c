/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree is a treap: ordered by where ranges begin, a heap by random priorities, which keep it balanced whatever is
 * put in. Each spot knows the farthest end in its subtree; a search leaves out what ends before the key.
 */
#include "fronts/etcd/watch_index.h"

#include "store/store.h"

#include <errno.h>
#include <stdlib.h>

struct watch_spot {
    struct htab_node by_range;
    struct list nodes;
    struct slice key, end;
    /* of a range */
    struct watch_spot *left, *right;
    const struct watch_spot *farthest; /* the one in this subtree whose range ends last */
    uint64_t priority;
    char bytes[];
};

/* ------------------------------------------------------------------------------------------------ the tree */

/* Orders the ends of ranges. */
static int compare_ends(struct slice a, struct slice b)
{
    bool a_is_open = store_range_is_open(a), b_is_open = store_range_is_open(b);
    if (a_is_open || b_is_open)
        return a_is_open - b_is_open;
    return slice_compare(a, b);
}

static int compare_spots(const struct watch_spot *a, const struct watch_spot *b)
{
    int order = slice_compare(a->key, b->key);
    return order != 0 ? order : compare_ends(a->end, b->end);
}

static void find_farthest(struct watch_spot *spot)
{
    spot->farthest = spot;
    if (spot->left && compare_ends(spot->left->farthest->end, spot->farthest->end) > 0)
        spot->farthest = spot->left->farthest;
    if (spot->right && compare_ends(spot->right->farthest->end, spot->farthest->end) > 0)
        spot->farthest = spot->right->farthest;
}

/* Splits a tree into what comes before `spot` and what comes behind it. */
static void split(struct watch_spot *tree, const struct watch_spot *spot, struct watch_spot **ret_before,
                  struct watch_spot **ret_behind)
{
    if (!tree) {
        *ret_before = *ret_behind = NULL;
        return;
    }
    if (compare_spots(tree, spot) < 0) {
        split(tree->right, spot, &tree->right, ret_behind);
        *ret_before = tree;
    } else {
        split(tree->left, spot, ret_before, &tree->left);
        *ret_behind = tree;
    }
    find_farthest(tree);
}

static struct watch_spot *insert(struct watch_spot *tree, struct watch_spot *spot)
{
    if (!tree || spot->priority > tree->priority) {
        split(tree, spot, &spot->left, &spot->right);
        tree = spot;
    } else if (compare_spots(spot, tree) < 0) {
        tree->left = insert(tree->left, spot);
    } else {
        tree->right = insert(tree->right, spot);
    }
    find_farthest(tree);
    return tree;
}

/* Of two trees, all of `before` in front of all of `behind`. */
static struct watch_spot *join(struct watch_spot *before, struct watch_spot *behind)
{
    if (!before || !behind)
        return before ? before : behind;
    struct watch_spot *root = before->priority > behind->priority ? before : behind;
    if (root == before)
        root->right = join(root->right, behind);
    else
        root->left = join(before, root->left);
    find_farthest(root);
    return root;
}

static struct watch_spot *take_out(struct watch_spot *tree, const struct watch_spot *spot)
{
    if (tree == spot)
        return join(tree->left, tree->right);
    if (compare_spots(spot, tree) < 0)
        tree->left = take_out(tree->left, spot);
    else
        tree->right = take_out(tree->right, spot);
    find_farthest(tree);
    return tree;
}

/* ------------------------------------------------------------------------------------------------ spots */

int watch_index_init(struct watch_index *index)
{
    *index = (struct watch_index){0};
    int r = random_system(&index->hash_key, sizeof(index->hash_key));
    return r < 0 ? r : random_init_system(&index->dice);
}

void watch_index_deinit(struct watch_index *index)
{
    htab_deinit(&index->spots);
}

static uint64_t hash_range(const struct watch_index *index, struct slice key, struct slice end)
{
    uint64_t hash = hash_bytes(&index->hash_key, key);
    return slice_is_empty(end) ? hash : hash ^ (hash_bytes(&index->hash_key, end) * 3);
}

static struct watch_spot *find_spot(const struct watch_index *index, struct slice key, struct slice end, uint64_t hash)
{
    htab_for_each_match (node, &index->spots, hash) {
        struct watch_spot *spot = container_of(node, struct watch_spot, by_range);
        if (slice_equal(spot->key, key) && slice_equal(spot->end, end))
            return spot;
    }
    return NULL;
}

static struct watch_spot *add_spot(struct watch_index *index, struct slice key, struct slice end, uint64_t hash)
{
    struct watch_spot *spot = calloc(1, sizeof(*spot) + key.len + end.len);
    if (!spot)
        return NULL;
    if (htab_insert(&index->spots, &spot->by_range, hash) < 0) {
        free(spot);
        return NULL;
    }
    if (key.len > 0)
        memcpy(spot->bytes, key.ptr, key.len);
    if (end.len > 0)
        memcpy(spot->bytes + key.len, end.ptr, end.len);
    spot->key = slice_from(spot->bytes, key.len);
    spot->end = slice_from(spot->bytes + key.len, end.len);
    list_init(&spot->nodes);
    if (slice_is_empty(end)) {
        index->n_single++;
    } else {
        spot->priority = random_u64(&index->dice);
        index->ranges = insert(index->ranges, spot);
    }
    return spot;
}

static void remove_spot(struct watch_index *index, struct watch_spot *spot)
{
    if (slice_is_empty(spot->end))
        index->n_single--;
    else
        index->ranges = take_out(index->ranges, spot);
    htab_remove(&index->spots, &spot->by_range);
    free(spot);
}

int watch_index_add(struct watch_index *index, struct watch_node *node, struct slice key, struct slice end)
{
    uint64_t hash = hash_range(index, key, end);
    struct watch_spot *spot = find_spot(index, key, end, hash);
    if (!spot)
        spot = add_spot(index, key, end, hash);
    if (!spot)
        return -ENOMEM;
    node->spot = spot;
    list_init(&node->link);
    list_push_back(&spot->nodes, &node->link);
    return 0;
}

void watch_index_remove(struct watch_index *index, struct watch_node *node)
{
    struct watch_spot *spot = node->spot;
    if (!spot)
        return;
    node->spot = NULL;
    list_remove(&node->link);
    if (list_is_empty(&spot->nodes))
        remove_spot(index, spot);
}

struct watch_node *watch_index_first(const struct watch_index *index)
{
    struct htab_node *node = htab_first(&index->spots);
    if (!node)
        return NULL;
    const struct watch_spot *spot = container_of(node, struct watch_spot, by_range);
    return container_of(spot->nodes.next, struct watch_node, link);
}

/* ------------------------------------------------------------------------------------------------ matching */

struct search {
    struct slice key;
    watch_match_fn fn;
    void *ctx;
};

static void give_spot(const struct search *search, const struct watch_spot *spot)
{
    for (struct list *link = spot->nodes.next; link != &spot->nodes; link = link->next)
        search->fn(search->ctx, container_of(link, struct watch_node, link));
}

static bool ends_behind(struct slice end, struct slice key)
{
    return store_range_is_open(end) || slice_compare(key, end) < 0;
}

static void search_ranges(const struct search *search, const struct watch_spot *tree)
{
    while (tree && ends_behind(tree->farthest->end, search->key)) {
        search_ranges(search, tree->left);
        if (slice_compare(search->key, tree->key) < 0)
            return; /* it and all to its right begin behind the key */
        if (ends_behind(tree->end, search->key))
            give_spot(search, tree);
        tree = tree->right;
    }
}

void watch_index_match(const struct watch_index *index, struct slice key, watch_match_fn fn, void *ctx)
{
    const struct search search = {key, fn, ctx};
    if (index->n_single > 0) {
        struct slice none = {0};
        const struct watch_spot *spot = find_spot(index, key, none, hash_range(index, key, none));
        if (spot)
            give_spot(&search, spot);
    }
    search_ranges(&search, index->ranges);
}
