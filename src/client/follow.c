/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stream begins in one of two ways. Anew: the server sends a snapshot of each service, then says that all are there
 * ("synced"). Resumed, with the id of the last event that was seen: it sends what has changed since, or says that it no
 * longer knows ("reset") and begins anew by itself. Adding a service to what is followed begins anew.
 *
 * Invariant: last_id is the id of the last event whose change is in the copies, and empty while snapshots are due.
 */
#include "client/follow.h"

#include "base/backoff.h"
#include "base/util.h"
#include "client/cache.h"
#include "wire/json.h"
#include "wire/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* The server says something every 5 s. */
#define SILENCE_NS (12 * NSEC_PER_SEC)

/* How long what a snapshot does not have any more is kept as doubtful. */
#define DOUBT_NS (15 * NSEC_PER_SEC)

#define LAST_ID_MAX 64

/* Services that a server is asked for by name; it takes so many. */
#define NAMED_MAX 64

struct follow {
    struct muster_client *client;
    struct list caches;
    struct task start; /* of the stream, now or after a wait */
    struct task doubt; /* its end */
    struct ask ask;
    struct sse_parser parser;
    struct backoff backoff;
    char last_id[LAST_ID_MAX + 1];
    bool is_synced; /* the copies were whole at some moment of this stream, or when it was resumed */
    nsec_t confirmed_ns;
};

/* ------------------------------------------------------------------------------------------------ events */

static const struct json_limits json_limits = {.n_bytes = CLIENT_ANSWER_BYTES_MAX, .depth = 16};

/* The copy that an event is about; NULL when it is not followed (any more). */
static struct cache *find_by(struct follow *follow, const json_t *tree, const char *member)
{
    const char *name;
    return client_read_text(tree, member, &name) ? follow_find(follow, name) : NULL;
}

static int replace(struct follow *follow, struct cache *cache, const json_t *instances)
{
    int r = cache_replace(cache, instances, !cache->is_known);
    cache->is_due = false;
    if (cache->n_doubtful > 0)
        task_wake_at(&follow->doubt, &follow->client->driver, time_now() + DOUBT_NS);
    return r;
}

static int take_snapshot(struct follow *follow, const json_t *tree)
{
    struct cache *cache = find_by(follow, tree, "name");
    return cache ? replace(follow, cache, json_object_get(tree, "instances")) : 0;
}

static int take_change(struct follow *follow, const json_t *tree)
{
    struct cache *cache = find_by(follow, tree, "service");
    json_t *after = json_object_get(tree, "after");
    const char *id;
    if (!cache)
        return 0;
    if (json_is_object(after))
        return cache_put(cache, after);
    if (!client_read_text(tree, "instance", &id))
        return -EINVAL;
    cache_remove(cache, id);
    return 0;
}

/* A service of which there was no snapshot is one that the registry does not know. */
static int take_synced(struct follow *follow, const json_t *tree)
{
    int64_t revision;
    follow->is_synced = true;
    if (client_read_number(tree, "revision", &revision))
        (void)snprintf(follow->last_id, sizeof(follow->last_id), "%" PRId64, revision);
    list_for_each (node, &follow->caches) {
        struct cache *cache = container_of(node, struct cache, link);
        int r = cache->is_due ? replace(follow, cache, NULL) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

/* Snapshots come. */
static void begin_anew(struct follow *follow)
{
    follow->last_id[0] = '\0';
    follow->is_synced = false;
    list_for_each (node, &follow->caches)
        container_of(node, struct cache, link)->is_due = true;
}

static int take_event(struct follow *follow, const struct sse_event *event)
{
    static int (*const takers[])(struct follow * follow, const json_t *tree) = {take_snapshot, take_synced,
                                                                                take_change};
    static const char *const types[] = {"snapshot", "synced", "change"};
    if (slice_equal_str(event->type, "reset")) {
        begin_anew(follow);
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        json_t *tree = NULL;
        if (!slice_equal_str(event->type, types[i]))
            continue;
        int r = json_parse(event->data, &json_limits, &tree, NULL);
        if (r == 0)
            r = takers[i](follow, tree);
        json_decref(tree);
        return r;
    }
    return 0; /* of a newer server */
}

static int on_event(void *ctx, const struct sse_event *event)
{
    struct follow *follow = ctx;
    int r = take_event(follow, event);
    if (r == 0 && follow->is_synced && event->id.len > 0 && event->id.len <= LAST_ID_MAX) {
        memcpy(follow->last_id, event->id.ptr, event->id.len);
        follow->last_id[event->id.len] = '\0';
    }
    return r;
}

static int on_body(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct follow *follow = ctx;
    if (status != 200)
        return err_set(err, -EPROTO, "HTTP status %u", status);
    int r = sse_parser_take(&follow->parser, piece, on_event, follow);
    if (r < 0)
        return err_set(err, r, "an event that no muster sends");
    if (follow->is_synced) {
        follow->confirmed_ns = time_now();
        backoff_reset(&follow->backoff);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the stream */

static void try_again(struct follow *follow)
{
    nsec_t wait_ns = backoff_next(&follow->backoff, &follow->client->random);
    task_wake_at(&follow->start, &follow->client->driver, time_now() + wait_ns);
}

static void on_end(struct ask *ask, int result)
{
    struct follow *follow = ask->ctx;
    bool was_good = result == MUSTER_OK && ask_status(ask) == 200;
    sse_parser_deinit(&follow->parser);
    if (!was_good && ask_status(ask) >= 400) /* it does not know where we were */
        follow->last_id[0] = '\0';
    try_again(follow);
}

/* All, when there are more than can be named: the events of the others are passed over. */
static void write_path(struct follow *follow, struct buf *path)
{
    char separator = '?';
    size_t n = 0;
    list_for_each (node, &follow->caches)
        n++;
    buf_append_str(path, "/api/v1/watch");
    list_for_each (node, &follow->caches) {
        if (n > NAMED_MAX)
            break;
        buf_append_char(path, separator);
        buf_append_str(path, "service=");
        client_append_escaped(path, slice_from_str(container_of(node, struct cache, link)->name));
        separator = '&';
    }
    buf_append_char(path, '\0');
}

static void start(struct task *task)
{
    struct follow *follow = container_of(task, struct follow, start);
    struct buf path = {0};
    char header[LAST_ID_MAX + 32];
    ask_stop(&follow->ask);
    sse_parser_deinit(&follow->parser);
    sse_parser_init(&follow->parser, CLIENT_ANSWER_BYTES_MAX);
    write_path(follow, &path);
    (void)snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", follow->last_id);
    struct ask_question question = client_question(follow->client, "GET", path.ptr);
    question.silence_ns = SILENCE_NS;
    question.headers = follow->last_id[0] ? header : NULL;
    question.on_body = on_body;
    question.on_end = on_end;
    question.ctx = follow;
    if (follow->last_id[0])
        follow->is_synced = true;
    else
        begin_anew(follow);
    if (buf_error(&path) < 0 || ask_start(&follow->ask, &follow->client->driver, &question) < 0)
        try_again(follow);
    buf_deinit(&path);
}

static void end_doubt(struct task *task)
{
    struct follow *follow = container_of(task, struct follow, doubt);
    list_for_each (node, &follow->caches)
        cache_drop_doubtful(container_of(node, struct cache, link));
}

struct follow *follow_new(struct muster_client *client)
{
    struct follow *follow = calloc(1, sizeof(*follow));
    if (!follow)
        return NULL;
    follow->client = client;
    follow->confirmed_ns = -1;
    list_init(&follow->caches);
    task_init(&follow->start, &client->driver, start);
    task_init(&follow->doubt, &client->driver, end_doubt);
    return follow;
}

void follow_free(struct follow *follow)
{
    if (!follow)
        return;
    ASSERT(list_is_empty(&follow->caches));
    ask_stop(&follow->ask);
    sse_parser_deinit(&follow->parser);
    task_deinit(&follow->start, &follow->client->driver);
    task_deinit(&follow->doubt, &follow->client->driver);
    free(follow);
}

struct cache *follow_find(struct follow *follow, const char *name)
{
    list_for_each (node, &follow->caches) {
        struct cache *cache = container_of(node, struct cache, link);
        if (strcmp(cache->name, name) == 0)
            return cache;
    }
    return NULL;
}

/* Several in a row begin the stream once. */
void follow_add(struct follow *follow, struct cache *cache)
{
    list_push_back(&follow->caches, &cache->link);
    follow->last_id[0] = '\0';
    task_post(&follow->start, &follow->client->driver);
}

void follow_remove(struct follow *follow, struct cache *cache)
{
    list_remove(&cache->link);
    if (!list_is_empty(&follow->caches))
        return;
    ask_stop(&follow->ask);
    follow->last_id[0] = '\0';
    follow->is_synced = false;
    follow->confirmed_ns = -1;
    follow->start.wake_ns = NSEC_NEVER;
    list_remove(&follow->start.ready);
}

nsec_t follow_confirmed_ns(const struct follow *follow)
{
    return follow->confirmed_ns;
}
