/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slice is bytes that somebody else owns: a pointer and a length, not NUL-terminated. It is passed by value.
 * The function that hands one out says how long it stays valid. The empty slice may have a NULL pointer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr;
    size_t len;
};

/* A slice of a string literal, usable in static initialisers. */
#define SLICE_LIT(text) ((struct slice){(text), sizeof(text) - 1})

/* printf("%.*s", SLICE_ARG(s)) */
#define SLICE_ARG(slice) (int)(slice).len, ((slice).ptr ? (slice).ptr : "")

static inline struct slice slice_from(const void *ptr, size_t len)
{
    return (struct slice){(const char *)ptr, len};
}

static inline struct slice slice_from_str(const char *str)
{
    return (struct slice){str, strlen(str)};
}

static inline bool slice_is_empty(struct slice s)
{
    return s.len == 0;
}

static inline bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_equal_str(struct slice a, const char *str)
{
    return slice_equal(a, slice_from_str(str));
}

static inline bool slice_starts_with(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

/* The slice without its first n bytes; n must not exceed its length. */
static inline struct slice slice_skip(struct slice s, size_t n)
{
    return (struct slice){n ? s.ptr + n : s.ptr, s.len - n};
}

/* Bytewise, and of two that begin alike the shorter one first: negative, 0, positive. */
int slice_compare(struct slice a, struct slice b);
/* In that order. */
void slice_sort(struct slice *slices, size_t n);

/* Equal but for the case of ASCII letters. */
bool slice_equal_nocase(struct slice a, struct slice b);

/* Without blanks and tabs at both ends. */
struct slice slice_trim(struct slice s);

/* Offset of the first c, or s.len. */
size_t slice_find(struct slice s, char c);

/*
 * Splits at the first `sep`: *ret_head is what is before it, the slice returned what is after it (empty when there was
 * no separator). Loop with: while (!slice_is_empty(rest)) rest = slice_split(rest, ',', &item);
 */
struct slice slice_split(struct slice s, char sep, struct slice *ret_head);

/* Decimal digits only, at least one, no sign, no overflow: 0, or -EINVAL / -ERANGE. */
int slice_parse_u64(struct slice s, uint64_t *ret_value);

/* In decimal digits, which are written into the room's end. */
#define SLICE_U64_MAX 20
struct slice slice_of_u64(uint64_t value, char room[SLICE_U64_MAX]);

/* Copies the bytes to *at, where there is room, and moves *at behind them. The copy. */
struct slice slice_put(struct slice s, char **at);

/* A heap copy with a NUL appended, owned by the caller; NULL when out of memory. */
char *slice_dup(struct slice s);
