/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine on a small disk, driven as the keeper does: it makes room for itself, refuses what does not fit,
 * takes what gives room, and never stays full.
 */
#include "store/local/local.h"

#include "base/buf.h"
#include "support/sim_disk.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

enum { MIB = 1024 * 1024, DISK_BYTES = 12 * MIB, VALUE_BYTES = 50 * 1000 };

struct life {
    struct sim_disk *disk;
    struct rcu_domain rcu;
    struct local *local;
    struct err err;
    uint64_t segment_bytes;
    unsigned n_snapshots;
};

static int life_open(struct life *life)
{
    struct local_options options;
    struct local_recovery recovery;
    local_options_init(&options);
    options.wal.segment_bytes = life->segment_bytes;
    int result = local_open(sim_disk_files(life->disk), &options, &life->rcu, 0, &life->local, &recovery, &life->err);
    if (result < 0)
        return result;
    local_watch_space(life->local);
    local_prove_room(life->local);
    return 0;
}

static void life_init(struct life *life, uint64_t seed)
{
    *life = (struct life){.disk = sim_disk_new(seed), .segment_bytes = 4 * MIB};
    rcu_init(&life->rcu);
    expect_int(life_open(life), 0);
    sim_disk_limit(life->disk, DISK_BYTES);
}

static void life_close(struct life *life)
{
    local_close(life->local);
    life->local = NULL;
}

static void life_deinit(struct life *life)
{
    life_close(life);
    rcu_deinit(&life->rcu);
    sim_disk_free(life->disk);
}

static void take_snapshot(struct life *life)
{
    struct local_snapshot *snapshot;
    if (local_snapshot_begin(life->local, false, 0, 1000, &snapshot) < 0)
        return;
    int result = local_snapshot_write(snapshot, &life->err);
    local_snapshot_end(snapshot, result == 0);
    life->n_snapshots += result == 0;
    expect_true(result == 0 || !sim_disk_has_power(life->disk));
}

/* One turn of the keeper, with what waits applied. */
static void turn(struct life *life)
{
    struct local *local = life->local;
    while (local_trim(local, 1000))
        continue;
    while (local_forget_log(local))
        continue;
    local_watch_space(local);
    if (local_refusal(local) == STORE_NO_SPACE)
        local_prove_room(local);
    struct local_batch *batch = local_seal(local);
    if (batch) {
        int result = local_write(local, batch, &life->err);
        if (result < 0 && sim_disk_has_power(life->disk))
            test_fail(__FILE__, __LINE__, "what was applied could not be written: %s", life->err.text);
        if (result == 0)
            local_publish(local, batch, 0);
        (void)local_batch_free(batch);
        local_prove_room(local);
    }
    if (local_wants_snapshot(local))
        take_snapshot(life);
    while (local_reclaim(local))
        continue;
}

/* Puts, or with no value deletes. */
static enum store_outcome change(struct life *life, const char *key, size_t value_bytes)
{
    static char value[VALUE_BYTES];
    struct store_op op = {.type = STORE_OP_DELETE, .del = {.key = slice_from_str(key)}};
    if (value_bytes > 0)
        op = (struct store_op){STORE_OP_PUT, .put = {slice_from_str(key), slice_from(value, value_bytes)}};
    struct store_request request = {.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}};
    expect_int(local_apply(life->local, &request, 0, 1000), 0);
    turn(life);
    enum store_outcome outcome = request.outcome;
    store_request_deinit(&request);
    return outcome;
}

static enum store_outcome change_n(struct life *life, unsigned n, size_t value_bytes)
{
    char key[32];
    snprintf(key, sizeof(key), "key%u", n);
    return change(life, key, value_bytes);
}

/* Tries again for a few turns; false: that was in vain. */
static bool change_soon(struct life *life, unsigned n, size_t value_bytes)
{
    for (int i = 0; i < 20; i++) {
        enum store_outcome outcome = change_n(life, n, value_bytes);
        if (outcome == STORE_OK)
            return true;
        expect_int(outcome, STORE_NO_SPACE);
    }
    return false;
}

static void reopen(struct life *life)
{
    int64_t revision = mvcc_revision(local_mvcc(life->local));
    life_close(life);
    sim_disk_lose_power(life->disk);
    if (life_open(life) < 0)
        test_fail(__FILE__, __LINE__, "%s", life->err.text);
    expect_int(mvcc_revision(local_mvcc(life->local)), revision);
}

/* -------- */

static void write_for_ever(uint64_t segment_bytes, uint64_t disk_bytes, unsigned n_changes)
{
    static struct life life;
    life_init(&life, test_seed());
    life.segment_bytes = segment_bytes;
    sim_disk_limit(life.disk, disk_bytes);
    reopen(&life);
    for (unsigned i = 0; i < n_changes; i++) {
        expect_true(change_soon(&life, i % 30, VALUE_BYTES));
        expect_true(sim_disk_used(life.disk) <= disk_bytes);
        if (i % 400 == 399)
            reopen(&life);
    }
    expect_true(life.n_snapshots > 3);
    life_deinit(&life);
}

static void the_same_keys_can_be_written_for_ever(void)
{
    write_for_ever(4 * MIB, DISK_BYTES, 800);
}

static void with_segments_larger_than_the_disk(void)
{
    write_for_ever(64 * MIB, 2 * DISK_BYTES, 1500);
}

static void keys_and_their_removals_can_come_and_go_for_ever(void)
{
    static struct life life;
    life_init(&life, test_seed());
    for (unsigned i = 0, n = test_rounds(12000); i < n; i++) {
        expect_true(change_soon(&life, i % 100, 300));
        expect_true(change_soon(&life, i % 100, 0));
    }
    reopen(&life);
    life_deinit(&life);
}

/* Puts new keys until that is refused for good; how many there are. */
static unsigned fill(struct life *life, size_t value_bytes)
{
    unsigned n = 0;
    while (change_soon(life, n, value_bytes))
        n++;
    return n;
}

static void more_than_fits_is_refused_and_deletes_help(size_t value_bytes)
{
    static struct life life;
    life_init(&life, test_seed());
    for (int round = 0; round < 2; round++) {
        unsigned n = fill(&life, value_bytes);
        expect_int(local_refusal(life.local), STORE_NO_SPACE);
        reopen(&life);
        for (unsigned i = 0; i < n; i++)
            expect_true(change_soon(&life, i, 0));
        turn(&life);
        expect_true(change_soon(&life, 0, value_bytes));
        expect_true(change_soon(&life, 0, 0));
    }
    life_deinit(&life);
}

static void large_values_that_do_not_fit(void)
{
    more_than_fits_is_refused_and_deletes_help(VALUE_BYTES);
}

static void small_values_that_do_not_fit(void)
{
    more_than_fits_is_refused_and_deletes_help(600);
}

/* What others take of the disk is not ours to mend: refused as long as it lasts, no longer. */
static void a_disk_that_others_fill_is_waited_for(void)
{
    static struct life life;
    life_init(&life, test_seed());
    expect_true(change_soon(&life, 1, VALUE_BYTES));
    sim_disk_limit(life.disk, sim_disk_used(life.disk));
    while (change_n(&life, 1, VALUE_BYTES) == STORE_OK)
        continue;
    expect_true(!change_soon(&life, 1, VALUE_BYTES));
    reopen(&life);
    expect_true(!change_soon(&life, 1, VALUE_BYTES));
    sim_disk_limit(life.disk, DISK_BYTES);
    expect_true(change_soon(&life, 1, VALUE_BYTES));
    life_deinit(&life);
}

/* With the disk nearly full each change of the disk is the last one before the power goes, in turn. */
static void power_may_go_while_room_is_made(void)
{
    uint64_t seed = test_seed();
    bool was_cut = true;
    for (uint64_t n = 1 + test_random(&seed) % test_step(); was_cut; n += test_step() * (1 + n / 30)) {
        static struct life life;
        life_init(&life, test_random(&seed));
        for (unsigned i = 0; i < 120; i++)
            expect_true(change_soon(&life, i % 20, VALUE_BYTES));
        int64_t acknowledged = mvcc_revision(local_mvcc(life.local));
        unsigned n_before = life.n_snapshots;
        sim_disk_cut_power_at(life.disk, n);
        for (unsigned i = 0; i < 400 && sim_disk_has_power(life.disk) && life.n_snapshots < n_before + 2; i++) {
            enum store_outcome outcome = change_n(&life, i % 20, VALUE_BYTES);
            acknowledged += outcome == STORE_OK && sim_disk_has_power(life.disk);
        }
        was_cut = !sim_disk_has_power(life.disk);
        life_close(&life);
        sim_disk_lose_power(life.disk);
        if (life_open(&life) < 0)
            test_fail(__FILE__, __LINE__, "cut at change %" PRIu64 ": %s", n, life.err.text);
        int64_t revision = mvcc_revision(local_mvcc(life.local));
        expect_true(revision == acknowledged || revision == acknowledged + 1);
        expect_true(change_soon(&life, 1, VALUE_BYTES));
        life_deinit(&life);
    }
}

static const struct test_case cases[] = {
    {"the same keys can be written for ever", the_same_keys_can_be_written_for_ever},
    {"so they can with segments larger than the disk", with_segments_larger_than_the_disk},
    {"keys and their removals can come and go for ever", keys_and_their_removals_can_come_and_go_for_ever},
    {"large values that do not fit are refused, and deletes help", large_values_that_do_not_fit},
    {"small values that do not fit are refused, and deletes help", small_values_that_do_not_fit},
    {"a disk that others fill is waited for", a_disk_that_others_fill_is_waited_for},
    {"the power may go while room is made", power_may_go_while_room_is_made},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
