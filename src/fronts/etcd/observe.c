/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Election.Observe: who leads now, then each proposal of the leader, then who follows it. All commits that touch the
 * election are walked, so that no proposal is left out, however many come in one burst.
 */
#include "fronts/etcd/ticket.h"

#include <errno.h>
#include <stdlib.h>

/* Who is farther behind than this is told of the present leader, and not of all that was before. */
#define COMMITS_MAX 4096

struct observer {
    struct etcd_stream stream;
    struct etcd_worker *worker;
    struct await await;
    struct buf begin, end; /* of the keys of the election */
    struct buf leader;     /* its key; empty: nobody leads */
    int64_t revision;      /* up to which the client has been told */
    bool is_full;          /* the client does not read: nothing is sent until the call drains */
};

enum etcd_error etcd_read_election_name(struct slice message, struct slice *ret_name)
{
    static const struct pb_member members[] = {[1] = {PB_BYTES, 0}};
    *ret_name = (struct slice){0};
    if (pb_read(message, members, ARRAY_LEN(members), ret_name) < 0)
        return ETCD_MALFORMED;
    return ret_name->len > STORE_KEY_MAX ? ETCD_TOO_LARGE : ETCD_OK;
}

static void fail(struct observer *observer, enum etcd_error error)
{
    etcd_refuse_unknown(observer->stream.call, error);
}

static bool is_over(const struct observer *observer)
{
    return observer->stream.call->is_finished;
}

/* The pair is the leader's. */
static void send_leader(struct observer *observer, const struct store_kv *kv, int64_t revision)
{
    struct grpc_call *call = observer->stream.call;
    struct buf *answer = etcd_answer_begin(call, revision);
    if (!answer)
        return;
    etcd_add_kv(answer, 2, kv);
    if (buf_error(answer) < 0)
        fail(observer, ETCD_TOO_MANY_REQUESTS);
    else if (grpc_send(call, buf_slice(answer)) == EXCHANGE_FULL)
        observer->is_full = true;
}

static void elect(struct observer *observer, const struct store_kv *kv, int64_t revision)
{
    buf_reset(&observer->leader);
    if (buf_append(&observer->leader, kv->key) < 0)
        fail(observer, ETCD_TOO_MANY_REQUESTS);
    else
        send_leader(observer, kv, revision);
}

static bool copy_kv(void *ctx, const struct store_kv *kv)
{
    *(struct store_kv *)ctx = *kv;
    return false;
}

/* Who led at that revision, from then on leads here. STORE_OK, STORE_COMPACTED, or the call is refused. */
static int find_leader(struct observer *observer, const struct store_view *view, int64_t revision)
{
    const struct store_range range = {
        .key = buf_slice(&observer->begin),
        .end = buf_slice(&observer->end),
        .revision = revision,
        .order = STORE_ASCENDING,
        .by = STORE_BY_CREATE,
        .limit = 1,
    };
    struct store_range_result result;
    struct store_kv kv = {0};
    int r = store_range(observer->worker->etcd->store, view, &range, copy_kv, &kv, &result);
    buf_reset(&observer->leader);
    if (r < 0)
        fail(observer, ETCD_TOO_MANY_REQUESTS);
    else if (r == STORE_OK && kv.version > 0)
        elect(observer, &kv, revision);
    return r;
}

static void start_over(struct observer *observer, const struct store_view *view)
{
    (void)find_leader(observer, view, view->revision);
    observer->revision = view->revision;
}

/* Whether the leader's key went by it. */
static bool take_event(struct observer *observer, const struct store_event *event, int64_t revision)
{
    const struct store_kv *kv = event->kv;
    bool has_leader = observer->leader.len > 0;
    if (!store_range_has(buf_slice(&observer->begin), buf_slice(&observer->end), kv->key))
        return false;
    if (has_leader && !slice_equal(kv->key, buf_slice(&observer->leader)))
        return false;
    if (kv->version == 0)
        return has_leader;
    if (has_leader)
        send_leader(observer, kv, revision);
    else
        elect(observer, kv, revision);
    return false;
}

/* STORE_OK, or STORE_COMPACTED: this cannot be told any more. */
static int take_commit(struct observer *observer, const struct store_view *view)
{
    const struct store_commit *commit = store_commit(observer->worker->etcd->store, view, observer->revision + 1);
    if (!commit)
        return STORE_COMPACTED;
    observer->revision = commit->revision;
    bool has_gone = false;
    for (unsigned i = 0; i < commit->n_events; i++)
        has_gone |= take_event(observer, &commit->events[i], commit->revision);
    return has_gone ? find_leader(observer, view, commit->revision) : STORE_OK;
}

static void look(struct observer *observer)
{
    struct store_view view;
    store_view(observer->worker->etcd->store, false, &view);
    if (view.revision - observer->revision > COMMITS_MAX)
        start_over(observer, &view);
    while (observer->revision < view.revision && !observer->is_full && !is_over(observer)) {
        if (take_commit(observer, &view) == STORE_COMPACTED)
            start_over(observer, &view);
    }
}

static void on_change(struct await *await)
{
    struct observer *observer = container_of(await, struct observer, await);
    if (!observer->is_full && !is_over(observer))
        look(observer);
}

void etcd_on_observe_drain(struct grpc_call *call)
{
    struct observer *observer = call->state;
    observer->is_full = false;
    look(observer);
}

static void observer_free(struct observer *observer)
{
    await_end(&observer->await);
    buf_deinit(&observer->begin);
    buf_deinit(&observer->end);
    buf_deinit(&observer->leader);
    free(observer);
}

void etcd_on_observe_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct observer *observer = call->state;
    if (!observer)
        return;
    etcd_stream_close(&observer->stream);
    observer_free(observer);
}

static enum etcd_error observe(struct observer *observer, struct slice name)
{
    if (!observer->worker || ticket_range(name, &observer->begin, &observer->end) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    struct slice begin = buf_slice(&observer->begin), end = buf_slice(&observer->end);
    enum etcd_error error = etcd_may_read(observer->stream.call, begin, end);
    if (error == ETCD_OK && await_begin(observer->worker, &observer->await, begin, end, on_change) < 0)
        error = ETCD_TOO_MANY_REQUESTS;
    return error;
}

void etcd_on_observe(struct grpc_call *call, struct slice message)
{
    struct slice name;
    enum etcd_error error = etcd_read_election_name(message, &name);
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    struct observer *observer = calloc(1, sizeof(*observer));
    if (!observer) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    observer->worker = etcd_worker_of(call);
    if (etcd_stream_open(&observer->stream, call) < 0) {
        free(observer);
        return;
    }
    call->state = observer;
    error = observe(observer, name);
    if (error != ETCD_OK) {
        etcd_refuse_unknown(call, error);
        return;
    }
    struct store_view view;
    store_view(observer->worker->etcd->store, false, &view);
    start_over(observer, &view);
}
