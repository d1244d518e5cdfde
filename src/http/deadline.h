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

void deadline_cancel(struct loop *loop, struct deadline *deadline);

/* False when the timer fired early; it is then armed again. When true, no deadline is set any more. */
bool deadline_has_passed(struct loop *loop, struct deadline *deadline);

static inline struct deadline *deadline_of_timer(struct timer *timer)
{
    return container_of(timer, struct deadline, timer);
}
