/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes from outside that must become valid UTF-8: log lines in JSON and metric labels, which a reader refuses as a
 * whole for one bad byte.
 */
#pragma once

#include "base/slice.h"

/* Stands for a byte that is part of no character. */
#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/*
 * The length, 1 to 4, of the character at the front and its code point; 0 when the slice is empty or begins with no
 * well-formed character (overlong forms, surrogates and what is above U+10FFFF are not).
 */
size_t utf8_decode(struct slice s, uint32_t *ret_point);

/* Whether there is nothing else in it. */
bool utf8_is_valid(struct slice s);
