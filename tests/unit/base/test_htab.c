/* SPDX-License-Identifier: Apache-2.0 */
#include "base/htab.h"

#include "base/random.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

struct item {
    struct htab_node node;
    int key;
    bool inside; /* what the table should know of it */
};

/* Few different hashes, so that chains are long and hashes collide. */
static uint64_t weak_hash(int key)
{
    return (uint64_t)(key % 50) * 0x9e3779b97f4a7c15;
}

static struct item *find(const struct htab *htab, int key)
{
    htab_for_each_match (node, htab, weak_hash(key)) {
        struct item *item = container_of(node, struct item, node);
        if (item->key == key)
            return item;
    }
    return NULL;
}

static void finds_nothing_when_empty(void)
{
    struct htab htab = {0};
    expect_true(find(&htab, 1) == NULL);
    expect_true(htab_first(&htab) == NULL);
    htab_deinit(&htab);
}

static void tells_colliding_keys_apart(void)
{
    struct htab htab = {0};
    struct item one = {.key = 1}, other = {.key = 51};
    expect_int(htab_insert(&htab, &one.node, weak_hash(1)), 0);
    expect_int(htab_insert(&htab, &other.node, weak_hash(51)), 0);
    expect_true(one.node.hash == other.node.hash);
    expect_true(find(&htab, 1) == &one);
    expect_true(find(&htab, 51) == &other);
    expect_true(find(&htab, 101) == NULL);

    htab_remove(&htab, &one.node);
    expect_true(find(&htab, 1) == NULL);
    expect_true(find(&htab, 51) == &other);
    htab_remove(&htab, &other.node);
    htab_deinit(&htab);
}

static void agrees_with_a_model(void)
{
    enum { ITEMS = 500, STEPS = 20000 };
    static struct item items[ITEMS];
    struct htab htab = {0};
    struct random rng;
    random_init(&rng, test_seed());
    size_t len = 0;

    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[random_below(&rng, ITEMS)];
        item->key = (int)(item - items);
        expect_true(find(&htab, item->key) == (item->inside ? item : NULL));
        if (item->inside)
            htab_remove(&htab, &item->node);
        else
            expect_int(htab_insert(&htab, &item->node, weak_hash(item->key)), 0);
        item->inside = !item->inside;
        len = item->inside ? len + 1 : len - 1;
        expect_int(htab.len, len);
    }
    for (int i = 0; i < ITEMS; i++)
        if (items[i].inside)
            htab_remove(&htab, &items[i].node);
    htab_deinit(&htab);
}

static void can_be_emptied_while_walked(void)
{
    static struct item items[1000];
    struct htab htab = {0};
    for (int i = 0; i < 1000; i++) {
        items[i].key = i;
        expect_int(htab_insert(&htab, &items[i].node, weak_hash(i)), 0);
    }
    htab_for_each (node, &htab) {
        struct item *item = container_of(node, struct item, node);
        expect_false(item->inside);
        item->inside = true;
        htab_remove(&htab, node);
    }
    for (int i = 0; i < 1000; i++)
        expect_true(items[i].inside);
    expect_int(htab.len, 0);
    htab_deinit(&htab);
}

static int fill(void *arg)
{
    (void)arg;
    static struct item items[40];
    struct htab htab = {0};
    int r = 0, n = 0;
    for (; r == 0 && n < 40; n++) {
        items[n].key = n;
        r = htab_insert(&htab, &items[n].node, weak_hash(n));
    }
    /* A failed insert leaves those before it in place. */
    for (int i = 0; i < (r == 0 ? n : n - 1); i++) {
        expect_true(find(&htab, i) == &items[i]);
        htab_remove(&htab, &items[i].node);
    }
    htab_deinit(&htab);
    return r;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(fill, NULL) > 1);
}

static void remove_a_stranger(void *arg)
{
    (void)arg;
    struct htab htab = {0};
    struct item inside = {0}, stranger = {0};
    (void)htab_insert(&htab, &inside.node, 1);
    htab_remove(&htab, &stranger.node);
}

static void removing_a_stranger_is_a_bug(void)
{
    expect_abort(remove_a_stranger, NULL);
}

static const struct test_case cases[] = {
    {"nothing is found in an empty table", finds_nothing_when_empty},
    {"keys with one hash are told apart", tells_colliding_keys_apart},
    {"random inserts and removes agree with a model", agrees_with_a_model},
    {"a table can be emptied while it is walked", can_be_emptied_while_walked},
    {"any allocation may fail", any_allocation_may_fail},
    {"removing what is not in the table is a bug", removing_a_stranger_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
