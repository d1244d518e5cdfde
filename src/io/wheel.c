/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical wheel. A deadline is a number of ticks (ms, rounded up); read it as digits of 6 bits. A timer sits on
 * the level of the highest digit in which its deadline differs from the wheel's tick, in the slot of that digit's
 * value. When the tick reaches the beginning of a slot, its timers differ only in lower digits and are placed again: a
 * timer moves at most five times, and one that is cancelled early never.
 *
 * Invariants:
 *  1. A timer in a slot is due after `tick`; what is due at or before it is in `due`.
 *  2. Below the last level, slots at or before the tick's digit are empty, so that the first occupied slot behind it on
 *     the lowest occupied level is the next one to begin.
 *  3. The last level is a ring: its slots are read onwards from the tick's digit, which is itself empty. A deadline
 *     beyond the ring waits in the slot farthest away.
 *  4. A clear bit of `occupied` means an empty slot. A set bit may outlive the last timer of its slot (cancelling does
 *     not look for the slot); it costs one needless look and is then cleared.
 */
#include "io/wheel.h"

#include "base/assert.h"

enum { DIGIT_BITS = 6, LAST_LEVEL = WHEEL_LEVELS - 1 };
_Static_assert(WHEEL_SLOTS == 1 << DIGIT_BITS, "a slot per value of a digit");

static unsigned digit(uint64_t tick, unsigned level)
{
    return (tick >> (DIGIT_BITS * level)) & (WHEEL_SLOTS - 1);
}

void wheel_init(struct wheel *wheel, nsec_t now_ns)
{
    *wheel = (struct wheel){.tick = (uint64_t)(now_ns / NSEC_PER_MSEC)};
    for (unsigned level = 0; level < WHEEL_LEVELS; level++)
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    list_init(&wheel->due);
}

void timer_init(struct timer *timer, timer_fn on_expire)
{
    *timer = (struct timer){.on_expire = on_expire};
    list_init(&timer->link);
}

/* Puts an unlinked timer where its deadline belongs. */
static void place(struct wheel *wheel, struct timer *timer)
{
    nsec_t deadline = timer->deadline_ns;
    uint64_t tick = deadline <= 0 ? 0 : (uint64_t)(deadline / NSEC_PER_MSEC + (deadline % NSEC_PER_MSEC != 0));
    if (tick <= wheel->tick) {
        list_push_back(&wheel->due, &timer->link);
        return;
    }

    unsigned level = (63 - (unsigned)__builtin_clzll(tick ^ wheel->tick)) / DIGIT_BITS;
    if (level >= LAST_LEVEL) {
        const uint64_t farthest = wheel->tick + ((uint64_t)(WHEEL_SLOTS - 1) << (DIGIT_BITS * LAST_LEVEL));
        level = LAST_LEVEL;
        tick = tick < farthest ? tick : farthest;
    }
    unsigned slot = digit(tick, level);
    list_push_back(&wheel->slots[level][slot], &timer->link);
    wheel->occupied[level] |= 1ULL << slot;
}

void wheel_arm(struct wheel *wheel, struct timer *timer, nsec_t deadline_ns)
{
    wheel_cancel(wheel, timer);
    if (deadline_ns == NSEC_NEVER)
        return;
    timer->deadline_ns = deadline_ns;
    place(wheel, timer);
    wheel->n_armed++;
}

void wheel_cancel(struct wheel *wheel, struct timer *timer)
{
    if (!timer_is_armed(timer))
        return;
    ASSERT(wheel->n_armed > 0);
    list_remove(&timer->link);
    wheel->n_armed--;
}

/* Finds the occupied slot that begins next, and the tick at which it does. False when all slots are empty. */
static bool next_slot(const struct wheel *wheel, unsigned *ret_level, uint64_t *ret_begin)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (!wheel->occupied[level])
            continue;
        /* Bit 0 of the turned word is the slot behind the tick's; on the last level the word is read round the ring. */
        unsigned behind = digit(wheel->tick, level) + 1;
        uint64_t bits = wheel->occupied[level];
        uint64_t turned = behind == WHEEL_SLOTS ? bits : bits >> behind | bits << (WHEEL_SLOTS - behind);
        uint64_t distance = (uint64_t)__builtin_ctzll(turned) + 1;
        *ret_level = level;
        *ret_begin = ((wheel->tick >> (DIGIT_BITS * level)) + distance) << (DIGIT_BITS * level);
        return true;
    }
    return false;
}

nsec_t wheel_next(const struct wheel *wheel)
{
    if (wheel->n_armed == 0)
        return NSEC_NEVER;
    unsigned level;
    uint64_t begin;
    if (!list_is_empty(&wheel->due) || !next_slot(wheel, &level, &begin))
        begin = wheel->tick; /* what is armed and in no slot is due */
    return (nsec_t)begin * NSEC_PER_MSEC;
}

/* Moves the wheel on to `target`: all that is due by then ends up in `due`. */
static void collect_due(struct wheel *wheel, uint64_t target)
{
    unsigned level;
    uint64_t begin;
    while (next_slot(wheel, &level, &begin) && begin <= target) {
        wheel->tick = begin;
        unsigned slot = digit(begin, level);
        struct list *timers = &wheel->slots[level][slot];
        wheel->occupied[level] &= ~(1ULL << slot);
        if (level == 0) {
            list_splice_back(&wheel->due, timers);
        } else {
            struct list moving;
            list_init(&moving);
            list_splice_back(&moving, timers);
            for (struct list *link; (link = list_pop_front(&moving));)
                place(wheel, container_of(link, struct timer, link));
        }
    }
    wheel->tick = target;
}

size_t wheel_advance(struct wheel *wheel, nsec_t now_ns, size_t budget)
{
    uint64_t target = (uint64_t)(now_ns / NSEC_PER_MSEC);
    if (target > wheel->tick)
        collect_due(wheel, target);

    /* A list of its own, so that what on_expire arms for the past waits for the next advance. */
    struct list firing;
    list_init(&firing);
    list_splice_back(&firing, &wheel->due);

    size_t n = 0;
    for (struct list *link; n < budget && (link = list_pop_front(&firing)); n++) {
        struct timer *timer = container_of(link, struct timer, link);
        wheel->n_armed--;
        timer->on_expire(timer);
    }

    list_splice_back(&firing, &wheel->due);
    list_splice_back(&wheel->due, &firing);
    return n;
}
