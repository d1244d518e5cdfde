/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The durable log of the embedded engine: records appended to preallocated, pre-zeroed, recycled segment files, one
 * fdatasync per record. A record is one batch of the keeper's, opaque here (record.h gives it meaning).
 *
 * docs/store-format.md describes every byte. In short: a segment begins with a header naming its sequence and the number
 * of its first record; each record has its length, its number, the end of the log known to be durable when it was
 * written, and a CRC32C salted with the segment's sequence, so that the old records of a recycled segment never pass for
 * new ones, and a torn tail (behind the last durable end) is told from rot (before it).
 *
 * All file access goes through struct wal_files, so that tests fail the n-th write or sync, fill the disk, tear writes
 * and cut the power. A failed fdatasync is never retried on the same pages: the log goes on in a new segment, written
 * anew from the last durable record, or becomes read-only with a clear error.
 *
 * One thread at a time uses a log.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>
#include <sys/uio.h>

struct wal_files; /* wal_files.h: the real folder, or a simulated disk */
struct wal;

struct wal_options {
    uint64_t segment_bytes; /* 64 MiB */
    bool relaxed;           /* answer before the data is on disk: sync at most every relaxed_ms */
    unsigned relaxed_ms;
};

/* A record found at opening, oldest first. Bytes valid during the call. 0, or -errno to stop. */
typedef int (*wal_replay_fn)(void *ctx, uint64_t number, struct slice bytes, struct err *err);

/*
 * Opens the log in a folder and replays the records numbered `from` and above. A torn tail is cut (ret_torn_bytes tells
 * how much); damage before the last durable end is -EBADMSG with the file, the offset and the repairing command in err.
 */
int wal_open(struct wal_files *files, const struct wal_options *options, uint64_t from, wal_replay_fn on_record,
             void *ctx, struct wal **ret_wal, uint64_t *ret_torn_bytes, struct err *err);
void wal_close(struct wal *wal);

/* Number the next record will get. */
uint64_t wal_next(const struct wal *wal);

/*
 * Appends one record and makes it durable (unless relaxed). 0; -ENOSPC: nothing was written, try again when there is
 * room; -EROFS: a sync failed and the log is read-only until restart; each with words in err.
 */
int wal_append(struct wal *wal, const struct iovec *iov, int n_iov, struct err *err);

/* Segments whose records are all below `number` are recycled. */
void wal_forget_below(struct wal *wal, uint64_t number);

uint64_t wal_bytes(const struct wal *wal); /* of all segments in use */
uint64_t wal_n_syncs(const struct wal *wal);
