/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance as the gateway has come to know it: what is under way there, how quick it is, whether it hangs. One for
 * each incarnation, so that what is known of a program is never held against, or for, another one at the same address.
 *
 * It outlives the plans that name it: a plan holds a reference, and so does each request under way. When the
 * incarnation is gone from the catalogue it is marked, its idle connections are closed by each worker at its next
 * touch, and its memory goes with the last reference.
 *
 * Counters are a slot per worker, made when a worker first uses the instance. A worker writes its own slot only, and
 * reads the others' atomics; the parts marked so are its alone.
 */
#pragma once

#include "base/list.h"
#include "base/rcu.h"
#include "base/slice.h"
#include "base/time.h"
#include "io/addr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Upper bounds of the latency histogram, in microseconds: 2^RUNTIME_LATENCY_SHIFT up to doubling; the last has none. */
#define RUNTIME_LATENCY_SHIFT   6
#define RUNTIME_LATENCY_BUCKETS 20

struct gateway_worker;
struct pool_place;
struct proof;

/*
 * With many instances each request finds the memory of another one cold, so what every request touches is together: the
 * first four lines of a slot, and of the runtime the last ones.
 */
struct runtime_slot {
    /* read by all workers at each pick */
    _Alignas(64) _Atomic uint32_t n_in_flight;
    _Atomic uint32_t latency_us;  /* moving average of the time to the first byte; 0: not known */
    _Atomic nsec_t latency_at_ns; /* when it was last fed: old ones count less */
    _Atomic nsec_t oldest_ns;     /* when the oldest request that waits for its first byte was sent; 0: none waits */
    _Atomic nsec_t heard_ns;      /* when it last said anything to this worker; 0: never */

    /* read by who counts */
    _Atomic uint64_t n_requests; /* sent there, retries and hedges among them */
    _Atomic uint64_t n_reused;   /* of n_requests: on a connection that had been used */
    _Atomic uint64_t latency_sum_us;
    _Atomic uint64_t by_class[6]; /* answers by the first digit of their status; 0: it failed to give one */

    /* the worker's alone */
    struct pool_place *place; /* its connections; NULL: none yet, or it is gone */
    struct runtime *runtime;
    struct gateway_worker *worker; /* whose it is; set with `place` */
    unsigned n_held;               /* requests that remember it as tried */
    struct list waiting;           /* attempts that wait for their first byte, the oldest in front */
    struct list answering;         /* attempts whose answer is passed on */
    struct list waiting_link;      /* in the list of the worker's slots in which something waits */
    struct list connecting;        /* attempts that wait for a connection */
    nsec_t reuse_again_ns;         /* after too many n_reuse_breaks: not before that */
    unsigned n_reuse_breaks;       /* in a row: connections that were used before and broke without an answer */
    struct care {
        bool is_owner;         /* this worker looks after the trouble of the instance */
        bool wants_reuse;      /* it is to be found out whether it answers twice on a connection */
        unsigned n_in_vain;    /* proofs of life, in a row */
        struct list link;      /* in the worker's list of slots that need it */
        struct proof *running; /* NULL: none */
        nsec_t prove_ns;       /* not before that */
        nsec_t told_ns;        /* when the catalogue was told of the trouble; 0: not yet */
    } care;                    /* suspicion.c */
    struct list writing;       /* attempts whose request still comes from the client */
    struct list open_link;     /* in the list of its slots that hold the runtime */

    /* read by who counts */
    _Atomic uint64_t n_retries, n_hedges; /* of n_requests */
    _Atomic uint64_t n_connects, n_connect_failures, n_idle_closed;
    _Atomic uint64_t n_bytes_out; /* of bodies, to the instance */
    _Atomic uint64_t latency[RUNTIME_LATENCY_BUCKETS];
};

/* Why an instance is passed over although the plan offers it. Set and cleared by any worker, at once. */
enum runtime_trouble {
    RUNTIME_GONE = 1 << 0,    /* its incarnation is not in the catalogue any more, or elsewhere now; final */
    RUNTIME_STALLED = 1 << 1, /* its oldest request waits far too long */
    RUNTIME_EJECTED = 1 << 2, /* too many failures, until `ejected_until_ns` */
    RUNTIME_REFUSED = 1 << 3, /* with EJECTED: nobody was there */
};

struct runtime {
    struct rcu_node retired;
    struct rcu_domain *rcu;
    _Atomic uint32_t refs;
    _Atomic uint32_t n_ejections;  /* lately: how long the next one lasts */
    _Atomic uint64_t n_ejected;    /* ever */
    _Atomic nsec_t stalled_ns;     /* with RUNTIME_STALLED: since when */
    _Atomic nsec_t reuse_doubt_ns; /* reuse.c: whatever is seen, it is not proven before this; 0: never in doubt */
    _Atomic uint32_t n_reuse_doubts;
    _Atomic nsec_t reuse_anew_ns; /* when it was last found that nobody was there; 0: never */
    uint64_t incarnation;
    uint64_t hash; /* of service and id, the same in every process: consistent hashing */
    struct addr addr;
    bool is_tls;
    bool is_addressable; /* addr is what its host resolved to, and allowed */
    struct slice service, host;

    /* read at each pick */
    _Alignas(64) _Atomic uint32_t trouble; /* enum runtime_trouble */
    unsigned n_slots;
    _Atomic nsec_t ejected_until_ns;
    _Atomic nsec_t since_ns;     /* when it was first offered, for slow start; NSEC_NEVER: not yet */
    _Atomic nsec_t idle_life_ns; /* how long it leaves idle connections open, as far as was seen; or NSEC_NEVER */
    struct slice id;
    _Atomic bool reuse_proven;            /* it has answered a second request on a connection */
    _Atomic bool has_owner;               /* some worker looks after its trouble */
    _Atomic uint32_t n_failures;          /* in a row, at all workers */
    struct runtime_slot *_Atomic slots[]; /* by worker; NULL: has not used it */
    /* texts */
};

/* since_ns of one that was there before the gateway was. */
#define RUNTIME_LONG_AGO (INT64_MIN / 8)

struct runtime_model {
    struct slice service, id, host;
    uint64_t incarnation;
    struct addr addr;
    bool is_tls, is_addressable;
    nsec_t since_ns;
};

/* Texts are copied. 0 or -ENOMEM. */
int runtime_new(const struct runtime_model *model, unsigned n_workers, struct rcu_domain *rcu,
                struct runtime **ret_runtime);
struct runtime *runtime_ref(struct runtime *runtime);
/* Any thread; accepts NULL. Freed after a grace period. */
void runtime_unref(struct runtime *runtime);

/* The calling worker's slot, made when there is none. NULL: out of memory. */
struct runtime_slot *runtime_slot(struct runtime *runtime, unsigned worker);

/* A first byte has come after so long: latency, its histogram, when it was. The slot's own worker. */
void runtime_observe(struct runtime_slot *slot, nsec_t took_ns, nsec_t now_ns);

/* The histogram's bucket: the first whose bound is not below. */
static inline unsigned runtime_bucket(uint64_t us)
{
    uint64_t above = us > 0 ? (us - 1) >> RUNTIME_LATENCY_SHIFT : 0;
    unsigned bucket = above == 0 ? 0 : 64 - (unsigned)__builtin_clzll(above);
    return bucket < RUNTIME_LATENCY_BUCKETS ? bucket : RUNTIME_LATENCY_BUCKETS - 1;
}

/* Over all workers. */
uint32_t runtime_n_in_flight(const struct runtime *runtime);
nsec_t runtime_heard_ns(const struct runtime *runtime); /* when it last said anything; 0: never */

/* Of 100 answers to this worker 99 began within this time; 0: there were none; NSEC_NEVER: longer than is known. */
nsec_t runtime_slow_ns(const struct runtime_slot *slot);

/* It has said something. The slot's own worker. */
static inline void runtime_heard(struct runtime_slot *slot, nsec_t now_ns)
{
    atomic_store_explicit(&slot->heard_ns, now_ns, memory_order_relaxed);
}

/* Any thread. What is gone stays gone. */
void runtime_set(struct runtime *runtime, enum runtime_trouble trouble);
void runtime_clear(struct runtime *runtime, enum runtime_trouble trouble);

static inline bool runtime_has(const struct runtime *runtime, enum runtime_trouble trouble)
{
    return atomic_load_explicit(&runtime->trouble, memory_order_relaxed) & trouble;
}
