/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sources.h"

#include "daemon/docker_config.h"

#include <errno.h>
#include <stdio.h>

static void add_view(struct sources *sources, void *ctx, void (*get)(void *ctx, struct source_state *ret_state))
{
    sources->list[sources->views.n++] = (struct source_view){ctx, get};
    sources->views.list = sources->list;
}

/* ------------------------------------------------------------------------------------------------ Docker */

static void get_docker(void *ctx, struct source_state *ret_state)
{
    struct docker_stats stats;
    docker_get_stats(ctx, &stats);
    *ret_state = (struct source_state){
        .name = "docker",
        .place = docker_host(ctx),
        .state = stats.state,
        .success_ms = stats.success_ms,
        .next_ms = stats.next_ms,
        .n_instances = stats.n_instances,
        .n_drifts = stats.n_drifts,
    };
    (void)snprintf(ret_state->trouble, sizeof(ret_state->trouble), "%s", stats.trouble);
}

/* An environment that is meant for another program is no reason not to start, unless an engine is asked for. */
static int make_config(const struct config *config, char *const *environment, struct log *log,
                       struct docker_config *ret_made, struct err *err)
{
    static char *const none[] = {NULL};
    int r = docker_config_make(config, environment, ret_made, err);
    if (r >= 0 || r == -ENOMEM || config->sources.docker.mode == DOCKER_ON || *config->sources.docker.host)
        return r;
    log_warn(log, "what the environment says of Docker is passed over", log_text("why", err->text));
    return docker_config_make(config, none, ret_made, err);
}

static int open_docker(struct sources *sources, const struct config *config, char *const *environment,
                       struct scout *scout, struct curator *curator, struct log *log, struct metrics *metrics,
                       struct err *err)
{
    struct docker_config made;
    int r = make_config(config, environment, log, &made, err);
    if (r < 0)
        return r;
    r = docker_new(&made.options, scout, curator, log, &sources->docker);
    docker_config_deinit(&made);
    if (r < 0)
        return err_set_errno(err, r, "sources.docker");
    add_view(sources, sources->docker, get_docker);
    return docker_register_metrics(sources->docker, metrics);
}

/* ------------------------------------------------------------------------------------------------ files */

static void get_path(void *ctx, struct source_state *ret_state)
{
    const struct source_path *path = ctx;
    struct file_source_stats stats;
    file_source_get_stats(path->source, path->i, &stats);
    *ret_state = (struct source_state){
        .name = "file",
        .place = stats.path,
        .state = stats.state,
        .success_ms = stats.success_ms,
        .next_ms = stats.next_ms,
        .n_instances = stats.n_instances,
        .n_drifts = stats.n_drifts,
    };
    (void)snprintf(ret_state->trouble, sizeof(ret_state->trouble), "%s", stats.trouble);
}

static int open_files(struct sources *sources, const struct config *config, struct scout *scout,
                      struct curator *curator, struct log *log, struct metrics *metrics, struct err *err)
{
    const struct config_list *list = &config->sources.file.paths;
    struct slice paths[FILE_PATHS_MAX];
    struct file_source_options options;
    if (list->n > FILE_PATHS_MAX)
        return err_set(err, -EINVAL, "sources.file.paths: %u paths are more than the %d that are accepted", list->n,
                       FILE_PATHS_MAX);
    for (unsigned i = 0; i < list->n; i++)
        paths[i] = slice_from_str(list->items[i]);
    file_source_options_init(&options);
    options.paths = paths;
    options.n_paths = list->n;
    options.check_every_ns = config->sources.file.check_interval;
    int r = file_source_new(&options, scout, curator, log, &sources->files);
    if (r < 0)
        return err_set_errno(err, r, "sources.file");
    for (unsigned i = 0; i < list->n; i++) {
        sources->paths[i] = (struct source_path){sources->files, i};
        add_view(sources, &sources->paths[i], get_path);
    }
    return file_source_register_metrics(sources->files, metrics);
}

/* ------------------------------------------------------------------------------------------------ all */

int sources_open(struct sources *sources, const struct config *config, char *const *environment, struct scout *scout,
                 struct curator *curator, struct log *log, struct metrics *metrics, struct err *err)
{
    int r = open_docker(sources, config, environment, scout, curator, log, metrics, err);
    return r < 0 ? r : open_files(sources, config, scout, curator, log, metrics, err);
}

void sources_close(struct sources *sources)
{
    docker_free(sources->docker);
    file_source_free(sources->files);
    *sources = (struct sources){.docker = NULL};
}
