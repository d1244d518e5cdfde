/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One pair is: u32 length of the name, u32 length of the value, the name, the value. Lengths are copied in and out,
 * since they lie at any alignment.
 */
#include "http/h2_fields.h"

#include "base/assert.h"

struct lengths {
    uint32_t name, value;
};

int h2_fields_append(struct buf *block, struct slice name, struct slice value)
{
    ASSERT(name.len <= UINT32_MAX && value.len <= UINT32_MAX);
    struct lengths lengths = {(uint32_t)name.len, (uint32_t)value.len};
    char *room;
    int r = buf_reserve(block, sizeof(lengths) + name.len + value.len, &room);
    if (r < 0)
        return r;
    buf_commit(block, sizeof(lengths) + name.len + value.len);
    memcpy(room, &lengths, sizeof(lengths));
    memcpy(room + sizeof(lengths), name.ptr, name.len);
    if (value.len > 0)
        memcpy(room + sizeof(lengths) + name.len, value.ptr, value.len);
    return 0;
}

bool h2_fields_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    struct lengths lengths;
    if (slice_is_empty(*rest))
        return false;
    ASSERT(rest->len >= sizeof(lengths));
    memcpy(&lengths, rest->ptr, sizeof(lengths));
    *rest = slice_skip(*rest, sizeof(lengths));
    ASSERT(rest->len >= (size_t)lengths.name + lengths.value);
    *ret_name = slice_from(rest->ptr, lengths.name);
    *ret_value = slice_from(rest->ptr + lengths.name, lengths.value);
    *rest = slice_skip(*rest, (size_t)lengths.name + lengths.value);
    return true;
}
