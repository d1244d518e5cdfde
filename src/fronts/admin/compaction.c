/* SPDX-License-Identifier: Apache-2.0 */
/* The store owns the request until it is answered, also when the client is gone by then. */
#include "base/util.h"
#include "fronts/admin/admin_impl.h"
#include "wire/json_writer.h"
#include "wire/uri.h"

#include <stdlib.h>

struct compaction {
    struct exchange *exchange; /* NULL: it is gone */
    struct store_request request;
    char actor[ADDR_TEXT_MAX + 8];
};

static void respond(struct exchange *exchange, const struct store_request *request)
{
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("revision"), request->revision);
    json_writer_member_i64(&json, SLICE_LIT("compacted_revision"), request->compact_revision);
    json_writer_end_object(&json);
    admin_respond_json(exchange, &body);
}

static void on_done(struct store_request *request)
{
    struct compaction *compaction = container_of(request, struct compaction, request);
    struct exchange *exchange = compaction->exchange;
    if (exchange) {
        exchange->state = NULL;
        if (request->outcome == STORE_OK)
            respond(exchange, request);
        else
            admin_refuse(exchange, request->outcome);
    }
    store_request_deinit(request);
    free(compaction);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    (void)end;
    struct compaction *compaction = exchange->state;
    if (compaction)
        compaction->exchange = NULL;
}

static const struct exchange_app app = {.on_close = on_close};

/* The revision asked for, else the newest. False: it is none. */
static bool read_revision(struct admin *admin, struct slice query, int64_t *ret_revision)
{
    CLEANUP(buf_deinit) struct buf text = {.limit = 32};
    struct store_view view;
    uint64_t revision;
    store_view(admin->store, false, &view);
    int r = uri_query_get(query, SLICE_LIT("revision"), &text);
    if (r == URI_ABSENT) {
        *ret_revision = view.revision;
        return true;
    }
    if (r < 0 || slice_parse_u64(buf_slice(&text), &revision) < 0 || revision == 0 || revision > INT64_MAX)
        return false;
    *ret_revision = (int64_t)revision;
    return true;
}

void admin_on_compaction(struct admin *admin, struct exchange *exchange)
{
    int64_t revision;
    if (!read_revision(admin, exchange->request->query, &revision)) {
        exchange_respond_text(exchange, 400, "revision: expected a number from 1 on\n");
        return;
    }
    struct compaction *compaction = calloc(1, sizeof(*compaction));
    if (!compaction) {
        exchange_respond_text(exchange, 503, "out of memory\n");
        return;
    }
    struct slice actor = {compaction->actor, strlen("admin ")};
    memcpy(compaction->actor, "admin ", actor.len);
    actor.len += peer_format(exchange_peer(exchange), compaction->actor + actor.len).len;
    compaction->exchange = exchange;
    compaction->request = (struct store_request){
        .type = STORE_COMPACT,
        .loop = exchange_loop(exchange),
        .done = on_done,
        .origin.actor = actor,
        .compact_revision = revision,
    };
    exchange->app = &app;
    exchange->state = compaction;
    store_submit(admin->store, &compaction->request);
}
