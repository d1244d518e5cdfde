/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The path-copied tree against a sorted array, with random changes, seals and rollbacks; every root sealed on the way
 * must stay exactly as it was.
 */
#include "store/local/tree.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS  4000
#define ROOTS 40

static struct store_kv records[KEYS];
static char names[KEYS][48];

/* Keys as registries have them: long shared beginnings, some a prefix of others, some with bytes above 127. */
static void make_records(void)
{
    for (int i = 0; i < KEYS; i++) {
        if (i % 7 == 0)
            snprintf(names[i], sizeof(names[i]), "/registry/services/%04d", i);
        else if (i % 7 == 1)
            snprintf(names[i], sizeof(names[i]), "%c\xff%d", 'a' + i % 26, i);
        else
            snprintf(names[i], sizeof(names[i]), "/registry/services/%04d/instance-%03d", i - i % 7, i % 1000);
        records[i].key = slice_from_str(names[i]);
    }
}

/*
 * Keys of zeros and a few other bytes, many the beginning of others, many alike for more than eight bytes: what digests
 * do not tell apart. The number of the key, in ternary, makes up its end or its middle.
 */
static void make_awkward_records(void)
{
    static const char letters[] = {0, 1, (char)0xff};
    for (int i = 0; i < KEYS; i++) {
        size_t len = i % 5 == 0 ? 0 : (size_t)(i % 5) * 5;
        memset(names[i], i % 2 ? 0 : 'x', sizeof(names[i]));
        for (int n = i; n > 0; n /= 3)
            names[i][len++] = letters[n % 3];
        names[i][len++] = 2; /* none is equal to another */
        len += i % 3 == 0 ? 12 : 0;
        records[i].key = slice_from(names[i], len);
    }
}

static int compare_records(const void *a, const void *b)
{
    struct slice x = (*(const struct store_kv *const *)a)->key, y = (*(const struct store_kv *const *)b)->key;
    int order = memcmp(x.ptr, y.ptr, min_size(x.len, y.len));
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* What a root should hold: in[i] tells whether record i is there. */
static void expect_holds(const struct tree_node *root, const bool *in)
{
    const struct store_kv *wanted[KEYS];
    size_t n = 0;
    for (int i = 0; i < KEYS; i++) {
        expect_true(tree_find(root, records[i].key) == (in[i] ? &records[i] : NULL));
        if (in[i])
            wanted[n++] = &records[i];
    }
    qsort(wanted, n, sizeof(wanted[0]), compare_records);
    expect_int(tree_size(root), n);

    struct tree_iter iter;
    tree_seek(&iter, root, (struct slice){0});
    for (size_t i = 0; i < n; i++) {
        expect_true(tree_next(&iter) == wanted[i]);
        if (i % 64 == 0)
            expect_int(tree_rank(root, wanted[i]->key), i);
    }
    expect_true(tree_next(&iter) == NULL);

    if (n > 2) {
        tree_seek(&iter, root, wanted[n / 2]->key);
        expect_true(tree_next(&iter) == wanted[n / 2]);
    }
}

static void change_at_random(struct tree *tree, bool *in, uint64_t *seed, bool grow)
{
    int i = (int)(test_random(seed) % KEYS);
    expect_int(tree_reserve(tree, 1), 0);
    if (test_random(seed) % 8 < (grow ? 6 : 2)) {
        expect_true(tree_put(tree, &records[i]) == (in[i] ? &records[i] : NULL));
        in[i] = true;
    } else {
        expect_true(tree_remove(tree, records[i].key) == (in[i] ? &records[i] : NULL));
        in[i] = false;
    }
}

static void agree_with_a_sorted_array(void)
{
    uint64_t seed = test_seed();
    struct tree tree;
    tree_init(&tree);
    static bool in[KEYS], in_then[ROOTS][KEYS], in_before[KEYS];
    const struct tree_node *roots[ROOTS];
    struct tree_node *retired[ROOTS + 1] = {0};

    for (int r = 0; r < ROOTS; r++) {
        bool grow = r < ROOTS / 2;
        for (int i = 0; i < 300; i++)
            change_at_random(&tree, in, &seed, grow);

        memcpy(in_before, in, sizeof(in));
        struct tree_mark mark = tree_mark(&tree);
        for (int i = 0; i < 50; i++)
            change_at_random(&tree, in, &seed, !grow);
        tree_rollback(&tree, mark);
        memcpy(in, in_before, sizeof(in));
        expect_holds(tree.root, in);

        roots[r] = tree_seal(&tree);
        memcpy(in_then[r], in, sizeof(in));
        retired[r] = tree_take_retired(&tree);
    }
    for (int r = 0; r < ROOTS; r++)
        expect_holds(roots[r], in_then[r]);
    for (int r = 0; r < ROOTS; r++)
        tree_give_back(&tree, retired[r]);
    tree_deinit(&tree);
}

static void agrees_with_a_sorted_array(void)
{
    make_records();
    agree_with_a_sorted_array();
}

static void keeps_awkward_keys_apart(void)
{
    make_awkward_records();
    agree_with_a_sorted_array();
}

static void keys_in_order_fill_the_nodes(void)
{
    static struct store_kv kvs[100000];
    static char keys[100000][16];
    struct tree tree;
    tree_init(&tree);
    for (int i = 0; i < 100000; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%08d", i);
        kvs[i].key = slice_from_str(keys[i]);
        expect_int(tree_reserve(&tree, 1), 0);
        expect_true(tree_put(&tree, &kvs[i]) == NULL);
    }
    expect_int(tree_size(tree.root), 100000);
    expect_int(tree_rank(tree.root, SLICE_LIT("k00050000")), 50000);
    expect_int(tree_rank(tree.root, SLICE_LIT("zzz")), 100000);
    for (int i = 0; i < 100000; i++) {
        expect_int(tree_reserve(&tree, 1), 0);
        expect_true(tree_remove(&tree, kvs[i].key) == &kvs[i]);
    }
    expect_true(tree.root == NULL);
    tree_deinit(&tree);
}

static void the_empty_tree_is_empty(void)
{
    struct tree tree;
    tree_init(&tree);
    struct tree_iter iter;
    tree_seek(&iter, tree.root, SLICE_LIT("a"));
    expect_true(tree_next(&iter) == NULL);
    expect_true(tree_find(tree.root, SLICE_LIT("a")) == NULL);
    expect_true(tree_remove(&tree, SLICE_LIT("a")) == NULL);
    expect_int(tree_rank(tree.root, SLICE_LIT("a")), 0);
    tree_deinit(&tree);
}

static const struct test_case cases[] = {
    {"the tree agrees with a sorted array, and sealed roots stay as they were", agrees_with_a_sorted_array},
    {"keys that digests do not tell apart", keeps_awkward_keys_apart},
    {"keys that arrive in order, a hundred thousand", keys_in_order_fill_the_nodes},
    {"the empty tree", the_empty_tree_is_empty},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
