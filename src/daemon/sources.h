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
#include "sources/file/file_source.h"

struct docker;

/* One path of the files, for its view. */
struct source_path {
    struct file_source *source;
    unsigned i;
};

/* Zeroed before sources_open. */
struct sources {
    struct docker *docker;
    struct file_source *files;
    struct source_path paths[FILE_PATHS_MAX];
    struct source_view list[1 + FILE_PATHS_MAX];
    struct source_views views; /* for front ends */
};

/* They join the scout, before it is started. 0, or -errno with words. */
int sources_open(struct sources *sources, const struct config *config, char *const *environment, struct scout *scout,
                 struct curator *curator, struct log *log, struct metrics *metrics, struct err *err);
/* When the scout has stopped. */
void sources_close(struct sources *sources);
