/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/guests.h"

#include "base/util.h"
#include "support/addrs.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <pthread.h>

static const struct hash_key key = {1, 2};

static int enter(struct guests *guests, const char *address, unsigned n_max)
{
    struct peer peer = peer_of(address);
    return guests_enter(guests, &peer, n_max);
}

static void leave(struct guests *guests, const char *address)
{
    struct peer peer = peer_of(address);
    guests_leave(guests, &peer);
}

static void so_many_may_come_and_who_leaves_makes_room(void)
{
    struct guests *guests;
    expect_int(guests_new(&key, &guests), 0);
    expect_int(enter(guests, "192.0.2.1:1", 2), 0);
    expect_int(enter(guests, "192.0.2.1:2", 2), 0);
    expect_int(enter(guests, "192.0.2.1:3", 2), GUESTS_FULL);
    expect_int(enter(guests, "192.0.2.2:1", 2), 0);
    leave(guests, "192.0.2.1:2");
    expect_int(enter(guests, "192.0.2.1:4", 2), 0);
    expect_int(enter(guests, "192.0.2.1:5", 2), GUESTS_FULL);
    leave(guests, "192.0.2.1:1");
    leave(guests, "192.0.2.1:4");
    leave(guests, "192.0.2.2:1");
    guests_free(guests);
    guests_free(NULL);
}

static void who_has_no_limit_is_counted_for_the_day_when_he_has(void)
{
    struct guests *guests;
    expect_int(guests_new(&key, &guests), 0);
    for (unsigned i = 0; i < 5; i++)
        expect_int(enter(guests, "192.0.2.1:1", 0), 0);
    expect_int(enter(guests, "192.0.2.1:1", 5), GUESTS_FULL);
    expect_int(enter(guests, "192.0.2.1:1", 6), 0);
    for (unsigned i = 0; i < 6; i++)
        leave(guests, "192.0.2.1:1");
    guests_free(guests);
}

static void networks_of_ipv6_are_one_client_and_unix_sockets_none(void)
{
    struct guests *guests;
    const struct peer local = {.family = AF_UNIX};
    expect_int(guests_new(&key, &guests), 0);
    expect_int(enter(guests, "[2001:db8::1]:1", 1), 0);
    expect_int(enter(guests, "[2001:db8::ffff:2]:1", 1), GUESTS_FULL);
    expect_int(enter(guests, "[2001:db8:0:1::1]:1", 1), 0);
    leave(guests, "[2001:db8::ffff:2]:1");
    leave(guests, "[2001:db8:0:1::1]:1");
    for (unsigned i = 0; i < 3; i++)
        expect_int(guests_enter(guests, &local, 1), 0);
    guests_leave(guests, &local);
    guests_free(guests);
}

#define N_THREADS 3
#define N_MAX     100

static void *come(void *ctx)
{
    struct guests *guests = ctx;
    for (unsigned i = 0; i < N_MAX; i++)
        (void)enter(guests, "192.0.2.1:1", N_MAX);
    return NULL;
}

static void *come_and_go(void *ctx)
{
    struct guests *guests = ctx;
    struct peer own = {.family = AF_INET}, shared = peer_of("192.0.2.1:1");
    for (uint32_t i = 0; i < 20000; i++) {
        memcpy(own.ip, &i, sizeof(i));
        expect_int(guests_enter(guests, &own, N_THREADS), 0);
        expect_int(guests_enter(guests, &shared, N_THREADS), 0); /* each thread has one at a time */
        guests_leave(guests, &shared);
        guests_leave(guests, &own);
    }
    return NULL;
}

static void run_threads(void *(*fn)(void *ctx), struct guests *guests)
{
    pthread_t threads[N_THREADS];
    for (unsigned i = 0; i < N_THREADS; i++)
        expect_int(pthread_create(&threads[i], NULL, fn, guests), 0);
    for (unsigned i = 0; i < N_THREADS; i++)
        expect_int(pthread_join(threads[i], NULL), 0);
}

static void the_limit_is_one_for_all_workers(void)
{
    struct guests *guests;
    expect_int(guests_new(&key, &guests), 0);
    run_threads(come_and_go, guests);
    run_threads(come, guests);
    expect_int(enter(guests, "192.0.2.1:1", N_MAX), GUESTS_FULL);
    for (unsigned i = 0; i < N_MAX; i++)
        leave(guests, "192.0.2.1:1");
    guests_free(guests); /* which asserts that all have left */
}

static int some_come(void *arg)
{
    (void)arg;
    struct guests *guests;
    int r = guests_new(&key, &guests);
    if (r < 0)
        return r;
    struct peer peer = {.family = AF_INET};
    for (; r == 0 && peer.ip[3] < 100; peer.ip[3]++)
        r = guests_enter(guests, &peer, 0);
    unsigned n = r == 0 ? peer.ip[3] : peer.ip[3] - 1U;
    for (peer.ip[3] = 0; peer.ip[3] < n; peer.ip[3]++)
        guests_leave(guests, &peer);
    guests_free(guests);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(some_come, NULL) > 100);
}

static const struct test_case cases[] = {
    {"so many may come, and who leaves makes room", so_many_may_come_and_who_leaves_makes_room},
    {"who has no limit is counted for the day when he has", who_has_no_limit_is_counted_for_the_day_when_he_has},
    {"networks of IPv6 are one client, and Unix sockets none", networks_of_ipv6_are_one_client_and_unix_sockets_none},
    {"the limit is one for all workers", the_limit_is_one_for_all_workers},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
