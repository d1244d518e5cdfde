/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of Protocol Buffers, proto3: messages are taken apart where they lie, and written onto a buf. Neither
 * allocates for itself, which is why hot paths use this rather than generated code. Pure.
 *
 * Reading: a flat message is described by a table, whose index is the field's number:
 *
 *     static const struct pb_member put_members[] = {
 *         [1] = PB_MEMBER(struct put, key, PB_BYTES),
 *         [3] = PB_MEMBER(struct put, lease, PB_INT64),
 *     };
 *     r = pb_read(message, put_members, ARRAY_LEN(put_members), &put);
 *
 * One with repeated fields or alternatives is walked: while ((r = pb_next(&message, &field)) > 0) switch (field.number)
 * As everywhere in proto3, unknown fields are passed over, and of a field that comes twice the last one counts.
 *
 * Writing: fields in any order; a field with the value zero is left out, as proto3 wants. Running out of memory is the
 * buf's sticky error.
 */
#pragma once

#include "base/buf.h"

/* A varint takes so many bytes at most. */
#define PB_VARINT_MAX 10

/* ------------------------------------------------------------------------------------------------ reading */

enum pb_kind {
    PB_UNUSED, /* of a number that the table does not name */
    PB_BYTES,  /* struct slice, inside the message; also strings and nested messages */
    PB_INT64,  /* int64_t and uint64_t */
    PB_INT32,  /* int32_t, uint32_t and enums: of a longer number the low half, as all implementations do */
    PB_BOOL,   /* bool */
};

struct pb_member {
    enum pb_kind kind;
    size_t offset; /* in the object */
};

#define PB_MEMBER(type, member, kind)                                                                                  \
    {                                                                                                                  \
        (kind), offsetof(type, member)                                                                                 \
    }

/* Fills in the members that the message has; the others stay. 0, or -EBADMSG: then some may be filled in. */
int pb_read(struct slice message, const struct pb_member *members, size_t n_members, void *object);

/* How a field is written: the low bits of its tag. */
enum pb_wire { PB_WIRE_VARINT = 0, PB_WIRE_I64 = 1, PB_WIRE_BYTES = 2, PB_WIRE_I32 = 5 };

struct pb_field {
    uint32_t number;
    bool is_bytes;      /* else it is a number … */
    bool is_fixed;      /* … and this one of four or eight bytes */
    uint64_t value;     /* when it is no bytes */
    struct slice bytes; /* inside the message */
};

/* Takes the next field off the message: 1; 0 at the end; -EBADMSG: this is no message. */
int pb_next(struct slice *message, struct pb_field *ret_field);

/* The same for a run of packed numbers, the bytes of a repeated field. */
int pb_next_packed(struct slice *bytes, uint64_t *ret_value);

/* 0, or -EBADMSG when the field is written as another sort: numbers are varints. */
int pb_get_bytes(const struct pb_field *field, struct slice *ret_bytes);
int pb_get_int64(const struct pb_field *field, int64_t *ret_value);

/* ------------------------------------------------------------------------------------------------ writing */

void pb_add_uint(struct buf *buf, uint32_t number, uint64_t value);
/* Written also when it is zero: an element, or an alternative. */
void pb_add_varint(struct buf *buf, uint32_t number, uint64_t value);
void pb_add_int(struct buf *buf, uint32_t number, int64_t value);
void pb_add_bool(struct buf *buf, uint32_t number, bool value);
void pb_add_bytes(struct buf *buf, uint32_t number, struct slice bytes);
void pb_add_str(struct buf *buf, uint32_t number, const char *str);

/* An element of a repeated field, which is written also when it is empty. */
void pb_add_element(struct buf *buf, uint32_t number, struct slice bytes);

/* A nested message is what is added between these two. Written also when it is empty. */
size_t pb_begin(struct buf *buf, uint32_t number);
void pb_end(struct buf *buf, size_t begin);

/*
 * The same in place, for messages of which one answer has many: room is made once, for what the sizes add up to and
 * PB_HEAD_MAX, and nothing is moved to make room for a length.
 *
 *     size = pb_size_bytes(1, key) + pb_size_int(2, version);
 *     if (buf_reserve(buf, PB_HEAD_MAX + size, &room) == 0) {
 *         char *at = pb_put_head(room, number, size);
 *         at = pb_put_bytes(at, 1, key);
 *         at = pb_put_int(at, 2, version);
 *         buf_commit(buf, (size_t)(at - room));
 *     }
 */
#define PB_HEAD_MAX 20

static inline size_t pb_size_varint(uint64_t value)
{
    return (size_t)(63 - __builtin_clzll(value | 1)) / 7 + 1;
}

static inline size_t pb_size_int(uint32_t number, int64_t value)
{
    return value == 0 ? 0 : pb_size_varint((uint64_t)number << 3) + pb_size_varint((uint64_t)value);
}

static inline size_t pb_size_bytes(uint32_t number, struct slice bytes)
{
    return bytes.len == 0 ? 0 : pb_size_varint((uint64_t)number << 3) + pb_size_varint(bytes.len) + bytes.len;
}

static inline char *pb_put_varint(char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (char)(value | 0x80);
    *at++ = (char)value;
    return at;
}

/* In front of a message, or of bytes that are written even when there are none. */
static inline char *pb_put_head(char *at, uint32_t number, size_t size)
{
    return pb_put_varint(pb_put_varint(at, (uint64_t)number << 3 | PB_WIRE_BYTES), size);
}

static inline char *pb_put_int(char *at, uint32_t number, int64_t value)
{
    if (value == 0)
        return at;
    return pb_put_varint(pb_put_varint(at, (uint64_t)number << 3 | PB_WIRE_VARINT), (uint64_t)value);
}

static inline char *pb_put_bytes(char *at, uint32_t number, struct slice bytes)
{
    if (bytes.len == 0)
        return at;
    at = pb_put_head(at, number, bytes.len);
    memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}
