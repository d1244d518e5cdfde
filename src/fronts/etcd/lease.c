/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service Lease. Grant, revoke and questions go to the store; a keep-alive is answered where it comes in, by one
 * compare-and-swap, and costs no memory.
 *
 * etcd counts in seconds: what is left is rounded down, what was granted up.
 */
#include "fronts/etcd/submission.h"

#include <stdlib.h>

#define MS_PER_S 1000

static int64_t seconds_up(int64_t ms)
{
    return (ms + MS_PER_S - 1) / MS_PER_S;
}

static void add_grant_answer(struct buf *answer, const struct submission *submission)
{
    pb_add_int(answer, 2, submission->request.lease_id);
    pb_add_int(answer, 3, seconds_up(submission->request.lease_ttl_ms));
}

void etcd_on_lease_grant(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_grant_answer);
    if (!submission)
        return;
    struct etcd_lease_request asked;
    enum etcd_error error = etcd_read_lease_grant(submission->message, &asked);
    if (error == ETCD_OK && asked.ttl_s > STORE_LEASE_TTL_MAX_MS / MS_PER_S)
        error = ETCD_TTL_TOO_LARGE;
    if (asked.ttl_s < 1 || error != ETCD_OK)
        asked.ttl_s = 1;
    submission->request.type = STORE_LEASE_GRANT;
    submission->request.lease.id = asked.id;
    submission->request.lease.ttl_ms = asked.ttl_s * MS_PER_S;
    submission_send(submission, error);
}

static void add_nothing(struct buf *answer, const struct submission *submission)
{
    (void)answer, (void)submission;
}

void etcd_on_lease_revoke(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_nothing);
    if (!submission)
        return;
    struct etcd_lease_request asked;
    enum etcd_error error = etcd_read_lease(submission->message, &asked);
    submission->request.type = STORE_LEASE_REVOKE;
    submission->request.lease.id = asked.id;
    submission_send(submission, error);
}

/* The names of keys are told to those who may read them. */
static enum etcd_error judge_time_to_live(const struct submission *submission)
{
    const struct store_request *request = &submission->request;
    enum etcd_error error = ETCD_OK;
    if (submission->wants_keys && request->n_results > 0)
        for (size_t i = 0; error == ETCD_OK && i < request->results[0].n_kvs; i++)
            error = etcd_may_read(submission->call, request->results[0].kvs[i].key, (struct slice){0});
    return error;
}

/* A lease that is not there is no error here, but has -1 seconds left. */
static void add_time_to_live_answer(struct buf *answer, const struct submission *submission)
{
    const struct store_request *request = &submission->request;
    pb_add_int(answer, 2, request->lease.id);
    pb_add_int(answer, 3, request->lease_left_ms < 0 ? -1 : request->lease_left_ms / MS_PER_S);
    pb_add_int(answer, 4, request->lease_left_ms < 0 ? 0 : seconds_up(request->lease_ttl_ms));
    if (submission->wants_keys && request->n_results > 0)
        for (size_t i = 0; i < request->results[0].n_kvs; i++)
            pb_add_element(answer, 5, request->results[0].kvs[i].key);
}

void etcd_on_lease_time_to_live(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_time_to_live_answer);
    if (!submission)
        return;
    struct etcd_lease_request asked;
    enum etcd_error error = etcd_read_lease(submission->message, &asked);
    submission->judge = judge_time_to_live;
    submission->request.type = STORE_LEASE_INFO;
    submission->request.lease.id = asked.id;
    submission->wants_keys = asked.wants_keys;
    submission_send(submission, error);
}

static void add_leases_answer(struct buf *answer, const struct submission *submission)
{
    const struct store_op_result *result = &submission->request.results[0];
    for (size_t i = 0; i < result->n_kvs; i++) {
        size_t begin = pb_begin(answer, 2);
        pb_add_int(answer, 1, result->kvs[i].lease);
        pb_end(answer, begin);
    }
}

void etcd_on_lease_leases(struct grpc_call *call, struct slice message)
{
    struct submission *submission = submission_new(call, message, add_leases_answer);
    if (!submission)
        return;
    submission->request.type = STORE_LEASE_LIST;
    submission_send(submission, ETCD_OK);
}

/* ------------------------------------------------------------------------------------------------ keep-alive */

void etcd_on_keep_alive_open(struct grpc_call *call)
{
    struct etcd_stream *stream = malloc(sizeof(*stream));
    if (!stream) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    } else if (etcd_stream_open(stream, call) < 0) {
        free(stream);
    } else {
        call->state = stream;
    }
}

void etcd_on_keep_alive_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct etcd_stream *stream = call->state;
    if (stream)
        etcd_stream_close(stream);
    free(stream);
}

/* A lease that is dead or was never there has a TTL of 0, and the stream goes on. */
void etcd_on_keep_alive(struct grpc_call *call, struct slice message)
{
    struct etcd *etcd = call->ctx;
    struct etcd_lease_request asked;
    enum etcd_error error = etcd_read_lease(message, &asked);
    if (error == ETCD_OK)
        error = etcd_may_ask(call, AUTH_NEEDS_USER); /* as it was when the stream began, perhaps long ago */
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    struct store_view view;
    store_view(etcd->store, false, &view);
    struct buf *answer = etcd_answer_begin(call, view.revision);
    if (!answer)
        return;
    int64_t ttl_ms = store_lease_touch(etcd->store, asked.id, loop_now(exchange_loop(call->exchange)));
    pb_add_int(answer, 2, asked.id);
    pb_add_int(answer, 3, seconds_up(ttl_ms));
    if (buf_error(answer) < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    else if (grpc_send(call, buf_slice(answer)) == EXCHANGE_FULL)
        grpc_pause(call, true); /* a client that does not read its answers is not listened to either */
}

void etcd_on_keep_alive_drain(struct grpc_call *call)
{
    grpc_pause(call, false);
}

void etcd_on_keep_alive_end(struct grpc_call *call)
{
    grpc_finish(call, GRPC_OK, NULL);
}
