/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the timeline: entries are notes of the store (catalog/timeline.h). */
#pragma once

#include "base/arena.h"
#include "store/store.h"

struct api_entry {
    unsigned kind;
    int64_t revision, wall_ms, silence_ms;
    struct slice service, id, actor, evidence;
};

struct api_history {
    struct slice service, id; /* "": of any */
    int64_t since_ms;
    unsigned limit;
};

/* The newest ones first, in the arena. 0 or -ENOMEM. On a thread that is an RCU reader. */
int api_history_read(struct store *store, const struct api_history *asked, struct arena *arena,
                     struct api_entry **ret_entries, unsigned *ret_n);

struct json_writer;
void api_history_write(struct json_writer *json, const struct api_entry *entries, unsigned n);
