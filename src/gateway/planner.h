/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner: a thread that follows the catalogue and publishes the plan. It resolves the host names of instances
 * (and again, every so often), keeps their runtimes, and replaces a service at most once in a millisecond however fast
 * it changes. Workers read what it published and tell it nothing.
 */
#pragma once

#include "base/err.h"
#include "base/log.h"
#include "gateway/plan.h"
#include "keeper/curator.h"

struct planner;

struct planner_options {
    struct curator *curator;
    struct rcu_domain *rcu;
    struct log *log;
    unsigned n_workers;
    const struct gateway_settings *settings; /* copied, with all it points to */
};

/* Reads the catalogue as it is; the plan is whole from then on. 0 or -errno with the reason in err. */
int planner_new(const struct planner_options *options, struct planner **ret_planner, struct err *err);
/* Stopped, or never started; no worker runs. Accepts NULL. */
void planner_free(struct planner *planner);
/* Main thread, both. 0 or -errno with the reason in err. */
int planner_start(struct planner *planner, struct err *err);
void planner_stop(struct planner *planner);

/* Main thread, on reload: another plan is published soon. 0; -EINVAL with words for a bad route; -ENOMEM. */
int planner_set_settings(struct planner *planner, const struct gateway_settings *settings, struct err *err);

/* Workers: valid until the end of the turn. Never NULL. */
const struct plan *planner_plan(const struct planner *planner);

/* What it has done since the start. Any thread. */
struct planner_counts {
    uint64_t n_changes;  /* of the catalogue, that it heard of */
    uint64_t n_services; /* versions of services that it published: one may be of several changes */
    uint64_t n_plans;    /* that it published, with all their routes */
};
struct planner_counts planner_counts(const struct planner *planner);

/*
 * Somebody who waits for a plan that is newer than what he has seen: on_news is called on his loop after each
 * publication that changed a service, while n_waiting is not 0. He alone writes it, on his thread: he adds to it by
 * atomic_fetch_add, and then looks at the plan once more before he waits, so that no publication falls in between.
 */
struct planner_listener {
    struct loop *loop;
    void (*on_news)(struct planner_listener *listener);
    _Atomic unsigned n_waiting;
    /* the planner's */
    struct mail mail;
    _Atomic bool is_posted;
    struct list link;
};
/* Before planner_start; after planner_stop, when the listener's loop has turned or settled once more. */
void planner_listen(struct planner *planner, struct planner_listener *listener);
void planner_unlisten(struct planner_listener *listener);
