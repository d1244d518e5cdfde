/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consistent hashing: which instance a key belongs to, such that it stays there when others come and go.
 *
 * Each instance has a few points on a circle of hashes, the more the heavier it is; a key is looked up at RING_PROBES
 * places of its own, and belongs to the point that follows one of them most closely (Appleton and O'Reilly,
 * "Multi-probe consistent hashing", 2015). So the busiest of 100 instances gets 1.1 times the mean, for which one probe
 * would need hundreds of points each; and a small circle is quickly changed.
 *
 * It is a pure function of names and weights: gateways beside each other agree, and whether a circle was made from a
 * former one or from nothing cannot be told.
 */
#pragma once

#include "gateway/chunk.h"

#define RING_PROBES 21
/* Points of each when all weigh the same. */
#define RING_POINTS 4
/* Points of the heaviest instance when weights differ, at most. */
#define RING_POINTS_MAX 32

/* Chunks of one version, and which of their instances are meant. */
struct ring_source {
    struct plan_chunk *const *chunks;
    unsigned n_chunks;
    unsigned place;
};

/* Of which weights the number of points depends; 0: all weigh the same. */
unsigned ring_scale(unsigned weight_min, unsigned weight_max);

/* Makes the points of `tier`, whose points_scale is set. 0 or -ENOMEM. */
int ring_new(const struct ring_source *source, struct plan_tier *tier);

/* The same, from those of the version before, which has the same scale. The planner only: it marks chunks. */
int ring_new_from(const struct ring_source *source, const struct ring_source *old_source,
                  const struct plan_tier *old_tier, struct plan_tier *tier);

/* The point of a key among the instances for which is_usable holds; NULL: for none. */
const struct target *ring_find(const struct plan_tier *tier, uint64_t key,
                               bool (*is_usable)(void *ctx, const struct target *target), void *ctx);
