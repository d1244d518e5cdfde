/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of bytes, as RFC 9110 and RFC 3986 draw them. One table of bits, because each byte of a head is looked up
 * once or twice. ASCII only; no locale has a say.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum char_class {
    CHAR_TOKEN = 1 << 0,      /* RFC 9110 tchar */
    CHAR_VALUE = 1 << 1,      /* field value: VCHAR, blank, tab, obs-text */
    CHAR_TARGET = 1 << 2,     /* request target: VCHAR without '#' */
    CHAR_UNRESERVED = 1 << 3, /* RFC 3986 unreserved; also what a host name may consist of */
    CHAR_DIGIT = 1 << 4,
    CHAR_HEX = 1 << 5,
};

extern const uint8_t char_classes[256];

static inline bool char_is(char c, enum char_class class)
{
    return char_classes[(uint8_t)c] & class;
}

static inline bool char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* 0 to 15, or -1. */
static inline int char_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
