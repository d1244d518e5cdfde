/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot goes from empty to a cell, and from a cell to the mark of one that is gone; never back to empty, since readers
 * stop looking there. Marks count as used, so a table in which names come and go fills up and is replaced now and then,
 * which is when the marks go.
 */
#include "gateway/cells.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64

struct plan_cells {
    struct rcu_node retired;
    struct hash_key key;
    size_t mask;
    size_t n_used;  /* slots that are not empty */
    size_t n_cells; /* of them */
    struct plan_cell *_Atomic slots[];
};

/* Stands where a cell was; no name is found in it. */
static struct plan_cell *gone_from(const struct plan_cells *cells)
{
    return (struct plan_cell *)(uintptr_t)cells;
}

int cells_new(const struct hash_key *key, size_t n, struct plan_cells **ret_cells)
{
    size_t n_slots = SLOTS_MIN;
    while (n_slots < 2 * n)
        n_slots *= 2;
    struct plan_cells *cells = calloc(1, sizeof(*cells) + n_slots * sizeof(cells->slots[0]));
    if (!cells)
        return -ENOMEM;
    cells->key = *key;
    cells->mask = n_slots - 1;
    *ret_cells = cells;
    return 0;
}

static struct plan_cell *cell_at(const struct plan_cells *cells, size_t i)
{
    struct plan_cell *cell = rcu_read(&cells->slots[i]);
    return cell == gone_from(cells) ? NULL : cell;
}

void cells_free(struct plan_cells *cells)
{
    if (!cells)
        return;
    for (size_t i = 0; i <= cells->mask; i++)
        plan_cell_unref(cell_at(cells, i));
    free(cells);
}

static void cells_retired(struct rcu_node *node)
{
    cells_free(container_of(node, struct plan_cells, retired));
}

void cells_retire(struct plan_cells *cells, struct rcu_domain *rcu)
{
    rcu_retire(rcu, &cells->retired, cells_retired);
}

int cell_new(const struct hash_key *key, struct slice name, unsigned n_workers, struct plan_cell **ret_cell)
{
    struct plan_cell *cell;
    size_t n_bytes = sizeof(*cell) + n_workers * sizeof(cell->shares[0]) + name.len;
    cell = aligned_alloc(64, (n_bytes + 63) / 64 * 64);
    if (!cell)
        return -ENOMEM;
    memset(cell, 0, n_bytes);
    char *copy = (char *)(cell + 1) + n_workers * sizeof(cell->shares[0]);
    if (name.len > 0)
        memcpy(copy, name.ptr, name.len);
    cell->name = slice_from(copy, name.len);
    cell->hash = hash_bytes(key, name);
    cell->n_shares = n_workers;
    atomic_init(&cell->refs, 1);
    *ret_cell = cell;
    return 0;
}

void cell_free(struct plan_cell *cell)
{
    for (unsigned i = 0; cell && i < cell->n_shares; i++)
        free(atomic_load_explicit(&cell->shares[i].tally, memory_order_relaxed));
    free(cell);
}

bool cells_add(struct plan_cells *cells, struct plan_cell *cell)
{
    if ((cells->n_used + 1) * 4 > (cells->mask + 1) * 3)
        return false;
    size_t i = cell->hash & cells->mask;
    while (atomic_load_explicit(&cells->slots[i], memory_order_relaxed))
        i = (i + 1) & cells->mask;
    rcu_publish(&cells->slots[i], plan_cell_ref(cell));
    cells->n_used++;
    cells->n_cells++;
    return true;
}

void cells_remove(struct plan_cells *cells, struct plan_cell *cell)
{
    size_t i = cell->hash & cells->mask;
    while (atomic_load_explicit(&cells->slots[i], memory_order_relaxed) != cell) {
        ASSERT(atomic_load_explicit(&cells->slots[i], memory_order_relaxed));
        i = (i + 1) & cells->mask;
    }
    rcu_publish(&cells->slots[i], gone_from(cells));
    cells->n_cells--;
}

int cells_grow(const struct plan_cells *cells, struct plan_cells **ret_cells)
{
    struct plan_cells *grown;
    int r = cells_new(&cells->key, 2 * cells->n_cells, &grown);
    if (r < 0)
        return r;
    for (size_t i = 0; i <= cells->mask; i++) {
        struct plan_cell *cell = cell_at(cells, i);
        bool has_room = !cell || cells_add(grown, cell);
        ASSERT(has_room);
    }
    *ret_cells = grown;
    return 0;
}

struct plan_cell *cells_find(const struct plan_cells *cells, struct slice name)
{
    uint64_t hash = hash_bytes(&cells->key, name);
    for (size_t i = hash & cells->mask;; i = (i + 1) & cells->mask) {
        struct plan_cell *cell = rcu_read(&cells->slots[i]);
        if (!cell)
            return NULL;
        if (cell != gone_from(cells) && cell->hash == hash && slice_equal(cell->name, name))
            return cell;
    }
}

void cells_each_service(const struct plan_cells *cells, bool (*fn)(void *ctx, const struct plan_service *service),
                        void *ctx)
{
    for (size_t i = 0; i <= cells->mask; i++) {
        struct plan_cell *cell = cell_at(cells, i);
        const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
        if (service && !fn(ctx, service))
            return;
    }
}
