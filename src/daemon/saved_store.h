/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that stores are saved in. Besides muster's own snapshots these are what etcd's tools make of them: padded, and
 * with a SHA-256 of everything behind.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"

/*
 * How much of the file is the snapshot: all, or what is before a hash that is right. 0; -EBADMSG: it is none of
 * muster's, but a database of etcd, say; -errno; with words, in which it is called `name`.
 */
int saved_store_measure(int fd, const char *name, uint64_t *ret_bytes, struct err *err);

/* A file without a name, in $TMPDIR or /tmp, gone when it is closed: the descriptor, or -errno with words. */
int saved_store_open_nameless(struct err *err);

/* Writes all of it at the descriptor's position: 0 or -errno. */
int saved_store_write(int fd, struct slice bytes);
