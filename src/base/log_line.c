/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is written from front to back into a fixed array. Its last RESERVE bytes are for what must stand around a cut:
 * quotes, the ellipsis, the closing brace and the newline. So a cut line is still valid logfmt or JSON.
 *
 * Values come from peers. Control characters, among them the C1 range that drives some terminals, become escapes that
 * logfmt and JSON share; bytes that are no UTF-8 become U+FFFD.
 */
#include "base/log_line.h"

#include "base/assert.h"
#include "base/utf8.h"
#include "base/util.h"

#include <stdarg.h>
#include <stdio.h>

#define RESERVE   16
#define LINE_ROOM (LOG_LINE_MAX - RESERVE)
#define ELLIPSIS  SLICE_LIT("…")

#define COLOUR_DIM   SLICE_LIT("\x1b[2m")
#define COLOUR_RESET SLICE_LIT("\x1b[0m")

static const struct {
    const char *name, *colour;
} levels[] = {
    [LOG_LEVEL_DEBUG] = {"debug", "\x1b[90m"},
    [LOG_LEVEL_INFO] = {"info", "\x1b[32m"},
    [LOG_LEVEL_WARN] = {"warn", "\x1b[33m"},
    [LOG_LEVEL_ERROR] = {"error", "\x1b[31m"},
};

const char *log_level_name(enum log_level level)
{
    ASSERT(level < ARRAY_LEN(levels));
    return levels[level].name;
}

/* For what a cut line needs: it may use the reserve. */
static void put_always(struct log_line *line, struct slice bytes)
{
    ASSERT(bytes.len <= sizeof(line->text) - line->len);
    memcpy(line->text + line->len, bytes.ptr, bytes.len);
    line->len += bytes.len;
}

/* All of the bytes, or none and the line is cut here. */
static void put(struct log_line *line, struct slice bytes)
{
    if (line->cut || line->len > LINE_ROOM || bytes.len > LINE_ROOM - line->len)
        line->cut = true;
    else
        put_always(line, bytes);
}

static void put_str(struct log_line *line, const char *str)
{
    put(line, slice_from_str(str));
}

PRINTF_LIKE(2, 3)
static void put_printf(struct log_line *line, const char *fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ASSERT(n >= 0 && (size_t)n < sizeof(text));
    put(line, slice_from(text, (size_t)n));
}

static bool is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0);
}

static void put_point(struct log_line *line, struct slice bytes, uint32_t point)
{
    if (point == '"' || point == '\\')
        put_printf(line, "\\%c", (char)point);
    else if (point == '\n')
        put_str(line, "\\n");
    else if (point == '\r')
        put_str(line, "\\r");
    else if (point == '\t')
        put_str(line, "\\t");
    else if (is_control(point))
        put_printf(line, "\\u%04x", (unsigned)point);
    else
        put(line, bytes);
}

static void put_escaped(struct log_line *line, struct slice s)
{
    while (s.len > 0 && !line->cut) {
        uint32_t point;
        size_t n = utf8_decode(s, &point);
        if (n > 0)
            put_point(line, slice_from(s.ptr, n), point);
        else
            put_str(line, UTF8_REPLACEMENT);
        s = slice_skip(s, n > 0 ? n : 1);
    }
    if (line->cut)
        put_always(line, ELLIPSIS);
}

/* Both quotes may use the reserve: where a key stands, a string always follows, if only an ellipsis. */
static void put_quoted(struct log_line *line, struct slice s)
{
    put_always(line, SLICE_LIT("\""));
    put_escaped(line, s);
    put_always(line, SLICE_LIT("\""));
}

/* Whether a reader of logfmt takes the value as it is. */
static bool is_bare(struct slice s)
{
    if (s.len == 0)
        return false;
    while (s.len > 0) {
        uint32_t point;
        size_t n = utf8_decode(s, &point);
        if (n == 0 || is_control(point) || point == ' ' || point == '"' || point == '=' || point == '\\')
            return false;
        s = slice_skip(s, n);
    }
    return true;
}

static void put_string(struct log_line *line, enum log_format format, struct slice s)
{
    if (format == LOG_FORMAT_JSON || !is_bare(s))
        put_quoted(line, s);
    else
        put_escaped(line, s);
}

/* value / divisor, a power of ten up to 10^9, exact and without trailing zeros. */
static void put_decimal(struct log_line *line, uint64_t value, uint64_t divisor)
{
    put_printf(line, "%llu", (unsigned long long)(value / divisor));
    uint64_t rest = value % divisor;
    if (rest == 0)
        return;
    char digits[10] = ".";
    size_t n = 1;
    for (; rest > 0; rest %= divisor) {
        divisor /= 10;
        digits[n++] = (char)('0' + rest / divisor);
    }
    put(line, slice_from(digits, n));
}

static void put_duration(struct log_line *line, enum log_format format, nsec_t duration)
{
    if (duration == NSEC_NEVER) {
        put_str(line, format == LOG_FORMAT_JSON ? "null" : "never");
        return;
    }
    uint64_t ns = duration < 0 ? -(uint64_t)duration : (uint64_t)duration;
    put_str(line, duration < 0 ? "-" : "");
    if (format == LOG_FORMAT_JSON) {
        put_decimal(line, ns, NSEC_PER_SEC);
    } else if (ns < (uint64_t)NSEC_PER_USEC) {
        put_decimal(line, ns, 1);
        put_str(line, "ns");
    } else if (ns < (uint64_t)NSEC_PER_MSEC) {
        put_decimal(line, ns, NSEC_PER_USEC);
        put_str(line, "us");
    } else if (ns < (uint64_t)NSEC_PER_SEC) {
        put_decimal(line, ns / 1000, NSEC_PER_USEC);
        put_str(line, "ms");
    } else {
        put_decimal(line, ns / 1000000, 1000);
        put_str(line, "s");
    }
}

static void put_value(struct log_line *line, enum log_format format, const struct log_field *field)
{
    switch (field->type) {
    case LOG_FIELD_STR:
        put_string(line, format, field->str);
        break;
    case LOG_FIELD_INT:
        put_printf(line, "%lld", (long long)field->number);
        break;
    case LOG_FIELD_DURATION:
        put_duration(line, format, field->duration_ns);
        break;
    }
}

static void put_key(struct log_line *line, struct log_style style, const char *key)
{
    if (style.format == LOG_FORMAT_JSON) {
        put_str(line, ",\"");
        put_str(line, key);
        put_str(line, "\":");
        return;
    }
    put_str(line, " ");
    if (style.colour)
        put(line, COLOUR_DIM);
    put_str(line, key);
    put_str(line, "=");
    if (style.colour)
        put(line, COLOUR_RESET);
}

/* A field whose key or number does not fit is left out; a string is cut. */
static void put_field(struct log_line *line, struct log_style style, const struct log_field *field)
{
    size_t before = line->len;
    put_key(line, style, field->key);
    if (!line->cut) {
        put_value(line, style.format, field);
        if (field->type == LOG_FIELD_STR)
            return;
    }
    if (line->cut)
        line->len = before;
}

/*
 * "2026-11-21T11:18:34.123Z". Done by hand: gmtime_r takes libc's time zone lock and may read files. The days are
 * counted in years that begin in March, so that the leap day is the last of its year.
 */
static void put_time(struct log_line *line, nsec_t wall)
{
    ASSERT(wall >= 0);
    int64_t ms = wall / NSEC_PER_MSEC, seconds = ms / 1000;
    int64_t days = seconds / 86400 + 719468; /* since 0000-03-01 */
    int64_t era = days / 146097, day_of_era = days % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* from March */
    int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t year = era * 400 + year_of_era + (month >= 10);
    put_printf(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", (int)year, (int)(month < 10 ? month + 3 : month - 9),
               (int)day, (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60), (int)(seconds % 60), (int)(ms % 1000));
}

static void put_head(struct log_line *line, struct log_style style, nsec_t wall, enum log_level level,
                     const char *message)
{
    bool json = style.format == LOG_FORMAT_JSON;
    if (style.format == LOG_FORMAT_TEXT) {
        put_time(line, wall);
        put_printf(line, style.colour ? " %s%-5s\x1b[0m " : " %s%-5s ", style.colour ? levels[level].colour : "",
                   levels[level].name);
        put_str(line, message);
        return;
    }
    put_str(line, json ? "{\"ts\":\"" : "ts=");
    put_time(line, wall);
    put_str(line, json ? "\",\"level\":\"" : " level=");
    put_str(line, log_level_name(level));
    put_str(line, json ? "\",\"msg\":" : " msg=");
    put_string(line, style.format, slice_from_str(message));
}

void log_line_build(struct log_line *line, struct log_style style, nsec_t wall, enum log_level level,
                    const char *message, const struct log_field *fields, size_t n_fields)
{
    ASSERT(style.format != LOG_FORMAT_AUTO && level < ARRAY_LEN(levels));
    line->len = 0;
    line->cut = false;
    put_head(line, style, wall, level, message);
    for (size_t i = 0; i < n_fields && !line->cut; i++)
        put_field(line, style, &fields[i]);
    put_always(line, style.format == LOG_FORMAT_JSON ? SLICE_LIT("}\n") : SLICE_LIT("\n"));
}
