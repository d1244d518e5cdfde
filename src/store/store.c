/* SPDX-License-Identifier: Apache-2.0 */
/* What all engines share: names of outcomes, the meaning of ranges, what is known about a key. */
#include "store/store.h"

#include "base/util.h"

const char *store_outcome_name(int outcome)
{
    static const char *const names[] = {
        [STORE_OK] = "ok",
        [STORE_COMPACTED] = "compacted",
        [STORE_FUTURE_REVISION] = "future revision",
        [STORE_NO_LEASE] = "no lease",
        [STORE_LEASE_EXISTS] = "lease exists",
        [STORE_TTL_TOO_LARGE] = "ttl too large",
        [STORE_NO_KEY] = "no key",
        [STORE_DUPLICATE_KEY] = "duplicate key",
        [STORE_TOO_MANY_OPS] = "too many operations",
        [STORE_TOO_LARGE] = "too large",
        [STORE_DOCS_FULL] = "documents full",
        [STORE_CONFLICT] = "conflict",
        [STORE_NO_SPACE] = "no space",
        [STORE_READ_ONLY] = "read-only",
        [STORE_OUT_OF_MEMORY] = "out of memory",
        [STORE_BACKUP_FAILED] = "backup failed",
        [STORE_STOPPED] = "stopped",
    };
    bool is_known = outcome >= 0 && (size_t)outcome < ARRAY_LEN(names);
    return is_known ? names[outcome] : "failed";
}

bool store_range_has(struct slice begin, struct slice end, struct slice key)
{
    if (slice_is_empty(end))
        return slice_equal(begin, key);
    if (slice_compare(key, begin) < 0)
        return false;
    return store_range_is_open(end) || slice_compare(key, end) < 0;
}

/* ------------------------------------------------------------------------------------------------ why */

struct why {
    struct slice key;
    store_note_fn fn;
    void *ctx;
    bool is_over;
    int64_t mod_revision; /* of the key; 0: it is not there */
};

static bool tell_removal(void *ctx, const struct store_note *note)
{
    struct why *why = ctx;
    if (note->kind >= STORE_NOTE_FREE)
        return false; /* the removals came first */
    if (slice_equal(note->subject, why->key))
        why->is_over = !why->fn(why->ctx, note);
    return !why->is_over;
}

static bool take_revision(void *ctx, const struct store_kv *kv)
{
    struct why *why = ctx;
    why->mod_revision = kv->mod_revision;
    return false;
}

void store_why(struct store *store, struct slice key, store_note_fn fn, void *ctx)
{
    struct why why = {.key = key, .fn = fn, .ctx = ctx};
    store_notes(store, tell_removal, &why);
    if (why.is_over)
        return;

    struct store_view view;
    struct store_range range = {.key = key, .keys_only = true};
    struct store_range_result result;
    store_view(store, true, &view);
    if (store_range(store, &view, &range, take_revision, &why, &result) == STORE_OK && why.mod_revision) {
        const struct store_commit *commit = store_commit(store, &view, why.mod_revision);
        struct store_note note;
        if (commit) {
            store_commit_why(commit, &note);
            note.subject = key;
            (void)fn(ctx, &note);
        }
    }
    store_release(store, &view);
}
