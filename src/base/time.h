/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one time type: signed nanoseconds. Moments are monotonic (the loop's clock); durations are differences of them.
 * Wall-clock time is only for people (logs, Date headers) and for what must survive a restart; its names say `wall`.
 */
#pragma once

#include <stdint.h>

typedef int64_t nsec_t;

#define NSEC_PER_USEC ((nsec_t)1000)
#define NSEC_PER_MSEC ((nsec_t)1000000)
#define NSEC_PER_SEC  ((nsec_t)1000000000)

/* No deadline: later than any moment. */
#define NSEC_NEVER INT64_MAX

/*
 * The system's clocks. What lives on a loop asks the loop (loop_now), whose clock tests can set; these are for what has
 * no loop, and for what must be measured within a turn of one.
 */
nsec_t time_now(void);
nsec_t time_wall_now(void); /* since 1970 */
