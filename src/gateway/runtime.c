/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One allocation for an instance and its texts, one for each worker that uses it. What a pick reads of an instance is
 * at the end of the former and at the front of the latter, so that it costs two cache lines, and one for each other
 * worker.
 *
 * A slot is made by its worker and published; others read it as long as they hold the runtime, since it goes with it.
 */
#include "gateway/runtime.h"

#include "base/assert.h"
#include "base/counter.h"
#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>

/* aligned_alloc wants whole units. */
static void *alloc_lines(size_t n_bytes)
{
    void *memory = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    if (memory)
        memset(memory, 0, n_bytes);
    return memory;
}

static struct slice keep(char **texts, struct slice text)
{
    char *copy = *texts;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    *texts += text.len;
    return slice_from(copy, text.len);
}

int runtime_new(const struct runtime_model *model, unsigned n_workers, struct rcu_domain *rcu,
                struct runtime **ret_runtime)
{
    static const struct hash_key known_to_all = {0x6d7573746572, 1}; /* the same in every process */
    size_t n_slot_bytes = n_workers * sizeof(struct runtime_slot *);
    struct runtime *runtime =
        alloc_lines(sizeof(*runtime) + n_slot_bytes + model->service.len + model->id.len + model->host.len);
    if (!runtime)
        return -ENOMEM;
    char *texts = (char *)(runtime + 1) + n_slot_bytes;
    runtime->rcu = rcu;
    runtime->incarnation = model->incarnation;
    runtime->hash = hash_pair(&known_to_all, model->service, model->id);
    runtime->addr = model->addr;
    runtime->is_tls = model->is_tls;
    runtime->is_addressable = model->is_addressable;
    runtime->service = keep(&texts, model->service);
    runtime->id = keep(&texts, model->id);
    runtime->host = keep(&texts, model->host);
    runtime->n_slots = n_workers;
    atomic_init(&runtime->refs, 1);
    atomic_init(&runtime->idle_life_ns, NSEC_NEVER);
    atomic_init(&runtime->since_ns, model->since_ns);
    *ret_runtime = runtime;
    return 0;
}

struct runtime *runtime_ref(struct runtime *runtime)
{
    atomic_fetch_add_explicit(&runtime->refs, 1, memory_order_relaxed);
    return runtime;
}

static void runtime_retired(struct rcu_node *node)
{
    struct runtime *runtime = container_of(node, struct runtime, retired);
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        ASSERT(!slot || (!slot->place && list_is_empty(&slot->waiting) && list_is_empty(&slot->answering)));
        ASSERT(!slot || (!list_is_linked(&slot->waiting_link) && !list_is_linked(&slot->open_link)));
        ASSERT(!slot || (!list_is_linked(&slot->care.link) && !slot->care.running));
        free(slot);
    }
    free(runtime);
}

void runtime_unref(struct runtime *runtime)
{
    if (runtime && atomic_fetch_sub_explicit(&runtime->refs, 1, memory_order_acq_rel) == 1)
        rcu_retire(runtime->rcu, &runtime->retired, runtime_retired);
}

struct runtime_slot *runtime_slot(struct runtime *runtime, unsigned worker)
{
    ASSERT(worker < runtime->n_slots);
    struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[worker], memory_order_relaxed);
    if (slot)
        return slot;
    slot = alloc_lines(sizeof(*slot));
    if (!slot)
        return NULL;
    list_init(&slot->connecting);
    list_init(&slot->waiting);
    list_init(&slot->writing);
    list_init(&slot->answering);
    list_init(&slot->care.link);
    list_init(&slot->waiting_link);
    list_init(&slot->open_link);
    slot->runtime = runtime;
    atomic_store_explicit(&runtime->slots[worker], slot, memory_order_release);
    return slot;
}

uint32_t runtime_n_in_flight(const struct runtime *runtime)
{
    uint32_t n = 0;
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        const struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        n += slot ? atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed) : 0;
    }
    return n;
}

nsec_t runtime_heard_ns(const struct runtime *runtime)
{
    nsec_t last = 0;
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        const struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        nsec_t own = slot ? atomic_load_explicit(&slot->heard_ns, memory_order_relaxed) : 0;
        last = own > last ? own : last;
    }
    return last;
}

void runtime_set(struct runtime *runtime, enum runtime_trouble trouble)
{
    atomic_fetch_or_explicit(&runtime->trouble, trouble, memory_order_relaxed);
}

void runtime_clear(struct runtime *runtime, enum runtime_trouble trouble)
{
    ASSERT(trouble != RUNTIME_GONE);
    atomic_fetch_and_explicit(&runtime->trouble, ~(uint32_t)trouble, memory_order_relaxed);
}

/* It rises faster than it falls: who has become slow is to be noticed soon. */
static uint64_t moved(uint64_t average_us, uint64_t us)
{
    if (average_us == 0)
        return us;
    return us > average_us ? average_us + (us - average_us) / 4 : average_us - (average_us - us) / 8;
}

void runtime_observe(struct runtime_slot *slot, nsec_t took_ns, nsec_t now_ns)
{
    uint64_t us = took_ns > 0 ? (uint64_t)(took_ns / NSEC_PER_USEC) : 0;
    uint64_t average_us = moved(atomic_load_explicit(&slot->latency_us, memory_order_relaxed), us > 0 ? us : 1);
    atomic_store_explicit(&slot->latency_us, average_us < UINT32_MAX ? (uint32_t)average_us : UINT32_MAX,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->latency_at_ns, now_ns, memory_order_relaxed);
    counter_add(&slot->latency[runtime_bucket(us)], 1);
    counter_add(&slot->latency_sum_us, us);
}

nsec_t runtime_slow_ns(const struct runtime_slot *slot)
{
    uint64_t n = 0, n_within = 0;
    for (unsigned i = 0; i < RUNTIME_LATENCY_BUCKETS; i++)
        n += atomic_load_explicit(&slot->latency[i], memory_order_relaxed);
    if (n == 0)
        return 0;
    for (unsigned i = 0; i + 1 < RUNTIME_LATENCY_BUCKETS; i++) {
        n_within += atomic_load_explicit(&slot->latency[i], memory_order_relaxed);
        if (n_within >= n - n / 100)
            return ((nsec_t)1 << (RUNTIME_LATENCY_SHIFT + i)) * NSEC_PER_USEC;
    }
    return NSEC_NEVER;
}
