/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/api/api_moment.h"

#include "support/test.h"

#include <errno.h>

static void expect_ms(const char *text, int64_t wall_ms)
{
    struct api_moment moment;
    expect_int(api_moment_parse(slice_from_str(text), &moment), 0);
    expect_int(moment.revision, 0);
    expect_int(moment.wall_ms, wall_ms);
}

static void times_are_read(void)
{
    expect_ms("0", 0);
    expect_ms("1732190000000", 1732190000000);
    expect_ms("1970-01-01T00:00:00Z", 0);
    expect_ms("2026-11-21T10:00:00Z", 1795255200000);
    expect_ms("2026-11-21T10:00:00.25Z", 1795255200250);
    expect_ms("2026-11-21T10:00:00.123456789Z", 1795255200123);
    expect_ms("2026-11-21T11:30:00+01:30", 1795255200000);
    expect_ms("2026-11-21T05:00:00-05:00", 1795255200000);
    expect_ms("2024-02-29T23:59:59Z", 1709251199000);
}

static void revisions_are_read(void)
{
    struct api_moment moment;
    expect_int(api_moment_parse(SLICE_LIT("r123"), &moment), 0);
    expect_int(moment.revision, 123);
}

static void all_else_is_refused(void)
{
    static const char *const texts[] = {
        "",
        "r",
        "r0",
        "r-1",
        "rx",
        "r99999999999999999999",
        "-5",
        "99999999999999999999",
        "now",
        "2026-11-21",
        "2026-11-21T10:00:00",
        "2026-11-21 10:00:00Z",
        "2026-13-21T10:00:00Z",
        "2026-11-00T10:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T10:60:00Z",
        "2026-11-21T10:00:00.Z",
        "2026-11-21T10:00:00Zx",
        "2026-11-21T10:00:00+1:00",
        "2026-11-21T10:00:00+24:00",
        "1969-12-31T23:59:59Z",
        "2026-11-21T10:00:0",
        "+026-11-21T10:00:00Z",
    };
    struct api_moment moment;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (api_moment_parse(slice_from_str(texts[i]), &moment) != -EINVAL)
            test_fail(__FILE__, __LINE__, "%s was taken", texts[i]);
}

static const struct test_case cases[] = {
    {"times are read", times_are_read},
    {"revisions are read", revisions_are_read},
    {"all else is refused", all_else_is_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
