/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The health of instances as the registry finds it out by itself: each instance that asks to be checked is, at its
 * interval; each that is held after a mass loss, or under suspicion, is looked at. Verdicts go to the curator as
 * reports; the catalogue makes status of them.
 *
 * Lives on the scout's loop. Looks are spread over the intervals, a bounded number runs at the same time, and what is
 * late because of ourselves counts for nothing.
 */
#pragma once

#include "base/metrics.h"
#include "http/scout.h"
#include "keeper/curator.h"

struct health;

struct health_options {
    unsigned n_at_once;    /* looks that run at the same time, at most (256) */
    nsec_t watch_every_ns; /* between looks at what is held or suspected (1 s) */
};

void health_options_init(struct health_options *options);

/* Joins the scout. 0, -ENOMEM, or another -errno with words. */
int health_new(const struct health_options *options, struct scout *scout, struct curator *curator, struct log *log,
               struct health **ret_health, struct err *err);
/* When the scout has stopped. Accepts NULL. */
void health_free(struct health *health);

struct health_stats {
    uint64_t n_good, n_bad, n_void;
    unsigned n_watched, n_running, n_due; /* due: wait for one of those that run */
};
/* Any thread. */
void health_get_stats(const struct health *health, struct health_stats *ret_stats);

/* muster_health_looks_total{result}, muster_health_instances, muster_health_due. 0 or the registry's error. */
int health_register_metrics(struct health *health, struct metrics *metrics);
