/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/api/api_moment.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define MS_MAX (INT64_C(1) << 50)

/* Takes `width` digits off the text. */
static int take_number(struct slice *text, size_t width, int *ret_number)
{
    uint64_t number;
    if (text->len < width || slice_parse_u64((struct slice){text->ptr, width}, &number) < 0)
        return -EINVAL;
    *text = slice_skip(*text, width);
    *ret_number = (int)number;
    return 0;
}

static int take_char(struct slice *text, char c)
{
    if (text->len == 0 || text->ptr[0] != c)
        return -EINVAL;
    *text = slice_skip(*text, 1);
    return 0;
}

/* ".250": digits beyond milliseconds are passed over. */
static int take_fraction(struct slice *text, int *ret_ms)
{
    int ms = 0, weight = 100;
    *ret_ms = 0;
    if (take_char(text, '.') < 0)
        return 0;
    size_t n = 0;
    for (; n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++, weight /= 10)
        ms += (text->ptr[n] - '0') * weight;
    *text = slice_skip(*text, n);
    *ret_ms = ms;
    return n > 0 ? 0 : -EINVAL;
}

/* "Z" or "+01:00", in minutes. */
static int take_zone(struct slice *text, int *ret_minutes)
{
    int hours, minutes;
    *ret_minutes = 0;
    if (take_char(text, 'Z') == 0)
        return 0;
    bool is_west = text->len > 0 && text->ptr[0] == '-';
    if (take_char(text, is_west ? '-' : '+') < 0 || take_number(text, 2, &hours) < 0 || take_char(text, ':') < 0 ||
        take_number(text, 2, &minutes) < 0 || hours > 23 || minutes > 59)
        return -EINVAL;
    *ret_minutes = (is_west ? -1 : 1) * (hours * 60 + minutes);
    return 0;
}

static int parse_date(struct slice text, int64_t *ret_ms)
{
    struct tm tm = {0};
    int ms, zone;
    if (take_number(&text, 4, &tm.tm_year) < 0 || take_char(&text, '-') < 0 || take_number(&text, 2, &tm.tm_mon) < 0 ||
        take_char(&text, '-') < 0 || take_number(&text, 2, &tm.tm_mday) < 0 || take_char(&text, 'T') < 0 ||
        take_number(&text, 2, &tm.tm_hour) < 0 || take_char(&text, ':') < 0 || take_number(&text, 2, &tm.tm_min) < 0 ||
        take_char(&text, ':') < 0 || take_number(&text, 2, &tm.tm_sec) < 0 || take_fraction(&text, &ms) < 0 ||
        take_zone(&text, &zone) < 0 || text.len > 0)
        return -EINVAL;
    if (tm.tm_year < 1970 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 ||
        tm.tm_min > 59 || tm.tm_sec > 60)
        return -EINVAL;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_ms = ((int64_t)timegm(&tm) - zone * 60) * 1000 + ms;
    return 0;
}

int api_moment_parse(struct slice text, struct api_moment *ret_moment)
{
    struct api_moment moment = {0};
    uint64_t number;
    if (text.len > 1 && text.ptr[0] == 'r') {
        if (slice_parse_u64(slice_skip(text, 1), &number) < 0 || number == 0 || number > INT64_MAX)
            return -EINVAL;
        moment.revision = (int64_t)number;
    } else if (slice_parse_u64(text, &number) == 0 && number <= MS_MAX) {
        moment.wall_ms = (int64_t)number;
    } else if (parse_date(text, &moment.wall_ms) < 0) {
        return -EINVAL;
    }
    *ret_moment = moment;
    return 0;
}
