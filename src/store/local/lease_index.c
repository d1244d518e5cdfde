/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock-free index of leases.
 *
 * Invariants: a slot goes from empty to a lease, from there to `removed`, and from `removed` to another lease, never
 * back to empty, so a search that runs beside changes misses nothing that was there all the time. At most three
 * quarters of the slots are not empty; when an insertion would break that, the leases move to a new array.
 */
#include "store/local/lease_index.h"

#include "base/assert.h"
#include "base/hash.h"
#include "store/local/lease.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

struct lease_slots {
    struct rcu_node rcu;
    size_t n_slots; /* a power of two */
    size_t n_used;  /* not empty */
    size_t n_leases;
    struct lease *_Atomic slots[];
};

/* Where a lease was. Its address is what counts, it is never looked into. */
static struct lease *removed_mark(struct lease_slots *slots)
{
    return (struct lease *)(void *)slots;
}

static struct lease_slots *slots_new(size_t n_slots)
{
    struct lease_slots *slots = calloc(1, sizeof(*slots) + n_slots * sizeof(slots->slots[0]));
    if (slots)
        slots->n_slots = n_slots;
    return slots;
}

static void slots_free(struct rcu_node *node)
{
    free(container_of(node, struct lease_slots, rcu));
}

/*
 * Ids are chosen by clients, often in sequence; mixing spreads them. Crafted collisions cost only their maker's rights:
 * whoever may grant leases may also fill the store.
 */
static size_t slot_of(const struct lease_slots *slots, int64_t id)
{
    return (size_t)hash_number((uint64_t)id) & (slots->n_slots - 1);
}

int lease_index_init(struct lease_index *index, struct rcu_domain *rcu)
{
    index->rcu = rcu;
    struct lease_slots *slots = slots_new(SLOTS_MIN);
    if (!slots)
        return -ENOMEM;
    atomic_init(&index->slots, slots);
    return 0;
}

void lease_index_deinit(struct lease_index *index)
{
    free(rcu_read(&index->slots));
    atomic_store(&index->slots, NULL);
}

struct lease *lease_index_find(const struct lease_index *index, int64_t id)
{
    struct lease_slots *slots = rcu_read(&index->slots);
    for (size_t i = slot_of(slots, id);; i = (i + 1) & (slots->n_slots - 1)) {
        struct lease *lease = rcu_read(&slots->slots[i]);
        if (!lease)
            return NULL;
        if (lease != removed_mark(slots) && lease_id(lease) == id)
            return lease;
    }
}

/* Stores a lease in the first free slot of its row. */
static void slots_put(struct lease_slots *slots, struct lease *lease)
{
    size_t i = slot_of(slots, lease_id(lease));
    for (;; i = (i + 1) & (slots->n_slots - 1)) {
        struct lease *there = rcu_read(&slots->slots[i]);
        if (!there)
            slots->n_used++;
        if (!there || there == removed_mark(slots))
            break;
    }
    slots->n_leases++;
    rcu_publish(&slots->slots[i], lease);
}

static int grow(struct lease_index *index)
{
    struct lease_slots *old = rcu_read(&index->slots);
    size_t n_slots = SLOTS_MIN;
    while (n_slots < old->n_leases * 3)
        n_slots *= 2;
    struct lease_slots *new = slots_new(n_slots);
    if (!new)
        return -ENOMEM;
    size_t position = 0;
    for (struct lease *lease; (lease = lease_index_next(index, &position)) != NULL;)
        slots_put(new, lease);
    rcu_publish(&index->slots, new);
    rcu_retire(index->rcu, &old->rcu, slots_free);
    return 0;
}

int lease_index_insert(struct lease_index *index, struct lease *lease)
{
    ASSERT(!lease_index_find(index, lease_id(lease)));
    struct lease_slots *slots = rcu_read(&index->slots);
    if ((slots->n_used + 1) * 4 > slots->n_slots * 3 && grow(index) < 0)
        return -ENOMEM;
    slots_put(rcu_read(&index->slots), lease);
    return 0;
}

void lease_index_remove(struct lease_index *index, struct lease *lease)
{
    struct lease_slots *slots = rcu_read(&index->slots);
    size_t i = slot_of(slots, lease_id(lease));
    for (struct lease *there; (there = rcu_read(&slots->slots[i])) != lease; i = (i + 1) & (slots->n_slots - 1))
        ASSERT(there);
    slots->n_leases--;
    rcu_publish(&slots->slots[i], removed_mark(slots));
}

size_t lease_index_size(const struct lease_index *index)
{
    return rcu_read(&index->slots)->n_leases;
}

struct lease *lease_index_next(const struct lease_index *index, size_t *position)
{
    struct lease_slots *slots = rcu_read(&index->slots);
    while (*position < slots->n_slots) {
        struct lease *lease = rcu_read(&slots->slots[(*position)++]);
        if (lease && lease != removed_mark(slots))
            return lease;
    }
    return NULL;
}
