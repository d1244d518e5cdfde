/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches. A stream is one call of Watch.Watch with any number of watches; a hub serves the streams of one loop.
 *
 * A watch is in one of four places:
 *
 *     LIVE     in the hub's live index, and served up to hub->live_revision with all the others
 *     LATE     in the hub's late index, and served up to hub->late_revision, which moves on in bounded steps until it
 *              has caught up with the live one; then all late watches become live ones
 *     WAITING  for the next such round, since it needs older commits than the one that is under way
 *     PARKED   for its stream to drain: its client does not read. It costs nobody anything
 *
 * LATE, WAITING and PARKED watches know the revision they go on from. Thus no client gets an event twice or misses one,
 * and what a slow client has not read yet waits in the store instead of in its own queue.
 */
#pragma once

#include "fronts/etcd/etcd_impl.h"
#include "fronts/etcd/watch_burst.h"

enum watch_place { WATCH_LIVE, WATCH_LATE, WATCH_WAITING, WATCH_PARKED };

struct watch {
    struct burst_target target;
    struct list link; /* hub->late, hub->waiting or stream->parked; a live one is on no list */
    struct htab_node by_id;
    struct watch_stream *stream;
    int64_t id;
    uint8_t place; /* enum watch_place */
    bool wants_prev, wants_fragments, wants_progress;
    bool was_served; /* since the last progress report */
    uint32_t key_len, end_len;
    char bytes[]; /* key and end */
};

struct watch_stream {
    struct etcd_stream base;
    struct watch_hub *hub;
    struct htab watches; /* by id */
    struct list parked;
    int64_t next_id;
    size_t n_bytes;   /* that its watches cost */
    size_t n_behind;  /* of its watches are not live */
    bool is_full;     /* the client does not read: nothing is sent until the call drains */
    bool is_reported; /* a report of progress is owed, once all watches are live */
    struct timer report_timer;
    unsigned n_reported; /* watches that want a report now and then */
};

static inline struct slice watch_key(const struct watch *watch)
{
    return slice_from(watch->bytes, watch->key_len);
}

static inline struct slice watch_end(const struct watch *watch)
{
    return slice_from(watch->bytes + watch->key_len, watch->end_len);
}

/* ------------------------------------------------------------------------------------------------ streams */

/* The method's callbacks. There is none for the end of requests: a client that has said all still wants to hear. */
void watch_on_open(struct grpc_call *call);
void watch_on_message(struct grpc_call *call, struct slice message);
void watch_on_drain(struct grpc_call *call);
void watch_on_close(struct grpc_call *call, enum exchange_end end);

/* Sends a message, which is taken also when the stream is then full. Nothing is sent on one that is over. */
void watch_stream_send(struct watch_stream *stream, struct slice message);

/* All its watches are live again: what waited for that. */
void watch_stream_caught_up(struct watch_stream *stream);

/* The watch is gone: what it asks for was compacted. */
void watch_cancel_compacted(struct watch *watch, int64_t compact_revision);

/* ------------------------------------------------------------------------------------------------ the hub */

struct watch_hub;

/* 0 or -errno. It subscribes to the store; freeing it ends that, on a loop that runs no more. */
int watch_hub_new(struct etcd_worker *worker, struct watch_hub **ret_hub);
void watch_hub_free(struct watch_hub *hub);

struct etcd_worker *watch_hub_worker(const struct watch_hub *hub);

/* Serves live watches up to now, as far as one turn allows; gives the revision up to which they are served. */
int64_t watch_hub_advance(struct watch_hub *hub);

/* Takes a new watch in: it gets what is from target.next_revision on. 0 or -ENOMEM. */
int watch_hub_add(struct watch_hub *hub, struct watch *watch);
/* Takes it out, wherever it is. */
void watch_hub_remove(struct watch_hub *hub, struct watch *watch);
/* The stream has drained: its parked watches go on. */
void watch_hub_unpark(struct watch_hub *hub, struct watch_stream *stream);
