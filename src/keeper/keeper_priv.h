/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the keeper share. */
#pragma once

#include "keeper/keeper.h"

#include <pthread.h>

/* Brings a loop that sleeps up to now, so that leases that are due can be judged. */
struct nudge {
    struct keeper *keeper;
    struct loop *loop;
    struct mail mail;
    unsigned n_turns;   /* the loop's: turns still to be made */
    bool is_under_way;  /* the keeper's */
    struct mail answer; /* back to the keeper */
};

enum log_state {
    LOG_RESTS,   /* nothing is being written: the keeper may write, publish, and begin or end a snapshot */
    LOG_WRITES,  /* the log thread has a batch */
    LOG_RETRIES, /* a batch could not be written (no room, no memory); the timer tries again */
};

struct keeper {
    struct store store; /* first: what store.h's callers hold */
    struct local *local;
    struct wal_files *files;
    struct wal_files *own_files; /* NULL: they are the opener's */
    struct local_recovery recovery;
    struct log *log;
    struct rcu_domain *rcu;
    struct loop *loop;
    pthread_t thread, log_thread;
    bool has_threads;
    _Atomic bool is_stopped; /* requests are turned away */

    /* the keeper's thread */
    struct loop_task tick;
    struct store_request *first_waiting, **last_waiting; /* came in, not applied yet */
    enum log_state log_state;
    struct local_batch *failed; /* LOG_RETRIES */
    bool is_stopping;
    struct timer timer;  /* leases, retries, relaxed syncs */
    nsec_t sync_at_ns;   /* relaxed durability: when the log wants to be synced; NSEC_NEVER: it is */
    struct timer minute; /* checkpoint */
    bool wants_checkpoint;
    struct mail stop_mail;
    struct local_snapshot *snapshot; /* being written; NULL: none */
    pthread_t snapshot_thread;
    bool snapshot_done;
    struct store_request *waiting_backups; /* for the next one to be begun */
    struct store_request *served_backups;  /* by the one being written; NULL: it is the store's own snapshot */
    enum store_outcome told_refusal;       /* what the log of the process said last */
    unsigned n_early_snapshots;            /* since then, to make room on the disk */
    bool is_making_space, space_is_made;
    nsec_t space_retry_ns;
    pthread_t space_thread;
    struct nudge *nudges;
    unsigned n_nudges;

    /* between the keeper and the log thread */
    pthread_mutex_t log_lock;
    pthread_cond_t log_wanted;
    struct local_batch *to_write;
    bool log_ends;
    struct mail written_mail; /* the log thread's answer */
    int written_result;

    /* between the keeper and the snapshot's thread */
    struct mail snapshot_mail; /* its answer, and what belongs to it */
    int snapshot_result;
    struct err snapshot_err;
    int backup_fd; /* -1: none */
    uint64_t backup_bytes;
    _Atomic bool backup_is_canceled;

    /* between the keeper and the thread that makes space */
    struct mail spare_mail;
    struct wal_spare_job spare;

    /* subscribers, told by whoever publishes */
    pthread_mutex_t subscribers_lock;
    struct list subscribers;
};

extern const struct store_engine keeper_engine;

/* keeper_write.c */
void keeper_hand_over(struct keeper *keeper, struct local_batch *batch);
/* Writes, publishes and answers on the calling thread. 0, or -errno: the batch stays the caller's. */
int keeper_write_batch(struct keeper *keeper, struct local_batch *batch);
void *keeper_log_main(void *arg);

/* keeper_snapshot.c; the keeper's thread */
void keeper_add_backup(struct keeper *keeper, struct store_request *request);
bool keeper_wants_snapshot(const struct keeper *keeper);
void keeper_begin_snapshot(struct keeper *keeper); /* with the log at rest */
void keeper_end_snapshot(struct keeper *keeper);   /* the thread has answered */

/* keeper_space.c; as keeper_snapshot.c */
bool keeper_wants_space(const struct keeper *keeper);
void keeper_begin_space(struct keeper *keeper);
void keeper_end_space(struct keeper *keeper);

/* keeper.c */
int64_t keeper_wall_ms(struct keeper *keeper);
void keeper_receive(struct mail *mail);
void keeper_answer(struct store_request *request);
