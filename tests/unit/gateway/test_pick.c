/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pick.h"

#include "support/plan_kit.h"
#include "support/test.h"

#include <stdio.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

#define NOW_NS (1000 * S)

/* A service, who asks, and how often each was taken. */
struct bench {
    struct plan_kit kit;
    struct random random;
    struct pick_request request;
    struct pick_result result;
};

static void bench_init(struct bench *bench, enum balance balance)
{
    *bench = (struct bench){.request = {.balance = balance, .now_ns = NOW_NS}};
    plan_kit_init(&bench->kit);
    random_init(&bench->random, 20261121); /* always the same: what is counted has limits that chance could break */
}

static void bench_deinit(struct bench *bench)
{
    plan_kit_deinit(&bench->kit);
}

static void put(struct bench *bench, const char *id, unsigned weight)
{
    plan_kit_put(&bench->kit, &(struct plan_kit_instance){.id = id, .weight = weight});
}

/* Three alike. */
static void put_three(struct bench *bench)
{
    put(bench, "a", 1);
    put(bench, "b", 1);
    put(bench, "c", 1);
    expect_true(plan_kit_make(&bench->kit));
}

/* The id of who was taken; "": nobody. */
static const char *taken(struct bench *bench)
{
    static char id[64];
    pick(bench->kit.service, &bench->request, &bench->random, &bench->result);
    struct slice name = bench->result.target ? bench->result.target->runtime->id : SLICE_LIT("");
    (void)snprintf(id, sizeof(id), "%.*s", SLICE_ARG(name));
    return id;
}

static unsigned count_taken(struct bench *bench, const char *id, unsigned n)
{
    unsigned n_taken = 0;
    for (unsigned i = 0; i < n; i++)
        n_taken += strcmp(taken(bench), id) == 0;
    return n_taken;
}

static void expect_near(unsigned n, unsigned expected, unsigned by)
{
    if (n + by < expected || n > expected + by)
        test_fail(__FILE__, __LINE__, "%u is not within %u of %u", n, by, expected);
}

static void set_trouble(struct bench *bench, const char *id, enum runtime_trouble trouble)
{
    runtime_set(plan_kit_target(&bench->kit, id)->runtime, trouble);
}

static void try_all_but(struct bench *bench, const char *left)
{
    struct plan_cursor at = {.service = bench->kit.service};
    bench->request.n_tried = 0;
    for (const struct target *target; (target = plan_next(&at));)
        if (!slice_equal_str(target->runtime->id, left))
            bench->request.tried[bench->request.n_tried++] = target->runtime;
}

/* ------------------------------------------------------------------------------------------------ who may be taken */

static const enum balance all_balances[] = {BALANCE_P2C, BALANCE_ROUND_ROBIN, BALANCE_RANDOM, BALANCE_LEAST,
                                            BALANCE_HASH};

static void of_none_nobody_is_taken(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 0);
    expect_true(plan_kit_make(&bench.kit));
    expect_int(bench.kit.service->n_withheld, 1);
    expect_str(taken(&bench), "");
    expect_int(bench.result.n_draws, 0);
    bench_deinit(&bench);
}

/* Whatever the algorithm, and however many there are. */
static void the_only_one_that_may_be_taken_is_taken(void)
{
    static const unsigned sizes[] = {1, 2, 3, 9, 40, 300};
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
            struct bench bench;
            bench_init(&bench, all_balances[b]);
            bench.kit.has_points = true;
            bench.request.has_key = true;
            plan_kit_put_many(&bench.kit, sizes[s]);
            expect_true(plan_kit_make(&bench.kit));
            struct plan_cursor at = {.service = bench.kit.service};
            for (const struct target *target; (target = plan_next(&at));)
                if (!slice_equal_str(target->runtime->id, "i0000"))
                    runtime_set(target->runtime, RUNTIME_STALLED);
            for (bench.request.key = 0; bench.request.key < 20; bench.request.key++)
                expect_str(taken(&bench), "i0000");
            expect_int(bench.result.tier, PICK_NEAR);
            bench_deinit(&bench);
        }
    }
}

static void those_suspected_are_taken_rather_than_nobody(void)
{
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        struct bench bench;
        bench_init(&bench, all_balances[b]);
        put_three(&bench);
        set_trouble(&bench, "a", RUNTIME_STALLED);
        set_trouble(&bench, "b", RUNTIME_EJECTED);
        plan_kit_target(&bench.kit, "b")->runtime->ejected_until_ns = NOW_NS + S;
        set_trouble(&bench, "c", RUNTIME_GONE);
        expect_int(count_taken(&bench, "c", 100), 0);
        expect_true(bench.result.target);
        set_trouble(&bench, "a", RUNTIME_GONE);
        set_trouble(&bench, "b", RUNTIME_GONE);
        expect_str(taken(&bench), "");
        bench_deinit(&bench);
    }
}

static void what_was_tried_is_never_taken_again(void)
{
    for (unsigned b = 0; b < ARRAY_LEN(all_balances); b++) {
        struct bench bench;
        bench_init(&bench, all_balances[b]);
        put_three(&bench);
        try_all_but(&bench, "b");
        expect_int(count_taken(&bench, "b", 100), 100);
        try_all_but(&bench, "");
        expect_str(taken(&bench), "");
        bench_deinit(&bench);
    }
}

static void an_ejection_ends_by_itself(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_RANDOM);
    put_three(&bench);
    set_trouble(&bench, "a", RUNTIME_EJECTED);
    plan_kit_target(&bench.kit, "a")->runtime->ejected_until_ns = NOW_NS + S;
    expect_int(count_taken(&bench, "a", 200), 0);
    bench.request.now_ns += S;
    expect_true(count_taken(&bench, "a", 200) > 0);
    bench_deinit(&bench);
}

static void the_last_resort_comes_last(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 1);
    plan_kit_put(&bench.kit,
                 &(struct plan_kit_instance){.id = "b", .weight = 1, .reasons = 1U << INSTANCE_REASON_SUSPECT});
    plan_kit_put(&bench.kit,
                 &(struct plan_kit_instance){.id = "c", .weight = 1, .reasons = 1U << INSTANCE_REASON_DRAINING});
    expect_true(plan_kit_make(&bench.kit));
    expect_int(bench.kit.service->n_withheld, 1);
    expect_int(count_taken(&bench, "a", 50), 50);
    set_trouble(&bench, "a", RUNTIME_STALLED);
    expect_int(count_taken(&bench, "b", 50), 50);
    expect_int(bench.result.tier, PICK_RESORT);
    set_trouble(&bench, "b", RUNTIME_GONE);
    expect_str(taken(&bench), "a");
    bench_deinit(&bench);
}

static void those_near_come_first(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    bench.kit.settings.zone = SLICE_LIT("z1");
    plan_kit_set_settings(&bench.kit);
    plan_kit_put(&bench.kit, &(struct plan_kit_instance){.id = "a", .weight = 1, .zone = "z1"});
    plan_kit_put(&bench.kit, &(struct plan_kit_instance){.id = "b", .weight = 1, .zone = "z2"});
    expect_true(plan_kit_make(&bench.kit));
    expect_int(count_taken(&bench, "a", 50), 50);
    expect_int(bench.result.n_candidates, 1);
    set_trouble(&bench, "a", RUNTIME_STALLED);
    expect_int(count_taken(&bench, "b", 50), 50);
    expect_int(bench.result.tier, PICK_OFFERED);
    plan_kit_remove(&bench.kit, "a");
    expect_true(plan_kit_make(&bench.kit));
    expect_str(taken(&bench), "b");
    bench_deinit(&bench);
}

static void stickiness_yields_to_health(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put_three(&bench);
    bench.request.sticky = SLICE_LIT("b");
    expect_int(count_taken(&bench, "b", 50), 50);
    expect_int(bench.result.tier, PICK_STICKY);
    set_trouble(&bench, "b", RUNTIME_STALLED);
    expect_int(count_taken(&bench, "b", 50), 0);
    expect_int(bench.result.draws[0].verdict, PICK_STALLED);
    bench.request.sticky = SLICE_LIT("nobody");
    expect_true(taken(&bench)[0] != '\0');
    bench_deinit(&bench);
}

/* ------------------------------------------------------------------------------------------------ P2C */

static void without_load_shares_are_as_weights(void)
{
    static const enum balance by_weight[] = {BALANCE_P2C, BALANCE_RANDOM, BALANCE_LEAST};
    for (unsigned i = 0; i < ARRAY_LEN(by_weight); i++) {
        struct bench bench;
        bench_init(&bench, by_weight[i]);
        put(&bench, "a", 10);
        put(&bench, "b", 30);
        put(&bench, "c", 60);
        expect_true(plan_kit_make(&bench.kit));
        expect_near(count_taken(&bench, "a", 10000), 1000, 200);
        expect_near(count_taken(&bench, "c", 10000), 6000, 300);
        bench_deinit(&bench);
    }
}

static void the_less_busy_of_two_is_taken(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 1);
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    plan_kit_slot(&bench.kit, "a", 0)->n_in_flight = 2;
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = 1;
    plan_kit_slot(&bench.kit, "b", 1)->n_in_flight = 2;
    expect_int(count_taken(&bench, "a", 50), 50);
    expect_int(bench.result.n_draws, 2);
    bench_deinit(&bench);
}

/* Half as many at half the weight are as busy; whatever the scale of the weights. */
static void load_is_seen_by_weight(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 100);
    put(&bench, "b", 200);
    expect_true(plan_kit_make(&bench.kit));
    plan_kit_slot(&bench.kit, "a", 0)->n_in_flight = 5;
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = 9;
    expect_int(count_taken(&bench, "b", 50), 50);
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = 11;
    expect_int(count_taken(&bench, "a", 50), 50);
    bench_deinit(&bench);
}

static void set_latency(struct bench *bench, const char *id, unsigned worker, uint32_t latency_us, nsec_t at_ns)
{
    struct runtime_slot *slot = plan_kit_slot(&bench->kit, id, worker);
    slot->latency_us = latency_us;
    slot->latency_at_ns = at_ns;
}

static void the_quicker_of_two_is_taken_until_it_is_forgotten(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 1);
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    set_latency(&bench, "a", 0, 3000, NOW_NS);
    set_latency(&bench, "b", 0, 1000, NOW_NS);
    expect_int(count_taken(&bench, "b", 50), 50);
    set_latency(&bench, "a", 0, 1500, NOW_NS); /* the difference of two is noise */
    expect_near(count_taken(&bench, "a", 1000), 500, 100);
    set_latency(&bench, "a", 0, 3000, NOW_NS - 3 * PICK_LATENCY_HALF_NS);
    expect_int(count_taken(&bench, "a", 50), 50);
    bench_deinit(&bench);
}

static void a_workers_own_latency_counts_before_that_of_others(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 1);
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    set_latency(&bench, "a", 0, 9000, NOW_NS);
    set_latency(&bench, "a", 1, 1000, NOW_NS);
    set_latency(&bench, "b", 1, 4000, NOW_NS); /* ours is not known */
    expect_int(count_taken(&bench, "b", 50), 50);
    bench.request.worker = 1;
    expect_int(count_taken(&bench, "a", 50), 50);
    bench_deinit(&bench);
}

/* A frozen instance has few requests under way, since it takes none. */
static void the_age_of_what_waits_counts(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    put(&bench, "a", 1);
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    set_latency(&bench, "a", 0, 1000, NOW_NS);
    set_latency(&bench, "b", 0, 1000, NOW_NS);
    plan_kit_slot(&bench.kit, "a", 1)->n_in_flight = 1;
    plan_kit_slot(&bench.kit, "a", 1)->oldest_ns = NOW_NS - 50 * MS;
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = 20;
    plan_kit_slot(&bench.kit, "b", 0)->oldest_ns = NOW_NS - 1 * MS;
    expect_int(count_taken(&bench, "b", 50), 50);
    bench_deinit(&bench);
}

/* With draws that may coincide, one in nine picks has no choice; and one of many is as good as none of them. */
static void a_hanging_one_gets_nothing_however_many_there_are(void)
{
    static const unsigned sizes[] = {2, 3, 8, 9, 100};
    for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
        struct bench bench;
        bench_init(&bench, BALANCE_P2C);
        plan_kit_put_many(&bench.kit, sizes[s]);
        expect_true(plan_kit_make(&bench.kit));
        plan_kit_slot(&bench.kit, "i0001", 0)->oldest_ns = NOW_NS - S;
        expect_int(count_taken(&bench, "i0001", 20000), 0);
        bench_deinit(&bench);
    }
}

static void weights_at_their_limits_do_not_overflow(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    bench.request.slow_start_ns = 100 * S;
    put(&bench, "a", 65535);
    bench.kit.since_ns = RUNTIME_LONG_AGO;
    expect_true(plan_kit_make(&bench.kit));
    bench.kit.since_ns = NOW_NS;
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    plan_kit_slot(&bench.kit, "a", 0)->n_in_flight = 5;
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = UINT32_MAX;
    plan_kit_slot(&bench.kit, "b", 0)->oldest_ns = 1;
    expect_int(count_taken(&bench, "b", 1000), 0);
    bench_deinit(&bench);
}

/* ------------------------------------------------------------------------------------------------ slow start */

static unsigned share_of_new(struct bench *bench, nsec_t age_ns, uint64_t n_requests)
{
    bench->request.now_ns = NOW_NS + age_ns;
    plan_kit_slot(&bench->kit, "new", 0)->n_requests = n_requests;
    return count_taken(bench, "new", 20000);
}

static void a_new_one_gets_its_share_by_age_and_use(void)
{
    static const enum balance balances[] = {BALANCE_P2C, BALANCE_RANDOM, BALANCE_ROUND_ROBIN};
    for (unsigned i = 0; i < ARRAY_LEN(balances); i++) {
        for (unsigned n_old = 1; n_old < 20; n_old += 18) {
            struct bench bench;
            bench_init(&bench, balances[i]);
            bench.request.slow_start_ns = 10 * S;
            plan_kit_put_many(&bench.kit, n_old);
            expect_true(plan_kit_make(&bench.kit));
            bench.kit.since_ns = NOW_NS;
            put(&bench, "new", 1);
            expect_true(plan_kit_make(&bench.kit));
            const unsigned whole = 20000 / (n_old + 1);
            expect_true(share_of_new(&bench, 0, 0) < whole / 4);
            expect_true(share_of_new(&bench, 9 * S, 0) < whole / 4);
            unsigned half = share_of_new(&bench, 5 * S, PICK_WARM_REQUESTS);
            expect_true(half > whole * 4 / 10 && half < whole * 8 / 10);
            expect_near(share_of_new(&bench, 10 * S, 0), whole, whole / 5);
            bench_deinit(&bench);
        }
    }
}

static void when_all_are_new_none_is(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_RANDOM);
    bench.request.slow_start_ns = 10 * S;
    bench.kit.since_ns = NOW_NS - 5 * S;
    put(&bench, "a", 1);
    expect_true(plan_kit_make(&bench.kit));
    bench.kit.since_ns = NOW_NS;
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    expect_near(count_taken(&bench, "b", 10000), 5000, 300);
    bench_deinit(&bench);
}

static void under_load_a_new_one_has_less_under_way(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_P2C);
    bench.request.slow_start_ns = 10 * S;
    put(&bench, "a", 1);
    expect_true(plan_kit_make(&bench.kit));
    bench.kit.since_ns = NOW_NS;
    put(&bench, "b", 1);
    expect_true(plan_kit_make(&bench.kit));
    plan_kit_slot(&bench.kit, "a", 0)->n_in_flight = 8;
    plan_kit_slot(&bench.kit, "b", 0)->n_in_flight = 1;
    expect_int(count_taken(&bench, "a", 50), 50);
    bench_deinit(&bench);
}

/* ------------------------------------------------------------------------------------------------ in turn */

static void round_robin_is_exactly_in_turn(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_ROUND_ROBIN);
    put_three(&bench);
    for (unsigned i = 0; i < 300; i++) {
        bench.request.worker = i % PLAN_KIT_WORKERS;
        const char expected[] = {"abc"[i % 3], '\0'};
        expect_str(taken(&bench), expected);
    }
    set_trouble(&bench, "b", RUNTIME_STALLED);
    for (unsigned i = 0; i < 300; i++) {
        const char expected[] = {"ac"[i % 2], '\0'};
        expect_str(taken(&bench), expected);
    }
    bench_deinit(&bench);
}

static void take_turns(struct bench *bench, unsigned n_turns, unsigned n, const unsigned *weights, double *ret_worst)
{
    unsigned counts[8] = {0}, sum = 0;
    *ret_worst = 0;
    for (unsigned i = 0; i < n; i++)
        sum += weights[i];
    for (unsigned turn = 1; turn <= n_turns; turn++) {
        counts[taken(bench)[0] - 'a']++;
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
        struct bench bench;
        unsigned n = 0, sum = 0;
        bench_init(&bench, BALANCE_ROUND_ROBIN);
        for (; n < 4 && weights[w][n] > 0; n++) {
            put(&bench, (const char[]){(char)('a' + n), '\0'}, weights[w][n]);
            sum += weights[w][n];
        }
        expect_true(plan_kit_make(&bench.kit));
        double worst;
        take_turns(&bench, 3 * sum, n, weights[w], &worst);
        printf("# weights %u %u %u %u: never more than %.2f turns off\n", weights[w][0], weights[w][1], weights[w][2],
               weights[w][3], worst);
        expect_true(worst < 3);
        bench_deinit(&bench);
    }
}

static void the_least_busy_is_taken(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_LEAST);
    plan_kit_put_many(&bench.kit, PICK_LOOKS_MAX);
    expect_true(plan_kit_make(&bench.kit));
    struct plan_cursor at = {.service = bench.kit.service};
    for (const struct target *target; (target = plan_next(&at));)
        runtime_slot(target->runtime, 1)->n_in_flight = 4;
    plan_kit_slot(&bench.kit, "i0007", 1)->n_in_flight = 3;
    expect_int(count_taken(&bench, "i0007", 50), 50);
    bench_deinit(&bench);
}

/* ------------------------------------------------------------------------------------------------ keys */

static void a_key_stays_where_it_is(void)
{
    struct bench bench;
    bench_init(&bench, BALANCE_HASH);
    bench.kit.has_points = true;
    bench.request.has_key = true;
    put_three(&bench);
    for (unsigned i = 0; i < 50; i++) {
        bench.request.key = pick_key(slice_from(&i, sizeof(i)));
        char first[8];
        (void)snprintf(first, sizeof(first), "%s", taken(&bench));
        expect_int(count_taken(&bench, first, 10), 10);
        if (strcmp(first, "b") == 0)
            continue;
        set_trouble(&bench, "b", RUNTIME_STALLED); /* of others */
        expect_str(taken(&bench), first);
        runtime_clear(plan_kit_target(&bench.kit, "b")->runtime, RUNTIME_STALLED);
    }
    bench.request.has_key = false;
    expect_near(count_taken(&bench, "a", 3000), 1000, 200);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"of none nobody is taken", of_none_nobody_is_taken},
    {"the only one that may be taken is taken", the_only_one_that_may_be_taken_is_taken},
    {"those suspected are taken rather than nobody, those gone never", those_suspected_are_taken_rather_than_nobody},
    {"what was tried is never taken again", what_was_tried_is_never_taken_again},
    {"an ejection ends by itself", an_ejection_ends_by_itself},
    {"the last resort comes last", the_last_resort_comes_last},
    {"those near come first", those_near_come_first},
    {"stickiness yields to health", stickiness_yields_to_health},
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
