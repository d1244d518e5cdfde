/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the tree of a transaction:
 *   decide: the compares, outer before inner, and along the branches taken what the operations need (leases, keys,
 *           readable revisions);
 *   run:    the operations, which then can only fail for want of memory.
 * Which branches are taken is remembered as one byte per transaction, in the order of a depth-first walk, which both
 * passes share.
 */
#include "store/local/txn.h"

#include "base/assert.h"
#include "store/txn_check.h"

#include <errno.h>

struct run {
    struct arena *arena;
    struct mvcc *mvcc;
    struct lease_table *leases;
    unsigned n_decided, n_followed;
    bool writes;                            /* some operation along the branches taken */
    unsigned n_steps;                       /* along them, that may want memory; a range deletion counts as many */
    uint8_t taken[STORE_TXN_TOTAL_MAX + 1]; /* 1: success */
};

/* ------------------------------------------------------------------------------------------------ deciding */

static int compare_sign(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Where the key stands against the compare's operand: negative, 0, positive. */
static int compare_target(const struct store_compare *compare, const struct store_kv *kv)
{
    switch (compare->target) {
    case STORE_CMP_VERSION:
        return compare_sign(kv->version, compare->number);
    case STORE_CMP_CREATE:
        return compare_sign(kv->create_revision, compare->number);
    case STORE_CMP_MOD:
        return compare_sign(kv->mod_revision, compare->number);
    case STORE_CMP_LEASE:
        return compare_sign(kv->lease, compare->number);
    case STORE_CMP_NOTHING:
        return 0;
    case STORE_CMP_VALUE:
        break;
    }
    return slice_compare(kv->value, compare->value);
}

static bool compare_holds(const struct store_compare *compare, const struct store_kv *kv)
{
    int order = compare_target(compare, kv);
    switch (compare->test) {
    case STORE_CMP_EQUAL:
        return order == 0;
    case STORE_CMP_GREATER:
        return order > 0;
    case STORE_CMP_LESS:
        return order < 0;
    case STORE_CMP_ANY:
        return true;
    case STORE_CMP_NOT_EQUAL:
        break;
    }
    return order != 0;
}

struct comparing {
    const struct store_compare *compare;
    bool any, holds;
};

static bool compare_one(void *ctx, const struct store_kv *kv)
{
    struct comparing *comparing = ctx;
    comparing->any = true;
    comparing->holds = compare_holds(comparing->compare, kv);
    return comparing->holds;
}

/* Every key of the range must pass. Where there is none, numbers compare as 0 and a value never compares. */
static bool compare_range(const struct run *run, const struct store_compare *compare)
{
    struct comparing comparing = {.compare = compare, .holds = true};
    if (slice_is_empty(compare->end)) {
        const struct store_kv *kv = mvcc_get(run->mvcc, compare->key);
        if (kv)
            compare_one(&comparing, kv);
    } else {
        struct store_range range = {.key = compare->key, .end = compare->end};
        struct store_range_result result;
        mvcc_range(run->mvcc, &range, compare_one, &comparing, &result);
    }
    if (comparing.any)
        return comparing.holds;
    return compare->target != STORE_CMP_VALUE && compare_holds(compare, &(struct store_kv){0});
}

static enum store_outcome decide_txn(struct run *run, const struct store_txn *txn);

static enum store_outcome decide_put(struct run *run, const struct store_put *put)
{
    run->writes = true;
    run->n_steps += put->want_prev ? 2 : 1;
    if (put->lease && !put->keep_lease && !lease_find(run->leases, put->lease))
        return STORE_NO_LEASE;
    if ((put->keep_value || put->keep_lease) && !mvcc_get(run->mvcc, put->key))
        return STORE_NO_KEY;
    return STORE_OK;
}

static enum store_outcome decide_op(struct run *run, const struct store_op *op)
{
    switch (op->type) {
    case STORE_OP_PUT:
        return decide_put(run, &op->put);
    case STORE_OP_DELETE:
        run->writes = true;
        run->n_steps += slice_is_empty(op->del.end) && !op->del.want_prev ? 1 : 2;
        return STORE_OK;
    case STORE_OP_RANGE:
        run->n_steps++;
        if (op->range.revision > mvcc_revision(run->mvcc))
            return STORE_FUTURE_REVISION;
        if (op->range.revision > 0 && op->range.revision < mvcc_compacted(run->mvcc))
            return STORE_COMPACTED;
        return STORE_OK;
    case STORE_OP_TXN:
        run->n_steps++;
        break;
    }
    return decide_txn(run, op->txn);
}

static enum store_outcome decide_txn(struct run *run, const struct store_txn *txn)
{
    bool success = true;
    for (unsigned i = 0; success && i < txn->n_compares; i++)
        success = compare_range(run, &txn->compares[i]);
    ASSERT(run->n_decided < ARRAY_LEN(run->taken));
    run->taken[run->n_decided++] = success;

    const struct store_op *ops = success ? txn->success : txn->failure;
    unsigned n_ops = success ? txn->n_success : txn->n_failure;
    enum store_outcome outcome = STORE_OK;
    for (unsigned i = 0; outcome == STORE_OK && i < n_ops; i++)
        outcome = decide_op(run, &ops[i]);
    return outcome;
}

/* ------------------------------------------------------------------------------------------------ running */

/* Gathers copies of key-value pairs in the arena. */
struct gather {
    struct arena *arena;
    struct store_kv *kvs;
    size_t n, room;
    bool failed;
};

static bool gather_kv(void *ctx, const struct store_kv *kv)
{
    struct gather *gather = ctx;
    if (gather->n == gather->room) {
        size_t room = gather->room ? gather->room * 2 : 1;
        struct store_kv *grown = arena_alloc(gather->arena, room * sizeof(*grown));
        if (!grown) {
            gather->failed = true;
            return false;
        }
        if (gather->n)
            memcpy(grown, gather->kvs, gather->n * sizeof(*grown));
        gather->kvs = grown;
        gather->room = room;
    }
    struct store_kv *copy = &gather->kvs[gather->n];
    *copy = *kv;
    if (arena_copy(gather->arena, kv->key, &copy->key) < 0 || arena_copy(gather->arena, kv->value, &copy->value) < 0) {
        gather->failed = true;
        return false;
    }
    gather->n++;
    return true;
}

static enum store_outcome gathered(const struct gather *gather, struct store_op_result *ret_result)
{
    ret_result->kvs = gather->kvs;
    ret_result->n_kvs = gather->n;
    return gather->failed ? STORE_OUT_OF_MEMORY : STORE_OK;
}

static enum store_outcome run_range(struct run *run, const struct store_range *range,
                                    struct store_op_result *ret_result)
{
    struct gather gather = {.arena = run->arena};
    struct store_range_result result;
    int outcome = mvcc_range(run->mvcc, range, gather_kv, &gather, &result);
    if (outcome != STORE_OK)
        return outcome < 0 ? STORE_OUT_OF_MEMORY : (enum store_outcome)outcome;
    ret_result->count = result.count;
    ret_result->more = result.more;
    return gathered(&gather, ret_result);
}

static enum store_outcome run_put(struct run *run, const struct store_put *put, struct store_op_result *ret_result)
{
    const struct store_kv *there = put->keep_value || put->keep_lease ? mvcc_get(run->mvcc, put->key) : NULL;
    struct slice value = put->keep_value ? there->value : put->value;
    int64_t lease = put->keep_lease ? there->lease : put->lease;

    const struct store_kv *prev;
    int result = mvcc_put(run->mvcc, put->key, value, lease, &prev);
    ASSERT(result != -EEXIST); /* see txn_check.h */
    if (result < 0)
        return STORE_OUT_OF_MEMORY;
    if (!put->want_prev || !prev)
        return STORE_OK;
    struct gather gather = {.arena = run->arena};
    gather_kv(&gather, prev);
    return gathered(&gather, ret_result);
}

struct first_key {
    struct slice key;
    bool found;
};

static bool take_first(void *ctx, const struct store_kv *kv)
{
    *(struct first_key *)ctx = (struct first_key){kv->key, true};
    return false;
}

static enum store_outcome run_delete(struct run *run, const struct store_delete *del,
                                     struct store_op_result *ret_result)
{
    struct gather gather = {.arena = run->arena};
    struct store_range range = {.key = del->key, .end = del->end, .limit = 1};
    for (;;) {
        struct first_key first = {0};
        struct store_range_result result;
        mvcc_range(run->mvcc, &range, take_first, &first, &result);
        if (!first.found)
            return gathered(&gather, ret_result);

        const struct store_kv *prev;
        if (mvcc_delete(run->mvcc, first.key, &prev) < 0)
            return STORE_OUT_OF_MEMORY;
        ret_result->count++;
        if (del->want_prev && !gather_kv(&gather, prev))
            return STORE_OUT_OF_MEMORY;
    }
}

static enum store_outcome run_txn(struct run *run, const struct store_txn *txn, struct store_op_result *ret_result);

static enum store_outcome run_op(struct run *run, const struct store_op *op, struct store_op_result *ret_result)
{
    switch (op->type) {
    case STORE_OP_RANGE:
        return run_range(run, &op->range, ret_result);
    case STORE_OP_PUT:
        return run_put(run, &op->put, ret_result);
    case STORE_OP_DELETE:
        return run_delete(run, &op->del, ret_result);
    case STORE_OP_TXN:
        break;
    }
    return run_txn(run, op->txn, ret_result);
}

static enum store_outcome run_txn(struct run *run, const struct store_txn *txn, struct store_op_result *ret_result)
{
    bool success = run->taken[run->n_followed++];
    const struct store_op *ops = success ? txn->success : txn->failure;
    unsigned n_ops = success ? txn->n_success : txn->n_failure;
    ret_result->succeeded = success;
    ret_result->n_results = n_ops;
    if (n_ops == 0)
        return STORE_OK;
    ret_result->results = arena_alloc(run->arena, n_ops * sizeof(ret_result->results[0]));
    enum store_outcome outcome = ret_result->results ? STORE_OK : STORE_OUT_OF_MEMORY;
    for (unsigned i = 0; outcome == STORE_OK && i < n_ops; i++)
        outcome = run_op(run, &ops[i], &ret_result->results[i]);
    return outcome;
}

enum store_outcome txn_run(struct store_request *request, const struct store_note *why, struct mvcc *mvcc,
                           struct lease_table *leases)
{
    struct run run = {.arena = &request->arena, .mvcc = mvcc, .leases = leases};
    enum store_outcome outcome = decide_txn(&run, &request->txn);
    if (outcome != STORE_OK)
        return outcome;

    struct store_op_result result = {0};
    mvcc_begin(mvcc, run.writes && run.n_steps > 1, why); /* a lone step that fails has changed nothing */
    outcome = run_txn(&run, &request->txn, &result);
    if (outcome != STORE_OK) {
        mvcc_rollback(mvcc);
        return outcome;
    }
    request->succeeded = result.succeeded;
    request->results = result.results;
    request->n_results = result.n_results;
    return STORE_OK;
}
