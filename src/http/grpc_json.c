/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transport of calls (grpc_transport.h). What comes in is gathered until a JSON value is whole, and then becomes a
 * message; a message that goes out becomes JSON. The answer of a method with one answer waits for the status, which
 * stands before it on the wire.
 */
#include "http/grpc_json.h"

#include "http/grpc_transport.h"
#include "wire/json_scan.h"
#include "wire/pb_json.h"

#include <errno.h>
#include <stdlib.h>

/* Deeper than any message of use is nested: each level of a message is two of JSON, with the arrays in between. */
#define DEPTH_MAX JSON_WRITER_DEPTH_MAX

/* A larger buffer is given back after its use. */
#define KEPT_BYTES ((size_t)16 * 1024)

struct json_call {
    struct grpc_call call; /* first */
    const struct grpc_json_route *route;
    struct json_limits limits; /* of a message as text */
    struct buf text;           /* has come in and is not taken yet */
    struct json_scan scan;     /* of the value at its beginning */
    size_t n_scanned;
    struct buf message; /* the last one that was taken, in bytes */
    struct buf answer;
    bool is_begun; /* the answer's head is sent */
};

static const struct header content_type = {SLICE_LIT("content-type"), SLICE_LIT("application/json")};

static struct json_call *json_call(struct grpc_call *call)
{
    return container_of(call, struct json_call, call);
}

static void forget(struct buf *buf)
{
    if (buf->cap > KEPT_BYTES)
        buf_deinit(buf);
    else
        buf_reset(buf);
}

/* ------------------------------------------------------------------------------------------------ the client's */

static bool refuse_message(struct json_call *json, int error, const struct err *err)
{
    if (error == -EINVAL)
        grpc_finish(&json->call, GRPC_INVALID_ARGUMENT, err->text);
    else if (error == -EMSGSIZE)
        grpc_finishf(&json->call, GRPC_RESOURCE_EXHAUSTED,
                     "the message is longer than the %zu bytes that are taken here", json->message.limit);
    else
        grpc_finish(&json->call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
    return false;
}

/* Whether the value at the beginning of the text is whole, or the client's last. */
static bool has_value(struct json_call *json)
{
    if (!json->scan.is_complete)
        json->n_scanned += json_scan(&json->scan, slice_skip(buf_slice(&json->text), json->n_scanned));
    return json->scan.is_complete || (json->call.is_received && json->scan.is_begun);
}

static void drop_value(struct json_call *json)
{
    buf_consume(&json->text, json->n_scanned);
    json->n_scanned = 0;
    json->scan = (struct json_scan){0};
    if (json->text.len == 0)
        forget(&json->text);
}

static bool take_value(struct json_call *json, struct slice *ret_message)
{
    struct err err;
    forget(&json->message);
    int r = pb_json_read(json->route->request, slice_from(json->text.ptr, json->n_scanned), &json->limits,
                         &json->message, &err);
    drop_value(json);
    if (r < 0)
        return refuse_message(json, r, &err);
    *ret_message = buf_slice(&json->message);
    return true;
}

static void hold_bytes(struct grpc_call *call, struct slice bytes)
{
    struct json_call *json = json_call(call);
    if (buf_append(&json->text, bytes) < 0)
        refuse_message(json, -ENOMEM, NULL);
}

static bool next_message(struct grpc_call *call, struct slice *bytes, struct slice *ret_message)
{
    struct json_call *json = json_call(call);
    struct slice piece = *bytes;
    *bytes = (struct slice){0};
    if (call->has_message && !call->method->client_streams)
        return false;
    hold_bytes(call, piece);
    if (call->is_finished)
        return false;
    bool is_whole = has_value(json);
    if (json->n_scanned > json->limits.n_bytes)
        return refuse_message(json, -EMSGSIZE, NULL);
    if (is_whole)
        return take_value(json, ret_message);
    *ret_message = (struct slice){0};
    return call->is_received && !call->method->client_streams;
}

/* Values that ended too early were refused as malformed. */
static bool check_end(struct grpc_call *call)
{
    (void)call;
    return true;
}

/* ------------------------------------------------------------------------------------------------ ours */

/* Onto json->answer. 0 or negative. */
static int write_answer(struct json_call *json, struct slice message)
{
    bool is_line = json->call.method->server_streams;
    struct json_writer writer;
    forget(&json->answer);
    json_writer_init(&writer, &json->answer);
    if (is_line) {
        json_writer_begin_object(&writer);
        json_writer_key(&writer, SLICE_LIT("result"));
    }
    int r = pb_json_write(json->route->answer, message, &writer);
    if (r < 0)
        return r;
    if (is_line) {
        json_writer_end_object(&writer);
        (void)buf_append_char(&json->answer, '\n');
    }
    return json_writer_finish(&writer);
}

static int begin(struct json_call *json)
{
    if (json->is_begun)
        return 0;
    json->is_begun = true;
    return exchange_begin(json->call.exchange, 200, &content_type, 1, EXCHANGE_LENGTH_UNKNOWN);
}

static int send_message(struct grpc_call *call, struct slice message)
{
    struct json_call *json = json_call(call);
    int r = write_answer(json, message);
    if (r < 0) {
        grpc_finish(call, r == -ENOMEM ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL, "the answer could not be written");
        return r;
    }
    if (!call->method->server_streams)
        return 0;
    r = begin(json);
    return r < 0 ? r : exchange_write(call->exchange, buf_slice(&json->answer));
}

static void write_error_members(struct json_writer *writer, enum grpc_status status, const char *text)
{
    json_writer_member_str(writer, SLICE_LIT("message"), slice_from_str(text));
    json_writer_key(writer, SLICE_LIT("code"));
    json_writer_u64(writer, status);
    json_writer_key(writer, SLICE_LIT("details"));
    json_writer_begin_array(writer);
    json_writer_end_array(writer);
}

/* 0 or negative. The text stands there twice, for clients of gateways old and new. */
static int write_error(enum grpc_status status, const char *text, struct buf *body)
{
    struct json_writer writer;
    json_writer_init(&writer, body);
    json_writer_begin_object(&writer);
    json_writer_member_str(&writer, SLICE_LIT("error"), slice_from_str(text));
    write_error_members(&writer, status, text);
    json_writer_end_object(&writer);
    return json_writer_finish(&writer);
}

static int write_error_line(enum grpc_status status, const char *text, struct buf *body)
{
    struct json_writer writer;
    json_writer_init(&writer, body);
    json_writer_begin_object(&writer);
    json_writer_key(&writer, SLICE_LIT("error"));
    json_writer_begin_object(&writer);
    write_error_members(&writer, status, text);
    json_writer_end_object(&writer);
    json_writer_end_object(&writer);
    (void)buf_append_char(body, '\n');
    return json_writer_finish(&writer);
}

/* The whole answer. */
static void respond_error(struct exchange *exchange, enum grpc_status status, const char *text)
{
    CLEANUP(buf_deinit) struct buf body = {0};
    if (write_error(status, text, &body) == 0)
        exchange_respond(exchange, grpc_status_http(status), &content_type, 1, buf_slice(&body));
    else
        exchange_respond_text(exchange, 503, "out of memory\n");
}

/* A stream in which not even the error can be said is cut off, so that nobody takes it for complete. */
static void end_stream(struct grpc_call *call, enum grpc_status status, const char *text)
{
    CLEANUP(buf_deinit) struct buf line = {0};
    if (status != GRPC_OK && write_error_line(status, text, &line) < 0)
        exchange_abort(call->exchange);
    else if (line.len == 0 || exchange_write(call->exchange, buf_slice(&line)) >= 0)
        exchange_end(call->exchange, NULL, 0);
}

static void send_status(struct grpc_call *call, enum grpc_status status, const char *text)
{
    struct json_call *json = json_call(call);
    if (json->is_begun)
        end_stream(call, status, text ? text : "");
    else if (status == GRPC_OK)
        exchange_respond(call->exchange, 200, &content_type, 1, buf_slice(&json->answer));
    else
        respond_error(call->exchange, status, text ? text : "");
}

/* ------------------------------------------------------------------------------------------------ the call */

static void free_call(struct grpc_call *call)
{
    struct json_call *json = json_call(call);
    buf_deinit(&json->text);
    buf_deinit(&json->message);
    buf_deinit(&json->answer);
    free(json);
}

static const struct grpc_transport transport = {
    .next = next_message,
    .hold = hold_bytes,
    .end = check_end,
    .send = send_message,
    .send_status = send_status,
    .free = free_call,
};

static const struct grpc_json_route *find_route(const struct grpc_json_service *service, struct slice path)
{
    for (unsigned i = 0; i < service->n_routes; i++)
        if (slice_equal(service->routes[i].path, path))
            return &service->routes[i];
    return NULL;
}

void grpc_json_serve(const struct grpc_json_service *service, void *ctx, struct slice path, struct exchange *exchange)
{
    const struct grpc_json_route *route = find_route(service, path);
    if (!route) {
        respond_error(exchange, GRPC_NOT_FOUND, "Not Found");
        return;
    }
    const struct grpc_method *method = grpc_find_method(service->service, route->method);
    if (!method) {
        respond_error(exchange, GRPC_UNIMPLEMENTED, "unknown method");
        return;
    }
    struct json_call *json = calloc(1, sizeof(*json));
    if (!json) {
        respond_error(exchange, GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    size_t max_bytes = service->service->max_message_bytes;
    json->route = route;
    json->message.limit = max_bytes;
    json->limits = (struct json_limits){.n_bytes = 2 * max_bytes, .depth = DEPTH_MAX};
    grpc_call_init(&json->call, &transport, method, ctx, exchange);
    if (grpc_call_read_timeout(&json->call) < 0)
        grpc_finish(&json->call, GRPC_INVALID_ARGUMENT, "grpc-timeout is malformed");
    else
        grpc_call_open(service->service, &json->call);
}
