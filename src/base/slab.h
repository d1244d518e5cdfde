/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of objects of one size, for what comes and goes by the thousand: connections, requests, timers.
 *
 * Objects are cut from blocks of 16 KiB with no header of their own, so an object costs its size, rounded up to its
 * alignment, and its share of the block's head and unused end: for 300 bytes, 3 %. The object freed last is handed out
 * first, while it is still in the cache.
 *
 * A block whose last object is freed goes back to the system at once, but for a few that are kept so that a count which
 * swings by some hundreds does not map and unmap. New objects go to the better filled blocks, so that after a
 * burst the others run empty.
 *
 * A slab and its objects belong to one thread. Under AddressSanitizer each object is a malloc of its own, so that use
 * after free and overruns are found.
 */
#pragma once

#include "base/list.h"

#include <stddef.h>

#define SLAB_OBJECT_MAX 4096
/* At most so much is kept in empty blocks, unless slab_keep says otherwise. */
#define SLAB_IDLE_BYTES (256 * 1024)

struct slab {
    size_t object_size;  /* rounded up */
    size_t object_align; /* at most 64 */
    size_t n_per_block;
    size_t n_blocks;
    size_t n_objects;   /* handed out */
    struct list usable; /* blocks with room, the better filled in front */
    struct list idle;   /* empty blocks */
    size_t n_idle, n_idle_max;
};

/* For objects of this size (at most SLAB_OBJECT_MAX) and alignment: slab_init(&slab, sizeof(T), _Alignof(T)). */
void slab_init(struct slab *slab, size_t size, size_t align);
/*
 * Keeps up to so much in empty blocks: for objects of which many come and go at once, and a block that is mapped anew
 * costs page faults.
 */
void slab_keep(struct slab *slab, size_t n_bytes);

/* Frees the memory; all objects must have been freed. */
void slab_deinit(struct slab *slab);

/* An object with undefined content; NULL when out of memory. */
void *slab_alloc(struct slab *slab);

/* Accepts NULL. */
void slab_free(struct slab *slab, void *object);

/* The memory that the slab holds. */
size_t slab_bytes(const struct slab *slab);
