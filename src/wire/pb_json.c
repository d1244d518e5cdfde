/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ways follow the descriptor, field by field: what is written is in its order whatever the order of what is read,
 * and what it does not know is passed over by never being looked for. A field is found in a message by walking it, once
 * per field of the descriptor: they are few, and a walk skips over contents.
 */
#include "wire/pb_json.h"

#include "base/assert.h"
#include "wire/base64.h"
#include "wire/pb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* ------------------------------------------------------------------------------------------------ to JSON */

static bool is_repeated(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool has_bytes(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_BYTES || field->type == PROTOBUF_C_TYPE_STRING ||
           field->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* A string, as numbers of 64 bits do not survive JavaScript. */
static void write_quoted(struct json_writer *json, bool is_signed, uint64_t value)
{
    char text[24];
    int len = is_signed ? snprintf(text, sizeof(text), "%" PRId64, (int64_t)value)
                        : snprintf(text, sizeof(text), "%" PRIu64, value);
    json_writer_str(json, slice_from(text, (size_t)len));
}

static void write_enum(const ProtobufCEnumDescriptor *type, int32_t number, struct json_writer *json)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
    if (value)
        json_writer_str(json, slice_from_str(value->name));
    else
        json_writer_i64(json, number);
}

static void write_number(const ProtobufCFieldDescriptor *field, uint64_t value, struct json_writer *json)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
        write_quoted(json, true, value);
        break;
    case PROTOBUF_C_TYPE_UINT64:
        write_quoted(json, false, value);
        break;
    case PROTOBUF_C_TYPE_INT32:
        json_writer_i64(json, (int32_t)value);
        break;
    case PROTOBUF_C_TYPE_UINT32:
        json_writer_u64(json, (uint32_t)value);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        json_writer_bool(json, value != 0);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(field->descriptor, (int32_t)value, json);
        break;
    default:
        ASSERT(!"a type that is not known here");
    }
}

static int write_value(const ProtobufCFieldDescriptor *field, const struct pb_field *value, struct json_writer *json)
{
    if (value->is_bytes != has_bytes(field))
        return -EBADMSG;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return pb_json_write(field->descriptor, value->bytes, json);
    case PROTOBUF_C_TYPE_STRING:
        json_writer_str(json, value->bytes);
        return 0;
    case PROTOBUF_C_TYPE_BYTES:
        json_writer_base64(json, value->bytes);
        return 0;
    default:
        write_number(field, value->value, json);
        return 0;
    }
}

/* Numbers may be repeated as a run of bytes, which has no tags. */
static int write_packed(const ProtobufCFieldDescriptor *field, struct slice run, struct json_writer *json)
{
    uint64_t value;
    int r;
    while ((r = pb_next_packed(&run, &value)) > 0)
        write_number(field, value, json);
    return r;
}

static int write_elements(const ProtobufCFieldDescriptor *field, struct slice message, struct json_writer *json)
{
    struct pb_field element;
    bool is_begun = false;
    int r;
    while ((r = pb_next(&message, &element)) > 0) {
        bool is_run = element.is_bytes && !has_bytes(field);
        if (element.number != field->id || (is_run && slice_is_empty(element.bytes)))
            continue;
        if (!is_begun) {
            is_begun = true;
            json_writer_key(json, slice_from_str(field->name));
            json_writer_begin_array(json);
        }
        if (is_run)
            r = write_packed(field, element.bytes, json);
        else
            r = write_value(field, &element, json);
        if (r < 0)
            return r;
    }
    if (is_begun)
        json_writer_end_array(json);
    return r;
}

static bool is_zero(const ProtobufCFieldDescriptor *field, const struct pb_field *value)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return false;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return slice_is_empty(value->bytes);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_ENUM:
        return (uint32_t)value->value == 0; /* the low half counts */
    default:
        return value->value == 0;
    }
}

/* Of an alternative ("oneof") also zero says something: that it is the one. */
static bool is_left_out(const ProtobufCFieldDescriptor *field, const struct pb_field *value)
{
    bool is_alternative = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    return !is_alternative && value->is_bytes == has_bytes(field) && is_zero(field, value);
}

/* Of a field that comes more than once the last one counts. */
static int write_single(const ProtobufCFieldDescriptor *field, struct slice message, struct json_writer *json)
{
    struct pb_field candidate, value;
    bool is_there = false;
    int r;
    while ((r = pb_next(&message, &candidate)) > 0) {
        if (candidate.number == field->id) {
            value = candidate;
            is_there = true;
        }
    }
    if (r < 0 || !is_there || is_left_out(field, &value))
        return r;
    json_writer_key(json, slice_from_str(field->name));
    return write_value(field, &value, json);
}

int pb_json_write(const ProtobufCMessageDescriptor *type, struct slice message, struct json_writer *json)
{
    /* An array may come in between. */
    if (json->depth + 2 > JSON_WRITER_DEPTH_MAX)
        return -EBADMSG;
    json_writer_begin_object(json);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        int r = is_repeated(field) ? write_elements(field, message, json) : write_single(field, message, json);
        if (r < 0)
            return r;
    }
    json_writer_end_object(json);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ from JSON */

/* Up to here a double holds each whole number. */
#define EXACT_MAX 9007199254740992.0

static int read_message(const ProtobufCMessageDescriptor *type, const json_t *object, struct buf *message,
                        struct err *err);

/* A number, whole though it may be written as 1.0 or 1e3, or a string of digits; as 64 bits. */
static int read_integer(const json_t *value, bool is_signed, uint64_t *ret_value)
{
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        bool is_negative = is_signed && text[0] == '-';
        uint64_t number;
        if (slice_parse_u64(slice_from_str(text + is_negative), &number) < 0)
            return -EINVAL;
        if (is_signed && number > (uint64_t)INT64_MAX + is_negative)
            return -EINVAL;
        *ret_value = is_negative ? -number : number;
        return 0;
    }
    if (json_is_real(value)) {
        double real = json_real_value(value);
        if (real < (is_signed ? -EXACT_MAX : 0) || real > EXACT_MAX || real != (double)(int64_t)real)
            return -EINVAL;
        *ret_value = (uint64_t)(int64_t)real;
        return 0;
    }
    if (!json_is_integer(value) || (json_integer_value(value) < 0 && !is_signed))
        return -EINVAL;
    *ret_value = (uint64_t)json_integer_value(value);
    return 0;
}

/* The same of 32 bits, extended to 64 as negative numbers are on the wire. */
static int read_integer_32(const json_t *value, bool is_signed, uint64_t *ret_value)
{
    uint64_t number;
    int r = read_integer(value, is_signed, &number);
    if (r < 0)
        return r;
    bool fits = is_signed ? (int64_t)number == (int32_t)number : number == (uint32_t)number;
    if (!fits)
        return -EINVAL;
    *ret_value = number;
    return 0;
}

static int read_enum(const ProtobufCEnumDescriptor *type, const json_t *value, uint64_t *ret_number, struct err *err)
{
    if (!json_is_string(value)) {
        int r = read_integer_32(value, true, ret_number);
        return r < 0 ? err_set(err, r, "expected the name or the number of an enum") : 0;
    }
    const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(value));
    if (!found)
        return err_set(err, -EINVAL, "unknown value \"%s\" for enum %s", json_string_value(value), type->name);
    *ret_number = (uint64_t)(int64_t)found->value;
    return 0;
}

static int read_number(const ProtobufCFieldDescriptor *field, const json_t *value, uint64_t *ret_number,
                       struct err *err)
{
    int r = -EINVAL;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
        r = read_integer(value, true, ret_number);
        return r < 0 ? err_set(err, r, "expected an integer of 64 bits") : 0;
    case PROTOBUF_C_TYPE_UINT64:
        r = read_integer(value, false, ret_number);
        return r < 0 ? err_set(err, r, "expected an unsigned integer of 64 bits") : 0;
    case PROTOBUF_C_TYPE_INT32:
        r = read_integer_32(value, true, ret_number);
        return r < 0 ? err_set(err, r, "expected an integer of 32 bits") : 0;
    case PROTOBUF_C_TYPE_UINT32:
        r = read_integer_32(value, false, ret_number);
        return r < 0 ? err_set(err, r, "expected an unsigned integer of 32 bits") : 0;
    case PROTOBUF_C_TYPE_BOOL:
        *ret_number = json_is_true(value);
        return json_is_boolean(value) ? 0 : err_set(err, r, "expected true or false");
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(field->descriptor, value, ret_number, err);
    default:
        ASSERT(!"a type that is not known here");
    }
    return r;
}

static struct slice string_slice(const json_t *value)
{
    return slice_from(json_string_value(value), json_string_length(value));
}

static int read_bytes(const ProtobufCFieldDescriptor *field, const json_t *value, struct buf *message, struct err *err)
{
    size_t begin = pb_begin(message, field->id);
    int r = json_is_string(value) ? base64_decode(string_slice(value), message) : -EINVAL;
    pb_end(message, begin);
    return r == -EINVAL ? err_set(err, r, "expected bytes as base64") : r;
}

/* An empty one is written all the same: it may be an element, or an alternative. */
static int read_string(const ProtobufCFieldDescriptor *field, const json_t *value, struct buf *message, struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, -EINVAL, "expected a string");
    pb_add_element(message, field->id, string_slice(value));
    return 0;
}

static int read_nested(const ProtobufCFieldDescriptor *field, const json_t *value, struct buf *message, struct err *err)
{
    size_t begin = pb_begin(message, field->id);
    int r = read_message(field->descriptor, value, message, err);
    pb_end(message, begin);
    return r;
}

static int read_value(const ProtobufCFieldDescriptor *field, const json_t *value, struct buf *message, struct err *err)
{
    uint64_t number;
    int r;
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_nested(field, value, message, err);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(field, value, message, err);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(field, value, message, err);
    default:
        r = read_number(field, value, &number, err);
        if (r == 0)
            pb_add_varint(message, field->id, number);
        return r;
    }
}

static int read_elements(const ProtobufCFieldDescriptor *field, const json_t *array, struct buf *message,
                         struct err *err)
{
    if (!json_is_array(array))
        return err_set(err, -EINVAL, "expected an array");
    for (size_t i = 0; i < json_array_size(array); i++) {
        int r = read_value(field, json_array_get(array, i), message, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The name as JSON has it by custom: "range_end" as "rangeEnd". */
static void to_camel_case(const char *name, char *ret_name, size_t size)
{
    size_t len = 0;
    for (bool is_upper = false; *name; name++) {
        if (*name == '_') {
            is_upper = true;
            continue;
        }
        ASSERT(len + 1 < size);
        ret_name[len++] = is_upper && *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
        is_upper = false;
    }
    ret_name[len] = '\0';
}

/* NULL when it is not there. */
static const json_t *find_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    char camel[64];
    if (!value && strchr(name, '_')) {
        to_camel_case(name, camel, sizeof(camel));
        value = json_object_get(object, camel);
    }
    return json_is_null(value) ? NULL : value;
}

static int read_message(const ProtobufCMessageDescriptor *type, const json_t *object, struct buf *message,
                        struct err *err)
{
    if (!json_is_object(object))
        return err_set(err, -EINVAL, "expected an object");
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        const json_t *value = find_member(object, field->name);
        if (!value)
            continue;
        int r = is_repeated(field) ? read_elements(field, value, message, err) : read_value(field, value, message, err);
        if (r < 0)
            return r == -EINVAL ? err_wrap(err, r, "%s", field->name) : r;
    }
    return 0;
}

int pb_json_read(const ProtobufCMessageDescriptor *type, struct slice text, const struct json_limits *limits,
                 struct buf *message, struct err *err)
{
    json_auto_t *value = NULL;
    int r = json_parse(text, limits, &value, err);
    if (r == 0)
        r = read_message(type, value, message, err);
    return r < 0 ? r : buf_error(message);
}
