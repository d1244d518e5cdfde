/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wiring. Parts are members in the order in which they are opened; each stands on those above it.
 */
#include "daemon/daemon.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/util.h"
#include "daemon/announce.h"
#include "daemon/catalog_config.h"
#include "daemon/config.h"
#include "daemon/data_dir.h"
#include "daemon/endpoints.h"
#include "daemon/fronts.h"
#include "daemon/gateway_config.h"
#include "daemon/gateway_facts.h"
#include "daemon/keepalive.h"
#include "daemon/notify.h"
#include "daemon/pidfile.h"
#include "daemon/process_info.h"
#include "daemon/reload.h"
#include "daemon/server_options.h"
#include "daemon/serving.h"
#include "daemon/shutdown.h"
#include "daemon/signals.h"
#include "daemon/sources.h"
#include "daemon/stations.h"
#include "daemon/store_trace.h"
#include "daemon/system.h"
#include "gateway/gateway.h"
#include "gateway/gateway_metrics.h"
#include "health/health.h"
#include "keeper/curator.h"
#include "keeper/keeper.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKERS_DEFAULT_MAX 8
#define WORKERS_MAX         64 /* as config_keys.c says */

struct daemon {
    const struct arguments *arguments;
    char *const *environment;
    struct config *config;
    struct log *log;
    struct data_dir *data_dir; /* NULL: the role needs none */
    struct rcu_domain rcu;
    struct worker_group *group;
    struct endpoints *endpoints;
    struct keeper *keeper;     /* NULL: the role needs none */
    struct store_trace *trace; /* NULL: off */
    struct projection *projection;
    struct curator *curator; /* NULL: the role needs none */
    struct scout *scout;     /* the same */
    struct health *health;   /* the same */
    struct sources sources;  /* none, the same */
    struct planner *planner; /* NULL: no gateway, or no catalogue to go by */
    struct gateway *gateway; /* the same */
    struct gateway_view gateway_view;
    struct store *store; /* the keeper's, or the trace in front of it; NULL: the role needs none */
    struct listener_tls tls;
    struct shortage *shortage;
    struct system system;
    struct metrics *metrics;
    struct http_metrics *http_metrics;
    struct front_settings settings;
    struct fronts *fronts;
    struct loop *loop;
    struct signals signals;
    struct serving serving;
    struct stations *stations;
    bool is_keeping; /* the keeper runs */
    bool is_serving; /* the workers run */
    bool has_pidfile;
    struct notify notify;
    struct keepalive keepalive;
    struct shutdown shutdown;
};

static unsigned n_workers(const struct config *config)
{
    cpu_set_t cpus;
    if (config->workers > 0)
        return config->workers;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
        return 1;
    return (unsigned)min_size((size_t)CPU_COUNT(&cpus), WORKERS_DEFAULT_MAX);
}

static int open_log(struct daemon *daemon)
{
    const struct log_options options = {
        .fd = STDERR_FILENO,
        .level = (enum log_level)daemon->config->log.level,
        .format = (enum log_format)daemon->config->log.format,
    };
    return log_new(&options, &daemon->log);
}

static int open_data(struct daemon *daemon, struct err *err)
{
    char chosen[PATH_MAX];
    const char *path = daemon->config->data;
    if (daemon->config->role == ROLE_GATEWAY)
        return 0;
    if (!*path) {
        int r = data_dir_choose(chosen, sizeof(chosen));
        if (r < 0)
            return err_set_errno(err, r, "data");
        path = chosen;
    }
    return data_dir_open(path, &daemon->data_dir, err);
}

static int open_listeners(struct daemon *daemon, struct err *err)
{
    unsigned n = n_workers(daemon->config);
    int r = worker_group_new(n, &daemon->rcu, &daemon->group, err);
    if (r == 0)
        r = endpoints_open(daemon->config, n, &daemon->endpoints, err);
    if (r == 0)
        r = server_options_load_tls(daemon->config, &daemon->tls, err);
    return r;
}

static int open_store(struct daemon *daemon, struct err *err)
{
    const struct config *config = daemon->config;
    char folder[PATH_MAX];
    if (!daemon->data_dir)
        return 0;
    int n = snprintf(folder, sizeof(folder), "%s/store", data_dir_path(daemon->data_dir));
    if (n < 0 || (size_t)n >= sizeof(folder))
        return err_set_errno(err, -ENAMETOOLONG, "data");

    struct keeper_options options = {.folder = folder, .log = daemon->log, .rcu = &daemon->rcu};
    local_options_init(&options.local);
    options.local.wal.relaxed = config->store.durability == DURABILITY_RELAXED;
    options.local.wal.relaxed_ms = (unsigned)(config->store.relaxed_interval / NSEC_PER_MSEC);
    options.local.history_ms = config->store.history / NSEC_PER_MSEC;
    options.local.history_bytes = config->store.history_bytes;
    options.local.snapshot_bytes = config->store.snapshot_bytes;
    options.local.notes_bytes = config->store.notes_bytes;
    options.local.timeline_bytes = config->store.timeline_bytes;
    options.local.min_ttl_ms = config->store.min_ttl / NSEC_PER_MSEC;
    int r = keeper_new(&options, &daemon->keeper, err);
    if (r < 0)
        return r;
    r = store_trace_new(config, keeper_store(daemon->keeper), &daemon->trace);
    if (r < 0)
        return err_set_errno(err, r, "store.trace");
    daemon->store = daemon->trace ? store_trace_store(daemon->trace) : keeper_store(daemon->keeper);
    return 0;
}

static int open_metrics(struct daemon *daemon)
{
    system_init(&daemon->system, daemon->config, daemon->endpoints, daemon->group);
    int r = shortage_new(daemon->log, &daemon->shortage);
    if (r == 0)
        r = metrics_new(worker_group_size(daemon->group), &daemon->metrics);
    if (r == 0)
        r = process_register_metrics(daemon->metrics);
    if (r == 0)
        r = system_register_metrics(&daemon->system, daemon->metrics);
    if (r == 0)
        r = shortage_register_metrics(daemon->shortage, daemon->metrics);
    if (r == 0)
        r = worker_group_register_metrics(daemon->group, daemon->metrics);
    if (r == 0)
        r = http_metrics_new(daemon->metrics, &daemon->http_metrics);
    return r;
}

static int open_catalogue(struct daemon *daemon, struct err *err)
{
    struct curator_options options = {.store = daemon->store, .rcu = &daemon->rcu, .log = daemon->log};
    if (!daemon->store)
        return 0;
    int r = catalog_config_projection(daemon->config, &daemon->projection, err);
    if (r < 0)
        return r;
    catalog_config_fill(daemon->config, &options.catalog);
    options.catalog.projection = daemon->projection;
    options.min_ttl_ms = daemon->config->store.min_ttl / NSEC_PER_MSEC;
    r = curator_new(&options, &daemon->curator);
    if (r == 0)
        r = curator_register_metrics(daemon->curator, daemon->metrics);
    return r < 0 ? r : scout_new(&daemon->rcu, &daemon->scout, err);
}

static int open_health(struct daemon *daemon, struct err *err)
{
    struct health_options options;
    if (!daemon->curator)
        return 0;
    health_options_init(&options);
    options.n_at_once = daemon->config->health.at_once;
    int r = health_new(&options, daemon->scout, daemon->curator, daemon->log, &daemon->health, err);
    return r < 0 ? r : health_register_metrics(daemon->health, daemon->metrics);
}

static int open_sources(struct daemon *daemon, struct err *err)
{
    if (!daemon->curator)
        return 0;
    return sources_open(&daemon->sources, daemon->config, daemon->environment, daemon->scout, daemon->curator,
                        daemon->log, daemon->metrics, err);
}

static void list_worker_loops(const struct daemon *daemon, struct loop *ret_loops[WORKERS_MAX])
{
    unsigned n = worker_group_size(daemon->group);
    ASSERT(n <= WORKERS_MAX);
    for (unsigned i = 0; i < n; i++)
        ret_loops[i] = worker_loop(worker_group_get(daemon->group, i));
}

static int open_gateway(struct daemon *daemon, struct err *err)
{
    struct gateway_config *settings CLEANUP(gateway_config_freep) = NULL;
    if (!daemon->curator || daemon->config->role == ROLE_REGISTRY)
        return 0;
    int r = gateway_config_new(daemon->config, &settings, err);
    if (r < 0)
        return r;
    const struct planner_options planner = {
        .curator = daemon->curator,
        .rcu = &daemon->rcu,
        .log = daemon->log,
        .n_workers = worker_group_size(daemon->group),
        .settings = gateway_config_settings(settings),
    };
    r = planner_new(&planner, &daemon->planner, err);
    if (r < 0)
        return r;
    struct loop *loops[WORKERS_MAX];
    list_worker_loops(daemon, loops);
    const struct gateway_options gateway = {
        .planner = daemon->planner,
        .curator = daemon->curator,
        .log = daemon->log,
        .shortage = daemon->shortage,
        .n_workers = worker_group_size(daemon->group),
        .loops = loops,
    };
    r = gateway_new(&gateway, &daemon->gateway);
    if (r == 0)
        r = gateway_open_log(daemon->gateway, gateway_config_settings(settings), err);
    return r < 0 ? r : gateway_register_metrics(daemon->gateway, daemon->metrics);
}

static void fill_settings(const struct config *config, struct front_settings *ret_settings)
{
    *ret_settings = (struct front_settings){
        .srpc = {slice_from_str(config->srpc.service), config->srpc.ttl},
        .hub = {config->hub.beat_interval, config->hub.beat_gap, config->hub.beat_tries},
    };
}

static int open_fronts(struct daemon *daemon, struct err *err)
{
    fill_settings(daemon->config, &daemon->settings);
    gateway_facts_view(daemon->gateway, &daemon->gateway_view);
    const struct front_env env = {
        .log = daemon->log,
        .metrics = daemon->metrics,
        .system = &daemon->system.view,
        .sources = &daemon->sources.views,
        .talkers = daemon->http_metrics->talkers,
        .gateway = &daemon->gateway_view,
        .store = daemon->store,
        .curator = daemon->curator,
        .scout = daemon->scout,
        .settings = &daemon->settings,
        .rcu = &daemon->rcu,
        .auth = {daemon->config->auth.ignore, daemon->config->auth.bcrypt_cost},
    };
    return fronts_new(&env, &daemon->fronts, err);
}

static int open_stations(struct daemon *daemon)
{
    struct stations_options options = {
        .main_loop = daemon->loop,
        .group = daemon->group,
        .endpoints = daemon->endpoints,
        .metrics = daemon->http_metrics,
        .log = daemon->log,
        .shortage = daemon->shortage,
    };
    daemon->serving = (struct serving){daemon->fronts, daemon->gateway};
    serving_fill(&daemon->serving, &options);
    server_options_fill(daemon->config, &daemon->tls, options.servers);
    return stations_new(&options, &daemon->stations);
}

static void on_signal(void *ctx, int signo)
{
    struct daemon *daemon = ctx;
    if (signo != SIGHUP) {
        log_info(daemon->log, "asked to stop", log_text("signal", sigabbrev_np(signo)));
        notify_send(&daemon->notify, "STOPPING=1");
        shutdown_ask(&daemon->shutdown, daemon->config->drain.delay, daemon->config->drain.timeout);
        return;
    }
    const struct reload reload = {daemon->arguments, daemon->environment, daemon->log,    daemon->endpoints,
                                  daemon->stations,  daemon->planner,     daemon->gateway};
    notify_send(&daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%lld",
                (long long)(loop_now(daemon->loop) / NSEC_PER_USEC));
    reload_config(&reload, &daemon->config);
    notify_send(&daemon->notify, "READY=1");
}

static int open_pidfile(struct daemon *daemon, struct err *err)
{
    if (!*daemon->config->pidfile)
        return 0;
    int r = pidfile_write(daemon->config->pidfile, err);
    daemon->has_pidfile = r == 0;
    return r;
}

static int open_parts(struct daemon *daemon, struct err *err)
{
    int r = config_load(daemon->arguments, daemon->environment, &daemon->config, err);
    if (r == 0)
        r = open_log(daemon);
    if (r == 0)
        r = open_data(daemon, err);
    if (r == 0)
        r = open_listeners(daemon, err);
    if (r == 0)
        r = open_store(daemon, err);
    if (r == 0)
        r = open_metrics(daemon);
    if (r == 0)
        r = open_catalogue(daemon, err);
    if (r == 0)
        r = open_health(daemon, err);
    if (r == 0)
        r = open_sources(daemon, err);
    if (r == 0)
        r = open_gateway(daemon, err);
    if (r == 0)
        r = open_fronts(daemon, err);
    if (r == 0)
        r = loop_new(NULL, &daemon->loop);
    if (r == 0)
        r = signals_open(&daemon->signals, daemon->loop, on_signal, daemon, err);
    if (r == 0)
        r = open_stations(daemon);
    if (r == 0)
        r = open_pidfile(daemon, err);
    return r;
}

int daemon_open(const struct arguments *arguments, char *const *environment, struct daemon **ret_daemon,
                struct err *err)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon)
        return err_set(err, -ENOMEM, "out of memory");
    daemon->arguments = arguments;
    daemon->environment = environment;
    rcu_init(&daemon->rcu);
    umask(077);
    process_raise_descriptor_limit();
    notify_open(&daemon->notify);
    err->text[0] = '\0';
    int r = open_parts(daemon, err);
    if (r < 0) {
        daemon_close(daemon);
        return err->text[0] ? r : err_set_errno(err, r, "cannot start");
    }
    shutdown_init(&daemon->shutdown, daemon->loop, daemon->endpoints, daemon->stations, daemon->fronts, &daemon->system,
                  daemon->log);
    *ret_daemon = daemon;
    return 0;
}

/*
 * Before the workers: the first request finds a catalogue that is whole. Leases run from here on, but none expires
 * before every worker has read what came in meanwhile.
 */
static int start_keeping(struct daemon *daemon, struct err *err)
{
    struct loop *loops[WORKERS_MAX];
    if (!daemon->keeper)
        return 0;
    list_worker_loops(daemon, loops);
    int r = keeper_start(daemon->keeper, loops, worker_group_size(daemon->group), err);
    if (r < 0)
        return r;
    daemon->is_keeping = true;
    r = curator_start(daemon->curator, err);
    return r < 0 || !daemon->planner ? r : planner_start(daemon->planner, err);
}

static void stop_keeping(struct daemon *daemon)
{
    if (!daemon->is_keeping)
        return;
    if (daemon->planner)
        planner_stop(daemon->planner);
    curator_stop(daemon->curator);
    scout_stop(daemon->scout);
    keeper_stop(daemon->keeper);
}

static void tell_ready(struct daemon *daemon)
{
    const struct announce announce = {
        .arguments = daemon->arguments,
        .environment = daemon->environment,
        .config = daemon->config,
        .log = daemon->log,
        .data_dir = daemon->data_dir,
        .endpoints = daemon->endpoints,
        .tls = &daemon->tls,
        .facts = &daemon->system.facts,
        .notify = &daemon->notify,
    };
    announce_ready(&announce);
}

int daemon_run(struct daemon *daemon, struct err *err)
{
    const struct worker_hooks hooks = stations_hooks(daemon->stations);
    int r = start_keeping(daemon, err);
    if (r == 0)
        r = worker_group_start(daemon->group, &hooks, err);
    if (r < 0)
        return r;
    daemon->is_serving = true;
    if (daemon->scout)
        r = scout_start(daemon->scout, err);
    if (r < 0)
        return r;
    keepalive_start(&daemon->keepalive, daemon->loop, daemon->stations, &daemon->notify, daemon->log);
    system_set_not_ready(&daemon->system, NULL);
    tell_ready(daemon);
    r = loop_run(daemon->loop);
    if (r < 0)
        return err_set_errno(err, r, "the main loop");
    log_info(daemon->log, "stopped");
    return 0;
}

void daemon_close(struct daemon *daemon)
{
    if (!daemon)
        return;
    keepalive_stop(&daemon->keepalive);
    if (daemon->has_pidfile)
        pidfile_remove(daemon->config->pidfile);
    stop_keeping(daemon); /* while the workers run: they take the last answers */
    if (daemon->is_serving) {
        worker_group_stop(daemon->group);
        loop_settle(daemon->loop); /* takes the last mail of the workers */
    }
    stations_free(daemon->stations);
    signals_close(&daemon->signals);
    if (daemon->loop)
        loop_free(daemon->loop);
    fronts_free(daemon->fronts);
    http_metrics_free(daemon->http_metrics);
    metrics_free(daemon->metrics);
    shortage_free(daemon->shortage);
    listener_tls_deinit(&daemon->tls);
    endpoints_close(daemon->endpoints);
    worker_group_free(daemon->group);
    store_trace_free(daemon->trace);
    sources_close(&daemon->sources);
    gateway_free(daemon->gateway);
    planner_free(daemon->planner);
    health_free(daemon->health);
    scout_free(daemon->scout);
    curator_free(daemon->curator);
    projection_free(daemon->projection);
    keeper_free(daemon->keeper);
    rcu_deinit(&daemon->rcu);
    data_dir_close(daemon->data_dir);
    log_free(daemon->log);
    config_free(daemon->config);
    notify_close(&daemon->notify);
    free(daemon);
}
