/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For what may happen very often and is to be told now and then: at once when it was not told lately, and then with how
 * often it has happened since. Zero-initialised was never told. Any thread.
 */
#pragma once

#include "base/time.h"

#include <stdatomic.h>

struct seldom {
    _Atomic nsec_t next_ns; /* not before that */
    _Atomic uint64_t n_untold;
};

/* Counts one. How many there were since it was told last, if it is to be told now; else 0. */
static inline uint64_t seldom_count(struct seldom *seldom, nsec_t now_ns, nsec_t every_ns)
{
    atomic_fetch_add_explicit(&seldom->n_untold, 1, memory_order_relaxed);
    nsec_t next_ns = atomic_load_explicit(&seldom->next_ns, memory_order_relaxed);
    if (now_ns < next_ns || !atomic_compare_exchange_strong_explicit(&seldom->next_ns, &next_ns, now_ns + every_ns,
                                                                     memory_order_relaxed, memory_order_relaxed))
        return 0;
    return atomic_exchange_explicit(&seldom->n_untold, 0, memory_order_relaxed);
}
