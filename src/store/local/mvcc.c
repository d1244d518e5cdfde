/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the memory: revisions, compaction, restore.
 *
 * Invariants:
 *  1. A key is in `live` (its newest version is not a tombstone) or in `gone` (it is), or in neither (nothing of it is
 *     kept any more).
 *  2. version->older leads down in mod_revision; version->newer is its inverse. Only compaction cuts a link.
 *  3. Every change reserves all memory it needs before it touches anything, so it happens wholly or not at all.
 *  4. A key is written at most once per revision.
 *  5. Nothing that a sealed root refers to is freed here: it becomes garbage of the batch (mvcc_root.c).
 *
 * Compaction to revision R walks the commits below R, oldest first. What each commit replaced, no readable revision
 * needs any more; nor its tombstones. The commit of R itself stays, so that a watch may begin at R.
 */
#include "base/assert.h"
#include "store/commit_why.h"
#include "store/local/mvcc_priv.h"

#include <errno.h>
#include <stdlib.h>

int mvcc_new(struct rcu_domain *rcu, struct mvcc **ret_mvcc)
{
    struct mvcc *mvcc = calloc(1, sizeof(*mvcc));
    if (!mvcc)
        return -ENOMEM;
    mvcc->rcu = rcu;
    mvcc->revision = 1;
    tree_init(&mvcc->live);
    tree_init(&mvcc->gone);
    list_init(&mvcc->roots);

    struct store_root *root;
    if (history_init(&mvcc->history, 2) < 0 || mvcc_seal(mvcc, &root) < 0) {
        mvcc_free(mvcc);
        return -ENOMEM;
    }
    mvcc_publish(mvcc, root);
    *ret_mvcc = mvcc;
    return 0;
}

/* All versions of a key, from the newest down. */
static void free_versions(struct version *version)
{
    while (version) {
        struct version *older = atomic_load_explicit(&version->older, memory_order_relaxed);
        free(version);
        version = older;
    }
}

static void free_tree_versions(const struct tree_node *root)
{
    struct tree_iter iter;
    tree_seek(&iter, root, (struct slice){0});
    for (const struct store_kv *kv; (kv = tree_next(&iter)) != NULL;)
        free_versions(version_of(kv));
}

void mvcc_free(struct mvcc *mvcc)
{
    if (!mvcc)
        return;
    rcu_synchronize(mvcc->rcu);
    while (rcu_reclaim(mvcc->rcu))
        ;
    list_for_each (link, &mvcc->roots) {
        struct store_root *root = container_of(link, struct store_root, link);
        ASSERT(atomic_load(&root->n_views) == 0);
        mvcc_free_garbage(mvcc, &root->garbage);
        free(root);
    }
    mvcc_free_garbage(mvcc, &mvcc->garbage);
    free_tree_versions(mvcc->live.root);
    free_tree_versions(mvcc->gone.root);
    tree_deinit(&mvcc->live);
    tree_deinit(&mvcc->gone);
    history_deinit(&mvcc->history);
    free(mvcc->pending);
    free(mvcc);
}

int64_t mvcc_revision(const struct mvcc *mvcc)
{
    return mvcc->revision;
}

int64_t mvcc_compacted(const struct mvcc *mvcc)
{
    return mvcc->compacted;
}

int64_t mvcc_oldest(const struct mvcc *mvcc)
{
    return mvcc->history.first;
}

void mvcc_stats(const struct mvcc *mvcc, struct mvcc_stats *ret_stats)
{
    *ret_stats = mvcc->stats;
    ret_stats->n_keys = tree_size(mvcc->live.root);
    ret_stats->oldest_wall_ms = 0;
    if (mvcc->history.first <= mvcc->history.last)
        ret_stats->oldest_wall_ms = history_get(mvcc->history.directory, mvcc->history.first)->wall_ms;
}

/* ------------------------------------------------------------------------------------------------ a revision */

void mvcc_begin(struct mvcc *mvcc, bool undoable, const struct store_note *why)
{
    ASSERT(!mvcc->is_open);
    mvcc->is_open = true;
    mvcc->is_undoable = undoable;
    mvcc->why = why;
    if (undoable) {
        mvcc->live_mark = tree_mark(&mvcc->live);
        mvcc->gone_mark = tree_mark(&mvcc->gone);
    }
}

/* Room for one more event in the commit being made, and for its why. */
static int reserve_event(struct mvcc *mvcc)
{
    size_t n_events = mvcc->pending ? mvcc->pending->n_events : 0;
    size_t fixed = sizeof(struct store_commit) + commit_why_bytes(mvcc->why);
    if (mvcc->pending && fixed + (n_events + 1) * sizeof(struct store_event) <= mvcc->pending_bytes)
        return 0;
    size_t n_bytes = fixed + (n_events ? 2 * n_events : 1) * sizeof(struct store_event);
    struct store_commit *grown = realloc(mvcc->pending, n_bytes);
    if (!grown)
        return -ENOMEM;
    if (!mvcc->pending)
        grown->n_events = 0;
    mvcc->pending = grown;
    mvcc->pending_bytes = n_bytes;
    return 0;
}

/* All that a change of one key may need. */
static int reserve_change(struct mvcc *mvcc)
{
    if (reserve_event(mvcc) < 0 || history_reserve(&mvcc->history) < 0 || tree_reserve(&mvcc->live, 1) < 0 ||
        tree_reserve(&mvcc->gone, 1) < 0)
        return -ENOMEM;
    return 0;
}

static void add_event(struct mvcc *mvcc, struct version *version, const struct store_kv *prev)
{
    struct store_event *event = &mvcc->pending->events[mvcc->pending->n_events++];
    event->kv = &version->kv;
    event->prev = prev;
}

static void count_version(struct mvcc *mvcc, const struct version *version, int sign)
{
    mvcc->stats.n_versions += (size_t)sign;
    mvcc->stats.bytes += (size_t)sign * version_bytes(version);
}

int mvcc_put(struct mvcc *mvcc, struct slice key, struct slice value, int64_t lease, const struct store_kv **ret_prev)
{
    ASSERT(mvcc->is_open);
    int64_t revision = mvcc->revision + 1;
    if (reserve_change(mvcc) < 0)
        return -ENOMEM;
    struct version *version =
        version_new(&(struct store_kv){.key = key, .value = value, .lease = lease, .mod_revision = revision});
    if (!version)
        return -ENOMEM;

    /* One way down the tree both finds what was there and replaces it: most of a put's time is the memory's. */
    const struct store_kv *prev = tree_put(&mvcc->live, &version->kv);
    if (prev && prev->mod_revision == revision) {
        tree_put(&mvcc->live, prev);
        free(version);
        return -EEXIST;
    }
    version->kv.create_revision = prev ? prev->create_revision : revision;
    version->kv.version = prev ? prev->version + 1 : 1;
    const struct store_kv *below = prev ? prev : tree_remove(&mvcc->gone, key);
    version_link(version, below ? version_of(below) : NULL);
    add_event(mvcc, version, prev);
    count_version(mvcc, version, 1);
    mvcc->stats.live_bytes += version_bytes(version) - (prev ? version_bytes(version_of(prev)) : 0);
    *ret_prev = prev;
    return 0;
}

int mvcc_delete(struct mvcc *mvcc, struct slice key, const struct store_kv **ret_prev)
{
    ASSERT(mvcc->is_open);
    const struct store_kv *prev = tree_find(mvcc->live.root, key);
    if (!prev)
        return -ENOENT;
    ASSERT(prev->mod_revision <= mvcc->revision);

    if (reserve_change(mvcc) < 0)
        return -ENOMEM;
    struct version *tombstone = version_new(&(struct store_kv){.key = key, .mod_revision = mvcc->revision + 1});
    if (!tombstone)
        return -ENOMEM;

    version_link(tombstone, version_of(prev));
    tree_remove(&mvcc->live, key);
    tree_put(&mvcc->gone, &tombstone->kv);
    add_event(mvcc, tombstone, prev);
    count_version(mvcc, tombstone, 1);
    mvcc->stats.live_bytes -= version_bytes(version_of(prev));
    *ret_prev = prev;
    return 0;
}

void mvcc_rollback(struct mvcc *mvcc)
{
    ASSERT(mvcc->is_open);
    unsigned n_events = mvcc->pending ? mvcc->pending->n_events : 0;
    ASSERT(mvcc->is_undoable || n_events == 0);
    if (mvcc->is_undoable) {
        tree_rollback(&mvcc->live, mvcc->live_mark);
        tree_rollback(&mvcc->gone, mvcc->gone_mark);
    }
    for (unsigned i = 0; i < n_events; i++) {
        struct version *version = version_of(mvcc->pending->events[i].kv);
        const struct store_kv *prev = mvcc->pending->events[i].prev;
        struct version *older = atomic_load_explicit(&version->older, memory_order_relaxed);
        if (older)
            older->newer = NULL;
        count_version(mvcc, version, -1);
        mvcc->stats.live_bytes += prev ? version_bytes(version_of(prev)) : 0;
        mvcc->stats.live_bytes -= version_is_tombstone(version) ? 0 : version_bytes(version);
        free(version);
    }
    if (mvcc->pending)
        mvcc->pending->n_events = 0;
    mvcc->is_open = false;
}

const struct store_commit *mvcc_commit(struct mvcc *mvcc, int64_t wall_ms)
{
    ASSERT(mvcc->is_open);
    mvcc->is_open = false;
    if (!mvcc->pending || mvcc->pending->n_events == 0)
        return NULL;

    struct store_commit *commit = TAKE(mvcc->pending);
    commit->revision = ++mvcc->revision;
    commit->wall_ms = wall_ms;
    commit->garbage_next = NULL;
    commit_why_set(commit, mvcc->why);
    history_append(&mvcc->history, commit);
    return commit;
}

const struct store_kv *mvcc_get(const struct mvcc *mvcc, struct slice key)
{
    return tree_find(mvcc->live.root, key);
}

/* ------------------------------------------------------------------------------------------------ restart */

int mvcc_restore_kv(struct mvcc *mvcc, const struct store_kv *kv)
{
    ASSERT(!mvcc->is_open && mvcc->history.first > mvcc->history.last);
    struct version *version = version_new(kv);
    if (!version || tree_reserve(&mvcc->live, 1) < 0) {
        free(version);
        return -ENOMEM;
    }
    const struct store_kv *twice = tree_put(&mvcc->live, &version->kv);
    count_version(mvcc, version, 1);
    mvcc->stats.live_bytes += version_bytes(version);
    if (twice) { /* a damaged snapshot: the caller refuses it, nothing may leak */
        free(version_of(twice));
        return -EEXIST;
    }
    return 0;
}

int mvcc_restore_revision(struct mvcc *mvcc, int64_t revision)
{
    ASSERT(!mvcc->is_open && mvcc->history.first > mvcc->history.last);
    struct history history;
    if (history_init(&history, revision + 1) < 0)
        return -ENOMEM;
    mvcc->history.directory->garbage_next = mvcc->history.garbage_directories;
    history.garbage_directories = mvcc->history.directory; /* the first root refers to it */
    mvcc->history = history;
    mvcc->revision = mvcc->compacted = revision;
    atomic_store_explicit(&mvcc->cut_below, revision, memory_order_release);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ compaction */

void mvcc_compact(struct mvcc *mvcc, int64_t revision)
{
    ASSERT(revision > mvcc->compacted && revision <= mvcc->revision);
    mvcc->compacted = revision;
}

static void discard_version(struct mvcc *mvcc, struct version *version)
{
    count_version(mvcc, version, -1);
    version->garbage_next = mvcc->garbage.versions;
    mvcc->garbage.versions = version;
}

/* Readers that come from above find nothing below `version` any more. */
static void cut_below(struct version *version)
{
    atomic_store_explicit(&version->older, NULL, memory_order_release);
}

/* No readable revision shows what this event replaced, nor that its key was deleted by it. */
static void forget_event(struct mvcc *mvcc, const struct store_event *event)
{
    struct version *version = version_of(event->kv);
    if (event->prev) {
        cut_below(version);
        discard_version(mvcc, version_of(event->prev));
    }
    if (!version_is_tombstone(version))
        return;
    if (version->newer)
        cut_below(version->newer);
    else
        tree_remove(&mvcc->gone, version->kv.key);
    discard_version(mvcc, version);
}

bool mvcc_compact_step(struct mvcc *mvcc, size_t budget)
{
    atomic_store_explicit(&mvcc->cut_below, mvcc->compacted, memory_order_release);
    while (mvcc->history.first < mvcc->compacted && mvcc->history.first <= mvcc->history.last) {
        const struct store_commit *oldest = history_get(mvcc->history.directory, mvcc->history.first);
        if (budget == 0 || tree_reserve(&mvcc->gone, oldest->n_events) < 0)
            return true; /* later, when there is time and memory */
        budget -= min_size(budget, oldest->n_events);

        struct store_commit *commit = history_drop_first(&mvcc->history);
        for (unsigned i = 0; i < commit->n_events; i++)
            forget_event(mvcc, &commit->events[i]);
        commit->garbage_next = mvcc->garbage.commits;
        mvcc->garbage.commits = commit;
    }
    return false;
}
