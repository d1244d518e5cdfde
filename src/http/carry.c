/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See carry.h. Neighbours that are both carried lie in one piece in an HTTP/1 head, so that a head of which little is
 * left out is a few copies.
 */
#include "http/carry.h"

void carry_walk_begin(struct carry_walk *walk, const struct header_carry *carry, bool with_upgrade)
{
    *walk = (struct carry_walk){.carry = carry, .with_upgrade = with_upgrade};
}

static bool is_carried(const struct carry_walk *walk, unsigned i)
{
    if (!header_carry_has(walk->carry, i))
        return false;
    enum http_field_id id = walk->carry->fields->items[i].id;
    return header_carry_allows(id) || (id == HTTP_FIELD_UPGRADE && walk->with_upgrade);
}

bool carry_walk_next(struct carry_walk *walk, struct slice *ret_lines, const struct http_field **ret_field)
{
    if (!walk->carry)
        return false;
    const struct http_fields *fields = walk->carry->fields;
    while (walk->at < fields->n && !is_carried(walk, walk->at))
        walk->at++;
    if (walk->at == fields->n)
        return false;
    const struct http_field *first = &fields->items[walk->at];
    if (fields->lines.len == 0) {
        walk->seen |= CARRY_BIT(first->id);
        walk->at++;
        *ret_field = first;
        return true;
    }
    for (; is_carried(walk, walk->at); walk->at++)
        walk->seen |= CARRY_BIT(fields->items[walk->at].id);
    const char *end = walk->at < fields->n ? fields->items[walk->at].name.ptr : fields->lines.ptr + fields->lines.len;
    *ret_lines = slice_from(first->name.ptr, (size_t)(end - first->name.ptr));
    *ret_field = NULL;
    return true;
}
