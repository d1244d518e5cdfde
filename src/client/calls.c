/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster_call and muster_broadcast: they choose the instances, start calls and wait for their ends (but
 * muster_call_start). A broadcast starts the next of its calls when one ends, so that a service of any size takes no
 * more than so many descriptors.
 */
#include "base/util.h"
#include "client/cache.h"
#include "client/call.h"

#include <errno.h>
#include <stdlib.h>

#define TRIES_MAX     ((size_t)16)
#define AT_ONCE_MAX   ((size_t)1024)
#define BROADCAST_MAX ((size_t)16384)

/* Who may be asked. A muster_result. */
static int find_candidates(struct muster_service *service, struct muster_instances **ret_candidates)
{
    struct muster_client *client = service->client;
    client->error.text[0] = '\0';
    *ret_candidates = cache_candidates(service->cache);
    if (!*ret_candidates)
        return client_fail_memory(client);
    if ((*ret_candidates)->n == 0)
        return client_fail(client, MUSTER_NOT_FOUND, "\"%s\" has no instance that may be used", service->cache->name);
    return MUSTER_OK;
}

/* The result of a call that could not be started, for its owner to show like others. */
static void end_unstarted(struct call *call, int error)
{
    call->result = error == -ENOMEM ? MUSTER_OUT_OF_MEMORY : MUSTER_UNREACHABLE;
    if (error == -ENOMEM)
        err_set(&call->err, 0, "out of memory");
}

/* ------------------------------------------------------------------------------------------------ one */

/* A call and, in the end, its reply, with all that this points to. */
struct muster_pending {
    struct muster_reply shown;
    struct muster_client *client;
    struct call_question question;
    struct call call;
    const struct muster_instance *chosen; /* in use until the end */
    bool is_over;
    muster_pending_fn fn;
    void *ctx;
};

static void pending_free(struct muster_pending *pending)
{
    if (!pending)
        return;
    muster_instance_release(pending->chosen);
    call_deinit(&pending->call);
    call_question_deinit(&pending->question);
    free(pending);
}

static void pending_freep(struct muster_pending **pending)
{
    pending_free(*pending);
}

static void show(struct muster_pending *pending)
{
    muster_instance_release(TAKE(pending->chosen));
    pending->shown = call_show(&pending->call);
    pending->is_over = true;
}

static void on_call_end(struct call *call)
{
    struct muster_pending *pending = call->ctx;
    show(pending);
    if (pending->fn)
        pending->fn(pending->ctx, pending);
}

/* The chosen one first, then its neighbours in the list. */
static int ask_chosen(struct muster_service *service, struct muster_pending *pending,
                      struct muster_instances *candidates, enum muster_policy policy)
{
    size_t first = 0;
    int result = muster_service_select(service, policy, &pending->chosen);
    if (result != MUSTER_OK)
        return result;
    while (candidates->items[first] != pending->chosen)
        first++;
    pending->call.on_end = on_call_end;
    pending->call.ctx = pending;
    int r = call_start(&pending->call, service->client, &pending->question, candidates, first,
                       min_size(candidates->n, TRIES_MAX));
    if (r == 0)
        return MUSTER_OK;
    end_unstarted(&pending->call, r);
    show(pending);
    return client_fail(service->client, pending->shown.result, "%s", pending->shown.error);
}

static int start_one(struct muster_service *service, const char *method, const char *params,
                     const struct muster_call_options *options, struct muster_pending **ret_pending)
{
    struct muster_instances *candidates;
    int result = find_candidates(service, &candidates);
    if (result != MUSTER_OK)
        return result;
    struct muster_pending *pending CLEANUP(pending_freep) = calloc(1, sizeof(*pending));
    if (!pending)
        return client_fail_memory(service->client);
    pending->client = service->client;
    result = call_question_init(&pending->question, service->client, method, params, options);
    if (result == MUSTER_OK)
        result = ask_chosen(service, pending, candidates, options ? options->policy : MUSTER_ROUND_ROBIN);
    if (result == MUSTER_OK)
        *ret_pending = TAKE(pending);
    return result;
}

static int call_one(struct muster_service *service, const char *method, const char *params,
                    const struct muster_call_options *options, struct muster_reply **ret_reply)
{
    struct muster_client *client = service->client;
    struct muster_pending *pending CLEANUP(pending_freep) = NULL;
    int result = client_refuse_in_callback(client, "wait for a reply");
    if (result == MUSTER_OK)
        result = start_one(service, method, params, options, &pending);
    if (result != MUSTER_OK)
        return result;
    (void)driver_run_until(&client->driver, &pending->is_over);
    result = client_fail(client, pending->shown.result, "%s", pending->shown.error);
    if (result == MUSTER_OK || result == MUSTER_REMOTE_ERROR)
        *ret_reply = &TAKE(pending)->shown;
    return result;
}

int muster_call(struct muster_service *service, const char *method, const char *params,
                const struct muster_call_options *options, struct muster_reply **ret_reply)
{
    if (!service || client_misses(service->client, "ret_reply", ret_reply != NULL))
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = service->client; /* a callback may free the service meanwhile */
    *ret_reply = NULL;
    client_lock(client);
    client_ref(client);
    int result = call_one(service, method, params, options, ret_reply);
    client_unlock(client);
    client_unref(client);
    return result;
}

void muster_reply_free(struct muster_reply *reply)
{
    pending_free(reply ? container_of(reply, struct muster_pending, shown) : NULL);
}

int muster_call_start(struct muster_service *service, const char *method, const char *params,
                      const struct muster_call_options *options, muster_pending_fn fn, void *ctx,
                      struct muster_pending **ret_pending)
{
    if (!service || client_misses(service->client, "ret_pending", ret_pending != NULL))
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = service->client;
    *ret_pending = NULL;
    client_lock(client);
    int result = start_one(service, method, params, options, ret_pending);
    if (result == MUSTER_OK) {
        (*ret_pending)->fn = fn;
        (*ret_pending)->ctx = ctx;
        client_ref(client);
    }
    client_unlock(client);
    return result;
}

const struct muster_reply *muster_pending_reply(const struct muster_pending *pending)
{
    if (!pending)
        return NULL;
    client_lock(pending->client);
    bool is_over = pending->is_over;
    client_unlock(pending->client);
    return is_over ? &pending->shown : NULL;
}

void muster_pending_free(struct muster_pending *pending)
{
    if (!pending)
        return;
    struct muster_client *client = pending->client;
    client_lock(client);
    pending_free(pending);
    client_unlock(client);
    client_unref(client);
}

/* ------------------------------------------------------------------------------------------------ all */

struct broadcast {
    struct muster_replies shown;
    struct muster_reply *items;
    struct call_question question;
    struct muster_instances *instances;
    bool wants_all; /* all replies, whatever they are */
    size_t n_started, n_ended;
    const struct call *failed; /* the first error ends it */
    bool is_over;
    struct call calls[];
};

static void broadcast_free(struct broadcast *broadcast)
{
    if (!broadcast)
        return;
    for (size_t i = 0; i < broadcast->n_started; i++)
        call_deinit(&broadcast->calls[i]);
    call_question_deinit(&broadcast->question);
    muster_instances_free(broadcast->instances);
    free(broadcast->items);
    free(broadcast);
}

static void broadcast_freep(struct broadcast **broadcast)
{
    broadcast_free(*broadcast);
}

static void cancel_rest(struct broadcast *broadcast)
{
    for (size_t i = 0; i < broadcast->n_started; i++)
        ask_stop(&broadcast->calls[i].ask);
}

static void count_end(struct broadcast *broadcast, const struct call *call)
{
    broadcast->n_ended++;
    if (call->result != MUSTER_OK && !broadcast->wants_all) {
        broadcast->failed = call;
        cancel_rest(broadcast);
    }
    broadcast->is_over = broadcast->failed || broadcast->n_ended == broadcast->instances->n;
}

static void on_member_end(struct call *call);

static void start_members(struct broadcast *broadcast, struct muster_client *client)
{
    struct muster_instances *instances = broadcast->instances;
    while (!broadcast->is_over && broadcast->n_started < instances->n &&
           broadcast->n_started - broadcast->n_ended < AT_ONCE_MAX) {
        struct call *call = &broadcast->calls[broadcast->n_started];
        call->on_end = on_member_end;
        call->ctx = broadcast;
        call->instance = instances->items[broadcast->n_started];
        int r = call_start(call, client, &broadcast->question, instances, broadcast->n_started, 1);
        broadcast->n_started++;
        if (r < 0) {
            end_unstarted(call, r);
            count_end(broadcast, call);
        }
    }
}

static void on_member_end(struct call *call)
{
    struct broadcast *broadcast = call->ctx;
    count_end(broadcast, call);
    start_members(broadcast, call->client);
}

static int new_broadcast(struct muster_client *client, struct muster_instances *instances,
                         struct broadcast **ret_broadcast)
{
    if (instances->n > BROADCAST_MAX)
        return client_fail(client, MUSTER_BAD_OPTIONS, "a broadcast goes to %zu instances at most, and here are %zu",
                           BROADCAST_MAX, instances->n);
    struct broadcast *broadcast CLEANUP(broadcast_freep) =
        calloc(1, sizeof(*broadcast) + instances->n * sizeof(broadcast->calls[0]));
    if (!broadcast)
        return client_fail_memory(client);
    broadcast->instances = known_list_ref(instances);
    broadcast->items = calloc(instances->n, sizeof(broadcast->items[0]));
    if (!broadcast->items)
        return client_fail_memory(client);
    *ret_broadcast = TAKE(broadcast);
    return MUSTER_OK;
}

/* Waits for the end, and shows what came of it. */
static int end_broadcast(struct broadcast *broadcast, struct muster_client *client)
{
    (void)driver_run_until(&client->driver, &broadcast->is_over);
    const struct call *failed = broadcast->failed;
    if (failed)
        return client_fail(client, failed->result, "%s: %s", failed->instance->id, failed->err.text);
    for (size_t i = 0; i < broadcast->instances->n; i++)
        broadcast->items[i] = call_show(&broadcast->calls[i]);
    broadcast->shown = (struct muster_replies){broadcast->instances->n, broadcast->items};
    return MUSTER_OK;
}

static int call_all(struct muster_service *service, const char *method, const char *params,
                    const struct muster_call_options *options, struct muster_replies **ret_replies)
{
    struct muster_client *client = service->client;
    struct muster_instances *candidates;
    struct broadcast *broadcast CLEANUP(broadcast_freep) = NULL;
    int result = client_refuse_in_callback(client, "wait for a reply");
    if (result == MUSTER_OK)
        result = find_candidates(service, &candidates);
    if (result == MUSTER_OK)
        result = new_broadcast(client, candidates, &broadcast);
    if (result == MUSTER_OK)
        result = call_question_init(&broadcast->question, client, method, params, options);
    if (result != MUSTER_OK)
        return result;
    broadcast->wants_all = options && options->all_replies;
    start_members(broadcast, client);
    result = end_broadcast(broadcast, client);
    if (result == MUSTER_OK)
        *ret_replies = &TAKE(broadcast)->shown;
    return result;
}

int muster_broadcast(struct muster_service *service, const char *method, const char *params,
                     const struct muster_call_options *options, struct muster_replies **ret_replies)
{
    if (!service || client_misses(service->client, "ret_replies", ret_replies != NULL))
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = service->client;
    *ret_replies = NULL;
    client_lock(client);
    client_ref(client);
    int result = call_all(service, method, params, options, ret_replies);
    client_unlock(client);
    client_unref(client);
    return result;
}

void muster_replies_free(struct muster_replies *replies)
{
    broadcast_free(replies ? container_of(replies, struct broadcast, shown) : NULL);
}
