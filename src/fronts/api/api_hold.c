/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which connection counts. Connections of one session may be on different workers, and the server may hear of the end
 * of the old one after the new one has registered. So all holds are in one table, the youngest of each session; the
 * others have been taken out by it, and their end means nothing. Reports are sent under the table's lock, so that the
 * curator gets them in this order.
 *
 * A hold is told by an event when its instance has gone or become another one, and ends: there is nothing left to hold.
 */
#include "fronts/api/api_hold.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/random.h"
#include "fronts/api/api_stream.h"
#include "wire/json_writer.h"

#include <stdio.h>
#include <stdlib.h>

#define SESSION_BYTES 16
/* Heartbeats in one TTL. */
#define RENEWALS 3

struct hold {
    struct api_stream stream;
    struct api_follower follower;
    struct api *api;
    struct api_worker *worker;
    struct list link; /* of the table: it is the one that counts */
    struct timer renewal;
    nsec_t grace_ns;
    int64_t ttl_ms;
    int64_t revision; /* of the instance as it was registered */
    uint64_t incarnation;
    struct arena arena;
    struct slice service, id, session, actor;
};

bool api_hold_pick_session(struct change *change, struct slice *ret_session)
{
    unsigned char bytes[SESSION_BYTES];
    char text[2 * SESSION_BYTES + 1];
    if (random_system(bytes, sizeof(bytes)) < 0) {
        api_refuse(change->exchange, 503, NULL, "the system gives no random numbers");
        return false;
    }
    for (unsigned i = 0; i < SESSION_BYTES; i++)
        (void)snprintf(text + 2 * (size_t)i, 3, "%02x", bytes[i]);
    *ret_session = change_copy(change, slice_from(text, 2 * SESSION_BYTES));
    return true;
}

/* ------------------------------------------------------------------------------------------------ the table */

static bool is_same(const struct hold *a, const struct hold *b)
{
    return slice_equal(a->id, b->id) && slice_equal(a->service, b->service) && slice_equal(a->session, b->session);
}

static struct list *bucket_of(const struct hold *hold)
{
    struct api_holders *holders = &hold->api->holders;
    return &holders->all[crc32c(crc32c(0, hold->id), hold->session) % ARRAY_LEN(holders->all)];
}

static void report(const struct hold *hold, bool is_good, struct slice evidence)
{
    const struct catalog_event event = {
        .type = CATALOG_SESSION,
        .report = {.service = hold->service,
                   .id = hold->id,
                   .incarnation = hold->incarnation,
                   .is_good = is_good,
                   .grace_ns = hold->grace_ns,
                   .actor = hold->actor,
                   .evidence = evidence},
    };
    /* Out of memory, it is not heard of: then the lease, which nobody renews any more, ends it. */
    (void)curator_report(hold->api->curator, &event);
}

static void enter(struct hold *hold)
{
    struct api_holders *holders = &hold->api->holders;
    pthread_mutex_lock(&holders->lock);
    list_for_each (link, bucket_of(hold)) {
        if (is_same(container_of(link, struct hold, link), hold)) {
            list_remove(link);
            break;
        }
    }
    list_push_back(bucket_of(hold), &hold->link);
    report(hold, true, SLICE_LIT("its session is back"));
    pthread_mutex_unlock(&holders->lock);
}

/* Empty evidence: its end is nobody's loss. */
static void leave(struct hold *hold, struct slice evidence)
{
    struct api_holders *holders = &hold->api->holders;
    pthread_mutex_lock(&holders->lock);
    if (list_is_linked(&hold->link)) {
        list_remove(&hold->link);
        if (evidence.len > 0)
            report(hold, false, evidence);
    }
    pthread_mutex_unlock(&holders->lock);
}

/* ------------------------------------------------------------------------------------------------ life */

static void hold_free(struct hold *hold)
{
    loop_cancel(hold->worker->loop, &hold->renewal);
    api_hub_remove(&hold->follower);
    api_stream_deinit(&hold->stream);
    arena_deinit(&hold->arena);
    free(hold);
}

static void on_drain(struct exchange *exchange)
{
    struct hold *hold = exchange->state;
    hold->stream.is_full = false;
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct hold *hold = exchange->state;
    bool is_ours = end == EXCHANGE_DONE || end == EXCHANGE_SHUTDOWN || atomic_load(&hold->api->is_stopping);
    struct slice evidence = end == EXCHANGE_TIMEOUT ? SLICE_LIT("the connection that held it took nothing any more")
                                                    : SLICE_LIT("the connection that held it ended");
    leave(hold, is_ours ? (struct slice){0} : evidence);
    hold_free(hold);
}

static const struct exchange_app app = {.on_drain = on_drain, .on_close = on_close};

static void on_renewed(struct curator_request *request)
{
    (void)request; /* answered from inside curator_submit; one that is gone is told as a change */
}

static void renew(struct timer *timer)
{
    struct hold *hold = container_of(timer, struct hold, renewal);
    struct curator_request request = {
        .type = CURATOR_RENEW,
        .loop = hold->worker->loop,
        .done = on_renewed,
        .is_admin = true, /* it is ours by the session, whoever owns it */
        .service = hold->service,
        .id = hold->id,
    };
    curator_submit(hold->api->curator, &request);
    curator_request_deinit(&request);
    loop_arm(hold->worker->loop, timer, loop_now(hold->worker->loop) + hold->ttl_ms * NSEC_PER_MSEC / RENEWALS);
}

/* ------------------------------------------------------------------------------------------------ losing it */

static void say_gone(struct hold *hold, int64_t revision, struct slice kind, struct slice actor, struct slice evidence)
{
    struct buf text = {0};
    struct json_writer json;
    buf_append_str(&text, "event: gone\ndata: ");
    json_writer_init(&json, &text);
    json_writer_begin_object(&json);
    json_writer_member_i64(&json, SLICE_LIT("revision"), revision);
    json_writer_member_str(&json, SLICE_LIT("kind"), kind);
    json_writer_member_str(&json, SLICE_LIT("actor"), actor);
    json_writer_member_str(&json, SLICE_LIT("evidence"), evidence);
    json_writer_end_object(&json);
    buf_append_str(&text, "\n\n");
    if (buf_error(&text) == 0)
        (void)api_stream_say(&hold->stream, buf_slice(&text));
    buf_deinit(&text);
    leave(hold, (struct slice){0});
    api_stream_end(&hold->stream);
}

static void on_change(struct api_follower *follower, const struct catalog_change *change)
{
    struct hold *hold = container_of(follower, struct hold, follower);
    const struct instance *instance = change->after ? change->after : change->before;
    bool is_about_it = change->revision > hold->revision && slice_equal(instance->id, hold->id);
    if (is_about_it && (!change->after || change->after->incarnation != hold->incarnation))
        say_gone(hold, change->revision, timeline_text(change->kind), change->actor, change->evidence);
}

static const struct instance *find(const struct hold *hold)
{
    return directory_look_up(api_directory(hold->api), hold->service, hold->id);
}

static void on_gap(struct api_follower *follower)
{
    struct hold *hold = container_of(follower, struct hold, follower);
    const struct instance *instance = find(hold);
    if (!instance || instance->incarnation != hold->incarnation)
        say_gone(hold, api_revision(hold->api), SLICE_LIT("unknown"), (struct slice){0}, (struct slice){0});
}

/* ------------------------------------------------------------------------------------------------ beginning */

static int copy_texts(struct hold *hold, const struct curator_request *request)
{
    int r = arena_copy(&hold->arena, request->service, &hold->service);
    if (r == 0)
        r = arena_copy(&hold->arena, request->id, &hold->id);
    if (r == 0)
        r = arena_copy(&hold->arena, instance_details(request->record)->session, &hold->session);
    if (r == 0)
        r = arena_copy(&hold->arena, request->origin.actor, &hold->actor);
    return r;
}

/* NULL: out of memory. */
static struct hold *hold_new(struct api *api, const struct change *change, int64_t grace_ms)
{
    struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        return NULL;
    hold->api = api;
    hold->worker = api_worker_of(api, change->request.loop);
    hold->grace_ns = grace_ms * NSEC_PER_MSEC;
    hold->ttl_ms = change->request.ttl_left_ms;
    hold->follower.on_change = on_change;
    hold->follower.on_gap = on_gap;
    list_init(&hold->link);
    timer_init(&hold->renewal, renew);
    if (copy_texts(hold, &change->request) == 0 &&
        api_hub_add(&hold->worker->hub, &hold->follower, &hold->service, 1, (struct slice){0}) == 0)
        return hold;
    hold_free(hold);
    return NULL;
}

static void say_registered(struct hold *hold, const struct curator_request *request)
{
    struct buf text = {0};
    struct json_writer json;
    buf_append_str(&text, "event: registered\ndata: ");
    json_writer_init(&json, &text);
    json_writer_begin_object(&json);
    json_writer_member_str(&json, SLICE_LIT("session"), hold->session);
    json_writer_member_i64(&json, SLICE_LIT("revision"), request->revision);
    json_writer_member_i64(&json, SLICE_LIT("ttl_ms"), request->ttl_left_ms);
    json_writer_end_object(&json);
    buf_append_str(&text, "\n\n");
    if (buf_error(&text) == 0)
        (void)api_stream_say(&hold->stream, buf_slice(&text));
    else
        api_stream_abort(&hold->stream);
    buf_deinit(&text);
}

void api_hold_begin(struct api *api, struct change *change, int64_t grace_ms)
{
    struct hold *hold = hold_new(api, change, grace_ms);
    const struct instance *instance = hold ? find(hold) : NULL;
    if (!instance || !slice_equal(instance_details(&instance->record)->session, hold->session)) {
        if (change->exchange && hold)
            api_refuse(change->exchange, 409, NULL, "it was registered, and is somebody else's already");
        else if (change->exchange)
            api_refuse_memory(change->exchange);
        if (hold)
            hold_free(hold);
        return;
    }
    struct exchange *exchange = change_take_exchange(change);
    hold->incarnation = instance->incarnation;
    hold->revision = instance->revision;
    enter(hold);
    if (!exchange) {
        leave(hold, SLICE_LIT("the connection ended before its registration was done"));
        hold_free(hold);
        return;
    }
    exchange->state = hold;
    exchange->app = &app;
    api_stream_begin(&hold->stream, &hold->worker->hub, exchange, change->request.was_new ? 201 : 200);
    say_registered(hold, &change->request);
    loop_arm(hold->worker->loop, &hold->renewal,
             loop_now(hold->worker->loop) + hold->ttl_ms * NSEC_PER_MSEC / RENEWALS);
}
