/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/throttle.h"

#include "support/addrs.h"
#include "support/test.h"

#include <pthread.h>

static const struct hash_key key = {1, 2};

/* How many of n that come at once are served. */
static unsigned n_admitted(struct throttle *throttle, struct peer peer, unsigned rate, unsigned burst, unsigned n,
                           nsec_t now_ns)
{
    const struct throttle_limit limit = {rate, burst};
    unsigned n_good = 0;
    for (unsigned i = 0; i < n; i++)
        n_good += throttle_admit(throttle, &peer, &limit, now_ns);
    return n_good;
}

static void a_burst_then_the_rate(void)
{
    struct throttle *throttle;
    expect_int(throttle_new(&key, &throttle), 0);
    struct peer peer = peer_of("192.0.2.1:1000");
    nsec_t now_ns = 1000 * NSEC_PER_SEC;
    expect_int(n_admitted(throttle, peer, 10, 5, 100, now_ns), 5);
    expect_int(n_admitted(throttle, peer, 10, 5, 100, now_ns + 99 * NSEC_PER_MSEC), 0);
    expect_int(n_admitted(throttle, peer, 10, 5, 100, now_ns + 100 * NSEC_PER_MSEC), 1);
    expect_int(n_admitted(throttle, peer, 10, 5, 100, now_ns + 300 * NSEC_PER_MSEC), 2);
    expect_int(n_admitted(throttle, peer, 10, 5, 100, now_ns + 60 * NSEC_PER_SEC), 5); /* never more at once */
    unsigned n = 0;
    for (unsigned i = 0; i < 1000; i++)
        n += n_admitted(throttle, peer, 10, 5, 1, now_ns + 100 * NSEC_PER_SEC + i * 10 * NSEC_PER_MSEC);
    expect_true(n >= 100 && n <= 106); /* 10 s */
    throttle_free(throttle);
    throttle_free(NULL);
}

static void addresses_are_counted_apart_and_ports_together(void)
{
    struct throttle *throttle;
    expect_int(throttle_new(&key, &throttle), 0);
    expect_int(n_admitted(throttle, peer_of("192.0.2.1:1"), 1, 3, 10, NSEC_PER_SEC), 3);
    expect_int(n_admitted(throttle, peer_of("192.0.2.1:2"), 1, 3, 10, NSEC_PER_SEC), 0);
    expect_int(n_admitted(throttle, peer_of("192.0.2.2:1"), 1, 3, 10, NSEC_PER_SEC), 3);
    expect_int(n_admitted(throttle, peer_of("[2001:db8::1]:1"), 1, 3, 10, NSEC_PER_SEC), 3);
    expect_int(n_admitted(throttle, peer_of("[2001:db8::ffff:2]:1"), 1, 3, 10, NSEC_PER_SEC), 0); /* the same /64 */
    expect_int(n_admitted(throttle, peer_of("[2001:db8:0:1::1]:1"), 1, 3, 10, NSEC_PER_SEC), 3);
    expect_int(n_admitted(throttle, (struct peer){.family = AF_UNIX}, 1, 3, 10, NSEC_PER_SEC), 10);
    throttle_free(throttle);
}

static void who_comes_from_a_million_addresses_keeps_nobody_out(void)
{
    struct throttle *throttle;
    expect_int(throttle_new(&key, &throttle), 0);
    const struct throttle_limit limit = {1, 10};
    for (uint32_t i = 0; i < 1000000; i++) {
        struct peer peer = {.family = AF_INET};
        memcpy(peer.ip, &i, sizeof(i));
        expect_true(throttle_admit(throttle, &peer, &limit, NSEC_PER_SEC));
    }
    expect_int(n_admitted(throttle, peer_of("192.0.2.1:1"), 1, 3, 10, NSEC_PER_SEC), 3);
    throttle_free(throttle);
}

struct asking {
    struct throttle *throttle;
    unsigned n_good;
};

static void *ask_many(void *ctx)
{
    struct asking *asking = ctx;
    asking->n_good = n_admitted(asking->throttle, peer_of("192.0.2.1:1"), 1, 1000, 20000, NSEC_PER_SEC);
    return NULL;
}

static void the_limit_is_one_for_all_workers(void)
{
    struct throttle *throttle;
    struct asking asking[3];
    pthread_t threads[3];
    unsigned n_good = 0;
    expect_int(throttle_new(&key, &throttle), 0);
    expect_int(n_admitted(throttle, peer_of("192.0.2.1:1"), 1, 1000, 1, NSEC_PER_SEC), 1);
    for (unsigned i = 0; i < 3; i++) {
        asking[i] = (struct asking){.throttle = throttle};
        expect_int(pthread_create(&threads[i], NULL, ask_many, &asking[i]), 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        expect_int(pthread_join(threads[i], NULL), 0);
        n_good += asking[i].n_good;
    }
    expect_int(n_good, 999);
    throttle_free(throttle);
}

static const struct test_case cases[] = {
    {"a burst, then the rate", a_burst_then_the_rate},
    {"addresses are counted apart, and their ports together", addresses_are_counted_apart_and_ports_together},
    {"who comes from a million addresses keeps nobody out", who_comes_from_a_million_addresses_keeps_nobody_out},
    {"the limit is one for all workers", the_limit_is_one_for_all_workers},
};

int main(int argc, char **argv)
{
    return test_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
