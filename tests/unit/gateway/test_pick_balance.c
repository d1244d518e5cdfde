/* SPDX-License-Identifier: Apache-2.0 */
/* How one of those that may be taken is chosen: by load and latency, slowly at first, in turn, by a key. */
#include "support/pick_kit.h"
#include "support/test.h"

#include <stdio.h>

#define S      NSEC_PER_SEC
#define MS     NSEC_PER_MSEC
#define NOW_NS PICK_KIT_NOW_NS

static void expect_near(unsigned n, unsigned expected, unsigned by)
{
    if (n + by < expected || n > expected + by)
        test_fail(__FILE__, __LINE__, "%u is not within %u of %u", n, by, expected);
}

/* ------------------------------------------------------------------------------------------------ P2C */

static void without_load_shares_are_as_weights(void)
{
    static const enum balance by_weight[] = {BALANCE_P2C, BALANCE_RANDOM, BALANCE_LEAST};
    for (unsigned i = 0; i < ARRAY_LEN(by_weight); i++) {
        struct pick_kit kit;
        pick_kit_init(&kit, by_weight[i]);
        pick_kit_put(&kit, "a", 10);
        pick_kit_put(&kit, "b", 30);
        pick_kit_put(&kit, "c", 60);
        expect_true(plan_kit_make(&kit.plan));
        expect_near(pick_kit_count(&kit, "a", 10000), 1000, 200);
        expect_near(pick_kit_count(&kit, "c", 10000), 6000, 300);
        pick_kit_deinit(&kit);
    }
}

/* Two alike, a and b. */
static void init_two(struct pick_kit *kit)
{
    pick_kit_init(kit, BALANCE_P2C);
    pick_kit_put(kit, "a", 1);
    pick_kit_put(kit, "b", 1);
    expect_true(plan_kit_make(&kit->plan));
}

static void the_less_busy_of_two_is_taken(void)
{
    struct pick_kit kit;
    init_two(&kit);
    plan_kit_slot(&kit.plan, "a", 0)->n_in_flight = 2;
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = 1;
    plan_kit_slot(&kit.plan, "b", 1)->n_in_flight = 2;
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    expect_int(kit.result.n_draws, 2);
    pick_kit_deinit(&kit);
}

/* Half as many at half the weight are as busy; whatever the scale of the weights. */
static void load_is_seen_by_weight(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    pick_kit_put(&kit, "a", 100);
    pick_kit_put(&kit, "b", 200);
    expect_true(plan_kit_make(&kit.plan));
    plan_kit_slot(&kit.plan, "a", 0)->n_in_flight = 5;
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = 9;
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = 11;
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    pick_kit_deinit(&kit);
}

static void set_latency(struct pick_kit *kit, const char *id, unsigned worker, uint32_t latency_us, nsec_t at_ns)
{
    struct runtime_slot *slot = plan_kit_slot(&kit->plan, id, worker);
    slot->latency_us = latency_us;
    slot->latency_at_ns = at_ns;
}

static void the_quicker_of_two_is_taken_until_it_is_forgotten(void)
{
    struct pick_kit kit;
    init_two(&kit);
    set_latency(&kit, "a", 0, 3000, NOW_NS);
    set_latency(&kit, "b", 0, 1000, NOW_NS);
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    set_latency(&kit, "a", 0, 1500, NOW_NS); /* the difference of two is noise */
    expect_near(pick_kit_count(&kit, "a", 1000), 500, 100);
    set_latency(&kit, "a", 0, 3000, NOW_NS - 3 * PICK_LATENCY_HALF_NS);
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    pick_kit_deinit(&kit);
}

static void a_workers_own_latency_counts_before_that_of_others(void)
{
    struct pick_kit kit;
    init_two(&kit);
    set_latency(&kit, "a", 0, 9000, NOW_NS);
    set_latency(&kit, "a", 1, 1000, NOW_NS);
    set_latency(&kit, "b", 1, 4000, NOW_NS); /* ours is not known */
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    kit.request.worker = 1;
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    pick_kit_deinit(&kit);
}

/* A frozen instance has few requests under way, since it takes none. */
static void the_age_of_what_waits_counts(void)
{
    struct pick_kit kit;
    init_two(&kit);
    set_latency(&kit, "a", 0, 1000, NOW_NS);
    set_latency(&kit, "b", 0, 1000, NOW_NS);
    plan_kit_slot(&kit.plan, "a", 1)->n_in_flight = 1;
    plan_kit_slot(&kit.plan, "a", 1)->oldest_ns = NOW_NS - 50 * MS;
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = 20;
    plan_kit_slot(&kit.plan, "b", 0)->oldest_ns = NOW_NS - 1 * MS;
    expect_int(pick_kit_count(&kit, "b", 50), 50);
    pick_kit_deinit(&kit);
}

/* With draws that may coincide, one in nine picks has no choice; and one of many is as good as none of them. */
static void a_hanging_one_gets_nothing_however_many_there_are(void)
{
    static const unsigned sizes[] = {2, 3, 8, 9, 100};
    for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
        struct pick_kit kit;
        pick_kit_init(&kit, BALANCE_P2C);
        plan_kit_put_many(&kit.plan, sizes[s]);
        expect_true(plan_kit_make(&kit.plan));
        plan_kit_slot(&kit.plan, "i0001", 0)->oldest_ns = NOW_NS - S;
        expect_int(pick_kit_count(&kit, "i0001", 20000), 0);
        pick_kit_deinit(&kit);
    }
}

static void weights_at_their_limits_do_not_overflow(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    kit.request.slow_start_ns = 100 * S;
    pick_kit_put(&kit, "a", 65535);
    kit.plan.since_ns = RUNTIME_LONG_AGO;
    expect_true(plan_kit_make(&kit.plan));
    kit.plan.since_ns = NOW_NS;
    pick_kit_put(&kit, "b", 1);
    expect_true(plan_kit_make(&kit.plan));
    plan_kit_slot(&kit.plan, "a", 0)->n_in_flight = 5;
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = UINT32_MAX;
    plan_kit_slot(&kit.plan, "b", 0)->oldest_ns = 1;
    expect_int(pick_kit_count(&kit, "b", 1000), 0);
    pick_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ slow start */

static unsigned share_of_new(struct pick_kit *kit, nsec_t age_ns, uint64_t n_requests)
{
    kit->request.now_ns = NOW_NS + age_ns;
    plan_kit_slot(&kit->plan, "new", 0)->n_requests = n_requests;
    return pick_kit_count(kit, "new", 20000);
}

static void a_new_one_gets_its_share_by_age_and_use(void)
{
    static const enum balance balances[] = {BALANCE_P2C, BALANCE_RANDOM, BALANCE_ROUND_ROBIN};
    for (unsigned i = 0; i < ARRAY_LEN(balances); i++) {
        for (unsigned n_old = 1; n_old < 20; n_old += 18) {
            struct pick_kit kit;
            pick_kit_init(&kit, balances[i]);
            kit.request.slow_start_ns = 10 * S;
            plan_kit_put_many(&kit.plan, n_old);
            expect_true(plan_kit_make(&kit.plan));
            kit.plan.since_ns = NOW_NS;
            pick_kit_put(&kit, "new", 1);
            expect_true(plan_kit_make(&kit.plan));
            const unsigned whole = 20000 / (n_old + 1);
            expect_true(share_of_new(&kit, 0, 0) < whole / 4);
            expect_true(share_of_new(&kit, 9 * S, 0) < whole / 4);
            unsigned half = share_of_new(&kit, 5 * S, PICK_WARM_REQUESTS);
            expect_true(half > whole * 4 / 10 && half < whole * 8 / 10);
            expect_near(share_of_new(&kit, 10 * S, 0), whole, whole / 5);
            pick_kit_deinit(&kit);
        }
    }
}

static void when_all_are_new_none_is(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_RANDOM);
    kit.request.slow_start_ns = 10 * S;
    kit.plan.since_ns = NOW_NS - 5 * S;
    pick_kit_put(&kit, "a", 1);
    expect_true(plan_kit_make(&kit.plan));
    kit.plan.since_ns = NOW_NS;
    pick_kit_put(&kit, "b", 1);
    expect_true(plan_kit_make(&kit.plan));
    expect_near(pick_kit_count(&kit, "b", 10000), 5000, 300);
    pick_kit_deinit(&kit);
}

static void under_load_a_new_one_has_less_under_way(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_P2C);
    kit.request.slow_start_ns = 10 * S;
    pick_kit_put(&kit, "a", 1);
    expect_true(plan_kit_make(&kit.plan));
    kit.plan.since_ns = NOW_NS;
    pick_kit_put(&kit, "b", 1);
    expect_true(plan_kit_make(&kit.plan));
    plan_kit_slot(&kit.plan, "a", 0)->n_in_flight = 8;
    plan_kit_slot(&kit.plan, "b", 0)->n_in_flight = 1;
    expect_int(pick_kit_count(&kit, "a", 50), 50);
    pick_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ in turn */

static void round_robin_is_exactly_in_turn(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_ROUND_ROBIN);
    pick_kit_put_three(&kit);
    for (unsigned i = 0; i < 300; i++) {
        kit.request.worker = i % PLAN_KIT_WORKERS;
        const char expected[] = {"abc"[i % 3], '\0'};
        expect_str(pick_kit_take(&kit), expected);
    }
    pick_kit_trouble(&kit, "b", RUNTIME_STALLED);
    for (unsigned i = 0; i < 300; i++) {
        const char expected[] = {"ac"[i % 2], '\0'};
        expect_str(pick_kit_take(&kit), expected);
    }
    pick_kit_deinit(&kit);
}

static void take_turns(struct pick_kit *kit, unsigned n_turns, unsigned n, const unsigned *weights, double *ret_worst)
{
    unsigned counts[8] = {0}, sum = 0;
    *ret_worst = 0;
    for (unsigned i = 0; i < n; i++)
        sum += weights[i];
    for (unsigned turn = 1; turn <= n_turns; turn++) {
        counts[pick_kit_take(kit)[0] - 'a']++;
        for (unsigned i = 0; i < n; i++) {
            double off = (double)counts[i] - (double)turn * weights[i] / sum;
            off = off < 0 ? -off : off;
            *ret_worst = off > *ret_worst ? off : *ret_worst;
        }
    }
    for (unsigned i = 0; i < n; i++)
        expect_int(counts[i], (uint64_t)n_turns * weights[i] / sum);
}

/* In each row of as many turns as there are weights exactly; and never far from it in between. */
static void weighted_turns_are_exact_and_smooth(void)
{
    static const unsigned weights[][4] = {
        {5, 1, 1, 0}, {1, 3, 0, 0}, {100, 200, 300, 400}, {1, 1, 1, 97}, {7, 11, 13, 2}};
    for (unsigned w = 0; w < ARRAY_LEN(weights); w++) {
        struct pick_kit kit;
        unsigned n = 0, sum = 0;
        pick_kit_init(&kit, BALANCE_ROUND_ROBIN);
        for (; n < 4 && weights[w][n] > 0; n++) {
            pick_kit_put(&kit, (const char[]){(char)('a' + n), '\0'}, weights[w][n]);
            sum += weights[w][n];
        }
        expect_true(plan_kit_make(&kit.plan));
        double worst;
        take_turns(&kit, 3 * sum, n, weights[w], &worst);
        printf("# weights %u %u %u %u: never more than %.2f turns off\n", weights[w][0], weights[w][1], weights[w][2],
               weights[w][3], worst);
        expect_true(worst < 3);
        pick_kit_deinit(&kit);
    }
}

static void the_least_busy_is_taken(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_LEAST);
    plan_kit_put_many(&kit.plan, PICK_LOOKS_MAX);
    expect_true(plan_kit_make(&kit.plan));
    struct plan_cursor at = {.service = kit.plan.service};
    for (const struct target *target; (target = plan_next(&at));)
        runtime_slot(target->runtime, 1)->n_in_flight = 4;
    plan_kit_slot(&kit.plan, "i0007", 1)->n_in_flight = 3;
    expect_int(pick_kit_count(&kit, "i0007", 50), 50);
    pick_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ keys */

static void a_key_stays_where_it_is(void)
{
    struct pick_kit kit;
    pick_kit_init(&kit, BALANCE_HASH);
    kit.plan.has_points = true;
    kit.request.has_key = true;
    pick_kit_put_three(&kit);
    for (unsigned i = 0; i < 50; i++) {
        kit.request.key = pick_key(slice_from(&i, sizeof(i)));
        char first[8];
        (void)snprintf(first, sizeof(first), "%s", pick_kit_take(&kit));
        expect_int(pick_kit_count(&kit, first, 10), 10);
        if (strcmp(first, "b") == 0)
            continue;
        pick_kit_trouble(&kit, "b", RUNTIME_STALLED); /* of others */
        expect_str(pick_kit_take(&kit), first);
        runtime_clear(plan_kit_target(&kit.plan, "b")->runtime, RUNTIME_STALLED);
    }
    kit.request.has_key = false;
    expect_near(pick_kit_count(&kit, "a", 3000), 1000, 200);
    pick_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"without load shares are as weights", without_load_shares_are_as_weights},
    {"the less busy of two is taken", the_less_busy_of_two_is_taken},
    {"load is seen by weight", load_is_seen_by_weight},
    {"the quicker of two is taken until it is forgotten", the_quicker_of_two_is_taken_until_it_is_forgotten},
    {"a worker's own latency counts before that of others", a_workers_own_latency_counts_before_that_of_others},
    {"the age of what waits counts", the_age_of_what_waits_counts},
    {"a hanging one gets nothing however many there are", a_hanging_one_gets_nothing_however_many_there_are},
    {"weights at their limits do not overflow", weights_at_their_limits_do_not_overflow},
    {"a new one gets its share by age and use", a_new_one_gets_its_share_by_age_and_use},
    {"when all are new none is", when_all_are_new_none_is},
    {"under load a new one has less under way", under_load_a_new_one_has_less_under_way},
    {"round robin is exactly in turn", round_robin_is_exactly_in_turn},
    {"weighted turns are exact and smooth", weighted_turns_are_exact_and_smooth},
    {"the least busy is taken", the_least_busy_is_taken},
    {"a key stays where it is", a_key_stays_where_it_is},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
