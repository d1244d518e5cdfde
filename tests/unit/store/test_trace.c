/* SPDX-License-Identifier: Apache-2.0 */
#include "store/trace/trace.h"

#include "base/buf.h"
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <unistd.h>

struct bench {
    struct rcu_domain rcu;
    struct loop *loop;
    struct store *inner, *store;
    struct buf told;
    unsigned n_done;
};

static void tell(void *ctx, const struct trace_event *event)
{
    struct bench *bench = ctx;
    expect_true(event->took_ns >= 0);
    buf_printf(&bench->told, "%s", event->what);
    if (event->key.len)
        buf_printf(&bench->told, " %.*s", SLICE_ARG(event->key));
    if (event->end.len)
        buf_printf(&bench->told, "..%.*s", SLICE_ARG(event->end));
    if (event->lease)
        buf_printf(&bench->told, " lease %d", (int)event->lease);
    if (event->actor.len)
        buf_printf(&bench->told, " by %.*s for %.*s", SLICE_ARG(event->actor), SLICE_ARG(event->cause));
    buf_printf(&bench->told, " %s @%d x%d;", store_outcome_name(event->outcome), (int)event->revision,
               (int)event->count);
}

static void bench_init(struct bench *bench, bool reads)
{
    *bench = (struct bench){0};
    rcu_init(&bench->rcu);
    expect_int(loop_new(&bench->rcu, &bench->loop), 0);
    expect_int(fake_store_new(bench->loop, &bench->rcu, &bench->inner), 0);
    struct trace_options options = {.fn = tell, .ctx = bench, .reads = reads};
    expect_int(trace_store_new(bench->inner, &options, &bench->store), 0);
}

static void bench_deinit(struct bench *bench)
{
    trace_store_free(bench->store);
    fake_store_free(bench->inner);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
    buf_deinit(&bench->told);
}

static void expect_told(struct bench *bench, const char *expected)
{
    expect_slice(buf_slice(&bench->told), expected);
    buf_reset(&bench->told);
}

struct asked {
    struct bench *bench;
    struct store_request request;
};

static void on_done(struct store_request *request)
{
    container_of(request, struct asked, request)->bench->n_done++;
}

/* Asks, and gets the answer. */
static enum store_outcome ask(struct bench *bench, const struct store_request *request)
{
    struct asked asked = {bench, *request};
    unsigned n_done = bench->n_done;
    asked.request.loop = bench->loop;
    asked.request.done = on_done;
    store_submit(bench->store, &asked.request);
    loop_settle(bench->loop);
    expect_int(bench->n_done, n_done + 1);
    store_request_deinit(&asked.request);
    if (request->type == STORE_BACKUP && asked.request.outcome == STORE_OK)
        expect_int(close(asked.request.backup_fd), 0);
    return asked.request.outcome;
}

static void transactions_are_told_by_what_they_did(void)
{
    struct bench bench;
    bench_init(&bench, false);
    struct store_op put = {.type = STORE_OP_PUT, .put = {.key = SLICE_LIT("a"), .value = SLICE_LIT("secret")}};
    struct store_op del = {.type = STORE_OP_DELETE, .del = {.key = SLICE_LIT("a"), .end = SLICE_LIT("c")}};
    struct store_op both[] = {{.type = STORE_OP_PUT, .put.key = SLICE_LIT("x")}, put};
    struct store_compare compare = {.target = STORE_CMP_VERSION, .key = SLICE_LIT("a"), .number = 9};
    struct store_request request = {
        .type = STORE_TXN, .origin = {SLICE_LIT("me"), SLICE_LIT("fun")}, .txn = {.success = &put, .n_success = 1}};
    ask(&bench, &request);
    expect_told(&bench, "put a by me for fun ok @2 x1;");
    request.origin = (struct store_origin){0};
    request.txn.success = &del;
    ask(&bench, &request);
    expect_told(&bench, "delete a..c ok @3 x1;");
    request.txn = (struct store_txn){.success = both, .n_success = 2};
    ask(&bench, &request);
    expect_told(&bench, "txn x ok @4 x2;");
    request.txn = (struct store_txn){
        .compares = &compare, .n_compares = 1, .success = both, .n_success = 2, .failure = &put, .n_failure = 1};
    put.put.lease = 9;
    expect_int(ask(&bench, &request), STORE_NO_LEASE);
    expect_told(&bench, "txn a lease 9 no lease @4 x1;");
    bench_deinit(&bench);
}

static void every_type_of_request_is_told(void)
{
    struct bench bench;
    bench_init(&bench, false);
    fake_store_put(bench.inner, "a", "1");
    struct store_note note = {.kind = STORE_NOTE_FREE, .subject = SLICE_LIT("web/1")};
    ask(&bench, &(struct store_request){.type = STORE_LEASE_GRANT, .lease = {.id = 5, .ttl_ms = 1000}});
    ask(&bench, &(struct store_request){.type = STORE_LEASE_INFO, .lease = {.id = 5}});
    ask(&bench, &(struct store_request){.type = STORE_LEASE_LIST});
    ask(&bench, &(struct store_request){.type = STORE_LEASE_REVOKE, .lease = {.id = 6}});
    expect_told(&bench, "lease grant lease 5 ok @2 x0;lease info lease 5 ok @2 x0;lease list ok @2 x0;"
                        "lease revoke lease 6 no lease @2 x0;");
    ask(&bench, &(struct store_request){.type = STORE_COMPACT, .compact_revision = 2});
    ask(&bench, &(struct store_request){.type = STORE_NOTES, .notes = {&note, 1}});
    ask(&bench, &(struct store_request){.type = STORE_DOC, .doc = {.name = SLICE_LIT("user/a")}});
    ask(&bench, &(struct store_request){.type = STORE_DOC,
                                        .doc = {.name = SLICE_LIT("user/a"), .remove = true, .expected_version = 7}});
    ask(&bench, &(struct store_request){.type = STORE_BACKUP});
    expect_told(&bench, "compact ok @2 x0;notes web/1 ok @2 x1;doc put user/a ok @2 x0;doc remove user/a conflict @2 "
                        "x0;backup ok @2 x0;");
    bench_deinit(&bench);
}

static bool ignore_key(void *ctx, const struct store_kv *kv)
{
    (void)ctx, (void)kv;
    return true;
}

static void read_and_touch(struct bench *bench)
{
    struct store_view view;
    struct store_range range = {.key = SLICE_LIT("a"), .end = SLICE_LIT("c")};
    struct store_range_result result;
    store_view(bench->store, true, &view);
    expect_int(store_range(bench->store, &view, &range, ignore_key, NULL, &result), STORE_OK);
    range.revision = 9;
    expect_int(store_range(bench->store, &view, &range, ignore_key, NULL, &result), STORE_FUTURE_REVISION);
    store_release(bench->store, &view);
    expect_int(store_lease_touch(bench->store, 5, 0), 0);
}

static void reads_are_told_on_demand(void)
{
    struct bench bench;
    bench_init(&bench, true);
    fake_store_put(bench.inner, "a", "1");
    fake_store_put(bench.inner, "b", "1");
    read_and_touch(&bench);
    expect_told(&bench, "range a..c ok @3 x2;range a..c future revision @9 x0;touch lease 5 no lease @0 x0;");
    bench_deinit(&bench);
    bench_init(&bench, false);
    read_and_touch(&bench);
    expect_told(&bench, "");
    bench_deinit(&bench);
}

static void without_memory_it_is_silent_and_the_request_goes_on(void)
{
    struct bench bench;
    bench_init(&bench, false);
    fault_alloc_arm(1);
    struct store_op put = {.type = STORE_OP_PUT, .put.key = SLICE_LIT("a")};
    expect_int(ask(&bench, &(struct store_request){.type = STORE_TXN, .txn = {.success = &put, .n_success = 1}}),
               STORE_OK);
    expect_true(fault_alloc_disarm());
    expect_told(&bench, "");
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"transactions are told by what they did", transactions_are_told_by_what_they_did},
    {"every type of request is told", every_type_of_request_is_told},
    {"reads and heartbeats are told on demand", reads_are_told_on_demand},
    {"without memory it is silent, and the request goes on", without_memory_it_is_silent_and_the_request_goes_on},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
