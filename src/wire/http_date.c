/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By hand, since strftime and strptime follow the locale, and the latter takes more than is meant. Each part has a
 * fixed place in the shape of a date, where it is put, and read from when the shape is right.
 */
#include "wire/http_date.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT"; /* 'a': a letter of a name; '0': a digit */
static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static void put_number(char *text, int number)
{
    text[0] = (char)('0' + number / 10);
    text[1] = (char)('0' + number % 10);
}

void http_date_format(int64_t wall_s, char ret_text[HTTP_DATE_BYTES])
{
    time_t seconds = wall_s;
    struct tm tm;
    (void)gmtime_r(&seconds, &tm);
    int year = tm.tm_year + 1900;
    ASSERT(year >= 1000 && year <= 9999);
    memcpy(ret_text, shape, HTTP_DATE_BYTES);
    memcpy(ret_text, days + 3 * (size_t)tm.tm_wday, 3);
    put_number(ret_text + 5, tm.tm_mday);
    memcpy(ret_text + 8, months + 3 * (size_t)tm.tm_mon, 3);
    put_number(ret_text + 12, year / 100);
    put_number(ret_text + 14, year % 100);
    put_number(ret_text + 17, tm.tm_hour);
    put_number(ret_text + 20, tm.tm_min);
    put_number(ret_text + 23, tm.tm_sec);
}

static bool has_shape(struct slice text)
{
    if (text.len != HTTP_DATE_BYTES)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool is_digit = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        if (shape[i] == '0' ? !is_digit : shape[i] != 'a' && text.ptr[i] != shape[i])
            return false;
    }
    return true;
}

/* Which of the names, of three letters each, stands there; -1: none. */
static int name_at(const char *text, const char *names)
{
    for (int i = 0; names[3 * i]; i++)
        if (memcmp(text, names + 3 * i, 3) == 0)
            return i;
    return -1;
}

static int number_at(const char *text)
{
    return 10 * (text[0] - '0') + text[1] - '0';
}

int http_date_parse(struct slice text, int64_t *ret_wall_s)
{
    if (!has_shape(text))
        return -EINVAL;
    struct tm tm = {
        .tm_mday = number_at(text.ptr + 5),
        .tm_mon = name_at(text.ptr + 8, months),
        .tm_year = 100 * number_at(text.ptr + 12) + number_at(text.ptr + 14) - 1900,
        .tm_hour = number_at(text.ptr + 17),
        .tm_min = number_at(text.ptr + 20),
        .tm_sec = number_at(text.ptr + 23),
    };
    if (name_at(text.ptr, days) < 0 || tm.tm_mon < 0 || tm.tm_year < 70)
        return -EINVAL;
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return -EINVAL;
    *ret_wall_s = timegm(&tm);
    return 0;
}
