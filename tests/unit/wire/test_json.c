/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static const struct json_limits limits = {.n_bytes = 4096, .depth = 8};

static void reads_an_object(void)
{
    json_t *value;
    struct err err = {""};
    expect_int(json_parse(SLICE_LIT(" {\"a\": [1, true, null], \"b\": \"\\u00e4\xc3\xb6\"}\n"), &limits, &value, &err),
               0);
    expect_int(json_integer_value(json_array_get(json_object_get(value, "a"), 0)), 1);
    expect_str(json_string_value(json_object_get(value, "b")), "\xc3\xa4\xc3\xb6");
    json_decref(value);
}

static void refused_texts_say_where_and_why(void)
{
    static const struct {
        struct slice text;
        const char *message;
    } samples[] = {
        {SLICE_LIT(""), "line 1, column 0: '[' or '{' expected near end of file"},
        {SLICE_LIT("1"), "line 1, column 1: '[' or '{' expected near '1'"},
        {SLICE_LIT("{\"a\":1,\n \"a\":2}"), "line 2, column 4: duplicate object key near '\"a\"'"},
        {SLICE_LIT("[1] x"), "line 1, column 5: end of file expected near 'x'"},
        {SLICE_LIT("[1,]"), "line 1, column 4: unexpected token near ']'"},
        {SLICE_LIT("[\"\xff\"]"), "line 1, column 2: unable to decode byte 0xff near '\"'"},
        {SLICE_LIT("[\"\xed\xa0\x80\"]"), "line 1, column 2: unable to decode byte 0xed near '\"'"},
        {SLICE_LIT("[\"\\u0000\"]"), "line 1, column 9: \\u0000 is not allowed without JSON_ALLOW_NUL"},
        {SLICE_LIT("[\"a\nb\"]"), "line 1, column 3: unexpected newline near '\"a'"},
        {SLICE_LIT("[\0]"), "line 1, column 2: invalid token near end of file"},
        {SLICE_LIT("[99999999999999999999]"), "line 1, column 21: too big integer near '99999999999999999999'"},
        {SLICE_LIT("{\"\xc3\xa4\": \n [[[[[[[ [1]]]]]]]]}"), "line 2, column 10: nested more than 8 levels deep"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        json_t *value = NULL;
        struct err err = {""};
        expect_int(json_parse(samples[i].text, &limits, &value, &err), -EINVAL);
        expect_slice(slice_from(err.text, min_size(strlen(err.text), strlen(samples[i].message))), samples[i].message);
        expect_true(value == NULL);
    }
}

static void limits_are_exact(void)
{
    json_t *value;
    struct err err = {""};
    struct slice text = SLICE_LIT("[\"[[\\\"[\",{\"a\":[]}]");
    struct json_limits exact = {.n_bytes = text.len, .depth = 3};
    expect_int(json_parse(text, &exact, &value, &err), 0);
    json_decref(value);
    struct json_limits tight = {.n_bytes = text.len - 1, .depth = 3};
    expect_int(json_parse(text, &tight, &value, &err), -EINVAL);
    expect_str(err.text, "18 bytes of JSON are more than the 17 that are accepted");
    tight = (struct json_limits){.n_bytes = text.len, .depth = 2};
    expect_int(json_parse(text, &tight, &value, &err), -EINVAL);
}

static int parse_and_drop(void *arg)
{
    (void)arg;
    json_t *value;
    int r = json_parse(SLICE_LIT("{\"a\": [1, 2.5, \"b\"], \"c\": {\"d\": null}}"), &limits, &value, NULL);
    if (r == 0)
        json_decref(value);
    return r;
}

static void each_failing_allocation_is_reported(void)
{
    json_set_alloc_funcs(malloc, free); /* those that fail on demand */
    expect_true(fault_alloc_sweep(parse_and_drop, NULL) > 5);
}

static const struct test_case cases[] = {
    {"an object is read", reads_an_object},
    {"what is refused says where and why", refused_texts_say_where_and_why},
    {"limits are exact", limits_are_exact},
    {"each failing allocation is reported and leaks nothing", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
