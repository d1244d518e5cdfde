/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway of this process: its last requests and why they went where they went, and what it has to do. The gateway
 * itself writes it (fronts/gateway_view.h); here it is asked, and for those only who may see it.
 */
#include "fronts/api/api_impl.h"
#include "fronts/gateway_view.h"
#include "wire/json_writer.h"

#include <stdlib.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

/* NULL: answered. service: NULL for all. */
static const struct gateway_view *gateway_of(struct api_call *call, const struct slice *service)
{
    const struct gateway_view *gateway = call->api->gateway;
    if (!api_may(call, ACCESS_READ, service ? *service : (struct slice){0}))
        return NULL;
    if (gateway && gateway->ctx)
        return gateway;
    api_refuse(call->exchange, 503, NULL, "this process has no gateway");
    return NULL;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "502", "5xx" or "none". False: answered. */
static bool read_status(struct api_call *call, struct gateway_query *query)
{
    const struct slice *value = api_query_get(call, "status");
    query->status_max = 999;
    if (!value)
        return true;
    const char *at = value->ptr;
    if (slice_equal_str(*value, "none")) {
        query->status_max = 0;
        return true;
    }
    if (value->len == 3 && is_digit(at[0]) && at[1] == 'x' && at[2] == 'x') {
        query->status_min = (unsigned)(at[0] - '0') * 100;
        query->status_max = query->status_min + 99;
        return true;
    }
    if (value->len == 3 && is_digit(at[0]) && is_digit(at[1]) && is_digit(at[2])) {
        query->status_min = (unsigned)(at[0] - '0') * 100 + (unsigned)(at[1] - '0') * 10 + (unsigned)(at[2] - '0');
        query->status_max = query->status_min;
        return true;
    }
    api_refuse(call->exchange, 400, NULL, "the parameter \"status\": expected a status such as 502, 5xx or none");
    return false;
}

void api_requests(struct api_call *call)
{
    const struct slice *id = api_query_get(call, "id"), *service = api_query_get(call, "service");
    struct gateway_query query = {0};
    uint64_t limit, since_ms;
    if (!read_status(call, &query) || !api_query_u64(call, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit) ||
        !api_query_u64(call, "since_ms", 0, 0, INT64_MAX, &since_ms))
        return;
    const struct gateway_view *gateway = gateway_of(call, service);
    if (!gateway)
        return;
    query.id = id ? *id : query.id;
    query.service = service ? *service : query.service;
    query.since_ms = (int64_t)since_ms;
    query.limit = (unsigned)limit;
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("requests"));
    gateway->write_requests(gateway->ctx, &query, &json);
    json_writer_end_object(&json);
    api_respond_json(call->exchange, &body);
}

void api_traffic(struct api_call *call)
{
    const struct slice *service = api_query_get(call, "service");
    const struct gateway_view *gateway = gateway_of(call, service);
    if (!gateway)
        return;
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    gateway->write_traffic(gateway->ctx, service ? *service : (struct slice){0}, &json);
    api_respond_json(call->exchange, &body);
}

/* ------------------------------------------------------------------------------------------------ who holds it */

/* A question to the gateway's workers, which the client may not wait for. */
struct holders_call {
    struct gateway_holders question;
    struct exchange *exchange; /* NULL: it is gone */
    char names[];
};

static void holders_close(struct exchange *exchange, enum exchange_end end)
{
    struct holders_call *asked = exchange->state;
    (void)end;
    if (asked)
        asked->exchange = NULL;
}

static void respond_holders(struct exchange *exchange, const struct gateway_holders *question)
{
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_bool(&json, SLICE_LIT("picked"), question->is_picked);
    json_writer_member_i64(&json, SLICE_LIT("in_flight"), (int64_t)question->n_in_flight);
    json_writer_key(&json, SLICE_LIT("holders"));
    json_writer_raw(&json, question->json);
    json_writer_end_object(&json);
    api_respond_json(exchange, &body);
}

static void on_holders(struct gateway_holders *question)
{
    struct holders_call *asked = container_of(question, struct holders_call, question);
    struct exchange *exchange = asked->exchange;
    if (exchange) {
        exchange->state = NULL;
        if (question->json.ptr)
            respond_holders(exchange, question);
        else
            api_refuse_memory(exchange);
    }
    free(asked);
}

void api_holders(struct api_call *call)
{
    static const struct exchange_app app = {.on_close = holders_close};
    const struct gateway_view *gateway = gateway_of(call, &call->service);
    if (!gateway)
        return;
    struct holders_call *asked = malloc(sizeof(*asked) + call->service.len + call->id.len);
    if (!asked) {
        api_refuse_memory(call->exchange);
        return;
    }
    *asked = (struct holders_call){
        .question = {.loop = call->worker->loop, .done = on_holders},
        .exchange = call->exchange,
    };
    memcpy(asked->names, call->service.ptr, call->service.len);
    asked->question.service = slice_from(asked->names, call->service.len);
    if (call->id.len > 0)
        memcpy(asked->names + call->service.len, call->id.ptr, call->id.len);
    asked->question.id = slice_from(asked->names + call->service.len, call->id.len);
    if (gateway->ask_holders(gateway->ctx, &asked->question) < 0) {
        free(asked);
        api_refuse_memory(call->exchange);
        return;
    }
    call->exchange->app = &app;
    call->exchange->state = asked;
}
