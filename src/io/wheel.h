/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer wheel good for millions of timers: arming and cancelling cost O(1), a timer that is cancelled before it is
 * due (nearly all are) is touched twice in its life. Resolution is one millisecond: a timer never fires early, and at
 * most one tick late once the wheel is advanced past it.
 *
 * Timers are embedded in their objects and belong to one wheel, which belongs to one thread. Pure: time comes in by
 * argument. Nothing here allocates or fails.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"

#include <stddef.h>
#include <stdint.h>

struct timer;
typedef void (*timer_fn)(struct timer *timer);

struct timer {
    struct list link; /* unlinked when not armed */
    nsec_t deadline_ns;
    timer_fn on_expire;
};

/*
 * Levels of 64 slots; a slot of level n is 64^n ms wide, so that the wheel spans two years. What lies beyond waits in
 * the farthest slot and is placed again.
 */
#define WHEEL_LEVELS 6
#define WHEEL_SLOTS  64

struct wheel {
    uint64_t tick;                   /* milliseconds; what is due up to it has fired or is in `due` */
    uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot; a clear bit means that the slot is empty */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due; /* waits for the next advance */
    size_t n_armed;
};

void wheel_init(struct wheel *wheel, nsec_t now_ns);

void timer_init(struct timer *timer, timer_fn on_expire);

/*
 * Arms the timer, or moves it when it is armed already. A deadline in a tick that is over fires at the next advance;
 * NSEC_NEVER is no deadline: the timer is then not armed.
 */
void wheel_arm(struct wheel *wheel, struct timer *timer, nsec_t deadline_ns);

/* Harmless on a timer that is not armed. After it, on_expire will not be called, not even from the running advance. */
void wheel_cancel(struct wheel *wheel, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}

/* A moment no later than the next deadline, for sleeping until then; NSEC_NEVER when no timer is armed. */
nsec_t wheel_next(const struct wheel *wheel);

/*
 * Fires what is due at now_ns, in the order of the ticks, each timer unlinked before its on_expire is called, which may
 * arm and cancel any timer, its own included, and free its object. Fires at most `budget` timers, so that a burst does
 * not hold up the loop; returns how many fired. When it returns `budget`, more may be due: call again in the next turn.
 */
size_t wheel_advance(struct wheel *wheel, nsec_t now_ns, size_t budget);
