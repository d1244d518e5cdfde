/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crc32c.h"
#include "base/le.h"
#include "store/local/snapshot.h"
#include "support/fault_alloc.h"
#include "support/sim_disk.h"
#include "support/test.h"

#include <errno.h>

enum { LEASES = 5000 };

/*
 * A snapshot in these tests is LEASES leases whose numbers follow from next_record, with a put of some length in the
 * middle, so that it has several frames and its contents tell which one it is.
 */
static int write_snapshot(struct sim_disk *disk, uint64_t next_record, struct err *err)
{
    static char value[100 * 1000];
    struct snapshot_head head = {next_record, (int64_t)next_record * 10, (int64_t)next_record * 5, -7};
    struct snapshot_writer *writer;
    int result = snapshot_writer_open(sim_disk_files(disk), &head, &writer, err);
    if (result < 0)
        return result;
    for (int64_t i = 0; i < LEASES && result == 0; i++) {
        struct record_entry lease = {.type = RECORD_LEASE,
                                     .lease = {.id = (int64_t)next_record * LEASES + i, .ttl_ms = i}};
        struct record_entry put = {.type = RECORD_PUT,
                                   .kv = {.key = SLICE_LIT("key"), .value = slice_from(value, sizeof(value))}};
        result = snapshot_writer_add(writer, i % 1000 == 500 ? &put : &lease, err);
    }
    if (result < 0) {
        snapshot_writer_abort(writer);
        return result;
    }
    return snapshot_writer_finish(writer, err);
}

struct loading {
    struct sim_disk *disk;
    struct snapshot_head head;
    unsigned n_skipped;
    struct err err;
    int64_t n_entries, first;
};

static int count_entry(void *ctx, const struct record_entry *entry, struct err *err)
{
    struct loading *loading = ctx;
    (void)err;
    int64_t i = loading->n_entries++;
    if (i == 0)
        loading->first = entry->lease.id;
    if (i % 1000 == 500) {
        expect_int(entry->type, RECORD_PUT);
        expect_int(entry->kv.value.len, 100 * 1000);
    } else {
        expect_int(entry->lease.id, loading->first + i);
    }
    return 0;
}

static int load(struct loading *loading)
{
    *loading = (struct loading){.disk = loading->disk};
    return snapshot_load(sim_disk_files(loading->disk), count_entry, loading, &loading->head, &loading->n_skipped,
                         &loading->err);
}

static void expect_snapshot(struct loading *loading, uint64_t next_record, unsigned n_skipped)
{
    expect_int(load(loading), 0);
    expect_int(loading->head.next_record, next_record);
    expect_int(loading->head.revision, next_record * 10);
    expect_int(loading->head.compacted, next_record * 5);
    expect_int(loading->head.wall_ms, -7);
    expect_int(loading->n_entries, LEASES);
    expect_int(loading->first, next_record * LEASES);
    expect_int(loading->n_skipped, n_skipped);
}

static void the_newest_is_loaded_and_two_are_kept(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    expect_int(load(&loading), -ENOENT);
    for (uint64_t n = 1; n <= 20; n++) {
        expect_int(write_snapshot(loading.disk, n, NULL), 0);
        expect_snapshot(&loading, n, 0);
        expect_true((sim_disk_name(loading.disk, "", 1) != NULL) == (n > 1));
        expect_true(sim_disk_name(loading.disk, "", 2) == NULL);
    }
    /* One like another takes its place. */
    expect_int(write_snapshot(loading.disk, 20, NULL), 0);
    expect_snapshot(&loading, 20, 0);
    sim_disk_free(loading.disk);
}

static void an_empty_one_is_whole(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    struct snapshot_writer *writer;
    expect_int(
        snapshot_writer_open(sim_disk_files(loading.disk), &(struct snapshot_head){.revision = 1}, &writer, NULL), 0);
    expect_int(snapshot_writer_finish(writer, NULL), 0);
    expect_int(load(&loading), 0);
    expect_int(loading.head.revision, 1);
    expect_int(loading.n_entries, 0);
    sim_disk_free(loading.disk);
}

static void a_damaged_one_is_passed_over(void)
{
    uint64_t seed = test_seed();
    struct loading loading = {.disk = sim_disk_new(seed)};
    expect_int(write_snapshot(loading.disk, 1, NULL), 0);
    expect_int(write_snapshot(loading.disk, 2, NULL), 0);
    const char *newest = sim_disk_name(loading.disk, ".snapshot", 1);
    for (unsigned n = test_rounds(500); n > 0; n--) {
        uint64_t bit = test_random(&seed) % (8 * sim_disk_bytes(loading.disk, newest).len);
        sim_disk_flip(loading.disk, newest, bit);
        expect_snapshot(&loading, 1, 1);
        sim_disk_flip(loading.disk, newest, bit);
    }
    expect_snapshot(&loading, 2, 0);

    sim_disk_flip(loading.disk, newest, 100);
    sim_disk_flip(loading.disk, sim_disk_name(loading.disk, ".snapshot", 0), 8 * 64 + 8 * 30);
    expect_int(load(&loading), -EBADMSG);
    expect_int(loading.n_entries, 0);
    expect_str(loading.err.text, "every snapshot in disk is damaged; the oldest: "
                                 "disk/0000000000000001.snapshot is damaged at offset 64");
    sim_disk_free(loading.disk);
}

static void a_cut_or_lengthened_one_is_passed_over(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    static char bytes[2 * 1000 * 1000];
    expect_int(write_snapshot(loading.disk, 1, NULL), 0);
    expect_int(write_snapshot(loading.disk, 2, NULL), 0);
    struct slice whole = sim_disk_bytes(loading.disk, "0000000000000002.snapshot");
    expect_true(whole.len < sizeof(bytes));
    size_t len = whole.len;
    memcpy(bytes, whole.ptr, len);
    for (size_t cut = 0; cut < len; cut += cut < 200 || cut > len - 200 ? 1 : 9973) {
        sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, cut));
        expect_snapshot(&loading, 1, 1);
    }
    /* Padding is as many zeroes as fill a sector, and nothing else. */
    sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, len + 511));
    expect_snapshot(&loading, 2, 0);
    sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, len + 512));
    expect_snapshot(&loading, 1, 1);
    bytes[len] = 1;
    sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, len + 1));
    expect_snapshot(&loading, 1, 1);
    sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, len));
    expect_snapshot(&loading, 2, 0);
    sim_disk_free(loading.disk);
}

static void a_newer_format_is_left_alone(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    expect_int(write_snapshot(loading.disk, 1, NULL), 0);
    expect_int(write_snapshot(loading.disk, 2, NULL), 0);
    char bytes[64];
    memcpy(bytes, sim_disk_bytes(loading.disk, "0000000000000002.snapshot").ptr, sizeof(bytes));
    bytes[8]++;
    put_le32(bytes + 60, crc32c(0, slice_from(bytes, 60)));
    sim_disk_put(loading.disk, "0000000000000002.snapshot", slice_from(bytes, sizeof(bytes)));
    expect_int(load(&loading), -ENOTSUP);
    sim_disk_free(loading.disk);
}

/* A file that the first version of the format has: ten entries, none of them of the kinds that came later. */
static const char of_version_1[] = "\x6d\x75\x73\x74\x65\x72\x2d\x73\x01\x00\x00\x00\x00\x00\x00\x00"
                                   "\x09\x00\x00\x00\x00\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00"
                                   "\x05\x00\x00\x00\x00\x00\x00\x00\x00\x68\xe5\xcf\x8b\x01\x00\x00"
                                   "\x09\x19\x0b\x7a\xe9\x19\x9b\xd7\x00\x00\x00\x00\x9a\x85\xc0\xd1"
                                   "\x1f\x01\x68\x1c\x80\x00\x00\x00\x01\x00\x00\x00\x0a\x00\x00\x00"
                                   "\x00\x00\x00\x00\x00\x00\x00\x00\x01\x0e\x80\xa0\xab\xfe\xf9\x62"
                                   "\x02\x0e\x73\x65\x72\x76\x69\x63\x65\x73\x2f\x77\x65\x62\x2f\x31"
                                   "\x0b\x7b\x22\x70\x6f\x72\x74\x22\x3a\x38\x30\x7d\x53\x0e\x02\x03"
                                   "\x0e\x73\x65\x72\x76\x69\x63\x65\x73\x2f\x77\x65\x62\x2f\x31\x04"
                                   "\x9a\x01\xa0\x9c\x01\x05\x9a\x01\xd0\x8c\x01\x06\x9a\x01\x07\x0a"
                                   "\x08\x01\x10\x80\xa0\xab\xfe\xf9\x62\x9a\x01\xc0\xbb\x01\x01\x6b"
                                   "\x0d\x65\x74\x63\x64\x20\x31\x30\x2e\x30\x2e\x30\x2e\x37\x0d\x6c"
                                   "\x65\x61\x73\x65\x20\x72\x61\x6e\x20\x6f\x75\x74\x09\x01\x02\x0a"
                                   "\x01\x6b\x01\x76\x00\x04\x04\x06\x19\x51\x82\xae\x10\x00\x00\x00"
                                   "\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00"
                                   "\x0a\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00";

static int count_type(void *ctx, const struct record_entry *entry, struct err *err)
{
    unsigned *counts = ctx;
    (void)err;
    counts[entry->type]++;
    return 0;
}

static void the_first_format_is_read(void)
{
    struct sim_disk *disk = sim_disk_new(test_seed());
    sim_disk_put(disk, "0000000000000009.snapshot", slice_from(of_version_1, sizeof(of_version_1) - 1));
    struct snapshot_head head;
    unsigned counts[RECORD_DOC_GONE + 1] = {0}, n_skipped;
    expect_int(snapshot_load(sim_disk_files(disk), count_type, counts, &head, &n_skipped, NULL), 0);
    expect_int(head.next_record, 9);
    expect_int(head.revision, 8);
    expect_int(head.compacted, 5);
    for (unsigned type = RECORD_COMMIT; type <= RECORD_BASE; type++)
        expect_int(counts[type], 1);
    sim_disk_free(disk);
}

static void power_may_go_at_every_change(void)
{
    uint64_t seed = test_seed();
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n++) {
        struct loading loading = {.disk = sim_disk_new(test_random(&seed))};
        for (uint64_t i = 1; i <= 3; i++)
            expect_int(write_snapshot(loading.disk, i, NULL), 0);
        sim_disk_cut_power_at(loading.disk, n);
        int result = write_snapshot(loading.disk, 4, NULL);
        was_cut = !sim_disk_has_power(loading.disk);
        sim_disk_lose_power(loading.disk);
        expect_int(load(&loading), 0);
        expect_snapshot(&loading, loading.head.next_record, 0);
        expect_true(loading.head.next_record == 4 || (result < 0 && loading.head.next_record == 3));
        expect_int(write_snapshot(loading.disk, 5, NULL), 0);
        expect_snapshot(&loading, 5, 0);
        sim_disk_free(loading.disk);
    }
}

static void what_fails_leaves_the_one_before(void)
{
    uint64_t seed = test_seed();
    for (int op = 0; op < SIM_DISK_OTHER; op++) {
        bool has_failed = true;
        for (uint64_t n = 1; has_failed; n++) {
            struct loading loading = {.disk = sim_disk_new(test_random(&seed))};
            expect_int(write_snapshot(loading.disk, 1, NULL), 0);
            sim_disk_fail(loading.disk, (enum sim_disk_op)op, n, EIO, 1);
            has_failed = write_snapshot(loading.disk, 2, &loading.err) < 0;
            if (has_failed) {
                sim_disk_lose_power(loading.disk);
                expect_true(load(&loading) == 0 && (loading.head.next_record == 1 || op == SIM_DISK_RENAME));
            }
            sim_disk_free(loading.disk);
        }
    }
}

static void a_full_disk_is_told_and_left_as_it_was(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    expect_int(write_snapshot(loading.disk, 1, NULL), 0);
    uint64_t used = sim_disk_used(loading.disk);
    struct err err;
    for (uint64_t room = 0; room < used; room += 50 * 1000) {
        sim_disk_limit(loading.disk, used + room);
        expect_int(write_snapshot(loading.disk, 2, &err), -ENOSPC);
        expect_str(err.text, "the disk of disk is full: no snapshot was written");
        expect_int(sim_disk_used(loading.disk), used);
    }
    expect_snapshot(&loading, 1, 0);
    sim_disk_free(loading.disk);
}

static void an_entry_may_be_too_long(void)
{
    struct sim_disk *disk = sim_disk_new(test_seed());
    static char value[17 * 1024 * 1024];
    struct record_entry put = {.type = RECORD_PUT, .kv.value = slice_from(value, sizeof(value))};
    struct snapshot_writer *writer;
    expect_int(snapshot_writer_open(sim_disk_files(disk), &(struct snapshot_head){0}, &writer, NULL), 0);
    expect_int(snapshot_writer_add(writer, &put, NULL), -EMSGSIZE);
    snapshot_writer_abort(writer);
    expect_true(sim_disk_name(disk, "", 0) == NULL);
    sim_disk_free(disk);
}

static int write_and_load(void *arg)
{
    struct loading *loading = arg;
    int result = write_snapshot(loading->disk, 3, NULL);
    return result < 0 ? result : load(loading);
}

static void running_out_of_memory_is_an_ordinary_error(void)
{
    struct loading loading = {.disk = sim_disk_new(test_seed())};
    expect_true(fault_alloc_sweep(write_and_load, &loading) > 5);
    expect_snapshot(&loading, 3, 0);
    sim_disk_free(loading.disk);
}

static const struct test_case cases[] = {
    {"the newest is loaded and two are kept", the_newest_is_loaded_and_two_are_kept},
    {"an empty one is whole", an_empty_one_is_whole},
    {"a damaged one is passed over, as a whole", a_damaged_one_is_passed_over},
    {"a cut or lengthened one is passed over", a_cut_or_lengthened_one_is_passed_over},
    {"a newer format is left alone", a_newer_format_is_left_alone},
    {"the first format is read", the_first_format_is_read},
    {"the power may go at every change of the disk", power_may_go_at_every_change},
    {"what fails leaves the one before", what_fails_leaves_the_one_before},
    {"a full disk is told and left as it was", a_full_disk_is_told_and_left_as_it_was},
    {"an entry may be too long", an_entry_may_be_too_long},
    {"running out of memory is an ordinary error", running_out_of_memory_is_an_ordinary_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
