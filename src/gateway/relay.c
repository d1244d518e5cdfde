/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves a request through the states of relay.h. Whatever happens to it (a piece of its body, the end of an attempt, a
 * new plan, the watch) is recorded where it happens, and relay_move decides what follows.
 *
 * Of the body what came is kept until an answer begins, within limits, so that it can be sent again; while no instance
 * takes it, the client is held back.
 *
 * Invariants:
 *  1. `kept` is all that came of the body, or is_kept is false for good.
 *  2. An attempt that is not at rest has counted itself at its instance, and takes that back exactly once.
 *  3. Nothing here frees the relay but on_close, which the exchange calls from outside of our calls.
 */
#include "gateway/relay.h"

#include "base/assert.h"

#include <stdlib.h>

static struct relay *relay_of(struct exchange *exchange)
{
    return exchange->state;
}

static nsec_t now_of(const struct relay *relay)
{
    return loop_now(relay->worker->loop);
}

/* An answer has. */
static bool has_begun(const struct relay *relay)
{
    return relay->status != 0;
}

/* -- the body -- */

static struct attempt *writing_attempt(struct relay *relay)
{
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        if (relay->attempts[i].is_writing)
            return &relay->attempts[i];
    return NULL;
}

void relay_hold_client(struct relay *relay)
{
    const struct attempt *attempt = writing_attempt(relay);
    bool may_go_on = relay->is_whole || relay->state == RELAY_OVER || relay->state == RELAY_GATHER ||
                     (attempt ? !attempt->is_full : relay->state == RELAY_ANSWER);
    if (relay->is_paused == !may_go_on)
        return;
    relay->is_paused = !may_go_on;
    exchange_pause(relay->exchange, relay->is_paused);
}

void relay_forget_body(struct relay *relay)
{
    if (!relay->is_kept)
        return;
    relay->is_kept = false;
    relay->worker->n_kept -= relay->kept.len;
    buf_deinit(&relay->kept);
}

/* Keeps a piece for another try, or gives up on that. False: it is needed, since nobody takes it now. */
static bool keep(struct relay *relay, struct slice bytes)
{
    struct gateway_worker *worker = relay->worker;
    bool is_needed = !writing_attempt(relay) && relay->state != RELAY_ANSWER;
    if (!relay->is_kept || bytes.len == 0)
        return true;
    if ((is_needed && worker->n_kept > WORKER_KEPT_MAX) || buf_append(&relay->kept, bytes) < 0) {
        relay_forget_body(relay);
        return !is_needed;
    }
    worker->n_kept += bytes.len;
    return true;
}

void relay_keep_within_limits(struct relay *relay)
{
    if (relay->is_kept && (relay->kept.len > RELAY_KEEP_MAX || relay->worker->n_kept > WORKER_KEPT_MAX))
        relay_forget_body(relay);
}

/* All of the body has come, be its end told by a length or by itself. */
static void end_body(struct relay *relay, const struct http_fields *trailers)
{
    struct header headers[HTTP_FIELDS_MAX];
    if (relay->is_whole)
        return;
    relay->is_whole = true;
    relay->deadline_ns = now_of(relay) + relay->timeout_ns;
    unsigned n = forward_trailers(trailers, headers);
    if (n > 0)
        relay_forget_body(relay); /* trailers are not kept */
    struct attempt *attempt = writing_attempt(relay);
    if (attempt)
        attempt_write_end(attempt, headers, n);
}

static void leave_gathering(struct relay *relay)
{
    loop_undefer(&relay->gathered);
    relay->state = RELAY_SEEK;
    relay_move(relay);
}

static void on_body(struct exchange *exchange, struct slice bytes)
{
    struct relay *relay = relay_of(exchange);
    struct attempt *attempt = writing_attempt(relay);
    relay->n_received += bytes.len;
    if (relay->body_bytes_max > 0 && relay->n_received > relay->body_bytes_max) {
        relay_fail(relay, CAUSE_BODY_TOO_LARGE);
        return;
    }
    if (!keep(relay, bytes)) {
        relay_fail(relay, CAUSE_INTERNAL);
    } else {
        if (attempt)
            attempt_write(attempt, bytes);
        /* Known now, not when the client is let go on to its end: nobody may take more of it meanwhile. */
        if (relay->framing == HTTP_BODY_LENGTH && relay->n_received == relay->content_length)
            end_body(relay, NULL);
        if (attempt)
            relay_keep_within_limits(relay);
        if (relay->state == RELAY_GATHER)
            leave_gathering(relay);
    }
    relay_hold_client(relay);
}

static void on_trailers(struct exchange *exchange, const struct http_fields *trailers)
{
    end_body(relay_of(exchange), trailers);
}

static void on_end(struct exchange *exchange)
{
    struct relay *relay = relay_of(exchange);
    end_body(relay, NULL);
    if (relay->state == RELAY_GATHER)
        leave_gathering(relay);
}

/* -- the end -- */

static void leave_lines(struct relay *relay)
{
    if (relay->state == RELAY_PARKED)
        relay->worker->n_parked--;
    if (relay->state == RELAY_QUEUED)
        atomic_fetch_sub_explicit(&relay->cell->n_queued, 1, memory_order_relaxed);
    list_remove(&relay->link);
    loop_undefer(&relay->gathered);
}

static void set_over(struct relay *relay)
{
    leave_lines(relay);
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        attempt_cancel(&relay->attempts[i]);
    relay->answering = NULL;
    relay->state = RELAY_OVER;
}

void relay_fail(struct relay *relay, enum cause cause)
{
    if (relay->state == RELAY_OVER)
        return;
    set_over(relay);
    relay->cause = cause;
    if (has_begun(relay))
        exchange_abort(relay->exchange);
    else
        relay_answer_cause(relay, cause);
    relay_hold_client(relay);
}

void relay_cut(struct relay *relay)
{
    if (relay->state != RELAY_TUNNEL)
        return;
    set_over(relay);
    relay->cause = CAUSE_TUNNEL_CUT;
    exchange_end(relay->exchange, NULL, 0);
}

/* It may be picked again. */
static void forget_tried(struct relay *relay, unsigned i)
{
    struct gateway_worker *worker = relay->worker;
    const struct runtime *runtime = relay->tried[i];
    struct runtime_slot *slot = atomic_load_explicit(&runtime->slots[worker->index], memory_order_relaxed);
    relay->tried[i] = relay->tried[--relay->n_tried];
    if (--slot->n_held == 0 && runtime_has(runtime, RUNTIME_GONE))
        gateway_worker_watch(worker); /* which may close it now */
}

/* At a full service, if it had one. Those in the queue are moved by the watch. */
static void give_place_back(struct relay *relay)
{
    if (relay->counts_in_flight)
        atomic_fetch_sub_explicit(&relay->cell->n_in_flight, 1, memory_order_relaxed);
    relay->counts_in_flight = false;
}

static void relay_free(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    relay_forget_body(relay);
    while (relay->n_tried > 0)
        forget_tried(relay, relay->n_tried - 1);
    give_place_back(relay);
    if (relay->cell)
        plan_drop(relay->cell, worker->index);
    if (relay->head.ptr != relay->head_room) {
        worker->n_heads -= relay->head.len;
        free((char *)(uintptr_t)relay->head.ptr);
    }
    free(relay->sticky);
    slab_free(&worker->relays, relay);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct relay *relay = relay_of(exchange);
    struct gateway_worker *worker = relay->worker;
    static const enum cause causes[] = {
        [EXCHANGE_DONE] = CAUSE_NONE,
        [EXCHANGE_ABORTED] = CAUSE_CLIENT_GONE,
        [EXCHANGE_TIMEOUT] = CAUSE_CLIENT_SLOW,
        [EXCHANGE_SHUTDOWN] = CAUSE_STOPPED,
    };
    if (relay->state != RELAY_OVER)
        set_over(relay);
    if (relay->cause == CAUSE_NONE)
        relay->cause = causes[end];
    bool frees_place = relay->counts_in_flight;
    account_close(relay);
    relay_free(relay);
    if (frees_place && end != EXCHANGE_SHUTDOWN)
        gateway_worker_move(&worker->queued);
}

/* The client takes more of the answer. */
static void on_drain(struct exchange *exchange)
{
    struct relay *relay = relay_of(exchange);
    if (relay->answering)
        client_call_pause(&relay->answering->call, false);
}

const struct exchange_app relay_app = {
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

/* -- an instance -- */

struct retry_facts relay_facts(const struct relay *relay, const struct attempt *attempt)
{
    return (struct retry_facts){
        .method = relay->method,
        .contract = relay->contract,
        .has_key = relay->has_idempotency_key,
        .is_kept = relay->is_kept,
        .sent = attempt->call.sent,
        .reused = attempt->call.reused,
        .timed_out = attempt->timed_out,
        .responded = attempt->call.responded,
    };
}

/* It waits for a place to become free, unless too many do. */
static void queue(struct relay *relay)
{
    struct plan_cell *cell = relay->cell;
    if (atomic_fetch_add_explicit(&cell->n_queued, 1, memory_order_relaxed) >= relay->n_queued_max) {
        atomic_fetch_sub_explicit(&cell->n_queued, 1, memory_order_relaxed);
        relay_fail(relay, CAUSE_QUEUE_FULL);
        return;
    }
    leave_lines(relay);
    relay->state = RELAY_QUEUED;
    relay->was_queued = true;
    relay->wait_until_ns = now_of(relay) + relay->timeout_ns;
    list_push_back(&relay->worker->queued, &relay->link);
    gateway_worker_watch(relay->worker);
}

/* True when it may go on; else it waits in line, or was answered. */
static bool take_place(struct relay *relay)
{
    if (relay->n_in_flight_max == 0 || relay->counts_in_flight)
        return true;
    if (atomic_fetch_add_explicit(&relay->cell->n_in_flight, 1, memory_order_relaxed) < relay->n_in_flight_max) {
        relay->counts_in_flight = true;
        return true;
    }
    atomic_fetch_sub_explicit(&relay->cell->n_in_flight, 1, memory_order_relaxed);
    if (relay->state != RELAY_QUEUED)
        queue(relay);
    return false;
}

/* Those tried that are in no trouble any more get another chance. */
static void forgive_tried(struct relay *relay)
{
    for (unsigned i = relay->n_tried; i-- > 0;)
        if (atomic_load_explicit(&relay->tried[i]->trouble, memory_order_relaxed) == 0)
            forget_tried(relay, i);
}

/*
 * Nobody is there, or all have failed: waits for somebody, if there was one lately, or says so. The watch and new plans
 * have it try again meanwhile.
 */
static void park(struct relay *relay, const struct plan *plan, const struct plan_service *service)
{
    struct gateway_worker *worker = relay->worker;
    const struct gateway_settings *settings = &plan->settings;
    nsec_t emptied_for_ns = NSEC_NEVER;
    give_place_back(relay); /* it waits for something else than its turn */
    if (relay->state == RELAY_PARKED)
        return;
    if (service)
        emptied_for_ns = loop_wall_now(worker->loop) - service->emptied_ms * NSEC_PER_MSEC;
    bool is_there = service && service->offered.n > 0; /* it failed, and may be back in a moment */
    bool was_there = service && service->emptied_ms > 0 && emptied_for_ns <= settings->park_since_ns;
    if (!(is_there || was_there) || relay->was_parked || settings->park_ns == 0 ||
        worker->n_parked >= settings->n_parked_max) {
        relay_fail(relay, relay->cause != CAUSE_NONE ? relay->cause : CAUSE_NO_INSTANCE);
        return;
    }
    leave_lines(relay);
    relay->state = RELAY_PARKED;
    relay->was_parked = true;
    relay->wait_until_ns = now_of(relay) + settings->park_ns;
    worker->n_parked++;
    list_push_back(&worker->parked, &relay->link);
    gateway_worker_watch(worker);
}

static bool find_target(struct relay *relay, const struct plan_service *service, struct pick_result *ret_pick)
{
    struct gateway_worker *worker = relay->worker;
    struct pick_request request = {
        .balance = relay->balance,
        .slow_start_ns = relay->slow_start_ns,
        .key = relay->key,
        .has_key = relay->has_key,
        .sticky = relay->sticky ? slice_from_str(relay->sticky + strlen(relay->sticky) + 1) : (struct slice){0},
        .worker = worker->index,
        .now_ns = now_of(relay),
        .n_tried = relay->n_tried,
    };
    memcpy(request.tried, relay->tried, relay->n_tried * sizeof(relay->tried[0]));
    pick(service, &request, &worker->random, ret_pick);
    return ret_pick->target != NULL;
}

static struct attempt *resting_attempt(struct relay *relay)
{
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        if (relay->attempts[i].state == ATTEMPT_REST)
            return &relay->attempts[i];
    return NULL;
}

static void seek(struct relay *relay)
{
    const struct plan *plan = planner_plan(gateway_planner(relay->worker->gateway));
    const struct plan_service *service = rcu_read(&relay->cell->current);
    struct attempt *attempt = resting_attempt(relay);
    ASSERT(attempt);
    if (!take_place(relay))
        return;
    if (relay->state != RELAY_SEEK) /* it has waited */
        forgive_tried(relay);
    struct pick_result found;
    if (!service || !find_target(relay, service, &found)) {
        park(relay, plan, service);
        return;
    }
    leave_lines(relay);
    relay->state = RELAY_ASK;
    attempt->is_hedge = false;
    attempt_start(attempt, &found, &plan->settings);
    relay_hold_client(relay);
}

/* It was picked for want of a better one. */
static bool is_hanging(const struct target *target)
{
    return runtime_has(target->runtime, RUNTIME_STALLED | RUNTIME_EJECTED);
}

static bool may_hedge(const struct relay *relay)
{
    const struct retry_facts facts = relay_facts(relay, &relay->attempts[0]);
    return relay->state == RELAY_ASK && relay->may_hedge && !relay->was_hedged && relay->is_whole &&
           relay->n_tries < RELAY_TRIES_MAX && retry_may_repeat(&facts);
}

bool relay_hedge(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    const struct plan *plan = planner_plan(gateway_planner(worker->gateway));
    const struct plan_service *service = rcu_read(&relay->cell->current);
    struct attempt *attempt = resting_attempt(relay);
    struct pick_result found;
    if (!may_hedge(relay) || !attempt || !service || !find_target(relay, service, &found) || is_hanging(found.target))
        return true;
    if (!retry_charge(relay->cell, worker->index, &plan->settings, now_of(relay)))
        return false;
    relay->was_hedged = attempt->is_hedge = true;
    attempt_start(attempt, &found, &plan->settings);
    relay_move(relay);
    return true;
}

/* -- what follows on attempts -- */

static void forget_tried_of(struct relay *relay, const struct attempt *attempt)
{
    for (unsigned i = relay->n_tried; i-- > 0;)
        if (relay->tried[i] == attempt->runtime)
            forget_tried(relay, i);
}

/* How the failure of an attempt is met; the attempt is at rest afterwards. */
static void after_failure(struct relay *relay, struct attempt *attempt)
{
    struct gateway_worker *worker = relay->worker;
    const struct plan *plan = planner_plan(gateway_planner(worker->gateway));
    struct retry_facts facts = relay_facts(relay, attempt);
    relay->cause = attempt->cause;
    attempt->state = ATTEMPT_REST;
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        if (relay->attempts[i].state != ATTEMPT_REST)
            return; /* the other one is on its way still */

    enum retry_decision decision = retry_decide(&facts);
    bool may = relay->n_tries < RELAY_TRIES_MAX && decision != RETRY_NEVER;
    if (may && decision == RETRY_CHARGED)
        may = retry_charge(relay->cell, worker->index, &plan->settings, now_of(relay));
    if (!may) {
        relay_fail(relay, relay->cause);
        return;
    }
    relay->wants_fresh |= decision == RETRY_FRESH;
    if (decision == RETRY_FRESH)
        forget_tried_of(relay, attempt); /* it was the connection, not the instance */
    relay->state = RELAY_SEEK;
}

static bool step(struct relay *relay)
{
    switch (relay->state) {
    case RELAY_SEEK:
    case RELAY_QUEUED:
    case RELAY_PARKED:
        seek(relay);
        return relay->state == RELAY_ASK;
    case RELAY_ASK:
        for (unsigned i = 0; i < RELAY_ATTEMPTS; i++) {
            if (relay->attempts[i].state == ATTEMPT_FAILED) {
                after_failure(relay, &relay->attempts[i]);
                return true;
            }
        }
        return false;
    case RELAY_GATHER:
    case RELAY_ANSWER:
    case RELAY_TUNNEL:
    case RELAY_OVER:
        break;
    }
    return false;
}

void relay_move(struct relay *relay)
{
    while (step(relay))
        continue;
}
