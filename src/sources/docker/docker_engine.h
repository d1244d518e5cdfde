/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine that is followed: its API is asked over HTTP, its events are listened to, and whenever the connection to it
 * is made anew, or it is time, its list of containers is read. Docker's engine, or what speaks its API (Podman).
 *
 * Events are subscribed to before the list is asked for, and from the last one on that was heard (the first time: from
 * the greeting on, since engines answer before they begin to listen), so that nothing that happens is in neither. Where
 * events are not to be had, the list is asked for more often. A lost engine is tried again for ever.
 *
 * Embedded in its owner; all on the scout's loop, but for the atomics.
 */
#pragma once

#include "base/backoff.h"
#include "base/log.h"
#include "http/errand.h"
#include "sources/docker/docker_event.h"

struct docker_engine;

struct docker_engine_options {
    struct slice host; /* "unix:/path", or a name or address */
    uint16_t port;
    struct tls_config *tls; /* NULL: plain */
    nsec_t list_every_ns;   /* while events come */
    nsec_t poll_every_ns;   /* while none are to be had */
    bool may_be_missing;    /* that there is none is not worth a warning */
};

struct docker_engine_events {
    /*
     * All that run, each of DOCKER_ID_LEN + 1 bytes. is_first: since the connection was made; has_events: what is new
     * in it has been told by an event, or will be.
     */
    void (*on_list)(struct docker_engine *engine, struct slice ids, bool is_first, bool has_events);
    void (*on_event)(struct docker_engine *engine, const struct docker_event *event); /* never BAD */
    void (*on_lost)(struct docker_engine *engine); /* it was there, and cannot be reached now */
};

enum docker_engine_state {
    DOCKER_ENGINE_RESTS,
    DOCKER_ENGINE_WAITS,      /* for the next try */
    DOCKER_ENGINE_GREETS,     /* asks for its version */
    DOCKER_ENGINE_SUBSCRIBES, /* to its events */
    DOCKER_ENGINE_FOLLOWS,
    DOCKER_ENGINE_POLLS,
};

/* A question to the engine. Zeroed by its owner, who keeps it until `done`, which comes exactly once. */
struct docker_ask;
typedef void (*docker_ask_fn)(struct docker_ask *ask, int result);
struct docker_ask {
    struct errand errand; /* its body is the answer */
    docker_ask_fn done;
    struct docker_engine *engine;
    char target[96];
};

struct docker_engine {
    struct docker_engine_options options;
    const struct docker_engine_events *events;
    struct log *log;
    struct errand_office *office;
    struct random random;
    _Atomic(enum docker_engine_state) state;
    _Atomic(const char *) trouble;       /* why it cannot be reached; static; "" while it can */
    _Atomic int64_t success_ms, next_ms; /* wall clock: the last answer or event; the next try, 0: none is needed */
    struct backoff backoff;
    struct timer timer;
    struct docker_ask version, list;
    bool is_listing, lists_again;
    bool has_listed, was_there;    /* since it was connected; since on_lost */
    enum docker_engine_state told; /* which the log has been told last */
    nsec_t entered_ns;             /* when it began to follow, or poll */
    unsigned n_brief;              /* streams in a row that ended at once and told nothing new */
    char api[16];                  /* the version that we speak with it: "1.41" */
    /* events */
    struct pool *pool; /* connections without time-outs */
    struct pool_wait wait;
    struct client_call call;
    struct docker_event_stream stream;
    bool is_calling;
    int64_t heard_ns; /* the engine's time of the last event; before there is one, of its first greeting; 0: unknown */
};

/* The options' slices outlive it. 0, or the -errno of the random source. */
int docker_engine_init(struct docker_engine *engine, const struct docker_engine_options *options,
                       const struct docker_engine_events *events, struct log *log);
/* When its loop has ended, or nothing of it is under way. */
void docker_engine_deinit(struct docker_engine *engine);

/* 0 or -ENOMEM. */
int docker_engine_start(struct docker_engine *engine, struct errand_office *office);
/* Ends what it does by itself; nothing is called any more. */
void docker_engine_stop(struct docker_engine *engine);

/*
 * Asks; `target` follows the API's version. result: 0 (200); DOCKER_ASK_NOT_FOUND (404); DOCKER_ASK_REFUSED: any other
 * status, or an answer that is too long; -ECANCELED; or the -errno of the connection, and then the engine is lost.
 */
enum { DOCKER_ASK_NOT_FOUND = 1, DOCKER_ASK_REFUSED };
void docker_engine_ask(struct docker_engine *engine, struct docker_ask *ask, docker_ask_fn done, size_t max_bytes,
                       const char *target_fmt, ...) PRINTF_LIKE(5, 6);
/* At rest. */
void docker_ask_deinit(struct docker_ask *ask);

/* Reads the list again now. */
void docker_engine_list(struct docker_engine *engine);
