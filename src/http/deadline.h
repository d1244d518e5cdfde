/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A deadline that is moved often and reached seldom. Moving it to later is one store: the timer stays where it is, and
 * is armed anew when it fires too early. So the wheel is touched once per time-out, not once per request.
 */
#pragma once

#include "io/loop.h"

struct deadline {
    struct timer timer; /* armed at at_ns or earlier, unless that is NSEC_NEVER */
    nsec_t at_ns;
};

/* on_expire must begin with: if (!deadline_has_passed(loop, deadline)) return; */
void deadline_init(struct deadline *deadline, timer_fn on_expire);

/* NSEC_NEVER: none. */
void deadline_set(struct loop *loop, struct deadline *deadline, nsec_t at_ns);

/* The same, so much after now; NSEC_NEVER: none. */
void deadline_set_in(struct loop *loop, struct deadline *deadline, nsec_t timeout_ns);

/*
 * Somebody who is waited for has moved n_bytes, and rate_min are due per second: each byte buys its part of a second,
 * up to timeout_ns from now. So a few bytes now and then do not put the deadline off for ever, and who was held up for
 * a while and then is quick has all of the time again. rate_min 0: any byte buys all of it.
 */
void deadline_earn(struct loop *loop, struct deadline *deadline, nsec_t timeout_ns, size_t n_bytes, size_t rate_min);
/* The same for a moment, which is moved towards `latest_ns`. */
nsec_t deadline_earned(nsec_t at_ns, nsec_t latest_ns, size_t n_bytes, size_t rate_min);

void deadline_cancel(struct loop *loop, struct deadline *deadline);

/* False when the timer fired early; it is then armed again. When true, no deadline is set any more. */
bool deadline_has_passed(struct loop *loop, struct deadline *deadline);

static inline struct deadline *deadline_of_timer(struct timer *timer)
{
    return container_of(timer, struct deadline, timer);
}
