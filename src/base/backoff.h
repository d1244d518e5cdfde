/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next try: twice as long each time, and a random part of it, so that the many clients of a
 * registry that comes back do not all ask in one moment.
 */
#pragma once

#include "base/random.h"
#include "base/time.h"

struct backoff {
    nsec_t last_ns; /* zeroed: the first try has not failed yet */
};

#define BACKOFF_FIRST_NS (100 * NSEC_PER_MSEC)
#define BACKOFF_MAX_NS   (5 * NSEC_PER_SEC)

/* Half of it at least. */
static inline nsec_t backoff_jitter(nsec_t ns, struct random *random)
{
    return ns / 2 + (nsec_t)random_below(random, (uint64_t)ns / 2 + 1);
}

static inline nsec_t backoff_next(struct backoff *backoff, struct random *random)
{
    nsec_t next_ns = backoff->last_ns == 0 ? BACKOFF_FIRST_NS : 2 * backoff->last_ns;
    backoff->last_ns = next_ns < BACKOFF_MAX_NS ? next_ns : BACKOFF_MAX_NS;
    return backoff_jitter(backoff->last_ns, random);
}

/* For who counts the tries: the pause after one behind which `n_before` others had failed, without chance. */
static inline nsec_t backoff_doubled(nsec_t first_ns, unsigned n_before, nsec_t max_ns)
{
    while (n_before-- > 0 && first_ns < max_ns)
        first_ns *= 2;
    return first_ns < max_ns ? first_ns : max_ns;
}

/* It went well. */
static inline void backoff_reset(struct backoff *backoff)
{
    backoff->last_ns = 0;
}
