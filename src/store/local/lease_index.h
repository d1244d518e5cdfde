/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases by id, found by workers without locks while the keeper changes the index.
 *
 * Open addressing in an array of pointers. Insertion and removal store one pointer; when the array fills up the keeper
 * publishes a larger one and retires the old. A lease that was removed stays readable for a grace period.
 */
#pragma once

#include "base/rcu.h"

#include <stddef.h>
#include <stdint.h>

struct lease;
struct lease_slots;

struct lease_index {
    struct rcu_domain *rcu;
    struct lease_slots *_Atomic slots;
};

int lease_index_init(struct lease_index *index, struct rcu_domain *rcu);
void lease_index_deinit(struct lease_index *index); /* no reader may be left */

/* Any RCU reader, and the keeper. NULL when there is none. */
struct lease *lease_index_find(const struct lease_index *index, int64_t id);

/* The keeper. The id must not be there. 0 or -ENOMEM. */
int lease_index_insert(struct lease_index *index, struct lease *lease);
void lease_index_remove(struct lease_index *index, struct lease *lease);
size_t lease_index_size(const struct lease_index *index);

/* Walks all leases (the keeper): *position begins at 0; NULL at the end. No changes on the way. */
struct lease *lease_index_next(const struct lease_index *index, size_t *position);
