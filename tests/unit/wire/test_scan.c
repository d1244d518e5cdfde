/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each scan against the plainest way to write it, for every byte at every place of runs around the block sizes. Memory
 * of exactly the run's size shows ASan a read behind its end.
 */
#include "wire/scan.h"

#include "support/test.h"

#include <stdlib.h>

enum { LEN_MAX = 40 };

typedef const char *(*scan_fn)(const char *at, const char *end);

static const char *plain_token(const char *at, const char *end)
{
    while (at < end && char_is(*at, CHAR_TOKEN))
        at++;
    return at;
}

static const char *plain_value(const char *at, const char *end)
{
    while (at < end && char_is(*at, CHAR_VALUE))
        at++;
    return at;
}

static const char *plain_target(const char *at, const char *end)
{
    while (at < end && char_is(*at, CHAR_TARGET))
        at++;
    return at;
}

static const char *plain_blank_line(const char *at, const char *end)
{
    for (; at < end; at++)
        if (*at == '\n' && at + 1 < end && (at[1] == '\r' || at[1] == '\n'))
            return at;
    return end;
}

static const char *plain_usual_path(const char *at, const char *end)
{
    for (; at < end; at++)
        if (strchr("%\\", *at) || (*at == '/' && at + 1 < end && strchr("/.", at[1]) && at[1]))
            return at;
    return end;
}

/* All bytes at all places of runs that `filler` makes, then bytes at random from `palette`. */
static void compare(scan_fn scan, scan_fn plain, char filler, struct slice palette, uint64_t *random)
{
    for (size_t len = 0; len <= LEN_MAX; len++) {
        char *run = malloc(len + (len == 0));
        expect_true(run != NULL);
        for (size_t at = 0; at < len; at++) {
            memset(run, filler, len);
            for (unsigned byte = 0; byte < 256; byte++) {
                run[at] = (char)byte;
                expect_int(scan(run, run + len) - run, plain(run, run + len) - run);
            }
        }
        for (unsigned round = 0; round < 2000; round++) {
            for (size_t at = 0; at < len; at++)
                run[at] = palette.ptr[test_random(random) % palette.len];
            expect_int(scan(run, run + len) - run, plain(run, run + len) - run);
        }
        free(run);
    }
}

static void compare_all(scan_fn token, scan_fn value, scan_fn target, scan_fn blank_line, scan_fn usual_path)
{
    uint64_t random = test_seed();
    compare(token, plain_token, 'a', SLICE_LIT("abcXYZ019--__..:"), &random);
    compare(value, plain_value, 'a', SLICE_LIT("abcdef \t\t\x7e\x80\xff\xa0\x20\x21\x9f\x1f"), &random);
    compare(target, plain_target, '/', SLICE_LIT("/abc?%20=~!\"$&'()#"), &random);
    compare(blank_line, plain_blank_line, 'a', SLICE_LIT("aaaa\r\n\r\n"), &random);
    compare(usual_path, plain_usual_path, 'a', SLICE_LIT("abcdef-_0123456789//.%"), &random);
}

static void scalar_scans_agree(void)
{
    compare_all(scan_token_scalar, scan_value_scalar, scan_target_scalar, scan_blank_line_scalar,
                scan_usual_path_scalar);
}

static void sse2_scans_agree(void)
{
#ifdef __SSE2__
    compare_all(scan_token_sse2, scan_value_sse2, scan_target_sse2, scan_blank_line_sse2, scan_usual_path_sse2);
#else
    test_skip("this machine has no SSE2");
#endif
}

static void classes_are_those_of_the_rfcs(void)
{
    for (unsigned i = 0; i < 256; i++) {
        char c = (char)i;
        bool digit = i >= '0' && i <= '9', alpha = (i >= 'a' && i <= 'z') || (i >= 'A' && i <= 'Z');
        expect_int(char_is(c, CHAR_TOKEN), alpha || digit || (i && strchr("!#$%&'*+-.^_`|~", c)));
        expect_int(char_is(c, CHAR_VALUE), c == '\t' || (i >= 0x20 && i != 0x7f));
        expect_int(char_is(c, CHAR_TARGET), i > 0x20 && i < 0x7f && c != '#');
        expect_int(char_is(c, CHAR_UNRESERVED), alpha || digit || (i && strchr("-._~", c)));
        expect_int(char_is(c, CHAR_DIGIT), digit);
        expect_int(char_is(c, CHAR_HEX), char_hex_value(c) >= 0);
    }
    expect_int(char_hex_value('0'), 0);
    expect_int(char_hex_value('a'), 10);
    expect_int(char_hex_value('F'), 15);
    expect_int(char_hex_value('g'), -1);
}

static const struct test_case cases[] = {
    {"byte classes are those of RFC 9110 and RFC 3986", classes_are_those_of_the_rfcs},
    {"scalar scans end where they should", scalar_scans_agree},
    {"SSE2 scans end where they should", sse2_scans_agree},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
