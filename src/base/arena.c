/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain of blocks, each twice as large as the one before up to a limit; a piece that is larger than a block gets one
 * of its own.
 */
#include "base/arena.h"

#include "base/util.h"

#include <errno.h>
#include <stdalign.h>
#include <stdlib.h>

#define BLOCK_MIN 512
#define BLOCK_MAX (64 * 1024)

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

void arena_deinit(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    *arena = (struct arena){0};
}

void arena_lend(struct arena *arena, void *memory, size_t n_bytes)
{
    arena->lent = memory;
    arena->lent_left = n_bytes;
}

static void *take_lent(struct arena *arena, size_t rounded)
{
    char *piece = arena->lent;
    arena->lent += rounded;
    arena->lent_left -= rounded;
    return piece;
}

/* A piece of the newest block, or of a new one. */
static void *take_owned(struct arena *arena, size_t rounded)
{
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < rounded) {
        size_t size = max_size(rounded, block ? min_size(block->size * 2, BLOCK_MAX) : BLOCK_MIN);
        block = malloc(sizeof(*block) + size);
        if (!block)
            return NULL;
        block->used = 0;
        block->size = size;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *piece = block->bytes + block->used;
    block->used += rounded;
    return piece;
}

void *arena_alloc(struct arena *arena, size_t n_bytes)
{
    size_t rounded = (n_bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    if (rounded < n_bytes)
        return NULL;
    void *piece = arena->lent && rounded <= arena->lent_left ? take_lent(arena, rounded) : take_owned(arena, rounded);
    if (!piece)
        return NULL;
    arena->n_bytes += rounded;
    return memset(piece, 0, rounded);
}

int arena_copy(struct arena *arena, struct slice bytes, struct slice *ret_copy)
{
    char *copy = arena_alloc(arena, bytes.len);
    if (!copy)
        return -ENOMEM;
    if (bytes.len)
        memcpy(copy, bytes.ptr, bytes.len);
    *ret_copy = slice_from(copy, bytes.len);
    return 0;
}
