/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes that come, by a stream of their own (muster_watch), and those that were (the timeline).
 */
#include "base/backoff.h"
#include "base/util.h"
#include "client/client.h"
#include "client/event.h"
#include "wire/json.h"
#include "wire/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SILENCE_NS (12 * NSEC_PER_SEC) /* the server says something every 5 s */

bool event_read(const json_t *tree, struct muster_event *ret_event)
{
    struct muster_event event = {.silence_ms = 0};
    if (!client_read_number(tree, "wall_ms", &event.wall_ms) ||
        !client_read_number(tree, "revision", &event.revision) || !client_read_text(tree, "kind", &event.kind) ||
        !client_read_text(tree, "service", &event.service) || !client_read_text(tree, "instance", &event.instance) ||
        !client_read_text(tree, "actor", &event.actor) || !client_read_text(tree, "evidence", &event.evidence))
        return false;
    (void)client_read_number(tree, "silence_ms", &event.silence_ms);
    *ret_event = event;
    return true;
}

int event_read_list(const json_t *list, struct muster_event **ret_items, size_t *ret_n)
{
    size_t n = json_array_size(list);
    struct muster_event *items = calloc(n + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!event_read(json_array_get(list, i), &items[i])) {
            free(items);
            return -EINVAL;
        }
    }
    *ret_items = items;
    *ret_n = n;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ those that come */

struct watch {
    struct muster_client *client;
    muster_event_fn fn;
    void *ctx;
    struct buf path;
    struct sse_parser parser;
    struct backoff backoff;
    char last_id[64];
    bool was_there; /* the stream was whole once */
    struct task again;
    struct ask ask;
    bool is_over;
    int result;
};

static const struct json_limits json_limits = {.n_bytes = CLIENT_ANSWER_BYTES_MAX, .depth = 16};

static int pass_change(struct watch *watch, struct slice data)
{
    struct muster_event event;
    json_t *tree = NULL;
    int r = json_parse(data, &json_limits, &tree, NULL);
    if (r == 0 && !event_read(tree, &event))
        r = -EINVAL;
    if (r == 0 && watch->fn(watch->ctx, &event) != 0)
        r = -ECANCELED;
    json_decref(tree);
    return r;
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct watch *watch = ctx;
    int r = 0;
    if (slice_equal_str(event->type, "change"))
        r = pass_change(watch, event->data);
    else if (slice_equal_str(event->type, "synced"))
        watch->was_there = true;
    else if (slice_equal_str(event->type, "reset") &&
             watch->fn(watch->ctx, &(struct muster_event){0, 0, "reset", "", "", "", "", 0}) != 0)
        r = -ECANCELED;
    if (event->id.len > 0 && event->id.len < sizeof(watch->last_id)) {
        memcpy(watch->last_id, event->id.ptr, event->id.len);
        watch->last_id[event->id.len] = '\0';
    }
    backoff_reset(&watch->backoff);
    return r;
}

static int on_body(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct watch *watch = ctx;
    if (status != 200) {
        (void)client_refused(status, piece, err);
        return -EPROTO;
    }
    int r = sse_parser_take(&watch->parser, piece, on_event, watch);
    return r == 0 || r == -ECANCELED ? r : err_set(err, r, "an event that no muster sends");
}

static void on_end(struct ask *ask, int result)
{
    struct watch *watch = ask->ctx;
    unsigned status = ask_status(ask);
    sse_parser_deinit(&watch->parser);
    if (result == MUSTER_STOPPED || !watch->was_there || (status >= 400 && status < 500)) {
        watch->result = result == MUSTER_BAD_ANSWER && status >= 400 ? MUSTER_REFUSED : result;
        if (result == MUSTER_OK)
            watch->result = MUSTER_BAD_ANSWER;
        watch->is_over = true;
        return;
    }
    nsec_t wait_ns = backoff_next(&watch->backoff, &watch->client->random);
    task_wake_at(&watch->again, &watch->client->driver, time_now() + wait_ns);
}

static void start(struct task *task)
{
    struct watch *watch = container_of(task, struct watch, again);
    struct ask_question question = client_question(watch->client, "GET", watch->path.ptr);
    char header[96];
    (void)snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", watch->last_id);
    sse_parser_init(&watch->parser, CLIENT_ANSWER_BYTES_MAX);
    question.silence_ns = SILENCE_NS;
    question.headers = watch->last_id[0] ? header : NULL;
    question.on_body = on_body;
    question.on_end = on_end;
    question.ctx = watch;
    if (ask_start(&watch->ask, &watch->client->driver, &question) < 0) {
        watch->result = MUSTER_OUT_OF_MEMORY;
        watch->is_over = true;
    }
}

static void write_watch_path(struct buf *path, const char *const *services)
{
    buf_append_str(path, "/api/v1/watch");
    for (size_t i = 0; services && services[i]; i++) {
        buf_append_str(path, i == 0 ? "?service=" : "&service=");
        client_append_escaped(path, slice_from_str(services[i]));
    }
    buf_append_char(path, '\0');
}

int muster_watch(struct muster_client *client, const char *const *services, muster_event_fn fn, void *ctx)
{
    struct watch watch = {.client = client, .fn = fn, .ctx = ctx};
    if (client_misses(client, "fn", fn != NULL))
        return MUSTER_BAD_OPTIONS;
    write_watch_path(&watch.path, services);
    client_lock(client);
    client->error = client->options_error;
    int result = client->options_result;
    if (result == MUSTER_OK)
        result = client_refuse_in_callback(client, "wait");
    if (result == MUSTER_OK && buf_error(&watch.path) < 0)
        result = client_fail_memory(client);
    if (result == MUSTER_OK) {
        task_init(&watch.again, &client->driver, start);
        task_post(&watch.again, &client->driver);
        (void)driver_run_until(&client->driver, &watch.is_over);
        task_deinit(&watch.again, &client->driver);
        result = client_fail(client, watch.result, "%s", watch.ask.err.text);
    }
    client_unlock(client);
    buf_deinit(&watch.path);
    return result;
}

/* ------------------------------------------------------------------------------------------------ those that were */

struct history {
    struct muster_history shown;
    struct muster_event *items;
    json_t *tree; /* has the texts */
};

void muster_history_free(struct muster_history *shown)
{
    if (!shown)
        return;
    struct history *history = container_of(shown, struct history, shown);
    json_decref(history->tree);
    free(history->items);
    free(history);
}

static void write_history_path(struct buf *path, const char *service, const char *instance, int64_t since_ms,
                               unsigned limit)
{
    buf_printf(path, "/api/v1/timeline?since_ms=%" PRId64, since_ms);
    if (limit > 0)
        buf_printf(path, "&limit=%u", limit);
    if (service) {
        buf_append_str(path, "&service=");
        client_append_escaped(path, slice_from_str(service));
    }
    if (instance) {
        buf_append_str(path, "&instance=");
        client_append_escaped(path, slice_from_str(instance));
    }
    buf_append_char(path, '\0');
}

int muster_get_history(struct muster_client *client, const char *service, const char *instance, int64_t since_ms,
                       unsigned limit, struct muster_history **ret_history)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "ret_history", ret_history != NULL))
        return MUSTER_BAD_OPTIONS;
    struct history *history = calloc(1, sizeof(*history));
    *ret_history = NULL;
    write_history_path(&path, service, instance, since_ms, limit);
    client_lock(client);
    int result = client_fail_memory(client);
    if (history && buf_error(&path) == 0) {
        struct ask_question question = client_question(client, "GET", path.ptr);
        result = client_ask_json(client, &question, &history->tree);
    }
    if (result == MUSTER_OK) {
        int r = event_read_list(json_object_get(history->tree, "entries"), &history->items, &history->shown.n);
        if (r < 0)
            result = client_fail_answer(client, r);
    }
    client_unlock(client);
    if (result == MUSTER_OK) {
        history->shown.items = history->items;
        *ret_history = &history->shown;
    } else if (history) {
        muster_history_free(&history->shown);
    }
    return result;
}
