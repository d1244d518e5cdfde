/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine on a simulated disk, driven batch by batch: keys, documents and notes through losses of power and
 * failed allocations. What was acknowledged is there, and of what was not at most the batch that was being written.
 */
#include "store/local/local.h"

#include "base/buf.h"
#include "support/fault_alloc.h"
#include "support/sim_disk.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

enum { REQUESTS = 24, SNAPSHOT_EACH = 7 };

/* How often each was done: puts of one key, changes of one document, notes of the timeline. */
struct tally {
    int64_t n_puts, n_docs, n_notes;
};

struct life {
    struct sim_disk *disk;
    struct rcu_domain rcu;
    struct local *local; /* NULL: closed */
    struct err err;
    struct tally acknowledged;
};

static void life_init(struct life *life, uint64_t seed)
{
    *life = (struct life){.disk = sim_disk_new(seed)};
    rcu_init(&life->rcu);
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

static int life_open(struct life *life)
{
    struct local_options options;
    struct local_recovery recovery;
    local_options_init(&options);
    options.wal.segment_bytes = 64 * 1024;
    return local_open(sim_disk_files(life->disk), &options, &life->rcu, 0, &life->local, &recovery, &life->err);
}

/* Writes and publishes what was applied, trying again for want of memory. Whether that was possible. */
static bool finish_batch(struct life *life)
{
    struct local_batch *batch = local_seal(life->local);
    if (!batch)
        batch = local_seal(life->local);
    int result = local_write(life->local, batch, &life->err);
    if (result == -ENOMEM)
        result = local_write(life->local, batch, &life->err);
    if (result == 0)
        local_publish(life->local, batch, 0);
    (void)local_batch_free(batch);
    local_reclaim(life->local);
    return result == 0;
}

/* True when it was done and is durable. */
static bool do_request(struct life *life, struct store_request *request)
{
    if (local_apply(life->local, request, 0, 1000) < 0)
        return false;
    enum store_outcome outcome = request->outcome;
    bool is_written = finish_batch(life);
    store_request_deinit(request);
    return is_written && outcome == STORE_OK;
}

static bool do_put(struct life *life)
{
    struct store_op op = {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("key"), .value = SLICE_LIT("value")}};
    struct store_request request = {.type = STORE_TXN, .txn = {.success = &op, .n_success = 1}};
    return do_request(life, &request);
}

static bool do_doc(struct life *life)
{
    char value[32];
    snprintf(value, sizeof(value), "%d", (int)life->acknowledged.n_docs + 1);
    struct store_request request = {
        .type = STORE_DOC,
        .doc = {.name = SLICE_LIT("doc"),
                .value = slice_from_str(value),
                .expected_version = life->acknowledged.n_docs},
    };
    return do_request(life, &request);
}

static bool do_notes(struct life *life)
{
    struct store_note note = {.kind = STORE_NOTE_FREE, .subject = SLICE_LIT("subject")};
    struct store_request request = {.type = STORE_NOTES, .notes = {&note, 1}};
    return do_request(life, &request);
}

static void take_snapshot(struct life *life)
{
    struct local_snapshot *snapshot;
    if (local_snapshot_begin(life->local, false, 0, 1000, &snapshot) < 0)
        return;
    local_snapshot_end(snapshot, local_snapshot_write(snapshot, &life->err) == 0);
    while (local_forget_log(life->local))
        continue;
}

/* One of each in turn, and snapshots; ends early when the power goes. */
static void live(struct life *life)
{
    for (int i = 0; i < REQUESTS && sim_disk_has_power(life->disk); i++) {
        if (i % 3 == 0)
            life->acknowledged.n_puts += do_put(life);
        else if (i % 3 == 1)
            life->acknowledged.n_docs += do_doc(life);
        else
            life->acknowledged.n_notes += do_notes(life);
        if (i % SNAPSHOT_EACH == SNAPSHOT_EACH - 1)
            take_snapshot(life);
    }
}

static bool take_version(void *ctx, const struct store_kv *kv)
{
    *(int64_t *)ctx = kv->version;
    return false;
}

static bool take_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    char expected[32];
    snprintf(expected, sizeof(expected), "%d", (int)version);
    expect_slice(name, "doc");
    expect_slice(value, expected);
    *(int64_t *)ctx = version;
    return true;
}

static bool count_note(void *ctx, const struct store_note *note)
{
    expect_slice(note->subject, "subject");
    expect_int(note->wall_ms, 1000);
    ++*(int64_t *)ctx;
    return true;
}

static struct tally what_is_there(struct life *life)
{
    struct tally tally = {0};
    struct store_view view;
    struct store_range range = {.key = SLICE_LIT("key")};
    struct store_range_result result;
    mvcc_view(local_mvcc(life->local), true, &view);
    expect_int(mvcc_view_range(&view, &range, take_version, &tally.n_puts, &result), STORE_OK);
    mvcc_release(local_mvcc(life->local), &view);
    docs_each(local_docs(life->local), (struct slice){0}, take_doc, &tally.n_docs);
    notes_each(local_notes(life->local), count_note, &tally.n_notes);
    return tally;
}

/* `more`: of what was not acknowledged, this much may be there. */
static void expect_acknowledged(struct life *life, int64_t more)
{
    struct tally there = what_is_there(life), promised = life->acknowledged;
    expect_true(there.n_puts >= promised.n_puts && there.n_docs >= promised.n_docs &&
                there.n_notes >= promised.n_notes);
    expect_true(there.n_puts + there.n_docs + there.n_notes <=
                promised.n_puts + promised.n_docs + promised.n_notes + more);
}

static void power_may_go_at_every_change(void)
{
    uint64_t seed = test_seed();
    bool was_cut = true;
    for (uint64_t n = 1; was_cut; n++) {
        static struct life life;
        life_init(&life, test_random(&seed));
        expect_int(life_open(&life), 0);
        sim_disk_cut_power_at(life.disk, n);
        live(&life);
        life_close(&life);
        was_cut = !sim_disk_has_power(life.disk);
        sim_disk_lose_power(life.disk);
        if (life_open(&life) < 0)
            test_fail(__FILE__, __LINE__, "cut at change %" PRIu64 ": %s", n, life.err.text);
        expect_acknowledged(&life, was_cut);
        life.acknowledged = what_is_there(&life);
        live(&life);
        expect_acknowledged(&life, 0);
        life_deinit(&life);
    }
}

static void what_fails_for_want_of_memory_leaves_nothing_behind(void)
{
    uint64_t seed = test_seed();
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        static struct life life;
        life_init(&life, test_random(&seed));
        fault_alloc_arm(n);
        int result = life_open(&life);
        if (result == 0)
            live(&life);
        has_failed = fault_alloc_disarm();
        expect_true(result == 0 || (result == -ENOMEM && has_failed));
        life_close(&life);

        if (life_open(&life) < 0)
            test_fail(__FILE__, __LINE__, "without allocation %zu: %s", n, life.err.text);
        struct tally there = what_is_there(&life);
        expect_int(there.n_puts, life.acknowledged.n_puts);
        expect_int(there.n_docs, life.acknowledged.n_docs);
        expect_true(there.n_notes <= life.acknowledged.n_notes); /* without memory they are forgotten (notes.h) */
        life_deinit(&life);
    }
}

/* -------- what damage that checksums cannot see is told in */

static void expect_refused(struct slice entries, const char *text)
{
    static struct life life;
    life_init(&life, 1);
    expect_int(life_open(&life), 0);
    life_close(&life);
    struct wal *wal;
    uint64_t torn_bytes;
    struct wal_options options = {.segment_bytes = 64 * 1024};
    expect_int(wal_open(sim_disk_files(life.disk), &options, 2, NULL, NULL, &wal, &torn_bytes, &life.err), 0);
    struct iovec iov = {(char *)(uintptr_t)entries.ptr, entries.len};
    expect_int(wal_append(wal, &iov, 1, &life.err), 0);
    wal_close(wal);
    expect_int(life_open(&life), -EBADMSG);
    expect_str(life.err.text, text);
    life_deinit(&life);
}

static void documents_that_do_not_follow_are_refused(void)
{
    expect_refused(SLICE_LIT("\x0b\x01"
                             "a\x01v\x04"),
                   "record 2 of the log: version 2 of a document after version 0");
    expect_refused(SLICE_LIT("\x0b\x01"
                             "a\x01v\x02"
                             "\x0b\x01"
                             "a\x01v\x02"),
                   "record 2 of the log: version 1 of a document after version 1");
    expect_refused(SLICE_LIT("\x0c\x01"
                             "a"),
                   "record 2 of the log: the removal of a document that was not there");
}

static void what_belongs_into_snapshots_is_refused_in_a_log(void)
{
    expect_refused(SLICE_LIT("\x0a\x01"
                             "a\x01v\x00\x04\x02\x04"),
                   "record 2 of the log: a key as it was at revision 2 that is not possible");
}

static void leases_that_are_not_possible_are_refused(void)
{
    expect_refused(SLICE_LIT("\x04\x0a\x01"), "record 2 of the log: lease 5 was granted twice or is not possible");
    expect_refused(SLICE_LIT("\x04\x00\x0a"), "record 2 of the log: lease 0 was granted twice or is not possible");
}

static const struct test_case cases[] = {
    {"the power may go at every change of the disk", power_may_go_at_every_change},
    {"what fails for want of memory leaves nothing behind", what_fails_for_want_of_memory_leaves_nothing_behind},
    {"documents that do not follow from what was before are refused", documents_that_do_not_follow_are_refused},
    {"what belongs into snapshots is refused in a log", what_belongs_into_snapshots_is_refused_in_a_log},
    {"leases that are not possible are refused", leases_that_are_not_possible_are_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
