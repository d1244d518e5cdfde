/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder on a simulated disk, for whatever writes through struct wal_files (store/local/wal_files.h).
 *
 * It keeps what programs see and what is really on the disk apart. A sync carries the one to the other; a loss of power
 * leaves of what was not synced a random choice: page by page, now and then only some sectors of a page, and of the
 * changes of the folder the first ones. A sync that fails does what Linux does: some pages have reached the disk, and
 * all count as clean from then on, so that the next sync succeeds without writing them.
 *
 * Used up to a limit of bytes; then -ENOSPC. Every random choice comes from the seed.
 */
#pragma once

#include "base/slice.h"
#include "store/local/wal_files.h"

struct sim_disk;

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);

struct wal_files *sim_disk_files(struct sim_disk *disk);

/* What may fail: everything that changes the disk. */
enum sim_disk_op { SIM_DISK_WRITE, SIM_DISK_SYNC, SIM_DISK_ALLOCATE, SIM_DISK_RENAME, SIM_DISK_OTHER, SIM_DISK_ANY };

/* How many were done. */
uint64_t sim_disk_n_ops(const struct sim_disk *disk, enum sim_disk_op op);

/* The n-th from now on (1: the next) fails with -error, and the `times` - 1 after it too. */
void sim_disk_fail(struct sim_disk *disk, enum sim_disk_op op, uint64_t n, int error, uint64_t times);

/* The n-th sync from now on, and the `times` - 1 after it, do what one that fails does, and say that all is well. */
void sim_disk_lie(struct sim_disk *disk, uint64_t n, uint64_t times);

/* The n-th of any kind is done in part, and then the power is gone: everything fails with -EIO. */
void sim_disk_cut_power_at(struct sim_disk *disk, uint64_t n);
/* The power is gone now, and comes again: what was not synced is lost, or not. Open files must have been closed. */
void sim_disk_lose_power(struct sim_disk *disk);
bool sim_disk_has_power(const struct sim_disk *disk);

/* UINT64_MAX: none, as at first. */
void sim_disk_limit(struct sim_disk *disk, uint64_t bytes);
/* Bytes of all files there are. */
uint64_t sim_disk_used(const struct sim_disk *disk);

/* The names of files that end like this, in order: the n-th one (from 0), or NULL. */
const char *sim_disk_name(const struct sim_disk *disk, const char *suffix, size_t n);
/* The bytes of a file, as they are on the disk and as they are seen; they may be changed only by sim_disk_flip. */
struct slice sim_disk_bytes(const struct sim_disk *disk, const char *name);
void sim_disk_flip(struct sim_disk *disk, const char *name, uint64_t bit);
/* Makes or replaces a file with these bytes, all on the disk. */
void sim_disk_put(struct sim_disk *disk, const char *name, struct slice bytes);
