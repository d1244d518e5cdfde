/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the directory share. */
#pragma once

#include "base/hash.h"
#include "catalog/directory.h"

struct directory_table {
    struct rcu_node retired;
    size_t mask; /* slots - 1; a power of two less one */
    struct directory_cell *_Atomic slots[];
};

struct directory {
    struct rcu_domain *rcu;
    struct hash_key key;
    struct directory_table *_Atomic table;
    struct directory_cell forgotten; /* stands in slots whose cell is gone; its service stays NULL */
    _Atomic size_t n_services;       /* cells in the table */
    _Atomic size_t by_status[INSTANCE_UP + 1];

    /* the writer's */
    size_t n_slots_used; /* by cells and marks */
    struct list changed; /* cells with a draft */
    struct list empty;   /* cells without one whose service has no instance, those emptied last behind */
    size_t n_empty;
    uint64_t generation; /* the last one given */
};

/* The cell of a name; NULL: none. */
struct directory_cell *directory_probe(const struct directory *directory, const struct directory_table *table,
                                       uint64_t hash, struct slice name);

/* Which chunk an id is in, or would be; the service has some. */
unsigned directory_find_chunk(const struct directory_service *service, struct slice id);
/* At which index, or where it would be put in. */
unsigned directory_find_index(const struct directory_chunk *chunk, struct slice id, bool *ret_found);
