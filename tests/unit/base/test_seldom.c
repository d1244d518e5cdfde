/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seldom.h"

#include "base/util.h"
#include "support/test.h"

#include <pthread.h>

static void the_first_is_told_at_once_and_the_others_are_counted(void)
{
    struct seldom seldom = {0};
    nsec_t now_ns = 1000 * NSEC_PER_SEC;
    expect_int(seldom_count(&seldom, now_ns, 10), 1);
    expect_int(seldom_count(&seldom, now_ns, 10), 0);
    expect_int(seldom_count(&seldom, now_ns + 9, 10), 0);
    expect_int(seldom_count(&seldom, now_ns + 10, 10), 3);
    expect_int(seldom_count(&seldom, now_ns + 19, 10), 0);
    expect_int(seldom_count(&seldom, now_ns + 1000, 10), 2);
}

#define N_THREADS 3
#define N_TIMES   10000

struct counting {
    struct seldom *seldom;
    uint64_t n_told;
};

static void *count_many(void *ctx)
{
    struct counting *counting = ctx;
    for (nsec_t i = 0; i < N_TIMES; i++)
        counting->n_told += seldom_count(counting->seldom, i, 7);
    return NULL;
}

static void none_is_told_twice_or_lost(void)
{
    struct seldom seldom = {0};
    struct counting counting[N_THREADS];
    pthread_t threads[N_THREADS];
    uint64_t n_told = 0;
    for (unsigned i = 0; i < N_THREADS; i++) {
        counting[i] = (struct counting){.seldom = &seldom};
        expect_int(pthread_create(&threads[i], NULL, count_many, &counting[i]), 0);
    }
    for (unsigned i = 0; i < N_THREADS; i++) {
        expect_int(pthread_join(threads[i], NULL), 0);
        n_told += counting[i].n_told;
    }
    expect_int(n_told + seldom_count(&seldom, 2L * N_TIMES, 7), N_THREADS * N_TIMES + 1);
}

static const struct test_case cases[] = {
    {"the first is told at once, and the others are counted", the_first_is_told_at_once_and_the_others_are_counted},
    {"none is told twice or lost", none_is_told_twice_or_lost},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
