/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A piece of a service's list of instances, made from one of the directory's and shared by all versions of the service
 * in which that one is the same. With sums that spare the next version a look at each instance.
 */
#pragma once

#include "gateway/plan.h"

enum { PLACE_NEAR, PLACE_OFFERED, PLACE_RESORT, N_PLACES }; /* bits of enum target_place */

struct place_sums {
    unsigned n;
    unsigned weight_min, weight_max;
    nsec_t since_ns; /* the earliest */
};

struct plan_chunk {
    _Atomic uint32_t refs;
    unsigned n; /* never 0 */
    struct place_sums at[N_PLACES];
    const struct instance *voice;      /* the one that was registered last of those that say how to be treated */
    const struct instance **instances; /* of the targets, as in the directory's chunk */
    const struct target **targets;     /* in order of id; references */
    uint16_t *weights;
    uint8_t *places;
    /* the planner's */
    bool has_names;      /* addresses that are resolved */
    uint64_t hosts_seen; /* the state of the resolved names that it is made of */
    unsigned mark;       /* scratch, for telling two versions apart (ring.c) */
};

/* Of none. */
static inline struct place_sums place_sums_none(void)
{
    return (struct place_sums){.weight_min = UINT16_MAX, .since_ns = NSEC_NEVER};
}

void place_sums_add(struct place_sums *sums, const struct place_sums *more);

/* Of these targets, at most DIRECTORY_CHUNK; takes the references over on success. 0 or -ENOMEM. */
int chunk_new(struct target *const *targets, unsigned n, struct plan_chunk **ret_chunk);
struct plan_chunk *chunk_ref(struct plan_chunk *chunk);
/* Any thread. */
void chunk_unref(struct plan_chunk *chunk);

/* Of one instance; takes the runtime's and the host's references over on success. 0 or -ENOMEM. */
int target_new(const struct instance *instance, struct runtime *runtime, struct host *host, unsigned places,
               struct target **ret_target);
struct target *target_ref(const struct target *target);
/* Accepts NULL. */
void target_unref(const struct target *target);
