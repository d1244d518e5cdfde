/* SPDX-License-Identifier: Apache-2.0 */
/*
 * muster_get_status: reads what /api/v1/status says (src/fronts/ops/ops_status.c writes it).
 *
 * The strings of the result are those of the JSON tree, which is kept with it.
 */
#include "client/client.h"

#include "base/util.h"
#include "wire/json.h"

#include <errno.h>
#include <stdlib.h>

#define ANSWER_BYTES_MAX (1024 * 1024)

static const struct json_limits json_limits = {.n_bytes = ANSWER_BYTES_MAX, .depth = 16};

struct status {
    struct muster_status shown; /* what the caller has */
    json_t *tree;
    struct muster_listener *listeners;
    struct muster_worker *workers;
    struct muster_source *sources;
};

static void status_free(struct status *status)
{
    if (!status)
        return;
    json_decref(status->tree);
    free(status->listeners);
    free(status->workers);
    free(status->sources);
    free(status);
}

void muster_status_free(struct muster_status *shown)
{
    status_free(shown ? container_of(shown, struct status, shown) : NULL);
}

/* What is counted here is never negative. */
static bool read_count(const json_t *object, const char *name, int64_t *ret_number)
{
    return client_read_number(object, name, ret_number) && *ret_number >= 0;
}

/* MUSTER_OK, MUSTER_BAD_ANSWER or MUSTER_OUT_OF_MEMORY. */
static int read_listeners(struct status *status)
{
    const json_t *list = json_object_get(status->tree, "listeners");
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return MUSTER_BAD_ANSWER;
    status->listeners = calloc(n + 1, sizeof(*status->listeners));
    if (!status->listeners)
        return MUSTER_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        struct muster_listener *listener = &status->listeners[i];
        if (!client_read_text(item, "role", &listener->role) ||
            !client_read_text(item, "address", &listener->address) ||
            !client_read_text(item, "protocols", &listener->protocols))
            return MUSTER_BAD_ANSWER;
    }
    status->shown.listeners = status->listeners;
    status->shown.n_listeners = n;
    return MUSTER_OK;
}

static int read_workers(struct status *status)
{
    const json_t *list = json_object_get(status->tree, "workers");
    size_t n = json_array_size(list);
    if (!json_is_array(list))
        return MUSTER_BAD_ANSWER;
    status->workers = calloc(n + 1, sizeof(*status->workers));
    if (!status->workers)
        return MUSTER_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int64_t n_connections;
        if (!read_count(json_array_get(list, i), "connections", &n_connections))
            return MUSTER_BAD_ANSWER;
        status->workers[i].n_connections = (uint64_t)n_connections;
    }
    status->shown.workers = status->workers;
    status->shown.n_workers = n;
    return MUSTER_OK;
}

static bool read_source(const json_t *item, struct muster_source *source)
{
    return client_read_text(item, "name", &source->name) && client_read_text(item, "place", &source->place) &&
           client_read_text(item, "state", &source->state) && client_read_text(item, "trouble", &source->trouble) &&
           read_count(item, "last_success_ms", &source->last_success_ms) &&
           read_count(item, "next_try_ms", &source->next_try_ms) &&
           read_count(item, "instances", &source->n_instances) && read_count(item, "drifts", &source->n_drifts);
}

/* An older server tells of none. */
static int read_sources(struct status *status)
{
    const json_t *list = json_object_get(status->tree, "sources");
    size_t n = json_array_size(list);
    status->sources = calloc(n + 1, sizeof(*status->sources));
    if (!status->sources)
        return MUSTER_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        if (!read_source(json_array_get(list, i), &status->sources[i]))
            return MUSTER_BAD_ANSWER;
    status->shown.sources = status->sources;
    status->shown.n_sources = n;
    return MUSTER_OK;
}

static int read_status(struct status *status)
{
    struct muster_status *shown = &status->shown;
    const json_t *tree = status->tree, *ready = json_object_get(tree, "ready");
    int64_t memory_bytes;
    if (!json_is_boolean(ready) || !client_read_text(tree, "version", &shown->version) ||
        !client_read_text(tree, "role", &shown->role) || !client_read_text(tree, "not_ready", &shown->not_ready) ||
        !read_count(tree, "pid", &shown->pid) || !read_count(tree, "uptime_ms", &shown->uptime_ms) ||
        !read_count(tree, "memory_bytes", &memory_bytes))
        return MUSTER_BAD_ANSWER;
    shown->ready = json_is_true(ready);
    shown->memory_bytes = (uint64_t)memory_bytes;
    int result = read_listeners(status);
    if (result == MUSTER_OK)
        result = read_workers(status);
    return result == MUSTER_OK ? read_sources(status) : result;
}

static int take_answer(struct muster_client *client, struct slice body, unsigned http_status,
                       struct status **ret_status)
{
    if (http_status != 200)
        return client_fail(client, MUSTER_BAD_ANSWER, "the server answered with HTTP status %u", http_status);
    struct status *status = calloc(1, sizeof(*status));
    struct err err = {"the answer is not a muster's status"};
    int result = MUSTER_OUT_OF_MEMORY;
    if (status) {
        int r = json_parse(body, &json_limits, &status->tree, &err);
        if (r != -ENOMEM)
            result = r == 0 ? read_status(status) : MUSTER_BAD_ANSWER;
    }
    if (result != MUSTER_OK) {
        status_free(status);
        return client_fail(client, result, "%s", result == MUSTER_OUT_OF_MEMORY ? "out of memory" : err.text);
    }
    *ret_status = status;
    return MUSTER_OK;
}

int muster_get_status(struct muster_client *client, struct muster_status **ret_status)
{
    struct buf body = {.limit = ANSWER_BYTES_MAX};
    struct status *status = NULL;
    unsigned http_status = 0;
    if (client_misses(client, "ret_status", ret_status != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_status = NULL;
    client_lock(client);
    struct ask_question question = client_question(client, "GET", "/api/v1/status");
    int result = client_ask_all(client, &question, &body, &http_status);
    if (result == MUSTER_OK)
        result = take_answer(client, buf_slice(&body), http_status, &status);
    client_unlock(client);
    buf_deinit(&body);
    if (result == MUSTER_OK)
        *ret_status = &status->shown;
    return result;
}
