/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One instance that is there. A heartbeat is answered where it arrives: the curator renews a lease with one
 * compare-and-swap, and nothing of the request outlives it.
 */
#include "fronts/api/api_body.h"
#include "fronts/api/api_impl.h"
#include "io/tls.h"
#include "wire/json_writer.h"

#include <stdio.h>

#define CHECK_BODY_MAX   8192
#define CHECK_OUTPUT_MAX 4096

const struct instance *api_find_instance(struct api_call *call)
{
    const struct instance *instance = directory_look_up(api_directory(call->api), call->service, call->id);
    if (!instance)
        api_refuse_unknown(call);
    return instance;
}

void api_show_instance(struct api_call *call)
{
    if (!api_may(call, ACCESS_READ, call->service))
        return;
    const struct instance *instance = api_find_instance(call);
    struct buf body = {0};
    struct json_writer json;
    if (!instance)
        return;
    json_writer_init(&json, &body);
    api_json_instance(&json, instance);
    api_respond_json(call->exchange, &body);
}

/* ------------------------------------------------------------------------------------------------ heartbeats */

/* Nothing: a renewal is answered from inside curator_submit. */
static void on_renewed(struct curator_request *request)
{
    (void)request;
}

void api_renew_instance(struct api_call *call)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    if (!api_may(call, ACCESS_WRITE, call->service))
        return;
    struct curator_request request = {
        .type = CURATOR_RENEW,
        .loop = exchange_loop(call->exchange),
        .done = on_renewed,
        .identity = tls_peer_name(exchange_stream(call->exchange)),
        .is_admin = access_is_root(call->api->access, call->exchange),
        .service = call->service,
        .id = call->id,
    };
    curator_submit(call->api->curator, &request);
    if (request.outcome == CURATOR_OK) {
        char body[96];
        int n = snprintf(body, sizeof(body), "{\"ttl_ms\":%lld,\"revision\":%lld}", (long long)request.ttl_left_ms,
                         (long long)request.revision);
        exchange_respond(call->exchange, 200, headers, 1, slice_from(body, (size_t)n));
    } else if (request.outcome == CURATOR_NOT_FOUND) {
        api_refuse(call->exchange, 404, "unknown-instance", "it is not registered (any more): register it again");
    } else {
        api_refuse(call->exchange, change_status(&request), "not-owner", "%s", change_words(&request));
    }
    curator_request_deinit(&request);
}

/* ------------------------------------------------------------------------------------------------ TTL checks */

static const struct api_member check_members[] = {
    {"passing", API_BOOL, 0, 0},
    {"output", API_TEXT, 0, CHECK_OUTPUT_MAX},
    {NULL, API_OTHER, 0, 0},
};

/* It may have gone while the body came. */
static const struct instance *find(const struct change *change)
{
    const struct directory *directory = catalog_directory(curator_catalog(change->curator));
    return directory_look_up(directory, change->request.service, change->request.id);
}

static void report_check(struct change *change, const struct instance *instance, json_t *object)
{
    const struct catalog_event event = {
        .type = CATALOG_CHECK,
        .report = {.service = instance->service,
                   .id = instance->id,
                   .incarnation = instance->incarnation,
                   .is_good = json_is_true(json_object_get(object, "passing")),
                   .actor = change->request.origin.actor,
                   .evidence = api_body_text(change, object, "output")},
    };
    if (curator_report(change->curator, &event) < 0)
        api_refuse_memory(change->exchange);
    else
        api_respond_revision(change->exchange, 202, catalog_revision(curator_catalog(change->curator)));
}

static bool has_ttl_check(const struct instance *instance)
{
    const struct instance_check *check = instance_details(&instance->record)->check;
    return check && check->type == INSTANCE_CHECK_TTL;
}

static void on_check(struct exchange *exchange, struct slice body)
{
    struct change *change = exchange->state;
    const struct instance *instance = find(change);
    json_auto_t *object = NULL;
    if (!api_body_read(change, body, check_members, &object))
        return;
    if (!json_object_get(object, "passing"))
        api_refuse(exchange, 400, NULL, "\"passing\": expected true or false");
    else if (!instance)
        api_refuse(exchange, 404, "unknown-instance", "the service has no such instance");
    else if (!has_ttl_check(instance))
        api_refuse(exchange, 409, NULL, "the instance was not registered with a check of the type \"ttl\"");
    else if (!curator_may_change(&change->request, instance))
        api_refuse(exchange, 403, "not-owner", "the instance belongs to somebody else");
    else
        report_check(change, instance, object);
}

void api_check_instance(struct api_call *call)
{
    if (!api_may(call, ACCESS_WRITE, call->service) || !api_body_is_welcome(call->exchange, CHECK_BODY_MAX))
        return;
    struct change *change = api_change(call, NULL);
    if (change)
        exchange_collect(call->exchange, CHECK_BODY_MAX, on_check);
}

/* ------------------------------------------------------------------------------------------------ deregistering */

void api_delete_instance(struct api_call *call)
{
    if (!api_may(call, ACCESS_WRITE, call->service) || !api_find_instance(call))
        return;
    struct change *change = api_change(call, api_answer_change);
    if (!change)
        return;
    change->request.type = CURATOR_DEREGISTER;
    change_submit(change);
}

void api_answer_change(struct change *change)
{
    if (change->request.outcome != CURATOR_OK)
        api_refuse_change(change);
    else if (change->exchange)
        api_respond_revision(change->exchange, 200, change->request.revision);
}

struct change *api_change(struct api_call *call, change_answer_fn answer)
{
    struct change *change = change_new(call->api->curator, call->exchange, call->api->access, "rest", answer);
    if (!change)
        return NULL;
    change->request.service = change_copy(change, call->service);
    change->request.id = change_copy(change, call->id);
    change->request.is_admin = access_is_root(call->api->access, call->exchange);
    return change;
}
