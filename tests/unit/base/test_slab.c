/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slab.h"

#include "base/random.h"
#include "support/test.h"

#include <stdint.h>
#include <stdlib.h>

enum { BURST = 9000 };

struct conn {
    char state[300];
};

/* Under AddressSanitizer each object is a malloc of its own; what a slab does with its blocks is seen without it. */
static void skip_without_blocks(const struct slab *slab)
{
    if (slab->n_objects > 0 && slab->n_blocks == 0)
        test_skip("AddressSanitizer watches single objects");
}

static void objects_do_not_overlap(void)
{
    struct slab slab;
    slab_init(&slab, 24, 8);
    unsigned char *objects[2000];
    for (int i = 0; i < 2000; i++) {
        objects[i] = slab_alloc(&slab);
        expect_true(objects[i] != NULL);
        memset(objects[i], i % 251, 24);
    }
    expect_int(slab.n_objects, 2000);
    for (int i = 0; i < 2000; i++) {
        for (int j = 0; j < 24; j++)
            expect_int(objects[i][j], i % 251);
        slab_free(&slab, objects[i]);
    }
    slab_deinit(&slab);
}

static void objects_are_aligned(void)
{
    for (size_t align = 1; align <= 64; align *= 2) {
        struct slab slab;
        slab_init(&slab, align * 3, align);
        void *objects[100];
        for (int i = 0; i < 100; i++) {
            objects[i] = slab_alloc(&slab);
            expect_int((uintptr_t)objects[i] % align, 0);
        }
        for (int i = 0; i < 100; i++)
            slab_free(&slab, objects[i]);
        slab_deinit(&slab);
    }
}

static void the_last_freed_comes_first(void)
{
    struct slab slab;
    slab_init(&slab, sizeof(struct conn), _Alignof(struct conn));
    void *objects[3];
    for (int i = 0; i < 3; i++)
        objects[i] = slab_alloc(&slab);
    skip_without_blocks(&slab);
    slab_free(&slab, objects[0]);
    slab_free(&slab, objects[2]);
    expect_true(slab_alloc(&slab) == objects[2]);
    expect_true(slab_alloc(&slab) == objects[0]);
    for (int i = 0; i < 3; i++)
        slab_free(&slab, objects[i]);
    slab_deinit(&slab);
}

static void costs_little_more_than_its_objects(void)
{
    struct slab slab;
    slab_init(&slab, sizeof(struct conn), _Alignof(struct conn));
    static void *objects[BURST];
    for (int i = 0; i < BURST; i++)
        objects[i] = slab_alloc(&slab);
    expect_true(slab_bytes(&slab) >= BURST * sizeof(struct conn));
    expect_true(slab_bytes(&slab) <= BURST * sizeof(struct conn) * 104 / 100);
    for (int i = 0; i < BURST; i++)
        slab_free(&slab, objects[i]);
    slab_deinit(&slab);
}

static void a_burst_gives_its_memory_back(void)
{
    struct slab slab;
    slab_init(&slab, sizeof(struct conn), _Alignof(struct conn));
    static void *objects[BURST];
    for (int i = 0; i < BURST; i++)
        objects[i] = slab_alloc(&slab);
    size_t full = slab_bytes(&slab);

    /* One in a hundred stays, spread over all blocks; then work goes on and the old ones end one after the other. */
    for (int i = 0; i < BURST; i++)
        if (i % 100 != 0)
            slab_free(&slab, TAKE(objects[i]));
    for (int i = 0; i < BURST; i += 100) {
        objects[i + 1] = slab_alloc(&slab);
        slab_free(&slab, TAKE(objects[i]));
    }
    expect_int(slab.n_objects, BURST / 100);
    expect_true(slab_bytes(&slab) < full / 20 + SLAB_IDLE_BYTES);

    for (int i = 0; i < BURST; i++)
        slab_free(&slab, objects[i]);
    expect_true(slab_bytes(&slab) <= SLAB_IDLE_BYTES);
    slab_deinit(&slab);
    expect_int(slab_bytes(&slab), 0);
}

static void the_edge_of_a_block_keeps_its_block(void)
{
    struct slab slab;
    slab_init(&slab, sizeof(struct conn), _Alignof(struct conn));
    static void *objects[BURST];
    size_t n = 0;
    do {
        objects[n++] = slab_alloc(&slab);
        skip_without_blocks(&slab);
    } while (slab.n_blocks < 3);
    for (int i = 0; i < 10; i++) {
        slab_free(&slab, objects[n - 1]);
        expect_int(slab.n_blocks, 3);
        objects[n - 1] = slab_alloc(&slab);
        expect_int(slab.n_blocks, 3);
    }
    while (n > 0)
        slab_free(&slab, objects[--n]);
    slab_deinit(&slab);
}

static void survives_random_use(void)
{
    enum { OBJECTS = 1000, STEPS = 50000 };
    struct slab slab;
    slab_init(&slab, 2 * sizeof(uint64_t), sizeof(uint64_t));
    static uint64_t *objects[OBJECTS];
    struct random rng;
    random_init(&rng, test_seed());
    for (int step = 0; step < STEPS; step++) {
        uint64_t i = random_below(&rng, OBJECTS);
        if (objects[i]) {
            expect_true(objects[i][0] == i && objects[i][1] == ~i);
            slab_free(&slab, TAKE(objects[i]));
        } else {
            objects[i] = slab_alloc(&slab);
            objects[i][0] = i;
            objects[i][1] = ~i;
        }
    }
    for (int i = 0; i < OBJECTS; i++)
        slab_free(&slab, objects[i]);
    slab_deinit(&slab);
}

static void leave_one_behind(void *arg)
{
    (void)arg;
    struct slab slab;
    slab_init(&slab, 64, 64);
    (void)slab_alloc(&slab);
    slab_deinit(&slab);
}

static void leaving_an_object_behind_is_a_bug(void)
{
    expect_abort(leave_one_behind, NULL);
}

static const struct test_case cases[] = {
    {"objects do not overlap", objects_do_not_overlap},
    {"objects are aligned", objects_are_aligned},
    {"the object freed last comes first", the_last_freed_comes_first},
    {"9000 objects of 300 bytes cost at most 4 % more", costs_little_more_than_its_objects},
    {"a burst gives its memory back", a_burst_gives_its_memory_back},
    {"a count that swings around a block's edge keeps the block", the_edge_of_a_block_keeps_its_block},
    {"random use corrupts nothing", survives_random_use},
    {"leaving an object behind is a bug", leaving_an_object_behind_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
