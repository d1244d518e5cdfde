/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The record as JSON. Its members are a table of names and readers, so that what is known, what is read and what is
 * suggested for a slip are one list.
 */
#include "catalog/instance_record.h"

#include "base/suggest.h"
#include "wire/json.h"
#include "wire/json_writer.h"

#include <errno.h>

#define DEPTH_MAX 8

static const char *const check_types[] = {
    [INSTANCE_CHECK_TCP] = "tcp",
    [INSTANCE_CHECK_HTTP] = "http",
    [INSTANCE_CHECK_GRPC] = "grpc",
    [INSTANCE_CHECK_TTL] = "ttl",
};

/* What a check has when it does not say. */
static const struct instance_check check_default = {
    .interval_ms = 5000,
    .timeout_ms = 1000,
    .to_fail = 3,
    .to_pass = 1,
};

/* ------------------------------------------------------------------------------------------------ reading */

struct reader {
    enum instance_record_strictness strictness;
    struct arena *arena;
    struct err *err;
    struct instance_record *record;
    struct instance_details *details;
    struct instance_check *check;
};

struct member {
    const char *name;
    int (*read)(struct reader *reader, const char *name, json_t *value);
};

static int expected(struct reader *reader, const char *name, const char *what)
{
    return err_set(reader->err, -EINVAL, "\"%s\": expected %s", name, what);
}

static int read_members(struct reader *reader, json_t *object, const struct member *members, size_t n_members);

/* A text as JSON gave it, copied. */
static int read_any_text(struct reader *reader, const char *name, json_t *value, struct slice *ret_text)
{
    if (!json_is_string(value))
        return expected(reader, name, "a text");
    return arena_copy(reader->arena, slice_from(json_string_value(value), json_string_length(value)), ret_text);
}

/* One that may stand in a line of any protocol. */
static int read_text(struct reader *reader, const char *name, json_t *value, struct slice *ret_text)
{
    int r = read_any_text(reader, name, value, ret_text);
    for (size_t i = 0; r == 0 && i < ret_text->len; i++)
        if ((unsigned char)ret_text->ptr[i] < 0x20 || ret_text->ptr[i] == 0x7f)
            return expected(reader, name, "a text without control characters");
    return r;
}

static int read_number(struct reader *reader, const char *name, json_t *value, uint32_t min, uint32_t max,
                       uint32_t *ret_number)
{
    json_int_t number = json_is_integer(value) ? json_integer_value(value) : -1;
    if (number < (json_int_t)min || number > (json_int_t)max)
        return err_set(reader->err, -EINVAL, "\"%s\": expected a number from %u to %u", name, min, max);
    *ret_number = (uint32_t)number;
    return 0;
}

static int read_number16(struct reader *reader, const char *name, json_t *value, uint16_t min, uint16_t max,
                         uint16_t *ret_number)
{
    uint32_t number;
    int r = read_number(reader, name, value, min, max, &number);
    if (r == 0)
        *ret_number = (uint16_t)number;
    return r;
}

/* How many an array or object has; -EINVAL when it is another thing, or too long. */
static int read_count(struct reader *reader, const char *name, json_t *value, bool is_right, const char *what)
{
    size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);
    if (!is_right || n > INSTANCE_RECORD_LIST_MAX)
        return err_set(reader->err, -EINVAL, "\"%s\": expected %s, at most %d of them", name, what,
                       INSTANCE_RECORD_LIST_MAX);
    return (int)n;
}

static int read_list(struct reader *reader, const char *name, json_t *value, const struct slice **ret_list,
                     uint16_t *ret_n)
{
    int n = read_count(reader, name, value, json_is_array(value), "an array of texts");
    if (n < 0)
        return n;
    struct slice *list = arena_alloc(reader->arena, (size_t)n * sizeof(list[0]));
    if (!list)
        return -ENOMEM;
    for (int i = 0; i < n; i++) {
        int r = read_text(reader, name, json_array_get(value, (size_t)i), &list[i]);
        if (r < 0)
            return r;
    }
    *ret_list = n > 0 ? list : NULL;
    *ret_n = (uint16_t)n;
    return 0;
}

/* Before the others, which say what does not follow from it. */
static int read_address(struct reader *reader, json_t *object)
{
    json_t *value = json_object_get(object, "address");
    struct slice address = {0};
    int r = value ? read_text(reader, "address", value, &address) : 0;
    if (r < 0)
        return r;
    bool is_one = instance_record_set_address(reader->record, address);
    if (address.len == 0 || (!is_one && reader->strictness == INSTANCE_RECORD_STRICT))
        return expected(reader, "address",
                        "SCHEME@HOST:PORT, SCHEME://HOST:PORT, HOST:PORT, [IPV6]:PORT or unix@/PATH");
    return 0;
}

static int read_protocol(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->record->protocol);
}

static int read_host(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->record->host);
}

static int read_port(struct reader *reader, const char *name, json_t *value)
{
    return read_number16(reader, name, value, 0, UINT16_MAX, &reader->record->port);
}

static int read_weight(struct reader *reader, const char *name, json_t *value)
{
    return read_number16(reader, name, value, 0, UINT16_MAX, &reader->record->weight);
}

static int read_zone(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->details->zone);
}

static int read_tags(struct reader *reader, const char *name, json_t *value)
{
    return read_list(reader, name, value, &reader->details->tags, &reader->details->n_tags);
}

static int read_needs(struct reader *reader, const char *name, json_t *value)
{
    return read_list(reader, name, value, &reader->details->needs, &reader->details->n_needs);
}

static int read_metadata(struct reader *reader, const char *name, json_t *value)
{
    int n = read_count(reader, name, value, json_is_object(value), "an object of texts");
    if (n < 0)
        return n;
    struct instance_pair *pairs = arena_alloc(reader->arena, (size_t)n * sizeof(pairs[0]));
    if (!pairs)
        return -ENOMEM;
    unsigned i = 0;
    const char *key;
    json_t *text;
    json_object_foreach(value, key, text)
    {
        int r = arena_copy(reader->arena, slice_from_str(key), &pairs[i].name);
        if (r == 0)
            r = read_any_text(reader, name, text, &pairs[i].value);
        if (r < 0)
            return r;
        i++;
    }
    reader->details->metadata = n > 0 ? pairs : NULL;
    reader->details->n_metadata = (uint16_t)n;
    return 0;
}

static int read_check_type(struct reader *reader, const char *name, json_t *value)
{
    for (unsigned i = 0; json_is_string(value) && i < ARRAY_LEN(check_types); i++) {
        if (strcmp(json_string_value(value), check_types[i]) == 0) {
            reader->check->type = (enum instance_check_type)i;
            return 0;
        }
    }
    return expected(reader, name, "tcp, http, grpc or ttl");
}

static int read_check_target(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->check->target);
}

static int read_check_interval(struct reader *reader, const char *name, json_t *value)
{
    return read_number(reader, name, value, 100, 24 * 3600 * 1000, &reader->check->interval_ms);
}

static int read_check_timeout(struct reader *reader, const char *name, json_t *value)
{
    return read_number(reader, name, value, 10, 3600 * 1000, &reader->check->timeout_ms);
}

static int read_check_to_fail(struct reader *reader, const char *name, json_t *value)
{
    return read_number16(reader, name, value, 1, 1000, &reader->check->to_fail);
}

static int read_check_to_pass(struct reader *reader, const char *name, json_t *value)
{
    return read_number16(reader, name, value, 1, 1000, &reader->check->to_pass);
}

static int read_check_retry(struct reader *reader, const char *name, json_t *value)
{
    return read_number(reader, name, value, 0, 24 * 3600 * 1000, &reader->check->retry_ms);
}

static int read_check_remove_after(struct reader *reader, const char *name, json_t *value)
{
    return read_number(reader, name, value, 0, UINT32_MAX, &reader->check->remove_after_ms);
}

static int read_check(struct reader *reader, const char *name, json_t *value)
{
    static const struct member members[] = {
        {"type", read_check_type},
        {"target", read_check_target},
        {"interval_ms", read_check_interval},
        {"retry_ms", read_check_retry},
        {"timeout_ms", read_check_timeout},
        {"to_fail", read_check_to_fail},
        {"to_pass", read_check_to_pass},
        {"remove_after_ms", read_check_remove_after},
    };
    if (!json_is_object(value) || !json_object_get(value, "type"))
        return expected(reader, name, "an object with a \"type\"");
    reader->check = arena_alloc(reader->arena, sizeof(*reader->check));
    if (!reader->check)
        return -ENOMEM;
    *reader->check = check_default;
    reader->details->check = reader->check;
    int r = read_members(reader, value, members, ARRAY_LEN(members));
    return r < 0 && r != -ENOMEM ? err_wrap(reader->err, r, "\"%s\"", name) : r;
}

static int read_origin(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->record->origin);
}

static int read_owner(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->details->owner);
}

static int read_session(struct reader *reader, const char *name, json_t *value)
{
    return read_text(reader, name, value, &reader->details->session);
}

static int read_unknown(struct reader *reader, const char *name, const struct member *members, size_t n_members)
{
    struct suggest suggest;
    if (reader->strictness == INSTANCE_RECORD_LENIENT)
        return 0;
    suggest_init(&suggest, slice_from_str(name));
    for (size_t i = 0; i < n_members; i++)
        suggest_offer(&suggest, members[i].name);
    const char *near = suggest_best(&suggest);
    if (near)
        return err_set(reader->err, -EINVAL, "\"%.64s\" is no member, did you mean \"%s\"?", name, near);
    return err_set(reader->err, -EINVAL, "\"%.64s\" is no member", name);
}

static int read_members(struct reader *reader, json_t *object, const struct member *members, size_t n_members)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        size_t i = 0;
        while (i < n_members && strcmp(members[i].name, name) != 0)
            i++;
        int r = 0;
        if (i == n_members)
            r = read_unknown(reader, name, members, n_members);
        else if (members[i].read)
            r = members[i].read(reader, name, value);
        if (r < 0)
            return r;
    }
    return 0;
}

int instance_record_parse(struct slice json, enum instance_record_strictness strictness, struct arena *arena,
                          struct instance_record *ret_record, struct err *err)
{
    static const struct json_limits limits = {.n_bytes = INSTANCE_RECORD_VALUE_MAX, .depth = DEPTH_MAX};
    static const struct member members[] = {
        {"address", NULL},           {"protocol", read_protocol}, {"host", read_host},     {"port", read_port},
        {"weight", read_weight},     {"zone", read_zone},         {"tags", read_tags},     {"needs", read_needs},
        {"metadata", read_metadata}, {"check", read_check},       {"origin", read_origin}, {"owner", read_owner},
        {"session", read_session},
    };
    struct instance_details *details = arena_alloc(arena, sizeof(*details));
    if (!details)
        return -ENOMEM;
    *details = (struct instance_details){0};
    struct instance_record record = {.weight = 1, .details = details};
    struct reader reader = {
        .strictness = strictness, .arena = arena, .err = err, .record = &record, .details = details};
    json_auto_t *value = NULL;
    int r = json_parse(json, &limits, &value, err);
    if (r < 0)
        return r;
    if (!json_is_object(value))
        return err_set(err, -EINVAL, "expected a JSON object with the members of an instance");
    r = read_address(&reader, value);
    if (r == 0)
        r = read_members(&reader, value, members, ARRAY_LEN(members));
    if (r == 0)
        *ret_record = record;
    return r;
}

/* ------------------------------------------------------------------------------------------------ writing */

struct slice instance_record_check_type(enum instance_check_type type)
{
    return slice_from_str(check_types[type]);
}

/* The address, and what does not follow from it. */
static void write_address(struct json_writer *json, const struct instance_record *record)
{
    struct instance_record follows;
    (void)instance_record_set_address(&follows, record->address);
    json_writer_member_str(json, SLICE_LIT("address"), record->address);
    if (!slice_equal(record->protocol, follows.protocol))
        json_writer_member_str(json, SLICE_LIT("protocol"), record->protocol);
    if (!slice_equal(record->host, follows.host))
        json_writer_member_str(json, SLICE_LIT("host"), record->host);
    if (record->port != follows.port)
        json_writer_member_i64(json, SLICE_LIT("port"), record->port);
}

static void write_metadata(struct json_writer *json, const struct instance_details *details)
{
    if (details->n_metadata == 0)
        return;
    json_writer_key(json, SLICE_LIT("metadata"));
    json_writer_begin_object(json);
    for (unsigned i = 0; i < details->n_metadata; i++)
        json_writer_member_str(json, details->metadata[i].name, details->metadata[i].value);
    json_writer_end_object(json);
}

static void write_check(struct json_writer *json, const struct instance_check *check)
{
    if (!check)
        return;
    json_writer_key(json, SLICE_LIT("check"));
    json_writer_begin_object(json);
    json_writer_member_str(json, SLICE_LIT("type"), instance_record_check_type(check->type));
    json_writer_member_filled(json, SLICE_LIT("target"), check->target);
    json_writer_member_i64(json, SLICE_LIT("interval_ms"), check->interval_ms);
    if (check->retry_ms > 0)
        json_writer_member_i64(json, SLICE_LIT("retry_ms"), check->retry_ms);
    json_writer_member_i64(json, SLICE_LIT("timeout_ms"), check->timeout_ms);
    json_writer_member_i64(json, SLICE_LIT("to_fail"), check->to_fail);
    json_writer_member_i64(json, SLICE_LIT("to_pass"), check->to_pass);
    if (check->remove_after_ms > 0)
        json_writer_member_i64(json, SLICE_LIT("remove_after_ms"), check->remove_after_ms);
    json_writer_end_object(json);
}

void instance_record_write(struct buf *buf, const struct instance_record *record)
{
    const struct instance_details *details = instance_details(record);
    struct json_writer json;
    json_writer_init(&json, buf);
    json_writer_begin_object(&json);
    write_address(&json, record);
    if (record->weight != 1)
        json_writer_member_i64(&json, SLICE_LIT("weight"), record->weight);
    json_writer_member_filled(&json, SLICE_LIT("zone"), details->zone);
    if (details->n_tags > 0)
        json_writer_member_list(&json, SLICE_LIT("tags"), details->tags, details->n_tags);
    if (details->n_needs > 0)
        json_writer_member_list(&json, SLICE_LIT("needs"), details->needs, details->n_needs);
    write_metadata(&json, details);
    write_check(&json, details->check);
    json_writer_member_filled(&json, SLICE_LIT("origin"), record->origin);
    json_writer_member_filled(&json, SLICE_LIT("owner"), details->owner);
    json_writer_member_filled(&json, SLICE_LIT("session"), details->session);
    json_writer_end_object(&json);
}

/* ------------------------------------------------------------------------------------------------ comparing */

static bool lists_equal(const struct slice *a, unsigned n_a, const struct slice *b, unsigned n_b)
{
    if (n_a != n_b)
        return false;
    for (unsigned i = 0; i < n_a; i++)
        if (!slice_equal(a[i], b[i]))
            return false;
    return true;
}

static bool metadata_equal(const struct instance_details *a, const struct instance_details *b)
{
    if (a->n_metadata != b->n_metadata)
        return false;
    for (unsigned i = 0; i < a->n_metadata; i++)
        if (!slice_equal(a->metadata[i].name, b->metadata[i].name) ||
            !slice_equal(a->metadata[i].value, b->metadata[i].value))
            return false;
    return true;
}

static bool checks_equal(const struct instance_check *a, const struct instance_check *b)
{
    if (!a || !b)
        return a == b;
    return a->type == b->type && slice_equal(a->target, b->target) && a->interval_ms == b->interval_ms &&
           a->retry_ms == b->retry_ms && a->timeout_ms == b->timeout_ms && a->to_fail == b->to_fail &&
           a->to_pass == b->to_pass && a->remove_after_ms == b->remove_after_ms;
}

static bool details_equal(const struct instance_details *a, const struct instance_details *b)
{
    return slice_equal(a->zone, b->zone) && slice_equal(a->owner, b->owner) && slice_equal(a->session, b->session) &&
           lists_equal(a->tags, a->n_tags, b->tags, b->n_tags) &&
           lists_equal(a->needs, a->n_needs, b->needs, b->n_needs) && metadata_equal(a, b) &&
           checks_equal(a->check, b->check);
}

bool instance_record_equal(const struct instance_record *a, const struct instance_record *b)
{
    return slice_equal(a->address, b->address) && slice_equal(a->protocol, b->protocol) &&
           slice_equal(a->host, b->host) && a->port == b->port && a->weight == b->weight &&
           slice_equal(a->origin, b->origin) && details_equal(instance_details(a), instance_details(b));
}
