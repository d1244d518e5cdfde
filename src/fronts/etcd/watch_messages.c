/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/etcd/watch_messages.h"

static const struct pb_member create_members[] = {
    [1] = PB_MEMBER(struct watch_request, key, PB_BYTES),
    [2] = PB_MEMBER(struct watch_request, end, PB_BYTES),
    [3] = PB_MEMBER(struct watch_request, start_revision, PB_INT64),
    [4] = PB_MEMBER(struct watch_request, wants_progress, PB_BOOL),
    [6] = PB_MEMBER(struct watch_request, wants_prev, PB_BOOL),
    [7] = PB_MEMBER(struct watch_request, id, PB_INT64),
    [8] = PB_MEMBER(struct watch_request, wants_fragments, PB_BOOL),
};

static const struct pb_member cancel_members[] = {
    [1] = PB_MEMBER(struct watch_request, id, PB_INT64),
};

/* Filters that nobody knows filter nothing. */
static void set_filter(struct watch_request *request, uint64_t filter)
{
    if ((uint32_t)filter == 0)
        request->no_puts = true;
    else if ((uint32_t)filter == 1)
        request->no_deletes = true;
}

/* Field 5 of WatchCreateRequest: packed, or one by one. */
static int read_filters(struct slice message, struct watch_request *request)
{
    struct pb_field field;
    int r;
    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number != 5)
            continue;
        if (!field.is_bytes) {
            set_filter(request, field.value);
            continue;
        }
        uint64_t filter;
        while ((r = pb_next_packed(&field.bytes, &filter)) > 0)
            set_filter(request, filter);
        if (r < 0)
            return r;
    }
    return r;
}

static int read_create(struct slice message, struct watch_request *request)
{
    int r = pb_read(message, create_members, ARRAY_LEN(create_members), request);
    return r < 0 ? r : read_filters(message, request);
}

/* Of several alternatives the last one counts. */
enum etcd_error watch_read_request(struct slice message, struct watch_request *ret_request)
{
    struct pb_field field, last = {0};
    int r;
    while ((r = pb_next(&message, &field)) > 0)
        if (field.number <= 3)
            last = field;
    if (r < 0 || (last.number && !last.is_bytes))
        return ETCD_MALFORMED;

    static const uint8_t types[] = {WATCH_NOTHING, WATCH_CREATE, WATCH_CANCEL, WATCH_PROGRESS};
    *ret_request = (struct watch_request){.type = types[last.number]};
    if (ret_request->type == WATCH_CREATE)
        r = read_create(last.bytes, ret_request);
    else if (ret_request->type == WATCH_CANCEL)
        r = pb_read(last.bytes, cancel_members, ARRAY_LEN(cancel_members), ret_request);
    return r < 0 ? ETCD_MALFORMED : ETCD_OK;
}

/* ------------------------------------------------------------------------------------------------ answers */

void watch_add_id(struct buf *buf, int64_t id)
{
    pb_add_int(buf, 2, id);
}

void watch_add_created(struct buf *buf, int64_t id)
{
    watch_add_id(buf, id);
    pb_add_bool(buf, 3, true);
}

void watch_add_refused(struct buf *buf, const char *reason)
{
    watch_add_created(buf, WATCH_ID_NONE);
    pb_add_bool(buf, 4, true);
    pb_add_str(buf, 6, reason);
}

void watch_add_canceled(struct buf *buf, int64_t id)
{
    watch_add_id(buf, id);
    pb_add_bool(buf, 4, true);
}

void watch_add_compacted(struct buf *buf, int64_t id, int64_t compact_revision)
{
    watch_add_canceled(buf, id);
    pb_add_int(buf, 5, compact_revision);
    pb_add_str(buf, 6, etcd_error_text(ETCD_COMPACTED));
}

void watch_add_event(struct buf *buf, const struct store_event *event, bool with_prev)
{
    size_t begin = pb_begin(buf, 11);
    pb_add_bool(buf, 1, event->kv->version == 0); /* EventType: DELETE is 1 */
    etcd_add_kv(buf, 2, event->kv);
    if (with_prev && event->prev)
        etcd_add_kv(buf, 3, event->prev);
    pb_end(buf, begin);
}

void watch_add_fragment(struct buf *buf, int64_t id, bool has_more)
{
    watch_add_id(buf, id);
    pb_add_bool(buf, 7, has_more);
}
