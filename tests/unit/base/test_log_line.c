/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log_line.h"

#include "support/test.h"

#include <stdio.h>

/* 2026-11-21T11:18:34.123Z */
static const nsec_t moment = 1795259914 * NSEC_PER_SEC + 123 * NSEC_PER_MSEC;

#define TEXT   ((struct log_style){.format = LOG_FORMAT_TEXT})
#define COLOUR ((struct log_style){.format = LOG_FORMAT_TEXT, .colour = true})
#define LOGFMT ((struct log_style){.format = LOG_FORMAT_LOGFMT})
#define JSON   ((struct log_style){.format = LOG_FORMAT_JSON})

static struct slice line_of(const struct log_line *line)
{
    return slice_from(line->text, line->len);
}

/* Expects the one field as it is written in each format. */
static void expect_field(struct log_field field, const char *logfmt, const char *json)
{
    struct log_line line;
    char expected[512];
    log_line_build(&line, TEXT, moment, LOG_LEVEL_INFO, "m", &field, 1);
    snprintf(expected, sizeof(expected), "2026-11-21T11:18:34.123Z info  m k=%s\n", logfmt);
    expect_slice(line_of(&line), expected);

    log_line_build(&line, LOGFMT, moment, LOG_LEVEL_INFO, "m", &field, 1);
    snprintf(expected, sizeof(expected), "ts=2026-11-21T11:18:34.123Z level=info msg=m k=%s\n", logfmt);
    expect_slice(line_of(&line), expected);

    log_line_build(&line, JSON, moment, LOG_LEVEL_INFO, "m", &field, 1);
    snprintf(expected, sizeof(expected),
             "{\"ts\":\"2026-11-21T11:18:34.123Z\",\"level\":\"info\",\"msg\":\"m\",\"k\":%s}\n", json);
    expect_slice(line_of(&line), expected);
}

static void has_three_formats(void)
{
    struct log_line line;
    const struct log_field fields[] = {
        log_text("service", "web"),
        log_int("port", -1),
        log_duration("after", 1500 * NSEC_PER_MSEC),
    };
    log_line_build(&line, TEXT, moment, LOG_LEVEL_WARN, "check failed", fields, ARRAY_LEN(fields));
    expect_slice(line_of(&line), "2026-11-21T11:18:34.123Z warn  check failed service=web port=-1 after=1.5s\n");
    log_line_build(&line, LOGFMT, moment, LOG_LEVEL_WARN, "check failed", fields, ARRAY_LEN(fields));
    expect_slice(line_of(&line), "ts=2026-11-21T11:18:34.123Z level=warn msg=\"check failed\" service=web port=-1 "
                                 "after=1.5s\n");
    log_line_build(&line, JSON, moment, LOG_LEVEL_WARN, "check failed", fields, ARRAY_LEN(fields));
    expect_slice(line_of(&line), "{\"ts\":\"2026-11-21T11:18:34.123Z\",\"level\":\"warn\",\"msg\":\"check failed\","
                                 "\"service\":\"web\",\"port\":-1,\"after\":1.5}\n");
    log_line_build(&line, COLOUR, moment, LOG_LEVEL_ERROR, "gone", fields, 1);
    expect_slice(line_of(&line), "2026-11-21T11:18:34.123Z \x1b[31merror\x1b[0m gone \x1b[2mservice=\x1b[0mweb\n");
}

static void writes_moments(void)
{
    static const struct {
        int64_t seconds;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},          {951782399, "2000-02-28T23:59:59.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},  {951868800, "2000-03-01T00:00:00.000Z"},
        {1735689599, "2024-12-31T23:59:59.000Z"}, {1735689600, "2025-01-01T00:00:00.000Z"},
        {4107542400, "2100-03-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_line line;
        log_line_build(&line, TEXT, rows[i].seconds * NSEC_PER_SEC, LOG_LEVEL_INFO, "", NULL, 0);
        expect_bytes(slice_from(line.text, strlen(rows[i].text)), slice_from_str(rows[i].text));
    }
}

static void writes_numbers(void)
{
    expect_field(log_int("k", 0), "0", "0");
    expect_field(log_int("k", INT64_MIN), "-9223372036854775808", "-9223372036854775808");
}

static void writes_durations(void)
{
    expect_field(log_duration("k", 0), "0ns", "0");
    expect_field(log_duration("k", 999), "999ns", "0.000000999");
    expect_field(log_duration("k", 12300), "12.3us", "0.0000123");
    expect_field(log_duration("k", 12 * NSEC_PER_MSEC), "12ms", "0.012");
    expect_field(log_duration("k", 12345678), "12.345ms", "0.012345678");
    expect_field(log_duration("k", -90 * NSEC_PER_SEC), "-90s", "-90");
    expect_field(log_duration("k", 3600 * NSEC_PER_SEC + 5 * NSEC_PER_MSEC), "3600.005s", "3600.005");
    expect_field(log_duration("k", NSEC_NEVER), "never", "null");
    expect_field(log_duration("k", INT64_MIN), "-9223372036.854s", "-9223372036.854775808");
}

static void quotes_what_needs_it(void)
{
    expect_field(log_text("k", "10.0.0.1:80"), "10.0.0.1:80", "\"10.0.0.1:80\"");
    expect_field(log_text("k", ""), "\"\"", "\"\"");
    expect_field(log_str("k", slice_from(NULL, 0)), "\"\"", "\"\"");
    expect_field(log_text("k", "a b"), "\"a b\"", "\"a b\"");
    expect_field(log_text("k", "a=b"), "\"a=b\"", "\"a=b\"");
    expect_field(log_text("k", "größe"), "größe", "\"größe\"");
}

static void escapes_what_a_peer_might_send(void)
{
    expect_field(log_text("k", "\"\\"), "\"\\\"\\\\\"", "\"\\\"\\\\\"");
    expect_field(log_text("k", "a\nlevel=error"), "\"a\\nlevel=error\"", "\"a\\nlevel=error\"");
    expect_field(log_text("k", "\r\t"), "\"\\r\\t\"", "\"\\r\\t\"");
    expect_field(log_str("k", SLICE_LIT("\0\x1b[2J\x7f")), "\"\\u0000\\u001b[2J\\u007f\"",
                 "\"\\u0000\\u001b[2J\\u007f\"");
    expect_field(log_text("k", "\xc2\x9b"), "\"\\u009b\"", "\"\\u009b\"");
    expect_field(log_text("k", "a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"", "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void cuts_a_long_string(void)
{
    char value[2 * LOG_LINE_MAX];
    memset(value, 'x', sizeof(value));
    const struct log_field fields[] = {log_str("k", slice_from(value, sizeof(value))), log_int("n", 1)};
    struct log_line line;
    log_line_build(&line, JSON, moment, LOG_LEVEL_INFO, "m", fields, 2);
    expect_true(line.len <= LOG_LINE_MAX);
    expect_true(line.len > LOG_LINE_MAX - 32);
    expect_slice(slice_skip(line_of(&line), line.len - strlen("xx…\"}\n")), "xx…\"}\n");
}

/* Whatever the lengths, the line is bounded and its quotes and braces are closed. */
static void stays_well_formed_at_every_length(void)
{
    static const struct slice units[] = {SLICE_LIT("x"), SLICE_LIT("\""), SLICE_LIT("\x01"), SLICE_LIT("ß")};
    static char value[2 * LOG_LINE_MAX];
    struct log_line line;
    for (size_t len = LOG_LINE_MAX - 200; len < LOG_LINE_MAX + 10; len++) {
        const struct slice unit = units[len % ARRAY_LEN(units)];
        size_t n = 0;
        memset(value, 'x', len / 2);
        for (n = len / 2; n < len; n += unit.len)
            memcpy(value + n, unit.ptr, unit.len);
        const struct log_field fields[] = {log_str("a", slice_from(value, n)), log_text("key", "va lue"),
                                           log_duration("long_key", 123456789), log_int("n", INT64_MIN)};
        log_line_build(&line, JSON, moment, LOG_LEVEL_INFO, "m", fields, ARRAY_LEN(fields));
        expect_true(line.len <= LOG_LINE_MAX);
        expect_bytes(slice_skip(line_of(&line), line.len - 2), SLICE_LIT("}\n"));
        size_t quotes = 0;
        for (size_t i = 0; i < line.len; i++) {
            if (line.text[i] == '\\')
                i++;
            else if (line.text[i] == '"')
                quotes++;
        }
        expect_int(quotes % 2, 0);
        expect_true(line.text[line.len - 3] != ':' && line.text[line.len - 3] != ',');
    }
}

static const struct test_case cases[] = {
    {"a line has three formats", has_three_formats},
    {"moments are written in UTC", writes_moments},
    {"numbers are written", writes_numbers},
    {"durations are written for people, and in JSON as seconds", writes_durations},
    {"values are quoted where they need it", quotes_what_needs_it},
    {"what a peer might send is escaped", escapes_what_a_peer_might_send},
    {"a long string is cut", cuts_a_long_string},
    {"a line is well-formed wherever it is cut", stays_well_formed_at_every_length},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
