/* SPDX-License-Identifier: Apache-2.0 */
#include "catalog/flap.h"

#include "support/test.h"

#define MINUTE (60 * NSEC_PER_SEC)

static const struct flap_rules rules = {.half_life_ns = MINUTE, .suppress = 400, .reuse = 150};

static void a_penalty_halves(void)
{
    struct flap flap = {0};
    expect_int(flap_penalty(&flap, &rules, 0), 0);
    flap_add(&flap, &rules, MINUTE);
    expect_int(flap_penalty(&flap, &rules, MINUTE), 100);
    expect_int(flap_penalty(&flap, &rules, 2 * MINUTE), 50);
    expect_int(flap_penalty(&flap, &rules, 3 * MINUTE), 25);
    expect_int(flap_penalty(&flap, &rules, 100 * MINUTE), 0);
    expect_int(flap_penalty(&flap, &rules, 0), 100); /* a clock that stands still takes nothing away */
}

static void departures_add_up_to_a_ceiling(void)
{
    struct flap flap = {0};
    for (unsigned i = 1; i <= 100; i++) {
        flap_add(&flap, &rules, 5);
        expect_int(flap.penalty, i < 16 ? i * 100 : 1600);
    }
    flap_forgive(&flap, &rules, 5);
    expect_int(flap.penalty, 1500);
    flap = (struct flap){50, 5};
    flap_forgive(&flap, &rules, 5);
    expect_int(flap.penalty, 0);
}

static void it_falls_as_the_exponential_does(void)
{
    const struct flap flap = {1600, 0};
    uint32_t before = 1600;
    double exact = 1600;
    for (nsec_t at = 0; at < 5 * MINUTE; at += NSEC_PER_SEC) {
        uint32_t left = flap_penalty(&flap, &rules, at);
        expect_true(left <= before);
        expect_true(left <= 1.07 * exact + 1 && left >= 0.99 * exact - 1);
        before = left;
        exact *= 0.98851402035289613; /* the 60th root of a half */
    }
}

static void the_moment_of_a_level_is_the_first_one(void)
{
    uint64_t seed = test_seed();
    for (unsigned i = 0; i < 2000; i++) {
        const struct flap flap = {(uint32_t)(test_random(&seed) % 1601), (nsec_t)(test_random(&seed) % (2 * MINUTE))};
        uint32_t level = (uint32_t)(test_random(&seed) % 400);
        nsec_t now = flap.at_ns + (nsec_t)(test_random(&seed) % (3 * MINUTE));
        nsec_t at = flap_falls_to(&flap, &rules, level, now);
        expect_true(at >= now);
        expect_true(flap_penalty(&flap, &rules, at) <= level);
        expect_true(at == now || flap_penalty(&flap, &rules, at - 1) > level);
    }
}

static const struct test_case cases[] = {
    {"a penalty halves with each half-life", a_penalty_halves},
    {"departures add up, to a ceiling", departures_add_up_to_a_ceiling},
    {"it falls as the exponential does", it_falls_as_the_exponential_does},
    {"the moment at which it falls to a level is the first one", the_moment_of_a_level_is_the_first_one},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
