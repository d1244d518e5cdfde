/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/system.h"

#include "base/util.h"
#include "daemon/config_keys.h"
#include "daemon/process_info.h"
#include "muster.h"

#include <unistd.h>

static nsec_t uptime(void *ctx)
{
    return time_now() - ((const struct system *)ctx)->started_ns;
}

static const char *not_ready(void *ctx)
{
    return atomic_load_explicit(&((struct system *)ctx)->not_ready, memory_order_acquire);
}

static unsigned n_connections(void *ctx, unsigned worker)
{
    return worker_n_connections(worker_group_get(((const struct system *)ctx)->group, worker));
}

static uint64_t memory_bytes(void *ctx)
{
    (void)ctx;
    return process_resident_bytes();
}

void system_init(struct system *system, const struct config *config, const struct endpoints *endpoints,
                 struct worker_group *group)
{
    system->group = group;
    system->started_ns = time_now();
    system->facts = (struct system_facts){
        .version = MUSTER_VERSION,
        .role = config_key_find(SLICE_LIT("role"))->words[config->role],
        .pid = getpid(),
        .n_listeners = endpoints->n,
        .listeners = endpoints->shown,
        .n_workers = worker_group_size(group),
    };
    system->view = (struct system_view){
        .facts = &system->facts,
        .ctx = system,
        .uptime = uptime,
        .not_ready = not_ready,
        .n_connections = n_connections,
        .memory_bytes = memory_bytes,
    };
    system_set_not_ready(system, "starting");
}

void system_set_not_ready(struct system *system, const char *reason)
{
    atomic_store_explicit(&system->not_ready, reason, memory_order_release);
}

static double metric_one(void *ctx)
{
    (void)ctx;
    return 1;
}

static double metric_uptime(void *ctx)
{
    return (double)uptime(ctx) / (double)NSEC_PER_SEC;
}

static double metric_ready(void *ctx)
{
    return not_ready(ctx) == NULL;
}

static double metric_workers(void *ctx)
{
    return ((const struct system *)ctx)->facts.n_workers;
}

int system_register_metrics(struct system *system, struct metrics *metrics)
{
    const struct metrics_label version = {"version", SLICE_LIT(MUSTER_VERSION)};
    const struct {
        struct metrics_desc desc;
        double (*fn)(void *ctx);
    } gauges[] = {
        {{"muster_build_info", "What is running; the value is always 1.", &version, 1}, metric_one},
        {{"muster_uptime_seconds", "Seconds since the start.", NULL, 0}, metric_uptime},
        {{"muster_ready", "Whether /readyz says yes.", NULL, 0}, metric_ready},
        {{"muster_workers", "Threads that serve connections.", NULL, 0}, metric_workers},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(gauges); i++)
        r = metrics_register_gauge_fn(metrics, &gauges[i].desc, gauges[i].fn, system);
    return r;
}
