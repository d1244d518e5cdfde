/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the one thread that owns every write, and the log thread that makes its batches durable.
 *
 * Requests come in by mail from any loop. All that wait are applied as one batch; while the log thread writes batch N,
 * the keeper applies batch N+1. Batches are published and answered in order, each once it is durable. A batch of few
 * requests that finds the log thread at rest is written by the keeper itself: that saves a hop where latency counts and
 * there is nothing to overlap with.
 *
 * The keeper is also the clock of the store: it expires leases (by arrival: see loop_read_until), trims history, writes
 * checkpoints of long leases each minute, and has snapshots written.
 */
#pragma once

#include "base/log.h"
#include "store/local/local.h"

struct keeper;

struct keeper_options {
    const char *folder;      /* made when it is not there */
    struct wal_files *files; /* NULL: those of the folder; else open already, and the caller's */
    struct local_options local;
    struct log *log;
    struct rcu_domain *rcu;
};

/* Opens the folder and recovers what is there; says in the log what it found. 0 or -errno with words. */
int keeper_new(const struct keeper_options *options, struct keeper **ret_keeper, struct err *err);
/* Stopped, or never started. No loop that it was started with may have mail then: it may be the keeper's. */
void keeper_free(struct keeper *keeper);

/*
 * Starts its threads; from now on leases run. `loops` are those on which heartbeats arrive: no lease expires before
 * each of them has read what had come in by then. They must outlive keeper_stop, which does not need them turned.
 */
int keeper_start(struct keeper *keeper, struct loop *const *loops, unsigned n_loops, struct err *err);

/*
 * Ends in good order: what waits is answered, leases are checkpointed, all is on disk. Requests that come later are
 * answered with STORE_STOPPED, and so are those that come meanwhile: whoever may submit one then is a reader at work of
 * the options' rcu, as the turn of a loop is. The caller must not be such a reader.
 */
void keeper_stop(struct keeper *keeper);

/* What opening it has found. */
const struct local_recovery *keeper_recovery(const struct keeper *keeper);

/* What everybody reads and submits through; a keeper that was never started is good for reading. */
struct store *keeper_store(struct keeper *keeper);
struct local *keeper_local(struct keeper *keeper);
