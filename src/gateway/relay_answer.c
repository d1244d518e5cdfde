/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes on what an instance answers, and writes the answers that are the gateway's own.
 *
 * The first attempt whose head comes is the one that answers; another one that runs is given up. From then on nothing
 * is repeated: a failure breaks the answer off so that the client notices.
 */
#include "gateway/relay.h"

#include "base/assert.h"
#include "gateway/suspicion.h"
#include "http/pour.h"
#include "wire/chars.h"

#include <errno.h>
#include <stdio.h>

static struct attempt *attempt_of(struct client_call *call)
{
    return container_of(call, struct attempt, call);
}

static struct slice id_of(const struct relay *relay)
{
    return slice_from(relay->id.text, relay->id.len);
}

/* -- an instance's answer -- */

/* Whether a client keeps it in a cookie unchanged. */
static bool is_cookie_value(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!char_is(c, CHAR_TARGET) || c == '"' || c == ',' || c == ';' || c == '\\')
            return false;
    }
    return text.len > 0;
}

/* Tells the client whom it is with, unless it knows. */
static void add_sticky(const struct attempt *attempt, struct forward *forward)
{
    const struct relay *relay = attempt->relay;
    struct slice id = attempt->slot->runtime->id;
    if (!relay->sticky || attempt->tier == PICK_STICKY || !is_cookie_value(id))
        return;
    char *room = forward->text + forward->n_text;
    size_t n_room = sizeof(forward->text) - forward->n_text;
    int n = snprintf(room, n_room, "%s=%.*s; Path=/; HttpOnly", relay->sticky, SLICE_ARG(id));
    if (n < 0 || (size_t)n >= n_room)
        return;
    forward->n_text += (size_t)n;
    forward_add(forward, SLICE_LIT("set-cookie"), slice_from(room, (size_t)n));
}

static uint64_t length_of(const struct http_response *response)
{
    bool is_told = http_fields_get(response->fields, HTTP_FIELD_CONTENT_LENGTH) != NULL;
    bool is_known = response->framing == HTTP_BODY_LENGTH || (response->framing == HTTP_BODY_NONE && is_told);
    return is_known ? response->content_length : EXCHANGE_LENGTH_UNKNOWN;
}

static void give_up_others(struct relay *relay, const struct attempt *attempt)
{
    for (unsigned i = 0; i < RELAY_ATTEMPTS; i++)
        if (&relay->attempts[i] != attempt)
            attempt_cancel(&relay->attempts[i]);
}

static void begin_answer(struct relay *relay, struct attempt *attempt, unsigned status)
{
    attempt_answered(attempt, status);
    give_up_others(relay, attempt);
    relay->answering = attempt;
    relay->status = status;
    relay->cause = CAUSE_NONE;
    relay->first_byte_ns = loop_now(relay->worker->loop);
    relay_forget_body(relay);
}

static void on_info(struct client_call *call, const struct http_response *response)
{
    struct attempt *attempt = attempt_of(call);
    struct relay *relay = attempt->relay;
    struct forward forward;
    suspicion_of_answer(relay->worker, attempt->slot);
    forward_response(response, (struct slice){0}, &forward);
    exchange_inform(relay->exchange, response->status, &forward.carry, forward.headers, forward.n_headers);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    struct attempt *attempt = attempt_of(call);
    struct relay *relay = attempt->relay;
    struct forward forward;
    begin_answer(relay, attempt, response->status);
    relay->state = RELAY_ANSWER;
    forward_response(response, id_of(relay), &forward);
    add_sticky(attempt, &forward);
    uint64_t length = length_of(response);
    if (exchange_begin_carry(relay->exchange, response->status, &forward.carry, forward.headers, forward.n_headers,
                             length) < 0)
        return; /* on_close comes */
    if (response->framing == HTTP_BODY_LENGTH && pour_response(call, relay->exchange) == 0)
        relay->is_ended = true;
}

static void on_body(struct client_call *call, struct slice bytes)
{
    if (exchange_write(attempt_of(call)->relay->exchange, bytes) == EXCHANGE_FULL)
        client_call_pause(call, true);
}

static void end_answer(struct relay *relay, const struct header *trailers, unsigned n_trailers)
{
    if (relay->is_ended)
        return;
    relay->is_ended = true;
    exchange_end(relay->exchange, trailers, n_trailers);
}

static void on_trailers(struct client_call *call, const struct http_fields *fields)
{
    struct header trailers[HTTP_FIELDS_MAX];
    unsigned n = forward_trailers(fields, trailers);
    end_answer(attempt_of(call)->relay, trailers, n);
}

/* The instance takes more of the request's body. */
static void on_drain(struct client_call *call)
{
    struct attempt *attempt = attempt_of(call);
    attempt->is_full = false;
    relay_hold_client(attempt->relay);
}

static void on_done(struct client_call *call, int result)
{
    struct attempt *attempt = attempt_of(call);
    struct relay *relay = attempt->relay;
    if (attempt->state != ATTEMPT_ANSWER) {
        attempt_fail(attempt, cause_of_errno(result, true), result == -ETIMEDOUT);
        relay_move(relay);
        return;
    }
    if (result < 0) {
        relay_fail(relay, CAUSE_INCOMPLETE);
        return;
    }
    attempt_end(attempt);
    relay->answering = NULL;
    relay->state = RELAY_OVER;
    end_answer(relay, NULL, 0);
    relay_hold_client(relay); /* what is left of the body is nobody's */
}

/* -- another protocol -- */

static void on_switch(struct client_call *call, const struct http_response *response, struct stream *stream,
                      struct slice early)
{
    struct attempt *attempt = attempt_of(call);
    struct relay *relay = attempt->relay;
    const struct runtime *runtime = attempt->slot->runtime;
    /* Nobody would look after this tunnel any more. */
    if (runtime_has(runtime, RUNTIME_GONE) && gateway_worker_is_removed(relay->worker, runtime)) {
        stream_close(stream);
        attempt_abandon(attempt, CAUSE_REMOVED, false);
        relay_move(relay);
        return;
    }
    const struct plan *plan = planner_plan(gateway_planner(relay->worker->gateway));
    const struct tunnel tunnel = {stream, early, plan->settings.tunnel_timeout_ns, &relay->tunnelled};
    struct forward forward;
    begin_answer(relay, attempt, response->status);
    relay->state = RELAY_TUNNEL;
    relay->is_ended = true;
    forward_response(response, id_of(relay), &forward);
    if (exchange_switch(relay->exchange, &forward.carry, forward.headers, forward.n_headers, &tunnel) < 0) {
        relay->status = 0;
        relay_fail(relay, CAUSE_INTERNAL);
    }
}

const struct client_events relay_answer_events = {
    .on_info = on_info,
    .on_head = on_head,
    .on_body = on_body,
    .on_trailers = on_trailers,
    .on_drain = on_drain,
    .on_switch = on_switch,
    .on_done = on_done,
};

/* -- the gateway's own -- */

/* RFC 9209. Of an attempt that failed: which instance, and whether it may have seen the request. */
static struct slice proxy_status(const struct relay *relay, enum cause cause, char *room, size_t size)
{
    struct slice name = relay->worker->name, error = cause_error(cause);
    if (!relay->has_failed) { /* then nothing of `failed` is set */
        int n = snprintf(room, size, "%.*s; error=%.*s", SLICE_ARG(name), SLICE_ARG(error));
        return slice_from(room, n < 0 ? 0 : min_size((size_t)n, size - 1));
    }
    const char *sent = relay->failed.was_sent_whole ? "full" : relay->failed.was_sent ? "partial" : "none";
    int n = snprintf(room, size, "%.*s; error=%.*s; next-hop=\"%s\"; details=\"sent=%s\"", SLICE_ARG(name),
                     SLICE_ARG(error), relay->failed.id, sent);
    return slice_from(room, n < 0 ? 0 : min_size((size_t)n, size - 1));
}

#define METHODS SLICE_LIT("GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS")

void relay_answer_options(struct relay *relay)
{
    const struct header allow = {SLICE_LIT("allow"), METHODS};
    relay->status = 200;
    relay->state = RELAY_OVER;
    relay->is_ended = true;
    exchange_respond(relay->exchange, relay->status, &allow, 1, (struct slice){0});
}

void relay_answer_cause(struct relay *relay, enum cause cause)
{
    unsigned status = cause_status(cause);
    char room[512];
    struct header headers[5];
    unsigned n = 0;
    ASSERT(status > 0);
    relay->status = status;
    relay->is_ended = true;
    headers[n++] = (struct header){SLICE_LIT("content-type"), SLICE_LIT("text/plain; charset=utf-8")};
    headers[n++] = (struct header){SLICE_LIT("proxy-status"), proxy_status(relay, cause, room, sizeof(room))};
    if (status == 503 || status == 429)
        headers[n++] = (struct header){SLICE_LIT("retry-after"), SLICE_LIT("1")};
    if (relay->id.len > 0)
        headers[n++] = (struct header){SLICE_LIT("x-request-id"), id_of(relay)};
    if (cause == CAUSE_BAD_METHOD)
        headers[n++] = (struct header){SLICE_LIT("allow"), METHODS};
    exchange_respond(relay->exchange, status, headers, n, cause_text(cause));
}
