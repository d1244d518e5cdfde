/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call is an exchange's app. Its answer begins with the first message; a call that ends without one is answered with
 * its status in the head alone ("trailers-only"), as the protocol wants.
 *
 * Messages are taken apart in pump(), which all that brings bytes or asks for messages goes through: it stops where the
 * front end pauses or finishes.
 */
#include "http/grpc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 512 };

static const struct header content_type = {SLICE_LIT("content-type"), SLICE_LIT("application/grpc")};

/* The status as trailers, or as the whole answer when nothing was sent. */
static void send_status(struct exchange *exchange, bool is_begun, enum grpc_status status, const char *text)
{
    struct header headers[4] = {content_type};
    unsigned n = 1;
    const char digits[] = {(char)('0' + status / 10), (char)('0' + status % 10)};
    const struct slice number = slice_from(digits, sizeof(digits));
    CLEANUP(buf_deinit) struct buf message = {0};
    headers[n++] = (struct header){SLICE_LIT("grpc-status"), status < 10 ? slice_skip(number, 1) : number};
    /* A text that cannot be encoded for want of memory is left out: the status is what counts. */
    if (text && grpc_message_encode(slice_from_str(text), &message) == 0)
        headers[n++] = (struct header){SLICE_LIT("grpc-message"), buf_slice(&message)};
    if (status == GRPC_UNIMPLEMENTED)
        headers[n++] = (struct header){SLICE_LIT("grpc-accept-encoding"), SLICE_LIT("identity")};
    if (is_begun)
        exchange_end(exchange, headers + 1, n - 1);
    else
        exchange_respond(exchange, 200, headers, n, (struct slice){0});
}

void grpc_finish(struct grpc_call *call, enum grpc_status status, const char *text)
{
    if (call->is_finished)
        return;
    call->is_finished = true;
    loop_cancel(exchange_loop(call->exchange), &call->deadline);
    send_status(call->exchange, call->is_begun, status, text);
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
    struct exchange *exchange = call->exchange;
    char prefix[GRPC_PREFIX_BYTES];
    if (call->is_finished)
        return -ECONNRESET; /* perhaps by the client's deadline, which the front end does not know of yet */
    if (!call->is_begun) {
        call->is_begun = true;
        int r = exchange_begin(exchange, 200, &content_type, 1, EXCHANGE_LENGTH_UNKNOWN);
        if (r < 0)
            return r;
    }
    grpc_frames_prefix(message.len, prefix);
    int r = exchange_write(exchange, slice_from(prefix, sizeof(prefix)));
    return r < 0 || slice_is_empty(message) ? r : exchange_write(exchange, message);
}

void grpc_reply(struct grpc_call *call, struct slice message)
{
    if (grpc_send(call, message) >= 0)
        grpc_finish(call, GRPC_OK, NULL);
}

/* The client broke the protocol of messages: `error` as grpc_frames_next gave it. */
static void refuse_flow(struct grpc_call *call, int error)
{
    switch (error) {
    case -EMSGSIZE:
        grpc_finishf(call, GRPC_RESOURCE_EXHAUSTED, "the message is longer than the %zu bytes that are taken here",
                     call->frames.max_message_bytes);
        break;
    case -EPROTONOSUPPORT:
        if (call->has_encoding)
            grpc_finish(call, GRPC_UNIMPLEMENTED, "the message is compressed; only grpc-encoding identity is served");
        else
            grpc_finish(call, GRPC_INTERNAL, "the message is marked as compressed, but grpc-encoding names nothing");
        break;
    case -ENOMEM:
        grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
        break;
    default:
        grpc_finish(call, GRPC_INTERNAL, "the flow of messages is broken");
        break;
    }
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
    int r = GRPC_FRAMES_MESSAGE;
    struct slice message;
    while (r == GRPC_FRAMES_MESSAGE && !call->is_paused && !call->is_finished) {
        r = grpc_frames_next(&call->frames, &bytes, &message);
        if (r == GRPC_FRAMES_MESSAGE)
            take_message(call, message);
    }
    if (r == GRPC_FRAMES_MESSAGE && !call->is_finished)
        r = grpc_frames_hold(&call->frames, bytes);
    if (r < 0)
        refuse_flow(call, r);
}

/* The client's end, once all its messages are taken. */
static void take_end(struct grpc_call *call)
{
    if (!call->is_received || call->is_ended || call->is_paused || call->is_finished)
        return;
    call->is_ended = true;
    if (!grpc_frames_is_empty(&call->frames))
        grpc_finish(call, GRPC_INTERNAL, "the call ended in the middle of a message");
    else if (!call->method->client_streams && !call->has_message)
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
    pump(call, (struct slice){0});
    call->is_received = true;
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
    grpc_frames_deinit(&call->frames);
    free(call);
}

static const struct exchange_app app = {on_body, on_end, on_drain, on_close};

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

static const struct grpc_method *find_method(const struct grpc_service *service, struct slice path)
{
    for (unsigned i = 0; i < service->n_methods; i++)
        if (slice_equal(service->methods[i].path, path))
            return &service->methods[i];
    return NULL;
}

static struct slice field_value(const struct http_request *request, const char *name)
{
    const struct http_field *field = http_fields_get_name(request->fields, slice_from_str(name));
    return field ? field->value : (struct slice){0};
}

/* What is no gRPC request at all gets an HTTP answer. True when it was refused. */
static bool refuse_http(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct slice type;
    struct slice parameters = slice_split(field_value(request, "content-type"), ';', &type);
    (void)parameters;
    type = slice_trim(type);
    bool is_grpc = slice_equal_nocase(type, SLICE_LIT("application/grpc")) ||
                   slice_equal_nocase(type, SLICE_LIT("application/grpc+proto"));
    if (!is_grpc)
        exchange_respond_text(exchange, 415, "this path takes gRPC: content-type application/grpc\n");
    else if (request->version_major != 2)
        exchange_respond_text(exchange, 505, "gRPC needs HTTP/2\n");
    else if (request->method != HTTP_METHOD_POST)
        exchange_respond_text(exchange, 405, "gRPC calls are made by POST\n");
    else
        return false;
    return true;
}

static struct grpc_call *call_new(const struct grpc_method *method, const struct grpc_service *service, void *ctx,
                                  struct exchange *exchange)
{
    struct grpc_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    call->method = method;
    call->exchange = exchange;
    call->ctx = ctx;
    grpc_frames_init(&call->frames, service->max_message_bytes);
    timer_init(&call->deadline, on_deadline);
    loop_task_init(&call->resume, on_resume);
    exchange->app = &app;
    exchange->state = call;
    if (method->client_streams || method->server_streams)
        exchange_set_idle_timeout(exchange, NSEC_NEVER);
    return call;
}

/* What the head asks of this call. False when it was refused. */
static bool read_head(struct grpc_call *call)
{
    const struct http_request *request = call->exchange->request;
    struct slice encoding = field_value(request, "grpc-encoding");
    struct slice timeout = field_value(request, "grpc-timeout");
    nsec_t timeout_ns;
    call->has_encoding = encoding.len > 0 && !slice_equal_str(encoding, "identity");
    if (!slice_equal_nocase(field_value(request, "te"), SLICE_LIT("trailers"))) {
        grpc_finish(call, GRPC_INTERNAL, "te: trailers is missing: something on the way may lose the status");
        return false;
    }
    if (timeout.len == 0)
        return true;
    if (grpc_timeout_parse(timeout, &timeout_ns) < 0) {
        grpc_finish(call, GRPC_INTERNAL, "grpc-timeout is malformed");
        return false;
    }
    struct loop *loop = exchange_loop(call->exchange);
    if (timeout_ns < NSEC_NEVER - loop_now(loop))
        loop_arm(loop, &call->deadline, loop_now(loop) + timeout_ns);
    return true;
}

void grpc_serve(const struct grpc_service *service, void *ctx, struct exchange *exchange)
{
    if (refuse_http(exchange))
        return;
    struct slice path = exchange->request->path;
    const struct grpc_method *method = find_method(service, path);
    if (!method) {
        char text[TEXT_MAX];
        (void)snprintf(text, sizeof(text), "unknown method %.*s", SLICE_ARG(path));
        send_status(exchange, false, GRPC_UNIMPLEMENTED, text);
        return;
    }
    struct grpc_call *call = call_new(method, service, ctx, exchange);
    if (!call) {
        send_status(exchange, false, GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    call->is_open = read_head(call);
    if (call->is_open && method->on_open)
        method->on_open(call);
}
