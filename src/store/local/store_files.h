/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a store's folder one by one, for people who want to know whether they are good: each is read from its
 * beginning to its end and every checksum compared. Nothing is changed. What the store then makes of them is another
 * matter (local_open): it reads no more than it needs.
 */
#pragma once

#include "store/local/wal_files.h"

struct store_file {
    const char *name;
    bool is_snapshot;
    uint64_t n_bytes;   /* of the file */
    uint64_t first;     /* log: the number of its first record; snapshot: of the first one that it does not cover */
    uint64_t n_records; /* log: that are good, from the first one on */
    int result;         /* 0; -EBADMSG: damaged; -ENOTSUP: of a newer version; -errno: cannot be read */
    const char *what;   /* with a result: what is wrong, with the offset. With none: "", or what was torn off its end */
};

typedef void (*store_file_fn)(void *ctx, const struct store_file *file);

/* Snapshots, then segments, each from the oldest on. 0, or -errno: the folder cannot be listed; -ENOMEM. */
int store_files_check(struct wal_files *files, store_file_fn fn, void *ctx, struct err *err);
