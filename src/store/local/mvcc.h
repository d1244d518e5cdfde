/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of the embedded engine: every key with its versions, readable at any revision that is not compacted, by
 * readers that never lock.
 *
 * Two path-copied B+trees share the version objects: `live` has the keys that exist now, `gone` those that do not but
 * still have history. A version links to the one before it. A range at the newest revision walks `live` only, so that
 * churn (instances that come and go under new names) does not slow the reads that matter; an older revision walks both
 * and follows the links.
 *
 * The keeper changes the working trees and closes each revision into a commit; it seals a batch of them into a root,
 * hands that to the log, and once the batch is durable the root is published: from then on readers see it. Nodes made
 * since the last seal are changed in place, older ones are copied.
 *
 * What a published root no longer needs is freed when no counted view of an older root is left and a grace period has
 * passed. Versions below the compacted revision go the same way.
 */
#pragma once

#include "base/rcu.h"
#include "store/store.h"

struct mvcc;

int mvcc_new(struct rcu_domain *rcu, struct mvcc **ret_mvcc);
void mvcc_free(struct mvcc *mvcc);

/* -------- keeper's thread: one revision at a time */

int64_t mvcc_revision(const struct mvcc *mvcc); /* of the working state; 1 in an empty store */
int64_t mvcc_compacted(const struct mvcc *mvcc);
int64_t mvcc_oldest(const struct mvcc *mvcc); /* the first revision whose commit is kept */

/*
 * Opens revision mvcc_revision + 1. What is written is seen by mvcc_get and mvcc_range at once. A write that fails
 * (-ENOMEM) changes nothing; after several writes mvcc_rollback, which cannot fail, restores the state at begin, but
 * only when `undoable` was asked for, since it costs copies that a lone write has no use for. `why` becomes the
 * commit's (store_commit_why) and stays until then; NULL: nobody knows.
 */
void mvcc_begin(struct mvcc *mvcc, bool undoable, const struct store_note *why);
/* 0; -EEXIST when this revision has put the key already. */
int mvcc_put(struct mvcc *mvcc, struct slice key, struct slice value, int64_t lease,
             const struct store_kv **ret_prev /* NULL when new */);
/* 0, or -ENOENT when there is no such key. */
int mvcc_delete(struct mvcc *mvcc, struct slice key, const struct store_kv **ret_prev);
void mvcc_rollback(struct mvcc *mvcc);
/* Closes it. NULL when nothing was written: then the revision is not used up. Cannot fail. */
const struct store_commit *mvcc_commit(struct mvcc *mvcc, int64_t wall_ms);

const struct store_kv *mvcc_get(const struct mvcc *mvcc, struct slice key); /* working state */

/*
 * For restart, on an empty memory: first the state at the compacted revision, key by key, then that revision itself;
 * what came after it is then begun, put, deleted and committed like any other.
 */
int mvcc_restore_kv(struct mvcc *mvcc, const struct store_kv *kv);
int mvcc_restore_revision(struct mvcc *mvcc, int64_t revision);

/*
 * Forgets what only revisions below `revision` need. mvcc_compact sets the aim (above the compacted revision, not above
 * the current one); the work is done by mvcc_compact_step, at most `budget` events per call; true while there is more.
 */
void mvcc_compact(struct mvcc *mvcc, int64_t revision);
bool mvcc_compact_step(struct mvcc *mvcc, size_t budget);

struct mvcc_stats {
    size_t n_keys;
    size_t n_versions;      /* of live keys, and of history */
    size_t bytes;           /* of all versions */
    size_t live_bytes;      /* of those that are current */
    int64_t oldest_wall_ms; /* of the oldest commit kept; 0 when there is none */
};
void mvcc_stats(const struct mvcc *mvcc, struct mvcc_stats *ret_stats);

/* Closes the batch: a root for what was committed so far. 0 or -ENOMEM. */
int mvcc_seal(struct mvcc *mvcc, struct store_root **ret_root);
/* Frees some of what may be freed; true when there is more. To be called once per batch at least. */
bool mvcc_reclaim(struct mvcc *mvcc);

/* -------- the one thread that publishes, in the order of the seals */

void mvcc_publish(struct mvcc *mvcc, struct store_root *root);

/* -------- any thread */

void mvcc_view(struct mvcc *mvcc, bool counted, struct store_view *ret_view);
void mvcc_release(struct mvcc *mvcc, struct store_view *view);
int mvcc_view_range(const struct store_view *view, const struct store_range *range, store_kv_fn on_kv, void *ctx,
                    struct store_range_result *ret_result);
/* The working state, for ranges inside transactions (keeper's thread). */
int mvcc_range(const struct mvcc *mvcc, const struct store_range *range, store_kv_fn on_kv, void *ctx,
               struct store_range_result *ret_result);
/* Bytes of the versions that are current in it. */
size_t mvcc_view_live_bytes(const struct store_view *view);
/* The commit that made `revision`; NULL when it is compacted (below view->compacted) or above the view. */
const struct store_commit *mvcc_view_commit(const struct store_view *view, int64_t revision);
