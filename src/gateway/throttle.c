/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For each address one moment is kept: when it will have used up what it has asked for, at its rate. A request moves
 * it on by one interval and is refused when it is too far ahead (the generic cell rate algorithm). So an address whose
 * moment has passed is like one that never came, and its entry may be given to another one: the table needs no
 * sweeping.
 *
 * An address has one set of a few entries to look in. When all of them are in use, the one that is next to run out is
 * taken over: who attacks from more addresses than there are entries gets more than his share, and nobody gets less.
 * Key and moment of an entry are two words; a request that comes between the change of both counts for the wrong
 * address, which is as good as lost.
 */
#include "gateway/throttle.h"

#include "base/assert.h"
#include "base/slice.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SETS 16384 /* a power of two */
#define WAYS 4

struct entry {
    _Atomic uint64_t key; /* of its address; 0: none yet */
    _Atomic nsec_t until_ns;
};

struct throttle {
    struct hash_key key;
    struct entry entries[SETS][WAYS];
};

int throttle_new(const struct hash_key *key, struct throttle **ret_throttle)
{
    struct throttle *throttle = calloc(1, sizeof(*throttle)); /* without a limit its pages are never touched */
    if (!throttle)
        return -ENOMEM;
    throttle->key = *key;
    *ret_throttle = throttle;
    return 0;
}

void throttle_free(struct throttle *throttle)
{
    free(throttle);
}

/* Where the address is counted, its own or one that is taken over. */
static struct entry *find(struct throttle *throttle, uint64_t hash, nsec_t now_ns)
{
    struct entry *set = throttle->entries[hash & (SETS - 1)], *oldest = set;
    uint64_t key = hash | 1;
    nsec_t oldest_ns = NSEC_NEVER;
    for (unsigned i = 0; i < WAYS; i++) {
        nsec_t until_ns = atomic_load_explicit(&set[i].until_ns, memory_order_relaxed);
        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key)
            return &set[i];
        if (until_ns < oldest_ns) {
            oldest_ns = until_ns;
            oldest = &set[i];
        }
    }
    atomic_store_explicit(&oldest->until_ns, now_ns, memory_order_relaxed);
    atomic_store_explicit(&oldest->key, key, memory_order_relaxed);
    return oldest;
}

bool throttle_admit(struct throttle *throttle, const struct peer *peer, const struct throttle_limit *limit,
                    nsec_t now_ns)
{
    ASSERT(limit->rate > 0 && limit->burst > 0);
    struct slice client = peer_client(peer);
    if (client.len == 0)
        return true;
    nsec_t interval_ns = NSEC_PER_SEC / limit->rate, ahead_max_ns = interval_ns * (nsec_t)(limit->burst - 1);
    struct entry *entry = find(throttle, hash_bytes(&throttle->key, client), now_ns);
    nsec_t until_ns = atomic_load_explicit(&entry->until_ns, memory_order_relaxed), begin_ns;
    do {
        begin_ns = until_ns > now_ns ? until_ns : now_ns;
        if (begin_ns - now_ns > ahead_max_ns)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&entry->until_ns, &until_ns, begin_ns + interval_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}
