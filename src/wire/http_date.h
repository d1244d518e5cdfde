/* SPDX-License-Identifier: Apache-2.0 */
/* The clock, as a Date field tells it. */
#pragma once

#include "base/slice.h"

enum { HTTP_DATE_BYTES = sizeof("Sun, 06 Nov 1994 08:49:37 GMT") - 1 };

/* Of seconds since 1970, in a year of four digits. No 0 follows. */
void http_date_format(int64_t wall_s, char ret_text[HTTP_DATE_BYTES]);

/*
 * "Sun, 06 Nov 1994 08:49:37 GMT", the one form that may be sent today, as seconds since 1970. -EINVAL: anything else,
 * and what is before 1970. The day of the week is not compared with the date.
 */
int http_date_parse(struct slice text, int64_t *ret_wall_s);
