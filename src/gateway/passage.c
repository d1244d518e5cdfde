/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is a head, texts and the trail, in whole words, and a last word that says how many there were, so that a
 * reader goes from the end of one to its beginning, which is the end of the one before.
 *
 * How a reader notices that it was overtaken: the writer first says how far it will write (`claimed`), then stores the
 * words, each with release, then moves `head`. A reader that got a word of the new record by acquire therefore also
 * sees the claim when it looks at it afterwards, and drops what it has read.
 */
#include "gateway/passage.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>

/* As attempts and draws lie in the trail, the latter each with its id behind it. */
struct attempt_head {
    uint8_t tier, cause, flags, n_draws;
    uint32_t n_candidates, begin_us, took_us, idle_us;
};

struct draw_head {
    uint64_t score;
    uint32_t verdict, n_id;
};

enum attempt_flag {
    ATTEMPT_REUSED = 1 << 0,
    ATTEMPT_CONNECTED = 1 << 1,
    ATTEMPT_SENT = 1 << 2,
    ATTEMPT_SENT_WHOLE = 1 << 3,
    ATTEMPT_ANSWERED = 1 << 4,
    ATTEMPT_HEDGE = 1 << 5,
};

struct passage_head {
    uint64_t began_ms, n_received, n_sent;
    uint32_t first_byte_us, took_us;
    uint16_t status, port;
    uint8_t method, cause, flags, family, n_attempts, n_untold;
    uint8_t n_id, n_target, n_service, n_caller;
    uint8_t ip[16];
};

#define TEXTS_MAX   (63 + PASSAGE_TARGET_MAX + CATALOG_NAME_MAX + PASSAGE_CALLER_MAX)
#define WORDS_MAX   ((sizeof(struct passage_head) + TEXTS_MAX + PASSAGE_TRAIL_BYTES + 7) / 8 + 1)
#define WORDS_USUAL 32 /* of a request with one attempt and names of a usual length */

struct passage_ring {
    uint64_t mask;
    _Alignas(64) _Atomic uint64_t claimed; /* words that are written, or are just being written */
    _Atomic uint64_t head;                 /* words that are written */
    _Alignas(64) _Atomic uint64_t words[];
};

int passage_ring_new(unsigned n_records, struct passage_ring **ret_ring)
{
    uint64_t n_words = 4 * WORDS_MAX;
    while (n_words & (n_words - 1))
        n_words++;
    while (n_words < (uint64_t)n_records * WORDS_USUAL)
        n_words *= 2;
    size_t n_bytes = sizeof(struct passage_ring) + n_words * sizeof(uint64_t);
    struct passage_ring *ring = aligned_alloc(64, n_bytes);
    if (!ring)
        return -ENOMEM;
    /* The words are left as they are, and their pages untouched: nothing is read that was not written. */
    atomic_init(&ring->claimed, 0);
    atomic_init(&ring->head, 0);
    ring->mask = n_words - 1;
    *ret_ring = ring;
    return 0;
}

void passage_ring_free(struct passage_ring *ring)
{
    free(ring);
}

/* ------------------------------------------------------------------------------------------------ the trail */

uint16_t passage_trail_add(struct passage_trail *trail, const struct pick_result *pick, bool is_hedge,
                           uint32_t begin_us)
{
    size_t n_bytes = sizeof(struct attempt_head);
    for (unsigned i = 0; i < pick->n_draws; i++)
        n_bytes += sizeof(struct draw_head) + min_size(pick->draws[i].target->runtime->id.len, PASSAGE_INSTANCE_MAX);
    if (trail->n_attempts == PASSAGE_ATTEMPTS_MAX || n_bytes > sizeof(trail->bytes) - trail->len) {
        trail->n_untold += trail->n_untold < UINT8_MAX;
        return PASSAGE_UNTOLD;
    }
    uint16_t where = trail->len;
    unsigned char *at = trail->bytes + where;
    const struct attempt_head head = {
        .tier = (uint8_t)pick->tier,
        .flags = is_hedge ? ATTEMPT_HEDGE : 0,
        .n_draws = (uint8_t)pick->n_draws,
        .n_candidates = pick->n_candidates,
        .begin_us = begin_us,
    };
    memcpy(at, &head, sizeof(head));
    at += sizeof(head);
    for (unsigned i = 0; i < pick->n_draws; i++) {
        struct slice id = pick->draws[i].target->runtime->id;
        const struct draw_head draw = {
            .score = pick->draws[i].score,
            .verdict = pick->draws[i].verdict,
            .n_id = (uint32_t)min_size(id.len, PASSAGE_INSTANCE_MAX),
        };
        memcpy(at, &draw, sizeof(draw));
        memcpy(at + sizeof(draw), id.ptr, draw.n_id);
        at += sizeof(draw) + draw.n_id;
    }
    trail->len = (uint16_t)(where + n_bytes);
    trail->n_attempts++;
    return where;
}

void passage_trail_end(struct passage_trail *trail, uint16_t at, const struct passage_attempt *outcome)
{
    struct attempt_head head;
    if (at == PASSAGE_UNTOLD)
        return;
    ASSERT(at + sizeof(head) <= trail->len);
    memcpy(&head, trail->bytes + at, sizeof(head));
    head.flags |= (uint8_t)((outcome->reused ? ATTEMPT_REUSED : 0) | (outcome->connected ? ATTEMPT_CONNECTED : 0) |
                            (outcome->sent ? ATTEMPT_SENT : 0) | (outcome->sent_whole ? ATTEMPT_SENT_WHOLE : 0) |
                            (outcome->answered ? ATTEMPT_ANSWERED : 0));
    head.cause = (uint8_t)outcome->cause;
    head.took_us = outcome->took_us;
    head.idle_us = outcome->idle_us;
    memcpy(trail->bytes + at, &head, sizeof(head));
}

static void read_attempt(const unsigned char **at, struct passage_attempt *ret_attempt)
{
    struct attempt_head head;
    struct draw_head draw;
    memcpy(&head, *at, sizeof(head));
    *at += sizeof(head);
    *ret_attempt = (struct passage_attempt){
        .tier = (enum pick_tier)head.tier,
        .cause = (enum cause)head.cause,
        .reused = head.flags & ATTEMPT_REUSED,
        .connected = head.flags & ATTEMPT_CONNECTED,
        .sent = head.flags & ATTEMPT_SENT,
        .sent_whole = head.flags & ATTEMPT_SENT_WHOLE,
        .answered = head.flags & ATTEMPT_ANSWERED,
        .is_hedge = head.flags & ATTEMPT_HEDGE,
        .n_candidates = head.n_candidates,
        .begin_us = head.begin_us,
        .took_us = head.took_us,
        .idle_us = head.idle_us,
        .n_draws = head.n_draws,
    };
    for (unsigned i = 0; i < head.n_draws; i++) {
        memcpy(&draw, *at, sizeof(draw));
        *at += sizeof(draw);
        ret_attempt->draws[i].verdict = (enum pick_verdict)draw.verdict;
        ret_attempt->draws[i].score = draw.score;
        ret_attempt->draws[i].id = slice_from(*at, draw.n_id);
        *at += draw.n_id;
    }
}

/* ------------------------------------------------------------------------------------------------ writing */

static uint8_t put(unsigned char **at, struct slice text, size_t n_max)
{
    size_t n = min_size(text.len, n_max);
    if (n > 0)
        memcpy(*at, text.ptr, n);
    *at += n;
    return (uint8_t)n;
}

/* The words that it takes, the last one included. */
static uint64_t encode(const struct passage *passage, const struct passage_trail *trail, uint64_t *room)
{
    struct passage_head head = {
        .began_ms = passage->began_ms,
        .n_received = passage->n_received,
        .n_sent = passage->n_sent,
        .first_byte_us = passage->first_byte_us,
        .took_us = passage->took_us,
        .status = (uint16_t)passage->status,
        .port = passage->client.port,
        .method = (uint8_t)passage->method,
        .cause = (uint8_t)passage->cause,
        .flags = (uint8_t)passage->flags,
        .family = (uint8_t)passage->client.family,
        .n_attempts = trail->n_attempts,
        .n_untold = trail->n_untold,
    };
    unsigned char *begin = (unsigned char *)room, *at = begin + sizeof(head);
    head.n_id = put(&at, passage->id, 63);
    head.n_target = put(&at, passage->target, PASSAGE_TARGET_MAX);
    head.n_service = put(&at, passage->service, CATALOG_NAME_MAX);
    head.n_caller = put(&at, passage->caller, PASSAGE_CALLER_MAX);
    memcpy(head.ip, passage->client.ip, sizeof(head.ip));
    memcpy(begin, &head, sizeof(head));
    memcpy(at, trail->bytes, trail->len);
    at += trail->len;
    uint64_t n_words = ((size_t)(at - begin) + 7) / 8 + 1;
    memset(at, 0, n_words * 8 - (size_t)(at - begin));
    room[n_words - 1] = n_words;
    return n_words;
}

void passage_ring_write(struct passage_ring *ring, const struct passage *passage, const struct passage_trail *trail)
{
    uint64_t room[WORDS_MAX], n_words = encode(passage, trail, room);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    ASSERT(n_words <= WORDS_MAX);
    atomic_store_explicit(&ring->claimed, head + n_words, memory_order_relaxed);
    for (uint64_t i = 0; i < n_words; i++)
        atomic_store_explicit(&ring->words[(head + i) & ring->mask], room[i], memory_order_release);
    atomic_store_explicit(&ring->head, head + n_words, memory_order_release);
}

/* ------------------------------------------------------------------------------------------------ reading */

/* The words of the record that ends at `end`; 0: there is none, or it was overwritten. */
static uint64_t copy(const struct passage_ring *ring, uint64_t end, uint64_t *room)
{
    if (end == 0)
        return 0;
    uint64_t n_words = atomic_load_explicit(&ring->words[(end - 1) & ring->mask], memory_order_acquire);
    if (n_words < 2 || n_words > WORDS_MAX || n_words > end)
        return 0; /* it is no length any more */
    for (uint64_t i = 0; i < n_words; i++)
        room[i] = atomic_load_explicit(&ring->words[(end - n_words + i) & ring->mask], memory_order_acquire);
    uint64_t claimed = atomic_load_explicit(&ring->claimed, memory_order_relaxed);
    return claimed - (end - n_words) > ring->mask + 1 ? 0 : n_words;
}

static struct slice take(const unsigned char **at, size_t n)
{
    struct slice text = slice_from(*at, n);
    *at += n;
    return text;
}

static void decode(const uint64_t *room, struct passage *ret_passage)
{
    struct passage_head head;
    const unsigned char *at = (const unsigned char *)room;
    memcpy(&head, at, sizeof(head));
    at += sizeof(head);
    *ret_passage = (struct passage){
        .client = {.family = head.family, .port = head.port},
        .method = (enum http_method)head.method,
        .cause = (enum cause)head.cause,
        .status = head.status,
        .flags = head.flags,
        .began_ms = head.began_ms,
        .n_received = head.n_received,
        .n_sent = head.n_sent,
        .first_byte_us = head.first_byte_us,
        .took_us = head.took_us,
        .n_attempts = head.n_attempts,
        .n_untold = head.n_untold,
    };
    memcpy(ret_passage->client.ip, head.ip, sizeof(head.ip));
    ret_passage->id = take(&at, head.n_id);
    ret_passage->target = take(&at, head.n_target);
    ret_passage->service = take(&at, head.n_service);
    ret_passage->caller = take(&at, head.n_caller);
    for (unsigned i = 0; i < head.n_attempts; i++)
        read_attempt(&at, &ret_passage->attempts[i]);
}

void passage_ring_each(const struct passage_ring *ring, bool (*fn)(void *ctx, const struct passage *passage), void *ctx)
{
    uint64_t room[WORDS_MAX], n_words;
    struct passage passage;
    uint64_t end = atomic_load_explicit(&ring->head, memory_order_acquire);
    while ((n_words = copy(ring, end, room)) > 0) {
        decode(room, &passage);
        if (!fn(ctx, &passage))
            return;
        end -= n_words;
    }
}
