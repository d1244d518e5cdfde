/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: what workers go by when they serve a request. Made from the catalogue and the configuration by the planner
 * (planner.h), published by RCU, immutable: a worker reads one pointer per attempt and never waits.
 *
 *     plan -> routes            which service a request is for (route.h)
 *          -> cells by name     one for each service that is known; lives as long as the service is known or routed to
 *             -> plan_service   its instances at one moment, with tables derived from them; replaced at each change
 *
 * What is mutable about a service (turns, budget, requests under way) is in its cell and survives replacements. Derived
 * tables are made with the list that they belong to: there is no moment at which one is older than the other.
 *
 * Instances are in chunks that are shared by the versions of a service, like the catalogue's: a change to one of 10,000
 * makes one chunk anew and copies pointers.
 */
#pragma once

#include "base/counter.h"
#include "base/rcu.h"
#include "catalog/instance.h"
#include "gateway/runtime.h"
#include "gateway/settings.h"

/* The choices of instances that one can be in. */
enum target_place {
    TARGET_NEAR = 1 << 0, /* offered, and in the gateway's own zone, or the gateway is in none */
    TARGET_OFFERED = 1 << 1,
    TARGET_RESORT = 1 << 2,
};

/* An instance that could be picked; immutable, of one version of its record. */
struct target {
    _Atomic uint32_t refs;
    uint16_t weight;                 /* 0: gets nothing, and is in no tier */
    uint8_t places;                  /* enum target_place; 0: it is withheld */
    uint8_t mark;                    /* the planner's scratch (ring.c); the rest never changes */
    const struct instance *instance; /* a reference */
    struct runtime *runtime;         /* a reference */
    struct host *host;               /* a reference, the planner's (hosts.h); NULL: its address is no name */
};

struct plan_chunk;

/* A point of an instance on the circle of hashes (ring.h). */
struct plan_point {
    uint64_t at;
    const struct target *target;
};

/* A choice of instances, in order of id, with what balancing needs of them. */
struct plan_tier {
    unsigned n, n_points;
    unsigned points_scale; /* see ring.h */
    uint64_t weight;       /* of all of them */
    uint64_t stride;       /* for weighted turns: near the golden part of `weight`, prime to it */
    nsec_t since_ns;       /* the earliest since_ns of them: when even that is new, all are */
    const struct target *const *targets;
    const uint64_t *weight_sums;     /* of targets[0..i]; NULL: all weigh the same */
    const struct plan_point *points; /* in order; NULL: nobody hashes */
};

struct settings_copy;

struct plan_service {
    struct rcu_node retired;
    struct plan_cell *cell;
    uint64_t generation;      /* the catalogue's (directory_service), of which it is made */
    struct policy policy;     /* defaults and the service's own metadata; slices live as long as this */
    bool is_exposed;          /* may be reached from beyond loopback */
    int64_t emptied_ms;       /* as directory_service: since when none is offered; 0: some is */
    struct plan_tier near;    /* those offered in our zone (all, when the gateway has none, or none is near) */
    struct plan_tier offered; /* all that are offered; the same arrays as `near` when they are the same */
    struct plan_tier resort;  /* suspect, held, disconnected, flapping: when all others have failed or are none */
    unsigned n_withheld; /* that are never picked: draining, failing, in maintenance, without usable address, … */
    const struct instance *voice;   /* a reference: whose metadata `policy` is made of; NULL: none says anything */
    struct settings_copy *settings; /* a reference: the defaults */
    unsigned n_chunks;
    struct plan_chunk *chunks[];
    /* the arrays of the tiers */
};

/* What one worker has done for a service. Written by that worker only, read by all. */
struct plan_share {
    _Alignas(64) _Atomic uint64_t n_requests; /* that were taken up */
    struct tally *_Atomic tally;              /* what became of them (tally.h); NULL: none came yet */
    _Atomic uint32_t window_requests;         /* lately, and retries and hedges among them: the budget (retry.h) */
    _Atomic uint32_t window_retries;
    _Atomic uint32_t n_held; /* plan_hold */
    nsec_t window_ns;        /* the worker's alone: when these were last halved */
};

struct plan_cell {
    struct rcu_node retired;
    _Atomic uint32_t refs; /* of plans and their routes; freed without any when no worker holds it */
    uint64_t hash;
    struct plan_service *_Atomic current; /* NULL: the service is not known (a route may name it all the same) */
    struct slice name;
    unsigned n_shares;
    _Alignas(64) _Atomic uint64_t turn;       /* round robin, over all workers */
    _Alignas(64) _Atomic int64_t n_in_flight; /* requests, over all workers; counted only under a limit */
    _Atomic uint32_t n_queued;                /* that wait for such a place, over all workers */
    struct plan_share shares[];               /* by worker */
    /* the name */
};

struct route_table;
struct plan_cells;

struct plan {
    struct rcu_node retired;
    struct gateway_settings settings;
    struct route_table *routes;
    struct plan_cell *default_cell; /* a reference; NULL: none */
    const struct plan_cells *cells;
    struct settings_copy *copy; /* a reference: what the settings point to */
};

/*
 * Keeps the cell for a request that outlives the turn in which the plan was read; dropped by the same worker. What is
 * counted is the worker's own, so holding costs no line that others write.
 */
static inline void plan_hold(struct plan_cell *cell, unsigned worker)
{
    counter_add32(&cell->shares[worker].n_held, 1);
}

static inline void plan_drop(struct plan_cell *cell, unsigned worker)
{
    _Atomic uint32_t *n_held = &cell->shares[worker].n_held;
    atomic_store_explicit(n_held, atomic_load_explicit(n_held, memory_order_relaxed) - 1, memory_order_release);
}

/* NULL: not known and not routed to. Any worker, in the turn in which the plan was read. */
struct plan_cell *plan_find(const struct plan *plan, struct slice service);

/* All services that are known, in no order, until fn gives false. Any RCU reader. */
void plan_each_service(const struct plan *plan, bool (*fn)(void *ctx, const struct plan_service *service), void *ctx);

/* One of the instances, withheld or not, by its id; NULL: not there. Binary search. */
const struct target *plan_find_target(const struct plan_service *service, struct slice id);

/* for (struct plan_cursor at = {.service = service}; (target = plan_next(&at));)   all instances, in order of id */
struct plan_cursor {
    const struct plan_service *service;
    unsigned chunk, index;
};
const struct target *plan_next(struct plan_cursor *cursor);

/* For what plans are made of, such as routes; workers hold (above). Any thread. */
struct plan_cell *plan_cell_ref(struct plan_cell *cell);
/* Accepts NULL. The planner frees it. */
void plan_cell_unref(struct plan_cell *cell);
