/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slot holds its runtime from the first request on until the instance is gone. So what a request remembers of an
 * instance by its address in memory is that instance, however long ago it was.
 */
#include "gateway/gateway_worker.h"

#include "base/assert.h"
#include "gateway/relay.h"
#include "gateway/reuse.h"
#include "gateway/suspicion.h"
#include "gateway/watch.h"

#include <stdio.h>

/* -- slots -- */

static void on_idle_closed(void *ctx, nsec_t idle_ns, bool is_promise)
{
    struct runtime_slot *slot = ctx;
    if (is_promise) {
        reuse_of_promise(slot, idle_ns);
        return;
    }
    account_idle_closed(slot);
    reuse_of_end(slot, idle_ns, loop_now(slot->worker->loop));
}

static int open_place(struct gateway_worker *worker, struct runtime_slot *slot, const struct gateway_settings *settings)
{
    struct runtime *runtime = slot->runtime;
    const struct pool_key key = {
        .addr = runtime->addr,
        .tls = runtime->is_tls ? settings->tls : NULL, /* kept up by set_tls */
        .server_name = runtime->is_tls ? runtime->host : (struct slice){0},
    };
    int r = pool_place_new(worker->pool, &key, &slot->place);
    if (r < 0)
        return r;
    pool_place_on_closed(slot->place, on_idle_closed, slot);
    slot->worker = worker;
    if (list_is_linked(&slot->open_link)) {
        worker->has_news = true; /* it is gone, which whoever picked it did not know yet */
        return 0;
    }
    (void)runtime_ref(runtime);
    list_push_back(&worker->open, &slot->open_link);
    return 0;
}

struct runtime_slot *gateway_worker_open(struct gateway_worker *worker, struct runtime *runtime,
                                         const struct gateway_settings *settings)
{
    struct runtime_slot *slot = runtime_slot(runtime, worker->index);
    if (!slot || slot->place)
        return slot;
    return open_place(worker, slot, settings) < 0 ? NULL : slot;
}

bool gateway_worker_is_removed(const struct gateway_worker *worker, const struct runtime *runtime)
{
    const struct plan_cell *cell = plan_find(planner_plan(gateway_planner(worker->gateway)), runtime->service);
    const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
    const struct target *target = service ? plan_find_target(service, runtime->id) : NULL;
    return !target || target->runtime->incarnation != runtime->incarnation;
}

void gateway_worker_close_place(struct runtime_slot *slot)
{
    suspicion_forget(slot);
    pool_place_free(slot->place);
    slot->place = NULL;
}

bool gateway_worker_close(struct runtime_slot *slot)
{
    if (atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed) > 0 || slot->n_held > 0)
        return false;
    gateway_worker_close_place(slot);
    list_remove(&slot->open_link);
    runtime_unref(slot->runtime);
    return true;
}

/* -- settings -- */

static void get_pool_options(const struct gateway_worker *worker, struct pool_options *ret_options)
{
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    pool_options_init(ret_options);
    ret_options->connect_timeout_ns = ret_options->wait_timeout_ns = settings->connect_timeout_ns;
    ret_options->n_waits_per_key_max = 65536;
    if (gateway_connect_fn(worker->gateway))
        ret_options->connect = gateway_connect_fn(worker->gateway);
    ret_options->n_idle_max = ret_options->n_idle_per_key_max = 16384;
    ret_options->client.idle_timeout_ns = settings->idle_timeout_ns;
    ret_options->client.head_timeout_ns = NSEC_NEVER; /* the watch ends those that wait */
    ret_options->client.body_timeout_ns = settings->body_timeout_ns;
}

static void set_name(struct gateway_worker *worker)
{
    struct slice name = planner_plan(gateway_planner(worker->gateway))->settings.name;
    ASSERT(name.len <= GATEWAY_NAME_MAX);
    int n = snprintf(worker->name_room, sizeof(worker->name_room), "%.*s-%08x", SLICE_ARG(name), worker->digits);
    worker->name = slice_from(worker->name_room, (size_t)n);
}

/* Authorities and our certificate, for connections to come. */
static void set_tls(struct gateway_worker *worker, struct tls_config *tls)
{
    if (tls == worker->tls)
        return;
    (void)tls_config_unref(worker->tls);
    worker->tls = tls ? tls_config_ref(tls) : NULL;
    list_for_each (node, &worker->open) {
        struct runtime_slot *slot = container_of(node, struct runtime_slot, open_link);
        if (tls && slot->place && slot->runtime->is_tls)
            pool_place_set_tls(slot->place, tls);
    }
}

/* They may be among the news. */
static void take_settings(struct gateway_worker *worker)
{
    struct pool_options options;
    get_pool_options(worker, &options);
    pool_set_options(worker->pool, &options);
    set_tls(worker, planner_plan(gateway_planner(worker->gateway))->settings.tls);
    set_name(worker);
}

/* -- lines -- */

void gateway_worker_move(struct list *line)
{
    list_for_each (node, line)
        relay_move(container_of(node, struct relay, link));
}

static void on_news(struct planner_listener *listener)
{
    struct gateway_worker *worker = container_of(listener, struct gateway_worker, listener);
    if (!worker->pool)
        return; /* it has stopped */
    take_settings(worker);
    worker->has_news = true;
    gateway_worker_move(&worker->parked);
    gateway_worker_watch(worker);
}

/* -- the worker -- */

int gateway_worker_open_records(struct gateway_worker *worker, const struct gateway_settings *settings,
                                const struct hash_key *key)
{
    int r = edges_new(key, &worker->edges);
    return r < 0 || settings->n_records == 0 ? r : passage_ring_new(settings->n_records, &worker->records);
}

void gateway_worker_close_records(struct gateway_worker *worker)
{
    passage_ring_free(worker->records);
    edges_free(worker->edges);
}

void gateway_worker_listen(struct gateway_worker *worker, struct planner *planner, struct loop *loop)
{
    worker->listener = (struct planner_listener){.loop = loop, .on_news = on_news};
    planner_listen(planner, &worker->listener);
}

void gateway_worker_unlisten(struct gateway_worker *worker)
{
    planner_unlisten(&worker->listener);
}

int gateway_worker_init(struct gateway_worker *worker, struct gateway *gateway, unsigned index, struct loop *loop,
                        uint32_t digits)
{
    struct pool_options options;
    worker->gateway = gateway;
    worker->index = index;
    worker->loop = loop;
    worker->digits = digits;
    set_name(worker);
    int r = random_init_system(&worker->random);
    if (r < 0)
        return r;
    get_pool_options(worker, &options);
    access_log_start_lane(gateway_access_log(gateway), index, loop);
    r = pool_new(loop, &options, &worker->pool);
    if (r < 0)
        return r;
    slab_init(&worker->relays, sizeof(struct relay), _Alignof(struct relay));
    slab_keep(&worker->relays, WORKER_RELAYS_IDLE_BYTES);
    list_init(&worker->parked);
    list_init(&worker->queued);
    list_init(&worker->waiting);
    list_init(&worker->open);
    list_init(&worker->gone);
    list_init(&worker->cared);
    watch_init(worker);
    (void)atomic_fetch_add_explicit(&worker->listener.n_waiting, 1, memory_order_acq_rel); /* as long as it runs */
    return 0;
}

void gateway_worker_deinit(struct gateway_worker *worker)
{
    (void)atomic_fetch_sub_explicit(&worker->listener.n_waiting, 1, memory_order_acq_rel);
    loop_cancel(worker->loop, &worker->watch);
    list_splice_back(&worker->open, &worker->gone);
    list_for_each (node, &worker->open) {
        bool is_closed = gateway_worker_close(container_of(node, struct runtime_slot, open_link));
        ASSERT(is_closed);
    }
    ASSERT(list_is_empty(&worker->parked) && list_is_empty(&worker->queued) && list_is_empty(&worker->waiting));
    ASSERT(worker->n_parked == 0 && worker->n_kept == 0 && worker->n_heads == 0);
    buf_deinit(&worker->head);
    buf_deinit(&worker->lines);
    pool_free(worker->pool);
    worker->pool = NULL;
    worker->tls = tls_config_unref(worker->tls);
    slab_deinit(&worker->relays);
    access_log_stop_lane(gateway_access_log(worker->gateway), worker->index);
    buf_deinit(&worker->line_room);
}
