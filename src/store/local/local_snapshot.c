/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: the state is taken hold of in a moment (views, the leases), and written at leisure by whoever called.
 *
 * In the file: who the store is, the leases, every key as it was at the compacted revision, that revision, then each
 * commit since, then notes and documents. Reading it back is the same replay as that of the log, so the history that a
 * client may still ask for survives a restart.
 */
#include "base/assert.h"
#include "store/local/local_priv.h"

#include <errno.h>
#include <stdlib.h>

struct held_lease {
    int64_t id, ttl_ms, left_ms;
};

struct local_snapshot {
    struct local *local;
    struct store_view view, docs;
    struct notes_view notes;
    struct snapshot_head head;
    nsec_t now_ns;
    uint64_t estimate; /* 0: of a backup */
    size_t n_leases;
    struct held_lease leases[];
};

bool local_wants_snapshot(const struct local *local)
{
    if (local->is_short)
        return !local->is_snapshotting && local->can_help_itself;
    uint64_t logged = atomic_load_explicit(&local->logged_bytes, memory_order_relaxed);
    return !local->is_snapshotting && logged - local->snapshot_at_bytes >= local->options.snapshot_bytes;
}

static void hold_lease(void *ctx, struct lease *lease)
{
    struct local_snapshot *snapshot = ctx;
    snapshot->leases[snapshot->n_leases++] = (struct held_lease){
        .id = lease_id(lease), .ttl_ms = lease_ttl_ms(lease), .left_ms = lease_left_ms(lease, snapshot->now_ns)};
}

int local_snapshot_begin(struct local *local, bool is_backup, nsec_t now_ns, int64_t wall_ms,
                         struct local_snapshot **ret_snapshot)
{
    ASSERT(!local->batch && !local->is_snapshotting);
    if (local->is_short && !is_backup) {
        int result = wal_begin_small(local->wal, NULL);
        if (result < 0)
            return result;
    }
    size_t n_leases = lease_table_size(local->leases);
    struct local_snapshot *snapshot = calloc(1, sizeof(*snapshot) + n_leases * sizeof(snapshot->leases[0]));
    if (!snapshot)
        return -ENOMEM;
    snapshot->local = local;
    snapshot->now_ns = now_ns;
    lease_each(local->leases, hold_lease, snapshot);
    mvcc_view(local->mvcc, true, &snapshot->view);
    docs_view(local->docs, &snapshot->docs);
    notes_view(local->notes, &snapshot->notes);
    snapshot->head = (struct snapshot_head){
        .next_record = wal_next(local->wal),
        .revision = snapshot->view.revision,
        .compacted = snapshot->view.compacted,
        .wall_ms = wall_ms,
    };
    local->is_snapshotting = true;
    if (!is_backup) { /* one that fails is not tried again at once either */
        local->snapshot_at_bytes = atomic_load_explicit(&local->logged_bytes, memory_order_relaxed);
        snapshot->estimate = local_snapshot_estimate(local);
    }
    atomic_store_explicit(&local->snapshot_unwritten, snapshot->estimate, memory_order_relaxed);
    *ret_snapshot = snapshot;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ writing */

struct writing {
    struct snapshot_writer *writer;
    const struct local_snapshot *snapshot;
    struct err *err;
    int result; /* the first failure */
};

static void write_entry(struct writing *writing, const struct record_entry *entry)
{
    if (writing->result < 0)
        return;
    writing->result = snapshot_writer_add(writing->writer, entry, writing->err);
    uint64_t written = snapshot_writer_bytes(writing->writer), estimate = writing->snapshot->estimate;
    atomic_store_explicit(&writing->snapshot->local->snapshot_unwritten, estimate > written ? estimate - written : 0,
                          memory_order_relaxed);
}

static bool write_base(void *ctx, const struct store_kv *kv)
{
    struct writing *writing = ctx;
    write_entry(writing, &(struct record_entry){.type = RECORD_BASE, .kv = *kv});
    return writing->result == 0;
}

static void write_leases(struct writing *writing)
{
    for (size_t i = 0; i < writing->snapshot->n_leases; i++) {
        const struct held_lease *held = &writing->snapshot->leases[i];
        write_entry(writing,
                    &(struct record_entry){.type = RECORD_LEASE, .lease = {.id = held->id, .ttl_ms = held->ttl_ms}});
        write_entry(writing, &(struct record_entry){.type = RECORD_LEASE_LEFT,
                                                    .lease = {.id = held->id, .left_ms = held->left_ms}});
    }
}

static void write_keys(struct writing *writing)
{
    const struct store_view *view = &writing->snapshot->view;
    if (view->compacted == 0)
        return;
    struct store_range all = {.key = SLICE_LIT("\0"), .end = SLICE_LIT("\0"), .revision = view->compacted};
    struct store_range_result result;
    int outcome = mvcc_view_range(view, &all, write_base, writing, &result);
    ASSERT(outcome == STORE_OK); /* history is not trimmed meanwhile */
    write_entry(writing, &(struct record_entry){.type = RECORD_COMPACT, .compact_revision = view->compacted});
}

static void write_history(struct writing *writing)
{
    const struct store_view *view = &writing->snapshot->view;
    int64_t revision = view->compacted ? view->compacted + 1 : 2;
    for (; writing->result == 0 && revision <= view->revision; revision++) {
        const struct store_commit *commit = mvcc_view_commit(view, revision);
        write_entry(writing,
                    &(struct record_entry){.type = RECORD_COMMIT,
                                           .commit = {.revision = commit->revision, .wall_ms = commit->wall_ms}});
        for (unsigned i = 0; i < commit->n_events; i++) {
            const struct store_kv *kv = commit->events[i].kv;
            write_entry(writing, &(struct record_entry){.type = kv->version ? RECORD_PUT : RECORD_DELETE, .kv = *kv});
        }
    }
}

static bool write_note(void *ctx, const struct store_note *note)
{
    struct writing *writing = ctx;
    write_entry(writing, &(struct record_entry){.type = RECORD_NOTE, .note = *note});
    return writing->result == 0;
}

static bool write_doc(void *ctx, const struct store_kv *doc)
{
    struct writing *writing = ctx;
    write_entry(writing, &(struct record_entry){.type = RECORD_DOC, .kv = *doc});
    return writing->result == 0;
}

static int write_all(const struct local_snapshot *snapshot, struct snapshot_writer *writer, struct err *err)
{
    const struct local *local = snapshot->local;
    struct writing writing = {.writer = writer, .snapshot = snapshot, .err = err};
    write_entry(&writing,
                &(struct record_entry){.type = RECORD_STORE,
                                       .store = {.cluster_id = local->cluster_id, .member_id = local->member_id}});
    write_leases(&writing);
    write_keys(&writing);
    write_history(&writing);
    notes_view_each(&snapshot->notes, write_note, &writing);
    docs_view_each(&snapshot->docs, (struct slice){0}, write_doc, &writing);
    if (writing.result < 0) {
        snapshot_writer_abort(writer);
        return writing.result;
    }
    return snapshot_writer_finish(writer, err);
}

int local_snapshot_write(struct local_snapshot *snapshot, struct err *err)
{
    struct snapshot_writer *writer;
    int result = snapshot_writer_open(snapshot->local->files, &snapshot->head, &writer, err);
    return result < 0 ? result : write_all(snapshot, writer, err);
}

int local_snapshot_write_to(struct local_snapshot *snapshot, snapshot_sink_fn sink, void *ctx, struct err *err)
{
    struct snapshot_writer *writer;
    int result = snapshot_writer_open_sink(sink, ctx, &snapshot->head, &writer, err);
    return result < 0 ? result : write_all(snapshot, writer, err);
}

int64_t local_snapshot_revision(const struct local_snapshot *snapshot)
{
    return snapshot->head.revision;
}

void local_snapshot_end(struct local_snapshot *snapshot, bool covers_log)
{
    struct local *local = snapshot->local;
    if (covers_log) {
        /* The snapshot before this one is kept in case this one rots: so is the log behind it. */
        local->forget_below = local->covered_record;
        local->covered_record = snapshot->head.next_record;
        atomic_store_explicit(&local->snapshot_bytes, snapshot_disk_bytes(local->files), memory_order_relaxed);
    }
    local->is_snapshotting = false;
    mvcc_release(local->mvcc, &snapshot->view);
    docs_view_release(local->docs, &snapshot->docs);
    notes_view_release(&snapshot->notes);
    free(snapshot);
}

bool local_forget_log(struct local *local)
{
    if (local->forget_below > 0 && !wal_forget_below(local->wal, local->forget_below))
        local->forget_below = 0;
    return local->forget_below > 0;
}
