/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which instance a request goes to. A pure function of the plan, the counters of the instances, the request and the
 * random numbers, so that a decision can be explained and computed again, and is tested without any traffic.
 *
 * In this order: the instance that a client sticks to, if it is well; those near; all that are offered; the last
 * resort. Passed over everywhere: what was tried, what hangs, what is ejected, what is gone. If only those are left,
 * hanging and ejected ones are taken (they are merely suspected), never those gone, nor what was tried.
 *
 * P2C draws two different ones by weight and takes the one with the lower score, which is load x latency:
 * - the load is 1 + requests under way, these for one of more weight than most counted as fewer;
 * - the latency is the worker's own average or, when it has none, the best that any worker has; it halves in each
 *   PICK_LATENCY_HALF_NS in which it was not fed, so that who was slow once is tried again. Where the oldest request
 *   that waits is older than that, its age counts instead, which is the penalty for one that hangs;
 * - latencies that differ by less than a factor of two count as the same, and so does one that is not known.
 * Of equal ones the first drawn is taken, so that without load shares are as weights.
 *
 * A new instance in its slow start counts as one with part of its weight, by its age and by the requests it was sent
 * (PICK_WARM_REQUESTS), whichever is less, and at least a tenth; unless all are new. Hashing keeps its keys meanwhile.
 *
 * Round robin is exactly in turn over all workers; with weights, any row of as many turns as there are weights gives
 * each instance its own (tier.c). One that is passed over costs its turn, so that the others stay in turn.
 * LEAST looks at all of PICK_LOOKS_MAX instances, and at so many drawn by weight where there are more.
 */
#pragma once

#include "base/random.h"
#include "gateway/plan.h"

#define PICK_TRIED_MAX 8
#define PICK_DRAWS_MAX 4
#define PICK_LOOKS_MAX 16

#define PICK_LATENCY_HALF_NS ((nsec_t)1 << 32) /* about 4 s */
#define PICK_WARM_REQUESTS   100

enum pick_tier { PICK_STICKY, PICK_NEAR, PICK_OFFERED, PICK_RESORT };

/* Why one was not taken. */
enum pick_verdict { PICK_TAKEN, PICK_WORSE, PICK_TRIED, PICK_STALLED, PICK_EJECTED, PICK_GONE };

struct pick_request {
    enum balance balance;
    nsec_t slow_start_ns;
    uint64_t key; /* BALANCE_HASH: hash of the request's key; requests without one are balanced by P2C */
    bool has_key;
    struct slice sticky; /* the id of the instance that the client was with; "": none */
    unsigned worker;
    nsec_t now_ns;
    unsigned n_tried;
    const struct runtime *tried[PICK_TRIED_MAX];
};

struct pick_draw {
    const struct target *target;
    enum pick_verdict verdict;
    uint64_t score; /* lower is better; 0: none was computed */
};

struct pick_result {
    const struct target *target; /* NULL: there is nobody */
    enum pick_tier tier;
    unsigned n_candidates; /* in that tier */
    unsigned n_draws;      /* the first of those that were looked at */
    struct pick_draw draws[PICK_DRAWS_MAX];
};

/* Worker only, in the turn in which the service was read. Takes the next turn for round robin. */
void pick(const struct plan_service *service, const struct pick_request *request, struct random *random,
          struct pick_result *ret_result);

/* The same hash in every process, so that gateways beside each other agree. */
uint64_t pick_key(struct slice key);
