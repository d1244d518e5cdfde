/* SPDX-License-Identifier: Apache-2.0 */
/* How the source is, for status and metrics. */
#include "sources/docker/docker_priv.h"

static const char *state_name(const struct docker *docker)
{
    static const char *const names[] = {
        [DOCKER_ENGINE_RESTS] = "off",         [DOCKER_ENGINE_WAITS] = "waiting",
        [DOCKER_ENGINE_GREETS] = "connecting", [DOCKER_ENGINE_SUBSCRIBES] = "connecting",
        [DOCKER_ENGINE_FOLLOWS] = "following", [DOCKER_ENGINE_POLLS] = "polling",
    };
    return names[docker->engine.state];
}

void docker_get_stats(const struct docker *docker, struct docker_stats *ret_stats)
{
    *ret_stats = (struct docker_stats){
        .state = state_name(docker),
        .trouble = docker->engine.trouble,
        .success_ms = docker->engine.success_ms,
        .next_ms = docker->engine.next_ms,
        .n_containers = docker->n_containers,
        .n_instances = docker->registrar.n_wanted,
        .n_events = docker->n_events,
        .n_drifts = docker->n_drifts,
    };
}

struct slice docker_host(const struct docker *docker)
{
    return docker->options.host;
}

static double metric_up(void *ctx)
{
    const struct docker *docker = ctx;
    return docker->engine.state == DOCKER_ENGINE_FOLLOWS || docker->engine.state == DOCKER_ENGINE_POLLS;
}

static double metric_containers(void *ctx)
{
    return ((const struct docker *)ctx)->n_containers;
}

static double metric_instances(void *ctx)
{
    return ((const struct docker *)ctx)->registrar.n_wanted;
}

static double metric_success(void *ctx)
{
    return (double)((const struct docker *)ctx)->engine.success_ms / 1000;
}

static double metric_events(void *ctx)
{
    return (double)((const struct docker *)ctx)->n_events;
}

static double metric_drifts(void *ctx)
{
    return (double)((const struct docker *)ctx)->n_drifts;
}

int docker_register_metrics(struct docker *docker, struct metrics *metrics)
{
    const struct {
        struct metrics_desc desc;
        double (*fn)(void *ctx);
    } gauges[] = {
        {{"muster_docker_up", "Whether the Docker engine is followed.", NULL, 0}, metric_up},
        {{"muster_docker_containers", "Containers that run.", NULL, 0}, metric_containers},
        {{"muster_docker_instances", "Instances that are made of them.", NULL, 0}, metric_instances},
        {{"muster_docker_last_success_seconds", "When the engine answered last, since 1970.", NULL, 0}, metric_success},
    };
    const struct metrics_desc events = {.name = "muster_docker_events_total",
                                        .help = "Events of containers that the engine told."};
    const struct metrics_desc drifts = {.name = "muster_docker_drift_total",
                                        .help = "Differences that the engine's list showed and no event had told."};
    int r = 0;
    for (unsigned i = 0; r == 0 && i < ARRAY_LEN(gauges); i++)
        r = metrics_register_gauge_fn(metrics, &gauges[i].desc, gauges[i].fn, docker);
    if (r == 0)
        r = metrics_register_counter_fn(metrics, &events, metric_events, docker);
    return r < 0 ? r : metrics_register_counter_fn(metrics, &drifts, metric_drifts, docker);
}
