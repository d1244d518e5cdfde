/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/json_scan.h"

#include "support/test.h"

static void finds_the_end_of_a_value(void)
{
    static const struct {
        const char *text;
        size_t len; /* 0: it does not end here */
    } samples[] = {
        {"", 0},
        {"  ", 0},
        {"{}", 2},
        {" \r\n\t{}", 6},
        {"{} {}", 2},
        {"{}x", 2},
        {"[{},[1]],", 8},
        {"{\"a\":\"}\"}x", 9},
        {"{\"a\":\"\\\"}\"}x", 11},
        {"{\"a\\\\\":\"}\"}x", 11},
        {"{\"a\":", 0},
        {"{\"a\":\"}", 0},
        {"{]x", 2},  /* malformed: for the parser to say */
        {"1 {}", 4}, /* no value that we take */
        {" \"a\"", 4},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct json_scan scan = {0};
        struct slice text = slice_from_str(samples[i].text);
        expect_int(json_scan(&scan, text), samples[i].len ? samples[i].len : text.len);
        expect_int(scan.is_complete, samples[i].len > 0);
    }
}

static void knows_blanks_from_a_beginning(void)
{
    struct json_scan scan = {0};
    expect_int(json_scan(&scan, SLICE_LIT(" \n")), 2);
    expect_false(scan.is_begun);
    expect_int(json_scan(&scan, SLICE_LIT(" {")), 2);
    expect_true(scan.is_begun);
}

static void pieces_make_no_difference(void)
{
    struct slice text = SLICE_LIT(" {\"a\\\"\":[\"]\",{\"\\\\\":0}]} {}");
    struct json_scan whole = {0};
    size_t len = json_scan(&whole, text);
    expect_int(len, text.len - 3);
    for (size_t cut = 0; cut < len; cut++) {
        struct json_scan scan = {0};
        expect_int(json_scan(&scan, slice_from(text.ptr, cut)), cut);
        expect_false(scan.is_complete);
        expect_int(json_scan(&scan, slice_skip(text, cut)), len - cut);
        expect_true(scan.is_complete);
    }
}

static const struct test_case cases[] = {
    {"the end of a value is found", finds_the_end_of_a_value},
    {"blanks are no beginning", knows_blanks_from_a_beginning},
    {"it makes no difference where a value is cut", pieces_make_no_difference},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
