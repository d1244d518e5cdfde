/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grace periods by counting: a writer makes an object unreachable, then increments the epoch to e; once every reader
 * has stored a `seen` of at least e, or is offline, none can hold it.
 *
 * Why this is enough (letters as in the header):
 *
 * 1. A reader that stores seen >= e has loaded an epoch >= e with acquire, from the writer's release increment or a
 *    later one. So what it reads afterwards comes after the writer's unlinking (B), and what it read before comes, by
 *    its release store and the acquire load in `passed`, before the freeing (C).
 * 2. Coming online is a store that must be seen by a writer who would otherwise take the reader for offline. Both sides
 *    do a read-modify-write of the epoch, the reader between its store and its first read, the writer between its
 *    unlinking and its look at the readers. These two are ordered. If the reader's is first, the writer acquires from
 *    it and sees the store. If the writer's is first, the reader acquires from it and sees the unlinking.
 *
 * Retired nodes wait in two batches. Fresh ones become the waiting batch, and get an epoch, only when the one before
 * has been freed: many nodes share one grace period and one look at the readers.
 */
#include "base/rcu.h"

#include "base/util.h"

#include <sched.h>
#include <time.h>

void rcu_init(struct rcu_domain *domain)
{
    *domain = (struct rcu_domain){.lock = PTHREAD_MUTEX_INITIALIZER};
    atomic_init(&domain->epoch, 1);
    list_init(&domain->readers);
}

void rcu_deinit(struct rcu_domain *domain)
{
    ASSERT(list_is_empty(&domain->readers));
    while (rcu_reclaim(domain))
        continue;
    pthread_mutex_destroy(&domain->lock);
}

void rcu_register(struct rcu_domain *domain, struct rcu_reader *reader)
{
    reader->domain = domain;
    list_init(&reader->link);
    atomic_init(&reader->seen, 0);

    pthread_mutex_lock(&domain->lock);
    list_push_back(&domain->readers, &reader->link);
    pthread_mutex_unlock(&domain->lock);
}

void rcu_unregister(struct rcu_reader *reader)
{
    ASSERT(atomic_load_explicit(&reader->seen, memory_order_relaxed) == 0);
    pthread_mutex_lock(&reader->domain->lock);
    ASSERT(list_is_linked(&reader->link));
    list_remove(&reader->link);
    pthread_mutex_unlock(&reader->domain->lock);
}

void rcu_online(struct rcu_reader *reader)
{
    ASSERT(atomic_load_explicit(&reader->seen, memory_order_relaxed) == 0);
    uint64_t epoch = atomic_load_explicit(&reader->domain->epoch, memory_order_relaxed);
    atomic_store_explicit(&reader->seen, epoch, memory_order_release);
    /* Adds nothing, but orders (2). */
    (void)atomic_fetch_add_explicit(&reader->domain->epoch, 0, memory_order_acq_rel);
}

void rcu_offline(struct rcu_reader *reader)
{
    ASSERT(atomic_load_explicit(&reader->seen, memory_order_relaxed) != 0);
    atomic_store_explicit(&reader->seen, 0, memory_order_release);
}

/* Begins a grace period; gives the epoch that all readers must have seen at its end. */
static uint64_t begin(struct rcu_domain *domain)
{
    return atomic_fetch_add_explicit(&domain->epoch, 1, memory_order_acq_rel) + 1;
}

/* Whether the grace period has ended. Called with the lock held. */
static bool passed(struct rcu_domain *domain, uint64_t epoch)
{
    list_for_each (node, &domain->readers) {
        struct rcu_reader *reader = container_of(node, struct rcu_reader, link);
        uint64_t seen = atomic_load_explicit(&reader->seen, memory_order_acquire);
        if (seen != 0 && seen < epoch)
            return false;
    }
    return true;
}

void rcu_retire(struct rcu_domain *domain, struct rcu_node *node, void (*free_fn)(struct rcu_node *node))
{
    ASSERT(free_fn);
    pthread_mutex_lock(&domain->lock);
    *node = (struct rcu_node){.next = domain->fresh, .free_fn = free_fn};
    domain->fresh = node;
    pthread_mutex_unlock(&domain->lock);
}

/* Takes the waiting batch if its grace period has ended. Called with the lock held. */
static struct rcu_node *take_passed(struct rcu_domain *domain)
{
    if (!domain->waiting && domain->fresh) {
        domain->waiting = TAKE(domain->fresh);
        domain->waiting_epoch = begin(domain);
    }
    return domain->waiting && passed(domain, domain->waiting_epoch) ? TAKE(domain->waiting) : NULL;
}

bool rcu_reclaim(struct rcu_domain *domain)
{
    pthread_mutex_lock(&domain->lock);
    struct rcu_node *batch = take_passed(domain);
    pthread_mutex_unlock(&domain->lock);

    while (batch) {
        struct rcu_node *node = batch;
        batch = node->next; /* before free_fn ends the node */
        node->free_fn(node);
    }

    pthread_mutex_lock(&domain->lock);
    bool more = domain->waiting || domain->fresh;
    pthread_mutex_unlock(&domain->lock);
    return more;
}

static bool passed_locked(struct rcu_domain *domain, uint64_t epoch)
{
    pthread_mutex_lock(&domain->lock);
    bool result = passed(domain, epoch);
    pthread_mutex_unlock(&domain->lock);
    return result;
}

void rcu_synchronize(struct rcu_domain *domain)
{
    enum { QUICK_LOOKS = 100 };
    uint64_t epoch = begin(domain);
    for (int looks = 0; !passed_locked(domain, epoch); looks++) {
        if (looks < QUICK_LOOKS)
            sched_yield();
        else
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}
