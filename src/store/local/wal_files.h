/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a store's folder as the log and the snapshots see them: a small table of calls, so that tests put a
 * simulated disk below (tests/support/sim_disk.h) that fails, fills up, tears and loses power on command.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct wal_file;

struct wal_files_ops {
    /* Opens or creates (create: fails with -EEXIST when there). 0 or -errno. */
    int (*open)(void *ctx, const char *name, bool create, struct wal_file **ret_file);
    void (*close)(void *ctx, struct wal_file *file);
    int (*writev)(void *ctx, struct wal_file *file, uint64_t offset, const struct iovec *iov, int n_iov); /* all or -errno */
    ssize_t (*read)(void *ctx, struct wal_file *file, uint64_t offset, void *ret_bytes, size_t len);
    int (*sync)(void *ctx, struct wal_file *file); /* fdatasync */
    int (*allocate)(void *ctx, struct wal_file *file, uint64_t bytes); /* reserves and zeroes */
    int (*size)(void *ctx, struct wal_file *file, uint64_t *ret_bytes);
    int (*rename)(void *ctx, const char *from, const char *to); /* and syncs the folder */
    int (*remove)(void *ctx, const char *name);
    int (*list)(void *ctx, void (*on_name)(void *list_ctx, const char *name), void *list_ctx);
};

struct wal_files {
    const struct wal_files_ops *ops;
    void *ctx;
};

/* The real folder. */
int wal_folder_open(const char *path, struct wal_files **ret_files, struct err *err);
void wal_folder_close(struct wal_files *files);
