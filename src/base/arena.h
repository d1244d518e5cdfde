/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is freed all at once: many small pieces that live as long as one request. Zero-initialised is empty and
 * owns nothing. One thread at a time.
 */
#pragma once

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    char *lent;                 /* what is left of memory that is not the arena's */
    size_t lent_left;
    size_t n_bytes; /* handed out */
};

/* Memory to be used first, aligned for any object; it outlives the arena. For those that seldom need more. */
void arena_lend(struct arena *arena, void *memory, size_t n_bytes);

/* Frees everything; the arena is empty again, and has nothing lent. */
void arena_deinit(struct arena *arena);

/* Zeroed, aligned for any object; NULL when out of memory. */
void *arena_alloc(struct arena *arena, size_t n_bytes);

/* A copy of the bytes; 0 or -ENOMEM. */
int arena_copy(struct arena *arena, struct slice bytes, struct slice *ret_copy);
