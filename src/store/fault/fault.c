/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan is an array; each fault counts for itself what matches it. A request that nothing is planned for is handed
 * on as it is; one whose answer is to be lost or delayed goes through a struct wrapper_call.
 */
#include "store/fault/fault.h"

#include "base/assert.h"
#include "base/util.h"
#include "store/wrapper.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct planned {
    struct fault fault;
    _Atomic unsigned n_seen; /* that matched */
};

struct fault_store {
    struct wrapper wrapper; /* first */
    struct planned plan[FAULTS_MAX];
    unsigned n_planned;
    _Atomic unsigned n_hits;
};

struct fault_call {
    struct wrapper_call call;
    const struct fault *loss; /* NULL: the answer is told */
    unsigned n_turns_left;
};

static struct fault_store *fault_of(struct store *store)
{
    return (struct fault_store *)store;
}

/* What goes wrong this time; NULL: nothing. */
static const struct fault *hit(struct fault_store *store, enum fault_kind kind, int request_type)
{
    for (unsigned i = 0; i < store->n_planned; i++) {
        struct planned *planned = &store->plan[i];
        const struct fault *fault = &planned->fault;
        bool is_about_requests = kind <= FAULT_DELAY && fault->request_type != FAULT_EVERY_REQUEST;
        if (fault->kind != kind || (is_about_requests && fault->request_type != request_type))
            continue;
        unsigned n = atomic_fetch_add(&planned->n_seen, 1);
        if (n < fault->skip || (fault->times > 0 && n - fault->skip >= fault->times))
            continue;
        atomic_fetch_add(&store->n_hits, 1);
        return fault;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ requests */

static void lose_answer(struct store_request *request, const struct fault *fault)
{
    if (request->type == STORE_BACKUP && request->outcome == STORE_OK)
        close(request->backup_fd);
    store_request_deinit(request);
    request->outcome = (enum store_outcome)fault->outcome;
}

static void answer(struct fault_call *call)
{
    if (call->loss)
        lose_answer(&call->call.request, call->loss);
    struct store_request *asked = wrapper_take_answer(&call->call);
    free(call);
    asked->done(asked);
}

static void wait_a_turn(struct fault_call *call);

static void on_turn(struct mail *mail)
{
    wait_a_turn(container_of(mail, struct fault_call, call.request.mail));
}

static void wait_a_turn(struct fault_call *call)
{
    if (call->n_turns_left == 0) {
        answer(call);
        return;
    }
    call->n_turns_left--;
    call->call.request.mail.deliver = on_turn;
    loop_post(call->call.request.loop, &call->call.request.mail);
}

static void on_answer(struct store_request *request)
{
    wait_a_turn(container_of(request, struct fault_call, call.request));
}

static void engine_submit(struct store *store, struct store_request *request)
{
    struct fault_store *faulty = fault_of(store);
    const struct fault *refusal = hit(faulty, FAULT_REFUSE, (int)request->type);
    if (refusal) {
        wrapper_refuse(request, (enum store_outcome)refusal->outcome);
        return;
    }
    const struct fault *loss = hit(faulty, FAULT_LOSE, (int)request->type);
    const struct fault *delay = hit(faulty, FAULT_DELAY, (int)request->type);
    if (!loss && !delay) {
        store_submit(faulty->wrapper.inner, request);
        return;
    }
    struct fault_call *call = malloc(sizeof(*call));
    if (!call) {
        wrapper_refuse(request, STORE_OUT_OF_MEMORY);
        return;
    }
    call->loss = loss;
    call->n_turns_left = delay ? delay->n_turns : 0;
    wrapper_submit(&faulty->wrapper, &call->call, request, on_answer);
}

/* ------------------------------------------------------------------------------------------------ the others */

static int engine_range(struct store *store, const struct store_view *view, const struct store_range *range,
                        store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    const struct fault *fault = hit(fault_of(store), FAULT_RANGE, 0);
    return fault ? fault->outcome : wrapper_range(store, view, range, on_kv, ctx, ret_result);
}

static int64_t engine_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    return hit(fault_of(store), FAULT_TOUCH, 0) ? 0 : wrapper_lease_touch(store, lease, now_ns);
}

static const struct store_commit *engine_commit(struct store *store, const struct store_view *view, int64_t revision)
{
    return hit(fault_of(store), FAULT_COMMIT, 0) ? NULL : wrapper_commit(store, view, revision);
}

static const struct store_engine fault_engine = {
    .name = "fault",
    .view = wrapper_view,
    .release = wrapper_release,
    .range = engine_range,
    .submit = engine_submit,
    .lease_touch = engine_lease_touch,
    .commit = engine_commit,
    .subscribe = wrapper_subscribe,
    .unsubscribe = wrapper_unsubscribe,
    .identify = wrapper_identify,
    .measure = wrapper_measure,
    .refusal = wrapper_refusal,
    .notes = wrapper_notes,
    .docs = wrapper_docs,
};

int fault_store_new(struct store *inner, struct store **ret_store)
{
    struct fault_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->wrapper = (struct wrapper){{&fault_engine}, inner};
    *ret_store = &store->wrapper.store;
    return 0;
}

void fault_store_free(struct store *store)
{
    free(store);
}

void fault_store_add(struct store *store, const struct fault *fault)
{
    struct fault_store *faulty = fault_of(store);
    ASSERT(faulty->n_planned < FAULTS_MAX);
    struct planned *planned = &faulty->plan[faulty->n_planned++];
    planned->fault = *fault;
    atomic_store(&planned->n_seen, 0);
}

void fault_store_clear(struct store *store)
{
    fault_of(store)->n_planned = 0;
    atomic_store(&fault_of(store)->n_hits, 0);
}

unsigned fault_store_hits(const struct store *store)
{
    return atomic_load(&((const struct fault_store *)store)->n_hits);
}
