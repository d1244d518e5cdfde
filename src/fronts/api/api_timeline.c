/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/api/api_history.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000

void api_timeline(struct api_call *call)
{
    const struct slice *service = api_query_get(call, "service"), *id = api_query_get(call, "instance");
    struct api_history asked = {0};
    struct api_entry *entries = NULL;
    unsigned n = 0;
    uint64_t limit, since_ms;
    if (!api_query_u64(call, "limit", LIMIT_DEFAULT, 1, LIMIT_MAX, &limit) ||
        !api_query_u64(call, "since_ms", 0, 0, INT64_MAX, &since_ms))
        return;
    if (id && !service) {
        api_refuse(call->exchange, 400, NULL, "\"instance\" needs the \"service\" that it belongs to");
        return;
    }
    asked.service = service ? *service : asked.service;
    asked.id = id ? *id : asked.id;
    asked.since_ms = (int64_t)since_ms;
    asked.limit = (unsigned)limit;
    if (!api_may(call, ACCESS_READ, asked.service))
        return;
    struct buf body = {0};
    struct json_writer json;
    if (api_history_read(call->api->store, &asked, &call->arena, &entries, &n) < 0) {
        api_refuse_memory(call->exchange);
        return;
    }
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("entries"));
    api_history_write(&json, entries, n);
    json_writer_end_object(&json);
    api_respond_json(call->exchange, &body);
}
