/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>

/* The injected resolver: it knows two names, and holds those that begin with "slow" until told. */
struct book {
    sem_t entered, leave;
};

static int look_up(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n)
{
    struct book *book = ctx;
    expect_int(max, RESOLVER_MAX_ADDRS);
    if (strncmp(name, "slow", 4) == 0) {
        sem_post(&book->entered);
        sem_wait(&book->leave);
    } else if (strcmp(name, "fast") != 0) {
        return -ENOENT;
    }
    struct peer peer = {.family = AF_INET, .port = port, .ip = {10, 0, 0, 7}};
    addr_from_ip(&peer, &ret_addrs[0]);
    peer.ip[3] = 8;
    addr_from_ip(&peer, &ret_addrs[1]);
    *ret_n = 2;
    return 0;
}

struct question {
    struct resolve_request request;
    int n_answers;
};

static void note_answer(struct resolve_request *request)
{
    container_of(request, struct question, request)->n_answers++;
}

static void question_init(struct question *question, struct loop *loop, const char *name)
{
    *question = (struct question){.request = {.loop = loop, .port = 80, .done = note_answer}};
    strncpy(question->request.name, name, RESOLVER_NAME_MAX - 1);
}

struct world {
    struct loop *loop;
    struct book book;
    struct resolver *resolver;
};

static void world_init(struct world *world, unsigned n_threads, unsigned max_waiting)
{
    expect_int(loop_new(NULL, &world->loop), 0);
    sem_init(&world->book.entered, 0, 0);
    sem_init(&world->book.leave, 0, 0);
    expect_int(resolver_new(n_threads, max_waiting, look_up, &world->book, &world->resolver), 0);
}

static void world_deinit(struct world *world)
{
    resolver_free(world->resolver);
    sem_destroy(&world->book.entered);
    sem_destroy(&world->book.leave);
    loop_free(world->loop);
}

static void await_answer(struct world *world, struct question *question)
{
    while (question->n_answers == 0)
        loop_turn(world->loop, NSEC_NEVER);
    expect_int(question->n_answers, 1);
}

static void answers_names(void)
{
    struct world world;
    struct question known, unknown;
    char text[ADDR_TEXT_MAX];
    world_init(&world, 2, 10);
    question_init(&known, world.loop, "fast");
    question_init(&unknown, world.loop, "nobody");
    expect_int(resolver_submit(world.resolver, &known.request), 0);
    expect_int(resolver_submit(world.resolver, &unknown.request), 0);
    await_answer(&world, &known);
    await_answer(&world, &unknown);
    expect_int(known.request.result, 0);
    expect_int(known.request.n_addrs, 2);
    expect_slice(addr_format(&known.request.addrs[0], text), "10.0.0.7:80");
    expect_slice(addr_format(&known.request.addrs[1], text), "10.0.0.8:80");
    expect_int(unknown.request.result, -ENOENT);
    expect_int(unknown.request.n_addrs, 0);
    world_deinit(&world);
}

static void addresses_need_no_thread_but_come_by_mail(void)
{
    struct world world;
    struct question slow, v4, v6;
    char text[ADDR_TEXT_MAX];
    world_init(&world, 1, 1);
    question_init(&slow, world.loop, "slow");
    question_init(&v4, world.loop, "192.0.2.7");
    question_init(&v6, world.loop, "2001:db8::7");
    expect_int(resolver_submit(world.resolver, &slow.request), 0); /* the only thread is busy */
    sem_wait(&world.book.entered);
    expect_int(resolver_submit(world.resolver, &v4.request), 0);
    expect_int(resolver_submit(world.resolver, &v6.request), 0);
    expect_int(v4.n_answers, 0);
    await_answer(&world, &v4);
    await_answer(&world, &v6);
    expect_slice(addr_format(&v4.request.addrs[0], text), "192.0.2.7:80");
    expect_slice(addr_format(&v6.request.addrs[0], text), "[2001:db8::7]:80");
    sem_post(&world.book.leave);
    await_answer(&world, &slow);
    world_deinit(&world);
}

static void waiting_is_bounded(void)
{
    struct world world;
    struct question working, waiting, refused;
    world_init(&world, 1, 1);
    question_init(&working, world.loop, "slow");
    question_init(&waiting, world.loop, "fast");
    question_init(&refused, world.loop, "fast");
    expect_int(resolver_submit(world.resolver, &working.request), 0);
    sem_wait(&world.book.entered);
    expect_int(resolver_submit(world.resolver, &waiting.request), 0);
    expect_int(resolver_submit(world.resolver, &refused.request), -EBUSY);
    sem_post(&world.book.leave);
    await_answer(&world, &working);
    await_answer(&world, &waiting);
    expect_int(refused.n_answers, 0);
    world_deinit(&world);
}

static void what_waits_is_cancelled(void)
{
    struct world world;
    struct question working, waiting;
    world_init(&world, 1, 10);
    question_init(&working, world.loop, "slow");
    question_init(&waiting, world.loop, "fast");
    expect_int(resolver_submit(world.resolver, &working.request), 0);
    sem_wait(&world.book.entered);
    expect_int(resolver_submit(world.resolver, &waiting.request), 0);
    resolver_cancel(world.resolver, &waiting.request);
    resolver_cancel(world.resolver, &waiting.request); /* once more is harmless */
    await_answer(&world, &waiting);
    expect_int(waiting.request.result, -ECANCELED);
    sem_post(&world.book.leave);
    await_answer(&world, &working);
    expect_int(working.request.result, 0);
    world_deinit(&world);
}

static void what_is_looked_up_is_cancelled_at_once(void)
{
    struct world world;
    struct question *working = malloc(sizeof(*working)), next;
    world_init(&world, 1, 10);
    question_init(working, world.loop, "slow");
    expect_int(resolver_submit(world.resolver, &working->request), 0);
    sem_wait(&world.book.entered);
    resolver_cancel(world.resolver, &working->request);
    await_answer(&world, working);
    expect_int(working->request.result, -ECANCELED);
    free(working); /* while the thread still works */

    question_init(&next, world.loop, "fast");
    expect_int(resolver_submit(world.resolver, &next.request), 0);
    sem_post(&world.book.leave);
    await_answer(&world, &next);
    expect_int(next.request.result, 0);
    world_deinit(&world);
}

/* Cancels at random moments: each request is answered once, with a result or -ECANCELED. */
static void cancel_races_end_in_one_answer(void)
{
    enum { N = 50, ROUNDS = 40 };
    static struct question questions[N];
    uint64_t seed = test_seed();
    struct world world;
    world_init(&world, 3, N);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            question_init(&questions[i], world.loop, test_random(&seed) % 2 ? "fast" : "nobody");
            expect_int(resolver_submit(world.resolver, &questions[i].request), 0);
            if (test_random(&seed) % 4 == 0)
                loop_turn(world.loop, 0);
            struct question *victim = &questions[test_random(&seed) % (uint64_t)(i + 1)];
            if (test_random(&seed) % 2 && victim->n_answers == 0)
                resolver_cancel(world.resolver, &victim->request);
        }
        for (int i = 0; i < N; i++) {
            await_answer(&world, &questions[i]);
            int result = questions[i].request.result;
            bool is_known = strcmp(questions[i].request.name, "fast") == 0;
            expect_true(result == -ECANCELED || result == (is_known ? 0 : -ENOENT));
        }
    }
    world_deinit(&world);
}

static void the_system_knows_localhost(void)
{
    struct loop *loop;
    struct resolver *resolver;
    expect_int(loop_new(NULL, &loop), 0);
    expect_int(resolver_new(1, 10, NULL, NULL, &resolver), 0);
    struct question question;
    question_init(&question, loop, "localhost");
    expect_int(resolver_submit(resolver, &question.request), 0);
    while (question.n_answers == 0)
        loop_turn(loop, NSEC_NEVER);
    expect_int(question.request.result, 0);
    expect_true(question.request.n_addrs >= 1);
    for (unsigned i = 0; i < question.request.n_addrs; i++)
        expect_true(addr_is_loopback(&question.request.addrs[i]));
    resolver_free(resolver);
    loop_free(loop);
}

static int make_resolver(void *arg)
{
    struct resolver *resolver;
    int r = resolver_new(2, 10, look_up, arg, &resolver);
    if (r == 0)
        resolver_free(resolver);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_int(fault_alloc_sweep(make_resolver, NULL), 1);
}

static const struct test_case cases[] = {
    {"names are answered with addresses, or with the reason", answers_names},
    {"addresses in text need no thread, but come by mail too", addresses_need_no_thread_but_come_by_mail},
    {"the number that may wait is bounded", waiting_is_bounded},
    {"a request that waits is cancelled", what_waits_is_cancelled},
    {"a request that is looked up is cancelled without waiting", what_is_looked_up_is_cancelled_at_once},
    {"cancelling at any moment ends in one answer", cancel_races_end_in_one_answer},
    {"the system's resolver knows localhost", the_system_knows_localhost},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
