/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scout: one thread for what the registry does in the world by itself, apart from the workers, whose time belongs
 * to clients: checks, notices, engines that are watched. Its parts live on its loop and share its errands.
 *
 * Made, started, stopped and freed by the main thread.
 */
#pragma once

#include "http/errand.h"

struct scout;
struct scout_part;

/*
 * Embedded in what works on the scout's loop. Both are called on its thread: start with what errands need; 0 or -errno.
 * stop ends everything (errand_cancel): what that leads to is still delivered before scout_stop returns. A part whose
 * start failed is not stopped.
 */
struct scout_part {
    int (*start)(struct scout_part *part, struct errand_office *office);
    void (*stop)(struct scout_part *part);
    struct list link; /* the scout's */
    bool is_started;
};

int scout_new(struct rcu_domain *rcu, struct scout **ret_scout, struct err *err);
/* Accepts NULL. */
void scout_free(struct scout *scout);

/* Before scout_start; the part must outlive scout_stop. */
void scout_add(struct scout *scout, struct scout_part *part);

int scout_start(struct scout *scout, struct err *err);
void scout_stop(struct scout *scout);

/* For mail to parts. Any thread, from scout_new on. */
struct loop *scout_loop(struct scout *scout);
