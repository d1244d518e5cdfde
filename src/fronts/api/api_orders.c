/* SPDX-License-Identifier: Apache-2.0 */
/* Drain and maintenance of an instance or a whole service. An order holds for the name, until it is over. */
#include "fronts/api/api_body.h"
#include "fronts/api/api_impl.h"

#define BODY_MAX   8192
#define REASON_MAX 1024 /* CURATOR_TEXT_MAX */

static const struct api_member members[] = {
    {"reason", API_TEXT, 0, REASON_MAX},
    {"for_ms", API_NUMBER, 1, INT64_C(1) << 40},
    {"until_ms", API_NUMBER, 1, INT64_C(1) << 50},
    {NULL, API_OTHER, 0, 0},
};

/* False: answered. */
static bool read_order(struct change *change, json_t *object, struct instance_order *order)
{
    int64_t now_ms = loop_wall_now(change->request.loop) / NSEC_PER_MSEC;
    int64_t for_ms = api_body_number(object, "for_ms", 0), until_ms = api_body_number(object, "until_ms", 0);
    if (for_ms > 0 && until_ms > 0) {
        api_refuse(change->exchange, 400, NULL, "\"for_ms\" or \"until_ms\": one of them");
        return false;
    }
    if (until_ms > 0 && until_ms <= now_ms) {
        api_refuse(change->exchange, 400, NULL, "\"until_ms\": expected a time to come, in milliseconds since 1970");
        return false;
    }
    bool is_known = change->request.identity.len > 0;
    order->owner = is_known ? change->request.identity : change->request.origin.actor;
    order->reason = api_body_text(change, object, "reason");
    order->since_ms = now_ms;
    order->until_ms = for_ms > 0 ? now_ms + for_ms : until_ms;
    return true;
}

static void on_body(struct exchange *exchange, struct slice body)
{
    struct change *change = exchange->state;
    json_auto_t *object = NULL;
    if (api_body_read(change, body, members, &object) && read_order(change, object, &change->request.order))
        change_submit(change);
}

static struct change *begin(struct api_call *call, enum curator_request_type type)
{
    if (!api_may(call, ACCESS_WRITE, call->service))
        return NULL;
    struct change *change = api_change(call, api_answer_change);
    if (change)
        change->request.type = type;
    return change;
}

static void put(struct api_call *call, enum curator_request_type type)
{
    if (api_body_is_welcome(call->exchange, BODY_MAX) && begin(call, type))
        exchange_collect(call->exchange, BODY_MAX, on_body);
}

static void withdraw(struct api_call *call, enum curator_request_type type)
{
    struct change *change = begin(call, type);
    if (change)
        change_submit(change);
}

void api_put_drain(struct api_call *call)
{
    put(call, CURATOR_DRAIN);
}

void api_delete_drain(struct api_call *call)
{
    withdraw(call, CURATOR_DRAIN);
}

void api_put_maintenance(struct api_call *call)
{
    put(call, CURATOR_MAINTAIN);
}

void api_delete_maintenance(struct api_call *call)
{
    withdraw(call, CURATOR_MAINTAIN);
}
