/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service Watch: what a client asks on its stream, and what it is told besides events.
 *
 * Answers to requests are sent in the order of the requests, whether the stream is full or not; a client that does not
 * read its answers is not listened to either, so its queue stays short.
 */
#include "fronts/etcd/watch.h"

#include "base/assert.h"
#include "base/hash.h"
#include "base/random.h"
#include "fronts/etcd/watch_messages.h"

#include <errno.h>
#include <stdlib.h>

/* Memory that the watches of one stream may take. */
#define STREAM_BYTES_MAX ((size_t)16 * 1024 * 1024)

#define REPORT_NS        (600 * NSEC_PER_SEC)
#define REPORT_JITTER_NS (60 * NSEC_PER_SEC)

/* ------------------------------------------------------------------------------------------------ sending */

void watch_stream_send(struct watch_stream *stream, struct slice message)
{
    struct grpc_call *call = stream->base.call;
    if (!call->is_finished && grpc_send(call, message) == EXCHANGE_FULL)
        stream->is_full = true;
}

static struct buf *begin_answer(struct watch_stream *stream, int64_t revision)
{
    struct etcd_worker *worker = watch_hub_worker(stream->hub);
    buf_reset(&worker->scratch);
    etcd_add_header(&worker->scratch, &worker->etcd->header, revision);
    return &worker->scratch;
}

static void end_answer(struct watch_stream *stream, struct buf *answer)
{
    if (buf_error(answer) < 0)
        grpc_finish(stream->base.call, GRPC_UNAVAILABLE, etcd_error_text(ETCD_TOO_MANY_REQUESTS));
    else
        watch_stream_send(stream, buf_slice(answer));
}

static int64_t current_revision(const struct watch_stream *stream)
{
    return etcd_revision(watch_hub_worker(stream->hub)->etcd);
}

/* ------------------------------------------------------------------------------------------------ reports */

static void send_report(struct watch_stream *stream, int64_t id, int64_t revision)
{
    struct buf *answer = begin_answer(stream, revision);
    watch_add_id(answer, id);
    end_answer(stream, answer);
}

void watch_stream_caught_up(struct watch_stream *stream)
{
    if (!stream->is_reported)
        return;
    stream->is_reported = false;
    send_report(stream, WATCH_ID_NONE, watch_hub_advance(stream->hub));
}

static void ask_report(struct watch_stream *stream)
{
    stream->is_reported = true;
    (void)watch_hub_advance(stream->hub);
    if (stream->n_behind == 0)
        watch_stream_caught_up(stream);
}

/* Watches that have had nothing for so long are told how far they are. */
static void arm_reports(struct watch_stream *stream)
{
    struct loop *loop = watch_hub_worker(stream->hub)->loop;
    uint64_t seed;
    struct random random;
    nsec_t jitter_ns = 0;
    if (random_init_system(&random) == 0) {
        seed = random_below(&random, REPORT_JITTER_NS);
        jitter_ns = (nsec_t)seed;
    }
    loop_arm(loop, &stream->report_timer, loop_now(loop) + REPORT_NS + jitter_ns);
}

static void on_report_timer(struct timer *timer)
{
    struct watch_stream *stream = container_of(timer, struct watch_stream, report_timer);
    int64_t revision = watch_hub_advance(stream->hub);
    htab_for_each (node, &stream->watches) {
        struct watch *watch = container_of(node, struct watch, by_id);
        if (watch->wants_progress && !watch->was_served && watch->place == WATCH_LIVE && !stream->is_full)
            send_report(stream, watch->id, revision);
        watch->was_served = false;
    }
    arm_reports(stream);
}

/* ------------------------------------------------------------------------------------------------ watches */

/* Ids are small numbers in a row or a client's choice: spreads them over all bits. */
static struct watch *find_watch(const struct watch_stream *stream, int64_t id)
{
    htab_for_each_match (node, &stream->watches, hash_number((uint64_t)id)) {
        struct watch *watch = container_of(node, struct watch, by_id);
        if (watch->id == id)
            return watch;
    }
    return NULL;
}

static size_t watch_bytes(const struct watch *watch)
{
    return sizeof(*watch) + watch->key_len + watch->end_len;
}

static void watch_free(struct watch *watch)
{
    struct watch_stream *stream = watch->stream;
    watch_hub_remove(stream->hub, watch);
    htab_remove(&stream->watches, &watch->by_id);
    stream->n_bytes -= watch_bytes(watch);
    stream->n_reported -= watch->wants_progress;
    free(watch);
}

void watch_cancel_compacted(struct watch *watch, int64_t compact_revision)
{
    struct watch_stream *stream = watch->stream;
    struct buf *answer = begin_answer(stream, current_revision(stream));
    watch_add_compacted(answer, watch->id, compact_revision);
    end_answer(stream, answer);
    watch_free(watch);
}

static struct watch *watch_new(struct watch_stream *stream, const struct watch_request *request, int64_t id)
{
    size_t n_bytes = request->key.len + request->end.len;
    if (stream->n_bytes + sizeof(struct watch) + n_bytes > STREAM_BYTES_MAX)
        return NULL;
    struct watch *watch = calloc(1, sizeof(*watch) + n_bytes);
    if (!watch || htab_insert(&stream->watches, &watch->by_id, hash_number((uint64_t)id)) < 0) {
        free(watch);
        return NULL;
    }
    list_init(&watch->link);
    watch->stream = stream;
    watch->id = id;
    watch->wants_prev = request->wants_prev;
    watch->wants_fragments = request->wants_fragments;
    watch->wants_progress = request->wants_progress;
    watch->target.no_puts = request->no_puts;
    watch->target.no_deletes = request->no_deletes;
    watch->key_len = (uint32_t)request->key.len;
    watch->end_len = (uint32_t)request->end.len;
    if (request->key.len > 0)
        memcpy(watch->bytes, request->key.ptr, request->key.len);
    if (request->end.len > 0)
        memcpy(watch->bytes + request->key.len, request->end.ptr, request->end.len);
    stream->n_bytes += watch_bytes(watch);
    stream->n_reported += watch->wants_progress;
    return watch;
}

/* ------------------------------------------------------------------------------------------------ requests */

/* With the words that the error has in Go, which clients look for here. */
static const char *denial(enum etcd_error error)
{
    switch (error) {
    case ETCD_USER_EMPTY:
        return "rpc error: code = InvalidArgument desc = etcdserver: user name is empty";
    case ETCD_INVALID_TOKEN:
        return "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
    default:
        return "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
    }
}

/* Why the watch cannot be; NULL when it can. */
static const char *refusal(const struct watch_stream *stream, const struct watch_request *request)
{
    enum etcd_error error = etcd_may_read(stream->base.call, request->key, request->end);
    if (error != ETCD_OK)
        return denial(error);
    if (request->start_revision < 0)
        return etcd_error_text(ETCD_COMPACTED);
    if (!slice_is_empty(request->end) && !store_range_is_open(request->end) &&
        slice_compare(request->key, request->end) >= 0)
        return "mvcc: watcher range is empty";
    if (request->id != 0 && find_watch(stream, request->id))
        return "mvcc: duplicate watch ID provided on the WatchStream";
    return NULL;
}

static int64_t pick_id(struct watch_stream *stream)
{
    while (find_watch(stream, stream->next_id))
        stream->next_id++;
    return stream->next_id++;
}

static void refuse_watch(struct watch_stream *stream, const char *reason)
{
    struct buf *answer = begin_answer(stream, current_revision(stream));
    watch_add_refused(answer, reason);
    end_answer(stream, answer);
}

/* Revision 1 is the empty store: no commit made it. */
static int64_t first_revision(const struct watch_request *request, int64_t current)
{
    if (request->start_revision == 0)
        return current + 1;
    return request->start_revision > 1 ? request->start_revision : 2;
}

static void create_watch(struct watch_stream *stream, struct watch_request *request)
{
    if (slice_is_empty(request->key))
        request->key = slice_from("", 1); /* the lowest key: one byte, 0 */
    const char *reason = refusal(stream, request);
    if (reason) {
        refuse_watch(stream, reason);
        return;
    }
    int64_t revision = current_revision(stream);
    struct watch *watch = watch_new(stream, request, request->id ? request->id : pick_id(stream));
    if (!watch) {
        refuse_watch(stream, etcd_error_text(ETCD_TOO_MANY_REQUESTS));
        return;
    }
    struct buf *answer = begin_answer(stream, revision);
    watch_add_created(answer, watch->id);
    end_answer(stream, answer); /* before any event */
    watch->target.next_revision = first_revision(request, revision);
    if (watch_hub_add(stream->hub, watch) < 0)
        grpc_finish(stream->base.call, GRPC_UNAVAILABLE, etcd_error_text(ETCD_TOO_MANY_REQUESTS));
    if (watch->wants_progress && stream->n_reported == 1)
        arm_reports(stream);
}

static void cancel_watch(struct watch_stream *stream, int64_t id)
{
    struct watch *watch = find_watch(stream, id);
    if (!watch)
        return;
    watch_free(watch);
    struct buf *answer = begin_answer(stream, current_revision(stream));
    watch_add_canceled(answer, id);
    end_answer(stream, answer);
    if (stream->n_behind == 0)
        watch_stream_caught_up(stream);
}

void watch_on_message(struct grpc_call *call, struct slice message)
{
    struct watch_stream *stream = call->state;
    struct watch_request request;
    enum etcd_error error = watch_read_request(message, &request);
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    switch (request.type) {
    case WATCH_CREATE:
        create_watch(stream, &request);
        break;
    case WATCH_CANCEL:
        cancel_watch(stream, request.id);
        break;
    case WATCH_PROGRESS:
        ask_report(stream);
        break;
    case WATCH_NOTHING:
        break;
    }
    if (stream->is_full)
        grpc_pause(call, true);
}

/* ------------------------------------------------------------------------------------------------ the stream's life */

static struct watch_hub *hub_of(struct etcd_worker *worker)
{
    if (!worker->hub)
        (void)watch_hub_new(worker, &worker->hub);
    return worker->hub;
}

void watch_on_open(struct grpc_call *call)
{
    struct watch_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    if (etcd_stream_open(&stream->base, call) < 0) {
        free(stream);
        return;
    }
    list_init(&stream->parked);
    timer_init(&stream->report_timer, on_report_timer);
    stream->hub = hub_of(etcd_worker_of(call));
    call->state = stream;
    if (!stream->hub)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
}

void watch_on_drain(struct grpc_call *call)
{
    struct watch_stream *stream = call->state;
    stream->is_full = false;
    grpc_pause(call, false);
    watch_hub_unpark(stream->hub, stream);
}

void watch_on_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct watch_stream *stream = call->state;
    if (!stream)
        return;
    htab_for_each (node, &stream->watches)
        watch_free(container_of(node, struct watch, by_id));
    htab_deinit(&stream->watches);
    ASSERT(stream->n_bytes == 0 && stream->n_behind == 0);
    loop_cancel(exchange_loop(call->exchange), &stream->report_timer);
    etcd_stream_close(&stream->base);
    free(stream);
}
