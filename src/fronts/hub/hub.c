/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST: body -> change of the catalogue -> what the dispatch says that there is -> answer -> the dispatch lets notices
 * go. DELETE: body -> change -> answer. The whole way of one request lies in a struct posting.
 *
 * Registrations of this protocol have no lease: the heartbeats that the registry asks for keep them (a check of the
 * instance, run by the health floor), so that they also survive a restart of the registry.
 */
#include "fronts/hub/hub.h"

#include "base/util.h"
#include "catalog/instance_record.h"
#include "fronts/change.h"
#include "fronts/hub/hub_dispatch.h"
#include "fronts/hub/hub_object.h"
#include "fronts/service_access.h"
#include "fronts/settings.h"

#include <errno.h>
#include <stdlib.h>

#define BEAT_TIMEOUT_MS 1000

struct hub {
    const struct access *access;
    struct curator *curator;
    const struct front_settings *settings;
    struct hub_dispatch *dispatch;
};

static const struct header json_headers[] = {
    {SLICE_LIT("content-type"), SLICE_LIT("application/json")},
};

/* ------------------------------------------------------------------------------------------------ POST */

/* From the registration to the notices. */
struct posting {
    struct hub_ask ask;
    struct change *change;
    bool was_answered;
};

static void on_answer(struct hub_ask *ask)
{
    struct posting *posting = container_of(ask, struct posting, ask);
    if (posting->was_answered) {
        change_let_go(posting->change);
        buf_deinit(&ask->answer);
        free(posting);
        return;
    }
    posting->was_answered = true;
    if (ask->result == 0)
        change_respond(posting->change, 200, json_headers, ARRAY_LEN(json_headers), buf_slice(&ask->answer));
    else
        change_respond_text(posting->change, 503, "out of memory");
    hub_dispatch_answered(ask);
}

static void answer_post(struct change *change)
{
    const struct curator_request *request = &change->request;
    const struct hub *hub = change->user;
    if (request->outcome != CURATOR_OK) {
        change_respond_text(change, change_status(request), change_words(request));
        return;
    }
    struct posting *posting = calloc(1, sizeof(*posting));
    if (!posting) {
        change_respond_text(change, 503, "out of memory");
        return;
    }
    posting->change = change;
    posting->ask = (struct hub_ask){
        .loop = request->loop,
        .done = on_answer,
        .service = request->service,
        .id = request->id,
        .was_new = request->was_new,
    };
    change_keep(change);
    hub_dispatch_ask(hub->dispatch, &posting->ask);
}

/* How the registry finds out that it is alive: the heartbeats of this protocol. */
static struct instance_check beat(const struct front_settings *settings)
{
    uint32_t gap_ms = (uint32_t)(settings->hub.beat_gap_ns / NSEC_PER_MSEC);
    return (struct instance_check){
        .type = INSTANCE_CHECK_HTTP,
        .target = SLICE_LIT("/heart-beat"),
        .interval_ms = (uint32_t)(settings->hub.beat_interval_ns / NSEC_PER_MSEC),
        .retry_ms = gap_ms,
        .timeout_ms = BEAT_TIMEOUT_MS,
        .to_fail = (uint16_t)settings->hub.beat_tries,
        .to_pass = 1,
        .remove_after_ms = 1,
    };
}

struct posted {
    struct instance_record record;
    struct instance_details details;
    struct instance_check check;
    struct hub_object object;
};

/*
 * As clients of HTTP read it: a host without a port, a port without a host, which means the host of who posts it. What
 * cannot be read is kept all the same.
 */
static void read_addr(struct change *change, struct instance_record *record, struct slice addr)
{
    struct buf url = {0};
    bool has_host = addr.ptr[0] != ':';
    buf_append_str(&url, has_host ? "http://" : "http://0.0.0.0");
    buf_append(&url, addr);
    change->is_out_of_memory |= buf_error(&url) < 0;
    if (instance_record_set_address(record, change_copy(change, buf_slice(&url))))
        change_find_host(change, record);
    else
        instance_record_set_address(record, addr);
    record->address = addr;
    buf_deinit(&url);
}

static void post(struct hub *hub, struct change *change, struct posted *posted)
{
    struct curator_request *request = &change->request;
    request->type = CURATOR_REGISTER;
    request->service = posted->object.name;
    request->id = posted->object.addr;
    read_addr(change, &posted->record, posted->object.addr);
    posted->check = beat(hub->settings);
    posted->record.weight = 1;
    posted->record.protocol = SLICE_LIT("http");
    posted->record.origin = SLICE_LIT("hub");
    posted->details.needs = posted->object.required;
    posted->details.n_needs = (uint16_t)posted->object.n_required;
    posted->details.check = &posted->check;
    posted->record.details = &posted->details;
    request->record = &posted->record;
}

/* ------------------------------------------------------------------------------------------------ DELETE */

static void answer_delete(struct change *change)
{
    const struct curator_request *request = &change->request;
    if (request->outcome == CURATOR_OK || request->outcome == CURATOR_NOT_FOUND)
        change_respond(change, 200, NULL, 0, (struct slice){0}); /* what is not there need not be removed */
    else
        change_respond_text(change, change_status(request), change_words(request));
}

/* ------------------------------------------------------------------------------------------------ the front end */

static void on_body(struct exchange *exchange, struct slice body, bool is_post)
{
    struct change *change = exchange->state;
    struct hub *hub = change->user;
    struct err err = {0};
    struct posted *posted = change_alloc(change, sizeof(*posted));
    int r = posted ? hub_object_parse(body, &change->arena, &posted->object, &err) : -ENOMEM;
    if (r == -EINVAL) {
        exchange_respond_text(exchange, 400, "%s\n", err.text);
        return;
    }
    change->is_out_of_memory = r < 0;
    if (r == 0 && is_post) {
        post(hub, change, posted);
    } else if (r == 0) {
        change->request.type = CURATOR_DEREGISTER;
        change->request.service = posted->object.name;
        change->request.id = posted->object.addr;
    }
    change_submit(change);
}

static void on_post(struct exchange *exchange, struct slice body)
{
    on_body(exchange, body, true);
}

static void on_delete(struct exchange *exchange, struct slice body)
{
    on_body(exchange, body, false);
}

/*
 * Who it is stands in the head, whom it is about in the body: so whoever posts must be allowed all services, and the
 * change, which names him, begins here.
 */
static void on_request(void *instance, struct exchange *exchange)
{
    struct hub *hub = instance;
    const bool is_post = exchange->request->method == HTTP_METHOD_POST;
    unsigned refused = service_access_check(hub->access, exchange, ACCESS_WRITE, (struct slice){0});
    if (refused) {
        exchange_respond_text(exchange, refused, "%s\n", access_text(refused));
        return;
    }
    struct change *change =
        change_new(hub->curator, exchange, hub->access, "hub", is_post ? answer_post : answer_delete);
    if (!change)
        return;
    change->user = hub;
    exchange_collect(exchange, HUB_OBJECT_MAX, is_post ? on_post : on_delete);
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    struct hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return -ENOMEM;
    hub->access = env->access;
    hub->curator = env->curator;
    hub->settings = env->settings;
    int r = env->curator ? hub_dispatch_new(env->scout, env->curator, env->log, &hub->dispatch) : 0;
    if (r < 0) {
        free(hub);
        return err_set_errno(err, r, "cannot make the hub");
    }
    *ret_instance = hub;
    return 0;
}

static void destroy(void *instance)
{
    struct hub *hub = instance;
    hub_dispatch_free(hub->dispatch);
    free(hub);
}

static const struct front_path paths[] = {
    {SLICE_LIT("/services"), FRONT_EXACT, FRONT_METHOD(HTTP_METHOD_POST) | FRONT_METHOD(HTTP_METHOD_DELETE),
     on_request},
};

const struct front hub_front = {
    .name = "hub",
    .speaks = "the hub's registry with notices",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .destroy = destroy,
};
