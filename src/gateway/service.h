/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the plan's version of a service from the directory's: a function of that, of the settings and of what names of
 * hosts lead to. From the version before come the runtimes, and whatever is the same in both.
 *
 * The planner's thread, in the turn in which the directory was read.
 */
#pragma once

#include "catalog/directory.h"
#include "gateway/hosts.h"
#include "gateway/plan.h"
#include "gateway/settings_copy.h"

struct service_maker {
    struct settings_copy *settings;
    struct hosts *hosts;
    struct rcu_domain *rcu;
    unsigned n_workers;
    nsec_t since_ns; /* of instances that are offered for the first time */
};

struct service_order {
    struct plan_cell *cell;
    const struct directory_service *from;
    const struct plan_service *old; /* NULL: none */
    bool is_forced;                 /* settings have changed: nothing is the same */
    bool forgets_words;             /* without instances it has no voice, not even the last one's */
    bool has_points;                /* requests are balanced by hash, whatever the service itself says */
};

/*
 * Instances that are not in the new version any more are marked so. `fault`: what its instances say that cannot be
 * understood. 0 or -ENOMEM.
 */
int service_make(const struct service_maker *maker, const struct service_order *order,
                 struct plan_service **ret_service, struct err *fault);
/* With its last reader. */
void service_retire(struct plan_service *service, struct rcu_domain *rcu);
/* Nobody has seen it, or can see it any more. Accepts NULL. */
void service_free(struct plan_service *service);
