/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notes as the entries they are in the log, one after the other in blocks: a note takes a few dozen bytes, and adding
 * one seldom allocates.
 *
 * A ring is a chain of blocks, oldest first; notes are added to the last one. Bytes once written never change, and each
 * block holds a reference to the next one, so whoever has a reference to one block and knows where to stop can read the
 * rest of the chain without a lock. The ring lets go of its oldest block; it is freed when no view has it either.
 */
#include "store/local/notes.h"

#include "base/assert.h"
#include "store/local/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* A note that is longer has a block of its own. */
#define BLOCK_BYTES (32 * 1024)

struct note_block {
    _Atomic unsigned n_refs; /* the block before, or the ring for its first; views that begin here */
    struct note_block *next; /* set once, when the next one is begun */
    size_t len, cap;
    char bytes[];
};

struct note_ring {
    struct note_block *first, *last;
    uint64_t n_bytes, max_bytes;
};

struct notes {
    pthread_mutex_t lock;
    struct note_ring removals, timeline;
    struct buf entry; /* the note being added */
};

int notes_new(uint64_t removals_bytes, uint64_t timeline_bytes, struct notes **ret_notes)
{
    struct notes *notes = calloc(1, sizeof(*notes));
    if (!notes)
        return -ENOMEM;
    pthread_mutex_init(&notes->lock, NULL);
    notes->removals.max_bytes = removals_bytes;
    notes->timeline.max_bytes = timeline_bytes;
    *ret_notes = notes;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ blocks */

static struct note_block *block_ref(struct note_block *block)
{
    if (block)
        atomic_fetch_add_explicit(&block->n_refs, 1, memory_order_relaxed);
    return block;
}

static void block_unref(struct note_block *block)
{
    while (block && atomic_fetch_sub_explicit(&block->n_refs, 1, memory_order_acq_rel) == 1) {
        struct note_block *next = block->next;
        free(block);
        block = next;
    }
}

static uint64_t block_bytes(const struct note_block *block)
{
    return sizeof(*block) + block->cap;
}

static void forget_first(struct note_ring *ring)
{
    struct note_block *first = ring->first;
    ring->n_bytes -= block_bytes(first);
    ring->first = block_ref(first->next);
    block_unref(first);
}

static void ring_trim(struct note_ring *ring, uint64_t bytes)
{
    while (ring->n_bytes > bytes && ring->first != ring->last)
        forget_first(ring);
}

/* A new last block with room for so many bytes; NULL when out of memory. */
static struct note_block *ring_grow(struct note_ring *ring, size_t len)
{
    size_t cap = max_size(len, BLOCK_BYTES);
    struct note_block *block = malloc(sizeof(*block) + cap);
    if (!block)
        return NULL;
    *block = (struct note_block){.n_refs = 1, .cap = cap};
    if (ring->last)
        ring->last->next = block;
    else
        ring->first = block;
    ring->last = block;
    ring->n_bytes += block_bytes(block);
    ring_trim(ring, ring->max_bytes);
    return block;
}

static void ring_add(struct note_ring *ring, struct slice entry)
{
    struct note_block *block = ring->last;
    if (!block || block->cap - block->len < entry.len)
        block = ring_grow(ring, entry.len);
    if (!block)
        return;
    memcpy(block->bytes + block->len, entry.ptr, entry.len);
    block->len += entry.len;
}

uint64_t notes_bytes(struct notes *notes)
{
    pthread_mutex_lock(&notes->lock);
    uint64_t bytes = notes->removals.n_bytes + notes->timeline.n_bytes;
    pthread_mutex_unlock(&notes->lock);
    return bytes;
}

void notes_trim(struct notes *notes, uint64_t ring_bytes)
{
    pthread_mutex_lock(&notes->lock);
    ring_trim(&notes->removals, ring_bytes);
    ring_trim(&notes->timeline, ring_bytes);
    pthread_mutex_unlock(&notes->lock);
}

/* ------------------------------------------------------------------------------------------------ writing */

void notes_free(struct notes *notes)
{
    if (!notes)
        return;
    block_unref(notes->removals.first);
    block_unref(notes->timeline.first);
    buf_deinit(&notes->entry);
    pthread_mutex_destroy(&notes->lock);
    free(notes);
}

void notes_add(struct notes *notes, const struct store_note *note)
{
    buf_reset(&notes->entry);
    record_write(&notes->entry, &(struct record_entry){.type = RECORD_NOTE, .note = *note});
    if (buf_error(&notes->entry) < 0)
        return;
    pthread_mutex_lock(&notes->lock);
    ring_add(note->kind < STORE_NOTE_FREE ? &notes->removals : &notes->timeline, buf_slice(&notes->entry));
    pthread_mutex_unlock(&notes->lock);
}

/* ------------------------------------------------------------------------------------------------ reading */

static struct note_span span_of(struct note_ring *ring)
{
    return (struct note_span){block_ref(ring->first), ring->last, ring->last ? ring->last->len : 0};
}

void notes_view(struct notes *notes, struct notes_view *ret_view)
{
    pthread_mutex_lock(&notes->lock);
    *ret_view = (struct notes_view){span_of(&notes->removals), span_of(&notes->timeline)};
    pthread_mutex_unlock(&notes->lock);
}

void notes_view_release(struct notes_view *view)
{
    block_unref(view->removals.first);
    block_unref(view->timeline.first);
    *view = (struct notes_view){0};
}

/* False: fn has ended the walk. */
static bool span_each(const struct note_span *span, store_note_fn fn, void *ctx)
{
    for (const struct note_block *block = span->first; block;) {
        bool is_last = block == span->last;
        struct slice rest = slice_from(block->bytes, is_last ? span->last_len : block->len);
        while (!slice_is_empty(rest)) {
            struct record_entry entry;
            int result = record_read(&rest, &entry);
            ASSERT(result == 0);
            if (!fn(ctx, &entry.note))
                return false;
        }
        block = is_last ? NULL : block->next;
    }
    return true;
}

void notes_view_each(const struct notes_view *view, store_note_fn fn, void *ctx)
{
    if (span_each(&view->removals, fn, ctx))
        (void)span_each(&view->timeline, fn, ctx);
}

void notes_each(struct notes *notes, store_note_fn fn, void *ctx)
{
    struct notes_view view;
    notes_view(notes, &view);
    notes_view_each(&view, fn, ctx);
    notes_view_release(&view);
}
