/* SPDX-License-Identifier: Apache-2.0 */
#include "client/registration.h"

#include "client/client.h"
#include "wire/json_writer.h"

#include <errno.h>

static void write_text(struct json_writer *json, struct slice key, const char *text)
{
    if (!text)
        return;
    json_writer_member_str(json, key, slice_from_str(text));
}

static void write_number(struct json_writer *json, struct slice key, int64_t number)
{
    if (number == 0)
        return;
    json_writer_member_i64(json, key, number);
}

static void write_list(struct json_writer *json, struct slice key, const char *const *list)
{
    if (!list)
        return;
    json_writer_key(json, key);
    json_writer_begin_array(json);
    for (; *list; list++)
        json_writer_str(json, slice_from_str(*list));
    json_writer_end_array(json);
}

static void write_metadata(struct json_writer *json, const struct muster_register_options *options)
{
    if (options->n_metadata == 0)
        return;
    json_writer_key(json, SLICE_LIT("metadata"));
    json_writer_begin_object(json);
    for (size_t i = 0; i < options->n_metadata; i++)
        write_text(json, slice_from_str(options->metadata[i].name), options->metadata[i].value);
    json_writer_end_object(json);
}

static void write_check(struct json_writer *json, const struct muster_check *check)
{
    if (!check)
        return;
    json_writer_key(json, SLICE_LIT("check"));
    json_writer_begin_object(json);
    write_text(json, SLICE_LIT("type"), check->type);
    write_text(json, SLICE_LIT("target"), check->target);
    write_number(json, SLICE_LIT("interval_ms"), check->interval_ms);
    write_number(json, SLICE_LIT("timeout_ms"), check->timeout_ms);
    write_number(json, SLICE_LIT("to_fail"), check->to_fail);
    write_number(json, SLICE_LIT("to_pass"), check->to_pass);
    json_writer_end_object(json);
}

/* 0, or -EINVAL: the program forgot something. */
static int check(const struct muster_register_options *options, struct err *err)
{
    if (options->version != MUSTER_REGISTER_VERSION)
        return err_set(err, -EINVAL, "muster_register_options.version is %u; this library knows %d", options->version,
                       MUSTER_REGISTER_VERSION);
    if (!options->address || !*options->address)
        return err_set(err, -EINVAL, "an instance needs an address");
    if (options->check && !options->check->type)
        return err_set(err, -EINVAL, "a check has a type: \"tcp\", \"http\", \"grpc\" or \"ttl\"");
    if (options->id && (!*options->id || strlen(options->id) > CLIENT_ID_MAX))
        return err_set(err, -EINVAL, "id: expected a name of 1 to %d bytes, not %zu", CLIENT_ID_MAX,
                       strlen(options->id));
    if (options->n_metadata > 0 && !options->metadata)
        return err_set(err, -EINVAL, "metadata: expected %zu pairs, not NULL", options->n_metadata);
    for (size_t i = 0; i < options->n_metadata; i++) {
        if (!options->metadata[i].name || !options->metadata[i].value)
            return err_set(err, -EINVAL, "metadata: a pair without a %s", options->metadata[i].name ? "value" : "name");
    }
    return 0;
}

int registration_write(struct buf *body, const struct muster_register_options *options, const char *session,
                       struct err *err)
{
    struct json_writer json;
    int r = check(options, err);
    if (r < 0)
        return r;
    json_writer_init(&json, body);
    json_writer_begin_object(&json);
    write_text(&json, SLICE_LIT("address"), options->address);
    write_text(&json, SLICE_LIT("protocol"), options->protocol);
    write_text(&json, SLICE_LIT("zone"), options->zone);
    write_number(&json, SLICE_LIT("weight"), options->weight);
    write_list(&json, SLICE_LIT("tags"), options->tags);
    write_list(&json, SLICE_LIT("needs"), options->needs);
    write_metadata(&json, options);
    write_check(&json, options->check);
    write_number(&json, SLICE_LIT("ttl_ms"), options->ttl_ms);
    if (options->hold) {
        json_writer_member_bool(&json, SLICE_LIT("hold"), true);
        write_text(&json, SLICE_LIT("session"), session);
        write_number(&json, SLICE_LIT("grace_ms"), options->grace_ms);
    }
    json_writer_end_object(&json);
    return json_writer_finish(&json);
}

void registration_write_report(struct buf *body, int passing, const char *output)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_writer_begin_object(&json);
    json_writer_member_bool(&json, SLICE_LIT("passing"), passing != 0);
    json_writer_member_str(&json, SLICE_LIT("output"), slice_from_str(output ? output : ""));
    json_writer_end_object(&json);
}
