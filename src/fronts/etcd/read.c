/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages are read straight into what the store takes. What etcd refuses by a request's form alone is refused here;
 * counts and keys written twice are the store's to find (store_txn_check).
 */
#include "fronts/etcd/messages.h"

#include "store/txn_check.h"

static const struct pb_member range_members[] = {
    [1] = PB_MEMBER(struct store_range, key, PB_BYTES),
    [2] = PB_MEMBER(struct store_range, end, PB_BYTES),
    [3] = PB_MEMBER(struct store_range, limit, PB_INT64),
    [4] = PB_MEMBER(struct store_range, revision, PB_INT64),
    [5] = PB_MEMBER(struct store_range, order, PB_INT32),
    [6] = PB_MEMBER(struct store_range, by, PB_INT32),
    [8] = PB_MEMBER(struct store_range, keys_only, PB_BOOL),
    [9] = PB_MEMBER(struct store_range, count_only, PB_BOOL),
    [10] = PB_MEMBER(struct store_range, min_mod_revision, PB_INT64),
    [11] = PB_MEMBER(struct store_range, max_mod_revision, PB_INT64),
    [12] = PB_MEMBER(struct store_range, min_create_revision, PB_INT64),
    [13] = PB_MEMBER(struct store_range, max_create_revision, PB_INT64),
};

static const struct pb_member put_members[] = {
    [1] = PB_MEMBER(struct store_put, key, PB_BYTES),       [2] = PB_MEMBER(struct store_put, value, PB_BYTES),
    [3] = PB_MEMBER(struct store_put, lease, PB_INT64),     [4] = PB_MEMBER(struct store_put, want_prev, PB_BOOL),
    [5] = PB_MEMBER(struct store_put, keep_value, PB_BOOL), [6] = PB_MEMBER(struct store_put, keep_lease, PB_BOOL),
};

static const struct pb_member delete_members[] = {
    [1] = PB_MEMBER(struct store_delete, key, PB_BYTES),
    [2] = PB_MEMBER(struct store_delete, end, PB_BYTES),
    [3] = PB_MEMBER(struct store_delete, want_prev, PB_BOOL),
};

static const struct pb_member grant_members[] = {
    [1] = PB_MEMBER(struct etcd_lease_request, ttl_s, PB_INT64),
    [2] = PB_MEMBER(struct etcd_lease_request, id, PB_INT64),
};

static const struct pb_member lease_members[] = {
    [1] = PB_MEMBER(struct etcd_lease_request, id, PB_INT64),
    [2] = PB_MEMBER(struct etcd_lease_request, wants_keys, PB_BOOL),
};

enum etcd_error etcd_read_range(struct slice message, struct store_range *ret_range)
{
    *ret_range = (struct store_range){0};
    if (pb_read(message, range_members, ARRAY_LEN(range_members), ret_range) < 0)
        return ETCD_MALFORMED;
    if (slice_is_empty(ret_range->key))
        return ETCD_EMPTY_KEY;
    if ((unsigned)ret_range->order > STORE_DESCENDING || (unsigned)ret_range->by > STORE_BY_VALUE)
        return ETCD_INVALID_SORT;
    return ETCD_OK;
}

enum etcd_error etcd_read_put(struct slice message, struct store_put *ret_put)
{
    *ret_put = (struct store_put){0};
    if (pb_read(message, put_members, ARRAY_LEN(put_members), ret_put) < 0)
        return ETCD_MALFORMED;
    if (slice_is_empty(ret_put->key))
        return ETCD_EMPTY_KEY;
    if (ret_put->keep_value && !slice_is_empty(ret_put->value))
        return ETCD_VALUE_PROVIDED;
    if (ret_put->keep_lease && ret_put->lease != 0)
        return ETCD_LEASE_PROVIDED;
    if (ret_put->key.len > STORE_KEY_MAX || ret_put->value.len > STORE_VALUE_MAX)
        return ETCD_TOO_LARGE;
    return ETCD_OK;
}

enum etcd_error etcd_read_delete(struct slice message, struct store_delete *ret_del)
{
    *ret_del = (struct store_delete){0};
    if (pb_read(message, delete_members, ARRAY_LEN(delete_members), ret_del) < 0)
        return ETCD_MALFORMED;
    return slice_is_empty(ret_del->key) ? ETCD_EMPTY_KEY : ETCD_OK;
}

enum etcd_error etcd_read_compaction(struct slice message, int64_t *ret_revision)
{
    static const struct pb_member members[] = {[1] = {PB_INT64, 0}};
    *ret_revision = 0;
    return pb_read(message, members, ARRAY_LEN(members), ret_revision) < 0 ? ETCD_MALFORMED : ETCD_OK;
}

enum etcd_error etcd_read_lease_grant(struct slice message, struct etcd_lease_request *ret_request)
{
    *ret_request = (struct etcd_lease_request){0};
    return pb_read(message, grant_members, ARRAY_LEN(grant_members), ret_request) < 0 ? ETCD_MALFORMED : ETCD_OK;
}

enum etcd_error etcd_read_lease(struct slice message, struct etcd_lease_request *ret_request)
{
    *ret_request = (struct etcd_lease_request){0};
    return pb_read(message, lease_members, ARRAY_LEN(lease_members), ret_request) < 0 ? ETCD_MALFORMED : ETCD_OK;
}

/* ------------------------------------------------------------------------------------------------ transactions */

/* The numbers of the alternatives in Compare.target_union, by target. */
static const uint32_t operand_numbers[] = {
    [STORE_CMP_VERSION] = 4, [STORE_CMP_CREATE] = 5, [STORE_CMP_MOD] = 6,
    [STORE_CMP_VALUE] = 7,   [STORE_CMP_LEASE] = 8,  [STORE_CMP_NOTHING] = 0,
};

/* An operand that is not the target's counts as its zero, as with etcd. */
static void settle_operand(struct store_compare *compare, uint32_t operand)
{
    if (operand == operand_numbers[compare->target])
        return;
    compare->number = 0;
    compare->value = (struct slice){0};
}

static enum etcd_error read_compare(struct slice message, struct store_compare *ret_compare)
{
    struct pb_field field;
    uint32_t operand = 0; /* which alternative came last */
    int64_t result = 0, target = 0;
    int r;
    while ((r = pb_next(&message, &field)) > 0) {
        switch (field.number) {
        case 1:
            r = pb_get_int64(&field, &result);
            break;
        case 2:
            r = pb_get_int64(&field, &target);
            break;
        case 3:
            r = pb_get_bytes(&field, &ret_compare->key);
            break;
        case 4:
        case 5:
        case 6:
        case 8:
            operand = field.number;
            r = pb_get_int64(&field, &ret_compare->number);
            break;
        case 7:
            operand = field.number;
            r = pb_get_bytes(&field, &ret_compare->value);
            break;
        case 64:
            r = pb_get_bytes(&field, &ret_compare->end);
            break;
        default:
            break;
        }
        if (r < 0)
            break;
    }
    if (r < 0)
        return ETCD_MALFORMED;
    if (slice_is_empty(ret_compare->key))
        return ETCD_EMPTY_KEY;
    /* Numbers that nobody knows are taken as etcd takes them. */
    ret_compare->test = (uint32_t)result < STORE_CMP_ANY ? (uint32_t)result : STORE_CMP_ANY;
    ret_compare->target = (uint32_t)target < STORE_CMP_NOTHING ? (uint32_t)target : STORE_CMP_NOTHING;
    settle_operand(ret_compare, operand);
    return ETCD_OK;
}

/* Compares and operations in all, so that a short message cannot ask for much memory. */
#define PARTS_MAX (2 * STORE_TXN_TOTAL_MAX)

struct txn_reading {
    struct arena *arena;
    unsigned depth, n_parts;
};

static enum etcd_error read_txn(struct txn_reading *reading, struct slice message, struct store_txn *ret_txn);

static enum etcd_error read_nested(struct txn_reading *reading, struct slice message, struct store_op *ret_op)
{
    ret_op->txn = arena_alloc(reading->arena, sizeof(*ret_op->txn));
    return ret_op->txn ? read_txn(reading, message, ret_op->txn) : ETCD_TOO_MANY_REQUESTS;
}

/* A RequestOp: of several alternatives the last one counts; none is an error of its own. */
static enum etcd_error read_op(struct txn_reading *reading, struct slice message, struct store_op *ret_op)
{
    struct pb_field field, last = {0};
    int r;
    while ((r = pb_next(&message, &field)) > 0)
        if (field.number <= 4)
            last = field;
    if (r < 0 || (last.number && !last.is_bytes))
        return ETCD_MALFORMED;
    switch (last.number) {
    case 1:
        ret_op->type = STORE_OP_RANGE;
        return etcd_read_range(last.bytes, &ret_op->range);
    case 2:
        ret_op->type = STORE_OP_PUT;
        return etcd_read_put(last.bytes, &ret_op->put);
    case 3:
        ret_op->type = STORE_OP_DELETE;
        return etcd_read_delete(last.bytes, &ret_op->del);
    case 4:
        ret_op->type = STORE_OP_TXN;
        return read_nested(reading, last.bytes, ret_op);
    default:
        return ETCD_KEY_NOT_FOUND;
    }
}

/* How many elements each list has, and that there is no message among them that is none. */
static enum etcd_error count_parts(struct slice message, struct store_txn *txn)
{
    struct pb_field field;
    unsigned counts[4] = {0};
    int r;
    while ((r = pb_next(&message, &field)) > 0) {
        if (field.number > 3)
            continue;
        if (!field.is_bytes)
            return ETCD_MALFORMED;
        if (++counts[field.number] > STORE_TXN_OPS_MAX)
            return ETCD_TOO_MANY_OPS;
    }
    txn->n_compares = counts[1];
    txn->n_success = counts[2];
    txn->n_failure = counts[3];
    return r < 0 ? ETCD_MALFORMED : ETCD_OK;
}

static enum etcd_error alloc_parts(struct arena *arena, struct store_txn *txn)
{
    txn->compares = arena_alloc(arena, txn->n_compares * sizeof(txn->compares[0]));
    txn->success = arena_alloc(arena, txn->n_success * sizeof(txn->success[0]));
    txn->failure = arena_alloc(arena, txn->n_failure * sizeof(txn->failure[0]));
    return txn->compares && txn->success && txn->failure ? ETCD_OK : ETCD_TOO_MANY_REQUESTS;
}

static enum etcd_error read_parts(struct txn_reading *reading, struct slice message, const struct store_txn *txn)
{
    enum etcd_error error = ETCD_OK;
    struct store_compare *compare = txn->compares;
    struct store_op *success = txn->success, *failure = txn->failure;
    struct pb_field field;
    while (error == ETCD_OK && pb_next(&message, &field) > 0) {
        if (field.number == 1)
            error = read_compare(field.bytes, compare++);
        else if (field.number == 2)
            error = read_op(reading, field.bytes, success++);
        else if (field.number == 3)
            error = read_op(reading, field.bytes, failure++);
    }
    return error;
}

static enum etcd_error read_txn(struct txn_reading *reading, struct slice message, struct store_txn *ret_txn)
{
    enum etcd_error error = count_parts(message, ret_txn);
    if (error != ETCD_OK)
        return error;
    reading->n_parts += ret_txn->n_compares + ret_txn->n_success + ret_txn->n_failure;
    if (reading->n_parts > PARTS_MAX || reading->depth == STORE_TXN_NESTING_MAX)
        return ETCD_TOO_MANY_OPS;
    error = alloc_parts(reading->arena, ret_txn);
    if (error != ETCD_OK)
        return error;
    reading->depth++;
    error = read_parts(reading, message, ret_txn);
    reading->depth--;
    return error;
}

enum etcd_error etcd_read_txn(struct slice message, struct arena *arena, struct store_txn *ret_txn)
{
    struct txn_reading reading = {.arena = arena};
    *ret_txn = (struct store_txn){0};
    return read_txn(&reading, message, ret_txn);
}
