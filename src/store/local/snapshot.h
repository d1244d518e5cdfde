/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of the embedded engine: the whole state, with its history, at one revision, in one file, so that a restart
 * reads a snapshot and the log behind it.
 *
 * A snapshot is written to a temporary file from a counted view on a thread of its own, synced, and renamed; the two
 * newest are kept. It names the first log record that it does not cover. Its body is entries (record.h) in frames with
 * a CRC32C each; an end frame counts them, so that a cut file is never taken for a whole one. The same file is what
 * `muster store snapshot` saves and `restore` reads.
 */
#pragma once

#include "store/local/record.h"
#include "store/local/wal_files.h"

struct snapshot_writer;

struct snapshot_head {
    uint64_t next_record;  /* the first log record to replay on top */
    int64_t revision, compacted;
    int64_t wall_ms;
};

int snapshot_writer_open(struct wal_files *files, const struct snapshot_head *head, struct snapshot_writer **ret_writer,
                         struct err *err);
int snapshot_writer_add(struct snapshot_writer *writer, const struct record_entry *entry, struct err *err);
/* Syncs and renames into place. The writer is gone, whatever the result. */
int snapshot_writer_finish(struct snapshot_writer *writer, struct err *err);
void snapshot_writer_abort(struct snapshot_writer *writer);

typedef int (*snapshot_entry_fn)(void *ctx, const struct record_entry *entry, struct err *err);

/*
 * Reads the newest whole snapshot; a damaged one is passed over for the one before it and told in ret_skipped.
 * 0; -ENOENT when there is none; -EBADMSG when all are damaged; -errno.
 */
int snapshot_load(struct wal_files *files, snapshot_entry_fn on_entry, void *ctx, struct snapshot_head *ret_head,
                  unsigned *ret_skipped, struct err *err);
