/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fields of a head that came from elsewhere and are passed on as they came, in order. They were checked when they were
 * parsed and are not looked at again.
 */
#pragma once

#include "wire/http.h"

/* A bit for each field of the head, set for those that are left out. */
struct header_carry {
    const struct http_fields *fields;
    uint64_t dropped[HTTP_FIELDS_MAX / 64];
};

static inline void header_carry_drop(struct header_carry *carry, unsigned i)
{
    carry->dropped[i / 64] |= UINT64_C(1) << i % 64;
}

static inline bool header_carry_has(const struct header_carry *carry, unsigned i)
{
    return i < carry->fields->n && !(carry->dropped[i / 64] >> i % 64 & 1);
}

#define CARRY_BIT(id) (UINT64_C(1) << (id))

/*
 * For those who write heads. What belongs to a connection, to a message's framing or to its routing (Host) is never
 * carried, whether it was dropped or not: each side has its own.
 */
static inline bool header_carry_allows(enum http_field_id id)
{
    const uint64_t own = CARRY_BIT(HTTP_FIELD_CONNECTION) | CARRY_BIT(HTTP_FIELD_CONTENT_LENGTH) |
                         CARRY_BIT(HTTP_FIELD_HOST) | CARRY_BIT(HTTP_FIELD_HTTP2_SETTINGS) |
                         CARRY_BIT(HTTP_FIELD_KEEP_ALIVE) | CARRY_BIT(HTTP_FIELD_PROXY_CONNECTION) |
                         CARRY_BIT(HTTP_FIELD_TE) | CARRY_BIT(HTTP_FIELD_TRANSFER_ENCODING) |
                         CARRY_BIT(HTTP_FIELD_UPGRADE);
    return !(own >> id & 1);
}

/* So many bytes at most are lines of what is carried. NULL: none. */
size_t header_carry_bytes_max(const struct header_carry *carry);

struct carry_walk {
    const struct header_carry *carry;
    uint64_t kept[HTTP_FIELDS_MAX / 64]; /* the fields that are carried, a bit for each */
    unsigned at;
};

/* carry may be NULL: nothing is carried. with_upgrade: the message is about Upgrade, which is carried then. */
void carry_walk_begin(struct carry_walk *walk, const struct header_carry *carry, bool with_upgrade);

/* Whether one with that id is. */
bool carry_walk_keeps(const struct carry_walk *walk, enum http_field_id id);

/*
 * The next that is carried: whole lines, CRLF included (*ret_field is NULL), or a field that has no line. False: that
 * was all.
 */
bool carry_walk_next(struct carry_walk *walk, struct slice *ret_lines, const struct http_field **ret_field);
