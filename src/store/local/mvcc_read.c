/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges over the memory.
 *
 * At the newest revision of a view only `live` is walked, as far as the tree's own sums say. At an older one `live` and
 * `gone` are walked side by side, and from each key's newest version the links lead down to the one that was current
 * then.
 *
 * A compaction may cut links while an old revision is read. It says so first (mvcc->cut_below), so a reader that looks
 * at that afterwards knows whether what it saw can be trusted.
 */
#include "base/array.h"
#include "base/assert.h"
#include "store/local/mvcc_priv.h"

#include <errno.h>
#include <stdlib.h>

/* A state to read: a root's, or the working one. */
struct state {
    const struct mvcc *mvcc;
    const struct tree_node *live, *gone;
    int64_t revision, compacted;
};

/* Walks the keys of a range that exist at one revision, in key order. */
struct walk {
    struct tree_iter live, gone;
    const struct store_kv *next_live, *next_gone;
    struct slice end; /* empty: none */
    int64_t revision;
    size_t left; /* keys that may still be looked at */
};

static const struct store_kv *within(const struct store_kv *kv, struct slice end)
{
    return kv && (slice_is_empty(end) || slice_compare(kv->key, end) < 0) ? kv : NULL;
}

static void walk_begin(struct walk *walk, const struct state *state, const struct store_range *range, int64_t revision)
{
    walk->revision = revision;
    walk->left = range->part ? range->part : SIZE_MAX;
    walk->end = store_range_is_open(range->end) ? (struct slice){0} : range->end;
    tree_seek(&walk->live, state->live, range->key);
    walk->next_live = within(tree_next(&walk->live), walk->end);
    walk->next_gone = NULL;
    if (revision < state->revision) {
        tree_seek(&walk->gone, state->gone, range->key);
        walk->next_gone = within(tree_next(&walk->gone), walk->end);
    }
}

/* The version that was current at the revision; NULL when the key did not exist then. */
static const struct store_kv *version_at(const struct store_kv *newest, int64_t revision)
{
    const struct version *version = version_of(newest);
    while (version && version->kv.mod_revision > revision)
        version = atomic_load_explicit(&version->older, memory_order_acquire);
    return version && !version_is_tombstone(version) ? &version->kv : NULL;
}

/* Of the two that come next the one with the lower key. */
static const struct store_kv *walk_peek(const struct walk *walk)
{
    if (!walk->next_gone || !walk->next_live)
        return walk->next_live ? walk->next_live : walk->next_gone;
    return slice_compare(walk->next_live->key, walk->next_gone->key) < 0 ? walk->next_live : walk->next_gone;
}

static const struct store_kv *walk_next(struct walk *walk)
{
    for (const struct store_kv *newest; walk->left > 0 && (newest = walk_peek(walk)); walk->left--) {
        if (newest == walk->next_live)
            walk->next_live = within(tree_next(&walk->live), walk->end);
        else
            walk->next_gone = within(tree_next(&walk->gone), walk->end);
        const struct store_kv *kv = version_at(newest, walk->revision);
        if (kv) {
            walk->left--;
            return kv;
        }
    }
    return NULL;
}

static bool is_filtered(const struct store_range *range)
{
    return range->min_mod_revision > 0 || range->max_mod_revision > 0 || range->min_create_revision > 0 ||
           range->max_create_revision > 0;
}

static bool passes(const struct store_range *range, const struct store_kv *kv)
{
    return (range->min_mod_revision <= 0 || kv->mod_revision >= range->min_mod_revision) &&
           (range->max_mod_revision <= 0 || kv->mod_revision <= range->max_mod_revision) &&
           (range->min_create_revision <= 0 || kv->create_revision >= range->min_create_revision) &&
           (range->max_create_revision <= 0 || kv->create_revision <= range->max_create_revision);
}

static bool give(const struct store_range *range, const struct store_kv *kv, store_kv_fn on_kv, void *ctx)
{
    if (!range->keys_only)
        return on_kv(ctx, kv);
    struct store_kv bare = *kv;
    bare.value = (struct slice){0};
    return on_kv(ctx, &bare);
}

/* ------------------------------------------------------------------------------------------------ key order */

static int64_t count_newest(const struct state *state, const struct store_range *range)
{
    uint64_t end = store_range_is_open(range->end) ? tree_size(state->live) : tree_rank(state->live, range->end);
    uint64_t begin = tree_rank(state->live, range->key);
    return end > begin ? (int64_t)(end - begin) : 0;
}

/* The tree's sums say how many keys there are, so none need be looked at to find where the range ends. */
static void range_newest(const struct state *state, const struct store_range *range, store_kv_fn on_kv, void *ctx,
                         struct store_range_result *ret_result)
{
    int64_t count = count_newest(state, range);
    int64_t wanted = range->limit > 0 && range->limit < count ? range->limit : count;
    if (range->count_only)
        wanted = 0;
    int64_t n_given = 0;
    struct tree_iter iter;
    tree_seek(&iter, state->live, range->key);
    for (bool stopped = false; !stopped && n_given < wanted; n_given++)
        stopped = !give(range, tree_next(&iter), on_kv, ctx);
    ret_result->count = count;
    ret_result->more = !range->count_only && count > n_given;
}

/* At an older revision it takes a walk to count them. */
static void range_older(const struct state *state, const struct store_range *range, int64_t revision, store_kv_fn on_kv,
                        void *ctx, struct store_range_result *ret_result)
{
    int64_t limit = range->limit > 0 ? range->limit : INT64_MAX;
    int64_t n_given = 0, n_seen = 0;
    bool stopped = range->count_only;
    struct walk walk;
    walk_begin(&walk, state, range, revision);
    for (const struct store_kv *kv; (kv = walk_next(&walk));) {
        n_seen++;
        if (stopped || n_given == limit)
            continue;
        n_given++;
        stopped = !give(range, kv, on_kv, ctx);
    }
    ret_result->count = n_seen;
    ret_result->more = !range->count_only && n_seen > n_given;
}

/* A part, so that nothing is counted. */
static void range_part(const struct state *state, const struct store_range *range, int64_t revision, store_kv_fn on_kv,
                       void *ctx, struct store_range_result *ret_result)
{
    struct walk walk;
    walk_begin(&walk, state, range, revision);
    for (const struct store_kv *kv; (kv = walk_next(&walk)) && give(range, kv, on_kv, ctx);)
        continue;
    const struct store_kv *next = walk_peek(&walk);
    *ret_result = (struct store_range_result){.next = next ? next->key : (struct slice){0}};
}

static void range_one_key(const struct state *state, const struct store_range *range, int64_t revision,
                          store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    const struct store_kv *kv = tree_find(state->live, range->key);
    if (!kv && revision < state->revision)
        kv = tree_find(state->gone, range->key);
    kv = kv ? version_at(kv, revision) : NULL;
    ret_result->count = kv != NULL;
    ret_result->more = false;
    if (kv && !range->count_only && passes(range, kv))
        give(range, kv, on_kv, ctx);
}

/* ------------------------------------------------------------------------------------------------ other orders */

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare_by(enum store_sort_by by, const struct store_kv *a, const struct store_kv *b)
{
    switch (by) {
    case STORE_BY_VERSION:
        return compare_numbers(a->version, b->version);
    case STORE_BY_CREATE:
        return compare_numbers(a->create_revision, b->create_revision);
    case STORE_BY_MOD:
        return compare_numbers(a->mod_revision, b->mod_revision);
    case STORE_BY_VALUE:
        return slice_compare(a->value, b->value);
    case STORE_BY_KEY:
        break;
    }
    return slice_compare(a->key, b->key);
}

static int compare_sorted(const void *a, const void *b, void *ctx)
{
    const struct store_range *range = ctx;
    const struct store_kv *x = *(const struct store_kv *const *)a, *y = *(const struct store_kv *const *)b;
    int order = compare_by(range->by, x, y);
    if (order == 0) /* equals keep the order of their keys, so that one state has one answer */
        return slice_compare(x->key, y->key);
    return range->order == STORE_DESCENDING ? -order : order;
}

/* All keys of the range that pass the filters. */
static int collect(struct walk *walk, const struct store_range *range, const struct store_kv ***ret_kvs, size_t *ret_n,
                   int64_t *ret_count)
{
    const struct store_kv **kvs = NULL;
    size_t n = 0, room = 0;
    *ret_count = 0;
    for (const struct store_kv *kv; (kv = walk_next(walk)) != NULL;) {
        ++*ret_count;
        if (!passes(range, kv))
            continue;
        const struct store_kv **grown = array_grow(kvs, n, &room, sizeof(*kvs));
        if (!grown) {
            free(kvs);
            return -ENOMEM;
        }
        kvs = grown;
        kvs[n++] = kv;
    }
    *ret_kvs = kvs;
    *ret_n = n;
    return 0;
}

/* The whole range is fetched, filtered, sorted, and only then cut to the limit. */
static int range_collected(const struct state *state, const struct store_range *range, int64_t revision,
                           store_kv_fn on_kv, void *ctx, struct store_range_result *ret_result)
{
    struct walk walk;
    walk_begin(&walk, state, range, revision);
    const struct store_kv **kvs;
    size_t n;
    int result = collect(&walk, range, &kvs, &n, &ret_result->count);
    if (result < 0)
        return result;

    struct store_range sorting = *range;
    if (n > 1 && (range->order != STORE_UNSORTED || range->by != STORE_BY_KEY))
        qsort_r(kvs, n, sizeof(kvs[0]), compare_sorted, &sorting);
    size_t n_wanted = range->limit > 0 ? min_size(n, (size_t)range->limit) : n;
    for (size_t i = 0; !range->count_only && i < n_wanted; i++) {
        if (!give(range, kvs[i], on_kv, ctx))
            break;
    }
    ret_result->more = !range->count_only && n > n_wanted;
    free(kvs);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ entrance */

static int range_state(const struct state *state, const struct store_range *range, store_kv_fn on_kv, void *ctx,
                       struct store_range_result *ret_result)
{
    int64_t revision = range->revision > 0 ? range->revision : state->revision;
    if (revision > state->revision)
        return STORE_FUTURE_REVISION;
    if (revision < state->compacted)
        return STORE_COMPACTED;

    int result = 0;
    bool in_order = range->by == STORE_BY_KEY && range->order != STORE_DESCENDING && !is_filtered(range);
    if (slice_is_empty(range->end))
        range_one_key(state, range, revision, on_kv, ctx, ret_result);
    else if (range->part)
        range_part(state, range, revision, on_kv, ctx, ret_result);
    else if (in_order && revision == state->revision)
        range_newest(state, range, on_kv, ctx, ret_result);
    else if (in_order)
        range_older(state, range, revision, on_kv, ctx, ret_result);
    else
        result = range_collected(state, range, revision, on_kv, ctx, ret_result);

    if (revision < state->revision && revision < atomic_load_explicit(&state->mvcc->cut_below, memory_order_acquire))
        return STORE_COMPACTED;
    return result;
}

int mvcc_view_range(const struct store_view *view, const struct store_range *range, store_kv_fn on_kv, void *ctx,
                    struct store_range_result *ret_result)
{
    const struct store_root *root = view->root;
    struct state state = {root->mvcc, root->live, root->gone, root->revision, root->compacted};
    return range_state(&state, range, on_kv, ctx, ret_result);
}

int mvcc_range(const struct mvcc *mvcc, const struct store_range *range, store_kv_fn on_kv, void *ctx,
               struct store_range_result *ret_result)
{
    struct state state = {mvcc, mvcc->live.root, mvcc->gone.root, mvcc->revision, mvcc->compacted};
    if (mvcc->is_open)
        state.revision++; /* what the open revision has written is seen */
    return range_state(&state, range, on_kv, ctx, ret_result);
}

const struct store_commit *mvcc_view_commit(const struct store_view *view, int64_t revision)
{
    const struct store_root *root = view->root;
    if (revision < root->first_commit || revision > root->revision)
        return NULL;
    return history_get(root->directory, revision);
}

size_t mvcc_view_live_bytes(const struct store_view *view)
{
    return view->root->live_bytes;
}
