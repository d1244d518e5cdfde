/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of mvcc share: its struct, its roots, and what waits to be freed. */
#pragma once

#include "store/local/history.h"
#include "store/local/mvcc.h"
#include "store/local/tree.h"
#include "store/local/version.h"

/* Things that one root still refers to and the next one does not. */
struct mvcc_garbage {
    struct tree_node *live_nodes, *gone_nodes;
    struct version *versions;
    struct store_commit *commits;
    struct history_garbage history;
};

/* A sealed state. On mvcc->roots by age from its seal until it is freed. */
struct store_root {
    struct mvcc *mvcc;
    struct list link;
    struct tree_node *live, *gone;
    const struct history_directory *directory;
    int64_t revision, compacted, first_commit;
    size_t live_bytes;
    _Atomic uint32_t n_views; /* counted ones */
    struct rcu_node rcu;
    bool is_retired;             /* the keeper has seen that a newer one is published, and waits for the grace period */
    _Atomic bool is_quiet;       /* it has passed */
    struct mvcc_garbage garbage; /* to be freed with it: what its successor no longer has */
};

struct mvcc {
    struct rcu_domain *rcu;
    struct store_root *_Atomic published;
    _Atomic int64_t cut_below; /* compaction works below this: older reads cannot be trusted any more */

    /* the keeper's */
    struct tree live, gone;
    struct history history;
    int64_t revision;
    int64_t compacted;
    struct list roots;
    struct mvcc_garbage garbage; /* of the batch being made */
    struct mvcc_stats stats;

    /* the revision being made */
    bool is_open, is_undoable;
    const struct store_note *why;
    struct tree_mark live_mark, gone_mark;
    struct store_commit *pending; /* its events; kept as room between revisions that turned out empty */
    size_t pending_bytes;         /* of that allocation */
};

void mvcc_free_garbage(struct mvcc *mvcc, struct mvcc_garbage *garbage);
