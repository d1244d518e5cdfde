/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves a request through the states of relay.h. Whatever happens to it (a piece of its body, the end of an attempt, a
 * new plan, the watch) is recorded where it happens, and relay_move decides what follows.
 *
 * The head for the instance is written once, when the request comes, since its fields are gone with the turn; each try
 * sends the same bytes. Of the body what came is kept until an answer begins, within limits, so that it can be sent
 * again; while no instance takes it, the client is held back.
 *
 * Invariants:
 *  1. `kept` is all that came of the body, or is_kept is false for good.
 *  2. An attempt that is not at rest has counted itself at its instance, and takes that back exactly once.
 *  3. Nothing here frees the relay but on_close, which the exchange calls from outside of our calls.
 */
#include "gateway/relay.h"

#include "base/assert.h"
#include "io/tls.h"

#include <errno.h>
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
    unsigned n = 0;
    if (relay->is_whole)
        return;
    relay->is_whole = true;
    relay->deadline_ns = now_of(relay) + relay->timeout_ns;
    for (unsigned i = 0; trailers && i < trailers->n; i++)
        headers[n++] = (struct header){trailers->items[i].name, trailers->items[i].value};
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

static void relay_free(struct relay *relay)
{
    struct gateway_worker *worker = relay->worker;
    relay_forget_body(relay);
    while (relay->n_tried > 0)
        forget_tried(relay, relay->n_tried - 1);
    if (relay->counts_in_flight)
        atomic_fetch_sub_explicit(&relay->cell->n_in_flight, 1, memory_order_relaxed);
    if (relay->cell)
        plan_drop(relay->cell, worker->index);
    gateway_worker_give_head(worker, &relay->head);
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
        gateway_worker_next(worker);
}

/* The client takes more of the answer. */
static void on_drain(struct exchange *exchange)
{
    struct relay *relay = relay_of(exchange);
    if (relay->answering)
        client_call_pause(&relay->answering->call, false);
}

static const struct exchange_app app = {
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
    if (relay->state == RELAY_QUEUED)
        return false;
    if (gateway_worker_n_queued(relay->worker, relay->cell) >= relay->n_queued_max) {
        relay_fail(relay, CAUSE_QUEUE_FULL);
        return false;
    }
    leave_lines(relay);
    relay->state = RELAY_QUEUED;
    relay->was_queued = true;
    relay->wait_until_ns = now_of(relay) + relay->timeout_ns;
    list_push_back(&relay->worker->queued, &relay->link);
    gateway_worker_watch(relay->worker);
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
    if (service)
        emptied_for_ns = loop_wall_now(worker->loop) - service->emptied_ms * NSEC_PER_MSEC;
    if (relay->state == RELAY_PARKED)
        return;
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
    if (relay->state == RELAY_PARKED)
        forgive_tried(relay);
    if (!service || !find_target(relay, service, &attempt->pick)) {
        park(relay, plan, service);
        return;
    }
    leave_lines(relay);
    relay->state = RELAY_ASK;
    attempt->is_hedge = false;
    attempt_start(attempt, attempt->pick.target, &plan->settings);
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
    if (!may_hedge(relay) || !attempt || !service || !find_target(relay, service, &attempt->pick) ||
        is_hanging(attempt->pick.target))
        return true;
    if (!retry_charge(relay->cell, worker->index, &plan->settings, now_of(relay)))
        return false;
    relay->was_hedged = attempt->is_hedge = true;
    attempt_start(attempt, attempt->pick.target, &plan->settings);
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
    case RELAY_QUEUED:
    case RELAY_PARKED:
        seek(relay);
        return relay->state == RELAY_ASK;
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

static void on_gathered(struct loop_task *task)
{
    struct relay *relay = container_of(task, struct relay, gathered);
    relay->state = RELAY_SEEK;
    relay_move(relay);
}

/* -- the beginning -- */

static struct slice cookie_value(const struct http_request *request, struct slice name)
{
    for (unsigned i = 0; i < request->fields->n; i++) {
        const struct http_field *field = &request->fields->items[i];
        if (field->id != HTTP_FIELD_COOKIE)
            continue;
        for (struct slice rest = field->value, pair; rest.len > 0;) {
            rest = slice_split(rest, ';', &pair);
            struct slice value = slice_split(slice_trim(pair), '=', &pair);
            if (slice_equal(pair, name))
                return value;
        }
    }
    return (struct slice){0};
}

static void set_key(struct relay *relay, const struct http_request *request, const struct policy_key *key)
{
    const struct peer *peer = exchange_peer(relay->exchange);
    const struct http_field *field;
    struct slice text = {0};
    switch (key->source) {
    case POLICY_KEY_NONE:
        return;
    case POLICY_KEY_ADDRESS:
        text = slice_from(peer->ip, sizeof(peer->ip));
        break;
    case POLICY_KEY_HEADER:
        field = http_fields_get_name(request->fields, key->name);
        text = field ? field->value : text;
        break;
    case POLICY_KEY_COOKIE:
        text = cookie_value(request, key->name);
        break;
    }
    relay->has_key = text.len > 0;
    relay->key = relay->has_key ? pick_key(text) : 0;
}

/* The cookie's name, and behind its NUL the instance that it says. */
static int set_sticky(struct relay *relay, const struct http_request *request, struct slice name)
{
    if (name.len == 0)
        return 0;
    struct slice id = cookie_value(request, name);
    relay->sticky = malloc(name.len + id.len + 2);
    if (!relay->sticky)
        return -ENOMEM;
    memcpy(relay->sticky, name.ptr, name.len);
    relay->sticky[name.len] = 0;
    if (id.len > 0)
        memcpy(relay->sticky + name.len + 1, id.ptr, id.len);
    relay->sticky[name.len + 1 + id.len] = 0;
    return 0;
}

/* What a route with `strip` has taken off the path; "": nothing. */
static struct slice stripped_prefix(const struct http_request *request, const struct route_match *match)
{
    struct slice path = request->path;
    if (match->needs_slash)
        return path;
    bool is_inside = match->target.ptr > path.ptr && match->target.ptr < path.ptr + path.len;
    return is_inside ? slice_from(path.ptr, (size_t)(match->target.ptr - path.ptr)) : (struct slice){0};
}

static int write_head(struct relay *relay, const struct http_request *request, const struct plan *plan,
                      const struct route_match *match)
{
    struct gateway_worker *worker = relay->worker;
    struct buf *lines = &worker->lines;
    struct header_carry carry;
    struct buf slashed CLEANUP(buf_deinit) = {0};
    if (match->needs_slash && (buf_append_char(&slashed, '/') < 0 || buf_append(&slashed, match->target) < 0))
        return -ENOMEM;
    const struct forward_terms terms = {
        .settings = &plan->settings,
        .name = worker->name,
        .peer = exchange_peer(relay->exchange),
        .is_tls = stream_is_tls(exchange_stream(relay->exchange)),
        .stripped_prefix = stripped_prefix(request, match),
        .random = {random_u64(&worker->random), random_u64(&worker->random), random_u64(&worker->random)},
    };
    buf_reset(lines);
    int r = forward_request(request, &terms, &carry, lines, &relay->id);
    if (r < 0)
        return r;
    const struct client_request sent = {
        .is_checked = true, /* by the session that read it */
        .method = request->method_text,
        .target = match->needs_slash ? buf_slice(&slashed) : match->target,
        .authority = request->authority.len > 0 ? request->authority : SLICE_LIT("localhost"),
        .carry = &carry,
        .lines = buf_slice(lines),
        .may_switch = relay->may_switch,
        .streamed = request->framing != HTTP_BODY_NONE,
        .content_length = request->framing == HTTP_BODY_LENGTH ? request->content_length : EXCHANGE_LENGTH_UNKNOWN,
    };
    return client_request_write(&relay->head, &sent);
}

/* RFC 9110 7.6.2. */
static bool ends_here(const struct http_request *request)
{
    bool counts_hops = request->method == HTTP_METHOD_OPTIONS || request->method == HTTP_METHOD_TRACE;
    const struct http_field *field = counts_hops ? http_fields_get(request->fields, HTTP_FIELD_MAX_FORWARDS) : NULL;
    uint64_t n;
    return field && slice_parse_u64(field->value, &n) == 0 && n == 0;
}

/* What can be refused before anything is known of the service. */
static enum cause refusal(const struct http_request *request, struct slice name)
{
    bool is_trace_for_us = request->method == HTTP_METHOD_TRACE && ends_here(request);
    if (request->method == HTTP_METHOD_CONNECT || is_trace_for_us)
        return CAUSE_BAD_METHOD;
    if (request->upgrade && request->framing != HTTP_BODY_NONE)
        return CAUSE_BAD_UPGRADE;
    return forward_is_loop(request, name) ? CAUSE_LOOP : CAUSE_NONE;
}

static enum cause refusal_of_match(const struct route_match *match)
{
    switch (match->outcome) {
    case ROUTE_FOUND:
        return CAUSE_NONE;
    case ROUTE_BAD_PATH:
        return CAUSE_BAD_PATH;
    case ROUTE_NONE:
    case ROUTE_NOT_EXPOSED:
        break;
    }
    return CAUSE_NO_ROUTE;
}

static void set_terms(struct relay *relay, const struct http_request *request, const struct policy *policy)
{
    relay->framing = request->framing;
    relay->content_length = request->content_length;
    relay->contract = policy->retry;
    relay->balance = policy->balance;
    relay->slow_start_ns = policy->slow_start_ns;
    relay->may_hedge = policy->hedge;
    relay->may_switch = request->upgrade;
    relay->n_in_flight_max = policy->n_in_flight_max;
    relay->n_queued_max = policy->n_queued_max;
    relay->body_bytes_max = policy->body_bytes_max;
    relay->timeout_ns = policy->timeout_ns;
    relay->has_idempotency_key = http_fields_get(request->fields, HTTP_FIELD_IDEMPOTENCY_KEY) != NULL;
    relay->is_kept = true;
    relay->is_whole = request->framing == HTTP_BODY_NONE;
    relay->deadline_ns = relay->is_whole ? relay->begin_ns + relay->timeout_ns : NSEC_NEVER;
    if (policy->balance == BALANCE_HASH)
        set_key(relay, request, &policy->hash);
}

static struct relay *relay_new(struct gateway_worker *worker, struct exchange *exchange)
{
    struct relay *relay = slab_alloc(&worker->relays);
    if (!relay)
        return NULL;
    *relay = (struct relay){
        .exchange = exchange,
        .worker = worker,
        .begin_ns = loop_now(worker->loop),
        .method = exchange->request->method,
    };
    list_init(&relay->link);
    loop_task_init(&relay->gathered, on_gathered);
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++) {
        relay->attempts[i].relay = relay;
        list_init(&relay->attempts[i].link);
    }
    relay->head = gateway_worker_take_head(worker);
    exchange->app = &app;
    exchange->state = relay;
    return relay;
}

/* Routed and ready; CAUSE_NONE, or why it is refused. */
static enum cause prepare(struct relay *relay, const struct http_request *request, bool is_local)
{
    struct gateway_worker *worker = relay->worker;
    const struct plan *plan = planner_plan(gateway_planner(worker->gateway));
    struct route_match match;
    enum cause cause = refusal(request, worker->name);
    if (cause != CAUSE_NONE)
        return cause;
    route_find(plan, request, is_local, &match);
    cause = refusal_of_match(&match);
    if (cause != CAUSE_NONE)
        return cause;
    relay->cell = match.cell;
    plan_hold(relay->cell, worker->index);
    set_terms(relay, request, &match.policy);
    retry_count_request(relay->cell, worker->index, relay->begin_ns);
    if (relay->body_bytes_max > 0 && request->framing == HTTP_BODY_LENGTH &&
        request->content_length > relay->body_bytes_max)
        return CAUSE_BODY_TOO_LARGE;
    if (set_sticky(relay, request, match.policy.sticky) < 0 || write_head(relay, request, plan, &match) < 0)
        return CAUSE_INTERNAL;
    return CAUSE_NONE;
}

/* For how long the client may get nothing: until an answer begins, and inside of it. Those time-outs come first. */
static nsec_t silence_max(const struct relay *relay)
{
    const struct gateway_settings *settings = &planner_plan(gateway_planner(relay->worker->gateway))->settings;
    bool is_longer = relay->timeout_ns > settings->body_timeout_ns;
    return (is_longer ? relay->timeout_ns : settings->body_timeout_ns) + NSEC_PER_SEC;
}

void relay_take(struct gateway_worker *worker, struct exchange *exchange, bool is_local)
{
    const struct http_request *request = exchange->request;
    struct relay *relay = relay_new(worker, exchange);
    if (!relay) {
        exchange_respond_text(exchange, 503, "the gateway is out of memory\n");
        return;
    }
    if (request->method == HTTP_METHOD_OPTIONS && ends_here(request)) {
        relay_answer_options(relay);
        return;
    }
    enum cause cause = account_open(relay) ? prepare(relay, request, is_local) : CAUSE_TOO_MANY_REQUESTS;
    if (cause != CAUSE_NONE) {
        relay_fail(relay, cause);
        return;
    }
    if (request->expect_continue)
        exchange_hold_continue(exchange);
    exchange_set_idle_timeout(exchange, silence_max(relay));
    if (request->framing == HTTP_BODY_NONE || request->expect_continue) {
        relay->state = RELAY_SEEK;
        relay_move(relay);
    } else {
        loop_defer(worker->loop, &relay->gathered);
    }
}
