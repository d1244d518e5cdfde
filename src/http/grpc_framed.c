/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC's own framing over HTTP/2: messages behind a prefix, the status in trailers. The answer begins with the first
 * message; a call that ends without one is answered with its status in the head alone ("trailers-only"), as the
 * protocol wants.
 */
#include "http/grpc_frames.h"
#include "http/grpc_transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 512 };

struct framed_call {
    struct grpc_call call; /* first */
    struct grpc_frames frames;
    bool is_begun;     /* the answer's head is sent */
    bool has_encoding; /* the client names a compression */
};

static struct framed_call *framed_call(struct grpc_call *call)
{
    return container_of(call, struct framed_call, call);
}

static const struct header content_type = {SLICE_LIT("content-type"), SLICE_LIT("application/grpc")};

/* By hand, as every call ends with one. */
static struct header status_header(enum grpc_status status, char room[2])
{
    unsigned number = (unsigned)status % 100;
    size_t len = 0;
    if (number >= 10)
        room[len++] = (char)('0' + number / 10);
    room[len++] = (char)('0' + number % 10);
    return (struct header){SLICE_LIT("grpc-status"), slice_from(room, len)};
}

/* The status as trailers, or as the whole answer when nothing was sent. */
static void write_status(struct exchange *exchange, bool is_begun, enum grpc_status status, const char *text)
{
    struct header headers[4] = {content_type};
    unsigned n = 1;
    char room[2];
    CLEANUP(buf_deinit) struct buf message = {0};
    headers[n++] = status_header(status, room);
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

void grpc_refuse(struct exchange *exchange, enum grpc_status status, const char *text)
{
    write_status(exchange, false, status, text);
}

static void send_status(struct grpc_call *call, enum grpc_status status, const char *text)
{
    write_status(call->exchange, framed_call(call)->is_begun, status, text);
}

static int send_message(struct grpc_call *call, struct slice message)
{
    struct framed_call *framed = framed_call(call);
    struct exchange *exchange = call->exchange;
    char prefix[GRPC_PREFIX_BYTES];
    if (!framed->is_begun) {
        framed->is_begun = true;
        int r = exchange_begin(exchange, 200, &content_type, 1, EXCHANGE_LENGTH_UNKNOWN);
        if (r < 0)
            return r;
    }
    grpc_frames_prefix(message.len, prefix);
    int r = exchange_write(exchange, slice_from(prefix, sizeof(prefix)));
    return r < 0 || slice_is_empty(message) ? r : exchange_write(exchange, message);
}

/* The client broke the protocol of messages: `error` as grpc_frames_next gave it. */
static void refuse_flow(struct framed_call *framed, int error)
{
    struct grpc_call *call = &framed->call;
    switch (error) {
    case -EMSGSIZE:
        grpc_finishf(call, GRPC_RESOURCE_EXHAUSTED, "the message is longer than the %zu bytes that are taken here",
                     framed->frames.max_message_bytes);
        break;
    case -EPROTONOSUPPORT:
        if (framed->has_encoding)
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

static bool next_message(struct grpc_call *call, struct slice *bytes, struct slice *ret_message)
{
    struct framed_call *framed = framed_call(call);
    int r = grpc_frames_next(&framed->frames, bytes, ret_message);
    if (r < 0)
        refuse_flow(framed, r);
    return r == GRPC_FRAMES_MESSAGE;
}

static void hold_bytes(struct grpc_call *call, struct slice bytes)
{
    struct framed_call *framed = framed_call(call);
    int r = grpc_frames_hold(&framed->frames, bytes);
    if (r < 0)
        refuse_flow(framed, r);
}

static bool check_end(struct grpc_call *call)
{
    bool is_good = grpc_frames_is_empty(&framed_call(call)->frames);
    if (!is_good)
        grpc_finish(call, GRPC_INTERNAL, "the call ended in the middle of a message");
    return is_good;
}

static void free_call(struct grpc_call *call)
{
    struct framed_call *framed = framed_call(call);
    grpc_frames_deinit(&framed->frames);
    free(framed);
}

static const struct grpc_transport transport = {
    .next = next_message,
    .hold = hold_bytes,
    .end = check_end,
    .send = send_message,
    .send_status = send_status,
    .free = free_call,
};

static bool is_grpc(const struct exchange *exchange)
{
    struct slice type = grpc_field_value(exchange, HTTP_FIELD_CONTENT_TYPE);
    if (slice_equal_str(type, "application/grpc"))
        return true; /* what nearly all clients write */
    struct slice parameters = slice_split(type, ';', &type);
    (void)parameters;
    type = slice_trim(type);
    return slice_equal_nocase(type, SLICE_LIT("application/grpc")) ||
           slice_equal_nocase(type, SLICE_LIT("application/grpc+proto"));
}

/* What is no gRPC request at all gets an HTTP answer. True when it was refused. */
static bool refuse_http(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    if (!is_grpc(exchange))
        exchange_respond_text(exchange, 415, "this path takes gRPC: content-type application/grpc\n");
    else if (request->version_major != 2)
        exchange_respond_text(exchange, 505, "gRPC needs HTTP/2\n");
    else if (request->method != HTTP_METHOD_POST)
        exchange_respond_text(exchange, 405, "gRPC calls are made by POST\n");
    else
        return false;
    return true;
}

/* What the head asks of this call. False when it was refused. */
static bool read_head(struct framed_call *framed)
{
    struct grpc_call *call = &framed->call;
    struct slice encoding = grpc_field_value(call->exchange, HTTP_FIELD_GRPC_ENCODING);
    framed->has_encoding = encoding.len > 0 && !slice_equal_str(encoding, "identity");
    if (!slice_equal_nocase(grpc_field_value(call->exchange, HTTP_FIELD_TE), SLICE_LIT("trailers"))) {
        grpc_finish(call, GRPC_INTERNAL, "te: trailers is missing: something on the way may lose the status");
        return false;
    }
    if (grpc_call_read_timeout(call) < 0) {
        grpc_finish(call, GRPC_INTERNAL, "grpc-timeout is malformed");
        return false;
    }
    return true;
}

/* The words are those of other servers: "/package.Service/Method" is split at the last slash. */
static void refuse_path(struct exchange *exchange, bool has_service)
{
    char text[TEXT_MAX];
    struct slice service = slice_skip(exchange->request->path, 1);
    size_t len = service.len;
    while (len > 0 && service.ptr[len - 1] != '/')
        len--;
    struct slice method = slice_skip(service, len);
    service.len = len > 0 ? len - 1 : service.len;
    if (has_service)
        (void)snprintf(text, sizeof(text), "unknown method %.*s for service %.*s", SLICE_ARG(method),
                       SLICE_ARG(service));
    else
        (void)snprintf(text, sizeof(text), "unknown service %.*s", SLICE_ARG(service));
    grpc_refuse(exchange, GRPC_UNIMPLEMENTED, text);
}

bool grpc_refuse_unclaimed(struct exchange *exchange)
{
    bool is_call = exchange->request->version_major == 2 && is_grpc(exchange);
    if (is_call)
        refuse_path(exchange, false);
    return is_call;
}

void grpc_serve(const struct grpc_service *service, void *ctx, struct exchange *exchange)
{
    if (refuse_http(exchange))
        return;
    const struct grpc_method *method = grpc_find_method(service, exchange->request->path);
    if (!method) {
        refuse_path(exchange, true);
        return;
    }
    struct framed_call *framed = calloc(1, sizeof(*framed));
    if (!framed) {
        grpc_refuse(exchange, GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    grpc_frames_init(&framed->frames, service->max_message_bytes);
    grpc_call_init(&framed->call, &transport, method, ctx, exchange);
    if (read_head(framed))
        grpc_call_open(service, &framed->call);
}
