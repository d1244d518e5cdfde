/* SPDX-License-Identifier: Apache-2.0 */
#include "health/health.h"

static struct health_stats stats_of(void *ctx)
{
    struct health_stats stats;
    health_get_stats(ctx, &stats);
    return stats;
}

static double n_good(void *ctx)
{
    return (double)stats_of(ctx).n_good;
}

static double n_bad(void *ctx)
{
    return (double)stats_of(ctx).n_bad;
}

static double n_void(void *ctx)
{
    return (double)stats_of(ctx).n_void;
}

static double n_watched(void *ctx)
{
    return (double)stats_of(ctx).n_watched;
}

static double n_due(void *ctx)
{
    return (double)stats_of(ctx).n_due;
}

static int register_looks(struct health *health, struct metrics *metrics, const char *result, double (*fn)(void *ctx))
{
    const struct metrics_label label = {"result", slice_from_str(result)};
    const struct metrics_desc desc = {
        .name = "muster_health_looks_total",
        .help = "Looks at instances by their result; void: our own delay, counts for nothing.",
        .labels = &label,
        .n_labels = 1,
    };
    return metrics_register_counter_fn(metrics, &desc, fn, health);
}

int health_register_metrics(struct health *health, struct metrics *metrics)
{
    const struct metrics_desc watched = {.name = "muster_health_instances", .help = "Instances that are looked at."};
    const struct metrics_desc due = {.name = "muster_health_due",
                                     .help = "Looks that wait because too many run (health.at_once)."};
    int r = register_looks(health, metrics, "good", n_good);
    if (r == 0)
        r = register_looks(health, metrics, "bad", n_bad);
    if (r == 0)
        r = register_looks(health, metrics, "void", n_void);
    if (r == 0)
        r = metrics_register_gauge_fn(metrics, &watched, n_watched, health);
    return r < 0 ? r : metrics_register_gauge_fn(metrics, &due, n_due, health);
}
