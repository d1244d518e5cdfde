/* SPDX-License-Identifier: Apache-2.0 */
/* The service v3lockpb.Lock: a lock is held by who stands first in the line for its name (ticket.h). */
#include "fronts/etcd/ticket.h"

static void add_lock_answer(struct buf *answer, const struct ticket *ticket)
{
    pb_add_bytes(answer, 2, ticket_key(ticket));
}

void etcd_on_lock(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct ticket_request, name, PB_BYTES),
        [2] = PB_MEMBER(struct ticket_request, lease, PB_INT64),
    };
    struct ticket_request request = {.lost = ETCD_SESSION_EXPIRED, .add_answer = add_lock_answer};
    if (pb_read(message, members, ARRAY_LEN(members), &request) < 0)
        etcd_refuse(call, ETCD_MALFORMED);
    else
        ticket_take(call, &request);
}

static void add_nothing(struct buf *answer, const struct submission *submission)
{
    (void)answer, (void)submission;
}

/* Whether the lock was held or not. */
void etcd_on_unlock(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {[1] = PB_MEMBER(struct store_delete, key, PB_BYTES)};
    struct submission *submission = submission_new(call, message, add_nothing);
    if (!submission)
        return;
    submission->refuse = etcd_refuse_unknown;
    submission->op = (struct store_op){.type = STORE_OP_DELETE};
    submission->request.type = STORE_TXN;
    submission->request.txn = (struct store_txn){.success = &submission->op, .n_success = 1};
    enum etcd_error error = ETCD_OK;
    if (pb_read(submission->message, members, ARRAY_LEN(members), &submission->op.del) < 0)
        error = ETCD_MALFORMED;
    else if (slice_is_empty(submission->op.del.key))
        error = ETCD_EMPTY_KEY;
    submission_send(submission, error);
}
