/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read-copy-update: many threads read a structure without locks while one replaces parts of it, and what was replaced
 * is freed only when no reader can still hold it. The quiescent-state flavour: a reader pays nothing per read; it says
 * once per loop turn that it holds no pointer from before.
 *
 *     reader, each loop turn                       writer
 *     ----------------------------------          ----------------------------------
 *     rcu_quiescent(&reader);                      old = rcu_read(&table);
 *     t = rcu_read(&table);                        rcu_publish(&table, copy_and_change(old));
 *     ... use t until the next turn ...            rcu_retire(&domain, &old->rcu, table_free);
 *     rcu_offline(&reader); epoll_wait();          rcu_reclaim(&domain);   now and then
 *     rcu_online(&reader);
 *
 * A pointer got from rcu_read is good until the reader's next rcu_quiescent or rcu_offline. A reader that neither says
 * that it is quiescent nor goes offline holds up all freeing, so every wait of unknown length is spent offline.
 *
 * What a thread may rely on:
 *
 * A. rcu_read sees the object as it was complete before the rcu_publish that put it there, and newer publications of
 *    the same pointer never give way to older ones.
 * B. After rcu_quiescent or rcu_online a reader sees every publication that was made before a grace period which began
 *    before that call.
 * C. free_fn runs after every read that any reader made of the node while it could reach it, provided that the node
 *    had been made unreachable before rcu_retire.
 * D. When rcu_synchronize returns, every reader that was online when it was called has been quiescent or offline since.
 * E. Nodes are freed in batches; the order among them is not promised.
 *
 * Only atomics and one mutex are used, no fences, so ThreadSanitizer sees each of these orderings.
 */
#pragma once

#include "base/list.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded in each object that is retired. */
struct rcu_node {
    struct rcu_node *next;
    void (*free_fn)(struct rcu_node *node);
};

struct rcu_domain {
    _Atomic uint64_t epoch; /* number of grace periods begun, from 1 */
    pthread_mutex_t lock;   /* for all below; never taken by a reader at work, never held over a free_fn */
    struct list readers;
    struct rcu_node *fresh;   /* retired since the current grace period began */
    struct rcu_node *waiting; /* freed at the end of the current grace period */
    uint64_t waiting_epoch;   /* which ends when every reader has seen this */
};

/* One per reading thread, embedded in what belongs to that thread. */
struct rcu_reader {
    struct rcu_domain *domain;
    struct list link;      /* in domain->readers */
    _Atomic uint64_t seen; /* the epoch when last quiescent; 0: offline */
};

/* The publishing and the reading of a pointer declared `T *_Atomic`. */
#define rcu_publish(where, pointer) atomic_store_explicit(where, pointer, memory_order_release)
#define rcu_read(where)             atomic_load_explicit(where, memory_order_acquire)

void rcu_init(struct rcu_domain *domain);

/* Frees what is still retired. All readers must have been unregistered. */
void rcu_deinit(struct rcu_domain *domain);

/* Any thread. The reader starts offline; from then on it is used by one thread. */
void rcu_register(struct rcu_domain *domain, struct rcu_reader *reader);

/* The reader must be offline. */
void rcu_unregister(struct rcu_reader *reader);

/* Around blocking waits. Online costs one atomic increment on a line that all readers share. */
void rcu_online(struct rcu_reader *reader);
void rcu_offline(struct rcu_reader *reader);

/* "I hold nothing that I read before." The reader must be online. */
static inline void rcu_quiescent(struct rcu_reader *reader)
{
    uint64_t epoch = atomic_load_explicit(&reader->domain->epoch, memory_order_acquire);
    ASSERT(atomic_load_explicit(&reader->seen, memory_order_relaxed) != 0);
    atomic_store_explicit(&reader->seen, epoch, memory_order_release);
}

/*
 * Has free_fn(node) called, by whoever calls rcu_reclaim, once no reader can hold the node. Readers must not be able to
 * reach it any more. Any thread; takes the domain's lock for a moment.
 */
void rcu_retire(struct rcu_domain *domain, struct rcu_node *node, void (*free_fn)(struct rcu_node *node));

/*
 * Frees what has passed a grace period and begins the next one, without waiting. True while something is still retired,
 * that is when it has to be called again. Any thread; free_fn runs in this one and may itself retire nodes.
 */
bool rcu_reclaim(struct rcu_domain *domain);

/*
 * Waits until every reader has been quiescent or offline: for stopping and reloading, not for work. The caller must not
 * be an online reader. Looks again after yielding, at first at once and then every 100 us, so that readers need not
 * check for sleepers.
 */
void rcu_synchronize(struct rcu_domain *domain);
