/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner's thread. It hears which services changed (keeper/pursuit.h) and makes these anew from the directory
 * (service.h), each at most once in PLANNER_PACE_NS; what a change was does not matter, so that none can be missed. A
 * turn in which something was published ends with the task: another plan if one is due, news to those who wait, and
 * memory that readers have left.
 */
#include "gateway/planner_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define RESOLVER_THREADS 2
#define RESOLVER_WAITING 4096

/* ------------------------------------------------------------------------------------------------ listeners */

static void deliver_news(struct mail *mail)
{
    struct planner_listener *listener = container_of(mail, struct planner_listener, mail);
    atomic_store_explicit(&listener->is_posted, false, memory_order_release);
    listener->on_news(listener);
}

/*
 * Both sides change n_waiting, the listener before he looks at the plan, we (by nothing) after we published: if he does
 * not see what we published, then his change came first, and we see it.
 */
static void tell_listeners(struct planner *planner)
{
    list_for_each (link, &planner->listeners) {
        struct planner_listener *listener = container_of(link, struct planner_listener, link);
        if (atomic_fetch_add_explicit(&listener->n_waiting, 0, memory_order_acq_rel) > 0 &&
            !atomic_exchange_explicit(&listener->is_posted, true, memory_order_acq_rel))
            loop_post(listener->loop, &listener->mail);
    }
}

void planner_listen(struct planner *planner, struct planner_listener *listener)
{
    listener->mail.deliver = deliver_news;
    atomic_init(&listener->is_posted, false);
    list_init(&listener->link);
    list_push_back(&planner->listeners, &listener->link);
}

void planner_unlisten(struct planner_listener *listener)
{
    list_remove(&listener->link);
}

/* ------------------------------------------------------------------------------------------------ each turn */

static void again_at(struct planner *planner, nsec_t when_ns)
{
    if (!timer_is_armed(&planner->again) || planner->again.deadline_ns > when_ns)
        loop_arm(planner->loop, &planner->again, when_ns);
}

static void publish_if_due(struct planner *planner)
{
    nsec_t now_ns = loop_now(planner->loop);
    if (now_ns < planner->plan_not_before_ns) {
        again_at(planner, planner->plan_not_before_ns);
        return;
    }
    if (planner_publish(planner) < 0) {
        again_at(planner, now_ns + PLANNER_AGAIN_NS);
        return;
    }
    planner->plan_not_before_ns = now_ns + PLANNER_PLAN_NS;
    planner->has_news = true;
}

static void end_turn(struct loop_task *task)
{
    struct planner *planner = container_of(task, struct planner, task);
    if (planner->is_stale)
        publish_if_due(planner);
    if (planner->has_news)
        tell_listeners(planner);
    planner->has_news = false;
    /* We are a reader too: what was retired now can go in a later turn. */
    if (rcu_reclaim(planner->rcu) && planner->is_running)
        again_at(planner, loop_now(planner->loop) + PLANNER_PACE_NS);
}

static void on_again(struct timer *timer)
{
    struct planner *planner = container_of(timer, struct planner, again);
    loop_defer(planner->loop, &planner->task);
}

static void on_sweep(struct timer *timer)
{
    struct planner *planner = container_of(timer, struct planner, sweep);
    entries_sweep(planner);
    loop_arm(planner->loop, timer, loop_now(planner->loop) + PLANNER_SWEEP_NS);
}

/* ------------------------------------------------------------------------------------------------ following */

struct comparison {
    struct planner *planner;
    int result;
};

static bool compare_service(void *ctx, const struct directory_service *service)
{
    struct comparison *comparison = ctx;
    struct entry *entry;
    int r = entry_get(comparison->planner, directory_name(service), &entry);
    if (r < 0) {
        comparison->result = r;
        return false;
    }
    const struct plan_service *current = atomic_load_explicit(&entry->cell->current, memory_order_relaxed);
    if (!current || current->generation != service->generation)
        entry_touch(entry);
    return true;
}

/* Has all that differs from the directory made anew. */
static int compare_all(struct planner *planner)
{
    struct comparison comparison = {planner, 0};
    directory_each(planner->directory, compare_service, &comparison);
    htab_for_each (node, &planner->entries) {
        struct entry *entry = container_of(node, struct entry, node);
        if (!directory_find(planner->directory, entry->cell->name))
            entry_touch(entry);
    }
    return comparison.result;
}

static int on_change(struct pursuit *pursuit, const struct catalog_change *change)
{
    struct planner *planner = container_of(pursuit, struct planner, pursuit);
    const struct instance *either = change->after ? change->after : change->before;
    struct entry *entry;
    int r = entry_get(planner, either->service, &entry);
    if (r < 0)
        return r;
    counter_add(&planner->n_changes, 1);
    entry_touch(entry);
    return 0;
}

static int on_gap(struct pursuit *pursuit)
{
    struct planner *planner = container_of(pursuit, struct planner, pursuit);
    log_warn(planner->log, "the gateway could not follow every change and compares all there is");
    return compare_all(planner);
}

/* Names of hosts lead elsewhere: services find out themselves whether that concerns them. */
static void on_hosts_change(struct hosts *hosts)
{
    struct planner *planner = container_of(hosts, struct planner, hosts);
    htab_for_each (node, &planner->entries)
        entry_touch(container_of(node, struct entry, node));
}

/* ------------------------------------------------------------------------------------------------ settings */

struct settings_mail {
    struct mail mail;
    struct planner *planner;
    struct settings_copy *copy;
};

static void take_settings(struct mail *mail)
{
    struct settings_mail *news = container_of(mail, struct settings_mail, mail);
    struct planner *planner = news->planner;
    settings_copy_unref(planner->settings);
    planner->settings = news->copy;
    free(news);
    bool was_odd = planner->hosts.odd_addresses;
    planner->hosts.odd_addresses = planner->settings->settings.odd_addresses;
    if (was_odd != planner->hosts.odd_addresses)
        hosts_refresh(&planner->hosts);
    htab_for_each (node, &planner->entries) {
        struct entry *entry = container_of(node, struct entry, node);
        entry->is_forced = true;
        entry_touch(entry);
    }
    planner->is_stale = true;
    loop_defer(planner->loop, &planner->task);
}

int planner_set_settings(struct planner *planner, const struct gateway_settings *settings, struct err *err)
{
    int r = planner_check_routes(settings, err);
    if (r < 0)
        return r;
    struct settings_mail *news = calloc(1, sizeof(*news));
    r = news ? settings_copy_new(settings, &news->copy) : -ENOMEM;
    if (r < 0) {
        free(news);
        return err_set(err, r, "out of memory");
    }
    news->mail.deliver = take_settings;
    news->planner = planner;
    loop_post(planner->loop, &news->mail);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ life */

/* In a turn of the loop, which is an RCU reader. */
static void load(struct mail *mail)
{
    struct planner *planner = container_of(mail, struct planner, load_mail);
    planner->is_loading = true;
    int r = compare_all(planner);
    htab_for_each (node, &planner->entries) {
        struct entry *entry = container_of(node, struct entry, node);
        if (r == 0)
            r = entry_make(entry);
    }
    if (r == 0)
        r = planner_publish(planner);
    planner->is_loading = false;
    planner->load_result = r;
}

static void init(struct planner *planner, const struct planner_options *options)
{
    planner->curator = options->curator;
    planner->directory = catalog_directory(curator_catalog(options->curator));
    planner->rcu = options->rcu;
    planner->log = options->log;
    planner->n_workers = options->n_workers;
    planner->hosts.on_change = on_hosts_change;
    planner->hosts.log = options->log;
    planner->hosts.odd_addresses = options->settings->odd_addresses;
    planner->load_mail.deliver = load;
    list_init(&planner->empty);
    list_init(&planner->words);
    list_init(&planner->leaving);
    list_init(&planner->routed);
    list_init(&planner->sayers);
    list_init(&planner->listeners);
    timer_init(&planner->sweep, on_sweep);
    timer_init(&planner->again, on_again);
    loop_task_init(&planner->task, end_turn);
}

static int open(struct planner *planner, const struct planner_options *options)
{
    int r = random_system(&planner->key, sizeof(planner->key));
    if (r == 0)
        r = hosts_init(&planner->hosts);
    if (r == 0)
        r = settings_copy_new(options->settings, &planner->settings);
    if (r == 0)
        r = cells_new(&planner->key, 0, &planner->cells);
    if (r < 0)
        return r;
    loop_post(planner->loop, &planner->load_mail);
    loop_settle(planner->loop);
    return planner->load_result;
}

int planner_new_on(const struct planner_options *options, struct loop *loop, struct resolver *resolver,
                   struct planner **ret_planner)
{
    struct planner *planner = calloc(1, sizeof(*planner));
    if (!planner)
        return -ENOMEM;
    init(planner, options);
    planner->loop = planner->hosts.loop = loop;
    planner->resolver = planner->hosts.resolver = resolver;
    int r = open(planner, options);
    if (r < 0) {
        planner_free(planner);
        return r;
    }
    *ret_planner = planner;
    return 0;
}

int planner_new(const struct planner_options *options, struct planner **ret_planner, struct err *err)
{
    struct worker_group *group = NULL;
    struct resolver *resolver = NULL;
    int r = planner_check_routes(options->settings, err);
    if (r < 0)
        return r;
    r = worker_group_new(1, options->rcu, &group, err);
    if (r < 0)
        return r;
    r = resolver_new(RESOLVER_THREADS, RESOLVER_WAITING, NULL, NULL, &resolver);
    if (r == 0)
        r = planner_new_on(options, worker_loop(worker_group_get(group, 0)), resolver, ret_planner);
    if (r < 0) {
        resolver_free(resolver);
        worker_group_free(group);
        return err_set_errno(err, r, "the gateway's planner");
    }
    (*ret_planner)->group = group;
    (*ret_planner)->owns_resolver = true;
    return 0;
}

int planner_begin(struct planner *planner)
{
    static const struct pursuit_events events = {.on_change = on_change, .on_gap = on_gap};
    int r = pursuit_start(&planner->pursuit, &events, planner->curator, planner->loop);
    if (r < 0)
        return r;
    planner->is_running = true;
    r = compare_all(planner);
    if (r < 0) {
        planner_end(planner);
        return r;
    }
    loop_arm(planner->loop, &planner->sweep, loop_now(planner->loop));
    loop_defer(planner->loop, &planner->task);
    return 0;
}

void planner_end(struct planner *planner)
{
    if (planner->is_running)
        pursuit_stop(&planner->pursuit);
    planner->is_running = false;
    hosts_close(&planner->hosts);
    loop_cancel(planner->loop, &planner->sweep);
    loop_cancel(planner->loop, &planner->again);
    htab_for_each (node, &planner->entries)
        loop_cancel(planner->loop, &container_of(node, struct entry, node)->timer);
    loop_undefer(&planner->task);
}

static int start(void *ctx, struct worker *worker)
{
    (void)worker;
    (void)pthread_setname_np(pthread_self(), "planner");
    return planner_begin(ctx);
}

static void stop(void *ctx, struct worker *worker)
{
    (void)worker;
    planner_end(ctx);
}

int planner_start(struct planner *planner, struct err *err)
{
    const struct worker_hooks hooks = {.start = start, .stop = stop, .ctx = planner};
    return worker_group_start(planner->group, &hooks, err);
}

void planner_stop(struct planner *planner)
{
    if (planner)
        worker_group_stop(planner->group);
}

/* What readers had is freed before what it points back to. */
static void free_plans(struct planner *planner)
{
    while (rcu_reclaim(planner->rcu))
        continue;
    struct plan *plan = atomic_load_explicit(&planner->plan, memory_order_relaxed);
    const struct plan_cells *published = plan ? plan->cells : NULL;
    plan_free(plan);
    if (published != planner->cells)
        cells_free((struct plan_cells *)(uintptr_t)published);
    cells_free(planner->cells);
    entries_free_all(planner);
}

void planner_free(struct planner *planner)
{
    if (!planner)
        return;
    loop_settle(planner->loop); /* settings that came too late */
    planner_end(planner);
    loop_settle(planner->loop); /* lookups that were cancelled */
    free_plans(planner);
    hosts_deinit(&planner->hosts);
    settings_copy_unref(planner->settings);
    if (planner->owns_resolver)
        resolver_free(planner->resolver);
    worker_group_free(planner->group);
    free(planner);
}

const struct plan *planner_plan(const struct planner *planner)
{
    return rcu_read(&planner->plan);
}

struct planner_counts planner_counts(const struct planner *planner)
{
    return (struct planner_counts){
        .n_changes = atomic_load_explicit(&planner->n_changes, memory_order_relaxed),
        .n_services = atomic_load_explicit(&planner->n_services, memory_order_relaxed),
        .n_plans = atomic_load_explicit(&planner->plan_number, memory_order_relaxed),
    };
}
