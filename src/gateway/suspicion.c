/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is found is seen by all workers at once, through the runtime's flags, and by everybody else through the
 * catalogue. Whoever sets a flag makes sure that the instance has an owner; the owner lets go when it finds no flag
 * left, and looks once more after that, so that none is left without.
 */
#include "gateway/suspicion.h"

#include "base/backoff.h"
#include "gateway/account.h"
#include "gateway/reuse.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#define IN_TROUBLE ((uint32_t)(RUNTIME_EJECTED | RUNTIME_STALLED | RUNTIME_REFUSED))

/* Ejections get longer by doubling, up to this many times as long; who was well for so long begins anew. */
#define EJECT_TIMES_MAX 32
#define FORGIVE_NS      (60 * NSEC_PER_SEC)

/* Who hangs is frozen when it has not answered a question for so long: its requests are hedged then. */
#define GRACE_NS (2 * WORKER_WATCH_NS)

/* The catalogue forgets after 10 s what nobody says again. */
#define TELL_NS (4 * NSEC_PER_SEC)

/* How long a proof may take, doubling: one that is open when a frozen program goes on is answered at once. */
#define PROOF_NS     NSEC_PER_SEC
#define PROOF_MAX_NS (8 * NSEC_PER_SEC)
/* Between proofs of one that refuses connections, doubling. */
#define REFUSED_NS     (100 * NSEC_PER_MSEC)
#define REFUSED_MAX_NS (4 * NSEC_PER_SEC)
/* Between questions to one that is only doubted. */
#define DOUBT_NS (10 * NSEC_PER_SEC)

static const struct gateway_settings *settings_of(const struct gateway_worker *worker)
{
    return &planner_plan(gateway_planner(worker->gateway))->settings;
}

static uint32_t trouble_of(const struct runtime *runtime)
{
    return atomic_load_explicit(&runtime->trouble, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------ telling */

static void tell_catalogue(struct gateway_worker *worker, const struct runtime *runtime, bool is_good,
                           struct slice evidence)
{
    bool is_refused = trouble_of(runtime) & RUNTIME_REFUSED;
    const struct catalog_event event = {
        .type = CATALOG_SUSPECT,
        .report = {.service = runtime->service,
                   .id = runtime->id,
                   .incarnation = runtime->incarnation,
                   .is_good = is_good,
                   .is_mute = !is_good && !is_refused,
                   .actor = SLICE_LIT("gateway"),
                   .evidence = evidence},
    };
    (void)gateway_report(worker->gateway, &event); /* out of memory: it is said again */
}

static void tell_trouble(struct gateway_worker *worker, struct runtime_slot *slot, uint32_t trouble)
{
    struct runtime *runtime = slot->runtime;
    nsec_t now_ns = loop_now(worker->loop);
    char text[96];
    const char *what = "it does not answer requests";
    if (trouble & RUNTIME_REFUSED)
        what = "it refuses connections";
    else if (trouble & RUNTIME_STALLED)
        what = "it takes connections and answers nothing";
    nsec_t for_ns =
        trouble & RUNTIME_STALLED ? now_ns - atomic_load_explicit(&runtime->stalled_ns, memory_order_relaxed) : 0;
    int n = for_ns > 0 ? snprintf(text, sizeof(text), "%s, for %lld ms", what, (long long)(for_ns / NSEC_PER_MSEC))
                       : snprintf(text, sizeof(text), "%s", what);
    slot->care.told_ns = now_ns;
    tell_catalogue(worker, runtime, false, slice_from(text, n > 0 ? (size_t)n : 0));
}

/* ------------------------------------------------------------------------------------------------ owners */

static void list_slot(struct gateway_worker *worker, struct runtime_slot *slot)
{
    if (!list_is_linked(&slot->care.link))
        list_push_back(&worker->cared, &slot->care.link);
    gateway_worker_watch(worker);
}

/* prove_ns: when the first proof is due. */
static void own(struct gateway_worker *worker, struct runtime_slot *slot, nsec_t prove_ns)
{
    if (!slot->care.is_owner && atomic_exchange_explicit(&slot->runtime->has_owner, true, memory_order_seq_cst))
        return; /* another worker does */
    slot->care.is_owner = true;
    slot->care.told_ns = 0;
    slot->care.n_in_vain = 0;
    slot->care.prove_ns = prove_ns;
    list_slot(worker, slot);
}

static void disown(struct gateway_worker *worker, struct runtime_slot *slot)
{
    struct runtime *runtime = slot->runtime;
    slot->care.is_owner = false;
    atomic_store_explicit(&runtime->has_owner, false, memory_order_seq_cst);
    if (atomic_load_explicit(&runtime->trouble, memory_order_seq_cst) & IN_TROUBLE)
        own(worker, slot, loop_now(worker->loop));
}

void suspicion_forget(struct runtime_slot *slot)
{
    prove_cancel(slot);
    list_remove(&slot->care.link);
    if (slot->care.is_owner)
        atomic_store_explicit(&slot->runtime->has_owner, false, memory_order_release);
    slot->care.is_owner = slot->care.wants_reuse = false;
}

/* ------------------------------------------------------------------------------------------------ verdicts */

/* For longer than the last time, unless that is long ago. */
static nsec_t set_ejection_time(struct gateway_worker *worker, struct runtime *runtime)
{
    nsec_t now_ns = loop_now(worker->loop), eject_ns = settings_of(worker)->eject_ns;
    nsec_t last_ns = atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed);
    if (now_ns - last_ns > FORGIVE_NS)
        atomic_store_explicit(&runtime->n_ejections, 0, memory_order_relaxed);
    uint32_t n = atomic_fetch_add_explicit(&runtime->n_ejections, 1, memory_order_relaxed);
    nsec_t until_ns = now_ns + backoff_doubled(eject_ns, n, EJECT_TIMES_MAX * eject_ns);
    atomic_store_explicit(&runtime->ejected_until_ns, until_ns, memory_order_relaxed);
    return until_ns;
}

/* Just before its time is over: only the proof is let through. */
static nsec_t proof_of_ejection_ns(const struct runtime *runtime)
{
    return atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed) - 2 * WORKER_WATCH_NS;
}

static void eject(struct gateway_worker *worker, struct runtime_slot *slot, enum cause cause)
{
    struct runtime *runtime = slot->runtime;
    bool is_refused = cause == CAUSE_CONNECT_REFUSED;
    uint32_t set = RUNTIME_EJECTED | (is_refused ? (uint32_t)RUNTIME_REFUSED : 0);
    if (trouble_of(runtime) & RUNTIME_EJECTED)
        return;
    (void)set_ejection_time(worker, runtime);
    if (atomic_fetch_or_explicit(&runtime->trouble, set, memory_order_seq_cst) & RUNTIME_EJECTED)
        return;
    account_ejection(worker, runtime);
    own(worker, slot, is_refused ? loop_now(worker->loop) + REFUSED_NS : proof_of_ejection_ns(runtime));
    slot->care.told_ns = loop_now(worker->loop);
    tell_catalogue(worker, runtime, false, cause_text(cause));
}

static void clear(struct gateway_worker *worker, struct runtime_slot *slot, struct slice evidence)
{
    uint32_t had = atomic_fetch_and_explicit(&slot->runtime->trouble, ~IN_TROUBLE, memory_order_seq_cst);
    if (had & IN_TROUBLE)
        tell_catalogue(worker, slot->runtime, true, evidence);
}

void suspicion_of_failure(struct gateway_worker *worker, struct runtime_slot *slot, enum cause cause)
{
    if (cause_is_ours(cause))
        return;
    _Atomic uint32_t *n_failures = &slot->runtime->n_failures;
    uint32_t n = atomic_fetch_add_explicit(n_failures, 1, memory_order_relaxed) + 1;
    if (cause == CAUSE_CONNECT_REFUSED)
        reuse_of_refusal(slot->runtime, loop_now(worker->loop));
    else if (n < settings_of(worker)->eject_failures)
        return;
    atomic_store_explicit(n_failures, 0, memory_order_relaxed);
    eject(worker, slot, cause);
}

void suspicion_of_answer(struct gateway_worker *worker, struct runtime_slot *slot)
{
    if (atomic_load_explicit(&slot->runtime->n_failures, memory_order_relaxed) > 0)
        atomic_store_explicit(&slot->runtime->n_failures, 0, memory_order_relaxed);
    runtime_heard(slot, loop_now(worker->loop));
    if (trouble_of(slot->runtime) & IN_TROUBLE)
        clear(worker, slot, SLICE_LIT("it answers"));
}

void suspicion_of_request(struct gateway_worker *worker, struct runtime_slot *slot)
{
    struct runtime *runtime = slot->runtime;
    nsec_t now_ns = loop_now(worker->loop);
    if (!(trouble_of(runtime) & RUNTIME_EJECTED))
        return;
    nsec_t until_ns = atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed);
    if (now_ns >= until_ns) /* others keep away until it is known how this one went */
        atomic_store_explicit(&runtime->ejected_until_ns, now_ns + settings_of(worker)->eject_ns, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------------ stalls */

void suspicion_of_stall(struct gateway_worker *worker, struct runtime_slot *slot)
{
    struct runtime *runtime = slot->runtime;
    nsec_t now_ns = loop_now(worker->loop);
    if (trouble_of(runtime) & RUNTIME_STALLED)
        return;
    atomic_store_explicit(&runtime->stalled_ns, now_ns, memory_order_relaxed);
    if (atomic_fetch_or_explicit(&runtime->trouble, RUNTIME_STALLED, memory_order_seq_cst) & RUNTIME_STALLED)
        return;
    own(worker, slot, now_ns);
}

bool suspicion_is_frozen(struct gateway_worker *worker, const struct runtime_slot *slot)
{
    const struct runtime *runtime = slot->runtime;
    if (!(trouble_of(runtime) & RUNTIME_STALLED))
        return false;
    nsec_t since_ns = atomic_load_explicit(&runtime->stalled_ns, memory_order_relaxed);
    return !settings_of(worker)->prove || loop_now(worker->loop) - since_ns >= GRACE_NS;
}

static void prove(struct gateway_worker *worker, struct runtime_slot *slot, enum proof_kind kind, nsec_t timeout_ns)
{
    int r = prove_start(worker, slot, kind, timeout_ns);
    if (r < 0)
        suspicion_of_proof(worker, slot, kind, r);
}

void suspicion_doubt(struct gateway_worker *worker, struct runtime_slot *slot)
{
    nsec_t now_ns = loop_now(worker->loop);
    if (!settings_of(worker)->prove || slot->care.running || !slot->place || now_ns < slot->care.prove_ns)
        return;
    slot->care.prove_ns = now_ns + DOUBT_NS;
    prove(worker, slot, PROOF_LIFE, PROOF_NS);
}

/* ------------------------------------------------------------------------------------------------ proofs */

void suspicion_wants_reuse(struct gateway_worker *worker, struct runtime_slot *slot)
{
    if (!settings_of(worker)->prove || slot->care.wants_reuse)
        return;
    slot->care.wants_reuse = true;
    list_slot(worker, slot);
}

/* It was asked in vain: the trouble lasts, or is another one now. */
static void after_vain_proof(struct gateway_worker *worker, struct runtime_slot *slot, int result)
{
    struct runtime *runtime = slot->runtime;
    struct care *care = &slot->care;
    nsec_t now_ns = loop_now(worker->loop);
    enum cause cause = cause_of_errno(result, false);
    unsigned n = care->n_in_vain++;
    care->prove_ns = now_ns;
    if (cause_is_ours(cause)) {
        care->prove_ns += PROOF_NS;
    } else if (cause == CAUSE_CONNECT_REFUSED) {
        atomic_fetch_or_explicit(&runtime->trouble, RUNTIME_EJECTED | RUNTIME_REFUSED, memory_order_relaxed);
        runtime_clear(runtime, RUNTIME_STALLED);
        reuse_of_refusal(runtime, now_ns);
        (void)set_ejection_time(worker, runtime);
        care->prove_ns += backoff_doubled(REFUSED_NS, n, REFUSED_MAX_NS);
    } else if (trouble_of(runtime) & RUNTIME_EJECTED) {
        (void)set_ejection_time(worker, runtime);
        care->prove_ns = proof_of_ejection_ns(runtime);
    } else if (result != -ETIMEDOUT) {
        care->prove_ns += backoff_doubled(REFUSED_NS, n, REFUSED_MAX_NS);
    }
}

void suspicion_of_proof(struct gateway_worker *worker, struct runtime_slot *slot, enum proof_kind kind, int result)
{
    if (result == 0)
        suspicion_of_answer(worker, slot);
    if (kind == PROOF_REUSE)
        reuse_of_proof(slot, result, loop_now(worker->loop));
    else if (result < 0 && slot->care.is_owner)
        after_vain_proof(worker, slot, result);
    if (list_is_linked(&slot->care.link))
        gateway_worker_watch(worker);
}

/* ------------------------------------------------------------------------------------------------ the watch */

static void prove_life(struct gateway_worker *worker, struct runtime_slot *slot, uint32_t trouble)
{
    struct runtime *runtime = slot->runtime;
    nsec_t timeout_ns = backoff_doubled(PROOF_NS, slot->care.n_in_vain, PROOF_MAX_NS);
    if (trouble & RUNTIME_EJECTED) { /* nobody else tries meanwhile */
        nsec_t until_ns = loop_now(worker->loop) + timeout_ns + 2 * WORKER_WATCH_NS;
        if (atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed) < until_ns)
            atomic_store_explicit(&runtime->ejected_until_ns, until_ns, memory_order_relaxed);
    }
    prove(worker, slot, PROOF_LIFE, timeout_ns);
}

static nsec_t earlier(nsec_t a, nsec_t b)
{
    return a < b ? a : b;
}

/* Without proofs it is with its time: then somebody may try, and nobody is told to keep away. */
static bool is_ejected(const struct gateway_worker *worker, const struct runtime *runtime)
{
    nsec_t until_ns = atomic_load_explicit(&runtime->ejected_until_ns, memory_order_relaxed);
    return trouble_of(runtime) & RUNTIME_EJECTED && (settings_of(worker)->prove || loop_now(worker->loop) < until_ns);
}

/* Without proofs a request is the trial of one that hung, after a while. */
static void let_try(struct gateway_worker *worker, struct runtime *runtime)
{
    nsec_t since_ns = atomic_load_explicit(&runtime->stalled_ns, memory_order_relaxed);
    const struct gateway_settings *settings = settings_of(worker);
    if (!settings->prove && loop_now(worker->loop) - since_ns >= settings->eject_ns)
        runtime_clear(runtime, RUNTIME_STALLED);
}

static nsec_t look_after_trouble(struct gateway_worker *worker, struct runtime_slot *slot)
{
    struct care *care = &slot->care;
    nsec_t now_ns = loop_now(worker->loop);
    let_try(worker, slot->runtime);
    uint32_t trouble = trouble_of(slot->runtime);
    if (!(trouble & IN_TROUBLE)) {
        disown(worker, slot);
        return NSEC_NEVER;
    }
    bool is_certain = is_ejected(worker, slot->runtime) || suspicion_is_frozen(worker, slot);
    if (is_certain && (care->told_ns == 0 || now_ns - care->told_ns >= TELL_NS))
        tell_trouble(worker, slot, trouble);
    nsec_t next_ns = is_certain && settings_of(worker)->prove ? care->told_ns + TELL_NS : now_ns + WORKER_WATCH_NS;
    if (!settings_of(worker)->prove || care->running || !slot->place)
        return next_ns;
    if (now_ns < care->prove_ns)
        return earlier(next_ns, care->prove_ns);
    prove_life(worker, slot, trouble);
    return next_ns;
}

/* That there is no used connection to ask on says something when none is in use. */
static bool can_prove_reuse(const struct runtime_slot *slot)
{
    bool is_in_use = atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed) > 0;
    return slot->place && !slot->care.running && (pool_place_n_idle(slot->place) > 0 || !is_in_use);
}

/* When it wants to be looked at again; NSEC_NEVER: all is well. */
static nsec_t look_after(struct gateway_worker *worker, struct runtime_slot *slot)
{
    nsec_t next_ns = slot->care.is_owner ? look_after_trouble(worker, slot) : NSEC_NEVER;
    if (trouble_of(slot->runtime) & IN_TROUBLE || !reuse_is_open(slot->runtime, loop_now(worker->loop)))
        slot->care.wants_reuse = false; /* there are other worries, or none */
    if (slot->care.wants_reuse && can_prove_reuse(slot))
        prove(worker, slot, PROOF_REUSE, PROOF_NS);
    if (slot->care.wants_reuse)
        next_ns = earlier(next_ns, loop_now(worker->loop) + PROOF_NS);
    return next_ns;
}

nsec_t suspicion_watch(struct gateway_worker *worker)
{
    nsec_t next_ns = NSEC_NEVER;
    list_for_each (node, &worker->cared) {
        struct runtime_slot *slot = container_of(node, struct runtime_slot, care.link);
        next_ns = earlier(next_ns, look_after(worker, slot));
        if (!slot->care.is_owner && !slot->care.wants_reuse)
            list_remove(&slot->care.link);
    }
    return next_ns;
}
