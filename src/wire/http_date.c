/* SPDX-License-Identifier: Apache-2.0 */
/*
 * By hand, since strptime follows the locale and takes more than is meant. Each part has a fixed place: what stands
 * between them is compared as a whole, and the numbers are then read where they must be.
 */
#include "wire/http_date.h"

#include <errno.h>
#include <string.h>
#include <time.h>

static const char shape[] = "aaa, 00 aaa 0000 00:00:00 GMT"; /* 'a': a letter of a name; '0': a digit */

static bool has_shape(struct slice text)
{
    if (text.len != sizeof(shape) - 1)
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
        .tm_mon = name_at(text.ptr + 8, "JanFebMarAprMayJunJulAugSepOctNovDec"),
        .tm_year = 100 * number_at(text.ptr + 12) + number_at(text.ptr + 14) - 1900,
        .tm_hour = number_at(text.ptr + 17),
        .tm_min = number_at(text.ptr + 20),
        .tm_sec = number_at(text.ptr + 23),
    };
    if (name_at(text.ptr, "SunMonTueWedThuFriSat") < 0 || tm.tm_mon < 0 || tm.tm_year < 70)
        return -EINVAL;
    if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
        return -EINVAL;
    *ret_wall_s = timegm(&tm);
    return 0;
}
