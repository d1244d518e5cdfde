/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/edges.h"

#include "base/util.h"
#include "support/test.h"

#include <pthread.h>
#include <stdatomic.h>

static const struct hash_key key = {1, 2};

static struct edges *new_edges(void)
{
    struct edges *edges;
    expect_int(edges_new(&key, &edges), 0);
    return edges;
}

static struct peer peer_of(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct peer){AF_INET, 1234, {a, b, c, d}};
}

struct seen {
    unsigned n, n_by_kind[EDGE_OTHER + 1];
    uint64_t n_requests;
    struct edge last;
};

static void note(void *ctx, const struct edge *edge)
{
    struct seen *seen = ctx;
    seen->n++;
    seen->n_by_kind[edge->kind]++;
    seen->n_requests += edge->n_requests;
    seen->last = *edge;
}

static struct seen look(struct edges *edges, nsec_t now_ns)
{
    struct seen seen = {0};
    edges_each(edges, now_ns, note, &seen);
    return seen;
}

static void an_edge_counts_its_requests_and_errors(void)
{
    struct edges *edges = new_edges();
    struct peer peer = peer_of(10, 0, 0, 7), other_port = peer;
    other_port.port = 1;
    for (unsigned i = 0; i < 100; i++)
        edges_count(edges, (struct slice){0}, i % 2 ? &peer : &other_port, 77, i < 3, (10 + i / 10) * NSEC_PER_SEC);
    struct seen seen = look(edges, 20 * NSEC_PER_SEC);
    expect_int(seen.n, 1);
    expect_int(seen.last.kind, EDGE_ADDRESS);
    expect_int(seen.last.service, 77);
    expect_int(seen.last.n_requests, 100);
    expect_int(seen.last.n_errors, 3);
    expect_int(seen.last.peer.port, 0);
    expect_true(seen.last.rate == 10);
    expect_true(look(edges, 25 * NSEC_PER_SEC).last.rate < 7);
    expect_true(look(edges, 45 * NSEC_PER_SEC).last.rate == 0);
    expect_int(look(edges, 45 * NSEC_PER_SEC).n, 1); /* it is remembered */
    edges_free(edges);
    edges_free(NULL);
}

static void a_certificate_counts_more_than_an_address(void)
{
    struct edges *edges = new_edges();
    struct peer peer = peer_of(10, 0, 0, 7), other = peer_of(10, 0, 0, 8);
    edges_count(edges, SLICE_LIT("robot"), &peer, 77, false, 0);
    edges_count(edges, SLICE_LIT("robot"), &other, 77, false, 0);
    edges_count(edges, SLICE_LIT("robot"), &other, 78, false, 0);
    struct seen seen = look(edges, 0);
    expect_int(seen.n, 2); /* to two services */
    expect_int(seen.n_by_kind[EDGE_CERTIFICATE], 2);
    expect_slice(seen.last.caller, "robot");
    edges_free(edges);
}

static void what_has_no_room_is_counted_by_kind(void)
{
    struct edges *edges = new_edges();
    for (unsigned i = 0; i < 200000; i++) {
        struct peer peer = i % 2 ? peer_of(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i)
                                 : peer_of(203, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
        edges_count(edges, (struct slice){0}, &peer, 77, false, NSEC_PER_SEC);
    }
    struct seen seen = look(edges, NSEC_PER_SEC);
    expect_true(seen.n <= EDGES_MAX && seen.n > EDGES_MAX / 2);
    expect_int(seen.n_by_kind[EDGE_PRIVATE], 1);
    expect_int(seen.n_by_kind[EDGE_OTHER], 1);

    /* Later those are gone, and a new one has a place of its own. */
    struct peer late = peer_of(10, 9, 9, 9);
    edges_count(edges, (struct slice){0}, &late, 1234567, false, 200 * NSEC_PER_SEC);
    edges_count(edges, (struct slice){0}, &late, 1234567, false, 200 * NSEC_PER_SEC);
    bool is_found = false;
    seen = look(edges, 200 * NSEC_PER_SEC);
    is_found = seen.n_by_kind[EDGE_ADDRESS] > 0;
    expect_true(is_found);
    edges_free(edges);
}

struct counting {
    struct edges *edges;
    _Atomic bool is_over;
};

static void *count_many(void *ctx)
{
    struct counting *counting = ctx;
    for (unsigned i = 0; i < 100000; i++) {
        struct peer peer = peer_of(10, 0, (uint8_t)(i / 1000), (uint8_t)(i % 100));
        edges_count(counting->edges, (struct slice){0}, &peer, 77, false, i / 100 * NSEC_PER_SEC);
    }
    atomic_store(&counting->is_over, true);
    return NULL;
}

static void who_looks_does_not_disturb_who_counts(void)
{
    struct counting counting = {.edges = new_edges()};
    pthread_t thread;
    expect_int(pthread_create(&thread, NULL, count_many, &counting), 0);
    do
        expect_true(look(counting.edges, NSEC_PER_SEC).n <= EDGES_MAX);
    while (!atomic_load(&counting.is_over));
    expect_int(pthread_join(thread, NULL), 0);
    edges_free(counting.edges);
}

static const struct test_case cases[] = {
    {"an edge counts its requests and errors", an_edge_counts_its_requests_and_errors},
    {"a certificate counts more than an address", a_certificate_counts_more_than_an_address},
    {"what has no room is counted by kind", what_has_no_room_is_counted_by_kind},
    {"who looks does not disturb who counts", who_looks_does_not_disturb_who_counts},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
