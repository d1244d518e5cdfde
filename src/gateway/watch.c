/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done for one request may take others of the same request off the lists, and put new ones at their ends, never
 * those of other requests: so lists are walked with the next one in hand.
 */
#include "gateway/watch.h"

#include "gateway/relay.h"
#include "gateway/suspicion.h"

static struct attempt *attempt_at(struct list *node)
{
    return container_of(node, struct attempt, link);
}

/* ------------------------------------------------------------------------------------------------ lines */

static void end_waits(struct gateway_worker *worker, struct list *line, enum cause cause)
{
    nsec_t now_ns = loop_now(worker->loop);
    list_for_each (node, line) {
        struct relay *relay = container_of(node, struct relay, link);
        if (now_ns < relay->wait_until_ns && now_ns < relay->deadline_ns)
            continue;
        /* Of one that was refused everywhere, that says more than that nobody else came. */
        bool was_tried = relay->state == RELAY_PARKED && relay->cause != CAUSE_NONE;
        relay_fail(relay, was_tried ? relay->cause : cause);
    }
}

/* ------------------------------------------------------------------------------------------------ attempts */

/* The time of the whole request is over. Only an instance that had most of it is to blame. */
static void end_request(struct attempt *attempt, enum cause cause, nsec_t had_ns)
{
    struct relay *relay = attempt->relay;
    if (had_ns > relay->timeout_ns / 2)
        attempt_fail(attempt, cause, true);
    else
        attempt_abandon(attempt, cause, true);
    relay_fail(relay, cause);
}

static void end_attempts(struct gateway_worker *worker, struct runtime_slot *slot, nsec_t first_byte_timeout_ns)
{
    nsec_t now_ns = loop_now(worker->loop);
    list_for_each (node, &slot->connecting) {
        if (now_ns >= attempt_at(node)->relay->deadline_ns)
            end_request(attempt_at(node), CAUSE_CONNECT_TIMEOUT, 0);
    }
    list_for_each (node, &slot->waiting) {
        struct attempt *attempt = attempt_at(node);
        struct relay *relay = attempt->relay;
        if (now_ns >= relay->deadline_ns) {
            end_request(attempt, CAUSE_RESPONSE_TIMEOUT, now_ns - attempt->sent_ns);
        } else if (now_ns >= attempt->sent_ns + first_byte_timeout_ns) {
            attempt_fail(attempt, CAUSE_RESPONSE_TIMEOUT, true);
            relay_move(relay);
        }
    }
}

/* False: the budget is spent. */
static bool hedge_all(struct list *attempts)
{
    list_for_each (node, attempts)
        if (!relay_hedge(attempt_at(node)->relay))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------ who hangs */

/* How long it may say nothing while something waits. */
static nsec_t patience(const struct runtime_slot *slot, const struct gateway_settings *settings)
{
    nsec_t slow_ns = runtime_slow_ns(slot);
    if (slow_ns >= NSEC_NEVER / settings->stall_factor)
        return NSEC_NEVER;
    slow_ns *= settings->stall_factor;
    return slow_ns > settings->stall_min_ns ? slow_ns : settings->stall_min_ns;
}

/* Of what was sent since it last said something, when the oldest was; NSEC_NEVER: nothing was. */
static nsec_t oldest_since(const struct runtime_slot *slot, nsec_t heard_ns)
{
    list_for_each (node, &slot->waiting)
        if (attempt_at(node)->sent_ns >= heard_ns)
            return attempt_at(node)->sent_ns;
    return NSEC_NEVER;
}

static void look_for_stall(struct gateway_worker *worker, struct runtime_slot *slot,
                           const struct gateway_settings *settings)
{
    if (list_is_empty(&slot->waiting) || runtime_has(slot->runtime, RUNTIME_STALLED | RUNTIME_GONE))
        return;
    nsec_t now_ns = loop_now(worker->loop), heard_ns = runtime_heard_ns(slot->runtime);
    nsec_t oldest_ns = attempt_at(slot->waiting.next)->sent_ns;
    nsec_t silent_since_ns = heard_ns > oldest_ns ? heard_ns : oldest_ns;
    nsec_t patience_ns = patience(slot, settings);
    if (patience_ns == NSEC_NEVER || now_ns - silent_since_ns < patience_ns)
        return;
    nsec_t asked_ns = prove_begun_ns(slot);
    nsec_t unheard_ns = oldest_since(slot, heard_ns);
    if (asked_ns >= heard_ns && asked_ns < unheard_ns)
        unheard_ns = asked_ns;
    if (unheard_ns != NSEC_NEVER && now_ns - unheard_ns >= patience_ns)
        suspicion_of_stall(worker, slot);
    else
        suspicion_doubt(worker, slot);
}

/* What one request does may change the lists of others: each slot is taken off one list and put on the other. */
static void look_at_waiting(struct gateway_worker *worker, const struct gateway_settings *settings, bool is_in_time)
{
    struct list all;
    list_init(&all);
    list_splice_back(&all, &worker->waiting);
    for (struct list *node; (node = list_pop_front(&all));) {
        struct runtime_slot *slot = container_of(node, struct runtime_slot, waiting_link);
        list_push_back(&worker->waiting, node);
        end_attempts(worker, slot, settings->first_byte_timeout_ns);
        if (is_in_time)
            look_for_stall(worker, slot, settings);
        if (runtime_has(slot->runtime, RUNTIME_GONE) || suspicion_is_frozen(worker, slot))
            (void)hedge_all(&slot->waiting); /* as far as the budget goes, and again when it goes further */
    }
}

/* ------------------------------------------------------------------------------------------------ who is gone */

static void leave_connecting(struct runtime_slot *slot)
{
    list_for_each (node, &slot->connecting) {
        struct relay *relay = attempt_at(node)->relay;
        attempt_abandon(attempt_at(node), CAUSE_REMOVED, false);
        relay_move(relay);
    }
}

/* They have no end of their own, unlike answers. One that is reached elsewhere now keeps them until it is removed. */
static void cut_tunnels(const struct gateway_worker *worker, struct runtime_slot *slot)
{
    if (list_is_empty(&slot->answering) || !gateway_worker_is_removed(worker, slot->runtime))
        return;
    list_for_each (node, &slot->answering)
        relay_cut(attempt_at(node)->relay);
}

static void close_gone(struct gateway_worker *worker)
{
    bool has_news = worker->has_news;
    worker->has_news = false;
    list_for_each (node, &worker->gone)
        (void)gateway_worker_close(container_of(node, struct runtime_slot, open_link));
    if (!has_news)
        return;
    list_splice_back(&worker->open, &worker->gone); /* some may have been opened again */
    list_for_each (node, &worker->open) {
        struct runtime_slot *slot = container_of(node, struct runtime_slot, open_link);
        if (!runtime_has(slot->runtime, RUNTIME_GONE))
            continue;
        leave_connecting(slot);
        cut_tunnels(worker, slot);
        gateway_worker_close_place(slot);
        if (!gateway_worker_close(slot)) {
            list_remove(node);
            list_push_back(&worker->gone, node);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ the watch */

static bool has_work(const struct gateway_worker *worker)
{
    return worker->has_news || !list_is_empty(&worker->parked) || !list_is_empty(&worker->queued) ||
           !list_is_empty(&worker->waiting);
}

static void on_watch(struct timer *timer)
{
    struct gateway_worker *worker = container_of(timer, struct gateway_worker, watch);
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    nsec_t now_ns = loop_now(worker->loop);
    /* When we were held up, it is our own delay that requests have waited for. */
    bool is_in_time = now_ns - timer->deadline_ns < WORKER_WATCH_NS;
    end_waits(worker, &worker->parked, CAUSE_NO_INSTANCE);
    end_waits(worker, &worker->queued, CAUSE_QUEUE_TIMEOUT);
    gateway_worker_move(&worker->parked);
    gateway_worker_move(&worker->queued);
    look_at_waiting(worker, settings, is_in_time);
    close_gone(worker);
    nsec_t next_ns = suspicion_watch(worker), soon_ns = now_ns + WORKER_WATCH_NS;
    if (has_work(worker) || next_ns < soon_ns)
        next_ns = soon_ns;
    if (next_ns != NSEC_NEVER && (!timer_is_armed(timer) || timer->deadline_ns > next_ns))
        loop_arm(worker->loop, timer, next_ns);
}

void watch_init(struct gateway_worker *worker)
{
    timer_init(&worker->watch, on_watch);
}

void gateway_worker_watch(struct gateway_worker *worker)
{
    nsec_t soon_ns = loop_now(worker->loop) + WORKER_WATCH_NS;
    if (!timer_is_armed(&worker->watch) || worker->watch.deadline_ns > soon_ns)
        loop_arm(worker->loop, &worker->watch, soon_ns);
}
