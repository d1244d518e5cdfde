/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a store's folder as the log and the snapshots see them: a small table of calls, so that tests put a
 * simulated disk below (tests/support/sim_disk.h) that fails, fills up, tears and loses power on command.
 *
 * A file is used by one thread at a time; several threads may use several files. All give 0 (or a count) or -errno.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wal_file;

struct wal_files_ops {
    /* With create: an empty file, -EEXIST when there is one. Until a rename it may be gone after a loss of power. */
    int (*open)(void *ctx, const char *name, bool create, struct wal_file **ret_file);
    void (*close)(void *ctx, struct wal_file *file);
    int (*writev)(void *ctx, struct wal_file *file, uint64_t offset, const struct iovec *iov,
                  int n_iov);                                                                        /* all of it */
    ssize_t (*read)(void *ctx, struct wal_file *file, uint64_t offset, void *ret_bytes, size_t len); /* less: the end */
    int (*sync)(void *ctx, struct wal_file *file);                                                   /* fdatasync */
    /*
     * Syncs the file and the names in the folder, and drops what memory holds of the file from an offset on, so that
     * what is read there from now on is what is on the disk: after a failed sync, in this process or one before it,
     * memory may hold what never got there, and passes for clean.
     */
    int (*refresh)(void *ctx, struct wal_file *file, uint64_t offset);
    /*
     * Fills the file with zeroes from `offset`, at most its end, to offset + bytes, and syncs, so that writing over
     * them can neither run out of space nor change the file's metadata. -ENOSPC: nothing else is wrong; any other
     * failure may have swallowed the one report of an earlier write's failure, so what was written to the file is in
     * doubt.
     */
    int (*allocate)(void *ctx, struct wal_file *file, uint64_t offset, uint64_t bytes);
    int (*size)(void *ctx, struct wal_file *file, uint64_t *ret_bytes);
    int (*rename)(void *ctx, const char *from, const char *to); /* over what is there; on the disk when it returns 0 */
    int (*remove)(void *ctx, const char *name);                 /* may be there again after a loss of power */
    int (*free_bytes)(void *ctx, uint64_t *ret_bytes);          /* what the disk has left for us */
    /* What on_name is told it may remove. */
    int (*list)(void *ctx, void (*on_name)(void *list_ctx, const char *name), void *list_ctx);
};

struct wal_files {
    const struct wal_files_ops *ops;
    void *ctx;
    const char *path; /* of the folder, for messages */
};

/*
 * The real folder; made, readable by its owner only, when it is not there. Locked as long as it is open: -EBUSY when
 * another process has it.
 */
int wal_folder_open(const char *path, struct wal_files **ret_files, struct err *err);
/*
 * The same of a folder that another process may have, neither made nor locked: only to be read, and what is read may
 * change meanwhile.
 */
int wal_folder_look(const char *path, struct wal_files **ret_files, struct err *err);
void wal_folder_close(struct wal_files *files);
