/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include "support/test.h"

static void repeats_with_the_same_seed(void)
{
    struct random one, two, other;
    random_init(&one, 42);
    random_init(&two, 42);
    random_init(&other, 43);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t number = random_u64(&one);
        expect_true(number == random_u64(&two));
        differs |= number != random_u64(&other);
    }
    expect_true(differs);
}

/* The first numbers of the authors' xoshiro256starstar.c for the state 1, 2, 3, 4. */
static void gives_the_published_values(void)
{
    struct random rng = {{1, 2, 3, 4}};
    expect_true(random_u64(&rng) == 11520);
    expect_true(random_u64(&rng) == 0);
    expect_true(random_u64(&rng) == 1509978240);
    expect_true(random_u64(&rng) == 1215971899390074240);
}

static void differs_when_seeded_by_the_kernel(void)
{
    struct random one, two;
    expect_int(random_init_system(&one), 0);
    expect_int(random_init_system(&two), 0);
    expect_true(random_u64(&one) != random_u64(&two));
}

static void stays_below_the_bound(void)
{
    struct random rng;
    random_init(&rng, test_seed());
    for (int i = 0; i < 1000; i++) {
        expect_int(random_below(&rng, 1), 0);
        expect_true(random_below(&rng, 3) < 3);
        expect_true(random_below(&rng, UINT64_MAX) < UINT64_MAX);
        expect_true(random_below(&rng, (uint64_t)3 << 62) < (uint64_t)3 << 62);
    }
}

static void is_even_below_a_bound(void)
{
    enum { BOUND = 10, DRAWS = 100000 };
    struct random rng;
    random_init(&rng, 1);
    int counts[BOUND] = {0};
    for (int i = 0; i < DRAWS; i++)
        counts[random_below(&rng, BOUND)]++;
    /* The standard deviation of a count is 95, and the seed is fixed. */
    for (int i = 0; i < BOUND; i++)
        expect_true(counts[i] > DRAWS / BOUND - 500 && counts[i] < DRAWS / BOUND + 500);
}

static void ask_for_nothing(void *arg)
{
    (void)random_below(arg, 0);
}

static void the_bound_zero_is_a_bug(void)
{
    struct random rng;
    random_init(&rng, 1);
    expect_abort(ask_for_nothing, &rng);
}

static const struct test_case cases[] = {
    {"the same seed gives the same numbers", repeats_with_the_same_seed},
    {"the published values come out", gives_the_published_values},
    {"the kernel seeds differently each time", differs_when_seeded_by_the_kernel},
    {"numbers stay below their bound", stays_below_the_bound},
    {"numbers below a bound are even", is_even_below_a_bound},
    {"the bound zero is a bug", the_bound_zero_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
