/* SPDX-License-Identifier: Apache-2.0 */
/* What is empty is left out, but for what every reader wants: then it is there, and empty. */
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

#include <inttypes.h>
#include <stdio.h>

static void write_metadata(struct json_writer *json, const struct instance_details *details)
{
    json_writer_key(json, SLICE_LIT("metadata"));
    json_writer_begin_object(json);
    for (unsigned i = 0; i < details->n_metadata; i++)
        json_writer_member_str(json, details->metadata[i].name, details->metadata[i].value);
    json_writer_end_object(json);
}

static void write_check(struct json_writer *json, const struct instance_check *check)
{
    json_writer_key(json, SLICE_LIT("check"));
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("type"), instance_record_check_type(check->type));
    json_writer_member_filled(json, SLICE_LIT("target"), check->target);
    json_writer_member_i64(json, SLICE_LIT("interval_ms"), check->interval_ms);
    json_writer_member_i64(json, SLICE_LIT("retry_ms"), check->retry_ms);
    json_writer_member_i64(json, SLICE_LIT("timeout_ms"), check->timeout_ms);
    json_writer_member_i64(json, SLICE_LIT("to_fail"), check->to_fail);
    json_writer_member_i64(json, SLICE_LIT("to_pass"), check->to_pass);
    json_writer_member_i64(json, SLICE_LIT("remove_after_ms"), check->remove_after_ms);
    json_writer_end_object(json);
}

static void write_record(struct json_writer *json, const struct instance_record *record)
{
    const struct instance_details *details = instance_details(record);
    json_writer_member_str(json, SLICE_LIT("address"), record->address);
    json_writer_member_str(json, SLICE_LIT("protocol"), record->protocol);
    json_writer_member_str(json, SLICE_LIT("host"), record->host);
    json_writer_member_i64(json, SLICE_LIT("port"), record->port);
    json_writer_member_i64(json, SLICE_LIT("weight"), record->weight);
    json_writer_member_filled(json, SLICE_LIT("zone"), details->zone);
    json_writer_member_list(json, SLICE_LIT("tags"), details->tags, details->n_tags);
    json_writer_member_list(json, SLICE_LIT("needs"), details->needs, details->n_needs);
    write_metadata(json, details);
    if (details->check)
        write_check(json, details->check);
    json_writer_member_filled(json, SLICE_LIT("origin"), record->origin);
    json_writer_member_filled(json, SLICE_LIT("owner"), details->owner);
    json_writer_member_filled(json, SLICE_LIT("session"), details->session);
}

static void write_order(struct json_writer *json, struct slice key, const struct instance_order *order)
{
    if (!order)
        return;
    json_writer_key(json, key);
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("owner"), order->owner);
    json_writer_member_str(json, SLICE_LIT("reason"), order->reason);
    json_writer_member_i64(json, SLICE_LIT("since_ms"), order->since_ms);
    if (order->until_ms != 0)
        json_writer_member_i64(json, SLICE_LIT("until_ms"), order->until_ms);
    json_writer_end_object(json);
}

static void write_status(struct json_writer *json, const struct instance *instance)
{
    enum instance_offer offer = instance_offer(instance);
    json_writer_member_str(json, SLICE_LIT("status"), instance_reason_text(instance_status(instance)));
    json_writer_key(json, SLICE_LIT("reasons"));
    json_writer_begin_array(json);
    for (unsigned reason = 0; reason < INSTANCE_UP; reason++)
        if ((instance->reasons >> reason) & 1U)
            json_writer_str(json, instance_reason_text((enum instance_reason)reason));
    json_writer_end_array(json);
    json_writer_member_bool(json, SLICE_LIT("offered"), offer == INSTANCE_OFFERED);
    json_writer_member_bool(json, SLICE_LIT("last_resort"), offer == INSTANCE_LAST_RESORT);
    write_order(json, SLICE_LIT("drain"), instance_orders(instance)->drain);
    write_order(json, SLICE_LIT("maintenance"), instance_orders(instance)->maintenance);
}

void api_json_instance(struct json_writer *json, const struct instance *instance)
{
    char lease[20];
    int n = snprintf(lease, sizeof(lease), "%" PRIx64, (uint64_t)instance->lease);
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("service"), instance->service);
    json_writer_member_str(json, SLICE_LIT("id"), instance->id);
    write_record(json, &instance->record);
    write_status(json, instance);
    json_writer_key(json, SLICE_LIT("incarnation"));
    json_writer_u64(json, instance->incarnation);
    json_writer_member_i64(json, SLICE_LIT("registered_ms"), instance->registered_ms);
    json_writer_member_i64(json, SLICE_LIT("changed_ms"), instance->changed_ms);
    json_writer_member_i64(json, SLICE_LIT("revision"), instance->revision);
    if (instance->lease != 0)
        json_writer_member_str(json, SLICE_LIT("lease"), slice_from(lease, (size_t)n));
    json_writer_end_object(json);
}

void api_json_service(struct buf *out, struct slice name, int64_t revision, const struct directory_service *service,
                      bool is_offered_only)
{
    struct json_writer json;
    struct directory_cursor at = {.service = service};
    json_writer_init(&json, out);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("name"), name);
    json_writer_member_i64(&json, SLICE_LIT("revision"), revision);
    json_writer_key(&json, SLICE_LIT("instances"));
    json_writer_begin_array(&json);
    for (const struct instance *instance; service && (instance = directory_next(&at));)
        if (!is_offered_only || directory_gives(service, instance))
            api_json_instance(&json, instance);
    json_writer_end_array(&json);
    json_writer_end_object(&json);
}

static void write_side(struct json_writer *json, struct slice key, const struct instance *instance)
{
    json_writer_key(json, key);
    if (instance)
        api_json_instance(json, instance);
    else
        json_writer_null(json);
}

void api_json_change(struct buf *out, const struct catalog_change *change)
{
    const struct instance *instance = change->after ? change->after : change->before;
    struct json_writer json;
    json_writer_init(&json, out);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("revision"), change->revision);
    json_writer_member_i64(&json, SLICE_LIT("wall_ms"), change->wall_ms);
    json_writer_member_str(&json, SLICE_LIT("service"), instance->service);
    json_writer_member_str(&json, SLICE_LIT("instance"), instance->id);
    json_writer_member_str(&json, SLICE_LIT("kind"), timeline_text(change->kind));
    json_writer_member_str(&json, SLICE_LIT("actor"), change->actor);
    json_writer_member_str(&json, SLICE_LIT("evidence"), change->evidence);
    json_writer_member_i64(&json, SLICE_LIT("silence_ms"), change->silence_ms);
    write_side(&json, SLICE_LIT("before"), change->before);
    write_side(&json, SLICE_LIT("after"), change->after);
    json_writer_end_object(&json);
}
