/* SPDX-License-Identifier: Apache-2.0 */
/* Our reading of requests against protobuf-c's packing of them: random ones, field by field. */
#include "fronts/etcd/messages.h"
#include "fronts/etcd/rpc.pb-c.h"
#include "fronts/etcd/watch_messages.h"
#include "store/txn_check.h"
#include "support/test.h"

#include <stdlib.h>

static uint64_t random_state;

static uint64_t random_up_to(uint64_t bound)
{
    return test_random(&random_state) % (bound + 1);
}

/* 0 and the ends are as likely as all in between. */
static int64_t random_number(void)
{
    switch (random_up_to(4)) {
    case 0:
        return 0;
    case 1:
        return INT64_MIN;
    case 2:
        return INT64_MAX;
    default:
        return (int64_t)(test_random(&random_state) >> random_up_to(63));
    }
}

static ProtobufCBinaryData random_bytes(size_t min_len)
{
    static uint8_t pool[400];
    static bool is_filled;
    for (size_t i = 0; !is_filled && i < sizeof(pool); i++)
        pool[i] = (uint8_t)test_random(&random_state);
    is_filled = true;
    size_t len = min_len + random_up_to(random_up_to(1) ? 3 : 300);
    return (ProtobufCBinaryData){len, pool + random_up_to(sizeof(pool) - len)};
}

static struct slice slice_of(ProtobufCBinaryData data)
{
    return slice_from(data.data, data.len);
}

static struct slice pack(const ProtobufCMessage *message)
{
    static uint8_t bytes[64 * 1024];
    size_t len = protobuf_c_message_get_packed_size(message);
    expect_true(len <= sizeof(bytes));
    (void)protobuf_c_message_pack(message, bytes);
    return slice_from(bytes, len);
}

/* ------------------------------------------------------------------------------------------------ requests */

static void fill_range(Etcdserverpb__RangeRequest *range)
{
    etcdserverpb__range_request__init(range);
    range->key = random_bytes(1);
    range->range_end = random_bytes(0);
    range->limit = random_number();
    range->revision = random_number();
    range->sort_order = (Etcdserverpb__RangeRequest__SortOrder)random_up_to(2);
    range->sort_target = (Etcdserverpb__RangeRequest__SortTarget)random_up_to(4);
    range->serializable = random_up_to(1);
    range->keys_only = random_up_to(1);
    range->count_only = random_up_to(1);
    range->min_mod_revision = random_number();
    range->max_mod_revision = random_number();
    range->min_create_revision = random_number();
    range->max_create_revision = random_number();
}

static void expect_range(const struct store_range *read, const Etcdserverpb__RangeRequest *range)
{
    expect_bytes(read->key, slice_of(range->key));
    expect_bytes(read->end, slice_of(range->range_end));
    expect_int(read->limit, range->limit);
    expect_int(read->revision, range->revision);
    expect_int(read->order, range->sort_order);
    expect_int(read->by, range->sort_target);
    expect_int(read->keys_only, range->keys_only);
    expect_int(read->count_only, range->count_only);
    expect_int(read->min_mod_revision, range->min_mod_revision);
    expect_int(read->max_mod_revision, range->max_mod_revision);
    expect_int(read->min_create_revision, range->min_create_revision);
    expect_int(read->max_create_revision, range->max_create_revision);
}

static void fill_put(Etcdserverpb__PutRequest *put)
{
    etcdserverpb__put_request__init(put);
    put->key = random_bytes(1);
    put->prev_kv = random_up_to(1);
    put->ignore_value = random_up_to(1);
    put->ignore_lease = random_up_to(1);
    if (!put->ignore_value)
        put->value = random_bytes(0);
    if (!put->ignore_lease)
        put->lease = random_number();
}

static void expect_put(const struct store_put *read, const Etcdserverpb__PutRequest *put)
{
    expect_bytes(read->key, slice_of(put->key));
    expect_bytes(read->value, slice_of(put->value));
    expect_int(read->lease, put->lease);
    expect_int(read->want_prev, put->prev_kv);
    expect_int(read->keep_value, put->ignore_value);
    expect_int(read->keep_lease, put->ignore_lease);
}

static void fill_delete(Etcdserverpb__DeleteRangeRequest *del)
{
    etcdserverpb__delete_range_request__init(del);
    del->key = random_bytes(1);
    del->range_end = random_bytes(0);
    del->prev_kv = random_up_to(1);
}

static void expect_delete(const struct store_delete *read, const Etcdserverpb__DeleteRangeRequest *del)
{
    expect_bytes(read->key, slice_of(del->key));
    expect_bytes(read->end, slice_of(del->range_end));
    expect_int(read->want_prev, del->prev_kv);
}

static void flat_requests_are_read(void)
{
    random_state = test_seed();
    for (unsigned i = 0; i < 2000; i++) {
        Etcdserverpb__RangeRequest range;
        struct store_range read_range;
        fill_range(&range);
        expect_int(etcd_read_range(pack(&range.base), &read_range), ETCD_OK);
        expect_range(&read_range, &range);

        Etcdserverpb__PutRequest put;
        struct store_put read_put;
        fill_put(&put);
        expect_int(etcd_read_put(pack(&put.base), &read_put), ETCD_OK);
        expect_put(&read_put, &put);

        Etcdserverpb__DeleteRangeRequest del;
        struct store_delete read_del;
        fill_delete(&del);
        expect_int(etcd_read_delete(pack(&del.base), &read_del), ETCD_OK);
        expect_delete(&read_del, &del);
    }
}

/* ------------------------------------------------------------------------------------------------ transactions */

enum { BRANCH = 4 };

/* A transaction of protobuf-c with room for its parts. */
struct txn_parts {
    Etcdserverpb__TxnRequest txn;
    Etcdserverpb__Compare compares[BRANCH], *compare_ptrs[BRANCH];
    Etcdserverpb__RequestOp ops[2 * BRANCH], *op_ptrs[2 * BRANCH];
    Etcdserverpb__RangeRequest ranges[2 * BRANCH];
    Etcdserverpb__PutRequest puts[2 * BRANCH];
    Etcdserverpb__DeleteRangeRequest dels[2 * BRANCH];
    struct txn_parts *inner[2 * BRANCH];
};

static void fill_compare(Etcdserverpb__Compare *compare)
{
    etcdserverpb__compare__init(compare);
    compare->result = (Etcdserverpb__Compare__CompareResult)random_up_to(3);
    compare->target = (Etcdserverpb__Compare__CompareTarget)random_up_to(4);
    compare->key = random_bytes(1);
    compare->range_end = random_bytes(0);
    static const Etcdserverpb__Compare__TargetUnionCase operands[] = {
        ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION,      ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION,
        ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION, ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE,
        ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE,        ETCDSERVERPB__COMPARE__TARGET_UNION__NOT_SET,
    };
    /* Mostly the operand that the target wants. */
    compare->target_union_case = random_up_to(3) ? operands[compare->target] : operands[random_up_to(5)];
    if (compare->target_union_case == ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE)
        compare->value = random_bytes(0);
    else
        compare->version = random_number();
}

static void expect_compare(const struct store_compare *read, const Etcdserverpb__Compare *compare)
{
    static const Etcdserverpb__Compare__TargetUnionCase wanted[] = {4, 5, 6, 7, 8};
    bool fits = compare->target_union_case == wanted[compare->target];
    bool is_value = compare->target == ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE;
    expect_int(read->test, compare->result);
    expect_int(read->target, compare->target);
    expect_bytes(read->key, slice_of(compare->key));
    expect_bytes(read->end, slice_of(compare->range_end));
    expect_int(read->number, fits && !is_value ? compare->version : 0);
    if (fits && is_value)
        expect_bytes(read->value, slice_of(compare->value));
    else
        expect_int(read->value.len, 0);
}

static struct txn_parts *make_txn(unsigned depth);

static void fill_op(struct txn_parts *parts, unsigned i, unsigned depth)
{
    Etcdserverpb__RequestOp *op = &parts->ops[i];
    etcdserverpb__request_op__init(op);
    op->request_case = (Etcdserverpb__RequestOp__RequestCase)(1 + random_up_to(depth < 3 ? 3 : 2));
    if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE) {
        fill_range(&parts->ranges[i]);
        op->request_range = &parts->ranges[i];
    } else if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT) {
        fill_put(&parts->puts[i]);
        op->request_put = &parts->puts[i];
    } else if (op->request_case == ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE) {
        fill_delete(&parts->dels[i]);
        op->request_delete_range = &parts->dels[i];
    } else {
        parts->inner[i] = make_txn(depth + 1);
        op->request_txn = &parts->inner[i]->txn;
    }
}

static struct txn_parts *make_txn(unsigned depth)
{
    struct txn_parts *parts = calloc(1, sizeof(*parts));
    expect_true(parts != NULL);
    etcdserverpb__txn_request__init(&parts->txn);
    for (unsigned i = 0; i < BRANCH; i++) {
        fill_compare(&parts->compares[i]);
        parts->compare_ptrs[i] = &parts->compares[i];
    }
    unsigned most = depth == 0 ? BRANCH : 2;
    parts->txn.n_compare = random_up_to(most);
    parts->txn.compare = parts->compare_ptrs;
    parts->txn.n_success = random_up_to(most);
    parts->txn.success = parts->op_ptrs;
    parts->txn.n_failure = random_up_to(most);
    parts->txn.failure = parts->op_ptrs + BRANCH;
    for (unsigned i = 0; i < 2 * BRANCH; i++) {
        if (i % BRANCH < (i < BRANCH ? parts->txn.n_success : parts->txn.n_failure))
            fill_op(parts, i, depth);
        parts->op_ptrs[i] = &parts->ops[i];
    }
    return parts;
}

static void free_txn(struct txn_parts *parts)
{
    for (unsigned i = 0; parts && i < 2 * BRANCH; i++)
        free_txn(parts->inner[i]);
    free(parts);
}

static void expect_txn(const struct store_txn *read, const struct txn_parts *parts);

static void expect_op(const struct store_op *read, const struct txn_parts *parts, unsigned i)
{
    expect_int(read->type, (int)parts->ops[i].request_case - 1);
    switch (read->type) {
    case STORE_OP_RANGE:
        expect_range(&read->range, &parts->ranges[i]);
        break;
    case STORE_OP_PUT:
        expect_put(&read->put, &parts->puts[i]);
        break;
    case STORE_OP_DELETE:
        expect_delete(&read->del, &parts->dels[i]);
        break;
    case STORE_OP_TXN:
        expect_txn(read->txn, parts->inner[i]);
        break;
    }
}

static void expect_txn(const struct store_txn *read, const struct txn_parts *parts)
{
    expect_int(read->n_compares, parts->txn.n_compare);
    expect_int(read->n_success, parts->txn.n_success);
    expect_int(read->n_failure, parts->txn.n_failure);
    for (unsigned i = 0; i < read->n_compares; i++)
        expect_compare(&read->compares[i], &parts->compares[i]);
    for (unsigned i = 0; i < read->n_success; i++)
        expect_op(&read->success[i], parts, i);
    for (unsigned i = 0; i < read->n_failure; i++)
        expect_op(&read->failure[i], parts, BRANCH + i);
}

static void transactions_are_read(void)
{
    random_state = test_seed();
    for (unsigned i = 0; i < 500; i++) {
        struct txn_parts *parts = make_txn(0);
        struct arena arena = {0};
        struct store_txn read;
        expect_int(etcd_read_txn(pack(&parts->txn.base), &arena, &read), ETCD_OK);
        expect_txn(&read, parts);
        arena_deinit(&arena);
        free_txn(parts);
    }
}

/* A transaction that holds nothing but another one, so many times. */
static enum etcd_error read_nested(unsigned depth)
{
    struct buf inner = {0};
    for (unsigned i = 0; i < depth; i++) {
        struct buf outer = {0};
        size_t op = pb_begin(&outer, 2);
        pb_add_element(&outer, 4, buf_slice(&inner));
        pb_end(&outer, op);
        buf_deinit(&inner);
        inner = outer;
    }
    struct arena arena = {0};
    struct store_txn read;
    enum etcd_error error = etcd_read_txn(buf_slice(&inner), &arena, &read);
    arena_deinit(&arena);
    buf_deinit(&inner);
    return error;
}

static void deep_transactions_are_refused(void)
{
    expect_int(read_nested(STORE_TXN_NESTING_MAX - 1), ETCD_OK);
    expect_int(read_nested(STORE_TXN_NESTING_MAX), ETCD_TOO_MANY_OPS);
    expect_int(read_nested(5000), ETCD_TOO_MANY_OPS);
}

/* Two bytes of message must not become a hundred and more of memory without end. */
static void wide_transactions_are_refused(void)
{
    struct buf inner = {0}, outer = {0};
    for (unsigned i = 0; i < STORE_TXN_OPS_MAX; i++)
        pb_add_element(&inner, 2, SLICE_LIT("\x1a\x03\x0a\x01k")); /* delete k */
    for (unsigned i = 0; i < STORE_TXN_OPS_MAX; i++) {
        size_t op = pb_begin(&outer, 2);
        pb_add_element(&outer, 4, buf_slice(&inner));
        pb_end(&outer, op);
    }
    struct arena arena = {0};
    struct store_txn read;
    expect_int(etcd_read_txn(buf_slice(&outer), &arena, &read), ETCD_TOO_MANY_OPS);
    expect_true(arena.n_bytes < (size_t)2 * 1024 * 1024);
    arena_deinit(&arena);
    buf_deinit(&inner);
    buf_deinit(&outer);
}

/* ------------------------------------------------------------------------------------------------ watch */

static void watch_requests_are_read(void)
{
    random_state = test_seed();
    for (unsigned i = 0; i < 2000; i++) {
        Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
        Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
        Etcdserverpb__WatchCreateRequest__FilterType filters[2] = {random_up_to(1), random_up_to(1)};
        request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
        request.create_request = &create;
        create.key = random_bytes(0);
        create.range_end = random_bytes(0);
        create.start_revision = random_number();
        create.progress_notify = random_up_to(1);
        create.prev_kv = random_up_to(1);
        create.watch_id = random_number();
        create.fragment = random_up_to(1);
        create.filters = filters;
        create.n_filters = random_up_to(2);

        struct watch_request read;
        expect_int(watch_read_request(pack(&request.base), &read), ETCD_OK);
        expect_int(read.type, WATCH_CREATE);
        expect_bytes(read.key, slice_of(create.key));
        expect_bytes(read.end, slice_of(create.range_end));
        expect_int(read.start_revision, create.start_revision);
        expect_int(read.wants_progress, create.progress_notify);
        expect_int(read.wants_prev, create.prev_kv);
        expect_int(read.id, create.watch_id);
        expect_int(read.wants_fragments, create.fragment);
        bool no_puts = false, no_deletes = false;
        for (size_t k = 0; k < create.n_filters; k++)
            *(filters[k] ? &no_deletes : &no_puts) = true;
        expect_int(read.no_puts, no_puts);
        expect_int(read.no_deletes, no_deletes);
    }
}

static void watch_requests_of_unknown_kind_are_nothing(void)
{
    struct watch_request read;
    expect_int(watch_read_request((struct slice){0}, &read), ETCD_OK);
    expect_int(read.type, WATCH_NOTHING);
    expect_int(watch_read_request(SLICE_LIT("\x22\x00"), &read), ETCD_OK); /* field 4 */
    expect_int(read.type, WATCH_NOTHING);
    expect_int(watch_read_request(SLICE_LIT("\x1a\x00"), &read), ETCD_OK);
    expect_int(read.type, WATCH_PROGRESS);
    expect_int(watch_read_request(SLICE_LIT("\x12\x02\x08\x05"), &read), ETCD_OK);
    expect_int(read.type, WATCH_CANCEL);
    expect_int(read.id, 5);
    expect_int(watch_read_request(SLICE_LIT("\x08\x01"), &read), ETCD_MALFORMED);
    expect_int(watch_read_request(SLICE_LIT("\x0a\x03\x2a\x01\x80"), &read), ETCD_MALFORMED); /* packed filters */
}

/* ------------------------------------------------------------------------------------------------ what is refused */

static void bad_requests_get_their_error(void)
{
    struct store_range range;
    struct store_put put;
    struct arena arena = {0};
    struct store_txn txn;
    expect_int(etcd_read_range((struct slice){0}, &range), ETCD_EMPTY_KEY);
    expect_int(etcd_read_range(SLICE_LIT("\x0a\x01k\x28\x03"), &range), ETCD_INVALID_SORT);
    expect_int(etcd_read_range(SLICE_LIT("\x0a\x01k\x30\x05"), &range), ETCD_INVALID_SORT);
    expect_int(etcd_read_range(SLICE_LIT("\x0a\x01k\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &range),
               ETCD_INVALID_SORT);
    expect_int(etcd_read_range(SLICE_LIT("\x0a\x09k"), &range), ETCD_MALFORMED);
    expect_int(etcd_read_put(SLICE_LIT("\x0a\x01k\x12\x01v\x28\x01"), &put), ETCD_VALUE_PROVIDED);
    expect_int(etcd_read_put(SLICE_LIT("\x0a\x01k\x18\x01\x30\x01"), &put), ETCD_LEASE_PROVIDED);
    expect_int(etcd_read_txn(SLICE_LIT("\x0a\x00"), &arena, &txn), ETCD_EMPTY_KEY);
    expect_int(etcd_read_txn(SLICE_LIT("\x12\x00"), &arena, &txn), ETCD_KEY_NOT_FOUND);
    expect_int(etcd_read_txn(SLICE_LIT("\x12\x02\x0a\x00"), &arena, &txn), ETCD_EMPTY_KEY);
    expect_int(etcd_read_txn(SLICE_LIT("\x10\x01"), &arena, &txn), ETCD_MALFORMED);
    arena_deinit(&arena);
}

static void unknown_compares_are_read(void)
{
    struct arena arena = {0};
    struct store_txn txn;
    expect_int(etcd_read_txn(SLICE_LIT("\x0a\x05\x08\x04\x1a\x01k"), &arena, &txn), ETCD_OK);
    expect_int(txn.compares[0].test, STORE_CMP_ANY);
    expect_int(etcd_read_txn(SLICE_LIT("\x0a\x05\x10\x05\x1a\x01k"), &arena, &txn), ETCD_OK);
    expect_int(txn.compares[0].target, STORE_CMP_NOTHING);
    arena_deinit(&arena);
}

static const struct test_case cases[] = {
    {"compares of an unknown kind are read", unknown_compares_are_read},
    {"ranges, puts and deletions are read as protobuf-c wrote them", flat_requests_are_read},
    {"transactions are read as protobuf-c wrote them", transactions_are_read},
    {"transactions nested too deep are refused", deep_transactions_are_refused},
    {"transactions of very many parts are refused before they take memory", wide_transactions_are_refused},
    {"watch requests are read as protobuf-c wrote them", watch_requests_are_read},
    {"watch requests of unknown kind ask for nothing", watch_requests_of_unknown_kind_are_nothing},
    {"bad requests get their error", bad_requests_get_their_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
