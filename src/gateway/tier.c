/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Most services have all their instances in one place and of one weight: then a chunk is copied as it lies. The arrays
 * are made anew with each version, since copying 10,000 pointers takes less time than anything that would save it.
 *
 * Weighted turns: turn t goes to the instance at which (t x stride) mod weight falls in the row of the weights. The
 * stride is prime to the weight, so in any `weight` turns each place comes up once. It is near the golden part, and
 * there a number that spreads turns evenly: no instance is ever more than about three turns before or behind its share.
 */
#include "gateway/tier.h"

#include "gateway/chunk.h"
#include "gateway/ring.h"

#include <errno.h>
#include <stdlib.h>

#define STRIDE_LOOKS 16

/*
 * How unevenly steps of `stride` spread over `weight`: the largest quotient of their fraction. 0: they have a
 * divisor.
 */
static uint64_t unevenness(uint64_t weight, uint64_t stride)
{
    uint64_t largest = 0;
    while (stride > 0) {
        uint64_t quotient = weight / stride, rest = weight % stride;
        largest = quotient > largest ? quotient : largest;
        weight = stride;
        stride = rest;
    }
    return weight == 1 ? largest : 0;
}

static uint64_t stride_for(uint64_t weight)
{
    uint64_t golden = (uint64_t)((double)weight * 0.6180339887498949), best = 1, least = UINT64_MAX;
    uint64_t first = golden > STRIDE_LOOKS ? golden - STRIDE_LOOKS : 1;
    for (uint64_t stride = first; stride < weight && stride <= golden + STRIDE_LOOKS; stride++) {
        uint64_t uneven = unevenness(weight, stride);
        if (uneven > 0 && uneven < least) {
            best = stride;
            least = uneven;
        }
    }
    return best;
}

static struct place_sums sum_up(const struct plan_service *service, unsigned place)
{
    struct place_sums sums = place_sums_none();
    for (unsigned i = 0; i < service->n_chunks; i++)
        place_sums_add(&sums, &service->chunks[i]->at[place]);
    return sums;
}

static void fill_targets(const struct target **targets, const struct plan_service *service, unsigned place)
{
    for (unsigned i = 0; i < service->n_chunks; i++) {
        const struct plan_chunk *chunk = service->chunks[i];
        if (chunk->at[place].n == chunk->n) {
            memcpy(targets, chunk->targets, chunk->n * sizeof(targets[0]));
            targets += chunk->n;
            continue;
        }
        for (unsigned j = 0; j < chunk->n; j++)
            if ((chunk->places[j] >> place) & 1U)
                *targets++ = chunk->targets[j];
    }
}

static uint64_t fill_weights(uint64_t *weight_sums, const struct plan_service *service, unsigned place)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < service->n_chunks; i++) {
        const struct plan_chunk *chunk = service->chunks[i];
        for (unsigned j = 0; j < chunk->n; j++)
            if ((chunk->places[j] >> place) & 1U)
                *weight_sums++ = sum += chunk->weights[j];
    }
    return sum;
}

static int add_points(struct plan_tier *tier, const struct plan_service *service, const struct tier_plan *plan)
{
    const struct ring_source source = {service->chunks, service->n_chunks, plan->place};
    if (!plan->old || !plan->old_tier->points || plan->old_tier->points_scale != tier->points_scale)
        return ring_new(&source, tier);
    const struct ring_source old_source = {plan->old->chunks, plan->old->n_chunks, plan->place};
    return ring_new_from(&source, &old_source, plan->old_tier, tier);
}

int tier_init(struct plan_tier *tier, const struct plan_service *service, const struct tier_plan *plan)
{
    struct place_sums sums = sum_up(service, plan->place);
    *tier = (struct plan_tier){.n = sums.n, .since_ns = sums.since_ns};
    if (sums.n == 0)
        return 0;
    bool is_weighted = sums.weight_min < sums.weight_max;
    size_t n_each = sizeof(tier->targets[0]) + (is_weighted ? sizeof(tier->weight_sums[0]) : 0);
    const struct target **targets = malloc(sums.n * n_each);
    if (!targets)
        return -ENOMEM;
    fill_targets(targets, service, plan->place);
    tier->targets = targets;
    tier->weight = (uint64_t)sums.n * sums.weight_max;
    if (is_weighted) {
        uint64_t *weight_sums = (void *)(targets + sums.n);
        tier->weight = fill_weights(weight_sums, service, plan->place);
        tier->weight_sums = weight_sums;
        tier->stride = stride_for(tier->weight);
    }
    tier->points_scale = ring_scale(sums.weight_min, sums.weight_max);
    int r = plan->has_points ? add_points(tier, service, plan) : 0;
    if (r < 0)
        tier_deinit(tier);
    return r;
}

void tier_deinit(struct plan_tier *tier)
{
    free((void *)(uintptr_t)tier->targets);
    free((void *)(uintptr_t)tier->points);
    *tier = (struct plan_tier){0};
}
