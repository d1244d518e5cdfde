/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Followers remember the catalogue's revisions (Last-Event-ID), so none may mean two things, not even after a crash.
 * But entries of the timeline, in which revisions are kept, are written behind what followers are shown. So each start
 * begins a margin above all that is remembered, and is remembered itself, in the document "catalog/first": a start that
 * left no entry is passed over, too.
 */
#include "keeper/curator_priv.h"

#include <errno.h>
#include <stdio.h>

#define NAME   SLICE_LIT("catalog/first")
#define MARGIN ((int64_t)1 << 20)

static bool see_note(void *ctx, const struct store_note *note)
{
    int64_t *highest = ctx;
    if (note->kind >= STORE_NOTE_FREE && note->revision > *highest)
        *highest = note->revision;
    return true;
}

static bool see_document(void *ctx, struct slice name, struct slice value, int64_t version)
{
    int64_t *highest = ctx;
    uint64_t first;
    (void)version;
    if (slice_equal(name, NAME) && slice_parse_u64(value, &first) == 0 && first <= INT64_MAX - MARGIN &&
        (int64_t)first > *highest)
        *highest = (int64_t)first;
    return true;
}

int curator_first_find(struct store *store, int64_t *ret_first)
{
    int64_t highest = 0;
    int r = store_docs(store, NAME, see_document, &highest);
    if (r < 0)
        return r;
    store_notes(store, see_note, &highest);
    *ret_first = highest > 0 ? highest + MARGIN : 1;
    return 0;
}

static void on_remembered(struct store_request *request)
{
    struct curator *curator = container_of(request, struct curator, first_request);
    curator->is_first_remembered = true;
}

void curator_first_remember(struct curator *curator)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%lld", (long long)curator->first_revision);
    curator->first_request = (struct store_request){
        .type = STORE_DOC,
        .loop = curator->loop,
        .done = on_remembered,
        .origin.actor = SLICE_LIT("catalogue"),
        .doc = {.name = NAME, .value = slice_from(text, (size_t)n), .expected_version = -1},
    };
    store_submit(curator->store, &curator->first_request);
    while (!curator->is_first_remembered)
        (void)loop_turn(curator->loop, NSEC_NEVER);
    if (curator->first_request.outcome != STORE_OK)
        log_warn(curator->log,
                 "the catalogue's first revision could not be written: after a crash, streams that resume "
                 "may miss changes",
                 log_text("outcome", store_outcome_name(curator->first_request.outcome)));
    store_request_deinit(&curator->first_request);
}
