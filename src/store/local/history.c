/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commits by revision: a directory of chunks. Appending writes a slot that no published root covers yet, so readers
 * need no more than the release that publishes the root.
 */
#include "store/local/history.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

struct history_chunk {
    struct history_chunk *garbage_next;
    struct store_commit *commits[HISTORY_CHUNK];
};

static struct history_directory *directory_new(int64_t first_chunk, size_t n_slots)
{
    struct history_directory *directory = calloc(1, sizeof(*directory) + n_slots * sizeof(directory->chunks[0]));
    if (directory) {
        directory->first_chunk = first_chunk;
        directory->n_slots = n_slots;
    }
    return directory;
}

int history_init(struct history *history, int64_t next)
{
    *history = (struct history){.first = next, .last = next - 1};
    history->directory = directory_new(next / HISTORY_CHUNK, 8);
    return history->directory ? 0 : -ENOMEM;
}

void history_deinit(struct history *history)
{
    while (history->directory && history->first <= history->last)
        free(history_drop_first(history));
    if (history->directory) { /* used-up chunks are garbage already */
        size_t slot = (size_t)(history->first / HISTORY_CHUNK - history->directory->first_chunk);
        for (; slot < history->directory->n_slots; slot++)
            free(history->directory->chunks[slot]);
    }
    free(history->directory);
    history_free_garbage(history_take_garbage(history));
    *history = (struct history){0};
}

/* A directory that begins where the history does now, with twice the room for what is kept. */
static int replace_directory(struct history *history)
{
    struct history_directory *old = history->directory;
    int64_t first_chunk = history->first / HISTORY_CHUNK;
    size_t kept = (size_t)(old->first_chunk + (int64_t)old->n_slots - first_chunk);
    struct history_directory *new = directory_new(first_chunk, max_size(8, 2 * kept));
    if (!new)
        return -ENOMEM;
    memcpy(new->chunks, old->chunks + (old->n_slots - kept), kept * sizeof(new->chunks[0]));
    old->garbage_next = history->garbage_directories;
    history->garbage_directories = old;
    history->directory = new;
    return 0;
}

int history_reserve(struct history *history)
{
    int64_t chunk = (history->last + 1) / HISTORY_CHUNK;
    if (chunk >= history->directory->first_chunk + (int64_t)history->directory->n_slots) {
        int result = replace_directory(history);
        if (result < 0)
            return result;
    }
    struct history_chunk **slot = &history->directory->chunks[chunk - history->directory->first_chunk];
    if (!*slot)
        *slot = calloc(1, sizeof(**slot));
    return *slot ? 0 : -ENOMEM;
}

void history_append(struct history *history, struct store_commit *commit)
{
    ASSERT(commit->revision == history->last + 1);
    struct history_directory *directory = history->directory;
    directory->chunks[commit->revision / HISTORY_CHUNK - directory->first_chunk]
        ->commits[commit->revision % HISTORY_CHUNK] = commit;
    history->last = commit->revision;
}

struct store_commit *history_get(const struct history_directory *directory, int64_t revision)
{
    int64_t slot = revision / HISTORY_CHUNK - directory->first_chunk;
    ASSERT(slot >= 0 && (size_t)slot < directory->n_slots);
    return directory->chunks[slot]->commits[revision % HISTORY_CHUNK];
}

struct store_commit *history_drop_first(struct history *history)
{
    ASSERT(history->first <= history->last);
    struct store_commit *commit = history_get(history->directory, history->first);
    history->first++;
    if (history->first % HISTORY_CHUNK == 0) {
        /* The chunk is used up. Its slot stays filled: older roots may still look at it, newer ones never will. */
        int64_t slot = commit->revision / HISTORY_CHUNK - history->directory->first_chunk;
        struct history_chunk *chunk = history->directory->chunks[slot];
        chunk->garbage_next = history->garbage_chunks;
        history->garbage_chunks = chunk;
    }
    return commit;
}

struct history_garbage history_take_garbage(struct history *history)
{
    return (struct history_garbage){
        .directories = TAKE(history->garbage_directories),
        .chunks = TAKE(history->garbage_chunks),
    };
}

void history_free_garbage(struct history_garbage garbage)
{
    while (garbage.directories) {
        struct history_directory *next = garbage.directories->garbage_next;
        free(garbage.directories);
        garbage.directories = next;
    }
    while (garbage.chunks) {
        struct history_chunk *next = garbage.chunks->garbage_next;
        free(garbage.chunks);
        garbage.chunks = next;
    }
}
