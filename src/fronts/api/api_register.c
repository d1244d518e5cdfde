/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registering: the record, and how long it lasts. The members of the record are read by the catalogue; those that say
 * how it is registered are taken out before.
 */
#include "catalog/instance_record.h"
#include "fronts/api/api_body.h"
#include "fronts/api/api_hold.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#include <errno.h>
#include <stdlib.h>

#define BODY_MAX         INSTANCE_RECORD_VALUE_MAX
#define TTL_DEFAULT_MS   30000
#define GRACE_DEFAULT_MS 1000
#define GRACE_MAX_MS     3600000
#define SESSION_MAX      128

static const struct api_member members[] = {
    {"address", API_OTHER, 0, 0},
    {"protocol", API_OTHER, 0, 0},
    {"host", API_OTHER, 0, 0},
    {"port", API_OTHER, 0, 0},
    {"weight", API_OTHER, 0, 0},
    {"zone", API_OTHER, 0, 0},
    {"tags", API_OTHER, 0, 0},
    {"needs", API_OTHER, 0, 0},
    {"metadata", API_OTHER, 0, 0},
    {"check", API_OTHER, 0, 0},
    {"origin", API_OTHER, 0, 0},
    {"ttl_ms", API_NUMBER, 0, STORE_LEASE_TTL_MAX_MS},
    {"hold", API_BOOL, 0, 0},
    {"grace_ms", API_NUMBER, 0, GRACE_MAX_MS},
    {"session", API_TEXT, 0, SESSION_MAX},
    {NULL, API_OTHER, 0, 0},
};

/* What is to be registered, and how. Lives in the change's arena. */
struct registration {
    struct instance_record record;
    struct instance_details details; /* of the record, when it is held */
    struct api *api;
    bool is_held;
    int64_t grace_ms;
};

/* ------------------------------------------------------------------------------------------------ the answer */

static void respond(struct change *change)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    const struct curator_request *request = &change->request;
    struct buf body = {0};
    struct json_writer json;
    json_writer_init(&json, &body);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("revision"), request->revision);
    json_writer_member_i64(&json, SLICE_LIT("ttl_ms"), request->ttl_left_ms);
    json_writer_member_bool(&json, SLICE_LIT("was_new"), request->was_new);
    json_writer_end_object(&json);
    if (buf_error(&body) < 0)
        api_refuse_memory(change->exchange);
    else
        exchange_respond(change->exchange, request->was_new ? 201 : 200, headers, ARRAY_LEN(headers), buf_slice(&body));
    buf_deinit(&body);
}

static void answer(struct change *change)
{
    const struct registration *registration = change->user;
    if (change->request.outcome != CURATOR_OK)
        api_refuse_change(change);
    else if (registration->is_held)
        api_hold_begin(registration->api, change, registration->grace_ms);
    else if (change->exchange)
        respond(change);
}

/* ------------------------------------------------------------------------------------------------ the body */

/* False: answered. */
static bool read_how(struct change *change, json_t *object, struct registration *registration)
{
    registration->is_held = json_is_true(json_object_get(object, "hold"));
    registration->grace_ms = api_body_number(object, "grace_ms", GRACE_DEFAULT_MS);
    change->request.ttl_ms = api_body_number(object, "ttl_ms", TTL_DEFAULT_MS);
    const char *alone = json_object_get(object, "grace_ms") ? "grace_ms" : "session";
    if (!registration->is_held && json_object_get(object, alone)) {
        api_refuse(change->exchange, 400, NULL, "\"%s\" is for a registration that is held: with \"hold\": true",
                   alone);
        return false;
    }
    if (registration->is_held && change->request.ttl_ms == 0) {
        api_refuse(change->exchange, 400, NULL,
                   "\"ttl_ms\": expected more than 0, the time after which a held registration goes whose client does "
                   "not come back after a restart of the server");
        return false;
    }
    (void)json_object_del(object, "hold");
    (void)json_object_del(object, "grace_ms");
    (void)json_object_del(object, "ttl_ms");
    return true;
}

/* What is left is the record. */
static bool read_record(struct change *change, json_t *object, struct registration *registration)
{
    struct err err = {0};
    struct instance_record *record = &registration->record;
    char *text = json_dumps(object, JSON_COMPACT);
    int r = text ? instance_record_parse(slice_from_str(text), INSTANCE_RECORD_STRICT, &change->arena, record, &err)
                 : -ENOMEM;
    free(text);
    if (r == -ENOMEM)
        api_refuse_memory(change->exchange);
    else if (r < 0)
        api_refuse(change->exchange, 400, "bad-record", "%s", err.text);
    if (r < 0)
        return false;
    if (record->origin.len == 0)
        record->origin = SLICE_LIT("rest");
    change_find_host(change, record);
    return true;
}

/* What is held has a session: the one that was asked for, or a new one. False: answered. */
static bool name_session(struct change *change, struct registration *registration)
{
    registration->details = *instance_details(&registration->record);
    registration->record.details = &registration->details;
    return registration->details.session.len > 0 || api_hold_pick_session(change, &registration->details.session);
}

static void on_body(struct exchange *exchange, struct slice body)
{
    struct change *change = exchange->state;
    struct registration *registration = change->user;
    json_auto_t *object = NULL;
    if (!api_body_read(change, body, members, &object) || !read_how(change, object, registration) ||
        !read_record(change, object, registration))
        return;
    if (registration->is_held && !name_session(change, registration))
        return;
    change->request.record = &registration->record;
    change_submit(change);
}

void api_put_instance(struct api_call *call)
{
    if (!api_may(call, ACCESS_WRITE, call->service) || !api_body_is_welcome(call->exchange, BODY_MAX))
        return;
    struct change *change = api_change(call, answer);
    if (!change)
        return;
    struct registration *registration = change_alloc(change, sizeof(*registration));
    if (!registration) {
        api_refuse_memory(call->exchange);
        return;
    }
    registration->api = call->api;
    change->user = registration;
    change->request.type = CURATOR_REGISTER;
    exchange_collect(call->exchange, BODY_MAX, on_body);
}
