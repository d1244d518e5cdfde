/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change costs, in allocations and bytes rather than time: the same in a large service as in a small one, and no
 * event does more than a bounded piece of work.
 */
#include "catalog/catalog.h"

#include "catalog/instance_record.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <malloc.h>
#include <stdio.h>

#define N_LARGE 10000
#define N_MASS  100000

struct scene {
    struct rcu_domain rcu;
    struct projection *projection;
    struct catalog *catalog;
    struct catalog_time time;
    struct catalog_updates updates;
    int64_t store_revision;
};

static void begin(struct scene *scene)
{
    *scene = (struct scene){.time = {NSEC_PER_SEC, 1700000000000}};
    rcu_init(&scene->rcu);
    expect_int(projection_new(NULL, 0, true, &scene->projection, NULL), 0);
    struct catalog_options options;
    catalog_options_init(&options);
    options.projection = scene->projection;
    expect_int(catalog_new(&options, &scene->rcu, 0, &scene->catalog), 0);
}

static void end(struct scene *scene)
{
    catalog_updates_deinit(&scene->updates);
    catalog_free(scene->catalog);
    projection_free(scene->projection);
    rcu_deinit(&scene->rcu);
}

static void publish(struct scene *scene)
{
    catalog_publish(scene->catalog, scene->store_revision);
    catalog_updates_reset(&scene->updates);
    (void)rcu_reclaim(&scene->rcu);
}

/* weight 0: its key expires. */
static int write_key(struct scene *scene, const char *service, unsigned number, unsigned weight)
{
    char key[64], value[96];
    int key_len = snprintf(key, sizeof(key), "/muster/services/%s/%06u", service, number);
    int value_len = snprintf(value, sizeof(value), "{\"address\": \"10.0.%u.%u:80\", \"weight\": %u}",
                             number / 256 % 256, number % 256, weight);
    const struct store_kv kv = {
        .key = slice_from(key, (size_t)key_len),
        .value = slice_from(value, (size_t)value_len),
        .create_revision = weight ? 1 : 0,
        .mod_revision = ++scene->store_revision,
        .version = weight ? scene->store_revision : 0,
        .lease = 1,
    };
    const struct catalog_event event = {.type = CATALOG_KEY, .key = {.kv = &kv, .why.kind = STORE_NOTE_EXPIRED}};
    return catalog_step(scene->catalog, &event, &scene->time, &scene->updates);
}

static void time_event(struct scene *scene)
{
    const struct catalog_event event = {.type = CATALOG_TIME};
    expect_int(catalog_step(scene->catalog, &event, &scene->time, &scene->updates), 0);
}

static void fill(struct scene *scene, const char *service, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        expect_int(write_key(scene, service, i, 1), 0);
        if (i % 1000 == 999)
            publish(scene);
    }
    publish(scene);
}

/* -------- one by one */

struct one_change {
    struct scene *scene;
    const char *service;
    unsigned number, weight; /* another weight each time */
};

static int change_one(void *arg)
{
    struct one_change *change = arg;
    int r = write_key(change->scene, change->service, change->number, ++change->weight);
    publish(change->scene);
    return r;
}

static void a_change_costs_the_same_in_a_large_service(void)
{
    struct scene scene;
    begin(&scene);
    fill(&scene, "small", 100);
    fill(&scene, "large", N_LARGE);
    size_t small = fault_alloc_sweep(change_one, &(struct one_change){&scene, "small", 50, 10});
    size_t large = fault_alloc_sweep(change_one, &(struct one_change){&scene, "large", 5000, 10});
    printf("# %zu allocations\n", small);
    expect_int(large, small);
    expect_true(small < 20);
    end(&scene);
}

static size_t heap_bytes(void)
{
    return mallinfo2().uordblks;
}

static void ten_thousand_changes_of_one_service_take_no_more_memory_each(void)
{
    struct scene scene;
    begin(&scene);
    fill(&scene, "large", N_LARGE);
    /* The ring of changes keeps what was; the directory and the working memory must not grow beside it. */
    size_t marks[3];
    for (unsigned round = 0; round < ARRAY_LEN(marks); round++) {
        for (unsigned i = 0; i < N_LARGE; i++) {
            expect_int(write_key(&scene, "large", i, 2 + round), 0);
            publish(&scene);
        }
        marks[round] = heap_bytes();
    }
    const size_t change_bytes = 2048; /* a change with the instance that it keeps, generously */
    expect_true(marks[2] < marks[0] + 2 * (size_t)N_LARGE * change_bytes);
    end(&scene);
}

/* -------- at once */

static void a_hundred_thousand_expire_at_once(void)
{
    struct scene scene;
    unsigned n_mass = test_rounds(N_MASS);
    begin(&scene);
    fill(&scene, "mass", n_mass);
    fill(&scene, "other", 2);
    for (unsigned i = 0; i < n_mass; i++) {
        unsigned before = scene.updates.n_notes;
        expect_int(write_key(&scene, "mass", i, 0), 0);
        expect_int(scene.updates.n_notes - before, 1); /* one change each, however many are lost with it */
        if (i % 1000 == 999)
            publish(&scene);
    }
    unsigned n_pieces = 0;
    for (; catalog_deadline(scene.catalog) <= scene.time.now_ns; n_pieces++) {
        unsigned before = scene.updates.n_notes;
        time_event(&scene);
        expect_true(scene.updates.n_notes - before <= 64);
        if (n_pieces == 10) { /* others need not wait */
            expect_int(write_key(&scene, "other", 1, 5), 0);
            publish(&scene);
            const struct directory_service *other =
                directory_find(catalog_directory(scene.catalog), SLICE_LIT("other"));
            expect_int(directory_find_instance(other, SLICE_LIT("000001"))->record.weight, 5);
        }
        publish(&scene);
    }
    expect_true(n_pieces > 100);
    const struct directory_service *mass = directory_find(catalog_directory(scene.catalog), SLICE_LIT("mass"));
    expect_int(mass->n_instances, n_mass); /* held, all of them */
    expect_int(INSTANCE_HAS(directory_find_instance(mass, SLICE_LIT("000000")), HELD), 1);

    scene.time.now_ns += 301 * NSEC_PER_SEC;
    scene.time.wall_ms += 301 * 1000;
    while (catalog_deadline(scene.catalog) <= scene.time.now_ns) {
        time_event(&scene);
        publish(&scene);
    }
    mass = directory_find(catalog_directory(scene.catalog), SLICE_LIT("mass"));
    expect_int(mass->n_instances, 0);
    end(&scene);
}

static void an_instance_takes_less_than_a_kilobyte(void)
{
    struct scene scene;
    begin(&scene);
    size_t before = heap_bytes();
    for (unsigned i = 0; i < 10000; i++) { /* read at the start: the ring of changes is bounded by itself */
        char key[64], value[96];
        int key_len = snprintf(key, sizeof(key), "/muster/services/service%u/host%06u:8080", i / 10, i);
        int value_len = snprintf(value, sizeof(value), "{\"address\": \"http@10.0.%u.%u:8080\", \"origin\": \"rest\"}",
                                 i / 256, i % 256);
        const struct store_kv kv = {
            .key = slice_from(key, (size_t)key_len),
            .value = slice_from(value, (size_t)value_len),
            .create_revision = 1,
            .mod_revision = 1,
            .version = 1,
        };
        const struct catalog_event event = {.type = CATALOG_KEY, .key = {.kv = &kv, .is_initial = true}};
        expect_int(catalog_step(scene.catalog, &event, &scene.time, &scene.updates), 0);
        if (i % 1000 == 999)
            publish(&scene);
    }
    publish(&scene);
    size_t each = (heap_bytes() - before) / 10000;
    printf("# %zu bytes each\n", each);
    expect_true(each < 1024);
    end(&scene);
}

static const struct test_case cases[] = {
    {"a change costs the same in a large service", a_change_costs_the_same_in_a_large_service},
    {"10,000 changes of one service take no more memory each",
     ten_thousand_changes_of_one_service_take_no_more_memory_each},
    {"etcd#12105: 100,000 expire at once: one change each, others need not wait", a_hundred_thousand_expire_at_once},
    {"an instance takes less than a kilobyte", an_instance_takes_less_than_a_kilobyte},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
