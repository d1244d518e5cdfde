/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request that can be repeated takes the connection used last. One that cannot takes none that might be closed just
 * now: only where the instance is known to answer on used connections, and only one that was in use a moment ago.
 *
 * Doubt outweighs all proofs while it lasts, since an instance may keep some of its connections and close others: by
 * path, by process behind its address. So the end of one says more than the answers on many. It outweighs them between
 * workers, too: who sets `reuse_proven` looks at the doubt once more afterwards, who doubts clears it last.
 */
#include "gateway/reuse.h"

#include "base/backoff.h"

/* How long a connection may have been idle to carry what must not be sent twice. */
#define YOUNG_NS (2 * NSEC_PER_SEC)
/* A request that can be repeated takes one as old as this, whatever was seen, which may have been an accident. */
#define TRUST_NS NSEC_PER_SEC
/* What an end may take to reach us: connections are left alone so long before it at least. */
#define MARGIN_NS (20 * NSEC_PER_MSEC)

/* How long it is in doubt, doubling; and from so much later on, it begins anew. */
#define DOUBT_NS     (10 * NSEC_PER_SEC)
#define DOUBT_MAX_NS (640 * NSEC_PER_SEC)

/* From so many in a row on, connections that were used before are left alone by all for a while. */
#define BREAKS_MAX 2
#define BREAKS_NS  (10 * NSEC_PER_SEC)

static bool is_proven(const struct runtime *runtime)
{
    return atomic_load_explicit(&runtime->reuse_proven, memory_order_relaxed);
}

static void doubt(struct runtime *runtime, nsec_t now_ns)
{
    nsec_t until_ns = atomic_load_explicit(&runtime->reuse_doubt_ns, memory_order_relaxed);
    if (now_ns >= until_ns) {
        if (until_ns > 0 && now_ns - until_ns >= DOUBT_MAX_NS)
            atomic_store_explicit(&runtime->n_reuse_doubts, 0, memory_order_relaxed);
        unsigned n = atomic_fetch_add_explicit(&runtime->n_reuse_doubts, 1, memory_order_relaxed);
        atomic_store_explicit(&runtime->reuse_doubt_ns, now_ns + backoff_doubled(DOUBT_NS, n, DOUBT_MAX_NS),
                              memory_order_seq_cst);
    }
    atomic_store_explicit(&runtime->reuse_proven, false, memory_order_seq_cst);
}

static void trust(struct runtime *runtime, nsec_t now_ns)
{
    if (!reuse_is_open(runtime, now_ns))
        return;
    atomic_store_explicit(&runtime->reuse_proven, true, memory_order_seq_cst);
    if (now_ns < atomic_load_explicit(&runtime->reuse_doubt_ns, memory_order_seq_cst))
        atomic_store_explicit(&runtime->reuse_proven, false, memory_order_seq_cst);
}

/* Connections end then because their program did. */
static bool is_away(const struct runtime *runtime)
{
    return runtime_has(runtime, RUNTIME_REFUSED);
}

/* Several have broken in a row just now, and not with the end of a former program. */
static bool is_breaking(const struct runtime_slot *slot, nsec_t now_ns)
{
    nsec_t anew_ns = atomic_load_explicit(&slot->runtime->reuse_anew_ns, memory_order_relaxed);
    return slot->reuse_again_ns > now_ns && slot->reuse_again_ns - BREAKS_NS > anew_ns;
}

bool reuse_is_open(const struct runtime *runtime, nsec_t now_ns)
{
    return !is_proven(runtime) && now_ns >= atomic_load_explicit(&runtime->reuse_doubt_ns, memory_order_relaxed);
}

nsec_t reuse_idle_max(const struct runtime_slot *slot, bool may_repeat, nsec_t now_ns)
{
    nsec_t life_ns = atomic_load_explicit(&slot->runtime->idle_life_ns, memory_order_relaxed);
    nsec_t most_ns = life_ns == NSEC_NEVER ? NSEC_NEVER : life_ns / 5 * 4;
    if (is_breaking(slot, now_ns))
        return 0;
    if (may_repeat)
        return most_ns > TRUST_NS ? most_ns : TRUST_NS;
    if (!is_proven(slot->runtime))
        return 0;
    if (life_ns <= 5 * MARGIN_NS)
        most_ns = life_ns > MARGIN_NS ? life_ns - MARGIN_NS : 0;
    return most_ns < YOUNG_NS ? most_ns : YOUNG_NS;
}

void reuse_of_answer(struct runtime_slot *slot, nsec_t idle_ns, nsec_t now_ns)
{
    struct runtime *runtime = slot->runtime;
    if (!is_proven(runtime))
        trust(runtime, now_ns);
    if (idle_ns > atomic_load_explicit(&runtime->idle_life_ns, memory_order_relaxed))
        atomic_store_explicit(&runtime->idle_life_ns, idle_ns, memory_order_relaxed);
}

void reuse_of_break(struct runtime_slot *slot, nsec_t now_ns)
{
    if (is_away(slot->runtime))
        return;
    doubt(slot->runtime, now_ns);
    if (++slot->n_reuse_breaks >= BREAKS_MAX)
        slot->reuse_again_ns = now_ns + BREAKS_NS;
}

void reuse_of_promise(struct runtime_slot *slot, nsec_t idle_ns)
{
    if (idle_ns < atomic_load_explicit(&slot->runtime->idle_life_ns, memory_order_relaxed))
        atomic_store_explicit(&slot->runtime->idle_life_ns, idle_ns, memory_order_relaxed);
}

void reuse_of_end(struct runtime_slot *slot, nsec_t idle_ns, nsec_t now_ns)
{
    if (is_away(slot->runtime))
        return;
    if (idle_ns > MARGIN_NS)
        reuse_of_promise(slot, idle_ns);
    else
        doubt(slot->runtime, now_ns);
}

void reuse_of_refusal(struct runtime *runtime, nsec_t now_ns)
{
    atomic_store_explicit(&runtime->reuse_anew_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&runtime->idle_life_ns, NSEC_NEVER, memory_order_relaxed);
    atomic_store_explicit(&runtime->n_reuse_doubts, 0, memory_order_relaxed);
    atomic_store_explicit(&runtime->reuse_doubt_ns, 0, memory_order_seq_cst);
    atomic_store_explicit(&runtime->reuse_proven, false, memory_order_seq_cst);
}

void reuse_of_proof(struct runtime_slot *slot, int result, nsec_t now_ns)
{
    if (result < 0)
        doubt(slot->runtime, now_ns);
    else
        trust(slot->runtime, now_ns);
}
