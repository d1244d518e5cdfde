/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store that finds its files damaged: every prefix of the log is a store of the past, and no flipped bit anywhere
 * makes it start with anything else than what was written. Each revision puts one key, so that the state follows from
 * the revision.
 */
#include "store/local/local.h"
#include "store/local/wal_segment.h"

#include "support/sim_disk.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

enum {
    PUTS = 40,
    FIRST_SNAPSHOT = 12,
    SECOND_SNAPSHOT = 25,
    LEASE = 7,
    FLIPS = 1000,
    USED_BYTES = 14000, /* of a segment; the rest is zeroes */
};

struct opened {
    struct rcu_domain rcu;
    struct local *local;
    struct local_recovery recovery;
    struct err err;
};

static int open_store(struct opened *opened, struct sim_disk *disk)
{
    *opened = (struct opened){0};
    struct local_options options;
    local_options_init(&options);
    options.wal.segment_bytes = 16 * 1024;
    rcu_init(&opened->rcu);
    return local_open(sim_disk_files(disk), &options, &opened->rcu, 0, &opened->local, &opened->recovery, &opened->err);
}

static void close_store(struct opened *opened)
{
    local_close(opened->local);
    rcu_deinit(&opened->rcu);
}

static void do_request(struct opened *opened, struct store_request *request)
{
    expect_int(local_apply(opened->local, request, 0, 1000), 0);
    expect_int(request->outcome, STORE_OK);
    struct local_batch *batch = local_seal(opened->local);
    expect_int(local_write(opened->local, batch, &opened->err), 0);
    local_publish(opened->local, batch, 0);
    (void)local_batch_free(batch);
    store_request_deinit(request);
}

static void put(struct opened *opened, int64_t value)
{
    char text[20 + 7 * (PUTS + 1)];
    memset(text, 'x', sizeof(text));
    snprintf(text, sizeof(text), "%" PRId64, value);
    struct store_op op = {
        .type = STORE_OP_PUT,
        .put = {.key = SLICE_LIT("key"), .value = slice_from(text, 20 + (size_t)value * 7), .lease = LEASE}};
    do_request(opened, &(struct store_request){.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}});
}

static void take_snapshot(struct opened *opened)
{
    struct local_snapshot *snapshot;
    expect_int(local_snapshot_begin(opened->local, false, 0, 1000, &snapshot), 0);
    expect_int(local_snapshot_write(snapshot, &opened->err), 0);
    local_snapshot_end(snapshot, true);
    while (local_forget_log(opened->local))
        continue;
}

/* A store with PUTS revisions after the first; with two snapshots, or all of it in the log. */
static struct sim_disk *make_store(uint64_t seed, bool has_snapshots)
{
    struct sim_disk *disk = sim_disk_new(seed);
    struct opened opened;
    expect_int(open_store(&opened, disk), 0);
    do_request(&opened, &(struct store_request){.type = STORE_LEASE_GRANT, .lease = {LEASE, 60000}});
    for (int64_t i = 1; i <= PUTS; i++) {
        put(&opened, i);
        if (has_snapshots && (i == FIRST_SNAPSHOT || i == SECOND_SNAPSHOT))
            take_snapshot(&opened);
    }
    close_store(&opened);
    return disk;
}

static bool check_pair(void *ctx, const struct store_kv *kv)
{
    int64_t revision = *(const int64_t *)ctx;
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64, revision - 1);
    expect_int(kv->mod_revision, revision);
    expect_int(kv->version, revision - 1);
    expect_int(kv->lease, LEASE);
    expect_int(kv->value.len, 20 + (revision - 1) * 7);
    expect_true(memcmp(kv->value.ptr, text, strlen(text) + 1) == 0);
    return true;
}

/* Gives the revision, after a look at every revision that can be read. */
static int64_t check_state(struct opened *opened)
{
    struct store_view view;
    mvcc_view(local_mvcc(opened->local), true, &view);
    int64_t last = view.revision;
    for (int64_t revision = 2; revision <= last; revision++) {
        struct store_range range = {.key = SLICE_LIT("key"), .revision = revision};
        struct store_range_result result;
        expect_int(mvcc_view_range(&view, &range, check_pair, &revision, &result), STORE_OK);
        expect_int(result.count, 1);
    }
    mvcc_release(local_mvcc(opened->local), &view);
    expect_true(last == 1 || lease_find(local_leases(opened->local), LEASE) != NULL);
    return last;
}

/* A disk with the same files, of which the named one is cut at `length`. */
static struct sim_disk *copy_disk(struct sim_disk *whole, const char *name, size_t length)
{
    struct sim_disk *disk = sim_disk_new(length);
    const char *file;
    for (size_t i = 0; (file = sim_disk_name(whole, "", i)); i++) {
        struct slice bytes = sim_disk_bytes(whole, file);
        sim_disk_put(disk, file, strcmp(file, name) == 0 ? slice_from(bytes.ptr, length) : bytes);
    }
    return disk;
}

static size_t count_files(struct sim_disk *disk, const char *suffix)
{
    size_t n = 0;
    while (sim_disk_name(disk, suffix, n))
        n++;
    return n;
}

/* The revision of the store whose newest segment is cut; it goes on from there. */
static int64_t open_prefix(struct sim_disk *whole, const char *name, size_t length)
{
    struct sim_disk *disk = copy_disk(whole, name, length);
    struct opened opened;
    if (open_store(&opened, disk) < 0)
        test_fail(__FILE__, __LINE__, "cut at %zu: %s", length, opened.err.text);
    int64_t revision = check_state(&opened);
    if (revision > 1) {
        put(&opened, revision);
        close_store(&opened);
        expect_int(open_store(&opened, disk), 0);
        expect_int(check_state(&opened), revision + 1);
    }
    close_store(&opened);
    sim_disk_free(disk);
    return revision;
}

static void every_prefix_of_the_log_is_a_store_of_the_past(void)
{
    uint64_t seed = test_seed();
    for (int has_snapshots = 0; has_snapshots < 2; has_snapshots++) {
        struct sim_disk *whole = make_store(1, has_snapshots);
        const char *name = sim_disk_name(whole, ".log", count_files(whole, ".log") - 1);
        size_t whole_length = sim_disk_bytes(whole, name).len;
        int64_t last = 0;
        /* The head of a segment is on the disk before the segment has a name. */
        size_t length = SEGMENT_HEAD_BYTES + test_random(&seed) % test_step();
        for (; length <= whole_length; length += length < USED_BYTES ? test_step() : 500) {
            int64_t revision = open_prefix(whole, name, length);
            expect_true(revision >= last && revision <= PUTS + 1);
            last = revision;
        }
        expect_int(last, PUTS + 1);
        sim_disk_free(whole);
    }
}

/* After a clean stop: it is refused, or seen (a snapshot is passed over for the one before), or of no meaning. */
static void a_flipped_bit_costs_nothing_unseen(void)
{
    uint64_t seed = test_seed();
    unsigned n_flips = test_rounds(FLIPS);
    unsigned n_refused = 0, n_passed_over = 0;
    for (int has_snapshots = 0; has_snapshots < 2; has_snapshots++) {
        struct sim_disk *whole = make_store(test_random(&seed), has_snapshots);
        size_t n_files = count_files(whole, "");
        expect_true(n_files > 0);
        for (unsigned flip = 0; flip < n_flips; flip++) {
            const char *name = sim_disk_name(whole, "", test_random(&seed) % n_files);
            size_t length = sim_disk_bytes(whole, name).len;
            struct sim_disk *disk = copy_disk(whole, name, length);
            sim_disk_flip(disk, name, test_random(&seed) % (8 * (length < USED_BYTES ? length : USED_BYTES)));
            struct opened opened;
            int result = open_store(&opened, disk);
            expect_true(result == 0 || result == -EBADMSG);
            if (result == 0)
                expect_int(check_state(&opened), PUTS + 1);
            n_refused += result < 0;
            n_passed_over += opened.recovery.bad_snapshots;
            close_store(&opened);
            sim_disk_free(disk);
        }
        sim_disk_free(whole);
    }
    printf("# %u refused, %u snapshots passed over\n", n_refused, n_passed_over);
    expect_true(n_refused > n_flips / 10 && n_passed_over > n_flips / 10);
}

static const struct test_case cases[] = {
    {"every prefix of the log is a store of the past", every_prefix_of_the_log_is_a_store_of_the_past},
    {"a flipped bit costs nothing unseen", a_flipped_bit_costs_nothing_unseen},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
