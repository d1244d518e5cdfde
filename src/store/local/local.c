/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the embedded engine. */
#include "store/local/local.h"

#include "base/assert.h"
#include "base/random.h"
#include "store/local/local_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

void local_options_init(struct local_options *options)
{
    *options = (struct local_options){
        .wal = {.segment_bytes = 64 * 1024 * 1024},
        .history_ms = 24 * 3600 * (int64_t)1000,
        .history_bytes = 256 * 1024 * 1024,
        .snapshot_bytes = 256 * 1024 * 1024,
        .notes_bytes = 8 * 1024 * 1024,
        .timeline_bytes = 64 * 1024 * 1024,
        .min_ttl_ms = 1,
    };
}

static int replay_snapshot_entry(void *ctx, const struct record_entry *entry, struct err *err)
{
    return local_replay_entry(ctx, entry, err);
}

static int replay_record(void *ctx, uint64_t number, struct slice bytes, struct err *err)
{
    struct replay *replay = ctx;
    while (!slice_is_empty(bytes)) {
        struct record_entry entry;
        int result = record_read(&bytes, &entry);
        if (result < 0)
            err_set(err, result, "an entry that cannot be read");
        else
            result = local_replay_entry(replay, &entry, err);
        if (result < 0)
            return err_wrap(err, result, "record %" PRIu64 " of the log", number);
    }
    replay->n_records++;
    return local_replay_end(replay, err);
}

/* Snapshot and log become memory. */
static int recover(struct local *local, struct local_recovery *ret_recovery, struct err *err)
{
    struct snapshot_head head = {0};
    struct replay replay = {.local = local, .is_snapshot = true};
    int result = snapshot_load(local->files, replay_snapshot_entry, &replay, &head, &ret_recovery->bad_snapshots, err);
    if (result < 0 && result != -ENOENT)
        return result;
    if (result == 0)
        result = local_replay_end(&replay, err);
    if (result < 0 && result != -ENOENT)
        return err_wrap(err, result, "the snapshot");

    local->covered_record = head.next_record;
    replay.is_snapshot = false;
    result = wal_open(local->files, &local->options.wal, head.next_record, replay_record, &replay, &local->wal,
                      &ret_recovery->torn_bytes, err);
    ret_recovery->n_records = replay.n_records;
    atomic_store_explicit(&local->snapshot_bytes, snapshot_disk_bytes(local->files), memory_order_relaxed);
    return result;
}

/* The first record of a new store: who it is. */
static int found_store(struct local *local, struct err *err)
{
    struct record_entry entry = {.type = RECORD_STORE};
    int result = random_system(&entry.store, sizeof(entry.store));
    if (result < 0)
        return err_set_errno(err, result, "a name for the new store");
    entry.store.cluster_id = entry.store.cluster_id >> 1 | 1; /* not 0, and positive where clients keep it signed */
    entry.store.member_id = entry.store.member_id >> 1 | 1;
    record_write(&local->record, &entry);
    if (buf_error(&local->record) < 0)
        return err_set_errno(err, buf_error(&local->record), "the new store");
    struct iovec iov = {local->record.ptr, local->record.len};
    result = wal_append(local->wal, &iov, 1, err);
    local->cluster_id = entry.store.cluster_id;
    local->member_id = entry.store.member_id;
    return result;
}

/* What was recovered is the first state that readers see. */
static int publish_recovered(struct local *local, struct err *err)
{
    struct store_root *root, *docs_root;
    int result = mvcc_seal(local->mvcc, &root);
    if (result == 0)
        result = docs_seal(local->docs, &docs_root);
    if (result < 0)
        return err_set_errno(err, result, "the store's memory");
    mvcc_publish(local->mvcc, root);
    if (docs_root)
        docs_publish(local->docs, docs_root);
    local_reclaim(local);
    return 0;
}

int local_parts_new(struct local *local, nsec_t now_ns)
{
    local->history_cap = UINT64_MAX;
    atomic_init(&local->limit, UINT64_MAX); /* until room is proved */
    atomic_init(&local->help_limit, UINT64_MAX);
    int result = mvcc_new(local->rcu, &local->mvcc);
    if (result == 0)
        result = lease_table_new(local->rcu, now_ns, &local->leases);
    if (result == 0)
        result = notes_new(local->options.notes_bytes, local->options.timeline_bytes, &local->notes);
    if (result == 0)
        result = docs_new(local->rcu, &local->docs);
    if (result == 0 && !(local->expired = calloc(LOCAL_EXPIRE_MAX, sizeof(local->expired[0]))))
        result = -ENOMEM;
    return result;
}

void local_parts_free(struct local *local)
{
    free(local->expired);
    lease_table_free(local->leases);
    docs_free(local->docs);
    mvcc_free(local->mvcc);
    notes_free(local->notes);
}

static int open_parts(struct local *local, nsec_t now_ns, struct local_recovery *ret_recovery, struct err *err)
{
    int result = local_parts_new(local, now_ns);
    if (result < 0)
        return err_set_errno(err, result, "the store's memory");
    result = recover(local, ret_recovery, err);
    if (result == 0 && local->member_id == 0)
        result = found_store(local, err);
    if (result == 0)
        result = publish_recovered(local, err);
    return result;
}

int local_open(struct wal_files *files, const struct local_options *options, struct rcu_domain *rcu, nsec_t now_ns,
               struct local **ret_local, struct local_recovery *ret_recovery, struct err *err)
{
    struct local *local = calloc(1, sizeof(*local));
    if (!local)
        return err_set_errno(err, -ENOMEM, "the store's memory");
    local->options = *options;
    local->rcu = rcu;
    local->files = files;
    *ret_recovery = (struct local_recovery){0};
    int result = open_parts(local, now_ns, ret_recovery, err);
    if (result < 0) {
        local_close(local);
        return result;
    }
    struct mvcc_stats stats;
    mvcc_stats(local->mvcc, &stats);
    ret_recovery->revision = mvcc_revision(local->mvcc);
    ret_recovery->n_keys = stats.n_keys;
    ret_recovery->n_leases = lease_table_size(local->leases);
    *ret_local = local;
    return 0;
}

void local_close(struct local *local)
{
    if (!local)
        return;
    ASSERT(!local->batch || !local->batch->first_request);
    if (local->batch)
        local_batch_free(local->batch);
    wal_close(local->wal);
    local_parts_free(local);
    buf_deinit(&local->record);
    free(local);
}

struct starting {
    nsec_t now_ns;
};

static void show_lease(void *ctx, struct lease *lease)
{
    lease_show(lease, ((struct starting *)ctx)->now_ns);
}

void local_start(struct local *local, nsec_t now_ns)
{
    struct starting starting = {now_ns};
    lease_each(local->leases, show_lease, &starting);
}

struct mvcc *local_mvcc(struct local *local)
{
    return local->mvcc;
}

struct lease_table *local_leases(struct local *local)
{
    return local->leases;
}

struct notes *local_notes(struct local *local)
{
    return local->notes;
}

struct docs *local_docs(struct local *local)
{
    return local->docs;
}

uint64_t local_cluster_id(const struct local *local)
{
    return local->cluster_id;
}

uint64_t local_member_id(const struct local *local)
{
    return local->member_id;
}

void local_measure(const struct local *local, struct store_size *ret_size)
{
    struct store_view view;
    mvcc_view(local->mvcc, false, &view);
    uint64_t snapshots = atomic_load_explicit(&local->snapshot_bytes, memory_order_relaxed);
    *ret_size = (struct store_size){wal_bytes(local->wal) + snapshots, mvcc_view_live_bytes(&view)};
}

uint64_t local_n_syncs(const struct local *local)
{
    return wal_n_syncs(local->wal);
}

bool local_reclaim(struct local *local)
{
    bool has_more = docs_reclaim(local->docs);
    return mvcc_reclaim(local->mvcc) || has_more;
}
