/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slice functions that are too long to be inline. ASCII only: a service name or a header field must not compare
 * differently because of somebody's locale, so <ctype.h> is not used.
 */
#include "base/slice.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

int slice_compare(struct slice a, struct slice b)
{
    size_t n = min_size(a.len, b.len);
    int order = n ? memcmp(a.ptr, b.ptr, n) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static int compare_items(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void slice_sort(struct slice *slices, size_t n)
{
    if (n > 1)
        qsort(slices, n, sizeof(slices[0]), compare_items);
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool slice_equal_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (to_lower(a.ptr[i]) != to_lower(b.ptr[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s = slice_skip(s, 1);
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

size_t slice_find(struct slice s, char c)
{
    /* memchr must not be given a NULL pointer, even with length 0. */
    const char *found = s.len > 0 ? memchr(s.ptr, c, s.len) : NULL;
    return found ? (size_t)(found - s.ptr) : s.len;
}

struct slice slice_split(struct slice s, char sep, struct slice *ret_head)
{
    ASSERT(ret_head);
    size_t at = slice_find(s, sep);
    *ret_head = slice_from(s.ptr, at);
    return slice_skip(s, at < s.len ? at + 1 : at);
}

int slice_parse_u64(struct slice s, uint64_t *ret_value)
{
    ASSERT(ret_value);
    if (s.len == 0)
        return -EINVAL;
    uint64_t value = 0;
    bool overflow = false;
    /* All bytes are looked at even after an overflow: "99999999999999999999x" is no number at all. */
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned char)s.ptr[i] - (unsigned)'0';
        if (digit > 9)
            return -EINVAL;
        if (i < SLICE_U64_MAX - 1) { /* so many cannot overflow */
            value = value * 10 + digit;
            continue;
        }
        overflow |= __builtin_mul_overflow(value, 10, &value);
        overflow |= __builtin_add_overflow(value, digit, &value);
    }
    if (overflow)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

struct slice slice_of_u64(uint64_t value, char room[SLICE_U64_MAX])
{
    size_t at = SLICE_U64_MAX;
    do {
        room[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return slice_from(room + at, SLICE_U64_MAX - at);
}

struct slice slice_put(struct slice s, char **at)
{
    struct slice copy = slice_from(*at, s.len);
    if (s.len > 0)
        memcpy(*at, s.ptr, s.len);
    *at += s.len;
    return copy;
}

char *slice_dup(struct slice s)
{
    char *copy = malloc(s.len + 1);
    if (!copy)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}
