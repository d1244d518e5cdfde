/* SPDX-License-Identifier: Apache-2.0 */
/* The other side's clock, as a Date field tells it. */
#pragma once

#include "base/slice.h"

/*
 * "Sun, 06 Nov 1994 08:49:37 GMT", the one form that may be sent today, as seconds since 1970. -EINVAL: anything else,
 * and what is before 1970. The day of the week is not compared with the date.
 */
int http_date_parse(struct slice text, int64_t *ret_wall_s);
