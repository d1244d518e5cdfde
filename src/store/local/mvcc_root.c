/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Roots: how a batch becomes visible, who looks at it, and when what it has replaced is freed.
 *
 * Life of a root: sealed by the keeper -> published by the log thread (readers find it) -> followed by a newer one ->
 * retired by the keeper, which waits for a grace period, so that no brief view is left and no counted one can begin ->
 * its counted views are released -> freed, together with the garbage that only it and older roots refer to.
 *
 * Roots are freed strictly by age: what root N drops, root N-1 may still show.
 */
#include "base/assert.h"
#include "store/local/mvcc_priv.h"

#include <errno.h>
#include <stdlib.h>

/* More than one per batch, so that what a long view has kept goes in the end; few, so that no batch waits for that. */
#define ROOTS_PER_CALL 2

void mvcc_free_garbage(struct mvcc *mvcc, struct mvcc_garbage *garbage)
{
    tree_give_back(&mvcc->live, garbage->live_nodes);
    tree_give_back(&mvcc->gone, garbage->gone_nodes);
    version_free_chain(garbage->versions);
    while (garbage->commits) {
        struct store_commit *next = garbage->commits->garbage_next;
        free(garbage->commits);
        garbage->commits = next;
    }
    history_free_garbage(garbage->history);
    *garbage = (struct mvcc_garbage){0};
}

int mvcc_seal(struct mvcc *mvcc, struct store_root **ret_root)
{
    ASSERT(!mvcc->is_open);
    struct store_root *root = calloc(1, sizeof(*root));
    if (!root)
        return -ENOMEM;
    root->mvcc = mvcc;
    root->live = tree_seal(&mvcc->live);
    root->gone = tree_seal(&mvcc->gone);
    root->directory = mvcc->history.directory;
    root->revision = mvcc->revision;
    root->compacted = mvcc->compacted;
    root->first_commit = mvcc->history.first;
    root->live_bytes = mvcc->stats.live_bytes;

    /* What this batch replaced is the last thing that the root before it needs. */
    mvcc->garbage.live_nodes = tree_take_retired(&mvcc->live);
    mvcc->garbage.gone_nodes = tree_take_retired(&mvcc->gone);
    mvcc->garbage.history = history_take_garbage(&mvcc->history);
    if (!list_is_empty(&mvcc->roots)) {
        struct store_root *before = container_of(mvcc->roots.prev, struct store_root, link);
        before->garbage = mvcc->garbage;
        mvcc->garbage = (struct mvcc_garbage){0};
    }
    list_init(&root->link);
    list_push_back(&mvcc->roots, &root->link);
    *ret_root = root;
    return 0;
}

void mvcc_publish(struct mvcc *mvcc, struct store_root *root)
{
    rcu_publish(&mvcc->published, root);
}

static void root_becomes_quiet(struct rcu_node *node)
{
    struct store_root *root = container_of(node, struct store_root, rcu);
    atomic_store_explicit(&root->is_quiet, true, memory_order_release);
}

/* The oldest root, when nobody can look at it any more; else NULL. */
static struct store_root *oldest_unused(struct mvcc *mvcc, const struct store_root *published)
{
    struct store_root *root = container_of(mvcc->roots.next, struct store_root, link);
    bool is_in_use = root == published || !atomic_load_explicit(&root->is_quiet, memory_order_acquire) ||
                     atomic_load_explicit(&root->n_views, memory_order_acquire) > 0;
    return is_in_use ? NULL : root;
}

bool mvcc_reclaim(struct mvcc *mvcc)
{
    const struct store_root *published = rcu_read(&mvcc->published);
    list_for_each (link, &mvcc->roots) {
        struct store_root *root = container_of(link, struct store_root, link);
        if (root == published)
            break;
        if (!root->is_retired) {
            root->is_retired = true;
            rcu_retire(mvcc->rcu, &root->rcu, root_becomes_quiet);
        }
    }
    rcu_reclaim(mvcc->rcu);
    struct store_root *root = oldest_unused(mvcc, published);
    for (unsigned n = 0; root && n < ROOTS_PER_CALL; n++) {
        list_remove(&root->link);
        mvcc_free_garbage(mvcc, &root->garbage);
        free(root);
        root = oldest_unused(mvcc, published);
    }
    return root != NULL;
}

void mvcc_view(struct mvcc *mvcc, bool counted, struct store_view *ret_view)
{
    struct store_root *root = rcu_read(&mvcc->published);
    if (counted)
        atomic_fetch_add_explicit(&root->n_views, 1, memory_order_relaxed);
    *ret_view =
        (struct store_view){.root = root, .revision = root->revision, .compacted = root->compacted, .counted = counted};
}

void mvcc_release(struct mvcc *mvcc, struct store_view *view)
{
    if (view->counted) {
        struct store_root *root = (struct store_root *)(uintptr_t)view->root;
        ASSERT(root->mvcc == mvcc);
        uint32_t before = atomic_fetch_sub_explicit(&root->n_views, 1, memory_order_release);
        ASSERT(before > 0);
    }
    *view = (struct store_view){0};
}
