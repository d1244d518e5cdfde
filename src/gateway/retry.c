/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The budget is kept by halving: every WINDOW the worker halves its own counts, so what was long ago counts less and
 * less, and no count is shared for writing. Who asks adds up the counts of all workers.
 */
#include "gateway/retry.h"

#include "base/counter.h"

#define WINDOW_NS (5 * NSEC_PER_SEC)

bool retry_may_repeat(const struct retry_facts *facts)
{
    if (facts->contract == RETRY_NONE || !facts->is_kept)
        return false;
    return http_method_is_idempotent(facts->method) || (facts->contract == RETRY_KEY && facts->has_key);
}

enum retry_decision retry_decide(const struct retry_facts *facts)
{
    if (facts->responded || !facts->is_kept)
        return RETRY_NEVER;
    if (!facts->sent)
        return RETRY_ELSEWHERE;
    if (!retry_may_repeat(facts))
        return RETRY_NEVER;
    return facts->reused && !facts->timed_out ? RETRY_FRESH : RETRY_CHARGED;
}

static uint32_t get(const _Atomic uint32_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void set(_Atomic uint32_t *count, uint32_t value)
{
    atomic_store_explicit(count, value, memory_order_relaxed);
}

static struct plan_share *share_at(struct plan_cell *cell, unsigned worker, nsec_t now_ns)
{
    ASSERT(worker < cell->n_shares);
    struct plan_share *share = &cell->shares[worker];
    if (now_ns - share->window_ns < WINDOW_NS)
        return share;
    unsigned shift =
        now_ns - share->window_ns < 16 * WINDOW_NS ? (unsigned)((now_ns - share->window_ns) / WINDOW_NS) : 16;
    set(&share->window_requests, get(&share->window_requests) >> shift);
    set(&share->window_retries, get(&share->window_retries) >> shift);
    share->window_ns = now_ns;
    return share;
}

void retry_count_request(struct plan_cell *cell, unsigned worker, nsec_t now_ns)
{
    struct plan_share *share = share_at(cell, worker, now_ns);
    counter_add(&share->n_requests, 1);
    counter_add32(&share->window_requests, 1);
}

bool retry_charge(struct plan_cell *cell, unsigned worker, const struct gateway_settings *settings, nsec_t now_ns)
{
    struct plan_share *own = share_at(cell, worker, now_ns);
    uint64_t n_requests = 0, n_retries = 0;
    for (unsigned i = 0; i < cell->n_shares; i++) {
        n_requests += get(&cell->shares[i].window_requests);
        n_retries += get(&cell->shares[i].window_retries);
    }
    uint64_t n_allowed =
        n_requests * settings->retry_percent / 100 + (uint64_t)settings->retry_floor * (WINDOW_NS / NSEC_PER_SEC);
    if (n_retries >= n_allowed)
        return false;
    counter_add32(&own->window_retries, 1);
    return true;
}
