/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The beginning of a request: it is refused, or routed and made ready for instances.
 *
 * The head for them is written once, since the request's fields are gone with the turn; each try sends the same bytes.
 * A request with a body waits for the first of it, at most until the end of the turn: it would leave with the head.
 */
#include "gateway/relay.h"

#include "gateway/route.h"
#include "io/tls.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

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
    const struct peer *client = &relay->account.client;
    const struct http_field *field;
    struct slice text = {0};
    switch (key->source) {
    case POLICY_KEY_NONE:
        return;
    case POLICY_KEY_ADDRESS:
        text = slice_from(client->ip, sizeof(client->ip));
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

/* The bytes are the worker's, and soon another request's. */
static int keep_head(struct relay *relay, struct slice head)
{
    struct gateway_worker *worker = relay->worker;
    bool is_short = head.len <= sizeof(relay->head_room);
    if (!is_short && worker->n_heads + head.len > WORKER_HEADS_MAX)
        return -ENOMEM;
    char *room = is_short ? relay->head_room : malloc(head.len);
    if (!room)
        return -ENOMEM;
    worker->n_heads += is_short ? 0 : head.len;
    relay->head = slice_from(memcpy(room, head.ptr, head.len), head.len);
    return 0;
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
    buf_reset(&worker->head);
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
    r = client_request_write(&worker->head, &sent);
    return r < 0 ? r : keep_head(relay, buf_slice(&worker->head));
}

/* What can be refused before anything is known of the service. */
static enum cause refusal(const struct http_request *request, struct slice name)
{
    bool is_trace_for_us = request->method == HTTP_METHOD_TRACE && forward_ends_here(request);
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
    case ROUTE_NOT_EXPOSED:
        return CAUSE_NOT_EXPOSED;
    case ROUTE_NONE:
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

static void on_gathered(struct loop_task *task)
{
    struct relay *relay = container_of(task, struct relay, gathered);
    relay->state = RELAY_SEEK;
    relay_move(relay);
}

static struct relay *relay_new(struct gateway_worker *worker, struct exchange *exchange)
{
    struct relay *relay = slab_alloc(&worker->relays);
    if (!relay)
        return NULL;
    memset(relay, 0, offsetof(struct relay, link)); /* of what follows, what must be set is below */
    relay->exchange = exchange;
    relay->worker = worker;
    relay->begin_ns = loop_now(worker->loop);
    relay->method = exchange->request->method;
    relay->id.len = 0;
    list_init(&relay->link);
    loop_task_init(&relay->gathered, on_gathered);
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        attempt_init(&relay->attempts[i], relay);
    exchange->app = &relay_app;
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
    if (!account_open(relay)) {
        relay_fail(relay, CAUSE_TOO_MANY_REQUESTS);
        return;
    }
    if (request->method == HTTP_METHOD_OPTIONS && forward_ends_here(request)) {
        relay_answer_options(relay);
        return;
    }
    enum cause cause = prepare(relay, request, is_local);
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
