/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rcu.h"

#include "base/random.h"
#include "support/test.h"

#include <stdlib.h>

struct counted {
    struct rcu_node rcu;
    int *n_freed;
};

static void count_freed(struct rcu_node *node)
{
    (*container_of(node, struct counted, rcu)->n_freed)++;
}

static void is_freed_at_once_without_readers(void)
{
    struct rcu_domain domain;
    int n_freed = 0;
    struct counted nodes[2] = {{.n_freed = &n_freed}, {.n_freed = &n_freed}};
    rcu_init(&domain);
    expect_false(rcu_reclaim(&domain));
    rcu_retire(&domain, &nodes[0].rcu, count_freed);
    rcu_retire(&domain, &nodes[1].rcu, count_freed);
    expect_int(n_freed, 0);
    expect_false(rcu_reclaim(&domain));
    expect_int(n_freed, 2);
    rcu_deinit(&domain);
}

static void waits_for_an_online_reader(void)
{
    struct rcu_domain domain;
    struct rcu_reader reader;
    int n_freed = 0;
    struct counted node = {.n_freed = &n_freed};
    rcu_init(&domain);
    rcu_register(&domain, &reader);
    rcu_online(&reader);

    rcu_retire(&domain, &node.rcu, count_freed);
    expect_true(rcu_reclaim(&domain));
    expect_true(rcu_reclaim(&domain));
    expect_int(n_freed, 0);
    rcu_quiescent(&reader);
    expect_false(rcu_reclaim(&domain));
    expect_int(n_freed, 1);

    rcu_offline(&reader);
    rcu_unregister(&reader);
    rcu_deinit(&domain);
}

static void an_old_quiescence_frees_nothing_newer(void)
{
    struct rcu_domain domain;
    struct rcu_reader reader;
    int n_freed = 0;
    struct counted nodes[2] = {{.n_freed = &n_freed}, {.n_freed = &n_freed}};
    rcu_init(&domain);
    rcu_register(&domain, &reader);
    rcu_online(&reader);

    rcu_retire(&domain, &nodes[0].rcu, count_freed);
    expect_true(rcu_reclaim(&domain));
    rcu_quiescent(&reader);
    /* Retired after the reader's turn began: only the first may go. */
    rcu_retire(&domain, &nodes[1].rcu, count_freed);
    expect_true(rcu_reclaim(&domain));
    expect_int(n_freed, 1);
    expect_true(rcu_reclaim(&domain));
    expect_int(n_freed, 1);
    rcu_quiescent(&reader);
    expect_false(rcu_reclaim(&domain));
    expect_int(n_freed, 2);

    rcu_offline(&reader);
    rcu_unregister(&reader);
    rcu_deinit(&domain);
}

static void waits_for_every_reader(void)
{
    struct rcu_domain domain;
    struct rcu_reader busy, idle;
    int n_freed = 0;
    struct counted node = {.n_freed = &n_freed};
    rcu_init(&domain);
    rcu_register(&domain, &busy);
    rcu_register(&domain, &idle);
    rcu_online(&busy);
    rcu_online(&idle);
    rcu_retire(&domain, &node.rcu, count_freed);
    expect_true(rcu_reclaim(&domain));
    rcu_quiescent(&busy);
    expect_true(rcu_reclaim(&domain));
    expect_int(n_freed, 0);
    rcu_offline(&idle);
    expect_false(rcu_reclaim(&domain));
    expect_int(n_freed, 1);

    rcu_offline(&busy);
    rcu_unregister(&busy);
    rcu_unregister(&idle);
    rcu_deinit(&domain);
}

struct chain {
    struct rcu_node rcu;
    struct rcu_domain *domain;
    struct counted *next;
};

static void retire_next(struct rcu_node *node)
{
    struct chain *chain = container_of(node, struct chain, rcu);
    rcu_retire(chain->domain, &chain->next->rcu, count_freed);
}

static void a_free_function_may_retire(void)
{
    struct rcu_domain domain;
    int n_freed = 0;
    struct counted next = {.n_freed = &n_freed};
    struct chain chain = {.domain = &domain, .next = &next};
    rcu_init(&domain);
    rcu_retire(&domain, &chain.rcu, retire_next);
    expect_true(rcu_reclaim(&domain));
    expect_int(n_freed, 0);
    expect_false(rcu_reclaim(&domain));
    expect_int(n_freed, 1);
    rcu_deinit(&domain);
}

static void deinit_frees_what_is_left(void)
{
    struct rcu_domain domain;
    int n_freed = 0;
    struct counted node = {.n_freed = &n_freed};
    rcu_init(&domain);
    rcu_retire(&domain, &node.rcu, count_freed);
    rcu_deinit(&domain);
    expect_int(n_freed, 1);
}

/*
 * The stress: readers follow one pointer while a writer replaces it as fast as it can. What is freed is marked and kept
 * until the end, so that a reader who still holds it sees the mark, in every variant and not only under a sanitizer.
 */

enum { READERS = 3, REPLACEMENTS = 20000 };

struct stress {
    struct rcu_domain domain;
    struct pair *_Atomic current;
    atomic_bool stop;
    struct pair *pairs;
    size_t n_pairs, n_freed;
};

struct pair {
    struct rcu_node rcu;
    struct stress *stress;
    uint64_t one, two; /* the same number, until it is freed */
};

static void pair_free(struct rcu_node *node)
{
    struct pair *pair = container_of(node, struct pair, rcu);
    pair->one = 0;
    pair->stress->n_freed++;
}

static struct pair *pair_new(struct stress *stress)
{
    struct pair *pair = &stress->pairs[stress->n_pairs++];
    *pair = (struct pair){.stress = stress, .one = stress->n_pairs, .two = stress->n_pairs};
    return pair;
}

/* One turn of a reader, in which it looks at the same pair several times. Gives the number that the pair has. */
static uint64_t look(struct stress *stress, struct random *rng)
{
    const struct pair *pair = rcu_read(&stress->current);
    for (uint64_t looks = random_below(rng, 4); looks > 0; looks--) {
        expect_true(pair->one == pair->two);
        sched_yield();
    }
    expect_true(pair->one == pair->two);
    return pair->one;
}

static void *read_and_check(void *arg)
{
    struct stress *stress = arg;
    struct rcu_reader reader;
    struct random rng;
    uint64_t last = 0;
    random_init(&rng, (uintptr_t)&reader);
    rcu_register(&stress->domain, &reader);
    rcu_online(&reader);
    while (!atomic_load_explicit(&stress->stop, memory_order_relaxed)) {
        uint64_t number = look(stress, &rng);
        expect_true(number >= last);
        last = number;
        if (random_below(&rng, 4) > 0) {
            rcu_quiescent(&reader);
        } else {
            rcu_offline(&reader);
            rcu_online(&reader);
        }
    }
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void replace(struct stress *stress)
{
    struct pair *old = rcu_read(&stress->current);
    rcu_publish(&stress->current, pair_new(stress));
    if (stress->n_pairs % 100 == 0) {
        rcu_synchronize(&stress->domain);
        pair_free(&old->rcu);
    } else {
        rcu_retire(&stress->domain, &old->rcu, pair_free);
        (void)rcu_reclaim(&stress->domain);
    }
}

static void readers_never_hold_what_was_freed(void)
{
    struct stress stress = {.pairs = calloc(REPLACEMENTS, sizeof(struct pair))};
    pthread_t threads[READERS];
    expect_true(stress.pairs != NULL);
    rcu_init(&stress.domain);
    rcu_publish(&stress.current, pair_new(&stress));
    for (int i = 0; i < READERS; i++)
        expect_int(pthread_create(&threads[i], NULL, read_and_check, &stress), 0);
    while (stress.n_pairs < REPLACEMENTS)
        replace(&stress);
    atomic_store(&stress.stop, true);
    for (int i = 0; i < READERS; i++)
        expect_int(pthread_join(threads[i], NULL), 0);
    rcu_deinit(&stress.domain);
    expect_int(stress.n_freed, REPLACEMENTS - 1);
    free(stress.pairs);
}

struct handshake {
    struct rcu_domain domain;
    atomic_int step; /* 1: the reader is online; 2: the writer is about to wait; 3: the reader has gone offline */
};

static void wait_for_step(struct handshake *handshake, int step)
{
    while (atomic_load(&handshake->step) < step)
        sched_yield();
}

static void *hold_then_leave(void *arg)
{
    struct handshake *handshake = arg;
    struct rcu_reader reader;
    rcu_register(&handshake->domain, &reader);
    rcu_online(&reader);
    atomic_store(&handshake->step, 1);
    wait_for_step(handshake, 2);
    /* Long enough for a wait that does not wait to be seen, whatever the scheduler does with the two threads. */
    for (int i = 0; i < 1000; i++)
        sched_yield();
    atomic_store(&handshake->step, 3);
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void synchronize_waits_for_readers(void)
{
    struct handshake handshake = {0};
    pthread_t thread;
    rcu_init(&handshake.domain);
    rcu_synchronize(&handshake.domain);
    expect_int(pthread_create(&thread, NULL, hold_then_leave, &handshake), 0);
    wait_for_step(&handshake, 1);
    atomic_store(&handshake.step, 2);
    rcu_synchronize(&handshake.domain);
    expect_int(atomic_load(&handshake.step), 3);
    expect_int(pthread_join(thread, NULL), 0);
    rcu_deinit(&handshake.domain);
}

static void forget_to_go_offline(void *arg)
{
    struct rcu_reader *reader = arg;
    rcu_online(reader);
    rcu_unregister(reader);
}

static void unregistering_online_is_a_bug(void)
{
    struct rcu_domain domain;
    struct rcu_reader reader;
    rcu_init(&domain);
    rcu_register(&domain, &reader);
    expect_abort(forget_to_go_offline, &reader);
    rcu_unregister(&reader);
    rcu_deinit(&domain);
}

static const struct test_case cases[] = {
    {"without readers nodes are freed by the next reclaim", is_freed_at_once_without_readers},
    {"a node waits for an online reader to be quiescent", waits_for_an_online_reader},
    {"a quiescence from before the retiring frees nothing", an_old_quiescence_frees_nothing_newer},
    {"a node waits for every reader, and going offline counts", waits_for_every_reader},
    {"a free function may retire", a_free_function_may_retire},
    {"deinit frees what is left", deinit_frees_what_is_left},
    {"readers never hold what was freed", readers_never_hold_what_was_freed},
    {"synchronize waits for readers", synchronize_waits_for_readers},
    {"unregistering an online reader is a bug", unregistering_online_is_a_bug},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
