/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See carry.h. Neighbours that are both carried lie in one piece in an HTTP/1 head, so that a head of which little is
 * left out is a few copies.
 */
#include "http/carry.h"

#include "base/util.h"

size_t header_carry_bytes_max(const struct header_carry *carry)
{
    if (!carry || carry->fields->lines.len > 0)
        return carry ? carry->fields->lines.len : 0;
    size_t n = 0;
    for (unsigned i = 0; i < carry->fields->n; i++)
        n += carry->fields->items[i].name.len + carry->fields->items[i].value.len + strlen(": \r\n");
    return n;
}

static bool is_carried(enum http_field_id id, bool with_upgrade)
{
    return header_carry_allows(id) || (id == HTTP_FIELD_UPGRADE && with_upgrade);
}

void carry_walk_begin(struct carry_walk *walk, const struct header_carry *carry, bool with_upgrade)
{
    *walk = (struct carry_walk){.carry = carry};
    for (unsigned word = 0; carry && word * 64 < carry->fields->n; word++) {
        const struct http_field *items = carry->fields->items + word * 64;
        unsigned n = (unsigned)min_size(carry->fields->n - word * 64, 64);
        uint64_t kept = 0;
        for (unsigned i = 0; i < n; i++)
            kept |= (uint64_t)is_carried(items[i].id, with_upgrade) << i;
        walk->kept[word] = kept & ~carry->dropped[word];
    }
}

/* The first field from `at` on that is, or is not, carried; HTTP_FIELDS_MAX: there is none. */
static unsigned find(const struct carry_walk *walk, unsigned at, bool is_kept)
{
    while (at < HTTP_FIELDS_MAX) {
        uint64_t bits = (is_kept ? walk->kept[at / 64] : ~walk->kept[at / 64]) >> at % 64;
        if (bits)
            return at + (unsigned)__builtin_ctzll(bits);
        at = (at | 63) + 1;
    }
    return at;
}

bool carry_walk_next(struct carry_walk *walk, struct slice *ret_lines, const struct http_field **ret_field)
{
    unsigned begin = find(walk, walk->at, true);
    if (begin == HTTP_FIELDS_MAX)
        return false;
    const struct http_fields *fields = walk->carry->fields;
    const struct http_field *first = &fields->items[begin];
    if (fields->lines.len == 0) {
        walk->at = begin + 1;
        *ret_field = first;
        return true;
    }
    walk->at = find(walk, begin, false);
    const char *end = walk->at < fields->n ? fields->items[walk->at].name.ptr : fields->lines.ptr + fields->lines.len;
    *ret_lines = slice_from(first->name.ptr, (size_t)(end - first->name.ptr));
    *ret_field = NULL;
    return true;
}

bool carry_walk_keeps(const struct carry_walk *walk, enum http_field_id id)
{
    for (unsigned i = 0; walk->carry && i < walk->carry->fields->n; i++)
        if (walk->carry->fields->items[i].id == id && find(walk, i, true) == i)
            return true;
    return false;
}
