/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's events: JSON objects that follow each other in a stream without end, taken out of it piece by piece.
 * Pure.
 *
 * An event says little that can be relied on: which container, what it may mean, and the engine's words for it. What a
 * container is like is always asked (docker_container.h).
 */
#pragma once

#include "base/buf.h"
#include "wire/json_scan.h"

#define DOCKER_ID_LEN    12  /* of a container's id, as `docker ps` shows it */
#define DOCKER_WORDS_MAX 256 /* with the NUL */

enum docker_event_kind {
    DOCKER_EVENT_CHANGED,   /* it may be another one than before */
    DOCKER_EVENT_SIGNALLED, /* kill: a signal was sent */
    DOCKER_EVENT_OOM,       /* something in it was killed for want of memory */
    DOCKER_EVENT_DIED,
    DOCKER_EVENT_DESTROYED,
    DOCKER_EVENT_BAD, /* not understood, or too long: what it said must be found out otherwise */
};

struct docker_event {
    enum docker_event_kind kind;
    char id[DOCKER_ID_LEN + 1];   /* of the container; "" when BAD */
    char words[DOCKER_WORDS_MAX]; /* "web-1: die exitCode=137" */
    int signal;                   /* SIGNALLED */
    int64_t time_ns;              /* by the engine's clock, since 1970; 0: not told */
};

/*
 * The event in one JSON object. 0; DOCKER_EVENT_NONE: of a kind that does not matter here; -EINVAL; -ENOMEM.
 */
enum { DOCKER_EVENT_NONE = 1 };
int docker_event_parse(struct slice json, struct docker_event *ret_event);

/* What events are about that matter, as the engine's `filters`, percent-encoded: {"type":["container","network"]}. */
#define DOCKER_EVENT_FILTERS "%7B%22type%22%3A%5B%22container%22%2C%22network%22%5D%7D"

/* Zero-initialised is before the first event. */
struct docker_event_stream {
    struct json_scan scan;
    struct buf object; /* what has come of it */
    bool is_too_long;
};

typedef void (*docker_event_fn)(void *ctx, const struct docker_event *event);

/* Calls fn with each event that is complete by now. fn must not free the stream. */
void docker_event_stream_feed(struct docker_event_stream *stream, struct slice piece, docker_event_fn fn, void *ctx);
/* Back to before the first event. */
void docker_event_stream_deinit(struct docker_event_stream *stream);

/* The first DOCKER_ID_LEN bytes; false when it is too short or not of hexadecimal digits. */
bool docker_id_cut(struct slice id, char ret_id[DOCKER_ID_LEN + 1]);
/* Signal numbers from "15", "TERM" or "SIGTERM"; 0: none that is known. */
int docker_signal_parse(struct slice text);
