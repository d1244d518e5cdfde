/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding where a run of bytes ends: the inner loops of the HTTP/1 parser and of routing, sixteen bytes at a time where
 * the machine has SSE2 (each x86-64 does), eight or one elsewhere. Both are always there for the tests to compare;
 * scan_x is the faster.
 *
 * Each returns the first byte in [at, end) that ends the run, or `end`. None reads at or behind `end`.
 */
#pragma once

#include "wire/chars.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline const char *scan_class(const char *at, const char *end, enum char_class class)
{
    while (at < end && char_is(*at, class))
        at++;
    return at;
}

static inline const char *scan_token_scalar(const char *at, const char *end)
{
    return scan_class(at, end, CHAR_TOKEN);
}

static inline const char *scan_target_scalar(const char *at, const char *end)
{
    return scan_class(at, end, CHAR_TARGET);
}

/* Eight bytes at a time while none of them is a control character. */
static inline const char *scan_value_scalar(const char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    for (; end - at >= 8; at += 8) {
        uint64_t bytes;
        memcpy(&bytes, at, 8);
        uint64_t dels = bytes ^ 0x7f * ones;
        uint64_t controls = (bytes - 0x20 * ones) & ~bytes;
        if ((controls | ((dels - ones) & ~dels)) & highs) {
            const char *stop = scan_class(at, at + 8, CHAR_VALUE);
            if (stop < at + 8)
                return stop;
        }
    }
    return scan_class(at, end, CHAR_VALUE);
}

/* A line feed that an empty line follows: "\n\r" or "\n\n". */
static inline const char *scan_blank_line_scalar(const char *at, const char *end)
{
    for (; at < end && (at = memchr(at, '\n', (size_t)(end - at))); at++)
        if (end - at > 1 && (at[1] == '\r' || at[1] == '\n'))
            return at;
    return end;
}

/* Where a path stops being a usual one: an escape, a backslash, a NUL, "//" or "/.". */
static inline const char *scan_usual_path_scalar(const char *at, const char *end)
{
    for (; at < end; at++) {
        if (*at == '%' || *at == '\\' || *at == '\0')
            return at;
        if (*at == '/' && end - at > 1 && (at[1] == '/' || at[1] == '.'))
            return at;
    }
    return end;
}

#ifdef __SSE2__

static inline __m128i scan_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

static inline __m128i scan_equal(__m128i bytes, char c)
{
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

/* first <= byte <= last, unsigned. */
static inline __m128i scan_range(__m128i bytes, char first, char last)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)(last - first))), offset);
}

/* Letters, digits and '-' are what names are made of; a rarer byte is looked up, and the scan goes on behind it. */
static inline const char *scan_token_sse2(const char *at, const char *end)
{
    while (end - at >= 16) {
        __m128i bytes = scan_load(at);
        __m128i letters = scan_range(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
        __m128i others = _mm_or_si128(scan_range(bytes, '0', '9'), scan_equal(bytes, '-'));
        unsigned common = (unsigned)_mm_movemask_epi8(_mm_or_si128(letters, others));
        if (common == 0xffff) {
            at += 16;
            continue;
        }
        at += __builtin_ctz(~common);
        if (*at == ':' || !char_is(*at, CHAR_TOKEN))
            return at;
        at++;
    }
    return scan_class(at, end, CHAR_TOKEN);
}

static inline const char *scan_value_sse2(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        __m128i bytes = scan_load(at);
        __m128i control = _mm_andnot_si128(scan_equal(bytes, '\t'), scan_range(bytes, 0, 0x1f));
        unsigned stop = (unsigned)_mm_movemask_epi8(_mm_or_si128(control, scan_equal(bytes, 0x7f)));
        if (stop)
            return at + __builtin_ctz(stop);
    }
    return scan_class(at, end, CHAR_VALUE);
}

static inline const char *scan_target_sse2(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        __m128i bytes = scan_load(at);
        __m128i good = _mm_andnot_si128(scan_equal(bytes, '#'), scan_range(bytes, 0x21, 0x7e));
        unsigned stop = (unsigned)_mm_movemask_epi8(good) ^ 0xffff;
        if (stop)
            return at + __builtin_ctz(stop);
    }
    return scan_class(at, end, CHAR_TARGET);
}

/* Two overlapping loads, so that the ends of ordinary lines cost no branch. */
static inline const char *scan_blank_line_sse2(const char *at, const char *end)
{
    for (; end - at >= 17; at += 16) {
        __m128i next = scan_load(at + 1);
        __m128i empty = _mm_or_si128(scan_equal(next, '\r'), scan_equal(next, '\n'));
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_and_si128(scan_equal(scan_load(at), '\n'), empty));
        if (found)
            return at + __builtin_ctz(found);
    }
    return scan_blank_line_scalar(at, end);
}

static inline const char *scan_usual_path_sse2(const char *at, const char *end)
{
    for (; end - at >= 17; at += 16) {
        __m128i bytes = scan_load(at), next = scan_load(at + 1);
        __m128i hidden = _mm_or_si128(scan_equal(next, '/'), scan_equal(next, '.'));
        __m128i odd = _mm_or_si128(scan_equal(bytes, '%'), _mm_or_si128(scan_equal(bytes, '\\'), scan_equal(bytes, 0)));
        unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(odd, _mm_and_si128(scan_equal(bytes, '/'), hidden)));
        if (found)
            return at + __builtin_ctz(found);
    }
    return scan_usual_path_scalar(at, end);
}

#define SCAN_PICK(sse2, scalar) (sse2)
#else
#define SCAN_PICK(sse2, scalar) (scalar)
#endif

static inline const char *scan_token(const char *at, const char *end)
{
    return SCAN_PICK(scan_token_sse2(at, end), scan_token_scalar(at, end));
}

static inline const char *scan_value(const char *at, const char *end)
{
    return SCAN_PICK(scan_value_sse2(at, end), scan_value_scalar(at, end));
}

static inline const char *scan_target(const char *at, const char *end)
{
    return SCAN_PICK(scan_target_sse2(at, end), scan_target_scalar(at, end));
}

static inline const char *scan_blank_line(const char *at, const char *end)
{
    return SCAN_PICK(scan_blank_line_sse2(at, end), scan_blank_line_scalar(at, end));
}

static inline const char *scan_usual_path(const char *at, const char *end)
{
    return SCAN_PICK(scan_usual_path_sse2(at, end), scan_usual_path_scalar(at, end));
}
