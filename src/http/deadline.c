/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See deadline.h.
 */
#include "http/deadline.h"

#include "base/util.h"

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

nsec_t deadline_earned(nsec_t at_ns, nsec_t latest_ns, size_t n_bytes, size_t rate_min)
{
    if (at_ns >= latest_ns)
        return latest_ns;
    if (n_bytes == 0)
        return at_ns;
    nsec_t most_ns = latest_ns - at_ns;
    nsec_t worth_ns = rate_min > 0 ? (nsec_t)(min_size(n_bytes, UINT32_MAX) * NSEC_PER_SEC / rate_min) : most_ns;
    return at_ns + (worth_ns < most_ns ? worth_ns : most_ns);
}

void deadline_earn(struct loop *loop, struct deadline *deadline, nsec_t timeout_ns, size_t n_bytes, size_t rate_min)
{
    if (timeout_ns == NSEC_NEVER)
        deadline_set(loop, deadline, NSEC_NEVER);
    else
        deadline_set(loop, deadline, deadline_earned(deadline->at_ns, loop_now(loop) + timeout_ns, n_bytes, rate_min));
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
