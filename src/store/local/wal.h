/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable log of the embedded engine: records appended to preallocated, pre-zeroed, recycled segment files, one
 * fdatasync per record. A record is one batch of the keeper's, opaque here (record.h gives it meaning).
 *
 * docs/store-format.md describes every byte. In short: a segment begins with a head naming its sequence, the number of
 * its first record and where the segment before it ends; each record has its length, its number, the end of the log
 * known to be durable when it was written, and checksums salted with the segment's identity, so that the old records of
 * a recycled segment never pass for new ones, and a torn tail (behind the last durable end) is told from rot (before
 * it).
 *
 * Space is taken before it is needed: a record is written only over zeroes (or old records) that are on the disk
 * already, so a full disk refuses a record, but never stops in the middle of one.
 *
 * After anything went wrong with a file, nothing more is written to it: a failed fdatasync is never retried on the same
 * pages. The log goes on in a new segment, whose head says where the old one ends and which gets anew what was not
 * durable; when that fails too, the log is read-only with a clear error. Each start begins a new segment as well.
 *
 * All file access goes through struct wal_files, so that tests fail the n-th write or sync, fill the disk, tear writes
 * and cut the power. One thread at a time uses a log, but where it says otherwise.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct wal_files; /* wal_files.h: the real folder, or a simulated disk */
struct wal;

#define WAL_SEGMENT_BYTES    (64 * 1024 * 1024)
#define WAL_RECORD_BYTES_MAX (1024 * 1024 * 1024)

struct wal_options {
    uint64_t segment_bytes; /* WAL_SEGMENT_BYTES when less than a page; a longer record gets a segment of its length */
    bool relaxed;           /* answer before the data is on disk: sync at most every relaxed_ms */
    unsigned relaxed_ms;
    bool repair; /* damage is cut off as a torn tail is; segments behind it are kept as <name>.damaged */
};

/* A record found at opening, oldest first. Bytes valid during the call. 0, or -errno to stop. */
typedef int (*wal_replay_fn)(void *ctx, uint64_t number, struct slice bytes, struct err *err);

/*
 * Opens the log in a folder and replays the records numbered `from` and above; numbers begin at 1. Everything replayed
 * is on the disk when it returns. A torn tail is cut: ret_torn_bytes tells how much, 0 means that the end was found
 * whole. -EBADMSG: damage before the last durable end, or records missing, with the file, the offset and the repairing
 * command in err; -ENOTSUP: written by a newer version; -errno.
 */
int wal_open(struct wal_files *files, const struct wal_options *options, uint64_t from, wal_replay_fn on_record,
             void *ctx, struct wal **ret_wal, uint64_t *ret_torn_bytes, struct err *err);

/* Makes durable what can be (wal_sync tells whether it could), and writes down that it is. */
void wal_close(struct wal *wal);

/* Number the next record will get. */
uint64_t wal_next(const struct wal *wal);

/*
 * Appends one record and makes it durable (unless relaxed). 0; -ENOSPC, -ENOMEM: nothing was written, try again when
 * there is room; -EMSGSIZE: longer than WAL_RECORD_BYTES_MAX; -EROFS: the disk failed and the log is read-only until it
 * is opened again, when the record may turn out to be there or not. Each with words in err.
 */
int wal_append(struct wal *wal, const struct iovec *iov, int n_iov, struct err *err);

/*
 * Makes room for records of so many bytes in all (each counted as wal_record_bytes), so that appending them needs no
 * more space. Cheap when the room is there; else it writes zeroes, a step ahead, and syncs them, so the best moment is
 * after a batch was answered. 0; -ENOSPC, -ENOMEM: nothing has changed, ask again later; -EROFS or another -errno: the
 * disk fails.
 */
int wal_prepare(struct wal *wal, uint64_t bytes, struct err *err);
/*
 * What wal_prepare and wal_spare_make leave free on the disk: with less than that they give -ENOSPC. Only a record that
 * is to be appended takes what there is. At first 0. `is_short`: what is no longer needed goes instead of becoming a
 * spare.
 */
void wal_reserve(struct wal *wal, uint64_t bytes, bool is_short);

/*
 * The same beside the log's work, so that no batch waits for it: a file is zeroed for the next segment, larger than
 * the last one while the log is small. wal_spare_make may run on any thread, beside all else, and takes long; the rest
 * is for the thread that uses the log. Until the spare is there, or when it cannot be made, wal_prepare helps itself.
 */
struct wal_spare_job {
    struct wal_files *files;
    uint64_t id, bytes;
    uint64_t leave; /* free on the disk */
    int result;     /* of wal_spare_make: 0 or -errno */
};
bool wal_wants_spare(const struct wal *wal);
void wal_spare_begin(struct wal *wal, struct wal_spare_job *ret_job);
void wal_spare_make(struct wal_spare_job *job);
void wal_spare_end(struct wal *wal, const struct wal_spare_job *job);

/* How many bytes of records can be appended without more space. Any thread; appending lowers it before it returns. */
uint64_t wal_room(const struct wal *wal);

/* What a record of this length takes of the room. */
uint64_t wal_record_bytes(uint64_t length);

/*
 * Relaxed: makes durable what is not. A log that is not relaxed has nothing to sync. 0; -ENOSPC, -ENOMEM: still not
 * durable, but not lost: it is kept in memory and goes out with the next sync or append; -EROFS as wal_append.
 */
int wal_sync(struct wal *wal, struct err *err);
/* The same when relaxed_ms have passed since all was durable. To be called at least that often. */
int wal_sync_if_due(struct wal *wal, nsec_t now_ns, struct err *err);
/* Whether all that was appended is on the disk. */
bool wal_is_durable(const struct wal *wal);

/*
 * Recycles the oldest segment when its records are all below `number`; true: there may be another one. Only what no
 * snapshot needs may go.
 */
bool wal_forget_below(struct wal *wal, uint64_t number);

/*
 * Begins a segment, the smallest there is, without regard to the reserve and to spares, which go: what was logged
 * before can then be forgotten to the last segment. 0; -ENOSPC, -ENOMEM: try again; -EROFS or another -errno: the disk
 * fails.
 */
int wal_begin_small(struct wal *wal, struct err *err);
/* Removes the spares but the one that is used next, whose room may have been promised. */
void wal_drop_spares(struct wal *wal);
uint64_t wal_spare_bytes(const struct wal *wal); /* of all spares */
/* What a log takes that has just begun: it grows by so much, too. */
uint64_t wal_step_bytes(const struct wal *wal);

uint64_t wal_bytes(const struct wal *wal);   /* on disk, of all segments in use; any thread */
uint64_t wal_n_syncs(const struct wal *wal); /* of records; any thread */
