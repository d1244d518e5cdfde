/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker's loop has for itself. There are few, so finding one's own is a short walk; one is added by the thread
 * that will use it, and stays until the front end is destroyed.
 */
#include "fronts/etcd/await.h"
#include "fronts/etcd/watch.h"

#include <errno.h>
#include <stdlib.h>

/* A larger scratch is given back after its use. */
#define SCRATCH_KEPT_BYTES ((size_t)64 * 1024)

static void on_stop(struct mail *mail)
{
    struct etcd_worker *worker = container_of(mail, struct etcd_worker, stop_mail);
    list_for_each (link, &worker->streams)
        etcd_refuse(container_of(link, struct etcd_stream, link)->call, ETCD_STOPPED);
}

static struct etcd_worker *add_worker(struct etcd *etcd, struct loop *loop)
{
    struct etcd_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return NULL;
    worker->etcd = etcd;
    worker->loop = loop;
    worker->stop_mail.deliver = on_stop;
    list_init(&worker->streams);
    worker->next = atomic_load_explicit(&etcd->workers, memory_order_acquire);
    while (!atomic_compare_exchange_weak_explicit(&etcd->workers, &worker->next, worker, memory_order_acq_rel,
                                                  memory_order_acquire))
        ;
    return worker;
}

struct etcd_worker *etcd_worker_of(const struct grpc_call *call)
{
    struct etcd *etcd = call->ctx;
    struct loop *loop = exchange_loop(call->exchange);
    struct etcd_worker *worker = atomic_load_explicit(&etcd->workers, memory_order_acquire);
    while (worker && worker->loop != loop)
        worker = worker->next;
    return worker ? worker : add_worker(etcd, loop);
}

void etcd_worker_free(struct etcd_worker *worker)
{
    watch_hub_free(worker->hub);
    await_hub_free(worker->awaits);
    buf_deinit(&worker->scratch);
    free(worker);
}

static void append_actor(struct etcd_worker *worker, struct slice text)
{
    memcpy(worker->actor + worker->actor_len, text.ptr, text.len);
    worker->actor_len += text.len;
}

/* Whole characters only. */
static struct slice cut_name(struct slice name)
{
    size_t len = min_size(name.len, ETCD_ACTOR_NAME_MAX);
    while (len > 0 && len < name.len && (name.ptr[len] & 0xc0) == 0x80)
        len--;
    return slice_from(name.ptr, len);
}

static void append_user(struct etcd_worker *worker, uint64_t caller)
{
    const struct auth_user *user = auth_model_find_session(auth_model(&worker->etcd->auth), caller);
    if (!user)
        return;
    append_actor(worker, SLICE_LIT(" as "));
    append_actor(worker, cut_name(user->name));
}

struct slice etcd_name_actor(struct etcd_worker *worker, const struct grpc_call *call)
{
    const struct peer *peer = exchange_peer(call->exchange);
    if (worker->actor_len == 0 || worker->actor_caller != call->caller ||
        memcmp(&worker->actor_peer, peer, sizeof(*peer)) != 0) {
        worker->actor_peer = *peer;
        worker->actor_caller = call->caller;
        worker->actor_len = 0;
        append_actor(worker, SLICE_LIT("etcd "));
        worker->actor_len += peer_format(peer, worker->actor + worker->actor_len).len;
        if (call->caller != AUTH_NOBODY)
            append_user(worker, call->caller);
    }
    return slice_from(worker->actor, worker->actor_len);
}

struct buf *etcd_answer_begin(struct grpc_call *call, int64_t revision)
{
    const struct etcd *etcd = call->ctx;
    struct etcd_worker *worker = etcd_worker_of(call);
    if (!worker) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return NULL;
    }
    buf_reset(&worker->scratch);
    etcd_add_header(&worker->scratch, &etcd->header, revision);
    return &worker->scratch;
}

void etcd_answer_end(struct grpc_call *call, struct buf *answer)
{
    if (buf_error(answer) < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
    else
        grpc_reply(call, buf_slice(answer));
    if (answer->cap > SCRATCH_KEPT_BYTES)
        buf_deinit(answer);
}

/* ------------------------------------------------------------------------------------------------ streams */

int etcd_stream_open(struct etcd_stream *stream, struct grpc_call *call)
{
    const struct etcd *etcd = call->ctx;
    struct etcd_worker *worker = etcd_worker_of(call);
    bool is_stopping = atomic_load_explicit(&etcd->is_stopping, memory_order_acquire);
    if (!worker || is_stopping) {
        etcd_refuse(call, is_stopping ? ETCD_STOPPED : ETCD_TOO_MANY_REQUESTS);
        return -ENOMEM;
    }
    stream->call = call;
    list_init(&stream->link);
    list_push_back(&worker->streams, &stream->link);
    return 0;
}

void etcd_stream_close(struct etcd_stream *stream)
{
    list_remove(&stream->link);
}
