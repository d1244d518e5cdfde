/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/uri_path.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>

/* The elements, each behind a '/', as one text. */
static const char *join(const struct uri_path *path, char *room, size_t size)
{
    size_t len = 0;
    room[0] = '\0';
    for (unsigned i = 0; i < path->n; i++)
        len += (size_t)snprintf(room + len, size - len, "/%.*s", SLICE_ARG(path->elements[i].name));
    expect_true(len < size);
    return room;
}

static void all_spellings_give_the_same_elements(void)
{
    static const struct {
        const char *path, *elements;
    } samples[] = {
        {"/", ""},
        {"/a", "/a"},
        {"/a/b/", "/a/b"},
        {"/a.b/c..d", "/a.b/c..d"},
        {"/a:b@c;d=e,f~g", "/a:b@c;d=e,f~g"},
        {"/a./b../", "/a./b.."},
        {"/%61%2Db", "/a-b"},
        {"/a%3ab", "/a:b"},
        {"/%c3%a4/x", "/\xc3\xa4/x"},
        {"//a///b//", "/a/b"},
        {"/./a/./b/.", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/..", "/a"},
        {"/a/..", ""},
        {"/a/%2e%2E/b", "/b"},
        {"/a/.%2e/b", "/b"},
        {"/a/%2e/b", "/a/b"},
        {"/a//..//b", "/b"},
        {"/...", "/..."},
        {"/.a/..b", "/.a/..b"},
        {"/%2541", "/%41"},
        {"//", ""},
        {"/a/b/../../c", "/c"},
        {"/a%20b%3Fc", "/a b?c"},
        {"/%61/%62/../%63", "/a/c"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct uri_path path;
        const char *fault;
        char room[256];
        expect_int(uri_path_split(slice_from_str(samples[i].path), URI_PATH_ELEMENTS_MAX, &path, &fault), 0);
        expect_str(join(&path, room, sizeof(room)), samples[i].elements);
    }
}

static void what_can_be_read_in_two_ways_is_refused(void)
{
    static const struct {
        struct slice path;
        const char *fault;
    } samples[] = {
        {SLICE_LIT(""), "the path does not begin with /"},
        {SLICE_LIT("*"), "the path does not begin with /"},
        {SLICE_LIT("a/b"), "the path does not begin with /"},
        {SLICE_LIT("/a%2fb"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/..%2fetc"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/a%5Cb"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/a\\b"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/a/b%00"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/a\0b"), "the path has an encoded slash, a backslash or a NUL"},
        {SLICE_LIT("/.."), "the path climbs above its root"},
        {SLICE_LIT("/a/../.."), "the path climbs above its root"},
        {SLICE_LIT("/%2e%2e/a"), "the path climbs above its root"},
        {SLICE_LIT("//../a"), "the path climbs above its root"},
        {SLICE_LIT("/a%"), "the path has a % without two hex digits"},
        {SLICE_LIT("/a%4/b"), "the path has a % without two hex digits"},
        {SLICE_LIT("/a%zz"), "the path has a % without two hex digits"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct uri_path path;
        const char *fault = NULL;
        expect_int(uri_path_split(samples[i].path, 1, &path, &fault), -EINVAL);
        expect_str(fault, samples[i].fault);
    }
}

static void an_element_knows_where_it_ended(void)
{
    struct uri_path path;
    const char *fault;
    struct slice text = SLICE_LIT("/v1/x/../../v%31//api/./y");
    expect_int(uri_path_split(text, URI_PATH_ELEMENTS_MAX, &path, &fault), 0);
    expect_int(path.n, 3);
    expect_str(path.elements[0].end, "//api/./y");
    expect_str(path.elements[1].end, "/./y");
    expect_str(path.elements[2].end, "");
}

static void only_what_is_wanted_is_given(void)
{
    struct uri_path path;
    const char *fault;
    expect_int(uri_path_split(SLICE_LIT("/a/b/c"), 2, &path, &fault), 0);
    expect_int(path.n, 2);
    expect_int(uri_path_split(SLICE_LIT("/a/b/c/../../%64/e"), 2, &path, &fault), 0);
    expect_int(path.n, 2);
    expect_slice(path.elements[1].name, "d");
    expect_int(uri_path_split(SLICE_LIT("/a/../.."), 0, &path, &fault), -EINVAL);
}

/* Elements that do not fit are none, and what was decoded of popped ones makes room. */
static void decoded_elements_are_limited(void)
{
    struct uri_path path;
    const char *fault;
    char text[8192];
    int n = snprintf(text, sizeof(text), "/%%61%0*d/b", URI_PATH_DECODED_MAX, 0);
    expect_int(uri_path_split(slice_from(text, (size_t)n), 8, &path, &fault), 0);
    expect_int(path.n, 0);
    n = snprintf(text, sizeof(text), "/%%61%0*d/../%%61%0*d/..//%%61%0*d/%%62", 1000, 0, 1010, 0,
                 URI_PATH_DECODED_MAX - 2, 0);
    expect_int(uri_path_split(slice_from(text, (size_t)n), 8, &path, &fault), 0);
    expect_int(path.n, 2);
    expect_int(path.elements[0].name.len, URI_PATH_DECODED_MAX - 1);
    expect_slice(path.elements[1].name, "b");
}

/* The plainest way: decode all, then resolve; on small texts of what matters. */
static int plain_split(struct slice path, struct slice *elements, char *room, unsigned *ret_n)
{
    unsigned n = 0;
    if (path.len == 0 || path.ptr[0] != '/')
        return -EINVAL;
    while (path.len > 0) {
        struct slice raw;
        size_t len = 0;
        path = slice_split(path, '/', &raw);
        for (size_t i = 0; i < raw.len; i++) {
            unsigned byte = (unsigned char)raw.ptr[i];
            if (byte == '%') {
                char hex[3] = {0};
                memcpy(hex, raw.ptr + i + 1, min_size(2, raw.len - i - 1));
                if (sscanf(hex, "%2x", &byte) != 1 || strspn(hex, "0123456789abcdef") != 2)
                    return -EINVAL;
                i += 2;
            }
            if (byte == '/' || byte == '\\' || byte == 0)
                return -EINVAL;
            room[len++] = (char)byte;
        }
        struct slice element = slice_from(room, len);
        room += len;
        if (slice_equal_str(element, "..")) {
            if (n-- == 0)
                return -EINVAL;
        } else if (len > 0 && !slice_equal_str(element, ".")) {
            elements[n++] = element;
        }
    }
    *ret_n = n;
    return 0;
}

static void random_paths_agree_with_the_plain_way(void)
{
    static const char *const pieces[] = {"/",   "/",   "/",   "..", ".",   "a",  "b",
                                         "%2e", "%61", "%2f", "%",  "%5c", "\\", "xyz"};
    uint64_t random = test_seed();
    for (unsigned round = 0; round < 200000; round++) {
        char text[256] = "/", room[256];
        size_t len = 1;
        for (uint64_t left = test_random(&random) % 14; left > 0; left--)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
                                    pieces[test_random(&random) % ARRAY_LEN(pieces)]);
        struct slice expected[64];
        struct uri_path path;
        const char *fault;
        unsigned n;
        int r = plain_split(slice_from_str(text), expected, room, &n);
        expect_int(uri_path_split(slice_from_str(text), URI_PATH_ELEMENTS_MAX, &path, &fault), r);
        for (unsigned i = 0; r == 0 && i < n; i++)
            expect_bytes(path.elements[i].name, expected[i]);
        if (r == 0)
            expect_int(path.n, n);
    }
}

static const struct test_case cases[] = {
    {"all spellings of a path give the same elements", all_spellings_give_the_same_elements},
    {"what can be read in two ways is refused", what_can_be_read_in_two_ways_is_refused},
    {"an element knows where it ended in the path", an_element_knows_where_it_ended},
    {"only the elements that are wanted are given, but all is looked at", only_what_is_wanted_is_given},
    {"decoded elements are limited", decoded_elements_are_limited},
    {"random paths agree with the plain way", random_paths_agree_with_the_plain_way},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
