/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan's table of services by name: open addressing, which readers walk without locks while the planner puts cells
 * in and takes them out. When it is full another one takes its place, with another plan.
 */
#pragma once

#include "base/hash.h"
#include "gateway/plan.h"

/* An empty table with room for so many. 0 or -ENOMEM. */
int cells_new(const struct hash_key *key, size_t n, struct plan_cells **ret_cells);
/* Drops its references. */
void cells_free(struct plan_cells *cells);

/* A cell of that name, without a service; the caller has the one reference. 0 or -ENOMEM. */
int cell_new(const struct hash_key *key, struct slice name, unsigned n_workers, struct plan_cell **ret_cell);

/* Which nobody can reach or hold any more. Accepts NULL. */
void cell_free(struct plan_cell *cell);

/* -------- the planner */

/* Takes a reference. False: the table is full. The name must be new to it. */
bool cells_add(struct plan_cells *cells, struct plan_cell *cell);
/* Gives the reference to the caller, who drops it after a grace period. */
void cells_remove(struct plan_cells *cells, struct plan_cell *cell);
/* One with room for twice as many as are there, and all of them. 0 or -ENOMEM. */
int cells_grow(const struct plan_cells *cells, struct plan_cells **ret_cells);
/* With the last reader of the plans that have it. */
void cells_retire(struct plan_cells *cells, struct rcu_domain *rcu);

/* -------- any RCU reader */

struct plan_cell *cells_find(const struct plan_cells *cells, struct slice name); /* NULL: none */
void cells_each_service(const struct plan_cells *cells, bool (*fn)(void *ctx, const struct plan_service *service),
                        void *ctx);
