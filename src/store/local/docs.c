/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each change is a revision of the documents' own memory, and everything before it is compacted away with it, so that
 * what is kept beyond the documents themselves is one change.
 */
#include "store/local/docs.h"

#include "base/assert.h"
#include "store/local/version.h"

#include <errno.h>
#include <stdlib.h>

struct docs {
    struct mvcc *mvcc;
    bool has_changed; /* since the last seal */
};

int docs_new(struct rcu_domain *rcu, struct docs **ret_docs)
{
    struct docs *docs = calloc(1, sizeof(*docs));
    if (!docs || mvcc_new(rcu, &docs->mvcc) < 0) {
        free(docs);
        return -ENOMEM;
    }
    *ret_docs = docs;
    return 0;
}

void docs_free(struct docs *docs)
{
    if (!docs)
        return;
    mvcc_free(docs->mvcc);
    free(docs);
}

/* ------------------------------------------------------------------------------------------------ changing */

const struct store_kv *docs_get(const struct docs *docs, struct slice name)
{
    return mvcc_get(docs->mvcc, name);
}

bool docs_has_room(const struct docs *docs, struct slice name, struct slice value)
{
    struct mvcc_stats stats;
    mvcc_stats(docs->mvcc, &stats);
    const struct store_kv *before = docs_get(docs, name);
    size_t others = stats.live_bytes - (before ? version_bytes(version_of(before)) : 0);
    return others + sizeof(struct version) + name.len + value.len <= STORE_DOCS_BYTES_MAX;
}

/* Closes the revision of the one change that was tried. */
static int finish_change(struct docs *docs, int result, const struct store_kv **ret_doc)
{
    if (result < 0) {
        mvcc_rollback(docs->mvcc);
        return result;
    }
    const struct store_commit *commit = mvcc_commit(docs->mvcc, 0);
    *ret_doc = commit->events[0].kv;
    mvcc_compact(docs->mvcc, commit->revision);
    mvcc_compact_step(docs->mvcc, SIZE_MAX); /* what is left for want of memory, the next change forgets */
    docs->has_changed = true;
    return 0;
}

int docs_put(struct docs *docs, struct slice name, struct slice value, const struct store_kv **ret_doc)
{
    const struct store_kv *prev;
    mvcc_begin(docs->mvcc, false, NULL);
    return finish_change(docs, mvcc_put(docs->mvcc, name, value, 0, &prev), ret_doc);
}

int docs_remove(struct docs *docs, struct slice name, const struct store_kv **ret_doc)
{
    const struct store_kv *prev;
    mvcc_begin(docs->mvcc, false, NULL);
    return finish_change(docs, mvcc_delete(docs->mvcc, name, &prev), ret_doc);
}

int docs_restore(struct docs *docs, const struct store_kv *doc)
{
    docs->has_changed = true;
    return mvcc_restore_kv(docs->mvcc, doc);
}

int docs_seal(struct docs *docs, struct store_root **ret_root)
{
    *ret_root = NULL;
    int result = docs->has_changed ? mvcc_seal(docs->mvcc, ret_root) : 0;
    docs->has_changed = docs->has_changed && result < 0;
    return result;
}

bool docs_reclaim(struct docs *docs)
{
    return mvcc_reclaim(docs->mvcc);
}

void docs_publish(struct docs *docs, struct store_root *root)
{
    mvcc_publish(docs->mvcc, root);
}

/* ------------------------------------------------------------------------------------------------ reading */

void docs_view(struct docs *docs, struct store_view *ret_view)
{
    mvcc_view(docs->mvcc, true, ret_view);
}

void docs_view_release(struct docs *docs, struct store_view *view)
{
    mvcc_release(docs->mvcc, view);
}

struct prefix_walk {
    struct slice prefix;
    store_kv_fn fn;
    void *ctx;
};

static bool give_with_prefix(void *ctx, const struct store_kv *doc)
{
    const struct prefix_walk *walk = ctx;
    return slice_starts_with(doc->key, walk->prefix) && walk->fn(walk->ctx, doc);
}

void docs_view_each(const struct store_view *view, struct slice prefix, store_kv_fn fn, void *ctx)
{
    struct prefix_walk walk = {prefix, fn, ctx};
    struct store_range range = {.key = prefix, .end = SLICE_LIT("\0")};
    struct store_range_result result;
    int outcome = mvcc_view_range(view, &range, give_with_prefix, &walk, &result);
    ASSERT(outcome == STORE_OK); /* the newest revision of a view, unsorted */
}

struct doc_walk {
    store_doc_fn fn;
    void *ctx;
};

static bool give_doc(void *ctx, const struct store_kv *doc)
{
    const struct doc_walk *walk = ctx;
    return walk->fn(walk->ctx, doc->key, doc->value, doc->version);
}

void docs_each(struct docs *docs, struct slice prefix, store_doc_fn fn, void *ctx)
{
    struct doc_walk walk = {fn, ctx};
    struct store_view view;
    docs_view(docs, &view);
    docs_view_each(&view, prefix, give_doc, &walk);
    docs_view_release(docs, &view);
}

uint64_t docs_bytes(const struct docs *docs)
{
    struct mvcc_stats stats;
    mvcc_stats(docs->mvcc, &stats);
    return stats.live_bytes;
}
