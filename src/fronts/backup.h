/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the store on its way to a client: asked for, waited for, read piece by piece, let go of. Belongs to one
 * loop.
 */
#pragma once

#include "store/store.h"

/* Copies that clients of one front end may be reading at a time: each takes the disk's space of a whole store. */
#define BACKUPS_MAX 4

struct backup;

/* The copy is there, or will never be. Not called when the backup was freed before. */
typedef void (*backup_ready_fn)(void *ctx, enum store_outcome outcome);

/*
 * Asks for one; on_ready comes later. `n_open` counts those of a front end. 0; -EBUSY: BACKUPS_MAX are open; -ENOMEM.
 */
int backup_new(struct store *store, struct loop *loop, _Atomic unsigned *n_open, backup_ready_fn on_ready, void *ctx,
               struct backup **ret_backup);
/* At any time. NULL is fine. */
void backup_free(struct backup *backup);

/* Once it is ready. */
uint64_t backup_bytes(const struct backup *backup);
int64_t backup_revision(const struct backup *backup);
/* All of the bytes from there on, which must be in it. 0 or -errno. */
int backup_read(const struct backup *backup, uint64_t offset, char *ret_bytes, size_t len);
