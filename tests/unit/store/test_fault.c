/* SPDX-License-Identifier: Apache-2.0 */
#include "store/fault/fault.h"

#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

struct bench {
    struct rcu_domain rcu;
    struct loop *loop;
    struct store *inner, *store;
    unsigned n_done;
};

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    rcu_init(&bench->rcu);
    expect_int(loop_new(&bench->rcu, &bench->loop), 0);
    expect_int(fake_store_new(bench->loop, &bench->rcu, &bench->inner), 0);
    expect_int(fault_store_new(bench->inner, &bench->store), 0);
}

static void bench_deinit(struct bench *bench)
{
    fault_store_free(bench->store);
    fake_store_free(bench->inner);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
}

/* A put, asked for and answered. */
struct asked {
    struct bench *bench;
    struct store_request request;
    struct store_op op;
};

static void on_done(struct store_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    asked->bench->n_done++;
}

static void submit_put(struct bench *bench, struct asked *asked)
{
    *asked = (struct asked){.bench = bench};
    asked->op = (struct store_op){.type = STORE_OP_PUT,
                                  .put = {.key = SLICE_LIT("k"), .value = SLICE_LIT("v"), .want_prev = true}};
    asked->request = (struct store_request){
        .type = STORE_TXN, .loop = bench->loop, .done = on_done, .txn = {.success = &asked->op, .n_success = 1}};
    store_submit(bench->store, &asked->request);
}

static enum store_outcome put(struct bench *bench)
{
    struct asked asked;
    unsigned n_done = bench->n_done;
    submit_put(bench, &asked);
    loop_settle(bench->loop);
    expect_int(bench->n_done, n_done + 1);
    expect_true(asked.request.outcome == STORE_OK || asked.request.n_results == 0);
    store_request_deinit(&asked.request);
    return asked.request.outcome;
}

static int64_t revision_of(struct bench *bench)
{
    struct store_view view;
    store_view(bench->store, true, &view);
    int64_t revision = view.revision;
    store_release(bench->store, &view);
    return revision;
}

static void what_is_not_planned_goes_well(void)
{
    struct bench bench;
    bench_init(&bench);
    expect_int(put(&bench), STORE_OK);
    struct store_identity identity, inner;
    store_identify(bench.store, &identity);
    store_identify(bench.inner, &inner);
    expect_int(identity.cluster_id, inner.cluster_id);
    expect_int(store_refusal(bench.store), STORE_OK);
    expect_int(revision_of(&bench), 2);
    expect_int(fault_store_hits(bench.store), 0);
    bench_deinit(&bench);
}

static void the_nth_request_of_a_type_is_refused(void)
{
    struct bench bench;
    bench_init(&bench);
    fault_store_add(
        bench.store,
        &(struct fault){
            .kind = FAULT_REFUSE, .request_type = STORE_TXN, .skip = 1, .times = 2, .outcome = STORE_NO_SPACE});
    fault_store_add(bench.store,
                    &(struct fault){.kind = FAULT_REFUSE, .request_type = STORE_COMPACT, .outcome = STORE_READ_ONLY});
    expect_int(put(&bench), STORE_OK);
    expect_int(put(&bench), STORE_NO_SPACE);
    expect_int(put(&bench), STORE_NO_SPACE);
    expect_int(put(&bench), STORE_OK);
    expect_int(revision_of(&bench), 3);
    expect_int(fault_store_hits(bench.store), 2);
    fault_store_clear(bench.store);
    expect_int(put(&bench), STORE_OK);
    bench_deinit(&bench);
}

static void an_answer_may_be_lost_though_all_was_done(void)
{
    struct bench bench;
    bench_init(&bench);
    fault_store_add(bench.store,
                    &(struct fault){.kind = FAULT_LOSE, .request_type = FAULT_EVERY_REQUEST, .outcome = STORE_STOPPED});
    expect_int(put(&bench), STORE_STOPPED);
    expect_int(put(&bench), STORE_STOPPED); /* from then on */
    expect_int(revision_of(&bench), 3);
    bench_deinit(&bench);
}

static void answers_may_come_later_and_overtake(void)
{
    struct bench bench;
    bench_init(&bench);
    fault_store_add(
        bench.store,
        &(struct fault){.kind = FAULT_DELAY, .request_type = STORE_TXN, .skip = 1, .times = 1, .n_turns = 5});
    struct asked first, second, third;
    submit_put(&bench, &first);
    submit_put(&bench, &second);
    submit_put(&bench, &third);
    expect_int(loop_turn(bench.loop, 0), 0);
    expect_int(bench.n_done, 2);
    expect_int(third.request.revision, 4);
    unsigned n_turns = 0;
    for (; bench.n_done < 3; n_turns++)
        expect_int(loop_turn(bench.loop, 0), 0);
    expect_int(n_turns, 5);
    expect_int(second.request.outcome, STORE_OK);
    expect_int(second.request.revision, 3);
    expect_slice(second.request.results[0].kvs[0].value, "v"); /* what it brought with it is there */
    store_request_deinit(&first.request);
    store_request_deinit(&second.request);
    store_request_deinit(&third.request);
    bench_deinit(&bench);
}

static bool fail_if_called(void *ctx, const struct store_kv *kv)
{
    (void)ctx, (void)kv;
    test_fail(__FILE__, __LINE__, "a key was given");
}

static bool count_key(void *ctx, const struct store_kv *kv)
{
    (void)kv;
    ++*(unsigned *)ctx;
    return true;
}

static void reads_heartbeats_and_commits_fail_too(void)
{
    struct bench bench;
    bench_init(&bench);
    expect_int(put(&bench), STORE_OK);
    struct asked grant = {
        .bench = &bench,
        .request = {
            .type = STORE_LEASE_GRANT, .loop = bench.loop, .done = on_done, .lease = {.id = 7, .ttl_ms = 5000}}};
    store_submit(bench.store, &grant.request);
    loop_settle(bench.loop);
    fault_store_add(bench.store, &(struct fault){.kind = FAULT_RANGE, .times = 1, .outcome = STORE_COMPACTED});
    fault_store_add(bench.store, &(struct fault){.kind = FAULT_TOUCH, .times = 1});
    fault_store_add(bench.store, &(struct fault){.kind = FAULT_COMMIT, .times = 1});

    struct store_view view;
    struct store_range range = {.key = SLICE_LIT("k")};
    struct store_range_result result;
    unsigned n_keys = 0;
    store_view(bench.store, true, &view);
    expect_int(store_range(bench.store, &view, &range, fail_if_called, NULL, &result), STORE_COMPACTED);
    expect_int(store_range(bench.store, &view, &range, count_key, &n_keys, &result), STORE_OK);
    expect_int(n_keys, 1);
    expect_true(store_commit(bench.store, &view, 2) == NULL);
    expect_true(store_commit(bench.store, &view, 2) != NULL);
    store_release(bench.store, &view);
    expect_int(store_lease_touch(bench.store, 7, loop_now(bench.loop)), 0);
    expect_int(store_lease_touch(bench.store, 7, loop_now(bench.loop)), 5000);
    expect_int(fault_store_hits(bench.store), 3);
    bench_deinit(&bench);
}

static void without_memory_for_a_fault_that_is_the_fault(void)
{
    struct bench bench;
    bench_init(&bench);
    fault_store_add(bench.store, &(struct fault){.kind = FAULT_DELAY, .request_type = STORE_TXN, .n_turns = 1});
    fault_alloc_arm(1);
    struct asked asked;
    submit_put(&bench, &asked);
    expect_true(fault_alloc_disarm());
    loop_settle(bench.loop);
    expect_int(asked.request.outcome, STORE_OUT_OF_MEMORY);
    expect_int(bench.n_done, 1);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"what is not planned goes well", what_is_not_planned_goes_well},
    {"the n-th request of a type is refused", the_nth_request_of_a_type_is_refused},
    {"an answer may be lost though all was done", an_answer_may_be_lost_though_all_was_done},
    {"answers may come later, and be overtaken", answers_may_come_later_and_overtake},
    {"reads, heartbeats and commits fail too", reads_heartbeats_and_commits_fail_too},
    {"without memory for a fault that is the fault", without_memory_for_a_fault_that_is_the_fault},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
