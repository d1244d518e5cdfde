/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reuse.h"

#include "base/rcu.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC
#define S  NSEC_PER_SEC

struct bench {
    struct rcu_domain rcu;
    struct runtime *runtime;
    struct runtime_slot *slot, *other; /* of two workers */
    nsec_t now_ns;
};

static void bench_init(struct bench *bench)
{
    const struct runtime_model model = {.service = SLICE_LIT("web"), .id = SLICE_LIT("1")};
    bench->now_ns = 1000 * S;
    rcu_init(&bench->rcu);
    expect_int(runtime_new(&model, 2, &bench->rcu, &bench->runtime), 0);
    bench->slot = runtime_slot(bench->runtime, 0);
    bench->other = runtime_slot(bench->runtime, 1);
}

static void bench_deinit(struct bench *bench)
{
    runtime_unref(bench->runtime);
    rcu_deinit(&bench->rcu);
}

/* How old a connection may be for what may be repeated, and for what may not. */
static void expect_max(struct bench *bench, nsec_t repeatable_ns, nsec_t once_ns)
{
    expect_int(reuse_idle_max(bench->slot, true, bench->now_ns), repeatable_ns);
    expect_int(reuse_idle_max(bench->slot, false, bench->now_ns), once_ns);
    expect_int(reuse_idle_max(bench->other, false, bench->now_ns), once_ns);
}

static void what_is_seen_proves_it(void)
{
    struct bench bench;
    bench_init(&bench);
    expect_max(&bench, NSEC_NEVER, 0);
    expect_true(reuse_is_open(bench.runtime, bench.now_ns));
    reuse_of_answer(bench.other, 5 * MS, bench.now_ns);
    expect_max(&bench, NSEC_NEVER, 2 * S);
    expect_false(reuse_is_open(bench.runtime, bench.now_ns));
    bench_deinit(&bench);

    bench_init(&bench);
    reuse_of_proof(bench.slot, 0, bench.now_ns);
    expect_max(&bench, NSEC_NEVER, 2 * S);
    bench_deinit(&bench);
}

static void idle_ones_are_left_alone_before_they_are_closed(void)
{
    struct bench bench;
    bench_init(&bench);
    reuse_of_proof(bench.slot, 0, bench.now_ns);
    reuse_of_promise(bench.slot, 60 * S);
    expect_max(&bench, 48 * S, 2 * S);
    reuse_of_end(bench.slot, 2 * S, bench.now_ns);
    expect_max(&bench, 1600 * MS, 1600 * MS);
    reuse_of_end(bench.slot, 100 * MS, bench.now_ns);
    expect_max(&bench, S, 80 * MS);
    reuse_of_end(bench.slot, 30 * MS, bench.now_ns);
    expect_max(&bench, S, 10 * MS);
    reuse_of_answer(bench.slot, 500 * MS, bench.now_ns); /* so it was an accident */
    expect_max(&bench, S, 400 * MS);
    bench_deinit(&bench);
}

/* Right behind an answer, while others of its connections are kept. */
static void an_end_behind_an_answer_outweighs_answers(void)
{
    struct bench bench;
    bench_init(&bench);
    reuse_of_answer(bench.slot, 5 * MS, bench.now_ns);
    nsec_t pause_ns = 10 * S;
    for (unsigned i = 0; i < 10; i++) {
        reuse_of_end(i % 2 ? bench.other : bench.slot, i % 3 ? 0 : 20 * MS, bench.now_ns);
        for (nsec_t end_ns = bench.now_ns + pause_ns; bench.now_ns < end_ns; bench.now_ns += pause_ns / 5) {
            reuse_of_answer(bench.other, 5 * MS, bench.now_ns);
            reuse_of_proof(bench.slot, 0, bench.now_ns);
            expect_max(&bench, NSEC_NEVER, 0);
            expect_false(reuse_is_open(bench.runtime, bench.now_ns));
        }
        expect_true(reuse_is_open(bench.runtime, bench.now_ns));
        reuse_of_answer(bench.other, 5 * MS, bench.now_ns);
        expect_max(&bench, NSEC_NEVER, 2 * S);
        pause_ns = pause_ns < 640 * S ? 2 * pause_ns : 640 * S;
    }
    bench.now_ns += 640 * S; /* it begins anew */
    reuse_of_end(bench.slot, 0, bench.now_ns);
    bench.now_ns += 10 * S;
    expect_true(reuse_is_open(bench.runtime, bench.now_ns));
    bench_deinit(&bench);
}

static void those_that_break_in_a_row_are_left_alone_by_all(void)
{
    struct bench bench;
    bench_init(&bench);
    reuse_of_answer(bench.slot, 5 * MS, bench.now_ns);
    reuse_of_break(bench.slot, bench.now_ns);
    expect_max(&bench, NSEC_NEVER, 0);
    reuse_of_break(bench.slot, bench.now_ns);
    expect_max(&bench, 0, 0);
    bench.now_ns += 10 * S;
    expect_max(&bench, NSEC_NEVER, 0);
    bench_deinit(&bench);
}

static void the_end_of_a_program_says_nothing_of_the_next(void)
{
    struct bench bench;
    bench_init(&bench);
    reuse_of_answer(bench.slot, 5 * MS, bench.now_ns);
    for (unsigned i = 0; i < 3; i++) { /* it is killed */
        reuse_of_break(bench.slot, bench.now_ns);
        reuse_of_end(bench.slot, 0, bench.now_ns);
        reuse_of_end(bench.other, 30 * MS, bench.now_ns);
    }
    expect_max(&bench, 0, 0);
    reuse_of_refusal(bench.runtime, bench.now_ns);
    runtime_set(bench.runtime, RUNTIME_REFUSED);
    reuse_of_break(bench.other, bench.now_ns); /* another worker sees it a moment later */
    reuse_of_end(bench.other, 30 * MS, bench.now_ns);
    bench.now_ns += 100 * MS;
    runtime_clear(bench.runtime, RUNTIME_REFUSED);
    expect_max(&bench, NSEC_NEVER, 0);
    expect_true(reuse_is_open(bench.runtime, bench.now_ns));
    reuse_of_answer(bench.slot, 5 * MS, bench.now_ns);
    expect_max(&bench, NSEC_NEVER, 2 * S);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"what is seen proves it", what_is_seen_proves_it},
    {"idle ones are left alone before they are closed", idle_ones_are_left_alone_before_they_are_closed},
    {"an end behind an answer outweighs answers", an_end_behind_an_answer_outweighs_answers},
    {"the end of a program says nothing of the next", the_end_of_a_program_says_nothing_of_the_next},
    {"those that break in a row are left alone by all", those_that_break_in_a_row_are_left_alone_by_all},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
