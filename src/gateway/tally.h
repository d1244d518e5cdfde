/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one worker has counted of the requests of a service, as clients have seen them: answers, whoever gave them, and
 * what it took. It is with the service, not with its instances, so that nothing of it is lost when an instance goes;
 * what is counted of instances (runtime.h) goes with them.
 *
 * Made at the first request that the worker serves, freed with the cell. Written by that worker, read by any RCU
 * reader.
 */
#pragma once

#include "gateway/cause.h"
#include "gateway/plan.h"

struct tally {
    _Alignas(64) _Atomic uint64_t by_class[6]; /* answers by the first digit of their status; 0: the client got none */
    _Atomic uint64_t n_retries, n_hedges, n_parked, n_queued;
    _Atomic uint64_t n_connects, n_reused, n_connect_failures, n_ejections;
    _Atomic uint64_t n_bytes_in, n_bytes_out;          /* bodies: of requests, of answers */
    _Atomic uint64_t latency[RUNTIME_LATENCY_BUCKETS]; /* from the request's head to the answer's, as runtime_slot */
    _Atomic uint64_t latency_sum_us;
    _Atomic uint64_t causes[CAUSES_]; /* why others than instances answered, or nobody did */
};

/* The calling worker's. NULL: out of memory. */
struct tally *tally_of(struct plan_cell *cell, unsigned worker);

/* Its worker only. */
void tally_observe(struct tally *tally, nsec_t took_ns);

/* All workers' together, and what they have under way. Any RCU reader. */
struct tally_sum {
    uint64_t n_requests, n_under_way;
    uint64_t by_class[6];
    uint64_t n_retries, n_hedges, n_parked, n_queued;
    uint64_t n_connects, n_reused, n_connect_failures, n_ejections;
    uint64_t n_bytes_in, n_bytes_out;
    uint64_t latency[RUNTIME_LATENCY_BUCKETS], latency_sum_us;
    uint64_t causes[CAUSES_];
};
void tally_sum(const struct plan_cell *cell, struct tally_sum *ret_sum);

/* Of an instance, all workers' together. Any RCU reader. */
struct runtime_sum {
    bool is_used; /* some worker has used it */
    uint64_t n_ejections;
    uint64_t n_requests, n_in_flight;
    uint64_t by_class[6];
    uint64_t n_retries, n_hedges;
    uint64_t n_connects, n_reused, n_connect_failures, n_idle_closed;
    uint64_t n_bytes_out;
    uint64_t latency[RUNTIME_LATENCY_BUCKETS], latency_sum_us;
};
void runtime_sum(const struct runtime *runtime, struct runtime_sum *ret_sum);
