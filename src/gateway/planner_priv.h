/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the planner share, and what tests use. Its thread, unless said otherwise. */
#pragma once

#include "base/htab.h"
#include "gateway/cells.h"
#include "gateway/hosts.h"
#include "gateway/planner.h"
#include "gateway/service.h"
#include "io/worker.h"
#include "keeper/pursuit.h"

/* A service is replaced at most once in this time, and what fails for want of memory is tried again after it. */
#define PLANNER_PACE_NS  NSEC_PER_MSEC
#define PLANNER_PLAN_NS  (10 * NSEC_PER_MSEC) /* the same for the plan itself, and its routes */
#define PLANNER_AGAIN_NS (100 * NSEC_PER_MSEC)
#define PLANNER_SWEEP_NS NSEC_PER_SEC

/* Services without instances of which the words hold on, the latest: more cost each plan too much. */
#define PLANNER_WORDS_MAX 1000

/* Routes of the configuration and of metadata together; those beyond are passed over. */
#define PLANNER_ROUTES_MAX 65536

/* What the planner knows of a service that is in the catalogue, or routed to. */
struct entry {
    struct htab_node node; /* by name; not while it leaves */
    struct planner *planner;
    struct plan_cell *cell;
    struct list link;        /* among the empty ones or those that leave */
    struct list routed_link; /* among those that a route may name */
    struct list sayer_link;  /* among those whose voice says routes */
    struct list words_link;  /* among the empty ones that have a voice */
    struct timer timer;      /* armed: it will be made anew */
    nsec_t not_before_ns;
    bool is_forced;
    bool forgets_words;            /* those of its last instance hold on no longer */
    uint64_t routed_in, hashed_in; /* the number of the last plan in which a route names it; is balanced by hash */
    const struct instance *voice;  /* a reference: whose routes are in the plan, or will be */
    uint64_t fault_told;           /* hash of the words, so that they are logged once */
    uint64_t route_fault_told;
};

struct planner {
    struct curator *curator;
    const struct directory *directory;
    struct rcu_domain *rcu;
    struct log *log;
    unsigned n_workers;
    struct plan *_Atomic plan;
    _Atomic uint64_t plan_number;           /* of the present one, from 1 */
    _Atomic uint64_t n_changes, n_services; /* planner_counts */
    struct worker_group *group;             /* of one; NULL: the loop is the caller's */
    struct loop *loop;
    struct resolver *resolver;
    bool owns_resolver;

    /* the planner's thread */
    struct pursuit pursuit;
    struct hosts hosts;
    struct settings_copy *settings;
    struct hash_key key;
    struct htab entries;
    struct list empty;   /* whose service has no instance: the directory may forget them silently */
    struct list leaving; /* that are in no plan any more */
    struct list routed;  /* of which a plan was made, or was to be made, with a route to them */
    struct list sayers;  /* whose voice says routes */
    struct list words;   /* of `empty`, those that have a voice; the one that went first in front */
    unsigned n_words;
    struct plan_cells *cells;  /* of the next plan; those of the present one, unless they were full */
    struct timer sweep, again; /* again: for the task */
    struct loop_task task;     /* what ends a turn in which something changed */
    nsec_t plan_not_before_ns;
    bool is_stale;   /* another plan is due: routes, settings or the table of cells have changed */
    bool has_news;   /* a service was replaced */
    bool is_loading; /* what is found now was there before us */
    bool is_running;
    struct mail load_mail;
    int load_result;
    struct list listeners;
};

/* -------- planner.c */

/* As planner_new, on a loop and with a resolver of the caller's: for tests. */
int planner_new_on(const struct planner_options *options, struct loop *loop, struct resolver *resolver,
                   struct planner **ret_planner);
/* What its thread begins and ends with; the loop must settle once more after the end. */
int planner_begin(struct planner *planner);
void planner_end(struct planner *planner);

/* -------- planner_services.c */

/* The entry of a service, made when there is none. 0 or -ENOMEM. */
int entry_get(struct planner *planner, struct slice name, struct entry **ret_entry);
/* Has it made anew, soon. */
void entry_touch(struct entry *entry);
/* Makes it anew, now. 0 or -ENOMEM: later again. */
int entry_make(struct entry *entry);
/* Whether the present plan, or the next one, refers to it by a route. */
bool entry_is_routed(const struct entry *entry);
/* Whether its service is known and has no instance. */
bool entry_is_empty(const struct entry *entry);
/* Lets go of one that is neither known nor routed to. */
void entry_leave_if_idle(struct entry *entry);
/* Frees those whose cells nobody has any more. */
void entries_sweep(struct planner *planner);
void entries_free_all(struct planner *planner);

/* -------- planner_routes.c */

/* Publishes another plan: with the routes as they are now, and with the settings. 0 or -ENOMEM. */
int planner_publish(struct planner *planner);
/* Nobody can see it any more. Accepts NULL. */
void plan_free(struct plan *plan);
/* 0, -EINVAL with words, -ENOMEM: whether the routes of the configuration can be understood. Any thread. */
int planner_check_routes(const struct gateway_settings *settings, struct err *err);
