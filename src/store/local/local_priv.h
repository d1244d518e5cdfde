/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the embedded engine share: the engine, a batch, and what a batch is made of. */
#pragma once

#include "base/arena.h"
#include "store/local/local.h"
#include "store/local/record.h"

/*
 * One step of a batch, in the order in which things were done. It refers to what is in memory; the log thread turns it
 * into entries when it writes the batch. Its slices are the requests', which stay until they are answered.
 */
struct batch_step {
    struct batch_step *next;
    enum { STEP_COMMIT, STEP_GRANT, STEP_GONE, STEP_LEFT, STEP_COMPACT, STEP_NOTES, STEP_DOC } type;
    const struct store_commit *commit; /* COMMIT */
    struct lease *lease;               /* GRANT */
    int64_t lease_id, ttl_ms, left_ms; /* GRANT, GONE, LEFT */
    struct store_note why;             /* GONE: the lease */
    int64_t compact_revision;          /* COMPACT */
    const struct store_note *notes;    /* NOTES */
    unsigned n_notes;
    int64_t revision, wall_ms;  /* NOTES: for those that have none */
    const struct store_kv *doc; /* DOC */
};

struct local_batch {
    struct local *local;
    struct arena arena; /* of the steps */
    struct batch_step *first_step, **last_step;
    struct store_request *first_request, **last_request;
    struct store_root *root;      /* NULL: nothing changed, there are only answers to give */
    struct store_root *docs_root; /* NULL: no document changed */
    uint64_t end_bytes;           /* applied_bytes when it was sealed */
    bool wants_root;              /* something was thrown away: a new root lets go of it */
};

struct local {
    struct local_options options;
    struct rcu_domain *rcu;
    struct mvcc *mvcc;
    struct lease_table *leases;
    struct notes *notes;
    struct docs *docs;
    struct wal_files *files;
    struct wal *wal;
    uint64_t cluster_id, member_id;

    struct local_batch *batch; /* the keeper's: being made; NULL: nothing in it yet */
    struct lease **expired;    /* the keeper's: killed, but their keys are not deleted yet */
    unsigned n_expired;
    bool is_snapshotting;       /* history must stay while it is being written */
    uint64_t snapshot_at_bytes; /* logged when the last snapshot was begun */
    uint64_t covered_record;    /* records below this are in the newest snapshot */
    uint64_t forget_below;      /* segments of records below this are to be recycled; 0: none */

    /* Space on the disk: local_space.c. */
    uint64_t applied_bytes;              /* the keeper's: what all batches take in the log, about */
    uint64_t written_bytes;              /* the log thread's: of those, what is written */
    _Atomic uint64_t limit, help_limit;  /* applied_bytes may go so far; for what gives room */
    uint64_t reserve;                    /* of the disk, to be left free; set with the log at rest */
    bool is_short, can_help_itself;      /* the disk is nearly full; a snapshot fits, and would help */
    uint64_t history_cap;                /* while it is short, of history in memory */
    uint64_t dropped_below;              /* snapshots of records below this were given up */
    _Atomic uint64_t snapshot_unwritten; /* about, of the one that is being written into the folder */

    _Atomic int refusal; /* enum store_outcome */
    _Atomic uint64_t logged_bytes;
    _Atomic uint64_t snapshot_bytes; /* on the disk */
    struct buf record;               /* the log thread's: the batch being written, as entries */
};

/* Makes what is in memory only, all of it empty; on failure too, local_parts_free frees it. 0 or -ENOMEM. */
int local_parts_new(struct local *local, nsec_t now_ns);
void local_parts_free(struct local *local);

/* The batch being made; NULL when out of memory. */
struct local_batch *local_batch_open(struct local *local);
/* A zeroed step, not in the batch yet: what follows may still fail. NULL when out of memory. */
struct batch_step *local_step_new(struct local *local);
void local_step_add(struct local *local, struct batch_step *step);

/* Attaches what a commit wrote to its leases. */
void local_link_leases(struct local *local, const struct store_commit *commit);

/* local_space.c: whether a change is refused now; `gives_room`: one that helps when the disk is full. */
enum store_outcome local_refusal_of(const struct local *local, bool gives_room);
/* The log thread's: how changes are refused from now on; STORE_OK: they are not. */
void local_refuse(struct local *local, enum store_outcome outcome);
/* What a snapshot would take on the disk, about. */
uint64_t local_snapshot_estimate(const struct local *local);

/* What restart does with the entries of snapshot and log. */
struct replay {
    struct local *local;
    bool is_snapshot; /* a compaction tells the revision of the keys before it */
    bool in_commit;   /* puts and deletes belong to the commit begun */
    int64_t revision, wall_ms;
    int64_t newest_base; /* mod_revision: the revision of the snapshot's keys is not below it */
    uint64_t n_records;
};
int local_replay_entry(struct replay *replay, const struct record_entry *entry, struct err *err);
/* Closes a commit that the last entry may have left open. */
int local_replay_end(struct replay *replay, struct err *err);
