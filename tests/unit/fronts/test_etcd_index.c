/* SPDX-License-Identifier: Apache-2.0 */
/* The index of watches, against looking at each of them. */
#include "fronts/etcd/watch_index.h"
#include "store/store.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

enum { WATCHES = 300, KEY_MAX = 4 };

struct watched {
    struct watch_node node;
    bool is_in;
    char key[KEY_MAX], end[KEY_MAX];
    struct slice key_slice, end_slice;
    unsigned n_matches;
};

struct model {
    struct watch_index index;
    struct watched watches[WATCHES];
};

static void count_match(void *ctx, struct watch_node *node)
{
    (void)ctx;
    container_of(node, struct watched, node)->n_matches++;
}

/* A key of up to three letters out of three, so that ranges meet often. */
static struct slice random_key(uint64_t *random, char room[KEY_MAX])
{
    size_t len = 1 + test_random(random) % (KEY_MAX - 1);
    for (size_t i = 0; i < len; i++)
        room[i] = (char)('a' + test_random(random) % 3);
    return slice_from(room, len);
}

static void choose_range(uint64_t *random, struct watched *watched)
{
    watched->key_slice = random_key(random, watched->key);
    watched->end_slice = (struct slice){0};
    uint64_t kind = test_random(random) % 4;
    if (kind == 0)
        return; /* a single key */
    watched->end_slice = slice_from(watched->end, 1);
    watched->end[0] = '\0';
    if (kind == 1)
        return;                                            /* all from there on */
    watched->end_slice = random_key(random, watched->end); /* may be no range at all: then nothing matches */
}

static void check_key(struct model *model, struct slice key)
{
    watch_index_match(&model->index, key, count_match, NULL);
    for (unsigned i = 0; i < WATCHES; i++) {
        struct watched *watched = &model->watches[i];
        bool matches = watched->is_in && store_range_has(watched->key_slice, watched->end_slice, key);
        expect_int(watched->n_matches, matches);
        watched->n_matches = 0;
    }
}

static void agrees_with_the_model(void)
{
    static struct model model;
    uint64_t random = test_seed();
    expect_int(watch_index_init(&model.index), 0);
    for (unsigned step = 0; step < 20000; step++) {
        struct watched *watched = &model.watches[test_random(&random) % WATCHES];
        char key[KEY_MAX];
        if (watched->is_in) {
            watch_index_remove(&model.index, &watched->node);
        } else {
            choose_range(&random, watched);
            expect_int(watch_index_add(&model.index, &watched->node, watched->key_slice, watched->end_slice), 0);
        }
        watched->is_in = !watched->is_in;
        if (step % 8 == 0)
            check_key(&model, random_key(&random, key));
    }
    for (unsigned i = 0; i < WATCHES; i++)
        watch_index_remove(&model.index, &model.watches[i].node);
    expect_true(watch_index_is_empty(&model.index));
    watch_index_deinit(&model.index);
}

static void keys_and_ranges_of_the_same_name_are_kept_apart(void)
{
    struct watch_index index;
    struct watched one = {0}, many = {0};
    expect_int(watch_index_init(&index), 0);
    expect_int(watch_index_add(&index, &one.node, SLICE_LIT("a"), (struct slice){0}), 0);
    expect_int(watch_index_add(&index, &many.node, SLICE_LIT("a"), SLICE_LIT("b")), 0);
    watch_index_match(&index, SLICE_LIT("a1"), count_match, NULL);
    expect_int(one.n_matches, 0);
    expect_int(many.n_matches, 1);
    watch_index_match(&index, SLICE_LIT("a"), count_match, NULL);
    expect_int(one.n_matches, 1);
    expect_int(many.n_matches, 2);
    watch_index_remove(&index, &one.node);
    watch_index_remove(&index, &many.node);
    watch_index_remove(&index, &many.node);
    watch_index_deinit(&index);
}

/* Keys in order are what makes a plain tree a list. */
static void stays_balanced(void)
{
    enum { MANY = 20000 };
    static struct watched watches[MANY];
    struct watch_index index;
    expect_int(watch_index_init(&index), 0);
    for (unsigned i = 0; i < MANY; i++) {
        char key[16], end[16];
        (void)snprintf(key, sizeof(key), "k%08u", i);
        (void)snprintf(end, sizeof(end), "k%08u", i + 1);
        expect_int(watch_index_add(&index, &watches[i].node, slice_from_str(key), slice_from_str(end)), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%08u", i);
        watch_index_match(&index, slice_from_str(key), count_match, NULL);
    }
    for (unsigned i = 0; i < MANY; i++) {
        expect_int(watches[i].n_matches, 1);
        watch_index_remove(&index, &watches[i].node);
    }
    watch_index_deinit(&index);
}

static int add_two(void *arg)
{
    (void)arg;
    struct watch_index index;
    struct watched one = {0}, two = {0};
    int r = watch_index_init(&index);
    if (r == 0)
        r = watch_index_add(&index, &one.node, SLICE_LIT("a"), (struct slice){0});
    if (r == 0)
        r = watch_index_add(&index, &two.node, SLICE_LIT("a"), SLICE_LIT("\0"));
    watch_index_remove(&index, &one.node);
    watch_index_remove(&index, &two.node);
    watch_index_deinit(&index);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(add_two, NULL) > 2);
}

static const struct test_case cases[] = {
    {"the index finds what looking at each watch finds", agrees_with_the_model},
    {"a key and a range that begins with it are two things", keys_and_ranges_of_the_same_name_are_kept_apart},
    {"twenty thousand ranges in order are found and removed", stays_balanced},
    {"a watch that no memory is left for is not added", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
