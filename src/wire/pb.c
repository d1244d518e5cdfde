/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The length of a nested message stands before it and is not known until it is written. One byte is left for it, which
 * is enough for most; a longer one moves the message up. That is simpler than measuring each message first, which is
 * left to those few that one answer has many of (pb_put_head).
 */
#include "wire/pb.h"

#include "base/assert.h"

#include <errno.h>

/* A tag holds 29 bits of number and 3 of type. */
#define TAG_MAX UINT32_MAX

/* ------------------------------------------------------------------------------------------------ reading */

static int take_varint(struct slice *bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t n_max = min_size(bytes->len, PB_VARINT_MAX);
    for (size_t i = 0; i < n_max; i++) {
        uint64_t byte = (unsigned char)bytes->ptr[i];
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *bytes = slice_skip(*bytes, i + 1);
            *ret_value = value;
            return 0;
        }
    }
    return -EBADMSG;
}

static int take_bytes(struct slice *message, uint64_t len, struct slice *ret_bytes)
{
    if (len > message->len)
        return -EBADMSG;
    *ret_bytes = slice_from(message->ptr, len);
    *message = slice_skip(*message, len);
    return 0;
}

/* Least significant byte first, whatever the machine. */
static int take_fixed(struct slice *message, size_t n_bytes, uint64_t *ret_value)
{
    struct slice bytes;
    int r = take_bytes(message, n_bytes, &bytes);
    if (r < 0)
        return r;
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++)
        value |= (uint64_t)(unsigned char)bytes.ptr[i] << (8 * i);
    *ret_value = value;
    return 0;
}

int pb_next(struct slice *message, struct pb_field *ret_field)
{
    if (slice_is_empty(*message))
        return 0;
    uint64_t tag, len;
    int r = take_varint(message, &tag);
    if (r < 0)
        return r;
    ret_field->number = (uint32_t)tag >> 3;
    ret_field->is_bytes = (tag & 7) == PB_WIRE_BYTES;
    ret_field->is_fixed = (tag & 7) == PB_WIRE_I64 || (tag & 7) == PB_WIRE_I32;
    if (tag > TAG_MAX || ret_field->number == 0)
        return -EBADMSG;

    switch ((enum pb_wire)(tag & 7)) {
    case PB_WIRE_VARINT:
        r = take_varint(message, &ret_field->value);
        break;
    case PB_WIRE_I64:
        r = take_fixed(message, sizeof(uint64_t), &ret_field->value);
        break;
    case PB_WIRE_I32:
        r = take_fixed(message, sizeof(uint32_t), &ret_field->value);
        break;
    case PB_WIRE_BYTES:
        r = take_varint(message, &len);
        if (r == 0)
            r = take_bytes(message, len, &ret_field->bytes);
        break;
    default: /* groups, which proto3 has not */
        r = -EBADMSG;
    }
    return r < 0 ? r : 1;
}

int pb_next_packed(struct slice *bytes, uint64_t *ret_value)
{
    if (slice_is_empty(*bytes))
        return 0;
    int r = take_varint(bytes, ret_value);
    return r < 0 ? r : 1;
}

int pb_get_bytes(const struct pb_field *field, struct slice *ret_bytes)
{
    if (!field->is_bytes)
        return -EBADMSG;
    *ret_bytes = field->bytes;
    return 0;
}

int pb_get_int64(const struct pb_field *field, int64_t *ret_value)
{
    if (field->is_bytes || field->is_fixed)
        return -EBADMSG;
    *ret_value = (int64_t)field->value;
    return 0;
}

/* Sets one member of the object. */
static int read_member(const struct pb_field *field, const struct pb_member *member, char *object)
{
    if (field->is_bytes != (member->kind == PB_BYTES) || field->is_fixed)
        return -EBADMSG;
    char *place = object + member->offset;
    switch (member->kind) {
    case PB_BYTES:
        *(struct slice *)(void *)place = field->bytes;
        break;
    case PB_INT64:
        *(uint64_t *)(void *)place = field->value;
        break;
    case PB_INT32:
        *(uint32_t *)(void *)place = (uint32_t)field->value;
        break;
    case PB_BOOL:
        *(bool *)place = field->value != 0;
        break;
    case PB_UNUSED:
        break;
    }
    return 0;
}

int pb_read(struct slice message, const struct pb_member *members, size_t n_members, void *object)
{
    struct pb_field field;
    int r;
    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number >= n_members || members[field.number].kind == PB_UNUSED)
            continue;
        r = read_member(&field, &members[field.number], object);
        if (r < 0)
            return r;
    }
    return r;
}

/* ------------------------------------------------------------------------------------------------ writing */

void pb_add_varint(struct buf *buf, uint32_t number, uint64_t value)
{
    char *room;
    if (buf_reserve(buf, PB_VARINT_MAX * 2, &room) < 0)
        return;
    char *at = pb_put_varint(pb_put_varint(room, (uint64_t)number << 3 | PB_WIRE_VARINT), value);
    buf_commit(buf, (size_t)(at - room));
}

void pb_add_uint(struct buf *buf, uint32_t number, uint64_t value)
{
    if (value != 0)
        pb_add_varint(buf, number, value);
}

void pb_add_int(struct buf *buf, uint32_t number, int64_t value)
{
    pb_add_uint(buf, number, (uint64_t)value);
}

void pb_add_bool(struct buf *buf, uint32_t number, bool value)
{
    pb_add_uint(buf, number, value);
}

void pb_add_element(struct buf *buf, uint32_t number, struct slice bytes)
{
    char *room;
    if (buf_reserve(buf, PB_VARINT_MAX * 2 + bytes.len, &room) < 0)
        return;
    char *at = pb_put_head(room, number, bytes.len);
    if (bytes.len > 0)
        memcpy(at, bytes.ptr, bytes.len);
    buf_commit(buf, (size_t)(at - room) + bytes.len);
}

void pb_add_bytes(struct buf *buf, uint32_t number, struct slice bytes)
{
    if (bytes.len > 0)
        pb_add_element(buf, number, bytes);
}

void pb_add_str(struct buf *buf, uint32_t number, const char *str)
{
    pb_add_bytes(buf, number, slice_from_str(str));
}

size_t pb_begin(struct buf *buf, uint32_t number)
{
    char *room;
    if (buf_reserve(buf, PB_VARINT_MAX + 1, &room) < 0)
        return 0;
    /* The last byte of an empty message's head is its length, a zero. */
    buf_commit(buf, (size_t)(pb_put_head(room, number, 0) - room));
    return buf->len;
}

void pb_end(struct buf *buf, size_t begin)
{
    if (buf_error(buf) < 0)
        return;
    ASSERT(begin > 0 && begin <= buf->len);
    char length[PB_VARINT_MAX], *room;
    size_t len = buf->len - begin;
    size_t n = (size_t)(pb_put_varint(length, len) - length);
    if (buf_reserve(buf, n - 1, &room) < 0)
        return;
    if (n > 1)
        memmove(buf->ptr + begin + n - 1, buf->ptr + begin, len);
    memcpy(buf->ptr + begin - 1, length, n);
    buf_commit(buf, n - 1);
}
