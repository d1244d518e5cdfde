/* SPDX-License-Identifier: Apache-2.0 */
#include "support/relay_kit.h"
#include "http/pour.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

struct relay {
    struct relay_kit *kit;
    struct exchange *exchange; /* NULL once it is over */
    struct client_call call;
    struct pool_wait wait;
    bool is_started, is_poured, has_head, is_ended;
    /* the request's head, until it is sent */
    struct http_request request;
    struct http_fields fields;
    char text[16 * 1024];
    size_t text_len;
};

static struct relay *relay_of(struct client_call *call)
{
    return container_of(call, struct relay, call);
}

static void free_if_over(struct relay *relay)
{
    if (relay->exchange || relay->call.connection || list_is_linked(&relay->wait.link))
        return;
    relay->kit->n_running--;
    free(relay);
}

/* -- the head is kept, since a connection may have to be waited for -- */

static struct slice keep(struct relay *relay, struct slice text)
{
    expect_true(text.len <= sizeof(relay->text) - relay->text_len);
    char *at = relay->text + relay->text_len;
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    relay->text_len += text.len;
    return slice_from(at, text.len);
}

static void keep_request(struct relay *relay, const struct http_request *request)
{
    relay->request = *request;
    relay->request.method_text = keep(relay, request->method_text);
    relay->request.target = keep(relay, request->target);
    relay->request.authority = keep(relay, request->authority);
    relay->request.fields = &relay->fields;
    relay->fields.n = request->fields->n;
    relay->fields.lines = keep(relay, request->fields->lines);
    for (unsigned i = 0; i < relay->fields.n; i++) {
        struct http_field field = request->fields->items[i];
        size_t name_at = (size_t)(field.name.ptr - request->fields->lines.ptr);
        size_t value_at = (size_t)(field.value.ptr - request->fields->lines.ptr);
        field.name.ptr = relay->fields.lines.ptr + name_at;
        field.value.ptr = relay->fields.lines.ptr + value_at;
        relay->fields.items[i] = field;
    }
}

/* -- the response -- */

static void on_info(struct client_call *call, const struct http_response *response)
{
    struct header_carry carry = {.fields = response->fields};
    exchange_inform(relay_of(call)->exchange, response->status, &carry, NULL, 0);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    struct relay *relay = relay_of(call);
    struct header_carry carry = {.fields = response->fields};
    relay->has_head = true;
    (void)exchange_begin_carry(relay->exchange, response->status, &carry, NULL, 0,
                               response->has_length ? response->content_length : EXCHANGE_LENGTH_UNKNOWN);
    if (relay->kit->pours && response->framing == HTTP_BODY_LENGTH && pour_response(call, relay->exchange) == 0) {
        relay->is_poured = true;
        relay->kit->n_poured++;
    }
}

static void on_body(struct client_call *call, struct slice bytes)
{
    struct relay *relay = relay_of(call);
    if (exchange_write(relay->exchange, bytes) == EXCHANGE_FULL)
        client_call_pause(call, true);
}

static unsigned headers_of(const struct http_fields *fields, struct header *ret_headers)
{
    for (unsigned i = 0; i < fields->n; i++)
        ret_headers[i] = (struct header){fields->items[i].name, fields->items[i].value};
    return fields->n;
}

static void on_trailers(struct client_call *call, const struct http_fields *trailers)
{
    struct relay *relay = relay_of(call);
    struct header headers[HTTP_FIELDS_MAX];
    exchange_end(relay->exchange, headers, headers_of(trailers, headers));
    relay->is_ended = true;
}

static void on_call_drain(struct client_call *call)
{
    exchange_pause(relay_of(call)->exchange, false);
}

static void on_call_done(struct client_call *call, int result)
{
    struct relay *relay = relay_of(call);
    relay->kit->n_body_bytes += call->n_body_bytes;
    if (result < 0) {
        relay->kit->n_failed++;
        if (relay->exchange && !relay->has_head)
            exchange_respond_text(relay->exchange, 502, "%s\n", call->fault ? call->fault : "no answer");
        else if (relay->exchange)
            exchange_abort(relay->exchange);
    } else {
        relay->kit->n_done++;
        if (!relay->is_poured && !relay->is_ended)
            exchange_end(relay->exchange, NULL, 0);
    }
    free_if_over(relay);
}

static void on_switch(struct client_call *call, const struct http_response *response, struct stream *stream,
                      struct slice early)
{
    struct relay *relay = relay_of(call);
    struct header_carry carry = {.fields = response->fields};
    struct tunnel tunnel = {stream, early, NSEC_PER_SEC, &relay->kit->tunnelled};
    expect_int(exchange_switch(relay->exchange, &carry, NULL, 0, &tunnel), 0);
}

static const struct client_events events = {
    .on_info = on_info,
    .on_head = on_head,
    .on_body = on_body,
    .on_drain = on_call_drain,
    .on_done = on_call_done,
    .on_switch = on_switch,
    .on_trailers = on_trailers,
};

/* -- the request -- */

static void start(struct relay *relay, struct client_connection *connection, const struct http_request *request)
{
    struct header_carry carry = {.fields = request->fields};
    relay->is_started = true;
    client_call_start(
        connection, &relay->call,
        &(struct client_request){
            .method = request->method_text,
            .target = request->target,
            .authority = request->authority,
            .carry = &carry,
            .may_switch = request->upgrade,
            .streamed = request->framing != HTTP_BODY_NONE,
            .content_length = request->framing == HTTP_BODY_LENGTH ? request->content_length : EXCHANGE_LENGTH_UNKNOWN,
        });
}

static void on_ready(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct relay *relay = container_of(wait, struct relay, wait);
    if (result < 0) {
        relay->kit->n_failed++;
        exchange_respond_text(relay->exchange, 502, "no connection: %d\n", result);
        return;
    }
    start(relay, connection, &relay->request);
    exchange_pause(relay->exchange, false);
}

static void exchange_body(struct exchange *exchange, struct slice bytes)
{
    struct relay *relay = exchange->state;
    if (relay->call.connection && client_call_write(&relay->call, bytes) == EXCHANGE_FULL)
        exchange_pause(exchange, true);
}

static void end_call(struct relay *relay, const struct header *trailers, unsigned n_trailers)
{
    if (relay->call.connection && relay->request.framing != HTTP_BODY_NONE)
        client_call_end(&relay->call, trailers, n_trailers);
    relay->request.framing = HTTP_BODY_NONE; /* once */
}

static void exchange_trailers(struct exchange *exchange, const struct http_fields *trailers)
{
    struct header headers[HTTP_FIELDS_MAX];
    end_call(exchange->state, headers, headers_of(trailers, headers));
}

static void exchange_ended(struct exchange *exchange)
{
    end_call(exchange->state, NULL, 0);
}

static void exchange_drained(struct exchange *exchange)
{
    struct relay *relay = exchange->state;
    if (relay->call.connection)
        client_call_pause(&relay->call, false);
}

static void exchange_closed(struct exchange *exchange, enum exchange_end end)
{
    struct relay *relay = exchange->state;
    (void)end;
    relay->exchange = NULL;
    pool_cancel(&relay->wait);
    client_call_cancel(&relay->call);
    free_if_over(relay);
}

static void on_request(void *ctx, struct exchange *exchange)
{
    static const struct exchange_app app = {
        .on_body = exchange_body,
        .on_end = exchange_ended,
        .on_drain = exchange_drained,
        .on_close = exchange_closed,
        .on_trailers = exchange_trailers,
    };
    struct relay_kit *kit = ctx;
    struct relay *relay = malloc(sizeof(*relay));
    struct client_connection *connection;
    expect_true(relay != NULL);
    relay->kit = kit;
    relay->exchange = exchange;
    relay->call = (struct client_call){.events = &events};
    relay->wait.on_ready = on_ready;
    relay->is_started = relay->is_poured = relay->has_head = relay->is_ended = false;
    relay->text_len = 0;
    kit->n_running++;
    exchange->app = &app;
    exchange->state = relay;
    exchange_hold_continue(exchange);
    relay->request.framing = exchange->request->framing;
    int r = pool_place_get(kit->place, &kit->want, &relay->wait, &connection);
    if (r == 0) {
        start(relay, connection, exchange->request);
    } else if (r == POOL_WAIT) {
        keep_request(relay, exchange->request);
        exchange_pause(exchange, true);
    } else {
        exchange_respond_text(exchange, 503, "no connection: %d\n", r);
    }
}

void relay_kit_init(struct relay_kit *kit, struct loop *loop, const struct pool_options *options,
                    const struct addr *addr)
{
    struct pool_key key = {.addr = *addr, .server_name = SLICE_LIT("")};
    *kit = (struct relay_kit){.handler = {on_request, kit}, .want.idle_max_ns = NSEC_NEVER, .pours = true};
    expect_int(pool_new(loop, options, &kit->pool), 0);
    expect_int(pool_place_new(kit->pool, &key, &kit->place), 0);
}

void relay_kit_deinit(struct relay_kit *kit)
{
    expect_int(kit->n_running, 0);
    pool_place_free(kit->place);
    pool_free(kit->pool);
}
