/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leases: the atomic word and the wheel.
 *
 * The word of a lease is its deadline in nanoseconds with the two lowest bits given to its state, so a deadline is
 * exact to 4 ns:  HIDDEN (granted, not durable yet) -> alive, at some deadline, again and again -> DEAD, for good.
 * Workers move the deadline up, the keeper sets DEAD, both by compare-and-swap on the one word. While it is HIDDEN the
 * time that it begins with stands in place of a deadline.
 *
 * A lease's timer is armed for the deadline that the keeper saw last. When it fires the keeper looks at the word: moved
 * on, and the timer is armed anew; else the lease joins `due`, where it stays until read_until_ns has passed its
 * deadline (then it is killed) or a late heartbeat that had arrived in time moves it out again. It is there by the link
 * of its timer, which is not armed then: there is a lease for each of many instances.
 */
#include "store/local/lease.h"

#include "base/assert.h"
#include "base/random.h"
#include "store/local/lease_index.h"

#include <errno.h>
#include <stdlib.h>

#define WORD_DEAD   ((uint64_t)1)
#define WORD_HIDDEN ((uint64_t)2)
#define WORD_STATE  (WORD_DEAD | WORD_HIDDEN)

struct lease {
    _Atomic uint64_t word;
    int64_t id;
    int64_t ttl_ms;
    struct lease_table *table;
    struct timer timer;
    union {
        struct list keys;    /* of versions, by lease_link; while it is in the table */
        struct rcu_node rcu; /* after that */
    };
    bool is_due; /* timer.link is in table->due */
};

struct lease_table {
    struct rcu_domain *rcu;
    struct lease_index index;
    struct wheel wheel;
    nsec_t now_ns; /* of the running lease_expire */
    struct list due;
    struct random random;
};

static nsec_t word_deadline(uint64_t word)
{
    return (nsec_t)(word & ~WORD_STATE);
}

static uint64_t word_alive(nsec_t deadline_ns)
{
    return (uint64_t)deadline_ns & ~WORD_STATE;
}

static uint64_t word_hidden(int64_t left_ms)
{
    return word_alive(left_ms * NSEC_PER_MSEC) | WORD_HIDDEN;
}

static nsec_t ttl_ns(const struct lease *lease)
{
    return lease->ttl_ms * NSEC_PER_MSEC;
}

/* ------------------------------------------------------------------------------------------------ table */

int lease_table_new(struct rcu_domain *rcu, nsec_t now_ns, struct lease_table **ret_table)
{
    struct lease_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    table->rcu = rcu;
    wheel_init(&table->wheel, now_ns);
    list_init(&table->due);
    int result = random_init_system(&table->random);
    if (result == 0)
        result = lease_index_init(&table->index, rcu);
    if (result < 0) {
        free(table);
        return result;
    }
    *ret_table = table;
    return 0;
}

void lease_table_free(struct lease_table *table)
{
    if (!table)
        return;
    size_t position = 0;
    for (struct lease *lease; (lease = lease_index_next(&table->index, &position)) != NULL;)
        free(lease);
    lease_index_deinit(&table->index);
    free(table);
}

size_t lease_table_size(const struct lease_table *table)
{
    return lease_index_size(&table->index);
}

void lease_each(struct lease_table *table, void (*fn)(void *ctx, struct lease *lease), void *ctx)
{
    size_t position = 0;
    for (struct lease *lease; (lease = lease_index_next(&table->index, &position)) != NULL;)
        fn(ctx, lease);
}

/* ------------------------------------------------------------------------------------------------ heartbeats */

int64_t lease_touch(struct lease_table *table, int64_t id, nsec_t now_ns)
{
    struct lease *lease = lease_index_find(&table->index, id);
    if (!lease)
        return 0;

    uint64_t renewed = word_alive(now_ns + ttl_ns(lease));
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_acquire);
    do {
        if (word & WORD_STATE)
            return 0;
        if (word >= renewed) /* another worker was ahead */
            return lease->ttl_ms;
    } while (!atomic_compare_exchange_weak_explicit(&lease->word, &word, renewed, memory_order_acq_rel,
                                                    memory_order_acquire));
    return lease->ttl_ms;
}

/* ------------------------------------------------------------------------------------------------ expiry */

static void due_join(struct lease *lease)
{
    list_push_back(&lease->table->due, &lease->timer.link);
    lease->is_due = true;
}

/* Harmless on one that is not there. */
static void due_leave(struct lease *lease)
{
    if (lease->is_due)
        list_remove(&lease->timer.link);
    lease->is_due = false;
}

/*
 * The wheel has come to a lease's deadline as it was last seen. A hidden lease has no deadline yet: its grant is being
 * written; it is looked at again after a full TTL.
 */
static void timer_fired(struct timer *timer)
{
    struct lease *lease = container_of(timer, struct lease, timer);
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_acquire);
    if (word & WORD_DEAD)
        return;
    struct lease_table *table = lease->table;
    if (word & WORD_HIDDEN)
        wheel_arm(&table->wheel, timer, table->now_ns + ttl_ns(lease));
    else if (word_deadline(word) > table->now_ns)
        wheel_arm(&table->wheel, timer, word_deadline(word));
    else
        due_join(lease);
}

/* Kills a lease whose deadline lies before read_until_ns; false when a heartbeat moved it on. */
static bool kill_if_due(struct lease *lease, nsec_t read_until_ns)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_acquire);
    do {
        if (word_deadline(word) >= read_until_ns)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&lease->word, &word, word | WORD_DEAD, memory_order_acq_rel,
                                                    memory_order_acquire));
    return true;
}

unsigned lease_expire(struct lease_table *table, nsec_t now_ns, nsec_t read_until_ns, struct lease **ret_dead,
                      unsigned max)
{
    table->now_ns = now_ns;
    wheel_advance(&table->wheel, now_ns, (size_t)max * 4);
    unsigned n_dead = 0;
    list_for_each (link, &table->due) {
        if (n_dead == max)
            break;
        struct lease *lease = container_of(link, struct lease, timer.link);
        uint64_t word = atomic_load_explicit(&lease->word, memory_order_acquire);
        if (word & WORD_DEAD) { /* revoked meanwhile */
            due_leave(lease);
        } else if (kill_if_due(lease, read_until_ns)) {
            due_leave(lease);
            ret_dead[n_dead++] = lease;
        } else if (word_deadline(word) > now_ns) {
            due_leave(lease);
            wheel_arm(&table->wheel, &lease->timer, word_deadline(word));
        }
    }
    return n_dead;
}

nsec_t lease_next(const struct lease_table *table)
{
    return list_is_empty(&table->due) ? wheel_next(&table->wheel) : 0;
}

/* ------------------------------------------------------------------------------------------------ life */

/*
 * Positive, and its low 32 bits are the TTL in seconds where that fits: a DNS bridge in the field takes them for one.
 */
static int64_t pick_id(struct lease_table *table, int64_t ttl_ms)
{
    int64_t ttl_s = (ttl_ms + 999) / 1000;
    for (;;) {
        uint64_t random = random_u64(&table->random) >> 1;
        int64_t id =
            ttl_s <= UINT32_MAX ? (int64_t)((random & ~(uint64_t)UINT32_MAX) | (uint64_t)ttl_s) : (int64_t)random;
        if (id > UINT32_MAX && !lease_index_find(&table->index, id))
            return id;
    }
}

int lease_grant(struct lease_table *table, int64_t id, int64_t ttl_ms, nsec_t now_ns, struct lease **ret_lease)
{
    if (ttl_ms > STORE_LEASE_TTL_MAX_MS)
        return STORE_TTL_TOO_LARGE;
    if (id != 0 && lease_index_find(&table->index, id))
        return STORE_LEASE_EXISTS;

    struct lease *lease = calloc(1, sizeof(*lease));
    if (!lease)
        return -ENOMEM;
    atomic_init(&lease->word, word_hidden(ttl_ms));
    lease->id = id ? id : pick_id(table, ttl_ms);
    lease->ttl_ms = ttl_ms;
    lease->table = table;
    timer_init(&lease->timer, timer_fired);
    list_init(&lease->keys);
    if (lease_index_insert(&table->index, lease) < 0) {
        free(lease);
        return -ENOMEM;
    }
    wheel_arm(&table->wheel, &lease->timer, now_ns + ttl_ns(lease));
    *ret_lease = lease;
    return STORE_OK;
}

void lease_set_left(struct lease *lease, int64_t left_ms)
{
    ASSERT((atomic_load_explicit(&lease->word, memory_order_relaxed) & WORD_STATE) == WORD_HIDDEN);
    atomic_store_explicit(&lease->word, word_hidden(left_ms), memory_order_relaxed);
}

void lease_show(struct lease *lease, nsec_t now_ns)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_relaxed);
    if ((word & WORD_STATE) == WORD_HIDDEN) /* it may have been revoked since, even now: then it stays dead */
        atomic_compare_exchange_strong_explicit(&lease->word, &word, word_alive(now_ns + word_deadline(word)),
                                                memory_order_acq_rel, memory_order_acquire);
}

struct lease *lease_find(struct lease_table *table, int64_t id)
{
    struct lease *lease = lease_index_find(&table->index, id);
    return lease && !(atomic_load_explicit(&lease->word, memory_order_acquire) & WORD_DEAD) ? lease : NULL;
}

bool lease_kill(struct lease *lease)
{
    return !(atomic_fetch_or_explicit(&lease->word, WORD_DEAD, memory_order_acq_rel) & WORD_DEAD);
}

static void lease_quiet(struct rcu_node *node)
{
    free(container_of(node, struct lease, rcu));
}

void lease_remove(struct lease_table *table, struct lease *lease)
{
    ASSERT(atomic_load_explicit(&lease->word, memory_order_relaxed) & WORD_DEAD);
    ASSERT(list_is_empty(&lease->keys));
    due_leave(lease);
    wheel_cancel(&table->wheel, &lease->timer);
    lease_index_remove(&table->index, lease);
    rcu_retire(table->rcu, &lease->rcu, lease_quiet);
}

int64_t lease_id(const struct lease *lease)
{
    return lease->id;
}

int64_t lease_ttl_ms(const struct lease *lease)
{
    return lease->ttl_ms;
}

int64_t lease_left_ms(const struct lease *lease, nsec_t now_ns)
{
    uint64_t word = atomic_load_explicit(&lease->word, memory_order_acquire);
    if (word & WORD_HIDDEN)
        return lease->ttl_ms;
    nsec_t left_ns = word_deadline(word) - now_ns;
    return left_ns > 0 ? left_ns / NSEC_PER_MSEC : 0;
}

int64_t lease_silence_ms(const struct lease *lease, nsec_t now_ns)
{
    return lease->ttl_ms +
           (now_ns - word_deadline(atomic_load_explicit(&lease->word, memory_order_acquire))) / NSEC_PER_MSEC;
}

/* ------------------------------------------------------------------------------------------------ keys */

void lease_attach(struct lease *lease, struct version *version)
{
    list_push_back(&lease->keys, &version->lease_link);
}

void lease_detach(struct version *version)
{
    list_remove(&version->lease_link);
}

int lease_keys(const struct lease *lease, struct slice **ret_keys, size_t *ret_n)
{
    size_t n = 0;
    list_for_each (link, &lease->keys)
        n++;
    struct slice *keys = calloc(n ? n : 1, sizeof(keys[0]));
    if (!keys)
        return -ENOMEM;
    *ret_n = n;
    n = 0;
    list_for_each (link, &lease->keys)
        keys[n++] = container_of(link, struct version, lease_link)->kv.key;
    slice_sort(keys, n);
    *ret_keys = keys;
    return 0;
}
