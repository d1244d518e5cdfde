/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks all branches and keeps a list of what is written on the path to where it stands. The two branches of a nested
 * transaction exclude each other, so the first one's writes are hidden while the second one is walked.
 *
 * Each write is compared with all others in sight: quadratic, which the limit on the total keeps small.
 */
#include "store/txn_check.h"

#include "base/array.h"

#include <stdlib.h>

struct written {
    struct slice key, end; /* of a deletion; a put has only a key */
    bool is_put, is_hidden;
};

struct check {
    struct written *written;
    unsigned n_written;
    size_t room;
    unsigned n_total;
};

static enum store_outcome check_txn(struct check *check, const struct store_txn *txn, unsigned ops_left,
                                    unsigned depth);

static bool collide(const struct written *a, const struct written *b)
{
    if (a->is_put && b->is_put)
        return slice_equal(a->key, b->key);
    if (a->is_put)
        return store_range_has(b->key, b->end, a->key);
    return b->is_put && store_range_has(a->key, a->end, b->key);
}

static enum store_outcome add_written(struct check *check, struct written written)
{
    for (unsigned i = 0; i < check->n_written; i++) {
        if (!check->written[i].is_hidden && collide(&check->written[i], &written))
            return STORE_DUPLICATE_KEY;
    }
    struct written *all = array_grow(check->written, check->n_written, &check->room, sizeof(*all));
    if (!all)
        return STORE_OUT_OF_MEMORY;
    check->written = all;
    check->written[check->n_written++] = written;
    return STORE_OK;
}

static enum store_outcome check_branch(struct check *check, const struct store_op *ops, unsigned n_ops,
                                       unsigned ops_left, unsigned depth)
{
    enum store_outcome outcome = STORE_OK;
    check->n_total += n_ops;
    if (check->n_total > STORE_TXN_TOTAL_MAX)
        return STORE_TOO_MANY_OPS;
    for (unsigned i = 0; outcome == STORE_OK && i < n_ops; i++) {
        const struct store_op *op = &ops[i];
        if (op->type == STORE_OP_PUT)
            outcome = add_written(check, (struct written){.key = op->put.key, .is_put = true});
        else if (op->type == STORE_OP_DELETE)
            outcome = add_written(check, (struct written){.key = op->del.key, .end = op->del.end});
        else if (op->type == STORE_OP_TXN)
            outcome = check_txn(check, op->txn, ops_left, depth + 1);
    }
    return outcome;
}

static unsigned max_unsigned(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

static enum store_outcome check_txn(struct check *check, const struct store_txn *txn, unsigned ops_left, unsigned depth)
{
    unsigned n = max_unsigned(txn->n_compares, max_unsigned(txn->n_success, txn->n_failure));
    if (n > ops_left || depth > STORE_TXN_NESTING_MAX)
        return STORE_TOO_MANY_OPS;
    ops_left -= n;

    unsigned begin = check->n_written;
    enum store_outcome outcome = check_branch(check, txn->success, txn->n_success, ops_left, depth);
    if (outcome != STORE_OK)
        return outcome;
    unsigned middle = check->n_written;
    for (unsigned i = begin; i < middle; i++)
        check->written[i].is_hidden = true;
    outcome = check_branch(check, txn->failure, txn->n_failure, ops_left, depth);
    for (unsigned i = begin; i < middle; i++)
        check->written[i].is_hidden = false;
    return outcome;
}

enum store_outcome store_txn_check(const struct store_txn *txn)
{
    if (txn->n_compares == 0 && txn->n_failure == 0 && txn->n_success == 1 && txn->success[0].type != STORE_OP_TXN)
        return STORE_OK; /* a lone put or delete, as nearly all are */
    struct check check = {0};
    enum store_outcome outcome = check_txn(&check, txn, STORE_TXN_OPS_MAX, 1);
    free(check.written);
    return outcome;
}
