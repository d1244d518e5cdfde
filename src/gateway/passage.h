/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last requests of a worker, each with what was decided about it: who was drawn, who was taken and why, over what
 * connection, what came of it. For `muster why`.
 *
 * A ring of bytes: the worker writes each record behind the one before, over the oldest ones, without a lock; any
 * thread reads, newest first, without stopping it, and notices when what it reads has been overwritten meanwhile.
 * There is no fence and no plain access to what is shared, so ThreadSanitizer sees the order.
 */
#pragma once

#include "gateway/cause.h"
#include "gateway/pick.h"
#include "wire/http.h"

/* What longer texts are cut to. */
#define PASSAGE_TARGET_MAX   128
#define PASSAGE_INSTANCE_MAX 96
#define PASSAGE_CALLER_MAX   64

#define PASSAGE_ATTEMPTS_MAX 8
#define PASSAGE_TRAIL_BYTES  512

/* How a request was sent to an instance, and what came of it. */
struct passage_attempt {
    enum pick_tier tier;
    enum cause cause; /* why it failed; CAUSE_NONE: it did not */
    bool reused;      /* on a connection that had been used before, idle for idle_us */
    bool connected;   /* it got as far as a connection */
    bool sent, sent_whole;
    bool answered;
    bool is_hedge; /* beside another one that was slow */
    uint32_t n_candidates;
    uint32_t begin_us; /* since the request began */
    uint32_t took_us;  /* until the answer began, or it was given up */
    uint32_t idle_us;
    unsigned n_draws;
    struct {
        enum pick_verdict verdict;
        uint64_t score;
        struct slice id;
    } draws[PICK_DRAWS_MAX];
};

/* The attempts of a request as they are gathered; what no longer fits is only counted. */
struct passage_trail {
    uint16_t len;
    uint8_t n_attempts, n_untold;
    unsigned char bytes[PASSAGE_TRAIL_BYTES];
};

#define PASSAGE_UNTOLD UINT16_MAX

/* Where it is in the trail, for passage_trail_end; or PASSAGE_UNTOLD. In the turn of the pick. */
uint16_t passage_trail_add(struct passage_trail *trail, const struct pick_result *pick, bool is_hedge,
                           uint32_t begin_us);
/* What is known at its end: of `outcome` the members from `cause` to `answered`, took_us and idle_us. */
void passage_trail_end(struct passage_trail *trail, uint16_t at, const struct passage_attempt *outcome);

enum passage_flag {
    PASSAGE_PARKED = 1 << 0,
    PASSAGE_QUEUED = 1 << 1,
    PASSAGE_HEDGED = 1 << 2,
    PASSAGE_TUNNEL = 1 << 3,
};

struct passage {
    struct slice id, target, service, caller; /* "": none; caller: of the client's certificate */
    struct peer client;
    enum http_method method;
    enum cause cause;
    unsigned status;   /* 0: the client got no answer */
    unsigned flags;    /* enum passage_flag */
    uint64_t began_ms; /* wall clock */
    uint64_t n_received, n_sent;
    uint32_t first_byte_us, took_us; /* 0: none came */
    unsigned n_attempts, n_untold;
    struct passage_attempt attempts[PASSAGE_ATTEMPTS_MAX];
};

struct passage_ring;

/* With room for about so many. 0 or -ENOMEM. */
int passage_ring_new(unsigned n_records, struct passage_ring **ret_ring);
/* Accepts NULL. */
void passage_ring_free(struct passage_ring *ring);

/* The ring's worker. Of the record all but the attempts, which are the trail's. */
void passage_ring_write(struct passage_ring *ring, const struct passage *passage, const struct passage_trail *trail);

/* Newest first, until fn gives false; slices are good during the call. Any thread. */
void passage_ring_each(const struct passage_ring *ring, bool (*fn)(void *ctx, const struct passage *passage),
                       void *ctx);
