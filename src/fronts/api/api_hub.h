/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's hub: who of its exchanges wants to hear of the catalogue's changes. Followers are found by the name of the
 * service, so a change wakes only those whom it concerns, however many others there are.
 *
 * Changes come from the curator's ring, one after the other, up to `revision`; each is written as an event once, for
 * all who send it. Everything here is of one loop.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "base/list.h"
#include "keeper/curator.h"

struct api_follower;
struct api_topic;

struct api_interest {
    struct list link; /* of its topic */
    struct api_topic *topic;
    struct api_follower *follower;
};

/* Embedded in who follows; zeroed. Either some services, or all those with a prefix. */
struct api_follower {
    /* What it is told. It may send and record, but neither leave the hub nor enter it. */
    void (*on_change)(struct api_follower *follower, const struct catalog_change *change);
    void (*on_gap)(struct api_follower *follower); /* changes were missed: what it knows may be old */
    /* the hub's */
    struct api_hub *hub; /* NULL: it does not follow */
    struct list link;    /* of hub->all */
    struct list wide;    /* of hub->wide, when it follows a prefix */
    struct slice prefix;
    unsigned n_interests;
    struct api_interest *interests;
};

#define API_SILENCE_NS (5 * NSEC_PER_SEC) /* of a stream, at most: then it gets a comment */
#define API_BEATS      10

#define API_MESSAGES 64 /* the last ones that were written; a power of two */

struct api_message {
    int64_t revision; /* 0: none */
    struct buf text;
};

struct api_hub {
    struct curator *curator;
    struct loop *loop;
    struct curator_follower news;
    bool is_following;
    int64_t revision; /* all followers have heard of all changes up to this one */
    struct hash_key key;
    struct htab topics;
    struct list all, wide;
    struct loop_task advance;
    struct api_message messages[API_MESSAGES];
    /* api_stream.c */
    struct list streams;
    struct list beats[API_BEATS]; /* each has its turn twice in API_SILENCE_NS */
    unsigned next_beat;
    struct timer beat_timer;
    struct list waits; /* api_wait.c */
    /* api_watch.c */
    struct list late; /* watches that must be told by themselves what the others know */
    struct loop_task pump;
};

/* 0 or the -errno of getrandom(2). */
int api_hub_init(struct api_hub *hub, struct curator *curator, struct loop *loop);
/* On a loop that runs no more. */
void api_hub_deinit(struct api_hub *hub);

/*
 * Tells it of changes after hub->revision: those of `services`, or, when there are none, of all with the prefix, whose
 * text it keeps. 0 or -ENOMEM.
 */
int api_hub_add(struct api_hub *hub, struct api_follower *follower, const struct slice *services, unsigned n,
                struct slice prefix);
/* Harmless on one that was not added. */
void api_hub_remove(struct api_follower *follower);

bool api_follower_wants(const struct api_follower *follower, struct slice service);
/* The i-th of its services; good as long as it follows. */
struct slice api_follower_service(const struct api_follower *follower, unsigned i);

/* The change as an event, up to and with its blank line; empty when out of memory. Good until the next call. */
struct slice api_hub_message(struct api_hub *hub, const struct catalog_change *change);
