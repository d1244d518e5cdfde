/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All of it is on the request's path, so it costs copies of short texts and adds to cells that nobody else writes: no
 * clock, no lock, no allocation but a slab's.
 */
#include "gateway/account.h"

#include "base/counter.h"
#include "base/util.h"
#include "gateway/origin.h"
#include "gateway/relay.h"
#include "gateway/tally.h"
#include "io/tls.h"

static uint32_t us_between(nsec_t from_ns, nsec_t to_ns)
{
    nsec_t us = (to_ns - from_ns) / NSEC_PER_USEC;
    return us <= 0 ? 0 : us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static uint8_t keep(char *room, size_t size, struct slice text)
{
    size_t n = min_size(text.len, size);
    if (n > 0)
        memcpy(room, text.ptr, n);
    return (uint8_t)n;
}

/* The clock is asked once a second at most. */
static nsec_t wall_of(struct gateway_worker *worker, nsec_t at_ns)
{
    nsec_t now_ns = loop_now(worker->loop);
    if (now_ns >= worker->wall_until_ns) {
        worker->wall_ahead_ns = loop_wall_now(worker->loop) - now_ns;
        worker->wall_until_ns = now_ns + NSEC_PER_SEC;
    }
    return at_ns + worker->wall_ahead_ns;
}

static void begin_line(struct relay *relay, enum access_log_format format)
{
    struct gateway_worker *worker = relay->worker;
    struct account *account = &relay->account;
    const struct access_request request = {
        .request = relay->exchange->request,
        .client = &account->client,
        .caller = slice_from(account->caller, account->n_caller),
        .began_ns = wall_of(worker, relay->begin_ns),
    };
    access_line_begin(&account->line, format, &worker->clock, &request);
}

bool account_open(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    const struct gateway_settings *settings = &planner_plan(gateway_planner(worker->gateway))->settings;
    const struct http_request *request = relay->exchange->request;
    struct account *account = &relay->account;
    origin_find(settings, exchange_peer(relay->exchange), request->fields, &account->client);
    account->n_target = keep(account->target, sizeof(account->target), request->target);
    account->n_caller = keep(account->caller, sizeof(account->caller), tls_peer_name(exchange_stream(relay->exchange)));
    account->n_instance = 0;
    account->trail.len = 0;
    account->trail.n_attempts = account->trail.n_untold = 0;
    account->line.format = ACCESS_LOG_OFF;
    if (settings->access_log != ACCESS_LOG_OFF)
        begin_line(relay, settings->access_log);
    const struct throttle_limit limit = {settings->client_rate, settings->client_burst};
    return limit.rate == 0 ||
           throttle_admit(gateway_throttle(worker->gateway), &account->client, &limit, relay->begin_ns);
}

/* ------------------------------------------------------------------------------------------------ attempts */

void account_attempt(struct attempt *attempt, const struct pick_result *pick)
{
    struct relay *relay = attempt->relay;
    struct account *account = &relay->account;
    struct tally *tally = tally_of(relay->cell, relay->worker->index);
    nsec_t now_ns = loop_now(relay->worker->loop);
    bool is_hedge = false;
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        is_hedge |= relay->attempts[i].state == ATTEMPT_WAIT || relay->attempts[i].state == ATTEMPT_CONNECT;
    attempt->begin_ns = now_ns;
    attempt->trail_at = passage_trail_add(&account->trail, pick, is_hedge, us_between(relay->begin_ns, now_ns));
    if (tally && is_hedge)
        counter_add(&tally->n_hedges, 1);
    else if (tally && relay->n_tries > 1)
        counter_add(&tally->n_retries, 1);
}

static void count_connection(const struct attempt *attempt, enum cause cause)
{
    const struct relay *relay = attempt->relay;
    struct tally *tally = tally_of(relay->cell, relay->worker->index);
    if (!tally)
        return;
    if (attempt->state != ATTEMPT_CONNECT)
        counter_add(attempt->call.reused ? &tally->n_reused : &tally->n_connects, 1);
    else if (cause != CAUSE_NONE)
        counter_add(&tally->n_connect_failures, 1);
}

void account_attempt_end(struct attempt *attempt, enum cause cause)
{
    struct relay *relay = attempt->relay;
    const struct client_call *call = &attempt->call;
    const struct passage_attempt outcome = {
        .cause = cause,
        .connected = attempt->state != ATTEMPT_CONNECT,
        .reused = call->reused,
        .sent = call->sent,
        .sent_whole = call->sent_whole,
        .answered = attempt->state == ATTEMPT_ANSWER,
        .took_us = us_between(attempt->begin_ns, loop_now(relay->worker->loop)),
        .idle_us = us_between(0, call->idle_ns),
    };
    struct account *account = &relay->account;
    count_connection(attempt, cause);
    passage_trail_end(&account->trail, attempt->trail_at, &outcome);
    if ((outcome.answered || cause != CAUSE_NONE) && account->line.format != ACCESS_LOG_OFF)
        account->n_instance = keep(account->instance, sizeof(account->instance), attempt->slot->runtime->id);
}

void account_ejection(struct gateway_worker *worker, struct runtime *runtime)
{
    const struct plan *plan = planner_plan(gateway_planner(worker->gateway));
    struct plan_cell *cell = plan_find(plan, runtime->service);
    struct tally *tally = cell ? tally_of(cell, worker->index) : NULL;
    atomic_fetch_add_explicit(&runtime->n_ejected, 1, memory_order_relaxed);
    if (tally)
        counter_add(&tally->n_ejections, 1);
}

void account_idle_closed(struct runtime_slot *slot)
{
    counter_add(&slot->n_idle_closed, 1);
    counter_add(&slot->worker->n_idle_closed, 1);
}

/* ------------------------------------------------------------------------------------------------ the end */

/* What of the body was sent, or in a tunnel; the gateway's own words among it. */
static uint64_t n_sent(const struct relay *relay)
{
    bool is_own = relay->status > 0 && relay->cause != CAUSE_NONE && relay->first_byte_ns == 0;
    if (is_own)
        return relay->method == HTTP_METHOD_HEAD ? 0 : cause_text(relay->cause).len;
    return relay->n_sent + relay->tunnelled.to_client;
}

static uint64_t n_received(const struct relay *relay)
{
    return relay->n_received + relay->tunnelled.to_other;
}

static uint32_t first_byte_us(const struct relay *relay)
{
    return relay->first_byte_ns > 0 ? us_between(relay->begin_ns, relay->first_byte_ns) : 0;
}

static void count(const struct relay *relay)
{
    struct tally *tally = tally_of(relay->cell, relay->worker->index);
    unsigned class = relay->status / 100;
    if (!tally)
        return;
    counter_add(&tally->by_class[class < ARRAY_LEN(tally->by_class) ? class : 0], 1);
    if (relay->cause != CAUSE_NONE)
        counter_add(&tally->causes[relay->cause], 1);
    if (relay->was_parked)
        counter_add(&tally->n_parked, 1);
    if (relay->was_queued)
        counter_add(&tally->n_queued, 1);
    counter_add(&tally->n_bytes_in, n_received(relay));
    counter_add(&tally->n_bytes_out, n_sent(relay));
    if (relay->first_byte_ns > 0)
        tally_observe(tally, relay->first_byte_ns - relay->begin_ns);
}

static void count_edge(const struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    const struct account *account = &relay->account;
    bool is_error = relay->status >= 500 || relay->status == 0;
    edges_count(worker->edges, slice_from(account->caller, account->n_caller), &account->client, relay->cell->hash,
                is_error, loop_now(worker->loop));
}

static void write_passage(const struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    const struct account *account = &relay->account;
    const struct passage passage = {
        .id = slice_from(relay->id.text, relay->id.len),
        .target = slice_from(account->target, account->n_target),
        .service = relay->cell ? relay->cell->name : (struct slice){0},
        .caller = slice_from(account->caller, account->n_caller),
        .client = account->client,
        .method = relay->method,
        .cause = relay->cause,
        .status = relay->status,
        .flags = (relay->was_parked ? PASSAGE_PARKED : 0U) | (relay->was_queued ? PASSAGE_QUEUED : 0U) |
                 (relay->was_hedged ? PASSAGE_HEDGED : 0U) | (relay->status == 101 ? PASSAGE_TUNNEL : 0U),
        .began_ms = (uint64_t)(wall_of(worker, relay->begin_ns) / NSEC_PER_MSEC),
        .n_received = n_received(relay),
        .n_sent = n_sent(relay),
        .first_byte_us = first_byte_us(relay),
        .took_us = us_between(relay->begin_ns, loop_now(worker->loop)),
    };
    passage_ring_write(worker->records, &passage, &account->trail);
}

static void write_line(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    struct account *account = &relay->account;
    struct slice pieces[3];
    const struct access_outcome outcome = {
        .id = slice_from(relay->id.text, relay->id.len),
        .service = relay->cell ? relay->cell->name : (struct slice){0},
        .instance = slice_from(account->instance, account->n_instance),
        .cause = relay->cause,
        .status = relay->status,
        .n_attempts = account->trail.n_attempts + account->trail.n_untold,
        .n_received = n_received(relay),
        .n_sent = n_sent(relay),
        .first_byte_us = first_byte_us(relay),
        .took_us = us_between(relay->begin_ns, loop_now(worker->loop)),
    };
    if (access_line_end(&account->line, &outcome, &worker->line_room, pieces) == 0)
        access_log_write(gateway_access_log(worker->gateway), worker->index, pieces, ARRAY_LEN(pieces));
}

void account_close(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    if (relay->cell) {
        count(relay);
        count_edge(relay);
    } else {
        counter_add(&worker->unrouted[relay->cause], 1);
    }
    if (worker->records)
        write_passage(relay);
    if (relay->account.line.format != ACCESS_LOG_OFF)
        write_line(relay);
    access_line_deinit(&relay->account.line);
}
