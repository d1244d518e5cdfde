/* SPDX-License-Identifier: Apache-2.0 */
#include "support/h2_kit.h"

#include "base/assert.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the answer to /N. */
#define LENGTH_MAX ((uint64_t)10 * 1000 * 1000)

/* --- the front end --- */

void kit_note(struct kit *kit, const char *fmt, ...)
{
    size_t len = strlen(kit->trace);
    va_list args;
    if (len > 0 && len < sizeof(kit->trace) - 1)
        kit->trace[len++] = ' ';
    va_start(args, fmt);
    (void)vsnprintf(kit->trace + len, sizeof(kit->trace) - len, fmt, args);
    va_end(args);
}

const char *kit_end_name(enum exchange_end end)
{
    static const char *const names[] = {"done", "aborted", "timeout", "shutdown"};
    return names[end];
}

static void on_body(struct exchange *exchange, struct slice bytes)
{
    kit_note(exchange->state, "body:%zu", bytes.len);
}

static void on_end(struct exchange *exchange)
{
    kit_note(exchange->state, "end");
}

static void on_drain(struct exchange *exchange)
{
    kit_note(exchange->state, "drain");
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct kit *kit = exchange->state;
    kit_note(kit, "close:%s", kit_end_name(end));
    for (unsigned i = 0; i < kit->n_held; i++)
        if (kit->held[i] == exchange)
            kit->held[i] = NULL;
}

static const struct exchange_app hold_app = {
    .on_body = on_body,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_close = on_close,
};

static void echo_body(struct exchange *exchange, struct slice bytes)
{
    kit_note(exchange->state, "echo:%zu", bytes.len);
    (void)exchange_write(exchange, bytes);
}

static void echo_end(struct exchange *exchange)
{
    static const struct header trailer = {SLICE_LIT("x-end"), SLICE_LIT("yes")};
    exchange_end(exchange, &trailer, 1);
}

static const struct exchange_app echo_app = {
    .on_body = echo_body,
    .on_end = echo_end,
    .on_drain = on_drain,
    .on_close = on_close,
};
static const struct exchange_app collect_app = {.on_close = on_close};

static void on_whole(struct exchange *exchange, struct slice body)
{
    kit_note(exchange->state, "whole:%zu", body.len);
    exchange_respond(exchange, 200, NULL, 0, body);
}

static void hold(struct kit *kit, struct exchange *exchange, bool paused)
{
    exchange->app = &hold_app;
    if (paused)
        exchange_pause(exchange, true);
    if (kit->n_held < KIT_ANSWERS)
        kit->held[kit->n_held++] = exchange;
}

static void respond_with(struct exchange *exchange, size_t n)
{
    static const struct header type = {SLICE_LIT("content-type"), SLICE_LIT("text/plain")};
    char *bytes = malloc(n + 1);
    if (!bytes) {
        exchange_respond_text(exchange, 503, "out of memory\n");
        return;
    }
    memset(bytes, 'x', n);
    exchange_respond(exchange, 200, &type, 1, slice_from(bytes, n));
    free(bytes);
}

static void on_request(void *ctx, struct exchange *exchange)
{
    struct kit *kit = ctx;
    struct slice path = exchange->request->path;
    uint64_t n;
    if (kit->serve) {
        kit->serve(kit, exchange);
        return;
    }
    exchange->state = kit;
    kit_note(kit, "request");
    if (slice_equal_str(path, "/hello")) {
        exchange_respond_text(exchange, 200, "hello\n");
    } else if (slice_parse_u64(slice_skip(path, 1), &n) == 0 && n <= LENGTH_MAX) {
        respond_with(exchange, n);
    } else if (slice_equal_str(path, "/collect")) {
        exchange->app = &collect_app;
        exchange_collect(exchange, 1000, on_whole);
    } else if (slice_equal_str(path, "/echo")) {
        exchange->app = &echo_app;
        (void)exchange_begin(exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN);
    } else if (slice_equal_str(path, "/hold") || slice_equal_str(path, "/pause")) {
        hold(kit, exchange, slice_equal_str(path, "/pause"));
    } else {
        exchange_respond_text(exchange, 404, "no such path\n");
    }
}

/* --- the client --- */

struct kit_answer *kit_answer(struct kit *kit, int32_t id)
{
    static struct kit_answer ignored; /* of streams beyond those kept */
    return id > 0 && id / 2 < KIT_ANSWERS ? &kit->answers[id / 2] : &ignored;
}

static void append_field(char *text, size_t size, struct slice name, struct slice value)
{
    size_t len = strlen(text);
    (void)snprintf(text + len, size - len, "%.*s: %.*s\n", SLICE_ARG(name), SLICE_ARG(value));
}

static int client_on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_len,
                            const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
{
    struct kit_answer *answer = kit_answer(ctx, frame->hd.stream_id);
    (void)ng, (void)flags;
    if (slice_equal_str(slice_from(name, name_len), ":status")) {
        unsigned status = (unsigned)strtoul((const char *)value, NULL, 10);
        if (status == 100)
            answer->n_continues++;
        else
            answer->status = status;
    } else if (frame->headers.cat == NGHTTP2_HCAT_HEADERS && answer->n_continues == 0) {
        append_field(answer->trailers, sizeof(answer->trailers), slice_from(name, name_len),
                     slice_from(value, value_len));
    } else {
        append_field(answer->fields, sizeof(answer->fields), slice_from(name, name_len), slice_from(value, value_len));
    }
    return 0;
}

static int client_on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t len, void *ctx)
{
    struct kit *kit = ctx;
    struct kit_answer *answer = kit_answer(kit, id);
    (void)flags;
    if (answer->n_body < KIT_BODY_KEPT - 1)
        memcpy(answer->body + answer->n_body, bytes, min_size(len, KIT_BODY_KEPT - 1 - answer->n_body));
    answer->n_body += len;
    return kit->is_stingy ? 0 : nghttp2_session_consume(ng, id, len);
}

static int client_on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
    struct kit *kit = ctx;
    (void)ng;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
    case NGHTTP2_HEADERS:
        if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            kit_answer(kit, frame->hd.stream_id)->is_ended = true;
        break;
    case NGHTTP2_GOAWAY:
        kit->n_goaways++;
        kit->goaway_last_id = frame->goaway.last_stream_id;
        kit->goaway_code = frame->goaway.error_code;
        break;
    case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK)
            kit->n_acks++;
        else
            kit->n_pings++;
        break;
    case NGHTTP2_RST_STREAM:
        kit->n_resets++;
        break;
    case NGHTTP2_SETTINGS:
        kit->n_settings++;
        break;
    default:
        break;
    }
    return 0;
}

static int client_on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
    struct kit_answer *answer = kit_answer(ctx, id);
    (void)ng;
    answer->is_closed = true;
    answer->code = code;
    return 0;
}

/* The body that kit_data sends is in the data source, which is the stream's user data. */
struct upload {
    const char *bytes;
    size_t left;
    bool is_last;
};

static ssize_t client_on_read(nghttp2_session *ng, int32_t id, uint8_t *ret_bytes, size_t len, uint32_t *ret_flags,
                              nghttp2_data_source *source, void *ctx)
{
    struct upload *upload = source->ptr;
    (void)ng, (void)id, (void)ctx;
    size_t n = min_size(len, upload->left);
    memcpy(ret_bytes, upload->bytes, n);
    upload->bytes += n;
    upload->left -= n;
    if (upload->left == 0)
        *ret_flags |= NGHTTP2_DATA_FLAG_EOF | (upload->is_last ? 0 : NGHTTP2_DATA_FLAG_NO_END_STREAM);
    return (ssize_t)n;
}

static int open_client(struct kit *kit)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    expect_int(nghttp2_session_callbacks_new(&callbacks), 0);
    expect_int(nghttp2_option_new(&option), 0);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, client_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, client_on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, client_on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, client_on_close);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* to be able to break its rules */
    nghttp2_option_set_max_send_header_block_length(option, 1024 * 1024);
    expect_int(nghttp2_session_client_new2(&kit->client, callbacks, kit, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    return nghttp2_submit_settings(kit->client, NGHTTP2_FLAG_NONE, NULL, 0);
}

/* --- the connection --- */

static ssize_t counting_sendv(struct stream *stream, const struct iovec *iov, int n_iov)
{
    const struct kit_ops *ops = (const struct kit_ops *)stream->ops;
    ++*ops->n_sends;
    return ops->real->sendv(stream, iov, n_iov);
}

int kit_try_new(const struct http_server_options *options, const struct sim_options *network, struct kit **ret_kit)
{
    static const struct peer peer = {.family = AF_INET, .port = 4711, .ip = {127, 0, 0, 1}};
    struct http_server_options defaults;
    struct kit *kit = calloc(1, sizeof(*kit));
    if (!kit)
        return -ENOMEM;
    http_server_options_init(&defaults);
    int r = sim_new(NULL, &kit->sim, &kit->loop);
    if (r == 0)
        r = http_server_new(kit->loop, options ? options : &defaults,
                            &(struct exchange_handler){.on_request = on_request, .ctx = kit}, NULL, 0, &kit->server);
    if (r == 0)
        r = sim_pair(kit->sim, network, &kit->near, &kit->far);
    if (r == 0) {
        kit->near_ops = (struct kit_ops){*kit->near->ops, kit->near->ops, &kit->n_sends};
        kit->near_ops.ops.sendv = counting_sendv;
        kit->near->ops = &kit->near_ops.ops;
        http_server_adopt(kit->server, kit->near, &peer);
        r = open_client(kit);
    }
    if (r < 0) {
        kit_free(kit);
        return r;
    }
    *ret_kit = kit;
    return 0;
}

struct kit *kit_new(const struct http_server_options *options, const struct sim_options *network)
{
    struct kit *kit;
    expect_int(kit_try_new(options, network, &kit), 0);
    return kit;
}

struct kit *kit_ready(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    kit_run(kit);
    kit->n_sends = 0;
    return kit;
}

void kit_expect_alive(struct kit *kit)
{
    int32_t id = kit_get(kit, "/hello");
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 200);
    expect_int(kit->n_goaways, 0);
}

void kit_free(struct kit *kit)
{
    http_server_free(kit->server);
    stream_close(kit->far);
    nghttp2_session_del(kit->client);
    loop_free(kit->loop);
    free(kit);
}

/* True when the client had something to send. */
static bool client_send(struct kit *kit)
{
    const uint8_t *bytes;
    ssize_t n = kit->client ? nghttp2_session_mem_send(kit->client, &bytes) : 0;
    if (n <= 0)
        return false;
    kit_raw(kit, slice_from(bytes, (size_t)n));
    return true;
}

/* True when something came. */
static bool client_receive(struct kit *kit)
{
    char bytes[16 * 1024];
    if (kit->is_deaf || kit->is_closed || !kit->client)
        return false;
    ssize_t n = stream_recv(kit->far, bytes, sizeof(bytes));
    if (n == -EAGAIN)
        return false;
    if (n <= 0) {
        kit->is_closed = true;
        return false;
    }
    ssize_t r = nghttp2_session_mem_recv(kit->client, (const uint8_t *)bytes, (size_t)n);
    if (r < 0)
        kit->error = (int)r;
    return true;
}

static void exchange_all(struct kit *kit)
{
    bool busy;
    do {
        busy = false;
        while (client_send(kit))
            busy = true;
        sim_run_for(kit->sim, 0);
        while (client_receive(kit))
            busy = true;
    } while (busy);
}

void kit_run(struct kit *kit)
{
    exchange_all(kit);
}

void kit_run_for(struct kit *kit, nsec_t duration_ns)
{
    exchange_all(kit);
    sim_run_for(kit->sim, duration_ns);
    exchange_all(kit);
}

/* The network may take only part at a time. */
void kit_raw(struct kit *kit, struct slice bytes)
{
    while (bytes.len > 0 && !kit->is_closed) {
        ssize_t n = stream_send(kit->far, bytes);
        if (n > 0) {
            bytes = slice_skip(bytes, (size_t)n);
        } else if (n != -EAGAIN) {
            kit->is_closed = true;
        } else {
            sim_run_for(kit->sim, 0);
            if (!client_receive(kit) && !(kit->far->bits & STREAM_WRITABLE)) {
                kit->error = -EAGAIN; /* the server does not take it either */
                return;
            }
        }
    }
}

void kit_frame(struct kit *kit, uint8_t type, uint8_t flags, int32_t id, struct slice payload)
{
    char head[9] = {(char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len, (char)type, (char)flags};
    uint32_t wire_id = htonl((uint32_t)id);
    memcpy(head + 5, &wire_id, sizeof(wire_id));
    kit_raw(kit, slice_from(head, sizeof(head)));
    kit_raw(kit, payload);
}

static size_t add_pairs(nghttp2_nv *nv, size_t n, const char *const *pairs)
{
    for (; pairs && pairs[0]; pairs += 2, n++) {
        ASSERT(n < 200);
        nv[n] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)pairs[0],
            .value = (uint8_t *)(uintptr_t)pairs[1],
            .namelen = strlen(pairs[0]),
            .valuelen = strlen(pairs[1]),
        };
    }
    return n;
}

static int32_t submit(struct kit *kit, const nghttp2_nv *nv, size_t n, bool has_body)
{
    int32_t id = nghttp2_submit_headers(kit->client, has_body ? NGHTTP2_FLAG_NONE : NGHTTP2_FLAG_END_STREAM, -1, NULL,
                                        nv, n, NULL);
    while (client_send(kit))
        continue;
    return id;
}

int32_t kit_request(struct kit *kit, const char *method, const char *path, bool has_body, const char *const *fields)
{
    nghttp2_nv nv[200];
    const char *const head[] = {":method", method, ":scheme", "http", ":authority", "muster.test", ":path", path, NULL};
    size_t n = add_pairs(nv, 0, head);
    n = add_pairs(nv, n, fields);
    return submit(kit, nv, n, has_body);
}

int32_t kit_request_raw(struct kit *kit, bool has_body, const char *const *pairs)
{
    nghttp2_nv nv[200];
    size_t n = add_pairs(nv, 0, pairs);
    return submit(kit, nv, n, has_body);
}

int32_t kit_get(struct kit *kit, const char *path)
{
    return kit_request(kit, "GET", path, false, NULL);
}

void kit_data(struct kit *kit, int32_t id, struct slice bytes, bool is_last)
{
    struct upload upload = {bytes.ptr, bytes.len, is_last};
    nghttp2_data_provider provider = {.source.ptr = &upload, .read_callback = client_on_read};
    int r = nghttp2_submit_data(kit->client, is_last ? NGHTTP2_FLAG_END_STREAM : NGHTTP2_FLAG_NONE, id, &provider);
    if (r < 0)
        kit->error = r;
    kit_run(kit);
    if (upload.left > 0 && !kit_answer(kit, id)->is_closed) { /* the server holds it back, but it leaves the stack */
        kit->error = -ENOBUFS;
        nghttp2_session_del(kit->client);
        kit->client = NULL;
    }
}

void kit_trailers(struct kit *kit, int32_t id, const char *const *pairs)
{
    nghttp2_nv nv[200];
    size_t n = add_pairs(nv, 0, pairs);
    int r = nghttp2_submit_headers(kit->client, NGHTTP2_FLAG_END_STREAM, id, NULL, nv, n, NULL);
    if (r < 0)
        kit->error = r;
    kit_run(kit);
}

void kit_reset(struct kit *kit, int32_t id)
{
    int r = nghttp2_submit_rst_stream(kit->client, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    if (r < 0)
        kit->error = r;
    while (client_send(kit))
        continue;
}
