/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service v3electionpb.Election, but for Observe: the leader is who stands first in the line for the election's
 * name (ticket.h), and says by the value of its key what it proposes. A leader proves itself by the revision at which
 * its key was made.
 */
#include "fronts/etcd/ticket.h"

/* LeaderKey; the lease is of no use here, as the key keeps the one it has. */
struct leader_key {
    struct slice key;
    int64_t revision;
};

/* ------------------------------------------------------------------------------------------------ Campaign */

static void add_campaign_answer(struct buf *answer, const struct ticket *ticket)
{
    size_t begin = pb_begin(answer, 2);
    pb_add_bytes(answer, 1, ticket_name(ticket));
    pb_add_bytes(answer, 2, ticket_key(ticket));
    pb_add_int(answer, 3, ticket_place(ticket));
    pb_add_int(answer, 4, ticket_lease(ticket));
    pb_end(answer, begin);
}

void etcd_on_campaign(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct ticket_request, name, PB_BYTES),
        [2] = PB_MEMBER(struct ticket_request, lease, PB_INT64),
        [3] = PB_MEMBER(struct ticket_request, value, PB_BYTES),
    };
    struct ticket_request request = {.sets_value = true, .lost = ETCD_NOT_LEADER, .add_answer = add_campaign_answer};
    if (pb_read(message, members, ARRAY_LEN(members), &request) < 0)
        etcd_refuse(call, ETCD_MALFORMED);
    else
        ticket_take(call, &request);
}

/* ------------------------------------------------------------------------------------------------ Proclaim, Resign */

struct leader_request {
    struct slice leader; /* a LeaderKey */
    struct slice value;
};

static enum etcd_error read_leader(struct slice message, struct leader_key *ret_key, struct slice *ret_value)
{
    static const struct pb_member request_members[] = {
        [1] = PB_MEMBER(struct leader_request, leader, PB_BYTES),
        [2] = PB_MEMBER(struct leader_request, value, PB_BYTES),
    };
    static const struct pb_member key_members[] = {
        [2] = PB_MEMBER(struct leader_key, key, PB_BYTES),
        [3] = PB_MEMBER(struct leader_key, revision, PB_INT64),
    };
    struct leader_request request = {0};
    *ret_key = (struct leader_key){0};
    if (pb_read(message, request_members, ARRAY_LEN(request_members), &request) < 0)
        return ETCD_MALFORMED;
    if (!request.leader.ptr) /* even an empty one lies somewhere */
        return ETCD_NO_LEADER_KEY;
    if (pb_read(request.leader, key_members, ARRAY_LEN(key_members), ret_key) < 0)
        return ETCD_MALFORMED;
    *ret_value = request.value;
    if (slice_is_empty(ret_key->key))
        return ETCD_EMPTY_KEY;
    return ret_key->key.len > STORE_KEY_MAX || request.value.len > STORE_VALUE_MAX ? ETCD_TOO_LARGE : ETCD_OK;
}

static void add_nothing(struct buf *answer, const struct submission *submission)
{
    (void)answer, (void)submission;
}

/* Does the operation if the key is the leader's still. */
static void send_as_leader(struct submission *submission, const struct leader_key *leader, enum etcd_error error)
{
    struct store_compare *compare = &submission->compare;
    *compare = (struct store_compare){
        .target = STORE_CMP_CREATE, .test = STORE_CMP_EQUAL, .key = leader->key, .number = leader->revision};
    submission->refuse = etcd_refuse_unknown;
    submission->request.type = STORE_TXN;
    submission->request.txn =
        (struct store_txn){.compares = compare, .n_compares = 1, .success = &submission->op, .n_success = 1};
    submission_send(submission, error);
}

static enum etcd_error judge_proclaim(const struct submission *submission)
{
    return submission->request.succeeded ? ETCD_OK : ETCD_NOT_LEADER;
}

void etcd_on_proclaim(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_nothing);
    if (!submission)
        return;
    struct leader_key leader;
    struct slice value = {0};
    enum etcd_error error = read_leader(submission->message, &leader, &value);
    submission->judge = judge_proclaim;
    submission->op = (struct store_op){
        .type = STORE_OP_PUT,
        .put = {.key = leader.key, .value = value, .keep_lease = true},
    };
    send_as_leader(submission, &leader, error);
}

/* To resign without being the leader is no error. */
void etcd_on_resign(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_nothing);
    if (!submission)
        return;
    struct leader_key leader;
    struct slice value;
    enum etcd_error error = read_leader(submission->message, &leader, &value);
    submission->op = (struct store_op){.type = STORE_OP_DELETE, .del.key = leader.key};
    send_as_leader(submission, &leader, error);
}

/* ------------------------------------------------------------------------------------------------ Leader */

static bool add_leader(void *ctx, const struct store_kv *kv)
{
    etcd_add_kv(ctx, 2, kv);
    return false;
}

static void answer_leader(struct grpc_call *call, const struct store_range *range)
{
    struct etcd *etcd = call->ctx;
    struct store_view view;
    struct store_range_result result;
    store_view(etcd->store, false, &view);
    struct buf *answer = etcd_answer_begin(call, view.revision);
    if (!answer)
        return;
    int r = store_range(etcd->store, &view, range, add_leader, answer, &result);
    if (r < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    else if (result.count == 0)
        etcd_refuse(call, ETCD_NO_ELECTED);
    else
        etcd_answer_end(call, answer);
}

void etcd_on_leader(struct grpc_call *call, struct slice message)
{
    CLEANUP(buf_deinit) struct buf begin = {0};
    CLEANUP(buf_deinit) struct buf end = {0};
    struct slice name;
    enum etcd_error error = etcd_read_election_name(message, &name);
    if (error == ETCD_OK && ticket_range(name, &begin, &end) < 0)
        error = ETCD_TOO_MANY_REQUESTS;
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    error = etcd_may_read(call, buf_slice(&begin), buf_slice(&end));
    if (error != ETCD_OK) {
        etcd_refuse_unknown(call, error);
        return;
    }
    const struct store_range range = {
        .key = buf_slice(&begin),
        .end = buf_slice(&end),
        .order = STORE_ASCENDING,
        .by = STORE_BY_CREATE,
        .limit = 1,
    };
    answer_leader(call, &range);
}
