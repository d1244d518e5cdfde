/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk's space, so that the store never fills it and stays stuck.
 *
 * What frees the disk is a snapshot, and that needs room beside the snapshot and the log before it. So room for a
 * snapshot of the live data, and SLACK, are kept free: the reserve. The log grows only beyond it (wal_reserve), and
 * when there is no more, changes are refused; at that moment a snapshot still fits. When free space comes near the
 * reserve, space is short, and:
 *
 * - spares, the older snapshot and its log go, which cost nothing to give up;
 * - a snapshot is written as soon as it is worth it, and its log begins with a new, small segment, so that all that was
 *   logged before goes;
 * - history and notes are trimmed in memory until the snapshot fits, which needs no room: no COMPACT is logged, the
 *   snapshot is its record. Died before it, the store has the longer history again.
 *
 * The new snapshot is not longer than what it replaces, but for history that was made to fit. So where the live data
 * and the reserve fit the disk together (twice the live data, and SLACK) changes are taken again by themselves. Beyond
 * that, what gives room (deletes, revocations, compactions) is still taken, from a part of the reserve.
 *
 * Batches do not ask the disk: what may be applied is counted against limits that are set at each proof of room.
 */
#include "store/local/local_priv.h"

/* Room on disk that is proved after each write, for the batches that are made meanwhile. */
#define ROOM_BYTES (512 * 1024)
/* Of the reserve, for what gives room, and for the one change that goes beyond a limit. */
#define HELP_BYTES  (1024 * 1024)
#define EXTRA_BYTES (1024 * 1024)
/* What a key takes in a snapshot besides its bytes, at most. */
#define ENTRY_BYTES 64
#define FREE_MAX    (UINT64_MAX / 4)

static uint64_t left_after(uint64_t bytes, uint64_t used)
{
    return bytes > used ? bytes - used : 0;
}

/* A disk that cannot tell is taken for an empty one: what it refuses shows. */
static uint64_t free_bytes(const struct local *local)
{
    uint64_t bytes;
    if (local->files->ops->free_bytes(local->files->ctx, &bytes) < 0 || bytes > FREE_MAX)
        return FREE_MAX;
    return bytes;
}

/* Of a snapshot without any history or notes. */
static uint64_t live_bytes(const struct local *local)
{
    struct mvcc_stats stats;
    mvcc_stats(local->mvcc, &stats);
    return stats.live_bytes - stats.n_keys * (sizeof(struct version) - ENTRY_BYTES) + docs_bytes(local->docs) +
           lease_table_size(local->leases) * ENTRY_BYTES;
}

static uint64_t past_bytes(const struct local *local)
{
    struct mvcc_stats stats;
    mvcc_stats(local->mvcc, &stats);
    return stats.bytes - stats.live_bytes + notes_bytes(local->notes);
}

/*
 * ------------------------------------------------------------------------------------------------ what may be applied
 */

void local_refuse(struct local *local, enum store_outcome outcome)
{
    atomic_store_explicit(&local->refusal, outcome, memory_order_release);
}

enum store_outcome local_refusal(const struct local *local)
{
    return (enum store_outcome)atomic_load_explicit(&local->refusal, memory_order_acquire);
}

enum store_outcome local_refusal_of(const struct local *local, bool gives_room)
{
    enum store_outcome refusal = local_refusal(local);
    if (refusal == STORE_READ_ONLY || (refusal != STORE_OK && !gives_room))
        return refusal;
    const _Atomic uint64_t *limit = gives_room ? &local->help_limit : &local->limit;
    return local->applied_bytes < atomic_load_explicit(limit, memory_order_acquire) ? STORE_OK : STORE_NO_SPACE;
}

void local_prove_room(struct local *local)
{
    if (local_refusal(local) == STORE_READ_ONLY)
        return;
    int result = wal_prepare(local->wal, ROOM_BYTES, NULL);
    uint64_t bytes = free_bytes(local), step = wal_step_bytes(local->wal);
    if (result < 0 && bytes >= local->reserve + ROOM_BYTES + 2 * step)
        bytes = 0; /* a quota, or a disk that says what is not so */
    uint64_t room = wal_room(local->wal), beyond = left_after(bytes, local->reserve);
    uint64_t help = left_after(bytes, left_after(local->reserve, HELP_BYTES + step));
    /* Each byte may be one more to reserve, and where the log has no room yet, one less that is free. */
    uint64_t more = beyond > room ? (beyond + room) / 2 : beyond;
    atomic_store_explicit(&local->limit, local->written_bytes + more, memory_order_release);
    atomic_store_explicit(&local->help_limit, local->written_bytes + (room > help ? room : help), memory_order_release);
    local_refuse(local, result == 0 && more > 0 ? STORE_OK : STORE_NO_SPACE);
}

/* ------------------------------------------------------------------------------------------------ when it is short */

/* Makes history and notes small enough for a snapshot in so many bytes. */
static void aim_at(struct local *local, uint64_t bytes)
{
    if (past_bytes(local) <= bytes)
        return;
    local->history_cap = bytes / 2;
    notes_trim(local->notes, bytes / 4);
}

void local_watch_space(struct local *local)
{
    uint64_t step = wal_step_bytes(local->wal), slack = HELP_BYTES + EXTRA_BYTES + 2 * step;
    uint64_t live = live_bytes(local), bytes = free_bytes(local);
    if (local->is_snapshotting) { /* of a backup none: it must look for room itself */
        uint64_t unwritten = atomic_load_explicit(&local->snapshot_unwritten, memory_order_relaxed);
        local->reserve = slack + (unwritten > 0 ? unwritten : live);
        wal_reserve(local->wal, local->reserve, local->is_short);
        return;
    }
    local->reserve = slack + live;
    bool is_refused = local_refusal(local) == STORE_NO_SPACE;
    local->is_short = is_refused || bytes < local->reserve + local->reserve / 2;
    wal_reserve(local->wal, local->reserve, local->is_short);
    local->history_cap = UINT64_MAX;
    local->can_help_itself = false;
    if (!local->is_short)
        return;
    local_drop_spent(local);
    uint64_t log_bytes = wal_bytes(local->wal) + wal_spare_bytes(local->wal);
    if (log_bytes < 2 * step || (!is_refused && log_bytes < local->reserve))
        return;
    bytes = free_bytes(local);
    aim_at(local, left_after(bytes, live + 2 * step));
    local->can_help_itself = live + past_bytes(local) + step <= bytes;
}

void local_drop_spent(struct local *local)
{
    if (local->covered_record > local->dropped_below) {
        snapshot_drop_below(local->files, local->covered_record);
        local->dropped_below = local->forget_below = local->covered_record;
    }
    while (local_forget_log(local))
        continue;
    wal_drop_spares(local->wal);
}

bool local_is_short(const struct local *local)
{
    return local->is_short;
}

uint64_t local_snapshot_estimate(const struct local *local)
{
    return live_bytes(local) + past_bytes(local);
}

/* ------------------------------------------------------------------------------------------------ ahead of time */

bool local_wants_spare(const struct local *local)
{
    return local_refusal(local) == STORE_OK && !local->is_short && wal_wants_spare(local->wal);
}

void local_spare_begin(struct local *local, struct wal_spare_job *ret_job)
{
    wal_spare_begin(local->wal, ret_job);
}

void local_spare_end(struct local *local, const struct wal_spare_job *job)
{
    wal_spare_end(local->wal, job);
}
