/* SPDX-License-Identifier: Apache-2.0 */
#include "http/talkers.h"

#include "support/test.h"

#include <pthread.h>
#include <string.h>

#define SECONDS NSEC_PER_SEC

static struct talkers *make(unsigned n_slots)
{
    struct talkers *talkers;
    expect_int(talkers_new(n_slots, &talkers), 0);
    return talkers;
}

static struct peer host(unsigned number)
{
    struct peer peer = {.family = AF_INET, .port = (uint16_t)(1000 + number)};
    memcpy(peer.ip, &number, sizeof(number));
    return peer;
}

static void say(struct talkers *talkers, unsigned slot, unsigned number, unsigned n_requests, uint64_t n_bytes,
                nsec_t now_ns)
{
    const struct peer peer = host(number);
    talkers_count(talkers, slot, &peer, n_requests, n_bytes, now_ns);
}

static void those_who_talk_most_come_first(void)
{
    struct talkers *talkers = make(2);
    struct talker top[TALKERS_TOP_MAX];
    say(talkers, 0, 1, 10, 100, SECONDS);
    say(talkers, 0, 2, 30, 0, SECONDS);
    say(talkers, 1, 1, 25, 50, 2 * SECONDS); /* another worker, another port */
    say(talkers, 1, 3, 1, (uint64_t)1024 * 1024, 2 * SECONDS);
    expect_int(talkers_top(talkers, 3 * SECONDS, top), 3);
    expect_int(top[0].peer.ip[0], 3); /* few requests, and much to send */
    expect_int(top[1].peer.ip[0], 1);
    expect_int(top[1].peer.port, 0);
    expect_int(top[1].n_requests, 35);
    expect_int(top[1].n_bytes, 150);
    expect_int(top[1].requests_per_minute, 35);
    expect_int(top[2].peer.ip[0], 2);
    talkers_free(talkers);
}

static void what_was_counts_less_and_less(void)
{
    struct talkers *talkers = make(1);
    struct talker top[TALKERS_TOP_MAX];
    say(talkers, 0, 1, 600, 0, 30 * SECONDS);
    expect_int(talkers_top(talkers, 60 * SECONDS, top), 1);
    expect_int(top[0].requests_per_minute, 600);
    expect_int(talkers_top(talkers, 90 * SECONDS, top), 1);
    expect_int(top[0].requests_per_minute, 300);
    expect_int(talkers_top(talkers, 121 * SECONDS, top), 1);
    expect_int(top[0].requests_per_minute, 0);
    expect_int(top[0].n_requests, 600);
    talkers_free(talkers);
}

/* Many strangers push out each other, and none of those that are looked for. */
static void strangers_do_not_push_out_who_talks(void)
{
    struct talkers *talkers = make(1);
    struct talker top[TALKERS_TOP_MAX];
    for (unsigned i = 1; i <= 3; i++)
        say(talkers, 0, i, 1000 * i, 0, SECONDS);
    for (unsigned i = 100; i < 100000; i++)
        say(talkers, 0, i, 1, 10, SECONDS + i);
    expect_int(talkers_top(talkers, 10 * SECONDS, top), TALKERS_TOP_MAX);
    for (unsigned i = 0; i < 3; i++) {
        expect_int(top[i].peer.ip[0], 3 - i);
        expect_int(top[i].n_requests, 1000 * (3 - i));
    }
    talkers_free(talkers);
}

static void families_are_told_apart(void)
{
    struct talkers *talkers = make(1);
    struct talker top[TALKERS_TOP_MAX];
    struct peer local = {.family = AF_UNIX}, six = {.family = AF_INET6}, four = {.family = AF_INET};
    talkers_count(talkers, 0, &local, 3, 0, SECONDS);
    talkers_count(talkers, 0, &six, 2, 0, SECONDS);
    talkers_count(talkers, 0, &four, 1, 0, SECONDS);
    expect_int(talkers_top(talkers, SECONDS, top), 3);
    expect_int(top[0].peer.family, AF_UNIX);
    expect_int(top[2].peer.family, AF_INET);
    talkers_free(talkers);
}

/* More clients than there are places, over several minutes; in the end the first one is there with all that he said. */
enum { N_COUNTED = 40000, N_STRANGERS = 2000 };

static void *count_many(void *arg)
{
    for (unsigned n = 0; n < N_COUNTED; n++) {
        nsec_t now_ns = (nsec_t)n * 5 * NSEC_PER_MSEC;
        say(arg, 0, 1, 3, 10, now_ns);
        say(arg, 0, 2 + n % N_STRANGERS, 1, 10, now_ns);
    }
    return NULL;
}

static void it_may_be_asked_while_a_worker_counts(void)
{
    struct talkers *talkers = make(1);
    struct talker top[TALKERS_TOP_MAX];
    pthread_t thread;
    expect_int(pthread_create(&thread, NULL, count_many, talkers), 0);
    do
        expect_true(talkers_top(talkers, N_COUNTED * 5 * NSEC_PER_MSEC, top) >= 0);
    while (pthread_tryjoin_np(thread, NULL) != 0);
    expect_true(talkers_top(talkers, N_COUNTED * 5 * NSEC_PER_MSEC, top) > 1);
    expect_int(top[0].peer.ip[0], 1);
    expect_int(top[0].n_requests, 3 * N_COUNTED);
    talkers_free(talkers);
}

static const struct test_case cases[] = {
    {"etcd#8576: those who talk most come first", those_who_talk_most_come_first},
    {"what was counts less and less", what_was_counts_less_and_less},
    {"strangers do not push out who talks", strangers_do_not_push_out_who_talks},
    {"families are told apart", families_are_told_apart},
    {"it may be asked while a worker counts", it_may_be_asked_while_a_worker_counts},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
