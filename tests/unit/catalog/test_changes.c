/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of changes: bounds, and readers beside the writer.
 */
#include "catalog/changes.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct ring {
    struct rcu_domain rcu;
    struct changes *changes;
    _Atomic bool is_over;
};

static void ring_init(struct ring *ring, int64_t revision)
{
    *ring = (struct ring){0};
    rcu_init(&ring->rcu);
    expect_int(changes_new(&ring->rcu, revision, &ring->changes), 0);
}

static void ring_deinit(struct ring *ring)
{
    changes_free(ring->changes);
    rcu_deinit(&ring->rcu);
}

static void add(struct ring *ring, const struct instance *before, const struct instance *after, const char *evidence)
{
    struct catalog_change change = {
        .kind = TIMELINE_CHANGED, .before = before, .after = after, .evidence = slice_from_str(evidence)};
    struct changes_item *item;
    expect_int(changes_prepare(ring->changes, &change, &item), 0);
    changes_add(ring->changes, item);
}

static struct instance *new_instance(size_t metadata_bytes)
{
    char *text = calloc(1, metadata_bytes + 1);
    const struct instance_pair pair = {SLICE_LIT("x"), slice_from(text, metadata_bytes)};
    const struct instance_details details = {.metadata = &pair, .n_metadata = 1};
    const struct instance model = {.service = SLICE_LIT("web"),
                                   .id = SLICE_LIT("1"),
                                   .key = SLICE_LIT("/muster/services/web/1"),
                                   .record = {.details = &details}};
    struct instance *instance;
    expect_int(instance_new(&model, &instance), 0);
    free(text);
    return instance;
}

static void a_change_is_seen_once_it_is_published(void)
{
    struct ring ring;
    ring_init(&ring, 41);
    expect_int(changes_oldest(ring.changes), 42);
    struct instance *instance = new_instance(1);
    add(&ring, NULL, instance, "why");
    instance_unref(instance); /* the ring has its own reference */
    expect_true(changes_get(ring.changes, 42) == NULL);
    expect_int(changes_published(ring.changes), 41);
    changes_publish(ring.changes);
    const struct catalog_change *change = changes_get(ring.changes, 42);
    expect_int(change->revision, 42);
    expect_slice(change->evidence, "why");
    expect_slice(change->after->id, "1");
    expect_true(changes_get(ring.changes, 41) == NULL && changes_get(ring.changes, 43) == NULL);
    ring_deinit(&ring);
}

static void a_dropped_one_was_never_there(void)
{
    struct ring ring;
    ring_init(&ring, 0);
    struct instance *instance = new_instance(1);
    struct changes_item *item;
    expect_int(changes_prepare(ring.changes, &(struct catalog_change){.after = instance}, &item), 0);
    changes_drop(item);
    add(&ring, instance, NULL, "");
    changes_publish(ring.changes);
    expect_int(changes_published(ring.changes), 1);
    instance_unref(instance);
    ring_deinit(&ring);
}

static void the_number_is_bounded(void)
{
    struct ring ring;
    ring_init(&ring, 0);
    struct instance *instance = new_instance(1);
    for (size_t i = 0; i < CHANGES_MAX + 10; i++)
        add(&ring, NULL, instance, "");
    changes_publish(ring.changes);
    expect_int(changes_oldest(ring.changes), 11);
    expect_true(changes_get(ring.changes, 10) == NULL);
    expect_int(changes_get(ring.changes, 11)->revision, 11);
    expect_int(changes_get(ring.changes, CHANGES_MAX + 10)->revision, CHANGES_MAX + 10);
    instance_unref(instance);
    ring_deinit(&ring);
}

static void so_are_the_bytes_that_it_keeps(void)
{
    struct ring ring;
    ring_init(&ring, 0);
    const size_t size = CHANGES_BYTES_MAX / 8;
    for (unsigned i = 0; i < 20; i++) {
        struct instance *instance = new_instance(size);
        add(&ring, instance, NULL, "");
        instance_unref(instance);
    }
    changes_publish(ring.changes);
    expect_int(changes_oldest(ring.changes), 14); /* 7 and what is around them */
    ring_deinit(&ring);
}

static void *follow(void *arg)
{
    struct ring *ring = arg;
    struct rcu_reader reader;
    rcu_register(&ring->rcu, &reader);
    rcu_online(&reader);
    int64_t next = 1;
    while (!atomic_load(&ring->is_over)) {
        rcu_quiescent(&reader);
        int64_t until = changes_published(ring->changes);
        for (; next <= until; next++) {
            const struct catalog_change *change = changes_get(ring->changes, next);
            if (!change) {
                expect_true(next < changes_oldest(ring->changes));
                next = changes_oldest(ring->changes) - 1;
                continue;
            }
            expect_int(change->revision, next);
            expect_slice(change->after->service, "web");
        }
    }
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void readers_follow_while_it_is_written(void)
{
    struct ring ring;
    ring_init(&ring, 0);
    pthread_t readers[2];
    for (unsigned i = 0; i < ARRAY_LEN(readers); i++)
        expect_int(pthread_create(&readers[i], NULL, follow, &ring), 0);
    struct instance *instance = new_instance(20000); /* so that the oldest are forgotten all the time */
    for (unsigned i = 0; i < 20000; i++) {
        add(&ring, instance, instance, "");
        if (i % 7 == 0) {
            changes_publish(ring.changes);
            (void)rcu_reclaim(&ring.rcu);
        }
    }
    atomic_store(&ring.is_over, true);
    for (unsigned i = 0; i < ARRAY_LEN(readers); i++)
        expect_int(pthread_join(readers[i], NULL), 0);
    instance_unref(instance);
    ring_deinit(&ring);
}

static const struct test_case cases[] = {
    {"a change is seen once it is published", a_change_is_seen_once_it_is_published},
    {"a dropped one was never there", a_dropped_one_was_never_there},
    {"the number is bounded", the_number_is_bounded},
    {"so are the bytes that it keeps", so_are_the_bytes_that_it_keeps},
    {"readers follow while it is written", readers_follow_while_it_is_written},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
