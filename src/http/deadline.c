/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See deadline.h.
 */
#include "http/deadline.h"

void deadline_init(struct deadline *deadline, timer_fn on_expire)
{
    timer_init(&deadline->timer, on_expire);
    deadline->at_ns = NSEC_NEVER;
}

void deadline_set(struct loop *loop, struct deadline *deadline, nsec_t at_ns)
{
    deadline->at_ns = at_ns;
    if (at_ns != NSEC_NEVER && (!timer_is_armed(&deadline->timer) || at_ns < deadline->timer.deadline_ns))
        loop_arm(loop, &deadline->timer, at_ns);
}

void deadline_set_in(struct loop *loop, struct deadline *deadline, nsec_t timeout_ns)
{
    deadline_set(loop, deadline, timeout_ns == NSEC_NEVER ? NSEC_NEVER : loop_now(loop) + timeout_ns);
}

void deadline_cancel(struct loop *loop, struct deadline *deadline)
{
    deadline->at_ns = NSEC_NEVER;
    loop_cancel(loop, &deadline->timer);
}

bool deadline_has_passed(struct loop *loop, struct deadline *deadline)
{
    if (loop_now(loop) < deadline->at_ns) {
        deadline_set(loop, deadline, deadline->at_ns);
        return false;
    }
    deadline->at_ns = NSEC_NEVER;
    return true;
}
