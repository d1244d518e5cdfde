/* SPDX-License-Identifier: Apache-2.0 */
#include "base/quantity.h"

#include "base/time.h"

#include "support/test.h"

#include <errno.h>

static void numbers_with_units_are_read(void)
{
    static const struct {
        enum quantity kind;
        const char *text;
        uint64_t value;
    } samples[] = {
        {QUANTITY_NUMBER, "0", 0},
        {QUANTITY_NUMBER, "42", 42},
        {QUANTITY_BYTES, "100", 100},
        {QUANTITY_BYTES, "64k", 65536},
        {QUANTITY_BYTES, "1M", 1048576},
        {QUANTITY_BYTES, "2G", 2147483648},
        {QUANTITY_DURATION, "500ms", 500 * NSEC_PER_MSEC},
        {QUANTITY_DURATION, "10s", 10 * NSEC_PER_SEC},
        {QUANTITY_DURATION, "5m", 300 * NSEC_PER_SEC},
        {QUANTITY_DURATION, "24h", 86400 * NSEC_PER_SEC},
        {QUANTITY_DURATION, "0s", 0},
        {QUANTITY_DURATION, "0", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint64_t value;
        expect_int(quantity_parse(samples[i].kind, slice_from_str(samples[i].text), &value), 0);
        expect_int(value, samples[i].value);
    }
}

static void anything_else_is_refused(void)
{
    static const struct {
        enum quantity kind;
        const char *text;
    } samples[] = {
        {QUANTITY_NUMBER, ""},     {QUANTITY_NUMBER, "1k"},     {QUANTITY_NUMBER, "-1"},
        {QUANTITY_BYTES, "k"},     {QUANTITY_BYTES, "1 k"},     {QUANTITY_BYTES, "1kb"},
        {QUANTITY_DURATION, "10"}, {QUANTITY_DURATION, "1.5s"}, {QUANTITY_DURATION, "99999999999999h"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        uint64_t value;
        expect_int(quantity_parse(samples[i].kind, slice_from_str(samples[i].text), &value), -EINVAL);
    }
}

static void values_get_their_shortest_text(void)
{
    static const struct {
        enum quantity kind;
        uint64_t value;
        const char *text;
    } samples[] = {
        {QUANTITY_NUMBER, 1024, "1024"},
        {QUANTITY_BYTES, 0, "0"},
        {QUANTITY_BYTES, 1024, "1k"},
        {QUANTITY_BYTES, 1025, "1025"},
        {QUANTITY_DURATION, 0, "0ms"},
        {QUANTITY_DURATION, 90 * NSEC_PER_SEC, "90s"},
        {QUANTITY_DURATION, 3600 * NSEC_PER_SEC, "1h"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        char text[QUANTITY_TEXT_MAX];
        quantity_format(samples[i].kind, samples[i].value, text);
        expect_str(text, samples[i].text);
    }
}

static const struct test_case cases[] = {
    {"numbers with units are read", numbers_with_units_are_read},
    {"anything else is refused", anything_else_is_refused},
    {"values get their shortest text", values_get_their_shortest_text},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
