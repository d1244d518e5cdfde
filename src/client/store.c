/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server tells of its store (src/fronts/admin). An answer other than 200 has its reason in words as the body,
 * which becomes the call's error.
 */
#include "base/util.h"
#include "client/client.h"
#include "wire/base64.h"
#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_BYTES_MAX ((size_t)32 * 1024 * 1024)
#define REASON_BYTES_MAX 400

static const struct json_limits json_limits = {.n_bytes = ANSWER_BYTES_MAX, .depth = 16};

/* A body that is a reason in words, of which as much is shown as there is room for. */
static int refused(struct muster_client *client, unsigned status, struct slice reason)
{
    reason = slice_trim((struct slice){reason.ptr, min_size(slice_find(reason, '\n'), REASON_BYTES_MAX)});
    if (slice_is_empty(reason) || status == 404)
        return client_fail(client, MUSTER_BAD_ANSWER, "the server answered with HTTP status %u", status);
    return client_fail(client, MUSTER_REFUSED, "%.*s", SLICE_ARG(reason));
}

/* ------------------------------------------------------------------------------------------------ copies */

struct copying {
    muster_piece_fn fn;
    void *ctx;
    struct buf reason; /* the body, when it is no copy */
};

static int take_piece(void *ctx, unsigned status, struct slice piece, struct err *err)
{
    struct copying *copying = ctx;
    if (status != 200) {
        struct slice rest = {piece.ptr, min_size(piece.len, REASON_BYTES_MAX - copying->reason.len)};
        return buf_append(&copying->reason, rest);
    }
    if (copying->fn(copying->ctx, piece.ptr, piece.len) != 0)
        return err_set(err, -ECANCELED, "the copy was not taken to its end");
    return 0;
}

int muster_store_snapshot(struct muster_client *client, muster_piece_fn fn, void *ctx)
{
    struct copying copying = {.fn = fn, .ctx = ctx};
    unsigned status = 0;
    if (client_misses(client, "fn", fn != NULL))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    struct ask_question question = client_question(client, "GET", "/api/v1/store/snapshot");
    question.on_body = take_piece;
    question.ctx = &copying;
    int result = client_ask(client, &question, &status);
    if (result == MUSTER_OK && status != 200)
        result = refused(client, status, buf_slice(&copying.reason));
    client_unlock(client);
    buf_deinit(&copying.reason);
    return result;
}

/* ------------------------------------------------------------------------------------------------ answers in JSON */

/* Asks, and gives the tree of a good answer. */
static int ask_tree(struct muster_client *client, const char *method, const char *path, json_t **ret_tree)
{
    CLEANUP(buf_deinit) struct buf body = {.limit = ANSWER_BYTES_MAX};
    unsigned status = 0;
    struct ask_question question = client_question(client, method, path);
    int result = client_ask_all(client, &question, &body, &status);
    if (result != MUSTER_OK)
        return result;
    if (status != 200)
        return refused(client, status, buf_slice(&body));
    struct err err = {""};
    int r = json_parse(buf_slice(&body), &json_limits, ret_tree, &err);
    if (r == -ENOMEM)
        return client_fail(client, MUSTER_OUT_OF_MEMORY, "out of memory");
    return r < 0 ? client_fail(client, MUSTER_BAD_ANSWER, "%s", err.text) : MUSTER_OK;
}

int muster_store_compact(struct muster_client *client, int64_t revision, int64_t *ret_revision)
{
    char path[96] = "/api/v1/store/compaction";
    json_t *tree = NULL;
    int64_t compacted = 0;
    if (!client)
        return MUSTER_BAD_OPTIONS;
    if (revision != 0)
        (void)snprintf(path, sizeof(path), "/api/v1/store/compaction?revision=%" PRId64, revision);
    client_lock(client);
    int result = ask_tree(client, "POST", path, &tree);
    if (result == MUSTER_OK && !client_read_number(tree, "compacted_revision", &compacted))
        result = client_fail_answer(client, -EINVAL);
    client_unlock(client);
    if (result == MUSTER_OK && ret_revision)
        *ret_revision = compacted;
    json_decref(tree);
    return result;
}

/* ------------------------------------------------------------------------------------------------ reasons */

struct why {
    struct muster_why shown; /* what the caller has */
    json_t *tree;            /* has the texts */
    struct buf keys;
    struct muster_note *notes;
};

static void why_free(struct why *why)
{
    if (!why)
        return;
    json_decref(why->tree);
    buf_deinit(&why->keys);
    free(why->notes);
    free(why);
}

void muster_why_free(struct muster_why *shown)
{
    why_free(shown ? container_of(shown, struct why, shown) : NULL);
}

/* The key is left where it begins in why->keys, as a number: the buf may still move. */
static int read_note(struct why *why, const json_t *item, struct muster_note *ret_note)
{
    const char *key;
    size_t begin = why->keys.len;
    if (!client_read_text(item, "what", &ret_note->what) || !client_read_text(item, "lease", &ret_note->lease) ||
        !client_read_text(item, "actor", &ret_note->actor) || !client_read_text(item, "cause", &ret_note->cause) ||
        !client_read_text(item, "key", &key) || !client_read_number(item, "revision", &ret_note->revision) ||
        !client_read_number(item, "wall_ms", &ret_note->wall_ms) ||
        !client_read_number(item, "silence_ms", &ret_note->silence_ms))
        return MUSTER_BAD_ANSWER;
    int r = base64_decode(slice_from_str(key), &why->keys);
    ret_note->key_len = why->keys.len - begin;
    return r == -ENOMEM ? MUSTER_OUT_OF_MEMORY : r < 0 ? MUSTER_BAD_ANSWER : MUSTER_OK;
}

static int read_why(struct why *why)
{
    const json_t *exists = json_object_get(why->tree, "exists"), *list = json_object_get(why->tree, "notes");
    if (!json_is_boolean(exists) || !json_is_array(list))
        return MUSTER_BAD_ANSWER;
    size_t n = json_array_size(list);
    why->notes = calloc(n + 1, sizeof(why->notes[0]));
    if (!why->notes)
        return MUSTER_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++) {
        int result = read_note(why, json_array_get(list, i), &why->notes[i]);
        if (result != MUSTER_OK)
            return result;
    }
    const char *key = why->keys.ptr;
    for (size_t i = 0; i < n && key; i++) {
        why->notes[i].key = key;
        key += why->notes[i].key_len;
    }
    why->shown = (struct muster_why){json_is_true(exists), n, why->notes};
    return MUSTER_OK;
}

static int ask_why(struct muster_client *client, const char *path, struct muster_why **ret_why)
{
    struct why *why = calloc(1, sizeof(*why));
    if (!why)
        return client_fail(client, MUSTER_OUT_OF_MEMORY, "out of memory");
    int result = ask_tree(client, "GET", path, &why->tree);
    if (result == MUSTER_OK) {
        result = read_why(why);
        if (result == MUSTER_BAD_ANSWER)
            result = client_fail_answer(client, -EINVAL);
        else if (result != MUSTER_OK)
            result = client_fail(client, result, "out of memory");
    }
    if (result != MUSTER_OK) {
        why_free(why);
        return result;
    }
    *ret_why = &why->shown;
    return MUSTER_OK;
}

static int ask_why_of(struct muster_client *client, const char *parameter, struct slice value,
                      struct muster_why **ret_why)
{
    CLEANUP(buf_deinit) struct buf path = {0};
    if (client_misses(client, "ret_why", ret_why != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_why = NULL;
    buf_append_str(&path, "/api/v1/store/why?");
    buf_append_str(&path, parameter);
    client_append_escaped(&path, value);
    buf_append_char(&path, '\0');
    client_lock(client);
    int result = buf_error(&path) < 0 ? client_fail_memory(client) : ask_why(client, path.ptr, ret_why);
    client_unlock(client);
    return result;
}

int muster_store_why_key(struct muster_client *client, const void *key, size_t key_len, struct muster_why **ret_why)
{
    if (client_misses(client, "key", key || key_len == 0))
        return MUSTER_BAD_OPTIONS;
    return ask_why_of(client, "key=", slice_from(key, key_len), ret_why);
}

int muster_store_why_lease(struct muster_client *client, const char *lease, struct muster_why **ret_why)
{
    if (client_misses(client, "lease", lease != NULL))
        return MUSTER_BAD_OPTIONS;
    return ask_why_of(client, "lease=", slice_from_str(lease), ret_why);
}
