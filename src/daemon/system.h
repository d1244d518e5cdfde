/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon knows of itself, for the front ends (fronts/system_view.h) and as metrics.
 */
#pragma once

#include "base/metrics.h"
#include "daemon/endpoints.h"
#include "fronts/system_view.h"
#include "io/worker.h"

#include <stdatomic.h>

struct system {
    struct system_facts facts;
    struct system_view view;
    struct worker_group *group;
    nsec_t started_ns;
    _Atomic(const char *) not_ready; /* a static text; NULL: ready */
};

/* Begins as "starting". config, endpoints and group must outlive it. */
void system_init(struct system *system, const struct config *config, const struct endpoints *endpoints,
                 struct worker_group *group);

/* Any thread. reason: a static text, or NULL for ready. */
void system_set_not_ready(struct system *system, const char *reason);

/* 0 or what registering returned. */
int system_register_metrics(struct system *system, struct metrics *metrics);
