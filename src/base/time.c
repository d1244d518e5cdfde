/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include "base/assert.h"

#include <time.h>

static nsec_t read_clock(clockid_t clock)
{
    struct timespec now;
    int r = clock_gettime(clock, &now);
    ASSERT(r == 0);
    return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

nsec_t time_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

nsec_t time_wall_now(void)
{
    return read_clock(CLOCK_REALTIME);
}
