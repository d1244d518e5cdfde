/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http_date.h"

#include "support/test.h"

#include <errno.h>

static void dates_are_seconds_since_1970(void)
{
    static const struct {
        const char *text;
        int64_t wall_s;
    } samples[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},  {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251200}, /* a leap second is the next one */
        {"Tue, 19 Jan 2038 03:14:08 GMT", 2147483648}, {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
    };
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        int64_t wall_s = -1;
        expect_int(http_date_parse(slice_from_str(samples[i].text), &wall_s), 0);
        expect_int(wall_s, samples[i].wall_s);
    }
}

static void what_is_formatted_is_read_again(void)
{
    char text[HTTP_DATE_BYTES];
    http_date_format(784111777, text);
    expect_slice(slice_from(text, sizeof(text)), "Sun, 06 Nov 1994 08:49:37 GMT");
    for (int64_t wall_s = 0; wall_s < 253402300800; wall_s += 86400 * 11 + 3671) {
        int64_t again_s;
        http_date_format(wall_s, text);
        expect_int(http_date_parse(slice_from(text, sizeof(text)), &again_s), 0);
        expect_int(again_s, wall_s);
    }
}

static void what_is_no_date_is_refused(void)
{
    static const char *const samples[] = {
        "",
        "0",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT0",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1969 08:49:37 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06 ovD 1994 08:49:37 GMT",
    };
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++) {
        int64_t wall_s = -1;
        expect_int(http_date_parse(slice_from_str(samples[i]), &wall_s), -EINVAL);
        expect_int(wall_s, -1);
    }
}

static const struct test_case cases[] = {
    {"a date is seconds since 1970", dates_are_seconds_since_1970},
    {"what is formatted is read again", what_is_formatted_is_read_again},
    {"what is no date is refused", what_is_no_date_is_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
