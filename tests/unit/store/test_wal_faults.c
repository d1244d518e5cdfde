/* SPDX-License-Identifier: Apache-2.0 */
/* The log on a disk that fails or is full: it goes on where it can, says so where it cannot, and never lies. */
#include "support/wal_kit.h"

#include <errno.h>

static const enum sim_disk_op ops[] = {SIM_DISK_WRITE, SIM_DISK_SYNC, SIM_DISK_ALLOCATE, SIM_DISK_RENAME,
                                       SIM_DISK_OTHER};

/* Every append is acknowledged; then the power goes. */
static void live_with_one_failure(struct wal_kit *kit)
{
    for (int i = 0; i < 40; i++) {
        expect_int(wal_kit_append(kit, wal_kit_length(kit)), 0);
        if (i % 10 == 9)
            expect_int(wal_kit_sync(kit), 0);
        if (i == 25)
            wal_kit_forget(kit, 10);
    }
    wal_kit_lose_power(kit);
    expect_int(kit->n_appended, 40);
    wal_kit_append_some(kit, 3);
}

static void fail_each_once(enum sim_disk_op op, bool is_relaxed, uint64_t *seed)
{
    static struct wal_kit kit;
    bool was_reached = true;
    for (uint64_t n = 1; was_reached; n++) {
        wal_kit_init(&kit, test_random(seed));
        kit.options.relaxed = is_relaxed;
        expect_int(wal_kit_open(&kit), 0);
        sim_disk_fail(kit.disk, op, n, EIO, 1);
        uint64_t n_before = sim_disk_n_ops(kit.disk, op);
        live_with_one_failure(&kit);
        was_reached = sim_disk_n_ops(kit.disk, op) - n_before > n;
        wal_kit_deinit(&kit);
    }
}

static void one_failure_costs_a_segment_and_nothing_else(void)
{
    uint64_t seed = test_seed();
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        fail_each_once(ops[i], false, &seed);
        fail_each_once(ops[i], true, &seed);
    }
}

static void a_failed_sync_is_never_tried_again(void)
{
    static struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 3; i++)
        expect_int(wal_kit_append(&kit, 100), 0);
    expect_true(sim_disk_name(kit.disk, ".log", 1) == NULL);
    sim_disk_fail(kit.disk, SIM_DISK_SYNC, 1, EIO, 1);
    expect_int(wal_kit_append(&kit, 100), 0);
    expect_str(sim_disk_name(kit.disk, ".log", 1), "0000000000000002.log");
    wal_kit_lose_power(&kit);
    expect_int(kit.n_appended, 4);
    wal_kit_deinit(&kit);
}

/* Nothing can save what it lied about, but nothing is made up: the log ends before it, or is refused as damaged. */
static void a_sync_that_lies_is_seen_or_costs_the_end(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    unsigned n_refused = 0, n_shorter = 0;
    for (int round = 0; round < 300; round++) {
        wal_kit_init(&kit, test_random(&seed));
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_append_some(&kit, 10);
        sim_disk_lie(kit.disk, 1 + test_random(&seed) % 20, 1 + test_random(&seed) % 10);
        wal_kit_append_some(&kit, 20);
        sim_disk_cut_power_at(kit.disk, 1);
        wal_close(TAKE(kit.wal));
        sim_disk_lose_power(kit.disk);
        kit.n_durable = 10;
        int result = wal_kit_open(&kit);
        expect_true(result == 0 || (result == -EBADMSG && strstr(kit.err.text, "damaged") != NULL));
        n_refused += result < 0;
        n_shorter += result == 0 && kit.n_appended < 30;
        wal_kit_deinit(&kit);
    }
    expect_true(n_refused > 0 && n_shorter > 0);
}

static void a_disk_that_keeps_failing_makes_the_log_read_only(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    for (size_t i = 0; i < 2; i++) {
        for (int relaxed = 0; relaxed < 2; relaxed++) {
            wal_kit_init(&kit, test_random(&seed));
            kit.options.relaxed = relaxed;
            expect_int(wal_kit_open(&kit), 0);
            wal_kit_append_some(&kit, 5);
            expect_int(wal_kit_sync(&kit), 0);
            sim_disk_fail(kit.disk, ops[i], 1, EIO, UINT64_MAX);
            int result = wal_kit_append(&kit, 100);
            expect_int(result == 0 ? wal_sync(kit.wal, &kit.err) : result, -EROFS);
            expect_str(kit.err.text, "writing the log in disk failed, and so did going on in a new file; no changes "
                                     "until the next start: Input/output error");
            /* It stays so when the disk is well again: what it holds is not known. */
            sim_disk_fail(kit.disk, ops[i], UINT64_MAX / 2, EIO, 1);
            kit.err.text[0] = '\0';
            expect_int(wal_append(kit.wal, NULL, 0, &kit.err), -EROFS);
            expect_true(kit.err.text[0] != '\0');
            expect_int(wal_prepare(kit.wal, 1, NULL), -EROFS);
            wal_kit_lose_power(&kit);
            expect_true(kit.n_appended == 5 || kit.n_appended == 6);
            wal_kit_append_some(&kit, 5);
            wal_kit_deinit(&kit);
        }
    }
}

static void a_full_disk_refuses_and_recovers(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    for (int round = 0; round < 50; round++) {
        wal_kit_init(&kit, test_random(&seed));
        kit.options.relaxed = round % 2;
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_append_some(&kit, 5);
        sim_disk_limit(kit.disk, sim_disk_used(kit.disk) + test_random(&seed) % 50000);
        int n_refused = 0;
        while (n_refused < 20) {
            size_t length = wal_kit_length(&kit);
            bool must_fit = wal_room(kit.wal) >= wal_record_bytes(length);
            int result = wal_kit_append(&kit, length);
            expect_true(result == 0 || (result == -ENOSPC && !must_fit));
            n_refused += result < 0;
        }
        expect_true(strstr(kit.err.text, "the disk of disk is full: the log needs ") != NULL);
        expect_int(wal_prepare(kit.wal, 10 * WAL_KIT_SEGMENT_BYTES, NULL), -ENOSPC);
        if (round % 4 < 2)
            wal_kit_lose_power(&kit);
        sim_disk_limit(kit.disk, UINT64_MAX);
        wal_kit_append_some(&kit, 10);
        wal_kit_close(&kit);
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_deinit(&kit);
    }
}

static void a_store_starts_on_a_full_disk(void)
{
    static struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    sim_disk_limit(kit.disk, 0);
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_kit_append(&kit, 10), -ENOSPC);
    sim_disk_limit(kit.disk, UINT64_MAX);
    expect_int(wal_kit_append(&kit, 10), 0);
    sim_disk_limit(kit.disk, 0);
    wal_kit_lose_power(&kit);
    expect_int(wal_room(kit.wal), 0);
    expect_int(wal_kit_append(&kit, 10), -ENOSPC);
    sim_disk_limit(kit.disk, UINT64_MAX);
    expect_int(wal_kit_append(&kit, 10), 0);
    wal_kit_deinit(&kit);
}

/* What was prepared can be appended, in whatever portions, with no byte of the disk left. */
static void room_that_was_proved_is_there(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    for (int round = 0; round < 300; round++) {
        wal_kit_init(&kit, test_random(&seed));
        kit.options.relaxed = round % 2;
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_append_some(&kit, (unsigned)(test_random(&seed) % 20));
        uint64_t bytes = test_random(&seed) % (2 * WAL_KIT_SEGMENT_BYTES);
        expect_int(wal_prepare(kit.wal, bytes, NULL), 0);
        sim_disk_limit(kit.disk, 0);
        for (size_t length = wal_kit_length(&kit); wal_record_bytes(length) <= bytes; length = wal_kit_length(&kit)) {
            expect_true(wal_room(kit.wal) >= bytes);
            expect_int(wal_kit_append(&kit, length), 0);
            bytes -= wal_record_bytes(length);
        }
        wal_kit_deinit(&kit);
    }
}

static void a_spare_that_does_not_fit_takes_nothing(void)
{
    static struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_kit_append(&kit, 10), 0);
    uint64_t used = sim_disk_used(kit.disk), room = wal_room(kit.wal);
    sim_disk_limit(kit.disk, used + 1000);

    struct wal_spare_job job;
    expect_true(wal_wants_spare(kit.wal));
    wal_spare_begin(kit.wal, &job);
    wal_spare_make(&job);
    expect_int(job.result, -ENOSPC);
    wal_spare_end(kit.wal, &job);
    expect_int(sim_disk_used(kit.disk), used);
    expect_int(wal_room(kit.wal), room);
    expect_int(wal_kit_append(&kit, 100), 0);
    wal_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ anything */

static void open_again(struct wal_kit *kit)
{
    wal_kit_close(kit);
    /* What it meets at opening it may refuse with, but then a start without failures must do. */
    if (wal_kit_open(kit) < 0)
        wal_kit_lose_power(kit);
}

/* Beside the log's work, which goes on meanwhile. */
static void make_spare(struct wal_kit *kit, uint64_t *seed)
{
    if (!wal_wants_spare(kit->wal))
        return;
    struct wal_spare_job job;
    wal_spare_begin(kit->wal, &job);
    wal_spare_make(&job);
    int result = test_random(seed) % 2 ? wal_kit_append(kit, wal_kit_length(kit)) : 0;
    uint64_t room = wal_room(kit->wal);
    wal_spare_end(kit->wal, &job);
    expect_true(wal_room(kit->wal) >= room);
    if (result == -EROFS)
        open_again(kit);
}

static void do_something(struct wal_kit *kit, uint64_t *seed)
{
    uint64_t luck = test_random(seed) % 200;
    if (luck < 10) {
        make_spare(kit, seed);
    } else if (luck < 150) {
        int result = wal_kit_append(kit, wal_kit_length(kit));
        expect_true(result == 0 || result == -ENOSPC || result == -EROFS);
        if (result == -EROFS)
            open_again(kit);
    } else if (luck < 160) {
        int result = wal_prepare(kit->wal, test_random(seed) % 50000, NULL);
        if (result != 0 && result != -ENOSPC)
            expect_int(result, -EIO);
    } else if (luck < 170) {
        if (wal_kit_sync(kit) == -EROFS)
            open_again(kit);
    } else if (luck < 176) {
        if (kit->n_durable > kit->from)
            wal_kit_forget(kit, kit->from + test_random(seed) % (kit->n_durable - kit->from));
    } else if (luck < 182) {
        sim_disk_limit(kit->disk, luck < 178 ? UINT64_MAX : sim_disk_used(kit->disk) + test_random(seed) % 100000);
    } else if (luck < 192) {
        sim_disk_fail(kit->disk, (enum sim_disk_op)(test_random(seed) % (SIM_DISK_ANY + 1)), 1 + test_random(seed) % 10,
                      EIO, 1 + test_random(seed) % 4);
    } else if (luck < 196) {
        open_again(kit);
    } else {
        wal_kit_lose_power(kit);
        kit->options.relaxed = test_random(seed) % 2;
    }
}

static void whatever_happens_nothing_acknowledged_is_lost(void)
{
    static struct wal_kit kit;
    uint64_t seed = test_seed();
    for (int round = 0; round < 60; round++) {
        wal_kit_init(&kit, test_random(&seed));
        wal_kit_lose_power(&kit);
        for (int step = 0; step < 400; step++)
            do_something(&kit, &seed);
        sim_disk_limit(kit.disk, UINT64_MAX);
        wal_kit_lose_power(&kit);
        wal_kit_append_some(&kit, 5);
        wal_kit_deinit(&kit);
    }
}

static const struct test_case cases[] = {
    {"one failure costs a segment and nothing else", one_failure_costs_a_segment_and_nothing_else},
    {"a failed sync is never tried again", a_failed_sync_is_never_tried_again},
    {"a sync that lies is seen, or costs the end of the log", a_sync_that_lies_is_seen_or_costs_the_end},
    {"a disk that keeps failing makes the log read-only", a_disk_that_keeps_failing_makes_the_log_read_only},
    {"a full disk refuses and recovers", a_full_disk_refuses_and_recovers},
    {"a store starts on a full disk", a_store_starts_on_a_full_disk},
    {"room that was proved is there", room_that_was_proved_is_there},
    {"a spare that does not fit takes nothing", a_spare_that_does_not_fit_takes_nothing},
    {"whatever happens, nothing acknowledged is lost", whatever_happens_nothing_acknowledged_is_lost},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
