/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A header block, one representation (RFC 7541 6) after the other. Strings are not copied where they lie as they are;
 * entries that the block itself drops from the table are kept until its end, since its fields may point to them.
 */
#include "wire/hpack.h"

#include "base/assert.h"
#include "wire/hpack_huffman.h"
#include "wire/scan.h"

#include <errno.h>
#include <stdlib.h>

/* First bytes: the bits that say the kind. */
enum {
    INDEXED = 0x80,
    LITERAL_REMEMBERED = 0x40,
    TABLE_SIZE = 0x20,
    HUFFMAN = 0x80, /* of a string's length */
};

void hpack_block_begin(struct hpack_block *block, struct hpack_table *table, struct slice bytes, char *room,
                       size_t room_bytes)
{
    ASSERT(room_bytes >= HPACK_ROOM_MIN);
    *block = (struct hpack_block){
        .table = table,
        .rest = bytes,
        .room = room,
        .free = room,
        .room_end = room + room_bytes,
    };
}

void hpack_block_end(struct hpack_block *block)
{
    while (block->dropped) {
        struct hpack_entry *next = block->dropped->next;
        free(block->dropped);
        block->dropped = next;
    }
}

/* A number whose first bits are the low ones of the next byte (RFC 7541 5.1). */
static int read_number(struct slice *rest, unsigned n_bits, uint32_t *ret_number)
{
    const uint32_t prefix_max = (1u << n_bits) - 1;
    if (slice_is_empty(*rest))
        return -EBADMSG;
    uint64_t number = (uint8_t)rest->ptr[0] & prefix_max;
    *rest = slice_skip(*rest, 1);
    if (number == prefix_max) {
        uint8_t byte;
        unsigned shift = 0;
        do {
            if (slice_is_empty(*rest) || shift > 28)
                return -EBADMSG;
            byte = (uint8_t)rest->ptr[0];
            *rest = slice_skip(*rest, 1);
            number += (uint64_t)(byte & 0x7f) << shift;
            shift += 7;
        } while (byte & 0x80);
    }
    if (number > UINT32_MAX)
        return -EBADMSG;
    *ret_number = (uint32_t)number;
    return 0;
}

/* Into the room. What is larger than all of it is cut; it is too large for the table, too. */
static int unpack(struct hpack_block *block, struct slice coded, struct slice *ret_string)
{
    size_t len, n_free = (size_t)(block->room_end - block->free);
    int r = hpack_huffman_read(coded, block->free, n_free, &len);
    if (r < 0)
        return r;
    if (len > n_free)
        block->is_overfull = true;
    *ret_string = slice_from(block->free, min_size(len, n_free));
    block->free += ret_string->len;
    return 0;
}

static int read_string(struct hpack_block *block, struct slice *ret_string)
{
    uint32_t len;
    bool is_coded = block->rest.len > 0 && (uint8_t)block->rest.ptr[0] & HUFFMAN;
    int r = read_number(&block->rest, 7, &len);
    if (r < 0)
        return r;
    if (len > block->rest.len)
        return -EBADMSG;
    struct slice bytes = slice_from(block->rest.ptr, len);
    block->rest = slice_skip(block->rest, len);
    if (is_coded)
        return unpack(block, bytes, ret_string);
    *ret_string = bytes;
    return 0;
}

static const struct hpack_field *find(const struct hpack_block *block, uint32_t index)
{
    if (index == 0)
        return NULL;
    return index <= HPACK_STATIC ? hpack_static_get(index) : hpack_table_get(block->table, index - HPACK_STATIC - 1);
}

static bool is_name(struct slice name, enum http_field_id id)
{
    if (name.len > 0 && name.ptr[0] == ':')
        return id != HTTP_FIELD_OTHER; /* only pseudo-fields that are known have an id */
    for (size_t i = 0; i < name.len; i++)
        if (!char_is(name.ptr[i], CHAR_TOKEN) || (name.ptr[i] >= 'A' && name.ptr[i] <= 'Z'))
            return false;
    return name.len > 0;
}

static bool is_value(struct slice value)
{
    const char *end = value.ptr + value.len;
    if (value.len == 0)
        return true;
    return !char_is_blank(value.ptr[0]) && !char_is_blank(end[-1]) && scan_value(value.ptr, end) == end;
}

static int read_literal(struct hpack_block *block, unsigned n_bits, bool is_remembered, struct hpack_field *ret_field)
{
    uint32_t index;
    bool is_known_name = true;
    if (block->room_end - block->free < HPACK_ROOM_MIN) {
        block->is_overfull = true;
        block->free = block->room;
    }
    int r = read_number(&block->rest, n_bits, &index);
    if (r == 0 && index > 0) {
        const struct hpack_field *known = find(block, index);
        if (!known)
            return -EBADMSG;
        *ret_field = *known;
    } else if (r == 0) {
        is_known_name = false;
        r = read_string(block, &ret_field->name);
    }
    if (r == 0)
        r = read_string(block, &ret_field->value);
    if (r < 0)
        return r;
    if (!is_known_name)
        ret_field->id = http_field_find(ret_field->name);
    ret_field->is_valid = is_name(ret_field->name, ret_field->id) && is_value(ret_field->value);
    return is_remembered ? hpack_table_add(block->table, ret_field, &block->dropped) : 0;
}

/* Only at the beginning of a block, and never more than we have allowed. */
static int read_table_size(struct hpack_block *block)
{
    uint32_t size;
    int r = read_number(&block->rest, 5, &size);
    if (r < 0 || block->has_fields || size > HPACK_TABLE_MAX)
        return -EBADMSG;
    hpack_table_resize(block->table, size, &block->dropped);
    return 0;
}

static int read_field(struct hpack_block *block, uint8_t first, struct hpack_field *ret_field)
{
    uint32_t index;
    block->has_fields = true;
    if (first & LITERAL_REMEMBERED && !(first & INDEXED))
        return read_literal(block, 6, true, ret_field);
    if (!(first & INDEXED))
        return read_literal(block, 4, false, ret_field);
    int r = read_number(&block->rest, 7, &index);
    const struct hpack_field *known = r < 0 ? NULL : find(block, index);
    if (!known)
        return -EBADMSG;
    *ret_field = *known;
    return 0;
}

int hpack_block_next(struct hpack_block *block, struct hpack_field *ret_field)
{
    while (block->rest.len > 0) {
        uint8_t first = (uint8_t)block->rest.ptr[0];
        bool is_size = (first & (INDEXED | LITERAL_REMEMBERED | TABLE_SIZE)) == TABLE_SIZE;
        int r = is_size ? read_table_size(block) : read_field(block, first, ret_field);
        if (r < 0)
            return r;
        if (!is_size)
            return 1;
    }
    return 0;
}
