/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found is seen by all workers at once, through the runtime's flags, and by everybody else through the
 * catalogue, which is told once per change. The catalogue looks at suspects by itself (src/health) and ends a suspicion
 * that nobody renews.
 */
#include "gateway/suspicion.h"

#include "gateway/account.h"

#include <stdatomic.h>

/* Ejections get longer by doubling, up to this many times. */
#define DOUBLINGS_MAX 5
/* From so many on, connections that were used before are left alone for a while. */
#define REUSE_FAILURES_MAX 2
#define REUSE_PAUSE_NS     (10 * NSEC_PER_SEC)

static void tell_catalogue(struct gateway_worker *worker, const struct runtime *runtime, bool is_good,
                           struct slice evidence)
{
    const struct catalog_event event = {
        .type = CATALOG_SUSPECT,
        .report = {.service = runtime->service,
                   .id = runtime->id,
                   .incarnation = runtime->incarnation,
                   .is_good = is_good,
                   .actor = SLICE_LIT("gateway"),
                   .evidence = evidence},
    };
    (void)gateway_report(worker->gateway, &event); /* out of memory: the next failure says it again */
}

static void eject(struct gateway_worker *worker, struct runtime *runtime, enum cause cause)
{
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    account_ejection(worker, runtime);
    uint32_t n = atomic_fetch_add_explicit(&runtime->n_ejections, 1, memory_order_relaxed);
    nsec_t until_ns = loop_now(worker->loop) + (settings->eject_ns << (n < DOUBLINGS_MAX ? n : DOUBLINGS_MAX));
    atomic_store_explicit(&runtime->ejected_until_ns, until_ns, memory_order_relaxed);
    atomic_fetch_or_explicit(&runtime->trouble, RUNTIME_EJECTED, memory_order_relaxed);
    tell_catalogue(worker, runtime, false, cause_text(cause));
}

void suspicion_of_failure(struct gateway_worker *worker, struct runtime_slot *slot, enum cause cause)
{
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    if (cause == CAUSE_INTERNAL)
        return; /* it was us */
    slot->n_failures++;
    if (cause == CAUSE_CONNECT_REFUSED || slot->n_failures >= settings->eject_failures) {
        slot->n_failures = 0;
        eject(worker, slot->runtime, cause);
    }
}

void suspicion_of_reuse(struct gateway_worker *worker, struct runtime_slot *slot)
{
    atomic_store_explicit(&slot->runtime->reuse_proven, false, memory_order_relaxed);
    if (++slot->n_reuse_failures >= REUSE_FAILURES_MAX)
        slot->reuse_again_ns = loop_now(worker->loop) + REUSE_PAUSE_NS;
}

void suspicion_of_answer(struct gateway_worker *worker, struct runtime_slot *slot)
{
    struct runtime *runtime = slot->runtime;
    slot->n_failures = 0;
    if (!runtime_has(runtime, RUNTIME_EJECTED | RUNTIME_STALLED))
        return;
    uint32_t had = atomic_fetch_and_explicit(&runtime->trouble, ~(uint32_t)(RUNTIME_EJECTED | RUNTIME_STALLED),
                                             memory_order_relaxed);
    atomic_store_explicit(&runtime->n_ejections, 0, memory_order_relaxed);
    if (had & (RUNTIME_EJECTED | RUNTIME_STALLED))
        tell_catalogue(worker, runtime, true, SLICE_LIT("it answers"));
}
