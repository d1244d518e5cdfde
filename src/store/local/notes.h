/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why things are gone: a note for each key and each lease that was removed, bounded by memory, the oldest forgotten
 * first. Written at each removal, asked rarely, by people: so asking walks all of them.
 *
 * A lock guards it: the thread that publishes adds, any thread may ask.
 */
#pragma once

#include "store/local/record.h"

struct notes;

int notes_new(size_t max_bytes, struct notes **ret_notes);
void notes_free(struct notes *notes);

/* Keeps a copy; without memory for it the note is lost, the removal is not. */
void notes_add(struct notes *notes, const struct record_note *note);

/* Calls fn for each note, oldest first, under the lock: fn is quick and adds none. */
void notes_each(struct notes *notes, void (*fn)(void *ctx, const struct record_note *note), void *ctx);
