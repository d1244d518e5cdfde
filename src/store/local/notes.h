/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened, for people: notes in two rings, one about removals and one of all others, each bounded by bytes of its
 * own and forgetting its oldest first. Written at each removal, read rarely: so reading walks all of them.
 *
 * One thread at a time adds; any thread may look. A view is taken under a lock that is held for a moment only, and is
 * read without it, for as long as it takes.
 */
#pragma once

#include "store/store.h"

struct notes;

int notes_new(uint64_t removals_bytes, uint64_t timeline_bytes, struct notes **ret_notes);
/* No view may be left. */
void notes_free(struct notes *notes);

/* Keeps a copy; without memory for it the note is forgotten, what it tells about is not. */
void notes_add(struct notes *notes, const struct store_note *note);

/* Memory of all; any thread. */
uint64_t notes_bytes(struct notes *notes);
/* Forgets the oldest until neither ring has more; each keeps its newest block. Any thread. */
void notes_trim(struct notes *notes, uint64_t ring_bytes);

/* From a ring's oldest note to the one that was its newest when the view was taken. */
struct note_span {
    struct note_block *first;
    const struct note_block *last;
    size_t last_len;
};

struct notes_view {
    struct note_span removals, timeline;
};

void notes_view(struct notes *notes, struct notes_view *ret_view);
void notes_view_release(struct notes_view *view);

/* The removals, then the others; each oldest first. */
void notes_view_each(const struct notes_view *view, store_note_fn fn, void *ctx);

/* The same of what there is now. */
void notes_each(struct notes *notes, store_note_fn fn, void *ctx);
