/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded engine as the rest of the house sees it (store.h): reads go to memory, changes to the keeper. */
#include "base/assert.h"
#include "keeper/keeper_priv.h"
#include "store/request_check.h"

static struct keeper *keeper_of(struct store *store)
{
    return container_of(store, struct keeper, store);
}

static void engine_view(struct store *store, bool counted, struct store_view *ret_view)
{
    mvcc_view(local_mvcc(keeper_of(store)->local), counted, ret_view);
}

static void engine_release(struct store *store, struct store_view *view)
{
    mvcc_release(local_mvcc(keeper_of(store)->local), view);
}

static int engine_range(struct store *store, const struct store_view *view, const struct store_range *range,
                        store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    (void)store;
    return mvcc_view_range(view, range, on_kv, ctx, ret_result);
}

static const struct store_commit *engine_commit(struct store *store, const struct store_view *view, int64_t revision)
{
    (void)store;
    return mvcc_view_commit(view, revision);
}

static void answer_at_once(struct store_request *request, enum store_outcome outcome)
{
    request->outcome = outcome;
    keeper_answer(request);
}

static void engine_submit(struct store *store, struct store_request *request)
{
    struct keeper *keeper = keeper_of(store);
    request->results = NULL;
    request->n_results = 0;
    request->revision = 0;
    enum store_outcome outcome = store_request_check(request);
    if (atomic_load_explicit(&keeper->is_stopped, memory_order_acquire))
        outcome = STORE_STOPPED;
    if (outcome != STORE_OK) {
        answer_at_once(request, outcome);
        return;
    }
    request->mail.deliver = keeper_receive;
    request->engine = keeper;
    loop_post(keeper->loop, &request->mail);
}

static int64_t engine_lease_touch(struct store *store, int64_t lease, nsec_t now_ns)
{
    return lease_touch(local_leases(keeper_of(store)->local), lease, now_ns);
}

static void engine_subscribe(struct store *store, struct store_subscriber *subscriber)
{
    struct keeper *keeper = keeper_of(store);
    atomic_init(&subscriber->posted, false);
    list_init(&subscriber->link);
    pthread_mutex_lock(&keeper->subscribers_lock);
    list_push_back(&keeper->subscribers, &subscriber->link);
    pthread_mutex_unlock(&keeper->subscribers_lock);
}

static void engine_unsubscribe(struct store *store, struct store_subscriber *subscriber)
{
    struct keeper *keeper = keeper_of(store);
    pthread_mutex_lock(&keeper->subscribers_lock);
    list_remove(&subscriber->link);
    pthread_mutex_unlock(&keeper->subscribers_lock);
    loop_settle(subscriber->loop); /* news that is under way arrives now */
}

static void engine_identify(struct store *store, struct store_identity *ret_identity)
{
    struct local *local = keeper_of(store)->local;
    *ret_identity = (struct store_identity){local_cluster_id(local), local_member_id(local)};
}

static void engine_measure(struct store *store, struct store_size *ret_size)
{
    local_measure(keeper_of(store)->local, ret_size);
}

static enum store_outcome engine_refusal(struct store *store)
{
    return local_refusal(keeper_of(store)->local);
}

static void engine_notes(struct store *store, store_note_fn fn, void *ctx)
{
    notes_each(local_notes(keeper_of(store)->local), fn, ctx);
}

static int engine_docs(struct store *store, struct slice prefix, store_doc_fn fn, void *ctx)
{
    docs_each(local_docs(keeper_of(store)->local), prefix, fn, ctx);
    return 0;
}

const struct store_engine keeper_engine = {
    .name = "local",
    .view = engine_view,
    .release = engine_release,
    .range = engine_range,
    .submit = engine_submit,
    .lease_touch = engine_lease_touch,
    .commit = engine_commit,
    .subscribe = engine_subscribe,
    .unsubscribe = engine_unsubscribe,
    .identify = engine_identify,
    .measure = engine_measure,
    .refusal = engine_refusal,
    .notes = engine_notes,
    .docs = engine_docs,
};
