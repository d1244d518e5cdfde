/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The embedded engine: memory (mvcc), leases, log and snapshots put together. It has no thread of its own and never
 * waits for one; the keeper (src/keeper) drives it, batch after batch:
 *
 *   keeper's thread   local_apply *       each request of the batch, in order of arrival
 *                     local_expire        leases that ran out, as ordinary transactions, a bounded number at a time
 *                     local_seal          closes the batch: its log record and its root
 *   log thread        local_write         appends the record and syncs; batches in order, one at a time
 *                     local_publish       makes it readable and shows its leases; then its requests may be answered
 *
 * The keeper may apply batch N+1 while batch N is being written. Space is proved before anything is changed
 * (local_prove_room), so a full disk refuses requests instead of breaking batches. When a write fails for good, no
 * batch is published any more: readers keep the last durable state, and every change is refused until the next start.
 */
#pragma once

#include "store/local/docs.h"
#include "store/local/lease.h"
#include "store/local/mvcc.h"
#include "store/local/notes.h"
#include "store/local/snapshot.h"
#include "store/local/wal.h"
#include "store/store.h"

/* Leases up to this TTL get all of it again after a restart; longer ones what was left at their last checkpoint. */
#define LOCAL_FULL_TTL_MS (60 * 1000)
/* Leases removed, and events forgotten, per call: so that no request waits long for them. */
#define LOCAL_EXPIRE_MAX  256
#define LOCAL_TRIM_EVENTS 2000

struct local_options {
    struct wal_options wal;
    int64_t history_ms;      /* 24 h */
    uint64_t history_bytes;  /* 256 MiB */
    uint64_t snapshot_bytes; /* bytes logged since the last snapshot that call for a new one */
    uint64_t notes_bytes;    /* of notes about removals that are remembered: 8 MiB */
    uint64_t timeline_bytes; /* of all other notes: 64 MiB */
    int64_t min_ttl_ms;      /* shorter TTLs are raised to this */
};

void local_options_init(struct local_options *options);

struct local;
struct local_batch;

struct local_recovery {
    int64_t revision;
    size_t n_keys, n_leases;
    uint64_t n_records;     /* replayed from the log */
    uint64_t torn_bytes;    /* cut off its end */
    unsigned bad_snapshots; /* passed over */
};

/* Opens a folder: newest whole snapshot, then the log behind it. No lease runs yet. */
int local_open(struct wal_files *files, const struct local_options *options, struct rcu_domain *rcu, nsec_t now_ns,
               struct local **ret_local, struct local_recovery *ret_recovery, struct err *err);
/* From now on leases run: called when clients can reach the store, so that no restart shortens one. */
void local_start(struct local *local, nsec_t now_ns);
/*
 * No view and no batch may be left. Does not write; a clean stop seals and writes a last batch first
 * (local_checkpoint).
 */
void local_close(struct local *local);

struct mvcc *local_mvcc(struct local *local);
struct lease_table *local_leases(struct local *local);
struct notes *local_notes(struct local *local);
struct docs *local_docs(struct local *local);
uint64_t local_cluster_id(const struct local *local);
uint64_t local_member_id(const struct local *local);

/* Any thread that is an RCU reader. */
void local_measure(const struct local *local, struct store_size *ret_size);

/* How often the log was synced so far. Any thread. */
uint64_t local_n_syncs(const struct local *local);

/* -------- the keeper's thread */

/* What every change is answered with at the moment: STORE_OK, or why not. */
enum store_outcome local_refusal(const struct local *local);

/*
 * Does what the request asks, in memory, and puts it into the batch: it is answered when the batch is published.
 * -ENOMEM when there is no memory even for a batch: the caller answers it at once.
 */
int local_apply(struct local *local, struct store_request *request, nsec_t now_ns, int64_t wall_ms);

/* Removes up to `max` leases that ran out, with their keys. How many; less than max: no more are due. */
unsigned local_expire(struct local *local, nsec_t now_ns, nsec_t read_until_ns, int64_t wall_ms, unsigned max);

/* Puts what is left of each lease into the batch: each minute, and before a clean stop. */
void local_checkpoint(struct local *local, nsec_t now_ns);

/* Forgets history beyond the limits, a bounded amount per call. True while there is more to do. */
bool local_trim(struct local *local, int64_t wall_ms);

/* Closes the batch. NULL: there is nothing in it, or no memory to close it (it stays open: try again). */
struct local_batch *local_seal(struct local *local);

/* Frees what readers have left behind, a bounded amount per call. True while there is more. */
bool local_reclaim(struct local *local);

/* -------- the log thread (or the keeper's, while that one rests) */

/*
 * Makes the batch durable. 0, or -errno with words: then the store refuses changes, and the batch must not be
 * published.
 */
int local_write(struct local *local, struct local_batch *batch, struct err *err);

/*
 * Sees to room on the disk for the next batches; without it changes are refused until this finds some. It may take
 * milliseconds, so it is called at the start and when a batch has been answered. As local_write.
 */
void local_prove_room(struct local *local);

/*
 * Looks how much the disk has left, and when that is short gives up what can be spared and prepares the snapshot that
 * helps (local_wants_snapshot). Before each batch is written. The keeper's thread, with none being written.
 */
void local_watch_space(struct local *local);
/* Gives up spares, the older snapshot and the log that only it needs. As local_watch_space. */
void local_drop_spent(struct local *local);
/* What local_watch_space saw. */
bool local_is_short(const struct local *local);

/*
 * The same ahead of time, so that no batch waits for it: between begin and end any thread does wal_spare_make. The
 * keeper's thread, with none being written.
 */
bool local_wants_spare(const struct local *local);
void local_spare_begin(struct local *local, struct wal_spare_job *ret_job);
void local_spare_end(struct local *local, const struct wal_spare_job *job);

/*
 * With relaxed durability: makes durable what has waited its time, and gives the moment when it must be called again;
 * NSEC_NEVER when all is on the disk. As local_write.
 */
nsec_t local_sync_relaxed(struct local *local, nsec_t now_ns);

/* Readers see it from now on, heartbeats find its leases. Whether there are new commits. */
bool local_publish(struct local *local, struct local_batch *batch, nsec_t now_ns);

/* The batch's requests in order of arrival, linked by ->next, for the caller to answer; then the batch is gone. */
struct store_request *local_batch_free(struct local_batch *batch);

/* -------- snapshots */

/*
 * True when enough was logged since the last one, or the disk is nearly full and it would help, and none is being
 * written. The keeper's thread.
 */
bool local_wants_snapshot(const struct local *local);

struct local_snapshot;
/*
 * Takes hold of the published state and of the leases. The keeper's thread, with no batch open and none being written,
 * so that memory, leases and log are at one point. History is not trimmed until the end. 0, -ENOMEM, or, of the store's
 * own on a disk that is nearly full, what wal_begin_small gives.
 */
int local_snapshot_begin(struct local *local, bool is_backup, nsec_t now_ns, int64_t wall_ms,
                         struct local_snapshot **ret_snapshot);
/* Writes it into the store's folder, or when it is a backup to a place of the caller's. Any thread; takes long. */
int local_snapshot_write(struct local_snapshot *snapshot, struct err *err);
int local_snapshot_write_to(struct local_snapshot *snapshot, snapshot_sink_fn sink, void *ctx, struct err *err);
int64_t local_snapshot_revision(const struct local_snapshot *snapshot);
/* Lets go of it; one in the store's own folder makes log unneeded (local_forget_log). As local_snapshot_begin. */
void local_snapshot_end(struct local_snapshot *snapshot, bool covers_log);
/*
 * Recycles a segment of the log that the snapshots make unneeded, one at a time, since each takes a sync. True while
 * there may be more. The keeper's thread, with no batch being written.
 */
bool local_forget_log(struct local *local);
