/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Actions are a table of names. Some come with a text of their own behind a colon ("health_status: healthy"). The many
 * that are not in it, such as those of each health check, are read and passed over: engines differ in which of them
 * they can be asked to leave out.
 *
 * An object that is too long is read to its end and told as BAD: what follows it is understood again.
 */
#include "sources/docker/docker_event.h"

#include "wire/json.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* All labels of the container come with each of its events. */
#define EVENT_BYTES_MAX ((size_t)1024 * 1024)
/* Of one name in the words. */
#define WORD_MAX 64

static const struct json_limits limits = {.n_bytes = EVENT_BYTES_MAX, .depth = 16};

static const struct action {
    const char *type, *name;
    enum docker_event_kind kind;
    const char *attribute; /* that belongs to its words; NULL: none */
} actions[] = {
    {"container", "start", DOCKER_EVENT_CHANGED, NULL},
    {"container", "restart", DOCKER_EVENT_CHANGED, NULL},
    {"container", "pause", DOCKER_EVENT_CHANGED, NULL},
    {"container", "unpause", DOCKER_EVENT_CHANGED, NULL},
    {"container", "rename", DOCKER_EVENT_CHANGED, "oldName"},
    {"container", "update", DOCKER_EVENT_CHANGED, NULL},
    {"container", "health_status", DOCKER_EVENT_CHANGED, NULL},
    {"container", "stop", DOCKER_EVENT_CHANGED, NULL},
    {"container", "kill", DOCKER_EVENT_SIGNALLED, "signal"},
    {"container", "oom", DOCKER_EVENT_OOM, NULL},
    {"container", "die", DOCKER_EVENT_DIED, "exitCode"},
    {"container", "died", DOCKER_EVENT_DIED, "exitCode"}, /* Podman's word */
    {"container", "destroy", DOCKER_EVENT_DESTROYED, NULL},
    {"container", "remove", DOCKER_EVENT_DESTROYED, NULL}, /* Podman's word */
    {"network", "connect", DOCKER_EVENT_CHANGED, "name"},
    {"network", "disconnect", DOCKER_EVENT_CHANGED, "name"},
};

/* ------------------------------------------------------------------------------------------------ texts */

bool docker_id_cut(struct slice id, char ret_id[DOCKER_ID_LEN + 1])
{
    if (id.len < DOCKER_ID_LEN)
        return false;
    for (unsigned i = 0; i < DOCKER_ID_LEN; i++)
        if (!isxdigit((unsigned char)id.ptr[i]))
            return false;
    memcpy(ret_id, id.ptr, DOCKER_ID_LEN);
    ret_id[DOCKER_ID_LEN] = '\0';
    return true;
}

int docker_signal_parse(struct slice text)
{
    uint64_t number;
    char name[16];
    if (slice_parse_u64(text, &number) == 0)
        return number < NSIG ? (int)number : 0;
    if (slice_starts_with(text, SLICE_LIT("SIG")))
        text = slice_skip(text, 3);
    if (text.len == 0 || text.len >= sizeof(name))
        return 0;
    memcpy(name, text.ptr, text.len);
    name[text.len] = '\0';
    for (int signo = 1; signo < NSIG; signo++) {
        const char *known = sigabbrev_np(signo);
        if (known && strcmp(known, name) == 0)
            return signo;
    }
    return 0;
}

/* The text of a member; empty when it is missing or no text. */
static struct slice text_of(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value)) : (struct slice){0};
}

/* Appends a part of the words, as far as there is room. */
static void add_words(char words[DOCKER_WORDS_MAX], const char *before, struct slice text)
{
    size_t len = strlen(words);
    (void)snprintf(words + len, DOCKER_WORDS_MAX - len, "%s%.*s", before, (int)min_size(text.len, WORD_MAX),
                   text.ptr ? text.ptr : "");
    for (char *c = words + len; *c; c++)
        if (iscntrl((unsigned char)*c))
            *c = ' ';
}

/* "web-1: die exitCode=137", "network connect backend" */
static void write_words(struct docker_event *event, const struct action *action, struct slice name,
                        const json_t *attributes)
{
    bool is_network = strcmp(action->type, "network") == 0;
    struct slice container = is_network ? (struct slice){0} : text_of(attributes, "name");
    add_words(event->words, "", container);
    add_words(event->words, container.len > 0 ? ": " : "", is_network ? SLICE_LIT("network ") : SLICE_LIT(""));
    add_words(event->words, "", name);
    struct slice value = action->attribute ? text_of(attributes, action->attribute) : (struct slice){0};
    if (value.len == 0)
        return;
    if (!is_network)
        add_words(event->words, " ", slice_from_str(action->attribute));
    add_words(event->words, is_network ? " " : "=", value);
}

/* ------------------------------------------------------------------------------------------------ one event */

static const struct action *find_action(struct slice type, struct slice name)
{
    struct slice bare;
    (void)slice_split(name, ':', &bare);
    for (unsigned i = 0; i < ARRAY_LEN(actions); i++)
        if (slice_equal_str(type, actions[i].type) && slice_equal_str(bare, actions[i].name))
            return &actions[i];
    return NULL;
}

static int64_t time_of(const json_t *object)
{
    const json_t *exact = json_object_get(object, "timeNano"), *whole = json_object_get(object, "time");
    if (json_is_integer(exact) && json_integer_value(exact) > 0)
        return json_integer_value(exact);
    json_int_t seconds = json_is_integer(whole) ? json_integer_value(whole) : 0;
    return seconds > 0 && seconds < INT64_MAX / 1000000000 ? seconds * 1000000000 : 0;
}

static int read_event(const json_t *object, struct docker_event *event)
{
    struct slice type = text_of(object, "Type"), name = text_of(object, "Action");
    const struct action *action = find_action(type, name);
    if (!json_is_object(object) || type.len == 0 || name.len == 0)
        return -EINVAL;
    if (!action)
        return DOCKER_EVENT_NONE;
    const json_t *actor = json_object_get(object, "Actor"), *attributes = json_object_get(actor, "Attributes");
    struct slice id = slice_equal_str(type, "network") ? text_of(attributes, "container") : text_of(actor, "ID");
    if (!docker_id_cut(id, event->id))
        return -EINVAL;
    write_words(event, action, name, attributes);
    event->kind = action->kind;
    if (action->kind == DOCKER_EVENT_SIGNALLED)
        event->signal = docker_signal_parse(text_of(attributes, action->attribute));
    event->time_ns = time_of(object);
    return 0;
}

int docker_event_parse(struct slice json, struct docker_event *ret_event)
{
    json_auto_t *object = NULL;
    int r = json_parse(json, &limits, &object, NULL);
    if (r < 0)
        return r;
    struct docker_event event = {0};
    r = read_event(object, &event);
    if (r == 0)
        *ret_event = event;
    return r;
}

/* ------------------------------------------------------------------------------------------------ the stream */

static void finish_object(struct docker_event_stream *stream, docker_event_fn fn, void *ctx)
{
    struct docker_event event = {.kind = DOCKER_EVENT_BAD};
    bool is_whole = !stream->is_too_long && buf_error(&stream->object) == 0;
    int r = is_whole ? docker_event_parse(buf_slice(&stream->object), &event) : -EMSGSIZE;
    docker_event_stream_deinit(stream);
    if (r < 0)
        event = (struct docker_event){.kind = DOCKER_EVENT_BAD};
    if (r != DOCKER_EVENT_NONE)
        fn(ctx, &event);
}

void docker_event_stream_feed(struct docker_event_stream *stream, struct slice piece, docker_event_fn fn, void *ctx)
{
    stream->object.limit = EVENT_BYTES_MAX;
    while (piece.len > 0) {
        size_t n = json_scan(&stream->scan, piece);
        if (!stream->is_too_long && buf_append(&stream->object, slice_from(piece.ptr, n)) < 0) {
            stream->is_too_long = true;
            buf_deinit(&stream->object);
        }
        piece = slice_skip(piece, n);
        if (stream->scan.is_complete)
            finish_object(stream, fn, ctx);
        else if (!stream->scan.is_begun)
            docker_event_stream_deinit(stream); /* blanks between events may come for ever */
    }
}

void docker_event_stream_deinit(struct docker_event_stream *stream)
{
    buf_deinit(&stream->object);
    stream->scan = (struct json_scan){0};
    stream->is_too_long = false;
}
