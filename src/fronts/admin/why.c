/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered about a key or a lease, the oldest first; of very much, the newest:
 *
 *     {"exists": true,
 *      "notes": [{"what": "expired", "revision": 12, "wall_ms": 1700000000000, "lease": "32695410dcc0000a",
 *                 "silence_ms": 10213, "key": BASE64, "actor": "…", "cause": "…"}]}
 *
 * `exists` is told of keys. `what` is changed (by whoever made the key what it is now), expired, revoked or deleted; in
 * a note about a lease itself the key is empty.
 */
#include "fronts/why.h"
#include "base/util.h"
#include "fronts/admin/admin_impl.h"
#include "wire/json_writer.h"
#include "wire/uri.h"

#include <inttypes.h>
#include <stdio.h>

static bool put_note(void *ctx, const struct store_note *note)
{
    struct json_writer *json = ctx;
    char lease[20];
    int n = snprintf(lease, sizeof(lease), "%016" PRIx64, note->lease);
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("what"), slice_from_str(why_word(note->kind)));
    json_writer_member_i64(json, SLICE_LIT("revision"), note->revision);
    json_writer_member_i64(json, SLICE_LIT("wall_ms"), note->wall_ms);
    json_writer_member_str(json, SLICE_LIT("lease"), slice_from(lease, note->lease ? (size_t)n : 0));
    json_writer_member_i64(json, SLICE_LIT("silence_ms"), note->silence_ms);
    json_writer_key(json, SLICE_LIT("key"));
    json_writer_base64(json, note->subject);
    json_writer_member_str(json, SLICE_LIT("actor"), note->actor);
    json_writer_member_str(json, SLICE_LIT("cause"), note->cause);
    json_writer_end_object(json);
    return true;
}

static void respond(struct admin *admin, struct exchange *exchange, const struct why_question *question)
{
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_bool(&json, SLICE_LIT("exists"),
                            question->key.len > 0 && why_exists(admin->store, question->key));
    json_writer_key(&json, SLICE_LIT("notes"));
    json_writer_begin_array(&json);
    why_tell(admin->store, question, put_note, &json);
    json_writer_end_array(&json);
    json_writer_end_object(&json);
    admin_respond_json(exchange, &body);
}

void admin_on_why(struct admin *admin, struct exchange *exchange)
{
    CLEANUP(buf_deinit) struct buf key = {.limit = STORE_KEY_MAX}, lease = {.limit = 32};
    struct slice query = exchange->request->query;
    struct why_question question = {0};
    int by_key = uri_query_get(query, SLICE_LIT("key"), &key);
    int by_lease = uri_query_get(query, SLICE_LIT("lease"), &lease);
    question.key = buf_slice(&key);
    bool is_key = by_key == 0 && by_lease == URI_ABSENT && key.len > 0;
    bool is_lease = by_lease == 0 && by_key == URI_ABSENT && why_parse_lease(buf_slice(&lease), &question.lease) == 0;
    if (is_key || is_lease)
        respond(admin, exchange, &question);
    else
        exchange_respond_text(exchange, 400, "expected ?key=KEY, percent-encoded, or ?lease=ID, in hexadecimal\n");
}
