/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/passage.h"

#include "base/util.h"
#include "support/plan_kit.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>

struct bench {
    struct plan_kit kit;
    struct passage_ring *ring;
};

static void bench_init(struct bench *bench, unsigned n_records)
{
    plan_kit_init(&bench->kit);
    plan_kit_put(&bench->kit, &(struct plan_kit_instance){.id = "10.0.0.7:8080", .weight = 1});
    plan_kit_put(&bench->kit, &(struct plan_kit_instance){.id = "b", .weight = 1});
    expect_true(plan_kit_make(&bench->kit) != NULL);
    expect_int(passage_ring_new(n_records, &bench->ring), 0);
}

static void bench_deinit(struct bench *bench)
{
    passage_ring_free(bench->ring);
    plan_kit_deinit(&bench->kit);
}

static struct pick_result two_drawn(const struct bench *bench)
{
    const struct target *one = plan_kit_target(&bench->kit, "10.0.0.7:8080");
    const struct target *other = plan_kit_target(&bench->kit, "b");
    return (struct pick_result){
        .target = one,
        .tier = PICK_OFFERED,
        .n_candidates = 7,
        .n_draws = 2,
        .draws = {{one, PICK_TAKEN, 1ULL << 50}, {other, PICK_WORSE, 33}},
    };
}

struct seen {
    unsigned n, n_max;
    char ids[64][64];
    uint64_t received[64];
};

static bool note(void *ctx, const struct passage *passage)
{
    struct seen *seen = ctx;
    if (seen->n < ARRAY_LEN(seen->ids)) {
        (void)snprintf(seen->ids[seen->n], sizeof(seen->ids[0]), "%.*s", SLICE_ARG(passage->id));
        seen->received[seen->n] = passage->n_received;
    }
    return ++seen->n != seen->n_max;
}

static bool look_at_whole(void *ctx, const struct passage *passage)
{
    unsigned *n = ctx;
    char room[ADDR_TEXT_MAX];
    expect_slice(passage->id, "abc");
    expect_slice(passage->target, "/web/x?y");
    expect_slice(passage->service, "web");
    expect_slice(passage->caller, "robot");
    expect_slice(peer_format(&passage->client, room), "10.1.2.3:4567");
    expect_int(passage->method, HTTP_METHOD_POST);
    expect_int(passage->cause, CAUSE_TERMINATED);
    expect_int(passage->status, 502);
    expect_int(passage->flags, PASSAGE_PARKED | PASSAGE_HEDGED);
    expect_int(passage->began_ms, 1700000000123);
    expect_int(passage->n_received, 5);
    expect_int(passage->n_sent, 6);
    expect_int(passage->first_byte_us, 7);
    expect_int(passage->took_us, 8);
    expect_int(passage->n_attempts, 1);
    expect_int(passage->n_untold, 0);
    const struct passage_attempt *attempt = &passage->attempts[0];
    expect_int(attempt->tier, PICK_OFFERED);
    expect_int(attempt->cause, CAUSE_TERMINATED);
    expect_true(attempt->reused && attempt->connected && attempt->sent && !attempt->sent_whole);
    expect_true(!attempt->answered && attempt->is_hedge);
    expect_int(attempt->n_candidates, 7);
    expect_int(attempt->begin_us, 11);
    expect_int(attempt->took_us, 12);
    expect_int(attempt->idle_us, 13);
    expect_int(attempt->n_draws, 2);
    expect_slice(attempt->draws[0].id, "10.0.0.7:8080");
    expect_int(attempt->draws[0].verdict, PICK_TAKEN);
    expect_true(attempt->draws[0].score == 1ULL << 50);
    expect_slice(attempt->draws[1].id, "b");
    expect_int(attempt->draws[1].verdict, PICK_WORSE);
    ++*n;
    return true;
}

static void a_record_is_read_as_it_was_written(void)
{
    struct bench bench;
    struct passage_trail trail = {0};
    bench_init(&bench, 16);
    const struct pick_result pick = two_drawn(&bench);
    uint16_t at = passage_trail_add(&trail, &pick, true, 11);
    passage_trail_end(
        &trail, at,
        &(struct passage_attempt){
            .cause = CAUSE_TERMINATED, .connected = true, .reused = true, .sent = true, .took_us = 12, .idle_us = 13});
    const struct passage passage = {
        .id = SLICE_LIT("abc"),
        .target = SLICE_LIT("/web/x?y"),
        .service = SLICE_LIT("web"),
        .caller = SLICE_LIT("robot"),
        .client = {AF_INET, 4567, {10, 1, 2, 3}},
        .method = HTTP_METHOD_POST,
        .cause = CAUSE_TERMINATED,
        .status = 502,
        .flags = PASSAGE_PARKED | PASSAGE_HEDGED,
        .began_ms = 1700000000123,
        .n_received = 5,
        .n_sent = 6,
        .first_byte_us = 7,
        .took_us = 8,
    };
    passage_ring_write(bench.ring, &passage, &trail);
    unsigned n = 0;
    passage_ring_each(bench.ring, look_at_whole, &n);
    expect_int(n, 1);
    bench_deinit(&bench);
}

static void the_newest_come_first_and_the_oldest_are_overwritten(void)
{
    struct bench bench;
    struct seen seen = {.n_max = 3};
    char id[16];
    bench_init(&bench, 0);
    passage_ring_each(bench.ring, note, &seen);
    expect_int(seen.n, 0);
    const struct passage_trail trail = {0};
    for (unsigned i = 0; i < 10000; i++) {
        (void)snprintf(id, sizeof(id), "%u", i);
        passage_ring_write(bench.ring, &(struct passage){.id = slice_from_str(id), .n_received = i}, &trail);
    }
    passage_ring_each(bench.ring, note, &seen);
    expect_int(seen.n, 3); /* it stops when it is told to */
    expect_str(seen.ids[0], "9999");
    expect_str(seen.ids[2], "9997");
    seen = (struct seen){0};
    passage_ring_each(bench.ring, note, &seen);
    expect_true(seen.n > 30 && seen.n < 110); /* as many as have room, whole ones only */
    for (unsigned i = 0; i < 30; i++)
        expect_int(seen.received[i], 9999 - i);
    bench_deinit(&bench);
}

static void texts_are_cut_and_attempts_counted_when_they_do_not_fit(void)
{
    struct bench bench;
    struct passage_trail trail = {0};
    char text[2000];
    bench_init(&bench, 16);
    memset(text, 'x', sizeof(text));
    const struct pick_result pick = two_drawn(&bench);
    unsigned n_told = 0;
    for (unsigned i = 0; i < 300; i++) {
        uint16_t at = passage_trail_add(&trail, &pick, false, i);
        n_told += at != PASSAGE_UNTOLD;
        passage_trail_end(&trail, at, &(struct passage_attempt){.cause = CAUSE_CONNECT_REFUSED});
    }
    expect_int(trail.n_attempts, n_told);
    expect_true(n_told >= 4 && n_told <= PASSAGE_ATTEMPTS_MAX);
    expect_int(trail.n_untold, 255);
    struct slice whole = slice_from(text, sizeof(text));
    const struct passage passage = {.id = whole, .target = whole, .service = whole, .caller = whole};
    struct seen seen = {0};
    for (unsigned i = 0; i < 50; i++)
        passage_ring_write(bench.ring, &passage, &trail);
    passage_ring_each(bench.ring, note, &seen);
    expect_true(seen.n >= 3);
    expect_int(strlen(seen.ids[0]), 63);
    bench_deinit(&bench);
}

/* ------------------------------------------------------------------------------------------------ threads */

struct writing {
    struct passage_ring *ring;
    _Atomic bool is_over;
};

/* Until it is told to end. All numbers of a record are the same one. */
static void *write_many(void *ctx)
{
    struct writing *writing = ctx;
    const struct passage_trail trail = {0};
    char id[24];
    for (uint64_t i = 1; i <= 1000 || !atomic_load(&writing->is_over); i++) {
        int n = snprintf(id, sizeof(id), "%llu", (unsigned long long)i);
        const struct passage passage = {.id = slice_from(id, (size_t)n), .n_received = i, .n_sent = i, .began_ms = i};
        passage_ring_write(writing->ring, &passage, &trail);
    }
    return NULL;
}

struct reading {
    uint64_t last;
    unsigned n;
};

static bool is_whole(void *ctx, const struct passage *passage)
{
    struct reading *reading = ctx;
    char id[24];
    (void)snprintf(id, sizeof(id), "%llu", (unsigned long long)passage->n_received);
    expect_slice(passage->id, id);
    expect_true(passage->n_sent == passage->n_received && passage->began_ms == passage->n_received);
    expect_true(reading->last == 0 || passage->n_received == reading->last - 1);
    reading->last = passage->n_received;
    reading->n++;
    return true;
}

static void who_reads_while_it_is_written_sees_whole_records_in_order(void)
{
    struct writing writing = {0};
    struct reading reading;
    pthread_t thread;
    unsigned n_rounds = test_rounds(2000), n_seen = 0; /* rounds that saw some */
    expect_int(passage_ring_new(0, &writing.ring), 0);
    expect_int(pthread_create(&thread, NULL, write_many, &writing), 0);
    while (n_seen < n_rounds) {
        reading = (struct reading){0};
        passage_ring_each(writing.ring, is_whole, &reading);
        n_seen += reading.n > 0;
    }
    atomic_store(&writing.is_over, true);
    expect_int(pthread_join(thread, NULL), 0);
    reading = (struct reading){0};
    passage_ring_each(writing.ring, is_whole, &reading);
    expect_true(reading.n > 30);
    passage_ring_free(writing.ring);
}

static const struct test_case cases[] = {
    {"a record is read as it was written", a_record_is_read_as_it_was_written},
    {"the newest come first, and the oldest are overwritten", the_newest_come_first_and_the_oldest_are_overwritten},
    {"texts are cut, and attempts counted, when they do not fit",
     texts_are_cut_and_attempts_counted_when_they_do_not_fit},
    {"who reads while it is written sees whole records in order",
     who_reads_while_it_is_written_sees_whole_records_in_order},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
