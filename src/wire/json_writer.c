/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer knows of each open level two bits only. A string is copied in runs of what needs no escape.
 */
#include "wire/json_writer.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "wire/base64.h"

void json_writer_init(struct json_writer *json, struct buf *out)
{
    *json = (struct json_writer){.out = out};
}

int json_writer_finish(const struct json_writer *json)
{
    ASSERT(json->depth == 0);
    return buf_error(json->out);
}

static bool is_in_object(const struct json_writer *json)
{
    return json->depth > 0 && (json->objects >> (json->depth - 1) & 1);
}

/* The comma before each member but the first. */
static void separate(struct json_writer *json)
{
    if (json->depth == 0)
        return;
    uint64_t bit = UINT64_C(1) << (json->depth - 1);
    if (json->non_empty & bit)
        (void)buf_append_char(json->out, ',');
    json->non_empty |= bit;
}

static void begin_value(struct json_writer *json)
{
    ASSERT(json->has_key == is_in_object(json));
    if (!json->has_key)
        separate(json);
    json->has_key = false;
}

static void begin(struct json_writer *json, bool is_object)
{
    begin_value(json);
    ASSERT(json->depth < JSON_WRITER_DEPTH_MAX);
    uint64_t bit = UINT64_C(1) << json->depth++;
    json->non_empty &= ~bit;
    json->objects = is_object ? json->objects | bit : json->objects & ~bit;
    (void)buf_append_char(json->out, is_object ? '{' : '[');
}

static void end(struct json_writer *json, bool is_object)
{
    ASSERT(json->depth > 0 && is_in_object(json) == is_object && !json->has_key);
    json->depth--;
    (void)buf_append_char(json->out, is_object ? '}' : ']');
}

void json_writer_begin_object(struct json_writer *json)
{
    begin(json, true);
}

void json_writer_end_object(struct json_writer *json)
{
    end(json, true);
}

void json_writer_begin_array(struct json_writer *json)
{
    begin(json, false);
}

void json_writer_end_array(struct json_writer *json)
{
    end(json, false);
}

/* Bytes at the front that stand for themselves. */
static size_t plain_run(struct slice text)
{
    size_t n = 0;
    while (n < text.len) {
        unsigned char c = (unsigned char)text.ptr[n];
        uint32_t point;
        size_t len = c < 0x80 ? 1 : utf8_decode(slice_skip(text, n), &point);
        if (c < 0x20 || c == '"' || c == '\\' || len == 0)
            break;
        n += len;
    }
    return n;
}

static void put_escaped(struct buf *out, unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        (void)buf_append(out, slice_from((const char[]){'\\', (char)c}, 2));
        break;
    case '\n':
        (void)buf_append_str(out, "\\n");
        break;
    case '\r':
        (void)buf_append_str(out, "\\r");
        break;
    case '\t':
        (void)buf_append_str(out, "\\t");
        break;
    default:
        if (c < 0x20)
            (void)buf_printf(out, "\\u%04x", c);
        else
            (void)buf_append_str(out, UTF8_REPLACEMENT);
        break;
    }
}

static void put_string(struct buf *out, struct slice text)
{
    (void)buf_append_char(out, '"');
    while (text.len > 0) {
        size_t n = plain_run(text);
        (void)buf_append(out, slice_from(text.ptr, n));
        text = slice_skip(text, n);
        if (text.len > 0) {
            put_escaped(out, (unsigned char)text.ptr[0]);
            text = slice_skip(text, 1);
        }
    }
    (void)buf_append_char(out, '"');
}

void json_writer_key(struct json_writer *json, struct slice key)
{
    ASSERT(is_in_object(json) && !json->has_key);
    separate(json);
    put_string(json->out, key);
    (void)buf_append_char(json->out, ':');
    json->has_key = true;
}

void json_writer_str(struct json_writer *json, struct slice text)
{
    begin_value(json);
    put_string(json->out, text);
}

void json_writer_base64(struct json_writer *json, struct slice bytes)
{
    begin_value(json);
    (void)buf_append_char(json->out, '"');
    (void)base64_encode(bytes, json->out);
    (void)buf_append_char(json->out, '"');
}

void json_writer_u64(struct json_writer *json, uint64_t value)
{
    begin_value(json);
    (void)buf_append_u64(json->out, value);
}

void json_writer_i64(struct json_writer *json, int64_t value)
{
    begin_value(json);
    if (value < 0)
        (void)buf_append_char(json->out, '-');
    (void)buf_append_u64(json->out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_writer_bool(struct json_writer *json, bool value)
{
    begin_value(json);
    (void)buf_append_str(json->out, value ? "true" : "false");
}

void json_writer_null(struct json_writer *json)
{
    begin_value(json);
    (void)buf_append_str(json->out, "null");
}

void json_writer_raw(struct json_writer *json, struct slice value)
{
    begin_value(json);
    (void)buf_append(json->out, value);
}

void json_writer_member_str(struct json_writer *json, struct slice key, struct slice text)
{
    json_writer_key(json, key);
    json_writer_str(json, text);
}

void json_writer_member_filled(struct json_writer *json, struct slice key, struct slice text)
{
    if (text.len > 0)
        json_writer_member_str(json, key, text);
}

void json_writer_member_i64(struct json_writer *json, struct slice key, int64_t value)
{
    json_writer_key(json, key);
    json_writer_i64(json, value);
}

void json_writer_member_bool(struct json_writer *json, struct slice key, bool value)
{
    json_writer_key(json, key);
    json_writer_bool(json, value);
}

void json_writer_member_list(struct json_writer *json, struct slice key, const struct slice *list, unsigned n)
{
    json_writer_key(json, key);
    json_writer_begin_array(json);
    for (unsigned i = 0; i < n; i++)
        json_writer_str(json, list[i]);
    json_writer_end_array(json);
}
