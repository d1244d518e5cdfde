/* SPDX-License-Identifier: Apache-2.0 */
#include "io/wheel.h"

#include "support/test.h"

#include <stdlib.h>

/* A timer that counts, and may do something when it fires. */
struct alarm {
    struct timer timer;
    struct wheel *wheel;
    int n_fired;
    struct timer *to_cancel;
    nsec_t rearm_ns; /* 0: not again */
};

static void ring(struct timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);
    expect_false(timer_is_armed(timer));
    alarm->n_fired++;
    if (alarm->to_cancel)
        wheel_cancel(alarm->wheel, alarm->to_cancel);
    if (alarm->rearm_ns)
        wheel_arm(alarm->wheel, timer, alarm->rearm_ns);
}

static void alarm_init(struct alarm *alarm, struct wheel *wheel)
{
    *alarm = (struct alarm){.wheel = wheel};
    timer_init(&alarm->timer, ring);
}

#define MS NSEC_PER_MSEC

static void never_early_and_on_the_tick(void)
{
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, 5 * MS + 1);
    alarm_init(&alarm, &wheel);
    wheel_arm(&wheel, &alarm.timer, 7 * MS + 1);
    expect_true(wheel_next(&wheel) <= 8 * MS);
    expect_int(wheel_advance(&wheel, 7 * MS + 1, 10), 0); /* due, but the tick is not over */
    expect_int(wheel_advance(&wheel, 8 * MS - 1, 10), 0);
    expect_int(wheel_advance(&wheel, 8 * MS, 10), 1);
    expect_int(alarm.n_fired, 1);
    expect_int(wheel_next(&wheel), NSEC_NEVER);
}

static void the_past_fires_at_the_next_advance(void)
{
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, 1000 * MS);
    alarm_init(&alarm, &wheel);
    wheel_arm(&wheel, &alarm.timer, 3 * MS);
    expect_true(wheel_next(&wheel) <= 1000 * MS);
    expect_int(wheel_advance(&wheel, 1000 * MS, 10), 1);
    wheel_arm(&wheel, &alarm.timer, -7);
    expect_int(wheel_advance(&wheel, 1000 * MS, 10), 1);
}

static void arming_the_past_while_firing_waits(void)
{
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, 0);
    alarm_init(&alarm, &wheel);
    alarm.rearm_ns = 1;
    wheel_arm(&wheel, &alarm.timer, 1 * MS);
    expect_int(wheel_advance(&wheel, 5 * MS, 10), 1);
    expect_true(timer_is_armed(&alarm.timer));
    expect_int(wheel_advance(&wheel, 5 * MS, 10), 1);
    wheel_cancel(&wheel, &alarm.timer);
    expect_int(wheel_advance(&wheel, 9 * MS, 10), 0);
}

static void cancelled_and_moved(void)
{
    struct wheel wheel;
    struct alarm a, b;
    wheel_init(&wheel, 0);
    alarm_init(&a, &wheel);
    alarm_init(&b, &wheel);
    wheel_cancel(&wheel, &a.timer); /* not armed: harmless */
    wheel_arm(&wheel, &a.timer, 10 * MS);
    wheel_arm(&wheel, &b.timer, 10 * MS);
    wheel_arm(&wheel, &b.timer, 5000 * MS);
    wheel_cancel(&wheel, &a.timer);
    expect_int(wheel.n_armed, 1);
    expect_int(wheel_advance(&wheel, 4999 * MS, 10), 0);
    expect_int(wheel_advance(&wheel, 5000 * MS, 10), 1);
    expect_int(a.n_fired, 0);
    expect_int(b.n_fired, 1);
}

static void cancelled_by_one_that_fires_before(void)
{
    struct wheel wheel;
    struct alarm a, b;
    wheel_init(&wheel, 0);
    alarm_init(&a, &wheel);
    alarm_init(&b, &wheel);
    a.to_cancel = &b.timer;
    wheel_arm(&wheel, &a.timer, 10 * MS);
    wheel_arm(&wheel, &b.timer, 10 * MS);
    expect_int(wheel_advance(&wheel, 10 * MS, 10), 1);
    expect_int(b.n_fired, 0);
    expect_int(wheel.n_armed, 0);
}

static void never_is_not_armed(void)
{
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, 0);
    alarm_init(&alarm, &wheel);
    wheel_arm(&wheel, &alarm.timer, 10 * MS);
    wheel_arm(&wheel, &alarm.timer, NSEC_NEVER);
    expect_false(timer_is_armed(&alarm.timer));
    expect_int(wheel_next(&wheel), NSEC_NEVER);
}

static void budget_leaves_the_rest_in_order(void)
{
    struct wheel wheel;
    struct alarm alarms[5];
    wheel_init(&wheel, 0);
    for (int i = 0; i < 5; i++) {
        alarm_init(&alarms[i], &wheel);
        wheel_arm(&wheel, &alarms[i].timer, (i + 1) * MS);
    }
    expect_int(wheel_advance(&wheel, 5 * MS, 2), 2);
    expect_true(wheel_next(&wheel) <= 5 * MS);
    struct alarm late;
    alarm_init(&late, &wheel);
    wheel_arm(&wheel, &late.timer, 1 * MS);
    expect_int(wheel_advance(&wheel, 5 * MS, 3), 3);
    for (int i = 0; i < 5; i++)
        expect_int(alarms[i].n_fired, 1);
    expect_int(late.n_fired, 0);
    expect_int(wheel_advance(&wheel, 5 * MS, 3), 1);
}

static void ten_years_ahead(void)
{
    const nsec_t year = 365 * 24 * 3600 * NSEC_PER_SEC;
    struct wheel wheel;
    struct alarm alarm;
    wheel_init(&wheel, 40 * year + 17);
    alarm_init(&alarm, &wheel);
    wheel_arm(&wheel, &alarm.timer, 50 * year);
    int n_waits = 0;
    for (nsec_t now = 40 * year + 17; now < 50 * year; n_waits++) {
        expect_int(alarm.n_fired, 0);
        nsec_t next = wheel_next(&wheel);
        expect_true(next > now && next <= 50 * year);
        now = next;
        wheel_advance(&wheel, now, 10);
    }
    expect_int(alarm.n_fired, 1);
    expect_true(n_waits < 20); /* sleeping until wheel_next is no polling */
}

/* Random work beside the simplest model: a table of deadlines that is searched. */

struct checked {
    struct timer timer;
    struct check *check;
    nsec_t deadline_ns; /* the model; 0: not armed */
};

struct check {
    uint64_t seed;
    struct wheel wheel;
    nsec_t before_ns, now_ns; /* the advance that runs */
    uint64_t last_tick;       /* of the timer that fired last */
    size_t n_fired;
};

static uint64_t tick_of(nsec_t deadline_ns)
{
    return (uint64_t)((deadline_ns + MS - 1) / MS);
}

static void fire_checked(struct timer *timer)
{
    struct checked *one = container_of(timer, struct checked, timer);
    struct check *check = one->check;
    uint64_t tick = tick_of(one->deadline_ns);
    expect_true(one->deadline_ns != 0);
    expect_true(one->deadline_ns <= check->now_ns);
    expect_true(tick > (uint64_t)(check->before_ns / MS)); /* else an earlier advance forgot it */
    expect_true(tick >= check->last_tick);
    check->last_tick = tick;
    check->n_fired++;
    one->deadline_ns = 0;
}

/* From a millisecond to days, each magnitude as likely. */
static nsec_t random_span(uint64_t *seed)
{
    return (nsec_t)(test_random(seed) >> (64 - 20 - test_random(seed) % 30)) + 1;
}

static size_t advance_checked(struct check *check, nsec_t by_ns)
{
    check->before_ns = check->now_ns;
    check->now_ns += by_ns;
    check->last_tick = 0;
    return wheel_advance(&check->wheel, check->now_ns, SIZE_MAX);
}

static void agrees_with_a_model(void)
{
    enum { N = 200, STEPS = 30000 };
    static struct checked table[N];
    struct check check = {.seed = test_seed()};
    check.now_ns = (nsec_t)(test_random(&check.seed) >> 4);
    wheel_init(&check.wheel, check.now_ns);
    for (int i = 0; i < N; i++) {
        timer_init(&table[i].timer, fire_checked);
        table[i].check = &check;
    }

    for (int step = 0; step < STEPS; step++) {
        struct checked *one = &table[test_random(&check.seed) % N];
        switch (test_random(&check.seed) % 4) {
        case 0:
        case 1:
            one->deadline_ns = check.now_ns / MS * MS + MS + random_span(&check.seed);
            wheel_arm(&check.wheel, &one->timer, one->deadline_ns);
            break;
        case 2:
            one->deadline_ns = 0;
            wheel_cancel(&check.wheel, &one->timer);
            break;
        default:
            advance_checked(&check, random_span(&check.seed) / 8);
        }

        nsec_t first = NSEC_NEVER;
        size_t n_armed = 0;
        for (int i = 0; i < N; i++) {
            expect_int(timer_is_armed(&table[i].timer), table[i].deadline_ns != 0);
            if (table[i].deadline_ns == 0)
                continue;
            expect_true(tick_of(table[i].deadline_ns) > (uint64_t)(check.now_ns / MS)); /* else it should have fired */
            n_armed++;
            if (table[i].deadline_ns < first)
                first = table[i].deadline_ns;
        }
        expect_int(check.wheel.n_armed, n_armed);
        nsec_t next = wheel_next(&check.wheel);
        expect_true(n_armed == 0 ? next == NSEC_NEVER : next <= (nsec_t)tick_of(first) * MS);
    }
}

static void holds_a_million_timers(void)
{
    enum { N = 1000000 };
    struct checked *table = calloc(N, sizeof(*table));
    struct check check = {.seed = test_seed(), .now_ns = 12345678};
    expect_true(table);
    wheel_init(&check.wheel, check.now_ns);
    size_t n_cancelled = 0;
    for (int i = 0; i < N; i++) {
        timer_init(&table[i].timer, fire_checked);
        table[i].check = &check;
        table[i].deadline_ns = check.now_ns + MS + (nsec_t)(test_random(&check.seed) % (3600ULL * NSEC_PER_SEC));
        wheel_arm(&check.wheel, &table[i].timer, table[i].deadline_ns);
    }
    for (int i = 0; i < N; i += 3) {
        wheel_cancel(&check.wheel, &table[i].timer);
        table[i].deadline_ns = 0;
        n_cancelled++;
    }
    while (check.wheel.n_armed > 0)
        advance_checked(&check, (nsec_t)(test_random(&check.seed) % (20ULL * NSEC_PER_SEC)));
    expect_int(check.n_fired, N - n_cancelled);
    free(table);
}

static const struct test_case cases[] = {
    {"a timer never fires early, and fires on its tick", never_early_and_on_the_tick},
    {"a deadline in the past fires at the next advance", the_past_fires_at_the_next_advance},
    {"a timer armed for the past while firing waits for the next advance", arming_the_past_while_firing_waits},
    {"a cancelled timer is silent, a moved one fires once", cancelled_and_moved},
    {"a timer cancelled by one that fires before it is silent", cancelled_by_one_that_fires_before},
    {"NSEC_NEVER is no deadline", never_is_not_armed},
    {"a budget leaves the rest for later, in order", budget_leaves_the_rest_in_order},
    {"a deadline beyond the wheel's span is kept", ten_years_ahead},
    {"random work agrees with a model", agrees_with_a_model},
    {"a million timers fire once each, on their ticks", holds_a_million_timers},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
