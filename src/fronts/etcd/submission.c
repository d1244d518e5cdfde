/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/etcd/submission.h"

#include <stdlib.h>

static void submission_free(struct submission *submission)
{
    store_request_deinit(&submission->request);
    arena_deinit(&submission->arena);
    free(submission);
}

static void answer(struct grpc_call *call, const struct submission *submission)
{
    const struct store_request *request = &submission->request;
    enum etcd_error error = etcd_error_from(request->outcome);
    if (error == ETCD_OK && submission->judge)
        error = submission->judge(submission);
    if (error != ETCD_OK) {
        submission->refuse(call, error);
        return;
    }
    struct buf *buf = etcd_answer_begin(call, request->revision);
    if (!buf)
        return;
    submission->add_answer(buf, submission);
    etcd_answer_end(call, buf);
}

static void on_done(struct store_request *request)
{
    struct submission *submission = container_of(request, struct submission, request);
    struct grpc_call *call = submission->call;
    if (call) {
        call->state = NULL;
        if (!call->is_finished) /* by the client's deadline */
            answer(call, submission);
    }
    submission_free(submission);
}

struct submission *submission_new(struct grpc_call *call, struct slice message, submission_answer_fn add_answer)
{
    struct etcd_worker *worker = etcd_worker_of(call);
    struct slice actor = worker ? etcd_name_actor(worker, call) : (struct slice){0};
    struct submission *submission = worker ? malloc(sizeof(*submission) + message.len + actor.len) : NULL;
    if (!submission) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return NULL;
    }
    submission->call = call;
    submission->add_answer = add_answer;
    submission->judge = NULL;
    submission->refuse = etcd_refuse;
    submission->arena = (struct arena){0};
    submission->wants_keys = false;
    if (message.len > 0)
        memcpy(submission->bytes, message.ptr, message.len);
    memcpy(submission->bytes + message.len, actor.ptr, actor.len);
    submission->message = slice_from(submission->bytes, message.len);
    submission->request = (struct store_request){
        .loop = worker->loop,
        .done = on_done,
        .origin.actor = slice_from(submission->bytes + message.len, actor.len),
    };
    arena_lend(&submission->request.arena, submission->results, sizeof(submission->results));
    return submission;
}

/* What the caller may be known to may not before the store is asked; the guard says the rest. */
static enum etcd_error check(struct submission *submission)
{
    struct store_request *request = &submission->request;
    request->guard = auth_guard_init(&submission->guard, submission->call);
    return request->type == STORE_TXN ? etcd_may_run(submission->call, &request->txn) : ETCD_OK;
}

void submission_send(struct submission *submission, enum etcd_error error)
{
    struct grpc_call *call = submission->call;
    struct etcd *etcd = call->ctx;
    if (error == ETCD_OK && submission->message.len > ETCD_WRITE_MAX)
        error = ETCD_TOO_LARGE;
    if (error == ETCD_OK && auth_is_on(&etcd->auth))
        error = check(submission);
    if (error != ETCD_OK) {
        submission->refuse(call, error);
        submission_free(submission);
        return;
    }
    call->state = submission;
    store_submit(etcd->store, &submission->request);
}

void submission_on_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct submission *submission = call->state;
    if (submission)
        submission->call = NULL;
}
