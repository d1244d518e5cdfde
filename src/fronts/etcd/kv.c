/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service KV. A Range is answered where it comes in, from a view of the moment; what changes something goes to the
 * store and comes back.
 */
#include "fronts/etcd/submission.h"

static bool add_kv(void *ctx, const struct store_kv *kv)
{
    struct buf *buf = ctx;
    etcd_add_kv(buf, ETCD_RANGE_KVS, kv);
    return buf_error(buf) == 0;
}

static void answer_range(struct grpc_call *call, const struct store_range *range)
{
    struct etcd *etcd = call->ctx;
    struct store_view view;
    struct store_range_result result;
    store_view(etcd->store, false, &view);
    struct buf *answer = etcd_answer_begin(call, view.revision);
    if (!answer)
        return;
    int r = store_range(etcd->store, &view, range, add_kv, answer, &result);
    if (r == STORE_OK) {
        etcd_add_range_end(answer, result.count, result.more);
        etcd_answer_end(call, answer);
    } else {
        etcd_refuse(call, r < 0 ? ETCD_TOO_MANY_REQUESTS : etcd_error_from((enum store_outcome)r));
    }
}

void etcd_on_range(struct grpc_call *call, struct slice message)
{
    struct store_range range;
    enum etcd_error error = etcd_read_range(message, &range);
    if (error == ETCD_OK)
        error = etcd_may_read(call, range.key, range.end);
    if (error == ETCD_OK)
        answer_range(call, &range);
    else
        etcd_refuse(call, error);
}

/* A transaction of the one operation that the submission holds. */
static void send_one(struct submission *submission, enum etcd_error error)
{
    submission->request.type = STORE_TXN;
    submission->request.txn = (struct store_txn){.success = &submission->op, .n_success = 1};
    submission_send(submission, error);
}

static void add_put_answer(struct buf *answer, const struct submission *submission)
{
    etcd_add_put(answer, &submission->request.results[0]);
}

void etcd_on_put(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_put_answer);
    if (!submission)
        return;
    submission->op.type = STORE_OP_PUT;
    send_one(submission, etcd_read_put(submission->message, &submission->op.put));
}

static void add_delete_answer(struct buf *answer, const struct submission *submission)
{
    etcd_add_delete(answer, &submission->request.results[0]);
}

void etcd_on_delete_range(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_delete_answer);
    if (!submission)
        return;
    submission->op.type = STORE_OP_DELETE;
    send_one(submission, etcd_read_delete(submission->message, &submission->op.del));
}

static void add_txn_answer(struct buf *answer, const struct submission *submission)
{
    const struct store_request *request = &submission->request;
    etcd_add_txn(answer, &request->txn, request->succeeded, request->results, request->revision);
}

void etcd_on_txn(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_txn_answer);
    if (!submission)
        return;
    submission->request.type = STORE_TXN;
    submission_send(submission, etcd_read_txn(submission->message, &submission->arena, &submission->request.txn));
}

static void add_nothing(struct buf *answer, const struct submission *submission)
{
    (void)answer, (void)submission;
}

void etcd_on_compact(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_nothing);
    if (!submission)
        return;
    submission->request.type = STORE_COMPACT;
    submission_send(submission, etcd_read_compaction(submission->message, &submission->request.compact_revision));
}
