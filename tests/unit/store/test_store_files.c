/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a store one by one: what is told of good ones, of damaged ones, of one that was torn. */
#include "store/local/store_files.h"

#include "store/local/lone_file.h"
#include "store/local/snapshot.h"
#include "store/local/wal_segment.h"
#include "support/wal_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct seen {
    unsigned n_snapshots, n_segments, n_bad;
    uint64_t n_records;
    char bad_name[64];
    struct err what; /* of the last file of which something was said */
};

static void see(void *ctx, const struct store_file *file)
{
    struct seen *seen = ctx;
    seen->n_snapshots += file->is_snapshot;
    seen->n_segments += !file->is_snapshot;
    seen->n_bad += file->result < 0;
    seen->n_records += file->n_records;
    expect_true(file->n_bytes > 0);
    if (file->result < 0)
        (void)snprintf(seen->bad_name, sizeof(seen->bad_name), "%s", file->name);
    if (*file->what)
        err_set(&seen->what, 0, "%s", file->what);
}

static struct seen look(struct wal_kit *kit)
{
    struct seen seen = {0};
    struct err err;
    expect_int(store_files_check(sim_disk_files(kit->disk), see, &seen, &err), 0);
    return seen;
}

/* A log of several segments and one snapshot. */
static void fill(struct wal_kit *kit)
{
    struct snapshot_writer *writer;
    struct record_entry entry = {.type = RECORD_LEASE, .lease = {.id = 1, .ttl_ms = 2}};
    wal_kit_init(kit, test_seed());
    expect_int(wal_kit_open(kit), 0);
    for (int i = 0; i < 100; i++)
        expect_int(wal_kit_append(kit, 1000), 0);
    wal_kit_close(kit);
    const struct snapshot_head head = {.next_record = 5, .revision = 5};
    expect_int(snapshot_writer_open(sim_disk_files(kit->disk), &head, &writer, NULL), 0);
    expect_int(snapshot_writer_add(writer, &entry, NULL), 0);
    expect_int(snapshot_writer_finish(writer, NULL), 0);
}

static void good_files_are_whole(void)
{
    struct wal_kit kit;
    fill(&kit);
    struct seen seen = look(&kit);
    expect_int(seen.n_bad, 0);
    expect_int(seen.n_snapshots, 1);
    expect_true(seen.n_segments > 2);
    expect_int(seen.n_records, 100);
    expect_str(seen.what.text, "");
    wal_kit_deinit(&kit);
}

/* Whatever bit of a record, of a head or of a snapshot is another: it is found, in that file. */
static void every_flipped_bit_is_found(void)
{
    struct wal_kit kit;
    fill(&kit);
    uint64_t seed = test_seed();
    const char *const names[] = {"0000000000000001.log", "0000000000000002.log", "0000000000000005.snapshot"};
    for (unsigned round = 0; round < 300; round++) {
        const char *name = names[round % ARRAY_LEN(names)];
        uint64_t n_bytes = round % 3 == 2 ? sim_disk_bytes(kit.disk, name).len : SEGMENT_HEAD_BYTES + 5000;
        uint64_t bit = test_random(&seed) % (8 * n_bytes);
        sim_disk_flip(kit.disk, name, bit);
        struct seen seen = look(&kit);
        expect_true(seen.n_bad >= 1);
        expect_true(strstr(seen.what.text, "damaged") || strstr(seen.what.text, "newer version"));
        sim_disk_flip(kit.disk, name, bit);
    }
    expect_int(look(&kit).n_bad, 0);
    wal_kit_deinit(&kit);
}

static void a_torn_end_is_told_and_is_no_damage(void)
{
    struct wal_kit kit;
    wal_kit_init(&kit, test_seed());
    expect_int(wal_kit_open(&kit), 0);
    for (int i = 0; i < 3; i++)
        expect_int(wal_kit_append(&kit, 100), 0);
    uint64_t third = SEGMENT_HEAD_BYTES + 2 * segment_record_bytes(100);
    sim_disk_flip(kit.disk, "0000000000000001.log", 8 * (third + SEGMENT_RECORD_HEAD_BYTES));
    struct seen seen = look(&kit); /* of a log that is still open, as when its process was killed */
    expect_int(seen.n_bad, 0);
    expect_int(seen.n_records, 2);
    expect_true(strncmp(seen.what.text, "torn at offset ", 15) == 0);
    sim_disk_flip(kit.disk, "0000000000000001.log", 8 * (third + SEGMENT_RECORD_HEAD_BYTES));
    wal_kit_close(&kit);
    wal_kit_deinit(&kit);
}

/* What was once prepared for the next segment serves for the one that ends a repaired log. */
static void a_repair_uses_a_spare_of_any_length(void)
{
    static const size_t lengths[] = {4096, 8192, WAL_KIT_SEGMENT_BYTES};
    static const char zeroes[WAL_KIT_SEGMENT_BYTES];
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        struct wal_kit kit;
        wal_kit_init(&kit, test_seed());
        expect_int(wal_kit_open(&kit), 0);
        for (int k = 0; k < 10; k++)
            expect_int(wal_kit_append(&kit, 100), 0);
        wal_kit_close(&kit);
        uint64_t third = SEGMENT_HEAD_BYTES + 2 * segment_record_bytes(100);
        sim_disk_flip(kit.disk, "0000000000000001.log", 8 * (third + SEGMENT_RECORD_HEAD_BYTES));
        sim_disk_put(kit.disk, "00000000000000ff.spare", slice_from(zeroes, lengths[i]));
        kit.options.repair = true;
        kit.n_durable = 2;
        expect_int(wal_kit_open(&kit), 0);
        expect_int(kit.n_appended, 2);
        wal_kit_close(&kit);
        kit.options.repair = false;
        expect_int(wal_kit_open(&kit), 0);
        wal_kit_deinit(&kit);
    }
}

static int count_entry(void *ctx, const struct record_entry *entry, struct err *err)
{
    (void)err;
    *(int64_t *)ctx += entry->lease.id;
    return 0;
}

/* A saved file stands for a folder with nothing else in it; it can be read and not be changed. */
static void a_lone_file_is_a_folder(void)
{
    struct wal_kit kit;
    fill(&kit);
    struct slice bytes = sim_disk_bytes(kit.disk, "0000000000000005.snapshot");
    int fd = memfd_create("lone", MFD_CLOEXEC);
    expect_int(write(fd, bytes.ptr, bytes.len), bytes.len);
    expect_int(write(fd, "more", 4), 4); /* is not its */
    struct lone_file lone;
    struct snapshot_head head;
    int64_t sum = 0;
    unsigned n_skipped;
    lone_file_init(&lone, fd, bytes.len, "saved");
    expect_int(snapshot_load(&lone.files, count_entry, &sum, &head, &n_skipped, NULL), 0);
    expect_int(sum, 1);
    expect_int(head.revision, 5);
    struct wal_file *file;
    expect_int(lone.files.ops->open(lone.files.ctx, "another", false, &file), -ENOENT);
    expect_int(lone.files.ops->open(lone.files.ctx, LONE_FILE_NAME, true, &file), -EROFS);
    expect_int(lone.files.ops->remove(lone.files.ctx, LONE_FILE_NAME), -EROFS);
    expect_int(lone.files.ops->rename(lone.files.ctx, LONE_FILE_NAME, "x"), -EROFS);
    close(fd);
    wal_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"good files are whole", good_files_are_whole},
    {"every flipped bit is found", every_flipped_bit_is_found},
    {"a torn end is told and is no damage", a_torn_end_is_told_and_is_no_damage},
    {"a repair uses a spare of any length", a_repair_uses_a_spare_of_any_length},
    {"a lone file is a folder", a_lone_file_is_a_folder},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
