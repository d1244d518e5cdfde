/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of the embedded engine: the whole state, with its history, at one revision, in one file, so that a restart
 * reads a snapshot and the log behind it.
 *
 * A snapshot is written to a temporary file from a counted view on a thread of its own, synced, and renamed; the two
 * newest are kept. It names the first log record that it does not cover, and is named by it. Its body is entries
 * (record.h) in frames with a CRC32C each; an end frame counts them, so that a cut file is never taken for a whole one.
 * The same file is what `muster store snapshot` saves and `restore` reads. docs/store-format.md has every byte.
 */
#pragma once

#include "store/local/record.h"
#include "store/local/wal_files.h"

/*
 * A snapshot is synced each time it has grown by this much: many unwritten pages would make the syncs of the log, on
 * the same disk, wait for all of them.
 */
#define SNAPSHOT_SYNC_BYTES ((uint64_t)1024 * 1024)

struct snapshot_writer;

struct snapshot_head {
    uint64_t next_record; /* the first log record to replay on top */
    int64_t revision, compacted;
    int64_t wall_ms;
};

/* One writer at a time in a folder. The errors of all: -ENOSPC, -ENOMEM, -EMSGSIZE (an entry), -errno. */
int snapshot_writer_open(struct wal_files *files, const struct snapshot_head *head, struct snapshot_writer **ret_writer,
                         struct err *err);

/* A place for a snapshot outside of a store's folder: takes the bytes one after the other. 0 or -errno. */
typedef int (*snapshot_sink_fn)(void *ctx, struct slice bytes);
int snapshot_writer_open_sink(snapshot_sink_fn sink, void *ctx, const struct snapshot_head *head,
                              struct snapshot_writer **ret_writer, struct err *err);

int snapshot_writer_add(struct snapshot_writer *writer, const struct record_entry *entry, struct err *err);
/* So much is in its file. */
uint64_t snapshot_writer_bytes(const struct snapshot_writer *writer);
/*
 * Syncs and renames into place, unless an entry is missing; a sink has then got the whole of it. The writer is gone,
 * whatever the result.
 */
int snapshot_writer_finish(struct snapshot_writer *writer, struct err *err);
void snapshot_writer_abort(struct snapshot_writer *writer);

/* Slices are valid during the call. 0, or -errno to stop. */
typedef int (*snapshot_entry_fn)(void *ctx, const struct record_entry *entry, struct err *err);

/*
 * Reads the newest whole snapshot; a damaged or unreadable one is passed over for the one before it and counted in
 * ret_skipped; of such a one no entry is given. 0; -ENOENT when there is none; -EBADMSG when all are damaged; -ENOTSUP:
 * written by a newer version; -errno.
 */
int snapshot_load(struct wal_files *files, snapshot_entry_fn on_entry, void *ctx, struct snapshot_head *ret_head,
                  unsigned *ret_skipped, struct err *err);

/* Removes the snapshots of lower numbers, where space is short: at other times the two newest are kept. */
void snapshot_drop_below(struct wal_files *files, uint64_t number);

/* What the snapshots in the folder take of the disk, as far as it can be told. */
uint64_t snapshot_disk_bytes(struct wal_files *files);

/*
 * Reads the snapshot in a file, which is checked as a whole first. on_entry NULL: no more than that. 0; -ENOENT;
 * -EBADMSG: damaged, with the offset in err; -ENOTSUP; -errno.
 */
int snapshot_read(struct wal_files *files, const char *name, snapshot_entry_fn on_entry, void *ctx,
                  struct snapshot_head *ret_head, struct err *err);
