/* SPDX-License-Identifier: Apache-2.0 */
/* The arrays of a choice of instances, made from the chunks of a service. */
#pragma once

#include "gateway/plan.h"

/*
 * `place` of the chunks of a service; points too if has_points, from those of `old` (NULL: none) where that is
 * quicker.
 */
struct tier_plan {
    unsigned place;
    bool has_points;
    const struct plan_service *old;
    const struct plan_tier *old_tier;
};

/* 0, or -ENOMEM: then there is nothing to free. */
int tier_init(struct plan_tier *tier, const struct plan_service *service, const struct tier_plan *plan);
void tier_deinit(struct plan_tier *tier);
