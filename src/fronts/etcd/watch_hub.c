/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving the watches of one loop.
 *
 * Invariants:
 * 1. Every live watch has got all events for it up to live_revision, every late one up to late_revision, but for those
 *    before its next_revision.
 * 2. late_revision <= live_revision; with no late watch it means nothing.
 * 3. Only LIVE and LATE watches are in an index, and in one of them.
 */
#include "base/assert.h"
#include "fronts/etcd/watch.h"
#include "fronts/etcd/watch_messages.h"

#include <errno.h>
#include <stdlib.h>

/* Bursts in one turn, for live watches and for late ones each: others wait meanwhile. */
#define BURSTS_MAX 4
/* After memory was short. */
#define RETRY_NS (10 * NSEC_PER_MSEC)

/* What was last encoded; one with and one without the pairs before the events. */
struct encoded {
    uint32_t trail; /* 0: nothing */
    struct buf message;
};

struct watch_hub {
    struct etcd_worker *worker;
    struct store *store;
    struct store_subscriber subscriber;
    struct watch_index live, late;
    int64_t live_revision, late_revision;
    struct list late_watches, waiting_watches;
    struct loop_task task; /* goes on with what one turn could not do */
    struct timer retry;
    struct burst burst;
    struct encoded encoded[2];
    const struct store_event **events; /* of the trail being encoded */
    size_t events_room;
};

struct etcd_worker *watch_hub_worker(const struct watch_hub *hub)
{
    return hub->worker;
}

/* ------------------------------------------------------------------------------------------------ places */

static struct watch_index *index_of(struct watch_hub *hub, const struct watch *watch)
{
    return watch->place == WATCH_LIVE ? &hub->live : &hub->late;
}

/* Out of where it is. */
static void leave(struct watch_hub *hub, struct watch *watch)
{
    watch_index_remove(index_of(hub, watch), &watch->target.node);
    list_remove(&watch->link);
    if (watch->place != WATCH_LIVE)
        watch->stream->n_behind--;
}

/* Into an index. 0, or -ENOMEM: then it is nowhere, as WAITING without a list. */
static int enter(struct watch_hub *hub, struct watch *watch, enum watch_place place)
{
    watch->place = place;
    if (place == WATCH_LATE)
        list_push_back(&hub->late_watches, &watch->link);
    if (place != WATCH_LIVE)
        watch->stream->n_behind++;
    return watch_index_add(index_of(hub, watch), &watch->target.node, watch_key(watch), watch_end(watch));
}

static void wait_on(struct watch *watch, enum watch_place place, struct list *list)
{
    watch->place = (uint8_t)place;
    watch->stream->n_behind++;
    list_push_back(list, &watch->link);
}

/* A watch that needs commits which the live ones have had already. */
static int enter_late(struct watch_hub *hub, struct watch *watch)
{
    loop_defer(hub->worker->loop, &hub->task);
    if (!list_is_empty(&hub->late_watches) && watch->target.next_revision > hub->late_revision)
        return enter(hub, watch, WATCH_LATE);
    wait_on(watch, WATCH_WAITING, &hub->waiting_watches);
    return 0;
}

/* While there is no live watch, nobody is told of commits. */
static void hear_news(struct watch_hub *hub)
{
    struct store_view view;
    if (!watch_index_is_empty(&hub->live))
        return;
    store_mute(&hub->subscriber, false);
    store_view(hub->store, false, &view);
    hub->live_revision = view.revision;
}

int watch_hub_add(struct watch_hub *hub, struct watch *watch)
{
    hear_news(hub);
    int r = watch->target.next_revision > hub->live_revision ? enter(hub, watch, WATCH_LIVE) : enter_late(hub, watch);
    if (r < 0)
        leave(hub, watch);
    return r;
}

void watch_hub_remove(struct watch_hub *hub, struct watch *watch)
{
    ASSERT(watch->target.trail == 0);
    leave(hub, watch);
}

/* Without memory a watch cannot go on; its client opens another stream and resumes by itself. */
static void give_up(struct watch *watch)
{
    grpc_finish(watch->stream->base.call, GRPC_UNAVAILABLE, etcd_error_text(ETCD_TOO_MANY_REQUESTS));
}

/* To the next place, from any other. */
static void move(struct watch_hub *hub, struct watch *watch)
{
    leave(hub, watch);
    if (watch_hub_add(hub, watch) < 0) {
        wait_on(watch, WATCH_WAITING, &hub->waiting_watches);
        give_up(watch);
    }
}

void watch_hub_unpark(struct watch_hub *hub, struct watch_stream *stream)
{
    struct list parked;
    list_init(&parked);
    list_splice_back(&parked, &stream->parked);
    while (!list_is_empty(&parked))
        move(hub, container_of(parked.next, struct watch, link));
    if (stream->n_behind == 0)
        watch_stream_caught_up(stream);
}

/* ------------------------------------------------------------------------------------------------ sending */

/* All but the id, which differs from watch to watch; there is room for it. */
static int encode(struct watch_hub *hub, struct encoded *encoded, uint32_t trail, bool with_prev)
{
    char *room;
    uint32_t n = burst_length(&hub->burst, trail);
    if (n > hub->events_room) {
        const struct store_event **grown = realloc(hub->events, n * sizeof(struct store_event *));
        if (!grown)
            return -ENOMEM;
        hub->events = grown;
        hub->events_room = n;
    }
    burst_events(&hub->burst, trail, hub->events);
    buf_reset(&encoded->message);
    etcd_add_header(&encoded->message, &hub->worker->etcd->header, hub->burst.to);
    for (uint32_t i = 0; i < n; i++)
        watch_add_event(&encoded->message, hub->events[i], with_prev);
    encoded->trail = trail;
    return buf_reserve(&encoded->message, WATCH_ID_BYTES_MAX, &room);
}

/* The events of one revision in messages of bounded size, one behind the other. */
static void send_fragments(struct watch_hub *hub, struct watch *watch, uint32_t n_events)
{
    struct buf *scratch = &hub->worker->scratch;
    uint32_t next = 0;
    while (next < n_events) {
        buf_reset(scratch);
        etcd_add_header(scratch, &hub->worker->etcd->header, hub->burst.to);
        do
            watch_add_event(scratch, hub->events[next++], watch->wants_prev);
        while (next < n_events && scratch->len < WATCH_FRAGMENT_BYTES);
        watch_add_fragment(scratch, watch->id, next < n_events);
        if (buf_error(scratch) < 0) {
            give_up(watch);
            return;
        }
        watch_stream_send(watch->stream, buf_slice(scratch));
    }
}

static void send_events(struct watch_hub *hub, struct watch *watch, uint32_t trail)
{
    struct encoded *encoded = &hub->encoded[watch->wants_prev];
    if (encoded->trail != trail && encode(hub, encoded, trail, watch->wants_prev) < 0) {
        encoded->trail = 0;
        give_up(watch);
        return;
    }
    watch->was_served = true;
    struct buf *message = &encoded->message;
    if (watch->wants_fragments && message->len > WATCH_FRAGMENT_BYTES) {
        uint32_t n_events = burst_length(&hub->burst, trail);
        burst_events(&hub->burst, trail, hub->events);
        send_fragments(hub, watch, n_events);
        return;
    }
    size_t len = message->len;
    watch_add_id(message, watch->id);
    watch_stream_send(watch->stream, buf_slice(message));
    message->len = len;
}

/* It goes on, when the stream has drained, with the first commit of this burst. */
static void park(struct watch_hub *hub, struct watch *watch)
{
    if (watch->target.next_revision < hub->burst.from)
        watch->target.next_revision = hub->burst.from;
    leave(hub, watch);
    wait_on(watch, WATCH_PARKED, &watch->stream->parked);
}

/* Sends to each watch that was touched, or parks it. */
static void serve_touched(struct watch_hub *hub)
{
    struct burst *burst = &hub->burst;
    for (size_t i = 0; i < burst->n_touched; i++) {
        struct watch *watch = container_of(burst->touched[i], struct watch, target);
        if (watch->stream->is_full)
            park(hub, watch);
        else
            send_events(hub, watch, watch->target.trail);
    }
    for (size_t i = 0; i < ARRAY_LEN(hub->encoded); i++) {
        hub->encoded[i].trail = 0;
        if (hub->encoded[i].message.cap > 2 * BURST_BYTES_MAX)
            buf_deinit(&hub->encoded[i].message);
    }
    burst_clear(burst);
}

/* ------------------------------------------------------------------------------------------------ late watches */

/* Of late watches those that need commits before `revision`, which are gone. */
static void cancel_before(struct watch_hub *hub, int64_t revision)
{
    list_for_each (link, &hub->late_watches) {
        struct watch *watch = container_of(link, struct watch, link);
        if (watch->target.next_revision < revision)
            watch_cancel_compacted(watch, revision);
    }
    if (hub->late_revision < revision - 1)
        hub->late_revision = revision - 1;
}

static void begin_round(struct watch_hub *hub)
{
    struct list waiting;
    list_init(&waiting);
    list_splice_back(&waiting, &hub->waiting_watches);
    hub->late_revision = hub->live_revision;
    list_for_each (link, &waiting) {
        struct watch *watch = container_of(link, struct watch, link);
        if (watch->target.next_revision <= hub->late_revision)
            hub->late_revision = watch->target.next_revision - 1;
    }
    while (!list_is_empty(&waiting)) {
        struct watch *watch = container_of(waiting.next, struct watch, link);
        leave(hub, watch);
        if (enter(hub, watch, WATCH_LATE) < 0)
            give_up(watch);
    }
}

/* They have got what the live ones have. */
static void end_round(struct watch_hub *hub)
{
    struct list late;
    list_init(&late);
    list_splice_back(&late, &hub->late_watches);
    while (!list_is_empty(&late)) {
        struct watch *watch = container_of(late.next, struct watch, link);
        struct watch_stream *stream = watch->stream;
        if (watch->target.next_revision <= hub->live_revision)
            watch->target.next_revision = hub->live_revision + 1;
        move(hub, watch);
        if (stream->n_behind == 0)
            watch_stream_caught_up(stream);
    }
}

/* Serves late watches with up to one burst. False: no memory now. */
static bool serve_late(struct watch_hub *hub, const struct store_view *view)
{
    int r = burst_make(&hub->burst, &hub->late, hub->store, view, hub->late_revision + 1, hub->live_revision);
    if (r == -ENOENT) {
        cancel_before(hub, hub->late_revision + 2);
    } else if (r == 0) {
        hub->late_revision = hub->burst.to;
        serve_touched(hub);
    }
    return r != -ENOMEM;
}

static void retry_later(struct watch_hub *hub)
{
    loop_arm(hub->worker->loop, &hub->retry, loop_now(hub->worker->loop) + RETRY_NS);
}

static void advance_late(struct watch_hub *hub)
{
    struct store_view view;
    store_view(hub->store, false, &view);
    if (list_is_empty(&hub->late_watches))
        begin_round(hub);
    if (hub->late_revision < view.compacted - 1)
        cancel_before(hub, view.compacted);
    for (unsigned i = 0; i < BURSTS_MAX && hub->late_revision < hub->live_revision; i++) {
        if (!serve_late(hub, &view)) {
            retry_later(hub);
            return;
        }
    }
    if (hub->late_revision >= hub->live_revision)
        end_round(hub);
    if (!list_is_empty(&hub->late_watches) || !list_is_empty(&hub->waiting_watches))
        loop_defer(hub->worker->loop, &hub->task);
}

/* ------------------------------------------------------------------------------------------------ live watches */

/* The loop stood still for so long that commits are gone which live watches have not had: let them find out. */
static void lose_live(struct watch_hub *hub, int64_t revision)
{
    struct watch_node *node;
    while ((node = watch_index_first(&hub->live))) {
        struct watch *watch = container_of(node, struct watch, target.node);
        if (watch->target.next_revision <= hub->live_revision)
            watch->target.next_revision = hub->live_revision + 1;
        leave(hub, watch);
        wait_on(watch, WATCH_WAITING, &hub->waiting_watches);
    }
    hub->live_revision = revision;
    loop_defer(hub->worker->loop, &hub->task);
}

/* Up to one burst. False: no memory now. */
static bool serve_live(struct watch_hub *hub, const struct store_view *view)
{
    int r = burst_make(&hub->burst, &hub->live, hub->store, view, hub->live_revision + 1, view->revision);
    if (r == -ENOENT) {
        lose_live(hub, view->revision);
    } else if (r == 0) {
        hub->live_revision = hub->burst.to;
        serve_touched(hub);
    }
    return r != -ENOMEM;
}

int64_t watch_hub_advance(struct watch_hub *hub)
{
    struct store_view view;
    store_view(hub->store, false, &view);
    if (watch_index_is_empty(&hub->live))
        hub->live_revision = view.revision;
    for (unsigned i = 0; i < BURSTS_MAX && hub->live_revision < view.revision; i++) {
        if (!serve_live(hub, &view)) {
            retry_later(hub);
            return hub->live_revision;
        }
    }
    if (hub->live_revision < view.revision)
        loop_defer(hub->worker->loop, &hub->task);
    return hub->live_revision;
}

static void on_task(struct loop_task *task)
{
    struct watch_hub *hub = container_of(task, struct watch_hub, task);
    (void)watch_hub_advance(hub);
    advance_late(hub);
}

static void on_retry(struct timer *timer)
{
    struct watch_hub *hub = container_of(timer, struct watch_hub, retry);
    loop_defer(hub->worker->loop, &hub->task);
}

static void on_news(struct store_subscriber *subscriber)
{
    struct watch_hub *hub = container_of(subscriber, struct watch_hub, subscriber);
    if (watch_index_is_empty(&hub->live))
        store_mute(subscriber, true);
    else
        (void)watch_hub_advance(hub);
}

/* ------------------------------------------------------------------------------------------------ life */

int watch_hub_new(struct etcd_worker *worker, struct watch_hub **ret_hub)
{
    struct watch_hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return -ENOMEM;
    int r = watch_index_init(&hub->live);
    if (r == 0)
        r = watch_index_init(&hub->late);
    if (r < 0) {
        free(hub);
        return r;
    }
    hub->worker = worker;
    hub->store = worker->etcd->store;
    list_init(&hub->late_watches);
    list_init(&hub->waiting_watches);
    loop_task_init(&hub->task, on_task);
    timer_init(&hub->retry, on_retry);
    hub->subscriber = (struct store_subscriber){.loop = worker->loop, .on_news = on_news};
    store_subscribe(hub->store, &hub->subscriber);
    struct store_view view;
    store_view(hub->store, false, &view);
    hub->live_revision = view.revision;
    *ret_hub = hub;
    return 0;
}

void watch_hub_free(struct watch_hub *hub)
{
    if (!hub)
        return;
    ASSERT(watch_index_is_empty(&hub->live) && list_is_empty(&hub->late_watches) &&
           list_is_empty(&hub->waiting_watches));
    store_unsubscribe(hub->store, &hub->subscriber);
    loop_undefer(&hub->task);
    loop_cancel(hub->worker->loop, &hub->retry);
    watch_index_deinit(&hub->live);
    watch_index_deinit(&hub->late);
    burst_deinit(&hub->burst);
    for (size_t i = 0; i < ARRAY_LEN(hub->encoded); i++)
        buf_deinit(&hub->encoded[i].message);
    free(hub->events);
    free(hub);
}
