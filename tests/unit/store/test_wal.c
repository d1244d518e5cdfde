/* SPDX-License-Identifier: Apache-2.0 */
/* The log when all goes well, and how it says what does not. */
#include "base/crc32c.h"
#include "base/le.h"
#include "store/local/wal_segment.h"
#include "support/fault_alloc.h"
#include "support/wal_kit.h"

#include <errno.h>

static void records_come_back_as_they_were_appended(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_next(kit.wal), 1);
    wal_kit_append_some(&kit, 200);
    expect_int(wal_kit_append(&kit, 0), 0);
    wal_kit_close(&kit);
    for (int round = 0; round < 3; round++) {
        expect_int(wal_kit_open(&kit), 0);
        expect_int(kit.torn_bytes, 0);
        expect_int(kit.n_appended, 201 + 10 * round);
        wal_kit_append_some(&kit, 10);
        wal_kit_close(&kit);
    }
    wal_kit_deinit(&kit);
}

static void replay_begins_where_it_is_told_to(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_append_some(&kit, 100);
    wal_kit_close(&kit);
    for (kit.from = 1; kit.from <= 101; kit.from++) {
        expect_int(wal_kit_open(&kit), 0);
        expect_int(kit.n_appended, 100);
        wal_kit_close(&kit);
    }
    /* A snapshot may know more than a relaxed log that lost its end: the numbers go on behind it. */
    kit.from = 150;
    kit.n_durable = 0;
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_next(kit.wal), 150);
    wal_kit_append_some(&kit, 5);
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_next(kit.wal), 155);
    wal_kit_close(&kit);
    /* … but what is missing between them is missed when that snapshot is. */
    kit.from = 99;
    kit.n_appended = 100;
    expect_int(wal_kit_open(&kit), -EBADMSG);
    wal_kit_deinit(&kit);
}

static void each_append_is_one_write_and_one_sync(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_kit_append(&kit, 10), 0);
    expect_int(wal_prepare(kit.wal, 20 * wal_record_bytes(100), &kit.err), 0);
    uint64_t n_ops = sim_disk_n_ops(kit.disk, SIM_DISK_ANY), n_syncs = wal_n_syncs(kit.wal);
    for (int i = 1; i <= 20; i++) {
        expect_int(wal_kit_append(&kit, 100), 0);
        expect_int(sim_disk_n_ops(kit.disk, SIM_DISK_ANY), n_ops + 2 * (uint64_t)i);
        expect_int(wal_n_syncs(kit.wal), n_syncs + (uint64_t)i);
    }
    wal_kit_deinit(&kit);
}

static void a_spare_made_beside_it_saves_the_log_from_making_room(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    expect_true(!wal_wants_spare(kit.wal)); /* nothing is logged yet */
    for (int segment = 0; segment < 5; segment++) {
        expect_int(wal_kit_append(&kit, 100), 0);
        expect_true(wal_wants_spare(kit.wal));
        struct wal_spare_job job;
        wal_spare_begin(kit.wal, &job);
        wal_spare_make(&job);
        expect_int(job.result, 0);
        wal_spare_end(kit.wal, &job);
        expect_true(!wal_wants_spare(kit.wal));

        uint64_t n_allocated = sim_disk_n_ops(kit.disk, SIM_DISK_ALLOCATE);
        while (!wal_wants_spare(kit.wal))
            expect_int(wal_kit_append(&kit, 100), 0);
        expect_int(sim_disk_n_ops(kit.disk, SIM_DISK_ALLOCATE), n_allocated);
    }
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

static void a_record_may_be_longer_than_a_segment(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_kit_append(&kit, 100), 0);
    expect_int(wal_kit_append(&kit, 4 * WAL_KIT_SEGMENT_BYTES), 0);
    expect_int(wal_kit_append(&kit, 3 * WAL_KIT_SEGMENT_BYTES), 0);
    expect_int(wal_kit_append(&kit, 100), 0);
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    expect_int(kit.n_appended, 4);
    /* Its segment is too long to be kept for another one. */
    wal_kit_append_some(&kit, 50);
    wal_kit_forget(&kit, wal_next(kit.wal));
    expect_true(sim_disk_used(kit.disk) < 8 * WAL_KIT_SEGMENT_BYTES);
    wal_kit_deinit(&kit);
}

static void forgotten_segments_are_used_again(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    uint64_t used_max = 0;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 40; i++)
            expect_int(wal_kit_append(&kit, 1000), 0);
        wal_kit_forget(&kit, wal_next(kit.wal) - 20);
        if (round == 10)
            used_max = sim_disk_used(kit.disk);
        expect_true(wal_bytes(kit.wal) <= 3 * WAL_KIT_SEGMENT_BYTES);
    }
    expect_true(sim_disk_used(kit.disk) <= used_max);
    uint64_t n_allocated = sim_disk_n_ops(kit.disk, SIM_DISK_ALLOCATE);
    for (int i = 0; i < 40; i++)
        expect_int(wal_kit_append(&kit, 1000), 0);
    expect_int(sim_disk_n_ops(kit.disk, SIM_DISK_ALLOCATE), n_allocated);
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

static void a_relaxed_log_syncs_when_it_is_time(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    kit.options.relaxed = true;
    kit.options.relaxed_ms = 100;
    expect_int(wal_kit_open(&kit), 0);
    nsec_t now_ns = NSEC_PER_SEC;
    expect_int(wal_sync_if_due(kit.wal, now_ns, &kit.err), 0);
    for (int i = 0; i < 10; i++)
        expect_int(wal_kit_append(&kit, 100), 0);
    expect_int(wal_n_syncs(kit.wal), 0);
    expect_int(wal_sync_if_due(kit.wal, now_ns + 99 * NSEC_PER_MSEC, &kit.err), 0);
    expect_int(wal_n_syncs(kit.wal), 0);
    expect_int(wal_sync_if_due(kit.wal, now_ns + 100 * NSEC_PER_MSEC, &kit.err), 0);
    expect_int(wal_n_syncs(kit.wal), 1);
    kit.n_durable = 10;
    wal_kit_lose_power(&kit);
    expect_int(kit.n_appended, 10);
    wal_kit_deinit(&kit);
}

static void damage_is_refused_with_place_and_remedy(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 10; i++)
        expect_int(wal_kit_append(&kit, 100), 0);
    wal_kit_close(&kit);
    uint64_t third = SEGMENT_HEAD_BYTES + 2 * segment_record_bytes(100);
    sim_disk_flip(kit.disk, "0000000000000001.log", 8 * (third + SEGMENT_RECORD_HEAD_BYTES + 50));
    expect_int(wal_kit_open(&kit), -EBADMSG);
    expect_str(kit.err.text,
               "disk/0000000000000001.log is damaged at offset 336: a later record proves that one stood "
               "there. `muster store check --repair --data disk` keeps what is before it and cuts off the rest");

    kit.options.repair = true;
    kit.n_durable = 2;
    expect_int(wal_kit_open(&kit), 0);
    expect_int(kit.n_appended, 2);
    expect_true(kit.torn_bytes > 0);
    wal_kit_close(&kit);
    kit.options.repair = false;
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_append_some(&kit, 5);
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    expect_int(kit.n_appended, 7);
    wal_kit_deinit(&kit);
}

static void repair_sets_aside_what_follows_damage(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 120; i++)
        expect_int(wal_kit_append(&kit, 1000), 0);
    wal_kit_close(&kit);
    sim_disk_flip(kit.disk, "0000000000000002.log", 8 * 2000);
    expect_int(wal_kit_open(&kit), -EBADMSG);
    kit.options.repair = true;
    kit.n_durable = 0;
    expect_int(wal_kit_open(&kit), 0);
    expect_true(kit.n_appended > 25 && kit.n_appended < 40);
    expect_true(sim_disk_name(kit.disk, ".damaged", 0) != NULL);
    wal_kit_append_some(&kit, 5);
    wal_kit_close(&kit);
    kit.options.repair = false;
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

static void a_log_whose_only_head_is_damaged_can_be_given_up(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_append_some(&kit, 3);
    wal_kit_close(&kit);
    sim_disk_flip(kit.disk, "0000000000000001.log", 8 * 20);
    expect_int(wal_kit_open(&kit), -EBADMSG);
    kit.options.repair = true;
    kit.n_durable = 0;
    expect_int(wal_kit_open(&kit), 0);
    expect_int(wal_next(kit.wal), 1);
    wal_kit_append_some(&kit, 3);
    wal_kit_close(&kit);
    kit.options.repair = false;
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

static void missing_segments_are_missed(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 120; i++)
        expect_int(wal_kit_append(&kit, 1000), 0);
    wal_kit_close(&kit);
    struct wal_files *files = sim_disk_files(kit.disk);
    expect_int(files->ops->remove(files->ctx, "0000000000000002.log"), 0);
    expect_int(wal_kit_open(&kit), -EBADMSG);
    expect_true(strstr(kit.err.text, "segments or a newer snapshot are missing") != NULL);
    wal_kit_deinit(&kit);
}

/* Which a file system that reorders removals could leave behind. */
static void a_gap_that_nobody_needs_is_passed_over(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 120; i++)
        expect_int(wal_kit_append(&kit, 1000), 0);
    wal_kit_close(&kit);
    struct wal_files *files = sim_disk_files(kit.disk);
    expect_int(files->ops->remove(files->ctx, "0000000000000002.log"), 0);
    kit.from = 100;
    expect_int(wal_kit_open(&kit), 0);
    expect_str(sim_disk_name(kit.disk, ".log", 0), "0000000000000003.log");
    wal_kit_deinit(&kit);
}

static void a_newer_format_is_left_alone(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    char bytes[SEGMENT_HEAD_BYTES];
    segment_head_write(&(struct segment_head){.sequence = 1, .first_number = 1}, bytes);
    bytes[8] = SEGMENT_VERSION + 1;
    sim_disk_put(kit.disk, "0000000000000001.log", slice_from(bytes, sizeof(bytes)));
    expect_int(wal_kit_open(&kit), -EBADMSG);
    put_le32(bytes + 60, crc32c(0, slice_from(bytes, 60)));
    sim_disk_put(kit.disk, "0000000000000001.log", slice_from(bytes, sizeof(bytes)));
    kit.options.repair = true;
    expect_int(wal_kit_open(&kit), -ENOTSUP);
    wal_kit_deinit(&kit);
}

static void the_first_format_is_read_and_not_written_to(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_append_some(&kit, 5);
    wal_kit_close(&kit);
    char head[SEGMENT_HEAD_BYTES];
    static char bytes[WAL_KIT_LENGTH_MAX]; /* a record may be longer than a segment */
    struct slice segment = sim_disk_bytes(kit.disk, "0000000000000001.log");
    expect_true(segment.len <= sizeof(bytes));
    memcpy(bytes, segment.ptr, segment.len);
    put_le32(bytes + 8, 1);
    put_le32(bytes + 60, crc32c(0, slice_from(bytes, 60)));
    memcpy(head, bytes, sizeof(head));
    sim_disk_put(kit.disk, "0000000000000001.log", slice_from(bytes, segment.len));

    expect_int(wal_kit_open(&kit), 0);
    wal_kit_append_some(&kit, 5);
    expect_bytes(slice_from(sim_disk_bytes(kit.disk, "0000000000000001.log").ptr, sizeof(head)),
                 slice_from(head, sizeof(head)));
    expect_int(get_le32(sim_disk_bytes(kit.disk, "0000000000000002.log").ptr + 8), SEGMENT_VERSION);
    wal_kit_close(&kit);
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

/* On one disk again and again: every allocation of opening, appending, rolling, forgetting fails once. */
static int live_a_little(void *arg)
{
    struct wal_kit *kit = arg;
    int result = wal_kit_open(kit);
    if (result == 0)
        wal_kit_forget(kit, wal_next(kit->wal));
    for (int i = 0; result == 0 && i < 45; i++)
        result = wal_kit_append(kit, 900);
    wal_kit_close(kit);
    return result;
}

static void running_out_of_memory_is_an_ordinary_error(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_true(fault_alloc_sweep(live_a_little, &kit) > 10);
    expect_int(wal_kit_open(&kit), 0);
    wal_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"records come back as they were appended", records_come_back_as_they_were_appended},
    {"replay begins where it is told to", replay_begins_where_it_is_told_to},
    {"each append is one write and one sync", each_append_is_one_write_and_one_sync},
    {"a spare made beside it saves the log from making room", a_spare_made_beside_it_saves_the_log_from_making_room},
    {"a record may be longer than a segment", a_record_may_be_longer_than_a_segment},
    {"forgotten segments are used again", forgotten_segments_are_used_again},
    {"a relaxed log syncs when it is time", a_relaxed_log_syncs_when_it_is_time},
    {"damage is refused with its place and a remedy", damage_is_refused_with_place_and_remedy},
    {"repair sets aside what follows damage", repair_sets_aside_what_follows_damage},
    {"a log whose only head is damaged can be given up", a_log_whose_only_head_is_damaged_can_be_given_up},
    {"missing segments are missed", missing_segments_are_missed},
    {"a gap that nobody needs is passed over", a_gap_that_nobody_needs_is_passed_over},
    {"a newer format is left alone", a_newer_format_is_left_alone},
    {"the first format is read and not written to", the_first_format_is_read_and_not_written_to},
    {"running out of memory is an ordinary error", running_out_of_memory_is_an_ordinary_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
