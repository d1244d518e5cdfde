/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's part on one worker: its connections to instances, and the requests that wait for something, over which
 * the watch is kept (watch.h). Shared by the files of the gateway that run on workers; others use gateway.h.
 *
 * Everything here belongs to the worker's thread.
 */
#pragma once

#include "base/random.h"
#include "base/slab.h"
#include "gateway/access_line.h"
#include "gateway/edges.h"
#include "gateway/gateway.h"
#include "gateway/passage.h"
#include "http/pool.h"

/* How often the watch looks while something waits. */
#define WORKER_WATCH_NS (20 * NSEC_PER_MSEC)

/* Bytes of request bodies that one worker keeps for the case that they must be sent again. */
#define WORKER_KEPT_MAX ((size_t)64 * 1024 * 1024)

/* Bytes of request heads longer than RELAY_HEAD_BYTES, which a client can make of next to nothing by compression. */
#define WORKER_HEADS_MAX ((size_t)128 * 1024 * 1024)

/* Memory of requests that is kept for those to come: of about 1500, which some hundred clients have at once. */
#define WORKER_RELAYS_IDLE_BYTES ((size_t)4 * 1024 * 1024)

struct gateway_worker {
    struct gateway *gateway;
    unsigned index;
    struct loop *loop;
    struct pool *pool;
    struct tls_config *tls; /* a reference: what places of https instances have; NULL: there are none */
    struct random random;
    struct slab relays;
    struct access_clock clock;
    struct buf line_room;               /* for the end of a line of the access log */
    struct edges *edges;                /* who calls which service */
    struct passage_ring *records;       /* the last requests; NULL: none are kept */
    _Atomic uint64_t unrouted[CAUSES_]; /* requests that were answered before they had a service, by why */
    _Atomic uint64_t n_idle_closed;     /* connections that instances closed while they were idle */
    nsec_t wall_ahead_ns;               /* the wall clock's lead over the loop's */
    nsec_t wall_until_ns;               /* until when that is taken for true */
    struct planner_listener listener;
    struct list parked;  /* relays that wait for an instance to come, the oldest in front */
    struct list queued;  /* that wait for their turn at a service which is full, the oldest in front */
    struct list waiting; /* runtime_slot.waiting_link: slots in which attempts wait, to connect or for an answer */
    struct list open;    /* runtime_slot.open_link: slots with connections */
    struct list gone;    /* the same, when their instance is gone and something is still under way there */
    struct list cared;   /* runtime_slot.care.link: instances in trouble (suspicion.c) */
    unsigned n_parked;
    struct buf head;    /* that is just made for an instance */
    struct buf lines;   /* our own fields in it */
    size_t n_kept;      /* bytes: WORKER_KEPT_MAX */
    size_t n_heads;     /* the same: WORKER_HEADS_MAX */
    bool has_news;      /* the plan has changed since the open slots were looked through */
    struct timer watch; /* armed while there is something to watch */
    uint32_t digits;    /* behind the gateway's name, to tell it from others */
    struct slice name;  /* it is called in Via and Proxy-Status */
    char name_room[GATEWAY_NAME_MAX + 10];
};

struct gateway_door {
    struct gateway_worker *worker;
    bool is_local;
};

/*
 * What others read of it (gateway_worker_at), made before any worker runs and freed after all of them. 0 or -ENOMEM; to
 * be closed in any case.
 */
int gateway_worker_open_records(struct gateway_worker *worker, const struct gateway_settings *settings,
                                const struct hash_key *key);
void gateway_worker_close_records(struct gateway_worker *worker);

/* Hears of plans. On the thread that makes the planner: before it is started, and after it was stopped. */
void gateway_worker_listen(struct gateway_worker *worker, struct planner *planner, struct loop *loop);
void gateway_worker_unlisten(struct gateway_worker *worker);

/* On its own thread. 0 or -errno. digits: the same for all workers of the gateway. */
int gateway_worker_init(struct gateway_worker *worker, struct gateway *gateway, unsigned index, struct loop *loop,
                        uint32_t digits);
/* The same; no exchange is left. */
void gateway_worker_deinit(struct gateway_worker *worker);

/* Sees to it that the watch (watch.c) looks soon. */
void gateway_worker_watch(struct gateway_worker *worker);

/* Those in that line (parked, queued) try: somebody may have come, or a place of a full service become free. */
void gateway_worker_move(struct list *line);

/*
 * The worker's slot of that instance, open: with a place for its connections. NULL: out of memory. It stays open, and
 * holds the runtime, until the instance is gone and nothing is under way there.
 */
struct runtime_slot *gateway_worker_open(struct gateway_worker *worker, struct runtime *runtime,
                                         const struct gateway_settings *settings);

/*
 * Of an instance that is RUNTIME_GONE: whether its incarnation has left the catalogue. Else it is the same program,
 * which is to be reached elsewhere now.
 */
bool gateway_worker_is_removed(const struct gateway_worker *worker, const struct runtime *runtime);

/* Of an instance that is gone: what is idle is closed, what is in use when it is over. Nobody waits to connect. */
void gateway_worker_close_place(struct runtime_slot *slot);
/* The end of it, when nothing is under way there and no request remembers it. False: not yet. */
bool gateway_worker_close(struct runtime_slot *slot);
