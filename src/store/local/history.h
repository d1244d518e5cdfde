/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commits from the compacted revision to the newest, found by revision in constant time. Every revision has one
 * commit, so the history is an array with a moving beginning: chunks of commits under a directory.
 *
 * One thread appends and drops; readers reach a directory through a root (mvcc) and see what was appended before that
 * root was published. A directory that is full is replaced by a larger one, so older roots keep theirs. What is dropped
 * is handed out as garbage to free when no reader is left.
 */
#pragma once

#include "store/store.h"

#define HISTORY_CHUNK 512

struct history_chunk;

struct history_directory {
    struct history_directory *garbage_next;
    int64_t first_chunk; /* revision / HISTORY_CHUNK of chunks[0] */
    size_t n_slots;
    struct history_chunk *chunks[];
};

struct history {
    struct history_directory *directory;
    int64_t first; /* the lowest revision kept; first > last: empty */
    int64_t last;
    struct history_directory *garbage_directories;
    struct history_chunk *garbage_chunks;
};

/* The next revision appended will be `next`. 0 or -ENOMEM. */
int history_init(struct history *history, int64_t next);
/* Frees the commits too. */
void history_deinit(struct history *history);

/* Makes sure that the next append cannot fail. 0 or -ENOMEM. */
int history_reserve(struct history *history);
void history_append(struct history *history, struct store_commit *commit);

/* Takes the oldest commit off; the caller frees it when no reader is left. */
struct store_commit *history_drop_first(struct history *history);

/* Readers: `revision` must be within first..last of a time at which the directory was current. */
struct store_commit *history_get(const struct history_directory *directory, int64_t revision);

/* What is to be freed by history_free_garbage once no reader can be there. */
struct history_garbage {
    struct history_directory *directories;
    struct history_chunk *chunks;
};
struct history_garbage history_take_garbage(struct history *history);
void history_free_garbage(struct history_garbage garbage);
