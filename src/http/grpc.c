/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a call, which is an exchange's app: messages to the front end, its pauses, the client's end and deadline.
 * How messages and the status travel is the transport's.
 *
 * Messages are taken in pump(), which all that brings bytes or asks for messages goes through: it stops where the front
 * end pauses or finishes.
 */
#include "http/grpc_transport.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 512 };

void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *text)
{
    if (call->is_finished)
        return;
    call->is_finished = true;
    loop_cancel(exchange_loop(call->exchange), &call->deadline);
    call->transport->send_status(call, status, text);
}

void grpc_finishf(struct grpc_call *call, enum grpc_status status, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    grpc_finish(call, status, text);
}

int grpc_send(struct grpc_call *call, struct slice message)
{
    if (call->is_finished)
        return -ECONNRESET; /* perhaps by the client's deadline, which the front end does not know of yet */
    return call->transport->send(call, message);
}

void grpc_reply(struct grpc_call *call, struct slice message)
{
    if (grpc_send(call, message) >= 0)
        grpc_finish(call, GRPC_OK, NULL);
}

static void take_message(struct grpc_call *call, struct slice message)
{
    if (call->has_message && !call->method->client_streams) {
        grpc_finish(call, GRPC_INTERNAL, "more than one message for a method that takes one");
        return;
    }
    call->has_message = true;
    call->method->on_message(call, message);
}

static void pump(struct grpc_call *call, struct slice bytes)
{
    struct slice message;
    while (!call->is_paused && !call->is_finished) {
        if (!call->transport->next(call, &bytes, &message))
            return;
        take_message(call, message);
    }
    if (!call->is_finished)
        call->transport->hold(call, bytes);
}

/* The client's end, once all its messages are taken. */
static void take_end(struct grpc_call *call)
{
    if (!call->is_received || call->is_ended || call->is_paused || call->is_finished)
        return;
    call->is_ended = true;
    if (!call->transport->end(call))
        return;
    if (!call->method->client_streams && !call->has_message)
        grpc_finish(call, GRPC_INTERNAL, "the call ended without a message");
    else if (call->method->client_streams && call->method->on_end)
        call->method->on_end(call);
}

static void on_body(struct exchange *exchange, struct slice bytes)
{
    pump(exchange->state, bytes);
}

static void on_end(struct exchange *exchange)
{
    struct grpc_call *call = exchange->state;
    call->is_received = true;
    pump(call, (struct slice){0});
    take_end(call);
}

static void on_drain(struct exchange *exchange)
{
    struct grpc_call *call = exchange->state;
    if (!call->is_finished && call->method->on_drain)
        call->method->on_drain(call);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct grpc_call *call = exchange->state;
    call->is_finished = true;
    loop_cancel(exchange_loop(exchange), &call->deadline);
    loop_undefer(&call->resume);
    if (call->is_open && call->method->on_close)
        call->method->on_close(call, call->is_timed_out ? EXCHANGE_TIMEOUT : end);
    call->transport->free(call);
}

static const struct exchange_app app = {
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void on_deadline(struct timer *timer)
{
    struct grpc_call *call = container_of(timer, struct grpc_call, deadline);
    call->is_timed_out = true;
    grpc_finish(call, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

/* What was held while the call was paused. */
static void on_resume(struct loop_task *task)
{
    struct grpc_call *call = container_of(task, struct grpc_call, resume);
    pump(call, (struct slice){0});
    take_end(call);
}

void grpc_pause(struct grpc_call *call, bool paused)
{
    if (call->is_finished)
        return;
    call->is_paused = paused;
    exchange_pause(call->exchange, paused);
    if (!paused)
        loop_defer(exchange_loop(call->exchange), &call->resume);
}

const struct grpc_method *grpc_find_method(const struct grpc_service *service, struct slice path)
{
    for (unsigned i = 0; i < service->n_methods; i++)
        if (slice_equal(service->methods[i].path, path))
            return &service->methods[i];
    return NULL;
}

void grpc_call_init(struct grpc_call *call, const struct grpc_transport *transport, const struct grpc_method *method,
                    void *ctx, struct exchange *exchange)
{
    call->method = method;
    call->exchange = exchange;
    call->ctx = ctx;
    call->transport = transport;
    timer_init(&call->deadline, on_deadline);
    loop_task_init(&call->resume, on_resume);
    exchange->app = &app;
    exchange->state = call;
    if (method->client_streams || method->server_streams)
        exchange_set_idle_timeout(exchange, NSEC_NEVER);
}

struct slice grpc_field_value(const struct exchange *exchange, enum http_field_id id)
{
    const struct http_field *field = http_fields_get(exchange->request->fields, id);
    return field ? field->value : (struct slice){0};
}

int grpc_call_read_timeout(struct grpc_call *call)
{
    struct slice text = grpc_field_value(call->exchange, HTTP_FIELD_GRPC_TIMEOUT);
    struct loop *loop = exchange_loop(call->exchange);
    nsec_t timeout_ns = NSEC_NEVER;
    int r = slice_is_empty(text) ? 0 : grpc_timeout_parse(text, &timeout_ns);
    if (r == 0 && timeout_ns < NSEC_NEVER - loop_now(loop))
        loop_arm(loop, &call->deadline, loop_now(loop) + timeout_ns);
    return r;
}

void grpc_call_open(const struct grpc_service *service, struct grpc_call *call)
{
    if (service->admit && !service->admit(call))
        return;
    call->is_open = true;
    if (call->method->on_open)
        call->method->on_open(call);
}
