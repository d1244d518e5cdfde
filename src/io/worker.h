/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: N threads, each with a loop, on which everything that serves clients lives.
 *
 * A freshly accepted connection may be handed to the less busy of two workers (its own and one drawn at random), and
 * stays there for life; `worker_pick` decides by the number of connections each says it has.
 *
 * The group is made, started, stopped and freed by one thread (the daemon's main thread).
 */
#pragma once

#include "base/err.h"
#include "base/rcu.h"
#include "io/loop.h"

struct worker;
struct worker_group;

/* Called on each worker's own thread, before its first and after its last turn. start: 0 or -errno. */
struct worker_hooks {
    int (*start)(void *ctx, struct worker *worker);
    void (*stop)(void *ctx, struct worker *worker);
    void *ctx;
};

int worker_group_new(unsigned n_workers, struct rcu_domain *rcu, struct worker_group **ret_group, struct err *err);
void worker_group_free(struct worker_group *group);

/* Starts all threads and returns when every start hook has returned; when one failed, all are stopped again. */
int worker_group_start(struct worker_group *group, const struct worker_hooks *hooks, struct err *err);

/* Asks every loop to stop, and joins the threads. */
void worker_group_stop(struct worker_group *group);

unsigned worker_group_size(const struct worker_group *group);
struct worker *worker_group_get(struct worker_group *group, unsigned index);

unsigned worker_index(const struct worker *worker);
struct loop *worker_loop(struct worker *worker);

/* The number of open connections, kept by their owner on this worker's thread, read by any. */
void worker_add_connections(struct worker *worker, int delta);
unsigned worker_n_connections(const struct worker *worker);

/* Where a connection just accepted on `self` should live: self, or a less busy other one. On self's thread. */
struct worker *worker_pick(struct worker *self);
