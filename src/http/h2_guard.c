/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The account is a token bucket. Prices are chosen by what an offence costs us against the frame that pays for it:
 * - A reset makes us run a whole request for nothing. 200 at once and 20 a second are more than cancelling clients need
 *   (a reset of an exchange that has lived for a while is not charged at all).
 * - A PING or WINDOW_UPDATE is answered by little, and clients that measure their bandwidth send one of each per
 *   message received: the credit of one useful frame pays for both.
 */
#include "http/h2_guard.h"

#include "base/assert.h"

enum {
    POINTS_MAX = 10000,
    POINTS_PER_SEC = 1000,
    POINTS_PER_CREDIT = 8,
};

static const int32_t prices[H2_OFFENCES_] = {
    [H2_PEER_RESET] = 50,   [H2_PROVOKED_RESET] = 50, [H2_SETTINGS] = 50,   [H2_PING] = 5,    [H2_PRIORITY] = 1,
    [H2_WINDOW_UPDATE] = 1, [H2_CONTINUATION] = 20,   [H2_EMPTY_DATA] = 20, [H2_USELESS] = 1,
};

void h2_guard_init(struct h2_guard *guard, nsec_t now_ns)
{
    *guard = (struct h2_guard){.points = POINTS_MAX, .refilled_ns = now_ns};
}

static void add(struct h2_guard *guard, nsec_t points)
{
    nsec_t sum = guard->points + points;
    guard->points = (int32_t)(sum < POINTS_MAX ? sum : POINTS_MAX);
}

/* Only whole points move the clock of the refill, so that frequent calls lose no time. */
static void refill(struct h2_guard *guard, nsec_t now_ns)
{
    nsec_t points = (now_ns - guard->refilled_ns) / (NSEC_PER_SEC / POINTS_PER_SEC);
    if (points <= 0)
        return;
    guard->refilled_ns += points * (NSEC_PER_SEC / POINTS_PER_SEC);
    add(guard, points < POINTS_MAX ? points : POINTS_MAX);
}

bool h2_guard_charge(struct h2_guard *guard, enum h2_offence offence, nsec_t now_ns)
{
    ASSERT(offence < H2_OFFENCES_);
    refill(guard, now_ns);
    if (guard->points < prices[offence])
        return false;
    guard->points -= prices[offence];
    return true;
}

void h2_guard_credit(struct h2_guard *guard)
{
    add(guard, POINTS_PER_CREDIT);
}
