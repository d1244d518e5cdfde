/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run of commits means for the watches of an index: which of them are touched, and by which events.
 *
 * All watches that are touched by the same events share one trail, so that what is sent to them is encoded once, though
 * there be ten thousand of them. A burst is found and used up within one turn of the loop.
 */
#pragma once

#include "fronts/etcd/watch_index.h"
#include "store/store.h"

/* Limits of one burst: what a watch gets in one message, and how long a turn may take. */
#define BURST_COMMITS_MAX 512
#define BURST_BYTES_MAX   ((size_t)64 * 1024) /* of keys and values; a single commit may be larger */
#define BURST_MATCHES_MAX 100000

/* What is watched, as far as a burst must know it. Embedded in a watch. */
struct burst_target {
    struct watch_node node;
    int64_t next_revision; /* commits before this are not for it */
    uint32_t trail;        /* of the burst being made; 0: not touched */
    bool no_puts, no_deletes;
};

/* A trail is a path in a tree: an event, and the trail of the events before it. */
struct burst_step {
    const struct store_event *event;
    uint32_t before;     /* 0: none */
    uint32_t last_child; /* the newest trail that goes on from here; 0: none */
    uint32_t length;
};

/* Zero-initialised is empty. */
struct burst {
    struct burst_step *steps; /* [0] is the beginning of all */
    uint32_t n_steps;
    size_t steps_room;
    struct burst_target **touched; /* in the order in which they were first touched */
    size_t n_touched, touched_room;
    int64_t from, to; /* the revisions it covers */
    /* while it is being made */
    const struct store_event *event;
    size_t n_matches, n_bytes;
    bool has_failed;
};

void burst_deinit(struct burst *burst);

/*
 * Finds what the commits from `from` up to at most `to_max` mean. 0: burst->to tells how far it came. -ENOENT: `from`
 * is no longer kept. -ENOMEM. After a failure nothing is touched.
 */
int burst_make(struct burst *burst, const struct watch_index *index, struct store *store, const struct store_view *view,
               int64_t from, int64_t to_max);

/* The events of a trail, oldest first, at ret_events, which has room for burst_length. */
uint32_t burst_length(const struct burst *burst, uint32_t trail);
void burst_events(const struct burst *burst, uint32_t trail, const struct store_event **ret_events);

/* Forgets it all; targets are no longer touched. */
void burst_clear(struct burst *burst);
