/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A station is what one worker runs: an HTTP server for each kind of endpoint, and the acceptors that feed them. A
 * fresh connection may be handed to a less busy worker's station; after that it stays.
 *
 * All functions are called on the main thread; what they ask of the stations travels by mail, and answers come back on
 * the main thread's loop.
 */
#pragma once

#include "daemon/endpoints.h"
#include "http/server.h"
#include "io/shortage.h"
#include "io/worker.h"

struct stations;

/*
 * What each worker runs beside its servers: started before them and stopped after them, on its thread. start: 0 or
 * -errno; what failed to start is not stopped.
 */
struct stations_part {
    int (*start)(void *ctx, unsigned worker, struct loop *loop);
    void (*stop)(void *ctx, unsigned worker);
};

struct stations_options {
    struct loop *main_loop;
    struct worker_group *group; /* not yet started */
    const struct endpoints *endpoints;
    struct http_metrics *metrics;
    struct log *log;                  /* told of connections that are cut off in the end */
    struct shortage *shortage;        /* told of connections for which there is no descriptor */
    const struct stations_part *part; /* NULL: none */
    struct exchange_handler (*handler)(void *ctx, unsigned worker, enum endpoint_kind kind);
    /* No descriptor is left for a client of that worker, which asks. True: one was freed. NULL: nobody has any. */
    bool (*make_room)(void *ctx, unsigned worker);
    /*
     * Whether a connection that was accepted is taken on, asked on the worker that accepted it; if not it is closed at
     * once. Then, on the worker that it lived on: that it is gone. Both NULL: all are.
     */
    bool (*enter)(void *ctx, enum endpoint_kind kind, const struct peer *peer);
    void (*leave)(void *ctx, enum endpoint_kind kind, const struct peer *peer);
    void *ctx; /* of all of these */
    struct http_server_options servers[ENDPOINT_KINDS_];
};

/* The options are copied; what they point to must outlive the stations. 0 or -ENOMEM. */
int stations_new(const struct stations_options *options, struct stations **ret_stations);

/* After the workers have stopped. NULL is fine. */
void stations_free(struct stations *stations);

/* What worker_group_start is to be given. */
struct worker_hooks stations_hooks(struct stations *stations);

/* Connections that are open, of all stations. */
unsigned stations_n_connections(const struct stations *stations);

/* Gives the servers new options (reload). 0 or -ENOMEM: then some stations may have theirs already; call it again. */
int stations_set_options(struct stations *stations, const struct http_server_options servers[ENDPOINT_KINDS_]);

/*
 * No new connections and requests, once. on_event is called with STATIONS_HALTED when no station accepts any more, so
 * that the listeners can be closed, and then with STATIONS_DRAINED when none has a connection left.
 */
enum stations_event { STATIONS_HALTED, STATIONS_DRAINED };
typedef void (*stations_event_fn)(void *ctx, enum stations_event event);
void stations_drain(struct stations *stations, stations_event_fn on_event, void *ctx);

/*
 * Calls on_alive when every worker has taken its mail: the proof that none of them hangs. False, and nothing else
 * happens, while an earlier ping is under way.
 */
bool stations_ping(struct stations *stations, void (*on_alive)(void *ctx), void *ctx);
