/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: N threads, each with a loop, on which everything that serves clients lives.
 *
 * A freshly accepted connection may be handed to the less busy of two workers (its own and one drawn at random), and
 * stays there for life: worker_dispatch decides by the number of connections each has.
 *
 * The group is made, started, stopped and freed by one thread (the daemon's main thread). Workers take no signals.
 */
#pragma once

#include "base/err.h"
#include "base/metrics.h"
#include "base/rcu.h"
#include "io/addr.h"
#include "io/loop.h"

struct worker;
struct worker_group;

/*
 * Called on each worker's own thread as a task of its loop. start: 0 or -errno. stop closes all that lives on the loop;
 * it is called when every loop has stopped and the mail that workers sent each other is delivered, so a connection that
 * was being handed over is there to be closed. What it posts to its own loop (by cancelling) is still delivered; to
 * others it must not post. A worker whose start failed is not stopped.
 */
struct worker_hooks {
    int (*start)(void *ctx, struct worker *worker);
    void (*stop)(void *ctx, struct worker *worker);
    void *ctx;
};

/* With a loop each. 0, or -errno with the reason in err. */
int worker_group_new(unsigned n_workers, struct rcu_domain *rcu, struct worker_group **ret_group, struct err *err);
/* The group must not be running; delivers the mail that still waits for it. Accepts NULL. */
void worker_group_free(struct worker_group *group);

/*
 * Starts all threads and returns when every start hook has returned; when one failed, all are stopped again and its
 * -errno is returned.
 */
int worker_group_start(struct worker_group *group, const struct worker_hooks *hooks, struct err *err);

/* Asks every loop to stop, and joins the threads. Harmless when the group is not running. */
void worker_group_stop(struct worker_group *group);

/* What each keeps for slow peers (io/backlog.h). The group must outlive the metrics. 0 or what registering gave. */
int worker_group_register_metrics(struct worker_group *group, struct metrics *metrics);

unsigned worker_group_size(const struct worker_group *group);
struct worker *worker_group_get(struct worker_group *group, unsigned index);

unsigned worker_index(const struct worker *worker);
struct loop *worker_loop(struct worker *worker);

/* The number of open connections. A dispatched one is counted already; who closes it takes it off. Any thread. */
void worker_add_connections(struct worker *worker, int delta);
unsigned worker_n_connections(const struct worker *worker);

/* Called on `worker`'s thread; owns the descriptor. */
typedef void (*worker_serve_fn)(void *ctx, struct worker *worker, int fd, const struct peer *peer);

/*
 * For a connection just accepted on `self`, on its thread: counts it and has it served by `self` at once, or by a less
 * busy worker soon.
 */
void worker_dispatch(struct worker *self, int fd, const struct peer *peer, worker_serve_fn serve, void *ctx);
