/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A saved snapshot as a store's folder: one that can only be read and has nothing else in it. So what opens, checks and
 * loads a store does the same with a copy of one.
 */
#pragma once

#include "store/local/wal_files.h"

struct lone_file {
    struct wal_files files;
    int fd;
    uint64_t n_bytes;
};

/* What the file is called in that folder. */
#define LONE_FILE_NAME "0000000000000001.snapshot"

/*
 * The first n_bytes of the descriptor, which stays the caller's; `path` is for messages and stays too. Valid as long as
 * the object is.
 */
void lone_file_init(struct lone_file *lone, int fd, uint64_t n_bytes, const char *path);
