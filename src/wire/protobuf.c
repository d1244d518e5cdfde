/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/protobuf.h"

#include <errno.h>
#include <stdlib.h>

/* allocator_data is a bool: whether there was no memory. */
static void *allocate(void *allocator_data, size_t size)
{
    bool *is_short = allocator_data;
    void *ptr = malloc(size);
    *is_short |= !ptr;
    return ptr;
}

static void release(void *allocator_data, void *ptr)
{
    (void)allocator_data;
    free(ptr);
}

int protobuf_unpack(const ProtobufCMessageDescriptor *descriptor, struct slice bytes, ProtobufCMessage **ret_message)
{
    bool is_short = false;
    ProtobufCAllocator allocator = {allocate, release, &is_short};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, bytes.len, (const uint8_t *)bytes.ptr);
    if (!message)
        return is_short ? -ENOMEM : -EBADMSG;
    *ret_message = message;
    return 0;
}

void protobuf_free(ProtobufCMessage *message)
{
    ProtobufCAllocator allocator = {allocate, release, NULL};
    if (message)
        protobuf_c_message_free_unpacked(message, &allocator);
}

int protobuf_pack(const ProtobufCMessage *message, struct buf *buf)
{
    char *room;
    int r = buf_reserve(buf, protobuf_c_message_get_packed_size(message), &room);
    if (r < 0)
        return r;
    buf_commit(buf, protobuf_c_message_pack(message, (uint8_t *)room));
    return 0;
}
