/* SPDX-License-Identifier: Apache-2.0 */
/* What readers do with a plan. How it comes to be: planner.c. */
#include "gateway/plan.h"

#include "gateway/cells.h"
#include "gateway/chunk.h"

struct plan_cell *plan_find(const struct plan *plan, struct slice service)
{
    return cells_find(plan->cells, service);
}

void plan_each_service(const struct plan *plan, bool (*fn)(void *ctx, const struct plan_service *service), void *ctx)
{
    cells_each_service(plan->cells, fn, ctx);
}

static int compare(struct slice a, struct slice b)
{
    size_t n = min_size(a.len, b.len);
    int order = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

const struct target *plan_find_target(const struct plan_service *service, struct slice id)
{
    unsigned low = 0, high = service->n_chunks; /* the last chunk that begins at or before the id is in [low, high) */
    while (high - low > 1) {
        unsigned middle = low + (high - low) / 2;
        if (compare(service->chunks[middle]->instances[0]->id, id) <= 0)
            low = middle;
        else
            high = middle;
    }
    if (low == high)
        return NULL;
    const struct plan_chunk *chunk = service->chunks[low];
    for (low = 0, high = chunk->n; low < high;) {
        unsigned middle = low + (high - low) / 2;
        int order = compare(chunk->instances[middle]->id, id);
        if (order == 0)
            return chunk->targets[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const struct target *plan_next(struct plan_cursor *cursor)
{
    const struct plan_service *service = cursor->service;
    while (cursor->chunk < service->n_chunks) {
        const struct plan_chunk *chunk = service->chunks[cursor->chunk];
        if (cursor->index < chunk->n)
            return chunk->targets[cursor->index++];
        cursor->chunk++;
        cursor->index = 0;
    }
    return NULL;
}

struct plan_cell *plan_cell_ref(struct plan_cell *cell)
{
    atomic_fetch_add_explicit(&cell->refs, 1, memory_order_relaxed);
    return cell;
}

void plan_cell_unref(struct plan_cell *cell)
{
    if (cell)
        atomic_fetch_sub_explicit(&cell->refs, 1, memory_order_release);
}
