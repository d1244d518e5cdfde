/* SPDX-License-Identifier: Apache-2.0 */
/* How the source is, for status and metrics. */
#include "sources/file/file_priv.h"

#include <stdio.h>

void file_source_get_stats(struct file_source *source, unsigned i_path, struct file_source_stats *ret_stats)
{
    struct file_source_place *place = &source->places[i_path];
    struct file_place_state state;
    file_place_get_state(&place->place, &state);
    *ret_stats = (struct file_source_stats){
        .path = slice_from_str(place->place.path),
        .state = state.is_followed ? "following" : "polling",
        .success_ms = state.success_ms,
        .next_ms = source->next_ms,
        .n_files = state.n_files,
        .n_broken = state.n_broken,
        .n_instances = place->n_instances,
        .n_drifts = source->n_drifts,
    };
    (void)snprintf(ret_stats->trouble, sizeof(ret_stats->trouble), "%s", state.trouble);
}

/* The sum over all paths. */
static struct file_source_stats sum(struct file_source *source)
{
    struct file_source_stats all = {.n_drifts = source->n_drifts};
    for (unsigned i = 0; i < source->options.n_paths; i++) {
        struct file_source_stats stats;
        file_source_get_stats(source, i, &stats);
        all.n_files += stats.n_files;
        all.n_broken += stats.n_broken;
        all.n_instances += stats.n_instances;
    }
    return all;
}

static double metric_files(void *ctx)
{
    return sum(ctx).n_files;
}

static double metric_broken(void *ctx)
{
    return sum(ctx).n_broken;
}

static double metric_instances(void *ctx)
{
    return sum(ctx).n_instances;
}

static double metric_drifts(void *ctx)
{
    return (double)sum(ctx).n_drifts;
}

int file_source_register_metrics(struct file_source *source, struct metrics *metrics)
{
    const struct {
        struct metrics_desc desc;
        double (*fn)(void *ctx);
    } gauges[] = {
        {{"muster_file_files", "Files that have instances.", NULL, 0}, metric_files},
        {{"muster_file_broken", "Files that cannot be read; their last good state is in force.", NULL, 0},
         metric_broken},
        {{"muster_file_instances", "Instances that are made of them.", NULL, 0}, metric_instances},
    };
    const struct metrics_desc drifts = {.name = "muster_file_drift_total",
                                        .help = "Instances of files that were missing in the catalogue."};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(gauges); i++)
        r = metrics_register_gauge_fn(metrics, &gauges[i].desc, gauges[i].fn, source);
    return r < 0 ? r : metrics_register_counter_fn(metrics, &drifts, metric_drifts, source);
}
