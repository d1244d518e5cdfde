/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper/curator_priv.h"

static double count_services(void *ctx)
{
    const struct curator *curator = ctx;
    struct directory_counts counts;
    directory_count(catalog_directory(curator->catalog), &counts);
    return (double)counts.n_services;
}

static double count_instances(void *ctx)
{
    const struct curator_metric *metric = ctx;
    struct directory_counts counts;
    directory_count(catalog_directory(metric->curator->catalog), &counts);
    return (double)counts.by_status[metric->status];
}

static double measure_lag(void *ctx)
{
    const struct curator *curator = ctx;
    struct store_view view;
    store_view(curator->store, true, &view);
    int64_t lag = view.revision - catalog_passed(curator->catalog);
    store_release(curator->store, &view);
    return lag > 0 ? (double)lag : 0;
}

int curator_register_metrics(struct curator *curator, struct metrics *metrics)
{
    const struct metrics_desc services = {.name = "muster_services", .help = "Services that are known."};
    const struct metrics_desc lag = {
        .name = "muster_catalog_lag_revisions",
        .help = "Revisions of the store that the catalogue does not contain yet.",
    };
    int r = metrics_register_gauge_fn(metrics, &services, count_services, curator);
    if (r == 0)
        r = metrics_register_gauge_fn(metrics, &lag, measure_lag, curator);
    for (enum instance_reason status = 0; r == 0 && status <= INSTANCE_UP; status++) {
        const struct metrics_label label = {"status", instance_reason_text(status)};
        const struct metrics_desc desc = {"muster_instances", "Instances by their status.", &label, 1};
        curator->metrics[status] = (struct curator_metric){curator, status};
        r = metrics_register_gauge_fn(metrics, &desc, count_instances, &curator->metrics[status]);
    }
    return r;
}
