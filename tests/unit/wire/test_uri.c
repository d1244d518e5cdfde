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

static void usual_paths_are_given_back(void)
{
    static const char *const paths[] = {"/", "/a", "/a/b/", "/a.b/c..d", "*", "", "/a:b@c;d=e,f~g", "/a./b../"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf scratch = {0};
        struct slice path = slice_from_str(paths[i]), normal;
        expect_int(uri_path_normalise(path, URI_ENCODED_REFUSE, &scratch, &normal), 0);
        expect_true(normal.ptr == path.ptr && normal.len == path.len);
        expect_true(scratch.ptr == NULL);
    }
}

static void paths_get_one_spelling(void)
{
    static const struct {
        const char *path, *normal;
    } samples[] = {
        {"/%61%2Db", "/a-b"},
        {"/a%3ab", "/a%3Ab"},
        {"/%c3%a4", "/%C3%A4"},
        {"//a///b//", "/a/b/"},
        {"/./a/./b/.", "/a/b/"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a/"},
        {"/a/..", "/"},
        {"/a/%2e%2E/b", "/b"},
        {"/a/%2e/b", "/a/b"},
        {"/a//..//b", "/b"},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
        {"/%2541", "/%2541"},
        {"//", "/"},
        {"/a/b/../../c", "/c"},
        {"/a%20b%3Fc", "/a%20b%3Fc"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct buf scratch = {0};
        struct slice normal, again;
        expect_int(uri_path_normalise(slice_from_str(samples[i].path), URI_ENCODED_REFUSE, &scratch, &normal), 0);
        expect_slice(normal, samples[i].normal);
        struct buf more = {0};
        expect_int(uri_path_normalise(normal, URI_ENCODED_REFUSE, &more, &again), 0);
        expect_slice(again, samples[i].normal);
        buf_deinit(&more);
        buf_deinit(&scratch);
    }
}

static void ambiguous_paths_are_refused(void)
{
    static const struct slice paths[] = {
        SLICE_LIT("/a%2fb"), SLICE_LIT("/a%5Cb"),   SLICE_LIT("/a%00"),     SLICE_LIT("/a\\b"), SLICE_LIT("/a\0b"),
        SLICE_LIT("/.."),    SLICE_LIT("/a/../.."), SLICE_LIT("/%2e%2e/a"), SLICE_LIT("/a%"),   SLICE_LIT("/a%4/b"),
        SLICE_LIT("/a%zz"),  SLICE_LIT("//../a"),   SLICE_LIT("/..%2fetc"),
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct buf scratch = {0};
        struct slice normal;
        if (uri_path_normalise(paths[i], URI_ENCODED_REFUSE, &scratch, &normal) != -EINVAL)
            test_fail(__FILE__, __LINE__, "%.*s is accepted", SLICE_ARG(paths[i]));
        buf_deinit(&scratch);
    }
}

static void encoded_slashes_can_be_kept(void)
{
    struct buf scratch = {0};
    struct slice normal;
    expect_int(uri_path_normalise(SLICE_LIT("/kv/a%2fb%5c%00"), URI_ENCODED_KEEP, &scratch, &normal), 0);
    expect_slice(normal, "/kv/a%2Fb%5C%00");
    expect_int(uri_path_normalise(SLICE_LIT("/kv\\a"), URI_ENCODED_KEEP, &scratch, &normal), -EINVAL);
    buf_deinit(&scratch);
}

static int normalise(void *arg)
{
    (void)arg;
    CLEANUP(buf_deinit) struct buf scratch = {0};
    struct slice normal;
    int r = uri_path_normalise(SLICE_LIT("/a/../b"), URI_ENCODED_REFUSE, &scratch, &normal);
    return r < 0 ? r : uri_decode(SLICE_LIT("%41"), &scratch);
}

static void each_failing_allocation_is_reported(void)
{
    expect_int(fault_alloc_sweep(normalise, NULL), 1);
}

static const struct test_case cases[] = {
    {"escapes are decoded", escapes_are_decoded},
    {"queries are walked parameter by parameter", queries_are_walked},
    {"parameters are found by their decoded name", parameters_are_found_by_decoded_name},
    {"usual paths are given back as they are", usual_paths_are_given_back},
    {"paths that mean the same get one spelling", paths_get_one_spelling},
    {"ambiguous paths are refused", ambiguous_paths_are_refused},
    {"encoded slashes can be kept", encoded_slashes_can_be_kept},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
