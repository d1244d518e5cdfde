/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_writer.h"

#include "support/test.h"
#include "wire/json.h"

#include <errno.h>

static void writes_nested_values(void)
{
    struct buf out = {0};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("a"));
    json_writer_begin_array(&json);
    json_writer_u64(&json, UINT64_MAX);
    json_writer_i64(&json, INT64_MIN);
    json_writer_i64(&json, 7);
    json_writer_begin_array(&json);
    json_writer_end_array(&json);
    json_writer_begin_object(&json);
    json_writer_end_object(&json);
    json_writer_end_array(&json);
    json_writer_key(&json, SLICE_LIT("b\""));
    json_writer_bool(&json, true);
    json_writer_key(&json, SLICE_LIT("c"));
    json_writer_bool(&json, false);
    json_writer_key(&json, SLICE_LIT(""));
    json_writer_null(&json);
    json_writer_end_object(&json);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&out),
                 "{\"a\":[18446744073709551615,-9223372036854775808,7,[],{}],\"b\\\"\":true,\"c\":false,"
                 "\"\":null}");
    buf_deinit(&out);
}

static void writes_members(void)
{
    struct buf out = {0};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("a"), SLICE_LIT("text"));
    json_writer_member_str(&json, SLICE_LIT("b"), SLICE_LIT(""));
    json_writer_member_filled(&json, SLICE_LIT("c"), SLICE_LIT(""));
    json_writer_member_filled(&json, SLICE_LIT("d"), SLICE_LIT("filled"));
    json_writer_member_i64(&json, SLICE_LIT("e"), -1);
    json_writer_member_bool(&json, SLICE_LIT("f"), true);
    json_writer_member_list(&json, SLICE_LIT("g"), (const struct slice[]){SLICE_LIT("1"), SLICE_LIT("2")}, 2);
    json_writer_member_list(&json, SLICE_LIT("h"), NULL, 0);
    json_writer_end_object(&json);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&out),
                 "{\"a\":\"text\",\"b\":\"\",\"d\":\"filled\",\"e\":-1,\"f\":true,\"g\":[\"1\",\"2\"],\"h\":[]}");
    buf_deinit(&out);
}

static void writes_what_is_json_already(void)
{
    struct buf out = {0};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_begin_array(&json);
    json_writer_raw(&json, SLICE_LIT("{\"a\":1}"));
    json_writer_raw(&json, SLICE_LIT("2"));
    json_writer_end_array(&json);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&out), "[{\"a\":1},2]");
    buf_deinit(&out);
}

static void expect_written(struct slice text, const char *expected)
{
    struct buf out = {0};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_str(&json, text);
    expect_int(json_writer_finish(&json), 0);
    expect_slice(buf_slice(&out), expected);
    buf_deinit(&out);
}

static void strings_are_escaped(void)
{
    expect_written(SLICE_LIT(""), "\"\"");
    expect_written(SLICE_LIT("plain /text\x7f"), "\"plain /text\x7f\"");
    expect_written(SLICE_LIT("\"\\\n\r\t"), "\"\\\"\\\\\\n\\r\\t\"");
    expect_written(SLICE_LIT("a\0b\x1f"), "\"a\\u0000b\\u001f\"");
    expect_written(SLICE_LIT("\xc3\xa4 \xf0\x9f\x98\x80"), "\"\xc3\xa4 \xf0\x9f\x98\x80\"");
    expect_written(SLICE_LIT("\xff"
                             "a\xc3"),
                   "\"\xef\xbf\xbd"
                   "a\xef\xbf\xbd\"");
}

/* Any bytes come out as JSON that a strict reader takes. */
static void random_strings_can_be_read_again(void)
{
    static const struct json_limits limits = {.n_bytes = 4096, .depth = 2};
    uint64_t random = test_seed();
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[16];
        size_t len = test_random(&random) % sizeof(bytes);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(1 + test_random(&random) % 255);
        struct buf out = {0};
        struct json_writer json;
        json_writer_init(&json, &out);
        json_writer_begin_array(&json);
        json_writer_str(&json, slice_from(bytes, len));
        json_writer_end_array(&json);
        json_t *value;
        struct err err = {""};
        if (json_parse(buf_slice(&out), &limits, &value, &err) < 0)
            test_fail(__FILE__, __LINE__, "%s: %.*s", err.text, SLICE_ARG(buf_slice(&out)));
        json_decref(value);
        buf_deinit(&out);
    }
}

static void a_full_buf_is_reported_at_the_end(void)
{
    struct buf out = {.limit = 4};
    struct json_writer json;
    json_writer_init(&json, &out);
    json_writer_begin_array(&json);
    json_writer_str(&json, SLICE_LIT("too long"));
    json_writer_end_array(&json);
    expect_int(json_writer_finish(&json), -EMSGSIZE);
    buf_deinit(&out);
}

static void value_without_key(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    json_writer_begin_object(&json);
    json_writer_null(&json);
}

static void key_in_array(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    json_writer_begin_array(&json);
    json_writer_key(&json, SLICE_LIT("a"));
}

static void end_of_the_other_kind(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    json_writer_begin_array(&json);
    json_writer_end_object(&json);
}

static void end_behind_a_key(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    json_writer_begin_object(&json);
    json_writer_key(&json, SLICE_LIT("a"));
    json_writer_end_object(&json);
}

static void never_ended(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    json_writer_begin_array(&json);
    (void)json_writer_finish(&json);
}

static void nested_too_deeply(void *arg)
{
    struct json_writer json;
    json_writer_init(&json, arg);
    for (unsigned i = 0; i <= JSON_WRITER_DEPTH_MAX; i++)
        json_writer_begin_array(&json);
}

static void wrong_order_is_asserted(void)
{
    struct buf out = {0};
    expect_abort(value_without_key, &out);
    expect_abort(key_in_array, &out);
    expect_abort(end_of_the_other_kind, &out);
    expect_abort(end_behind_a_key, &out);
    expect_abort(never_ended, &out);
    expect_abort(nested_too_deeply, &out);
}

static const struct test_case cases[] = {
    {"nested values are written with their commas", writes_nested_values},
    {"members are written with their keys", writes_members},
    {"what is JSON already is taken as it is", writes_what_is_json_already},
    {"strings are escaped, and what is no UTF-8 replaced", strings_are_escaped},
    {"random strings can be read again", random_strings_can_be_read_again},
    {"a full buf is reported at the end", a_full_buf_is_reported_at_the_end},
    {"a wrong order of calls is asserted", wrong_order_is_asserted},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
