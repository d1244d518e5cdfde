/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/uri.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static void expect_decoded(struct slice text, int result, struct slice expected)
{
    struct buf out = {0};
    expect_int(uri_decode(text, &out), result);
    if (result == 0)
        expect_bytes(buf_slice(&out), expected);
    buf_deinit(&out);
}

static void escapes_are_decoded(void)
{
    expect_decoded(SLICE_LIT(""), 0, SLICE_LIT(""));
    expect_decoded(SLICE_LIT("a+b"), 0, SLICE_LIT("a+b"));
    expect_decoded(SLICE_LIT("%41%2f%2F%00%fF"), 0, SLICE_LIT("A//\0\xff"));
    expect_decoded(SLICE_LIT("%25%32%35"), 0, SLICE_LIT("%25"));
    expect_decoded(SLICE_LIT("%"), -EINVAL, SLICE_LIT(""));
    expect_decoded(SLICE_LIT("a%4"), -EINVAL, SLICE_LIT(""));
    expect_decoded(SLICE_LIT("%g0"), -EINVAL, SLICE_LIT(""));
    expect_decoded(SLICE_LIT("%0g"), -EINVAL, SLICE_LIT(""));
}

static void queries_are_walked(void)
{
    struct slice query = SLICE_LIT("&a=1&b&&=c&d=e=f&");
    struct uri_param param;
    static const char *const expected[][2] = {{"a", "1"}, {"b", ""}, {"", "c"}, {"d", "e=f"}};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        expect_true(uri_query_next(&query, &param));
        expect_slice(param.name, expected[i][0]);
        expect_slice(param.value, expected[i][1]);
    }
    expect_false(uri_query_next(&query, &param));
}

static void parameters_are_found_by_decoded_name(void)
{
    struct slice query = SLICE_LIT("zone=eu%2D1&the+name=a+b%2Bc&%7Aone=other&empty=&bad=%4");
    static const struct {
        const char *name, *value;
    } samples[] = {{"zone", "eu-1"}, {"the name", "a b+c"}, {"empty", ""}};
    struct buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        buf_reset(&out);
        expect_int(uri_query_get(query, slice_from_str(samples[i].name), &out), 0);
        expect_slice(buf_slice(&out), samples[i].value);
    }
    expect_int(uri_query_get(query, SLICE_LIT("zon"), &out), URI_ABSENT);
    expect_int(uri_query_get(query, SLICE_LIT("zones"), &out), URI_ABSENT);
    expect_int(uri_query_get(SLICE_LIT(""), SLICE_LIT("a"), &out), URI_ABSENT);
    expect_int(uri_query_get(query, SLICE_LIT("bad"), &out), -EINVAL);
    buf_deinit(&out);
}

static int decode(void *arg)
{
    (void)arg;
    CLEANUP(buf_deinit) struct buf out = {0};
    return uri_decode(SLICE_LIT("%41"), &out);
}

static void each_failing_allocation_is_reported(void)
{
    expect_int(fault_alloc_sweep(decode, NULL), 1);
}

static const struct test_case cases[] = {
    {"escapes are decoded", escapes_are_decoded},
    {"queries are walked parameter by parameter", queries_are_walked},
    {"parameters are found by their decoded name", parameters_are_found_by_decoded_name},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
