/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk and its arrays are one allocation. What is wanted of many instances at a time (targets, weights, places) lies
 * in arrays of its own, so that tiers are made by copying.
 */
#include "gateway/chunk.h"

#include "gateway/hosts.h"
#include "gateway/voice.h"

#include <errno.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------ targets */

int target_new(const struct instance *instance, struct runtime *runtime, struct host *host, unsigned places,
               struct target **ret_target)
{
    struct target *target = malloc(sizeof(*target));
    if (!target)
        return -ENOMEM;
    *target = (struct target){
        .weight = instance->record.weight,
        .places = (uint8_t)places,
        .instance = instance_ref(instance),
        .runtime = runtime,
        .host = host,
    };
    atomic_init(&target->refs, 1);
    *ret_target = target;
    return 0;
}

struct target *target_ref(const struct target *target)
{
    struct target *counted = (struct target *)(uintptr_t)target; /* counting is no change of it */
    atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
    return counted;
}

void target_unref(const struct target *target)
{
    struct target *counted = (struct target *)(uintptr_t)target;
    if (!counted || atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) > 1)
        return;
    instance_unref(counted->instance);
    runtime_unref(counted->runtime);
    host_unref(counted->host);
    free(counted);
}

/* ------------------------------------------------------------------------------------------------ chunks */

void place_sums_add(struct place_sums *sums, const struct place_sums *more)
{
    sums->n += more->n;
    sums->weight_min = more->weight_min < sums->weight_min ? more->weight_min : sums->weight_min;
    sums->weight_max = more->weight_max > sums->weight_max ? more->weight_max : sums->weight_max;
    sums->since_ns = more->since_ns < sums->since_ns ? more->since_ns : sums->since_ns;
}

static struct plan_chunk *chunk_alloc(unsigned n)
{
    struct plan_chunk *chunk;
    size_t n_each = sizeof(chunk->instances[0]) + sizeof(chunk->targets[0]) + sizeof(chunk->weights[0]) + 1;
    chunk = malloc(sizeof(*chunk) + n * n_each);
    if (!chunk)
        return NULL;
    *chunk = (struct plan_chunk){
        .n = n,
    };
    for (unsigned place = 0; place < N_PLACES; place++)
        chunk->at[place] = place_sums_none();
    atomic_init(&chunk->refs, 1);
    chunk->instances = (void *)(chunk + 1);
    chunk->targets = (void *)(chunk->instances + n);
    chunk->weights = (void *)(chunk->targets + n);
    chunk->places = (void *)(chunk->weights + n);
    return chunk;
}

static void sum_up(struct plan_chunk *chunk, const struct target *target)
{
    const struct place_sums own = {
        .n = 1,
        .weight_min = target->weight,
        .weight_max = target->weight,
        .since_ns = atomic_load_explicit(&target->runtime->since_ns, memory_order_relaxed),
    };
    for (unsigned place = 0; place < N_PLACES; place++)
        if ((target->places >> place) & 1U)
            place_sums_add(&chunk->at[place], &own);
    chunk->has_names |= target->host != NULL;
    if (voice_is(target->instance))
        chunk->voice = voice_later(chunk->voice, target->instance);
}

int chunk_new(struct target *const *targets, unsigned n, struct plan_chunk **ret_chunk)
{
    struct plan_chunk *chunk = chunk_alloc(n);
    if (!chunk)
        return -ENOMEM;
    for (unsigned i = 0; i < n; i++) {
        chunk->targets[i] = targets[i];
        chunk->instances[i] = targets[i]->instance;
        chunk->weights[i] = targets[i]->weight;
        chunk->places[i] = targets[i]->places;
        sum_up(chunk, targets[i]);
    }
    *ret_chunk = chunk;
    return 0;
}

struct plan_chunk *chunk_ref(struct plan_chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
    return chunk;
}

void chunk_unref(struct plan_chunk *chunk)
{
    if (!chunk || atomic_fetch_sub_explicit(&chunk->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (unsigned i = 0; i < chunk->n; i++)
        target_unref(chunk->targets[i]);
    free(chunk);
}
