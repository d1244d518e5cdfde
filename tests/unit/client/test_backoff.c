/* SPDX-License-Identifier: Apache-2.0 */
#include "base/backoff.h"

#include "support/test.h"

static void waits_grow_up_to_a_limit(void)
{
    struct backoff backoff = {0};
    struct random random;
    nsec_t most_ns = BACKOFF_FIRST_NS;
    random_init(&random, 1);
    for (unsigned i = 0; i < 20; i++) {
        nsec_t wait_ns = backoff_next(&backoff, &random);
        expect_true(wait_ns >= most_ns / 2 && wait_ns <= most_ns);
        most_ns = most_ns * 2 < BACKOFF_MAX_NS ? most_ns * 2 : BACKOFF_MAX_NS;
    }
    backoff_reset(&backoff);
    expect_true(backoff_next(&backoff, &random) <= BACKOFF_FIRST_NS);
}

/* A thousand clients that lost their registry in one moment. */
static void clients_do_not_come_back_together(void)
{
    unsigned per_tenth[10] = {0};
    for (unsigned client = 0; client < 1000; client++) {
        struct backoff backoff = {.last_ns = BACKOFF_MAX_NS};
        struct random random;
        random_init(&random, client);
        nsec_t wait_ns = backoff_next(&backoff, &random);
        nsec_t tenth_ns = BACKOFF_MAX_NS / 2 / 10;
        nsec_t tenth = (wait_ns - BACKOFF_MAX_NS / 2) / tenth_ns;
        per_tenth[tenth < 10 ? tenth : 9]++;
    }
    for (unsigned i = 0; i < 10; i++)
        expect_true(per_tenth[i] > 60 && per_tenth[i] < 140);
}

static const struct test_case cases[] = {
    {"waits grow, up to a limit", waits_grow_up_to_a_limit},
    {"consul#5064: clients do not come back together", clients_do_not_come_back_together},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
