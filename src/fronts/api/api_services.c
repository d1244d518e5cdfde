/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services as they are now. A small answer is sent at once; a large one is poured out piece by piece as its client
 * reads, from the text that all who ask for it share.
 */
#include "base/assert.h"
#include "base/util.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#include <stdlib.h>

#define PIECE_BYTES   ((size_t)64 * 1024)
#define LIMIT_DEFAULT API_PAGE_MAX

/* ------------------------------------------------------------------------------------------------ the list */

static void write_services(struct json_writer *json, const struct api_page *page)
{
    json_writer_key(json, SLICE_LIT("services"));
    json_writer_begin_array(json);
    for (unsigned i = 0; i < page->n; i++) {
        const struct directory_service *service = page->services[i];
        json_writer_begin_object(json);
        json_writer_member_str(json, SLICE_LIT("name"), directory_name(service));
        json_writer_member_i64(json, SLICE_LIT("instances"), service->n_instances);
        json_writer_member_i64(json, SLICE_LIT("offered"), service->n_offered);
        json_writer_member_i64(json, SLICE_LIT("revision"), service->revision);
        json_writer_end_object(json);
    }
    json_writer_end_array(json);
}

void api_list_services(struct api_call *call)
{
    const struct slice none = {0};
    const struct slice *prefix = api_query_get(call, "prefix"), *after = api_query_get(call, "after");
    struct api_page page;
    struct buf body = {0};
    struct json_writer json;
    uint64_t limit;
    if (!api_query_u64(call, "limit", LIMIT_DEFAULT, 1, API_PAGE_MAX, &limit) || !api_may(call, ACCESS_READ, none))
        return;
    int64_t revision = api_revision(call->api);
    api_page_read(api_directory(call->api), prefix ? *prefix : none, after ? *after : none, (unsigned)limit, &page);
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("revision"), revision);
    write_services(&json, &page);
    if (page.has_more)
        json_writer_member_str(&json, SLICE_LIT("next"), directory_name(page.services[page.n - 1]));
    json_writer_end_object(&json);
    api_respond_json(call->exchange, &body);
}

/* ------------------------------------------------------------------------------------------------ one of them */

struct pouring {
    struct api_text *text;
    size_t offset;
};

static void pour(struct exchange *exchange)
{
    struct pouring *pouring = exchange->state;
    struct slice rest = slice_skip(buf_slice(&pouring->text->text), pouring->offset);
    while (rest.len > 0) {
        struct slice piece = {rest.ptr, min_size(rest.len, PIECE_BYTES)};
        rest = slice_skip(rest, piece.len);
        pouring->offset += piece.len;
        int r = exchange_write(exchange, piece);
        if (r < 0 || (r == EXCHANGE_FULL && rest.len > 0))
            return; /* on_close follows, or on_drain */
    }
    exchange_end(exchange, NULL, 0);
}

static void on_drain(struct exchange *exchange)
{
    struct pouring *pouring = exchange->state;
    if (pouring->offset < pouring->text->text.len)
        pour(exchange);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct pouring *pouring = exchange->state;
    (void)end;
    api_text_unref(pouring->text);
    free(pouring);
}

static const struct exchange_app pouring_app = {.on_drain = on_drain, .on_close = on_close};

static void respond_text(struct exchange *exchange, struct api_text *text)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    struct slice body = buf_slice(&text->text);
    struct pouring *pouring = body.len > PIECE_BYTES ? malloc(sizeof(*pouring)) : NULL;
    if (!pouring) {
        exchange_respond(exchange, 200, headers, ARRAY_LEN(headers), body);
        api_text_unref(text);
        return;
    }
    *pouring = (struct pouring){.text = text};
    exchange->state = pouring;
    exchange->app = &pouring_app;
    if (exchange_begin(exchange, 200, headers, ARRAY_LEN(headers), body.len) == 0)
        pour(exchange);
}

static void show_now(struct api_call *call, bool is_offered_only)
{
    const struct directory_service *service = directory_find(api_directory(call->api), call->service);
    if (!service) {
        api_refuse_unknown(call);
        return;
    }
    struct api_text *text = api_cache_service(call->worker, service, is_offered_only);
    if (text)
        respond_text(call->exchange, text);
    else
        api_refuse(call->exchange, 503, NULL, "out of memory, or the answer is longer than %zu bytes", API_TEXT_MAX);
}

void api_show_service(struct api_call *call)
{
    const struct slice *at = api_query_get(call, "at");
    bool is_offered_only;
    if (!api_query_bool(call, "offered", &is_offered_only) || !api_may(call, ACCESS_READ, call->service))
        return;
    if (at && is_offered_only)
        api_refuse(call->exchange, 400, NULL, "\"offered\" is about now, \"at\" about another time: one of them");
    else if (at)
        api_show_service_at(call, *at);
    else
        show_now(call, is_offered_only);
}
