/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prometheus' http_sd: one group per instance, since its labels are its own. All instances that have a host and a port
 * are targets, also those that get no traffic at the moment: they are there, and to be observed above all.
 */
#include "base/host_port.h"
#include "fronts/api/api_impl.h"
#include "wire/json_writer.h"

/* Only letters, digits and '_' can stand in the name of a label. */
static void write_label_name(struct buf *name, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        buf_append_char(name, is_plain ? c : '_');
    }
}

static void write_metadata(struct json_writer *json, const struct instance_details *details)
{
    struct buf name = {0};
    for (unsigned i = 0; i < details->n_metadata; i++) {
        buf_reset(&name);
        buf_append_str(&name, "__meta_muster_metadata_");
        write_label_name(&name, details->metadata[i].name);
        if (buf_error(&name) == 0)
            json_writer_member_str(json, buf_slice(&name), details->metadata[i].value);
    }
    buf_deinit(&name);
}

/* ",a,b,": so that a regular expression finds a tag by its commas. */
static void write_tags(struct json_writer *json, const struct instance_details *details)
{
    struct buf tags = {0};
    for (unsigned i = 0; i < details->n_tags; i++) {
        buf_append_char(&tags, ',');
        buf_append(&tags, details->tags[i]);
    }
    if (details->n_tags > 0)
        buf_append_char(&tags, ',');
    if (buf_error(&tags) == 0)
        json_writer_member_str(json, SLICE_LIT("__meta_muster_tags"), buf_slice(&tags));
    buf_deinit(&tags);
}

static void write_target(struct json_writer *json, const struct instance_record *record)
{
    char target[512];
    json_writer_key(json, SLICE_LIT("targets"));
    json_writer_begin_array(json);
    json_writer_str(json, host_port_write(record->host, record->port, sizeof(target), target));
    json_writer_end_array(json);
}

static void write_group(struct json_writer *json, const struct instance *instance)
{
    const struct instance_record *record = &instance->record;
    const struct instance_details *details = instance_details(record);
    bool is_offered = instance_offer(instance) == INSTANCE_OFFERED;
    if (record->host.len == 0 || record->port == 0)
        return;
    json_writer_begin_object(json);
    write_target(json, record);
    json_writer_key(json, SLICE_LIT("labels"));
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("__meta_muster_service"), instance->service);
    json_writer_member_str(json, SLICE_LIT("__meta_muster_instance"), instance->id);
    json_writer_member_str(json, SLICE_LIT("__meta_muster_status"), instance_reason_text(instance_status(instance)));
    json_writer_member_str(json, SLICE_LIT("__meta_muster_offered"),
                           is_offered ? SLICE_LIT("true") : SLICE_LIT("false"));
    json_writer_member_str(json, SLICE_LIT("__meta_muster_protocol"), record->protocol);
    json_writer_member_str(json, SLICE_LIT("__meta_muster_zone"), details->zone);
    write_tags(json, details);
    write_metadata(json, details);
    json_writer_end_object(json);
    json_writer_end_object(json);
}

static bool write_service(void *ctx, const struct directory_service *service)
{
    struct json_writer *json = ctx;
    struct directory_cursor at = {.service = service};
    for (const struct instance *instance; (instance = directory_next(&at));)
        write_group(json, instance);
    return buf_error(json->out) == 0;
}

void api_prometheus(struct api_call *call)
{
    const struct directory *directory = api_directory(call->api);
    struct slice *services;
    unsigned n;
    struct buf body = {.limit = API_TEXT_MAX};
    struct json_writer json;
    if (!api_query_services(call, &services, &n))
        return;
    json_writer_init(&json, &body);
    json_writer_begin_array(&json);
    for (unsigned i = 0; i < n; i++) {
        const struct directory_service *service = directory_find(directory, services[i]);
        if (service)
            (void)write_service(&json, service);
    }
    if (n == 0)
        directory_each(directory, write_service, &json);
    json_writer_end_array(&json);
    api_respond_json(call->exchange, &body);
}
