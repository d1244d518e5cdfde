/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What readers see of the catalogue: services by name, their instances in order of id. Lock-free under RCU on any
 * number of threads; one writer (catalog.c) replaces what changed.
 *
 * A hash of names leads to cells, one per service that is known: it has instances, or had some lately. The service in
 * its cell is replaced as a whole at each change: an immutable list of chunks of instances, of which one change copies
 * one chunk and the list. A service of 10,000 costs a change about as much as a small one.
 */
#pragma once

#include "base/list.h"
#include "base/rcu.h"
#include "catalog/instance.h"

#define DIRECTORY_CHUNK 64 /* instances, at most */

struct directory_cell;

struct directory_chunk {
    _Atomic uint32_t refs; /* shared by the services that are made from one another */
    unsigned n;
    const struct instance *instances[];
};

/* All instances of a service at one moment. */
struct directory_service {
    struct rcu_node retired;
    const struct directory_cell *cell;
    int64_t revision;    /* the catalogue's, of the last change */
    uint64_t generation; /* another one at each change, also of a service that went and came: caches are made for one */
    int64_t emptied_ms;  /* wall clock: since when no instance is offered; 0: some is */
    unsigned n_instances, n_offered, n_owned, n_chunks;
    struct directory_chunk *chunks[];
};

struct directory_cell {
    struct rcu_node retired;
    uint64_t hash;
    struct directory_service *_Atomic current; /* NULL: not published yet */
    struct directory_service *draft;           /* the writer's; NULL: nothing has changed */
    struct list link;                          /* the writer's: among those with a draft, or the empty ones */
    unsigned name_len;
    char name[];
};

static inline struct slice directory_name(const struct directory_service *service)
{
    return slice_from(service->cell->name, service->cell->name_len);
}

struct directory;

/* Readers: any thread that is an RCU reader; results hold until the end of its turn. */

/* NULL: no such service is known. */
const struct directory_service *directory_find(const struct directory *directory, struct slice service);
/* Binary search; NULL: none. */
const struct instance *directory_find_instance(const struct directory_service *service, struct slice id);
/* Both in one; NULL: none. */
const struct instance *directory_look_up(const struct directory *directory, struct slice service, struct slice id);

/* Whether the instance gets traffic: it is offered, or it is of last resort and none of its service is offered. */
static inline bool directory_gives(const struct directory_service *service, const struct instance *instance)
{
    return instance_offer(instance) == (service->n_offered > 0 ? INSTANCE_OFFERED : INSTANCE_LAST_RESORT);
}

/* for (struct directory_cursor at = {.service = service}; (instance = directory_next(&at));) */
struct directory_cursor {
    const struct directory_service *service;
    unsigned chunk, index;
};
const struct instance *directory_next(struct directory_cursor *cursor);

/* All services, in no order, until fn gives false. */
void directory_each(const struct directory *directory, bool (*fn)(void *ctx, const struct directory_service *service),
                    void *ctx);

struct directory_counts {
    size_t n_services; /* that are known */
    size_t n_instances;
    size_t by_status[INSTANCE_UP + 1]; /* of them; see instance_status */
};
void directory_count(const struct directory *directory, struct directory_counts *ret_counts);
