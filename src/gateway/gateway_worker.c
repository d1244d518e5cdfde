/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch is one timer per worker that runs while something waits: it ends what has waited too long and closes what
 * instances that are gone have left. So no request arms a timer of its own.
 */
#include "gateway/gateway_worker.h"

#include "base/assert.h"
#include "gateway/relay.h"

#include <errno.h>

/* -- slots -- */

static void on_idle_closed(void *ctx, nsec_t idle_ns, bool is_promise)
{
    struct runtime_slot *slot = ctx;
    _Atomic nsec_t *life_ns = &slot->runtime->idle_life_ns;
    if (!is_promise)
        account_idle_closed(slot);
    if (idle_ns < atomic_load_explicit(life_ns, memory_order_relaxed))
        atomic_store_explicit(life_ns, idle_ns, memory_order_relaxed);
}

static int open_place(struct gateway_worker *worker, struct runtime_slot *slot, const struct gateway_settings *settings)
{
    struct runtime *runtime = slot->runtime;
    const struct pool_key key = {
        .addr = runtime->addr,
        .tls = runtime->is_tls ? settings->tls : NULL,
        .server_name = runtime->is_tls ? runtime->host : (struct slice){0},
    };
    int r = pool_place_new(worker->pool, &key, &slot->place);
    if (r < 0)
        return r;
    pool_place_on_closed(slot->place, on_idle_closed, slot);
    slot->worker = worker;
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

static void close_slot(struct runtime_slot *slot)
{
    struct runtime *runtime = slot->runtime;
    pool_place_free(slot->place);
    slot->place = NULL;
    list_remove(&slot->open_link);
    runtime_unref(runtime);
}

/* What instances that are gone have left behind; connections in use are closed when they come back. */
static void close_gone(struct gateway_worker *worker)
{
    if (!worker->has_news)
        return;
    worker->has_news = false;
    list_for_each (node, &worker->open) {
        struct runtime_slot *slot = container_of(node, struct runtime_slot, open_link);
        if (!runtime_has(slot->runtime, RUNTIME_GONE))
            continue;
        if (atomic_load_explicit(&slot->n_in_flight, memory_order_relaxed) == 0)
            close_slot(slot);
        else
            worker->has_news = true; /* look again when its requests have ended */
    }
}

/* -- the watch -- */

/* Those at the front of a line wait longest, but not always least: the line is short, and looked through. */
static void end_waits(struct gateway_worker *worker, struct list *line, enum cause cause)
{
    nsec_t now_ns = loop_now(worker->loop);
    list_for_each (node, line) {
        struct relay *relay = container_of(node, struct relay, link);
        if (now_ns >= relay->wait_until_ns || now_ns >= relay->deadline_ns)
            relay_fail(relay, cause);
    }
}

static void end_attempts(struct gateway_worker *worker, struct runtime_slot *slot, nsec_t first_byte_timeout_ns)
{
    nsec_t now_ns = loop_now(worker->loop);
    list_for_each (node, &slot->waiting) {
        struct attempt *attempt = container_of(node, struct attempt, link);
        struct relay *relay = attempt->relay;
        if (now_ns < attempt->sent_ns + first_byte_timeout_ns && now_ns < relay->deadline_ns)
            continue;
        attempt_fail(attempt, CAUSE_RESPONSE_TIMEOUT, true);
        if (now_ns >= relay->deadline_ns)
            relay_fail(relay, CAUSE_RESPONSE_TIMEOUT);
        else
            relay_move(relay);
    }
}

/* What one request does may change the lists of others: each slot is taken off one list and put on the other. */
static void look_at_waiting(struct gateway_worker *worker, const struct gateway_settings *settings)
{
    struct list all;
    list_init(&all);
    list_splice_back(&all, &worker->waiting);
    for (struct list *node; (node = list_pop_front(&all));) {
        list_push_back(&worker->waiting, node);
        end_attempts(worker, container_of(node, struct runtime_slot, waiting_link), settings->first_byte_timeout_ns);
    }
}

static void on_watch(struct timer *timer)
{
    struct gateway_worker *worker = container_of(timer, struct gateway_worker, watch);
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    end_waits(worker, &worker->parked, CAUSE_NO_INSTANCE);
    end_waits(worker, &worker->queued, CAUSE_QUEUE_TIMEOUT);
    gateway_worker_next(worker);
    look_at_waiting(worker, settings);
    close_gone(worker);
    if (!list_is_empty(&worker->parked) || !list_is_empty(&worker->queued) || !list_is_empty(&worker->waiting) ||
        worker->has_news)
        gateway_worker_watch(worker);
}

void gateway_worker_watch(struct gateway_worker *worker)
{
    if (!timer_is_armed(&worker->watch))
        loop_arm(worker->loop, &worker->watch, loop_now(worker->loop) + WORKER_WATCH_NS);
}

/* -- heads -- */

struct buf gateway_worker_take_head(struct gateway_worker *worker)
{
    return worker->n_heads > 0 ? worker->heads[--worker->n_heads] : (struct buf){0};
}

void gateway_worker_give_head(struct gateway_worker *worker, struct buf *head)
{
    if (worker->n_heads == WORKER_HEADS_MAX || head->cap > WORKER_HEAD_BYTES_MAX) {
        buf_deinit(head);
        return;
    }
    buf_reset(head);
    worker->heads[worker->n_heads++] = *head;
    *head = (struct buf){0};
}

/* -- lines -- */

unsigned gateway_worker_n_queued(const struct gateway_worker *worker, const struct plan_cell *cell)
{
    unsigned n = 0;
    list_for_each (node, &worker->queued)
        n += container_of(node, struct relay, link)->cell == cell;
    return n;
}

void gateway_worker_next(struct gateway_worker *worker)
{
    list_for_each (node, &worker->queued)
        relay_move(container_of(node, struct relay, link));
}

static void on_news(struct planner_listener *listener)
{
    struct gateway_worker *worker = container_of(listener, struct gateway_worker, listener);
    worker->has_news = true;
    list_for_each (node, &worker->parked)
        relay_move(container_of(node, struct relay, link));
    gateway_worker_watch(worker);
}

/* -- */

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
                        struct slice name)
{
    struct pool_options options;
    worker->gateway = gateway;
    worker->index = index;
    worker->loop = loop;
    worker->name = name;
    int r = random_init_system(&worker->random);
    if (r < 0)
        return r;
    const struct gateway_settings *settings = &planner_plan(gateway_planner(gateway))->settings;
    pool_options_init(&options);
    options.connect_timeout_ns = options.wait_timeout_ns = settings->connect_timeout_ns;
    options.n_waits_per_key_max = 65536;
    options.n_idle_max = options.n_idle_per_key_max = 16384;
    options.client.idle_timeout_ns = settings->idle_timeout_ns;
    options.client.head_timeout_ns = NSEC_NEVER; /* the watch ends those that wait */
    options.client.body_timeout_ns = settings->tunnel_timeout_ns;
    access_log_start_lane(gateway_access_log(gateway), index, loop);
    r = pool_new(loop, &options, &worker->pool);
    if (r < 0)
        return r;
    slab_init(&worker->relays, sizeof(struct relay), _Alignof(struct relay));
    slab_init(&worker->accounts, sizeof(struct account), _Alignof(struct account));
    list_init(&worker->parked);
    list_init(&worker->queued);
    list_init(&worker->waiting);
    list_init(&worker->open);
    timer_init(&worker->watch, on_watch);
    (void)atomic_fetch_add_explicit(&worker->listener.n_waiting, 1, memory_order_acq_rel); /* as long as it runs */
    return 0;
}

void gateway_worker_deinit(struct gateway_worker *worker)
{
    (void)atomic_fetch_sub_explicit(&worker->listener.n_waiting, 1, memory_order_acq_rel);
    loop_cancel(worker->loop, &worker->watch);
    list_for_each (node, &worker->open)
        close_slot(container_of(node, struct runtime_slot, open_link));
    ASSERT(list_is_empty(&worker->parked) && list_is_empty(&worker->queued) && list_is_empty(&worker->waiting));
    while (worker->n_heads > 0)
        buf_deinit(&worker->heads[--worker->n_heads]);
    pool_free(worker->pool);
    slab_deinit(&worker->relays);
    slab_deinit(&worker->accounts);
    access_log_stop_lane(gateway_access_log(worker->gateway), worker->index);
    buf_deinit(&worker->line_room);
}
