/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request goes through a struct wrapper_call, with the time of its beginning beside it. Without memory for that it is
 * handed on untold.
 */
#include "store/trace/trace.h"

#include "base/util.h"
#include "store/wrapper.h"

#include <errno.h>
#include <stdlib.h>

struct trace_store {
    struct wrapper wrapper; /* first */
    struct trace_options options;
};

struct trace_call {
    struct wrapper_call call;
    struct trace_store *store;
    nsec_t begun_ns;
};

static struct trace_store *trace_of(struct store *store)
{
    return (struct trace_store *)store;
}

static void tell(const struct trace_store *store, const struct trace_event *event)
{
    store->options.fn(store->options.ctx, event);
}

/* ------------------------------------------------------------------------------------------------ requests */

static void describe_op(const struct store_op *op, struct trace_event *event)
{
    switch (op->type) {
    case STORE_OP_RANGE:
        event->what = "range";
        event->key = op->range.key;
        event->end = op->range.end;
        break;
    case STORE_OP_PUT:
        event->what = "put";
        event->key = op->put.key;
        event->lease = op->put.lease;
        break;
    case STORE_OP_DELETE:
        event->what = "delete";
        event->key = op->del.key;
        event->end = op->del.end;
        break;
    case STORE_OP_TXN:
        event->what = "txn";
        break;
    }
}

/* By the branch that was taken; a lone operation without a condition is told as what it is. */
static void describe_txn(const struct store_request *request, struct trace_event *event)
{
    const struct store_txn *txn = &request->txn;
    bool succeeded = request->succeeded || txn->n_compares == 0;
    event->what = "txn";
    event->count = succeeded ? txn->n_success : txn->n_failure;
    if (event->count > 0)
        describe_op(succeeded ? &txn->success[0] : &txn->failure[0], event);
    if (event->count != 1 || txn->n_compares > 0)
        event->what = "txn";
}

static void describe_notes(const struct store_request *request, struct trace_event *event)
{
    event->what = "notes";
    event->count = request->notes.n;
    if (request->notes.n > 0)
        event->key = request->notes.all[0].subject;
}

static void describe(const struct store_request *request, struct trace_event *event)
{
    switch (request->type) {
    case STORE_TXN:
        describe_txn(request, event);
        break;
    case STORE_COMPACT:
        event->what = "compact";
        break;
    case STORE_LEASE_GRANT:
        event->what = "lease grant";
        event->lease = request->outcome == STORE_OK ? request->lease_id : request->lease.id;
        break;
    case STORE_LEASE_REVOKE:
        event->what = "lease revoke";
        event->lease = request->lease.id;
        break;
    case STORE_LEASE_INFO:
        event->what = "lease info";
        event->lease = request->lease.id;
        break;
    case STORE_LEASE_LIST:
        event->what = "lease list";
        break;
    case STORE_BACKUP:
        event->what = "backup";
        break;
    case STORE_NOTES:
        describe_notes(request, event);
        break;
    case STORE_DOC:
        event->what = request->doc.remove ? "doc remove" : "doc put";
        event->key = request->doc.name;
        break;
    }
}

static void on_answer(struct store_request *request)
{
    struct trace_call *call = container_of(request, struct trace_call, call.request);
    struct trace_event event = {
        .actor = request->origin.actor,
        .cause = request->origin.cause,
        .outcome = (int)request->outcome,
        .revision = request->revision,
        .took_ns = time_now() - call->begun_ns,
    };
    describe(request, &event);
    tell(call->store, &event);
    struct store_request *asked = wrapper_take_answer(&call->call);
    free(call);
    asked->done(asked);
}

static void engine_submit(struct store *store, struct store_request *request)
{
    struct trace_call *call = malloc(sizeof(*call));
    if (!call) {
        store_submit(wrapper_of(store)->inner, request);
        return;
    }
    call->store = trace_of(store);
    call->begun_ns = time_now();
    wrapper_submit(wrapper_of(store), &call->call, request, on_answer);
}

/* ------------------------------------------------------------------------------------------------ reads */

static int engine_range(struct store *store, const struct store_view *view, const struct store_range *range,
                        store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    if (!trace_of(store)->options.reads)
        return wrapper_range(store, view, range, on_kv, ctx, ret_result);
    nsec_t begun_ns = time_now();
    int outcome = wrapper_range(store, view, range, on_kv, ctx, ret_result);
    tell(trace_of(store), &(struct trace_event){
                              .what = "range",
                              .key = range->key,
                              .end = range->end,
                              .outcome = outcome,
                              .revision = range->revision > 0 ? range->revision : view->revision,
                              .count = outcome == STORE_OK ? ret_result->count : 0,
                              .took_ns = time_now() - begun_ns,
                          });
    return outcome;
}

static int64_t engine_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    int64_t ttl_ms = wrapper_lease_touch(store, lease, now_ns);
    if (trace_of(store)->options.reads)
        tell(trace_of(store),
             &(struct trace_event){.what = "touch", .lease = lease, .outcome = ttl_ms ? STORE_OK : STORE_NO_LEASE});
    return ttl_ms;
}

static const struct store_engine trace_engine = {
    .name = "trace",
    .view = wrapper_view,
    .release = wrapper_release,
    .range = engine_range,
    .submit = engine_submit,
    .lease_touch = engine_lease_touch,
    .commit = wrapper_commit,
    .subscribe = wrapper_subscribe,
    .unsubscribe = wrapper_unsubscribe,
    .identify = wrapper_identify,
    .measure = wrapper_measure,
    .refusal = wrapper_refusal,
    .notes = wrapper_notes,
    .docs = wrapper_docs,
};

int trace_store_new(struct store *inner, const struct trace_options *options, struct store **ret_store)
{
    struct trace_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->wrapper = (struct wrapper){{&trace_engine}, inner};
    store->options = *options;
    *ret_store = &store->wrapper.store;
    return 0;
}

void trace_store_free(struct store *store)
{
    free(store);
}
