/* SPDX-License-Identifier: Apache-2.0 */
#include "support/etcd_kit.h"

#include "base/assert.h"
#include "base/rcu.h"
#include "fronts/router.h"
#include "http/exchange_impl.h"
#include "http/grpc_frames.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static struct etcd_call *call_of(const struct exchange *exchange)
{
    return container_of((uintptr_t)exchange, struct etcd_call, exchange);
}

/* ------------------------------------------------------------------------------------------------ the exchange */

/* What grpc.c says in headers or trailers. */
static void note_headers(struct etcd_call *call, const struct header *headers, unsigned n_headers)
{
    for (unsigned i = 0; i < n_headers; i++) {
        uint64_t number;
        if (slice_equal_str(headers[i].name, "grpc-status") && slice_parse_u64(headers[i].value, &number) == 0)
            call->status = (int)number;
        else if (slice_equal_str(headers[i].name, "grpc-message"))
            (void)snprintf(call->message, sizeof(call->message), "%.*s", SLICE_ARG(headers[i].value));
    }
}

static void ops_respond(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                        struct slice body)
{
    (void)body;
    expect_int(status, 200);
    note_headers(call_of(exchange), headers, n_headers);
}

static int ops_begin(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                     const struct header *headers, unsigned n_headers, uint64_t content_length)
{
    (void)carry, (void)content_length;
    expect_int(status, 200);
    note_headers(call_of(exchange), headers, n_headers);
    return 0;
}

static int ops_write(struct exchange *exchange, struct slice bytes)
{
    struct etcd_call *call = call_of(exchange);
    if (call->is_broken)
        return -EPIPE;
    call->n_written_full += call->is_full;
    int r = buf_append(&call->body, bytes);
    call->is_broken = r < 0;
    return r < 0 ? r : call->is_full ? EXCHANGE_FULL : 0;
}

static void ops_end(struct exchange *exchange, const struct header *trailers, unsigned n_trailers)
{
    note_headers(call_of(exchange), trailers, n_trailers);
}

static void ops_abort(struct exchange *exchange)
{
    call_of(exchange)->is_broken = true;
}

static void ops_pause(struct exchange *exchange, bool paused)
{
    call_of(exchange)->is_paused = paused;
}

static void ops_set_idle_timeout(struct exchange *exchange, nsec_t timeout_ns)
{
    (void)exchange, (void)timeout_ns;
}

static struct loop *ops_loop(const struct exchange *exchange)
{
    return call_of(exchange)->kit->loop;
}

static const struct peer *ops_peer(const struct exchange *exchange)
{
    return &call_of(exchange)->peer;
}

static struct stream *ops_stream(const struct exchange *exchange)
{
    return call_of(exchange)->kit->stream;
}

static const struct exchange_ops call_ops = {
    .respond = ops_respond,
    .begin = ops_begin,
    .write = ops_write,
    .end = ops_end,
    .abort = ops_abort,
    .pause = ops_pause,
    .set_idle_timeout = ops_set_idle_timeout,
    .loop = ops_loop,
    .peer = ops_peer,
    .stream = ops_stream,
};

/* ------------------------------------------------------------------------------------------------ the kit */

static uint64_t memory_bytes(void *ctx)
{
    (void)ctx;
    return 123456;
}

int etcd_kit_try_new(struct etcd_kit **ret_kit)
{
    struct etcd_kit *kit = calloc(1, sizeof(*kit));
    if (!kit)
        return -ENOMEM;
    rcu_init(&kit->rcu);
    list_init(&kit->calls);
    int r = sim_new(&kit->rcu, &kit->sim, &kit->loop);
    if (r == 0)
        r = fake_store_new(kit->loop, &kit->rcu, &kit->store);
    if (r == 0)
        r = sim_pair(kit->sim, NULL, &kit->stream, &kit->far_stream);
    kit->listeners[0] = (struct system_listener){.role = "gateway", .address = "127.0.0.1:8080"};
    kit->listeners[1] = (struct system_listener){.role = "registry", .address = "127.0.0.1:2379"};
    kit->listeners[2] = (struct system_listener){.role = "registry", .address = "[::]:9999"};
    kit->facts = (struct system_facts){.n_listeners = ARRAY_LEN(kit->listeners), .listeners = kit->listeners};
    kit->system = (struct system_view){.facts = &kit->facts, .memory_bytes = memory_bytes};
    if (r == 0)
        r = fault_store_new(kit->store, &kit->faulty);
    const struct front_env env = {
        .store = kit->faulty,
        .system = &kit->system,
        .rcu = &kit->rcu,
        .access = &kit->access,
        .auth.bcrypt_cost = 4,
    };
    struct err err;
    if (r == 0)
        r = etcd_front.create(&env, &kit->front, &err);
    if (r < 0) {
        etcd_kit_free(kit);
        return r;
    }
    *ret_kit = kit;
    return 0;
}

struct etcd_kit *etcd_kit_new(void)
{
    struct etcd_kit *kit;
    expect_int(etcd_kit_try_new(&kit), 0);
    etcd_kit_run(kit);
    return kit;
}

static void close_call(struct etcd_call *call, enum exchange_end end)
{
    if (call->is_closed)
        return;
    call->is_closed = true;
    if (call->exchange.app)
        call->exchange.app->on_close(&call->exchange, end);
}

static void free_call(struct etcd_call *call)
{
    for (unsigned i = 0; i < call->n_heard; i++)
        protobuf_c_message_free_unpacked(call->heard_messages[i], NULL);
    buf_deinit(&call->body);
    free(call);
}

void etcd_kit_free(struct etcd_kit *kit)
{
    list_for_each (link, &kit->calls)
        close_call(container_of(link, struct etcd_call, link), EXCHANGE_SHUTDOWN);
    if (kit->loop)
        loop_settle(kit->loop);
    if (kit->front)
        etcd_front.destroy(kit->front);
    list_for_each (link, &kit->calls)
        free_call(container_of(link, struct etcd_call, link));
    fault_store_free(kit->faulty);
    if (kit->store)
        fake_store_free(kit->store);
    if (kit->stream) {
        stream_close(kit->stream);
        stream_close(kit->far_stream);
    }
    if (kit->loop)
        loop_free(kit->loop);
    rcu_deinit(&kit->rcu);
    free(kit);
}

void etcd_kit_run(struct etcd_kit *kit)
{
    etcd_kit_run_for(kit, 0);
}

/* What is answered, or broken, is closed in a later turn. */
void etcd_kit_run_for(struct etcd_kit *kit, nsec_t duration_ns)
{
    sim_run_for(kit->sim, duration_ns);
    list_for_each (link, &kit->calls) {
        struct etcd_call *call = container_of(link, struct etcd_call, link);
        if (call->status != ETCD_NO_STATUS || call->is_broken)
            close_call(call, call->is_broken ? EXCHANGE_ABORTED : EXCHANGE_DONE);
    }
    sim_run_for(kit->sim, 0);
}

struct etcd_call *etcd_call_prepare(struct etcd_kit *kit, const char *method)
{
    struct etcd_call *call = calloc(1, sizeof(*call));
    expect_true(call != NULL);
    call->exchange = (struct exchange){.ops = &call_ops, .request = &call->request};
    call->kit = kit;
    call->status = ETCD_NO_STATUS;
    call->peer = (struct peer){.family = AF_INET, .port = 4711, .ip = {10, 0, 0, 7}};
    (void)snprintf(call->path, sizeof(call->path), "%s%s", method[0] == '/' ? "" : "/etcdserverpb.", method);
    call->fields.items[0] =
        (struct http_field){SLICE_LIT("content-type"), SLICE_LIT("application/grpc"), HTTP_FIELD_CONTENT_TYPE};
    call->fields.items[1] = (struct http_field){SLICE_LIT("te"), SLICE_LIT("trailers"), HTTP_FIELD_TE};
    call->fields.n = 2;
    call->request = (struct http_request){
        .method = HTTP_METHOD_POST,
        .version_major = 2,
        .path = slice_from_str(call->path),
        .authority = SLICE_LIT("registry.example:9999"),
        .fields = &call->fields,
    };
    list_init(&call->link);
    list_push_back(&kit->calls, &call->link);
    return call;
}

void etcd_call_add_field(struct etcd_call *call, const char *name, const char *value)
{
    struct slice key = slice_from_str(name);
    call->fields.items[call->fields.n++] = (struct http_field){key, slice_from_str(value), http_field_find(key)};
}

/* As the router would find it. */
void etcd_call_open(struct etcd_call *call)
{
    const struct front_path *path = etcd_front.paths;
    while (!slice_starts_with(call->request.path, path->path))
        expect_true(++path < etcd_front.paths + etcd_front.n_paths);
    path->on_request(call->kit->front, &call->exchange);
    call->exchange.request = NULL;
}

struct etcd_call *etcd_call_new(struct etcd_kit *kit, const char *method)
{
    struct etcd_call *call = etcd_call_prepare(kit, method);
    etcd_call_open(call);
    return call;
}

void etcd_say_bytes(struct etcd_call *call, struct slice message)
{
    if (call->is_closed)
        return;
    struct buf frame = {0};
    char prefix[GRPC_PREFIX_BYTES];
    grpc_frames_prefix(message.len, prefix);
    expect_int(buf_append(&frame, slice_from(prefix, sizeof(prefix))), 0);
    expect_int(buf_append(&frame, message), 0);
    call->exchange.app->on_body(&call->exchange, buf_slice(&frame));
    buf_deinit(&frame);
    etcd_kit_run(call->kit);
}

void etcd_say(struct etcd_call *call, const ProtobufCMessage *message)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    expect_true(bytes != NULL);
    (void)protobuf_c_message_pack(message, bytes);
    etcd_say_bytes(call, slice_from(bytes, len));
    free(bytes);
}

void etcd_end(struct etcd_call *call)
{
    if (!call->is_closed)
        call->exchange.app->on_end(&call->exchange);
    etcd_kit_run(call->kit);
}

void etcd_abort(struct etcd_call *call)
{
    close_call(call, EXCHANGE_ABORTED);
    etcd_kit_run(call->kit);
}

void etcd_drain(struct etcd_call *call)
{
    call->is_full = false;
    if (!call->is_closed)
        call->exchange.app->on_drain(&call->exchange);
    etcd_kit_run(call->kit);
}

struct etcd_call *etcd_ask(struct etcd_kit *kit, const char *method, const ProtobufCMessage *message)
{
    struct etcd_call *call = etcd_call_new(kit, method);
    etcd_say(call, message);
    etcd_end(call);
    return call;
}

struct etcd_call *etcd_ask_as(struct etcd_kit *kit, const char *token, const char *method,
                              const ProtobufCMessage *message)
{
    struct etcd_call *call = etcd_call_prepare(kit, method);
    if (token)
        etcd_call_add_field(call, "token", token);
    etcd_call_open(call);
    etcd_say(call, message);
    etcd_end(call);
    while (call->status == ETCD_NO_STATUS) {
        (void)sched_yield();
        etcd_kit_run(kit);
    }
    return call;
}

void *etcd_hear(struct etcd_call *call, const ProtobufCMessageDescriptor *type)
{
    struct slice rest = slice_skip(buf_slice(&call->body), call->heard);
    if (slice_is_empty(rest))
        return NULL;
    expect_true(rest.len >= GRPC_PREFIX_BYTES && rest.ptr[0] == 0);
    const unsigned char *prefix = (const unsigned char *)rest.ptr;
    size_t len = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 | prefix[4];
    expect_true(rest.len >= GRPC_PREFIX_BYTES + len);
    ProtobufCMessage *message = protobuf_c_message_unpack(type, NULL, len, prefix + GRPC_PREFIX_BYTES);
    expect_true(message != NULL);
    expect_true(call->n_heard < ARRAY_LEN(call->heard_messages));
    call->heard_messages[call->n_heard++] = message;
    call->heard += GRPC_PREFIX_BYTES + len;
    return message;
}
