/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of KV and Lease: bytes to what the store takes, and what it gave to bytes. Pure; mvcc.proto and
 * rpc.proto have the numbers.
 *
 * Reading: slices of what is read lie in the message. The object is zeroed first. Each gives ETCD_OK, or what is wrong
 * with the message, in the order in which etcd finds it.
 * Writing: onto a buf, whose sticky error tells of memory that was not there.
 */
#pragma once

#include "fronts/etcd/errors.h"
#include "wire/pb.h"

enum etcd_error etcd_read_range(struct slice message, struct store_range *ret_range);
enum etcd_error etcd_read_put(struct slice message, struct store_put *ret_put);
enum etcd_error etcd_read_delete(struct slice message, struct store_delete *ret_del);
/* Its parts lie in the arena. */
enum etcd_error etcd_read_txn(struct slice message, struct arena *arena, struct store_txn *ret_txn);
enum etcd_error etcd_read_compaction(struct slice message, int64_t *ret_revision);

struct etcd_lease_request {
    int64_t id, ttl_s;
    bool wants_keys;
};
enum etcd_error etcd_read_lease_grant(struct slice message, struct etcd_lease_request *ret_request);
/* LeaseRevoke, LeaseKeepAlive, LeaseTimeToLive. */
enum etcd_error etcd_read_lease(struct slice message, struct etcd_lease_request *ret_request);

/* One server, no elections: the term never changes. Tools want it above 0. */
#define ETCD_RAFT_TERM 1

/* What is the same in the header of each answer, to be encoded once. 0 or -ENOMEM. */
int etcd_header_init(struct buf *header, const struct store_identity *identity);

/* Field 1 of every answer. */
void etcd_add_header(struct buf *buf, const struct buf *header, int64_t revision);
void etcd_add_kv(struct buf *buf, uint32_t number, const struct store_kv *kv);

/* What follows the header of a RangeResponse's pairs, which are field 2. */
void etcd_add_range_end(struct buf *buf, int64_t count, bool more);
void etcd_add_put(struct buf *buf, const struct store_op_result *result);
void etcd_add_delete(struct buf *buf, const struct store_op_result *result);
void etcd_add_range(struct buf *buf, const struct store_op_result *result);
/* `results` are those of the branch that was taken. Answers inside carry a header with the revision alone. */
void etcd_add_txn(struct buf *buf, const struct store_txn *txn, bool succeeded, const struct store_op_result *results,
                  int64_t revision);

#define ETCD_RANGE_KVS 2 /* the number of RangeResponse.kvs */
