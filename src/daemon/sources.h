/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sources: what makes instances by itself, on the scout's thread. Made and freed by the main thread.
 */
#pragma once

#include "base/metrics.h"
#include "daemon/config.h"
#include "fronts/source_view.h"
#include "http/scout.h"
#include "keeper/curator.h"

struct docker;

/* Zeroed before sources_open. */
struct sources {
    struct docker *docker;
    struct source_view list[1];
    struct source_views views; /* for front ends */
};

/* They join the scout, before it is started. 0, or -errno with words. */
int sources_open(struct sources *sources, const struct config *config, char *const *environment, struct scout *scout,
                 struct curator *curator, struct log *log, struct metrics *metrics, struct err *err);
/* When the scout has stopped. */
void sources_close(struct sources *sources);
