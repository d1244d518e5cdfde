/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An array of pointers, a change at its revision modulo the size. A forgotten change is retired, so that a reader that
 * has just got it may go on; it holds references to its instances, and they count to its bytes, since for those that
 * are gone it is the one who keeps them.
 *
 * Invariants: slots of revisions oldest .. revision are set, all others NULL; published <= revision.
 */
#include "catalog/changes.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

struct changes_item {
    struct catalog_change change;
    struct rcu_node retired;
    char texts[];
};

struct changes {
    struct rcu_domain *rcu;
    int64_t revision; /* of the last one added */
    size_t n_bytes;
    _Atomic int64_t oldest, published;
    struct changes_item *_Atomic slots[CHANGES_MAX];
};

static struct changes_item *_Atomic *slot_of(struct changes *changes, int64_t revision)
{
    return &changes->slots[(uint64_t)revision & (CHANGES_MAX - 1)];
}

int changes_new(struct rcu_domain *rcu, int64_t revision, struct changes **ret_changes)
{
    struct changes *changes = calloc(1, sizeof(*changes)); /* pages that are never touched take no memory */
    if (!changes)
        return -ENOMEM;
    changes->rcu = rcu;
    changes->revision = revision;
    atomic_init(&changes->oldest, revision + 1);
    atomic_init(&changes->published, revision);
    *ret_changes = changes;
    return 0;
}

void changes_free(struct changes *changes)
{
    if (!changes)
        return;
    for (int64_t revision = changes_oldest(changes); revision <= changes->revision; revision++)
        changes_drop(atomic_load_explicit(slot_of(changes, revision), memory_order_relaxed));
    free(changes);
}

/* About what an instance takes. */
static size_t instance_bytes(const struct instance *instance)
{
    if (!instance)
        return 0;
    const struct instance_details *details = instance_details(&instance->record);
    size_t n = sizeof(*instance) + instance->key.len + instance->record.address.len +
               ((size_t)details->n_tags + details->n_needs) * sizeof(details->tags[0]);
    for (unsigned i = 0; i < details->n_metadata; i++)
        n += sizeof(details->metadata[i]) + details->metadata[i].name.len + details->metadata[i].value.len;
    return n;
}

/* Of an item with what it keeps. */
static size_t item_bytes(const struct changes_item *item)
{
    return sizeof(*item) + item->change.actor.len + item->change.evidence.len + instance_bytes(item->change.before);
}

int changes_prepare(const struct changes *changes, const struct catalog_change *model, struct changes_item **ret_item)
{
    struct changes_item *item = malloc(sizeof(*item) + model->actor.len + model->evidence.len);
    if (!item)
        return -ENOMEM;
    char *at = item->texts;
    item->change = *model;
    item->change.revision = changes->revision + 1;
    item->change.actor = slice_put(model->actor, &at);
    item->change.evidence = slice_put(model->evidence, &at);
    if (model->before)
        instance_ref(model->before);
    if (model->after)
        instance_ref(model->after);
    *ret_item = item;
    return 0;
}

void changes_drop(struct changes_item *item)
{
    if (!item)
        return;
    instance_unref(item->change.before);
    instance_unref(item->change.after);
    free(item);
}

static void item_retired(struct rcu_node *node)
{
    changes_drop(container_of(node, struct changes_item, retired));
}

static void forget_oldest(struct changes *changes)
{
    int64_t oldest = changes_oldest(changes);
    struct changes_item *_Atomic *slot = slot_of(changes, oldest);
    struct changes_item *item = atomic_load_explicit(slot, memory_order_relaxed);
    ASSERT(item && item->change.revision == oldest);
    atomic_store_explicit(&changes->oldest, oldest + 1, memory_order_release);
    rcu_publish(slot, NULL);
    changes->n_bytes -= item_bytes(item);
    rcu_retire(changes->rcu, &item->retired, item_retired);
}

void changes_add(struct changes *changes, struct changes_item *item)
{
    const size_t n_bytes = item_bytes(item);
    ASSERT(item->change.revision == changes->revision + 1);
    while (changes_oldest(changes) <= changes->revision &&
           (changes->n_bytes + n_bytes > CHANGES_BYTES_MAX ||
            (uint64_t)(item->change.revision - changes_oldest(changes)) >= CHANGES_MAX))
        forget_oldest(changes);
    changes->n_bytes += n_bytes;
    changes->revision = item->change.revision;
    rcu_publish(slot_of(changes, item->change.revision), item);
}

void changes_publish(struct changes *changes)
{
    atomic_store_explicit(&changes->published, changes->revision, memory_order_release);
}

int64_t changes_revision(const struct changes *changes)
{
    return changes->revision;
}

int64_t changes_oldest(const struct changes *changes)
{
    return atomic_load_explicit(&changes->oldest, memory_order_acquire);
}

int64_t changes_published(const struct changes *changes)
{
    return atomic_load_explicit(&changes->published, memory_order_acquire);
}

const struct catalog_change *changes_get(const struct changes *changes, int64_t revision)
{
    if (revision > changes_published(changes) || revision < changes_oldest(changes))
        return NULL;
    const struct changes_item *item = rcu_read(&changes->slots[(uint64_t)revision & (CHANGES_MAX - 1)]);
    /* It may have been forgotten just now, and a later one have taken its place. */
    return item && item->change.revision == revision ? &item->change : NULL;
}
