/* SPDX-License-Identifier: Apache-2.0 */
#include "base/slice.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static const struct slice nothing = {NULL, 0};

static void compares(void)
{
    expect_true(slice_equal(SLICE_LIT("abc"), SLICE_LIT("abc")));
    expect_false(slice_equal(SLICE_LIT("abc"), SLICE_LIT("abd")));
    expect_false(slice_equal(SLICE_LIT("abc"), SLICE_LIT("ab")));
    expect_true(slice_equal(nothing, SLICE_LIT("")));
    expect_true(slice_equal_str(SLICE_LIT("abc"), "abc"));
    expect_true(slice_starts_with(SLICE_LIT("abc"), SLICE_LIT("ab")));
    expect_true(slice_starts_with(nothing, nothing));
    expect_false(slice_starts_with(SLICE_LIT("a"), SLICE_LIT("ab")));
}

static void orders(void)
{
    expect_true(slice_compare(SLICE_LIT("a"), SLICE_LIT("b")) < 0);
    expect_true(slice_compare(SLICE_LIT("ab"), SLICE_LIT("a")) > 0);
    expect_true(slice_compare(SLICE_LIT("a\0"), SLICE_LIT("a")) > 0);
    expect_true(slice_compare(SLICE_LIT("\xc4"), SLICE_LIT("z")) > 0);
    expect_int(slice_compare(SLICE_LIT("ab"), SLICE_LIT("ab")), 0);
    expect_int(slice_compare(nothing, SLICE_LIT("")), 0);

    struct slice all[] = {SLICE_LIT("b"), SLICE_LIT(""), SLICE_LIT("ab"), SLICE_LIT("a")};
    static const char *const sorted[] = {"", "a", "ab", "b"};
    slice_sort(all, ARRAY_LEN(all));
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        expect_slice(all[i], sorted[i]);
    slice_sort(NULL, 0);
}

static void compares_without_case(void)
{
    expect_true(slice_equal_nocase(SLICE_LIT("Content-Length"), SLICE_LIT("content-lENGTH")));
    expect_false(slice_equal_nocase(SLICE_LIT("a"), SLICE_LIT("b")));
    expect_false(slice_equal_nocase(SLICE_LIT("a"), SLICE_LIT("aa")));
    expect_true(slice_equal_nocase(nothing, nothing));
    /* Only letters fold: '@' and '`', '[' and '{' are as far apart as 'A' and 'a'. */
    expect_false(slice_equal_nocase(SLICE_LIT("@["), SLICE_LIT("`{")));
    expect_false(slice_equal_nocase(SLICE_LIT("\xc4"), SLICE_LIT("\xe4")));
}

static void trims_blanks(void)
{
    expect_slice(slice_trim(SLICE_LIT(" \t a b\t ")), "a b");
    expect_slice(slice_trim(SLICE_LIT("ab")), "ab");
    expect_slice(slice_trim(SLICE_LIT(" \t ")), "");
    expect_slice(slice_trim(SLICE_LIT("\na\r")), "\na\r");
    expect_slice(slice_trim(nothing), "");
}

static void finds_a_byte(void)
{
    expect_int(slice_find(SLICE_LIT("key=value=2"), '='), 3);
    expect_int(slice_find(SLICE_LIT("key"), '='), 3);
    expect_int(slice_find(nothing, '='), 0);
}

static void skips(void)
{
    expect_slice(slice_skip(SLICE_LIT("abc"), 2), "c");
    expect_slice(slice_skip(SLICE_LIT("abc"), 3), "");
    expect_slice(slice_skip(nothing, 0), "");
}

static void splits_at_the_first_separator(void)
{
    struct slice head;
    expect_slice(slice_split(SLICE_LIT("a=b=c"), '=', &head), "b=c");
    expect_slice(head, "a");
    expect_slice(slice_split(SLICE_LIT("abc"), '=', &head), "");
    expect_slice(head, "abc");
    expect_slice(slice_split(SLICE_LIT("=b"), '=', &head), "b");
    expect_slice(head, "");
    expect_slice(slice_split(nothing, '=', &head), "");
    expect_slice(head, "");
}

static void splits_a_list_in_a_loop(void)
{
    static const char *const expected[] = {"a", "", "bc"};
    size_t n = 0;
    struct slice rest = SLICE_LIT("a,,bc"), item;
    while (!slice_is_empty(rest)) {
        rest = slice_split(rest, ',', &item);
        expect_true(n < ARRAY_LEN(expected));
        expect_slice(item, expected[n++]);
    }
    expect_int(n, ARRAY_LEN(expected));
}

static void parses_numbers(void)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"2379", 0, 2379},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999x", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"0x1", -EINVAL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 12345;
        expect_int(slice_parse_u64(slice_from_str(rows[i].text), &value), rows[i].result);
        expect_true(value == (rows[i].result == 0 ? rows[i].value : 12345));
    }
}

static void copies_one_behind_the_other(void)
{
    char room[4], *at = room;
    expect_slice(slice_put(SLICE_LIT("ab"), &at), "ab");
    expect_slice(slice_put(nothing, &at), "");
    expect_slice(slice_put(SLICE_LIT("cd"), &at), "cd");
    expect_slice(slice_from(room, (size_t)(at - room)), "abcd");
}

static void copies_to_the_heap(void)
{
    char *copy = slice_dup(slice_from("abcdef", 3));
    expect_str(copy, "abc");
    free(copy);
    copy = slice_dup(nothing);
    expect_str(copy, "");
    free(copy);
    fault_alloc_arm(1);
    expect_str(slice_dup(SLICE_LIT("abc")), NULL);
    expect_true(fault_alloc_disarm());
}

static const struct test_case cases[] = {
    {"slices compare by their bytes", compares},
    {"slices have an order", orders},
    {"slices compare without the case of ASCII letters", compares_without_case},
    {"blanks and tabs are trimmed, nothing else", trims_blanks},
    {"the first byte is found", finds_a_byte},
    {"bytes are skipped", skips},
    {"a slice splits at the first separator", splits_at_the_first_separator},
    {"a list splits in a loop", splits_a_list_in_a_loop},
    {"decimal numbers are parsed strictly", parses_numbers},
    {"copies are put one behind the other", copies_one_behind_the_other},
    {"a heap copy ends with a NUL", copies_to_the_heap},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
