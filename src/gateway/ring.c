/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The next circle is made from the one before by a single pass: the points of targets that went are left out, those of
 * targets that came are put in, all others are copied as they lie. Which went and which came is told by marks, first on
 * chunks, then on the targets of those that are not in both versions.
 */
#include "gateway/ring.h"

#include <errno.h>
#include <stdlib.h>

enum mark { MARK_NONE, MARK_OLD, MARK_NEW, MARK_BOTH };

/* Of two numbers a third that looks like neither (the finaliser of MurmurHash3). */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a + b * 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53;
    return x ^ (x >> 33);
}

unsigned ring_scale(unsigned weight_min, unsigned weight_max)
{
    if (weight_min >= weight_max)
        return 0;
    unsigned scale = RING_POINTS_MAX;
    while (scale < weight_max)
        scale *= 2;
    return scale;
}

static unsigned points_of(unsigned weight, unsigned scale)
{
    return scale == 0 ? RING_POINTS : (weight * RING_POINTS_MAX + scale - 1) / scale;
}

/* Points at one place are in order of their names, so that they are so in every process. */
static int compare_points(const void *a, const void *b)
{
    const struct plan_point *first = a, *second = b;
    if (first->at != second->at)
        return first->at < second->at ? -1 : 1;
    struct slice x = first->target->runtime->id, y = second->target->runtime->id;
    int order = memcmp(x.ptr, y.ptr, min_size(x.len, y.len));
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

struct points {
    struct plan_point *points;
    unsigned n;
};

static unsigned count_points(const struct plan_chunk *chunk, unsigned place, unsigned scale)
{
    if (scale == 0)
        return RING_POINTS * chunk->at[place].n;
    unsigned n = 0;
    for (unsigned i = 0; i < chunk->n; i++)
        n += (chunk->places[i] >> place) & 1U ? points_of(chunk->weights[i], scale) : 0;
    return n;
}

/* Of those targets that are in both versions none, if `mark` says that they have marks. */
static void add_points(struct points *list, const struct plan_chunk *chunk, unsigned place, unsigned scale,
                       enum mark mark)
{
    for (unsigned i = 0; i < chunk->n; i++) {
        const struct target *target = chunk->targets[i];
        bool is_meant = (chunk->places[i] >> place) & 1U;
        if (!is_meant || (mark != MARK_NONE && target->mark == MARK_BOTH))
            continue;
        for (unsigned k = 0; k < points_of(chunk->weights[i], scale); k++)
            list->points[list->n++] = (struct plan_point){mix(target->runtime->hash, k), target};
    }
}

/* Of the chunks of `source` that have the mark, in order; MARK_NONE: of all. 0 or -ENOMEM. */
static int collect(const struct ring_source *source, unsigned scale, enum mark mark, struct points *ret_list)
{
    unsigned n = 0;
    for (unsigned i = 0; i < source->n_chunks; i++)
        if (mark == MARK_NONE || source->chunks[i]->mark == mark)
            n += count_points(source->chunks[i], source->place, scale);
    struct points list = {.points = malloc((n + 1) * sizeof(list.points[0]))};
    if (!list.points)
        return -ENOMEM;
    for (unsigned i = 0; i < source->n_chunks; i++)
        if (mark == MARK_NONE || source->chunks[i]->mark == mark)
            add_points(&list, source->chunks[i], source->place, scale, mark);
    qsort(list.points, list.n, sizeof(list.points[0]), compare_points);
    *ret_list = list;
    return 0;
}

int ring_new(const struct ring_source *source, struct plan_tier *tier)
{
    struct points all;
    int r = collect(source, tier->points_scale, MARK_NONE, &all);
    if (r < 0)
        return r;
    tier->points = all.points;
    tier->n_points = all.n;
    return 0;
}

/* A chunk of the new version is in the old one, or has just been made; so no mark of former times is in the way. */
static void mark_chunks(const struct ring_source *old, const struct ring_source *new)
{
    for (unsigned i = 0; i < old->n_chunks; i++)
        old->chunks[i]->mark = MARK_OLD;
    for (unsigned i = 0; i < new->n_chunks; i++)
        new->chunks[i]->mark = new->chunks[i]->mark == MARK_OLD ? MARK_BOTH : MARK_NEW;
}

static void mark_target(const struct target *target, enum mark mark)
{
    ((struct target *)(uintptr_t)target)->mark = (uint8_t)mark;
}

/* The same with targets, of the chunks that are not in both. */
static void mark_targets(const struct ring_source *old, const struct ring_source *new)
{
    for (unsigned i = 0; i < old->n_chunks; i++)
        for (unsigned j = 0; old->chunks[i]->mark == MARK_OLD && j < old->chunks[i]->n; j++)
            mark_target(old->chunks[i]->targets[j], MARK_OLD);
    for (unsigned i = 0; i < new->n_chunks; i++)
        for (unsigned j = 0; new->chunks[i]->mark == MARK_NEW &&j < new->chunks[i]->n; j++) {
            const struct target *target = new->chunks[i]->targets[j];
            mark_target(target, target->mark == MARK_OLD ? MARK_BOTH : MARK_NEW);
        }
}

static void copy_run(struct points *list, const struct plan_point *from, const struct plan_point *to)
{
    memcpy(list->points + list->n, from, (size_t)(to - from) * sizeof(*from));
    list->n += (unsigned)(to - from);
}

/* The first of the points from..end that is not before `point`: those sought are few and far apart. */
static const struct plan_point *skip_to(const struct plan_point *from, const struct plan_point *end,
                                        const struct plan_point *point)
{
    while (from < end) {
        const struct plan_point *middle = from + (end - from) / 2;
        if (compare_points(middle, point) < 0)
            from = middle + 1;
        else
            end = middle;
    }
    return from;
}

/* `list` has room for all. Each of `gone` is among the old ones. */
static void merge(struct points *list, const struct plan_tier *old, const struct points *gone,
                  const struct points *come)
{
    const struct plan_point *at = old->points, *end = old->points + old->n_points;
    unsigned i_gone = 0, i_come = 0;
    while (i_gone < gone->n || i_come < come->n) {
        bool is_gone = i_come == come->n ||
                       (i_gone < gone->n && compare_points(&gone->points[i_gone], &come->points[i_come]) <= 0);
        const struct plan_point *next = skip_to(at, end, is_gone ? &gone->points[i_gone] : &come->points[i_come]);
        copy_run(list, at, next);
        at = next;
        if (is_gone) {
            ASSERT(at < end && at->target == gone->points[i_gone].target);
            at++;
            i_gone++;
        } else {
            list->points[list->n++] = come->points[i_come++];
        }
    }
    copy_run(list, at, end);
}

int ring_new_from(const struct ring_source *source, const struct ring_source *old_source,
                  const struct plan_tier *old_tier, struct plan_tier *tier)
{
    struct points gone = {0}, come = {0}, all = {0};
    mark_chunks(old_source, source);
    mark_targets(old_source, source);
    int r = collect(old_source, tier->points_scale, MARK_OLD, &gone);
    if (r == 0)
        r = collect(source, tier->points_scale, MARK_NEW, &come);
    if (r == 0) {
        all.points = malloc((old_tier->n_points + come.n + 1) * sizeof(all.points[0]));
        r = all.points ? 0 : -ENOMEM;
    }
    if (r == 0) {
        merge(&all, old_tier, &gone, &come);
        tier->points = all.points;
        tier->n_points = all.n;
    }
    free(gone.points);
    free(come.points);
    return r;
}

/* ------------------------------------------------------------------------------------------------ looking up */

static unsigned first_from(const struct plan_tier *tier, uint64_t at)
{
    unsigned low = 0, high = tier->n_points;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (tier->points[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct target *ring_find(const struct plan_tier *tier, uint64_t key,
                               bool (*is_usable)(void *ctx, const struct target *target), void *ctx)
{
    const struct target *best = NULL;
    uint64_t best_distance = UINT64_MAX;
    for (unsigned probe = 0; probe < RING_PROBES; probe++) {
        uint64_t at = mix(key, probe + 1);
        unsigned i = first_from(tier, at), n_left = tier->n_points;
        for (; n_left > 0; n_left--, i++) {
            const struct plan_point *point = &tier->points[i < tier->n_points ? i : (i -= tier->n_points)];
            uint64_t distance = point->at - at; /* around the circle */
            if (best && distance >= best_distance)
                break;
            if (!is_usable(ctx, point->target))
                continue;
            best = point->target;
            best_distance = distance;
            break;
        }
        if (!best)
            return NULL;
    }
    return best;
}
