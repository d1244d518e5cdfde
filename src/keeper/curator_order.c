/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain and maintenance as documents of the store: "drain/<service>/<instance>" or "drain/<service>", the names spelt
 * as in keys, with
 *
 *     {"owner": "alice", "reason": "new kernel", "since_ms": 1700000000000, "until_ms": 0}
 *
 * They hold for names, so they survive re-registration and restarts.
 */
#include "keeper/curator_priv.h"

#include "catalog/instance_record.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <errno.h>

static const struct json_limits limits = {.n_bytes = 16 * 1024, .depth = 4};

struct slice curator_order_prefix(enum catalog_event_type type)
{
    return type == CATALOG_DRAIN ? SLICE_LIT("drain/") : SLICE_LIT("maintenance/");
}

static void write_value(struct buf *buf, const struct instance_order *order)
{
    struct json_writer json;
    json_writer_init(&json, buf);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("owner"), order->owner);
    json_writer_member_str(&json, SLICE_LIT("reason"), order->reason);
    json_writer_member_i64(&json, SLICE_LIT("since_ms"), order->since_ms);
    json_writer_member_i64(&json, SLICE_LIT("until_ms"), order->until_ms);
    json_writer_end_object(&json);
}

void curator_order_write(struct curator_request *request)
{
    buf_append(&request->key, curator_order_prefix(request->type == CURATOR_DRAIN ? CATALOG_DRAIN : CATALOG_MAINTAIN));
    instance_record_name(&request->key, request->service, request->id);
    if (request->order.since_ms != 0)
        write_value(&request->value, &request->order);
    request->store.type = STORE_DOC;
    request->store.doc.name = buf_slice(&request->key);
    request->store.doc.value = buf_slice(&request->value);
    request->store.doc.remove = request->order.since_ms == 0;
    request->store.doc.expected_version = -1;
}

static int read_text(json_t *object, const char *name, struct arena *arena, struct slice *ret_text)
{
    json_t *value = json_object_get(object, name);
    if (!json_is_string(value))
        return -EINVAL;
    return arena_copy(arena, slice_from(json_string_value(value), json_string_length(value)), ret_text);
}

static int read_value(struct slice value, struct arena *arena, struct instance_order *ret_order)
{
    json_auto_t *json = NULL;
    int r = json_parse(value, &limits, &json, NULL);
    if (r < 0)
        return r;
    r = read_text(json, "owner", arena, &ret_order->owner);
    if (r == 0)
        r = read_text(json, "reason", arena, &ret_order->reason);
    ret_order->since_ms = json_integer_value(json_object_get(json, "since_ms"));
    ret_order->until_ms = json_integer_value(json_object_get(json, "until_ms"));
    return r == 0 && ret_order->since_ms <= 0 ? -EINVAL : r;
}

int curator_order_read(struct slice name, struct slice value, struct arena *arena, struct catalog_event *ret_event)
{
    bool is_drain = slice_starts_with(name, curator_order_prefix(CATALOG_DRAIN));
    *ret_event = (struct catalog_event){.type = is_drain ? CATALOG_DRAIN : CATALOG_MAINTAIN};
    struct slice rest = slice_skip(name, curator_order_prefix(ret_event->type).len);
    int r = instance_record_split_name(rest, arena, &ret_event->order.service, &ret_event->order.id);
    if (r == INSTANCE_RECORD_NO_KEY)
        return -EINVAL;
    if (r == 0)
        r = read_value(value, arena, &ret_event->order.order);
    ret_event->order.actor = ret_event->order.order.owner;
    return r;
}
