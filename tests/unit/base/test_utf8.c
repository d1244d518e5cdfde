/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "support/test.h"

static void decodes_each_length_at_its_ends(void)
{
    static const struct {
        const char *bytes;
        size_t len;
        uint32_t point;
    } rows[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\xc3\xbfz", 2, 0xff},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t point;
        expect_int(utf8_decode(slice_from_str(rows[i].bytes), &point), rows[i].len);
        expect_int(point, rows[i].point);
    }
    uint32_t zero = 1;
    expect_int(utf8_decode(SLICE_LIT("\0"), &zero), 1);
    expect_int(zero, 0);
}

static void refuses_what_is_not_well_formed(void)
{
    static const char *const rows[] = {
        "", /* nothing */
        "\x80",
        "\xbf",
        "\xff",
        "\xfe",
        "\xf8\x88\x80\x80\x80", /* begin nothing */
        "\xc0\xaf",
        "\xc1\xbf",
        "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf", /* overlong */
        "\xed\xa0\x80",
        "\xed\xbf\xbf",     /* surrogates */
        "\xf4\x90\x80\x80", /* above U+10FFFF */
        "\xc3",
        "\xe2\x82",
        "\xf0\x90\x80", /* end too early */
        "\xc3z",
        "\xe2\x82z",
        "\xf0z\x80\x80", /* broken off */
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint32_t point;
        expect_int(utf8_decode(slice_from_str(rows[i]), &point), 0);
    }
}

static const struct test_case cases[] = {
    {"each length is decoded at its ends", decodes_each_length_at_its_ends},
    {"what is not well-formed is refused", refuses_what_is_not_well_formed},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
