/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding by the table of well-formed sequences in the Unicode standard (3.9, table 3-7): the first byte gives the
 * length, and the smallest code point of each length tells overlong forms.
 */
#include "base/utf8.h"

/* The length of the sequence that this byte begins; 0: none. */
static size_t sequence_len(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc0)
        return 0;
    if (first < 0xe0)
        return 2;
    if (first < 0xf0)
        return 3;
    return first < 0xf8 ? 4 : 0;
}

size_t utf8_decode(struct slice s, uint32_t *ret_point)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    if (s.len == 0)
        return 0;
    size_t len = sequence_len((unsigned char)s.ptr[0]);
    if (len == 0 || len > s.len)
        return 0;

    uint32_t point = (unsigned char)s.ptr[0] & first_bits[len];
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | ((unsigned char)s.ptr[i] & 0x3f);
    }
    if (point < smallest[len] || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff)
        return 0;
    *ret_point = point;
    return len;
}

bool utf8_is_valid(struct slice s)
{
    uint32_t point;
    for (size_t len; !slice_is_empty(s); s = slice_skip(s, len)) {
        len = utf8_decode(s, &point);
        if (len == 0)
            return false;
    }
    return true;
}
