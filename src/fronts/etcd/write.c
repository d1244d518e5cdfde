/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of KV as bytes. */
#include "fronts/etcd/messages.h"

int etcd_header_init(struct buf *header, const struct store_identity *identity)
{
    pb_add_uint(header, 1, identity->cluster_id);
    pb_add_uint(header, 2, identity->member_id);
    pb_add_uint(header, 4, ETCD_RAFT_TERM);
    return buf_error(header);
}

void etcd_add_header(struct buf *buf, const struct buf *header, int64_t revision)
{
    size_t begin = pb_begin(buf, 1);
    buf_append(buf, buf_slice(header));
    pb_add_int(buf, 3, revision);
    pb_end(buf, begin);
}

void etcd_add_kv(struct buf *buf, uint32_t number, const struct store_kv *kv)
{
    size_t size = pb_size_bytes(1, kv->key) + pb_size_int(2, kv->create_revision) + pb_size_int(3, kv->mod_revision) +
                  pb_size_int(4, kv->version) + pb_size_bytes(5, kv->value) + pb_size_int(6, kv->lease);
    char *room;
    if (buf_reserve(buf, PB_HEAD_MAX + size, &room) < 0)
        return;
    char *at = pb_put_head(room, number, size);
    at = pb_put_bytes(at, 1, kv->key);
    at = pb_put_int(at, 2, kv->create_revision);
    at = pb_put_int(at, 3, kv->mod_revision);
    at = pb_put_int(at, 4, kv->version);
    at = pb_put_bytes(at, 5, kv->value);
    at = pb_put_int(at, 6, kv->lease);
    buf_commit(buf, (size_t)(at - room));
}

static void add_kvs(struct buf *buf, uint32_t number, const struct store_op_result *result)
{
    for (size_t i = 0; i < result->n_kvs; i++)
        etcd_add_kv(buf, number, &result->kvs[i]);
}

void etcd_add_range_end(struct buf *buf, int64_t count, bool more)
{
    pb_add_bool(buf, 3, more);
    pb_add_int(buf, 4, count);
}

void etcd_add_range(struct buf *buf, const struct store_op_result *result)
{
    add_kvs(buf, ETCD_RANGE_KVS, result);
    etcd_add_range_end(buf, result->count, result->more);
}

void etcd_add_put(struct buf *buf, const struct store_op_result *result)
{
    add_kvs(buf, 2, result);
}

void etcd_add_delete(struct buf *buf, const struct store_op_result *result)
{
    pb_add_int(buf, 2, result->count);
    add_kvs(buf, 3, result);
}

static void add_nested_header(struct buf *buf, int64_t revision)
{
    size_t begin = pb_begin(buf, 1);
    pb_add_int(buf, 3, revision);
    pb_end(buf, begin);
}

/* A ResponseOp. */
static void add_op(struct buf *buf, const struct store_op *op, const struct store_op_result *result, int64_t revision)
{
    static const uint32_t numbers[] = {
        [STORE_OP_RANGE] = 1,
        [STORE_OP_PUT] = 2,
        [STORE_OP_DELETE] = 3,
        [STORE_OP_TXN] = 4,
    };
    size_t begin = pb_begin(buf, 3);
    size_t inner = pb_begin(buf, numbers[op->type]);
    add_nested_header(buf, revision);
    switch (op->type) {
    case STORE_OP_RANGE:
        etcd_add_range(buf, result);
        break;
    case STORE_OP_PUT:
        etcd_add_put(buf, result);
        break;
    case STORE_OP_DELETE:
        etcd_add_delete(buf, result);
        break;
    case STORE_OP_TXN:
        etcd_add_txn(buf, op->txn, result->succeeded, result->results, revision);
        break;
    }
    pb_end(buf, inner);
    pb_end(buf, begin);
}

void etcd_add_txn(struct buf *buf, const struct store_txn *txn, bool succeeded, const struct store_op_result *results,
                  int64_t revision)
{
    const struct store_op *ops = succeeded ? txn->success : txn->failure;
    unsigned n_ops = succeeded ? txn->n_success : txn->n_failure;
    pb_add_bool(buf, 2, succeeded);
    for (unsigned i = 0; i < n_ops; i++)
        add_op(buf, &ops[i], &results[i], revision);
}
