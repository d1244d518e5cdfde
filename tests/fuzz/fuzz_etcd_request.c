/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request of etcd's: what is read lies inside the message and takes bounded memory, and is a message for
 * protobuf-c too (which lets pass some that are none: tags of more than 32 bits). The first byte says which request.
 */
#include "fronts/etcd/messages.h"
#include "fronts/etcd/rpc.pb-c.h"
#include "fronts/etcd/watch_messages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A part takes a hundred bytes or two, and there may be two thousand and some blocks. */
#define TXN_BYTES_MAX ((size_t)1024 * 1024)

static bool protobuf_c_accepts(const ProtobufCMessageDescriptor *type, struct slice message)
{
    ProtobufCMessage *unpacked =
        protobuf_c_message_unpack(type, NULL, message.len, (const uint8_t *)(const void *)message.ptr);
    if (unpacked)
        protobuf_c_message_free_unpacked(unpacked, NULL);
    return unpacked != NULL;
}

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_inside(struct slice message, struct slice part)
{
    check(part.len == 0 || (part.ptr >= message.ptr && part.ptr + part.len <= message.ptr + message.len));
}

static void fuzz_range(struct slice message)
{
    struct store_range range;
    enum etcd_error error = etcd_read_range(message, &range);
    check(error == ETCD_MALFORMED || protobuf_c_accepts(&etcdserverpb__range_request__descriptor, message));
    check_inside(message, range.key);
    check_inside(message, range.end);
}

static void fuzz_put(struct slice message)
{
    struct store_put put;
    enum etcd_error error = etcd_read_put(message, &put);
    check(error == ETCD_MALFORMED || protobuf_c_accepts(&etcdserverpb__put_request__descriptor, message));
    check_inside(message, put.key);
    check_inside(message, put.value);
}

static void fuzz_delete(struct slice message)
{
    struct store_delete del;
    enum etcd_error error = etcd_read_delete(message, &del);
    check(error == ETCD_MALFORMED || protobuf_c_accepts(&etcdserverpb__delete_range_request__descriptor, message));
    check_inside(message, del.key);
    check_inside(message, del.end);
}

/* Of an operation that is given twice only the last one is read, so protobuf-c may find fault with more. */
static void fuzz_txn(struct slice message)
{
    struct arena arena = {0};
    struct store_txn txn;
    (void)etcd_read_txn(message, &arena, &txn);
    check(arena.n_bytes < TXN_BYTES_MAX);
    arena_deinit(&arena);
}

static void fuzz_lease(struct slice message)
{
    struct etcd_lease_request request;
    enum etcd_error error = etcd_read_lease_grant(message, &request);
    check(error != ETCD_OK || protobuf_c_accepts(&etcdserverpb__lease_grant_request__descriptor, message));
    error = etcd_read_lease(message, &request);
    check(error != ETCD_OK || protobuf_c_accepts(&etcdserverpb__lease_time_to_live_request__descriptor, message));
}

static void fuzz_watch(struct slice message)
{
    struct watch_request request;
    if (watch_read_request(message, &request) != ETCD_OK)
        return;
    check_inside(message, request.key);
    check_inside(message, request.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const targets[])(struct slice) = {
        fuzz_range, fuzz_put, fuzz_delete, fuzz_txn, fuzz_lease, fuzz_watch,
    };
    if (size > 0)
        targets[data[0] % ARRAY_LEN(targets)](slice_from(data + 1, size - 1));
    return 0;
}
