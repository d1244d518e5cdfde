/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading adds up what each worker has, one counter after the other while they count: each sum is one that was true at
 * some moment of the reading, and none ever falls.
 */
#include "gateway/tally.h"

#include "base/assert.h"
#include "base/counter.h"

#include <stdlib.h>

struct tally *tally_of(struct plan_cell *cell, unsigned worker)
{
    ASSERT(worker < cell->n_shares);
    struct tally *_Atomic *where = &cell->shares[worker].tally;
    struct tally *tally = atomic_load_explicit(where, memory_order_relaxed);
    if (tally)
        return tally;
    tally = aligned_alloc(_Alignof(struct tally), sizeof(*tally));
    if (!tally)
        return NULL;
    memset(tally, 0, sizeof(*tally));
    atomic_store_explicit(where, tally, memory_order_release);
    return tally;
}

void tally_observe(struct tally *tally, nsec_t took_ns)
{
    uint64_t us = took_ns > 0 ? (uint64_t)(took_ns / NSEC_PER_USEC) : 0;
    counter_add(&tally->latency[runtime_bucket(us)], 1);
    counter_add(&tally->latency_sum_us, us);
}

static void sum(uint64_t *to, const _Atomic uint64_t *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] += atomic_load_explicit(&from[i], memory_order_relaxed);
}

static void sum_tally(const struct tally *tally, struct tally_sum *to)
{
    sum(to->by_class, tally->by_class, ARRAY_LEN(to->by_class));
    sum(to->latency, tally->latency, ARRAY_LEN(to->latency));
    sum(to->causes, tally->causes, ARRAY_LEN(to->causes));
    sum(&to->latency_sum_us, &tally->latency_sum_us, 1);
    sum(&to->n_retries, &tally->n_retries, 1);
    sum(&to->n_hedges, &tally->n_hedges, 1);
    sum(&to->n_parked, &tally->n_parked, 1);
    sum(&to->n_queued, &tally->n_queued, 1);
    sum(&to->n_connects, &tally->n_connects, 1);
    sum(&to->n_reused, &tally->n_reused, 1);
    sum(&to->n_connect_failures, &tally->n_connect_failures, 1);
    sum(&to->n_ejections, &tally->n_ejections, 1);
    sum(&to->n_bytes_in, &tally->n_bytes_in, 1);
    sum(&to->n_bytes_out, &tally->n_bytes_out, 1);
}

void tally_sum(const struct plan_cell *cell, struct tally_sum *ret_sum)
{
    *ret_sum = (struct tally_sum){0};
    for (unsigned i = 0; i < cell->n_shares; i++) {
        const struct plan_share *share = &cell->shares[i];
        const struct tally *tally = atomic_load_explicit(&share->tally, memory_order_acquire);
        sum(&ret_sum->n_requests, &share->n_requests, 1);
        ret_sum->n_under_way += atomic_load_explicit(&share->n_held, memory_order_relaxed);
        if (tally)
            sum_tally(tally, ret_sum);
    }
}

void runtime_sum(const struct runtime *runtime, struct runtime_sum *ret_sum)
{
    struct runtime_sum *to = ret_sum;
    *to = (struct runtime_sum){.n_ejections = atomic_load_explicit(&runtime->n_ejected, memory_order_relaxed)};
    for (unsigned i = 0; i < runtime->n_slots; i++) {
        const struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[i], memory_order_acquire);
        if (!slot)
            continue;
        to->is_used = true;
        to->n_in_flight += atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed);
        sum(&to->n_requests, &slot->n_requests, 1);
        sum(to->by_class, slot->by_class, ARRAY_LEN(to->by_class));
        sum(&to->n_retries, &slot->n_retries, 1);
        sum(&to->n_hedges, &slot->n_hedges, 1);
        sum(&to->n_connects, &slot->n_connects, 1);
        sum(&to->n_reused, &slot->n_reused, 1);
        sum(&to->n_connect_failures, &slot->n_connect_failures, 1);
        sum(&to->n_idle_closed, &slot->n_idle_closed, 1);
        sum(&to->n_bytes_out, &slot->n_bytes_out, 1);
        sum(to->latency, slot->latency, ARRAY_LEN(to->latency));
        sum(&to->latency_sum_us, &slot->latency_sum_us, 1);
    }
}
