/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator on its thread, with a keeper and its log in a folder, asked by several threads at once; and what a
 * restart keeps.
 */
#include "keeper/curator.h"

#include "catalog/instance_record.h"
#include "support/keeper_kit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define N_WORKERS 3
#define N_ROUNDS  60
#define N_IDS     20

struct bench {
    struct keeper_kit kit;
    struct projection *projection;
    struct curator *curator;
};

static void start(struct bench *bench)
{
    struct curator_options options = {.store = bench->kit.store, .rcu = &bench->kit.rcu, .min_ttl_ms = 1000};
    struct err err = {""};
    catalog_options_init(&options.catalog);
    options.catalog.projection = bench->projection;
    expect_int(curator_new(&options, &bench->curator), 0);
    expect_int(curator_start(bench->curator, &err), 0);
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    keeper_kit_init(&bench->kit);
    expect_int(projection_new(NULL, 0, true, &bench->projection, NULL), 0);
    start(bench);
}

/* As in the daemon: first the curator. */
static void stop(struct bench *bench)
{
    curator_stop(bench->curator);
    keeper_stop(bench->kit.keeper);
    loop_settle(bench->kit.loop);
    curator_free(TAKE(bench->curator));
}

static void bench_deinit(struct bench *bench)
{
    stop(bench);
    projection_free(bench->projection);
    keeper_kit_deinit(&bench->kit);
}

/* -------- a request, asked from any loop */

struct asked {
    struct curator_request request;
    struct instance_record record;
    struct bench *bench;
    struct loop_task task;
    bool is_done, was_visible;
};

static const struct instance *find(const struct bench *bench, struct slice service, struct slice id)
{
    return directory_look_up(catalog_directory(curator_catalog(bench->curator)), service, id);
}

static void on_done(struct curator_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    asked->is_done = true;
    asked->was_visible = find(asked->bench, request->service, request->id) != NULL;
}

/* In a turn of the loop, as a front end does. */
static void submit_now(struct loop_task *task)
{
    struct asked *asked = container_of(task, struct asked, task);
    curator_submit(asked->bench->curator, &asked->request);
}

static enum curator_outcome ask(struct asked *asked)
{
    asked->request.record = &asked->record;
    asked->request.done = on_done;
    asked->request.origin.actor = SLICE_LIT("a test");
    loop_task_init(&asked->task, submit_now);
    loop_defer(asked->request.loop, &asked->task);
    while (!asked->is_done)
        expect_int(loop_turn(asked->request.loop, NSEC_NEVER), 0);
    curator_request_deinit(&asked->request);
    return asked->request.outcome;
}

static struct asked new_request(struct bench *bench, struct loop *loop, enum curator_request_type type, const char *id)
{
    struct asked asked = {.bench = bench, .record = {.weight = 1}};
    asked.request.type = type;
    asked.request.loop = loop;
    asked.request.service = SLICE_LIT("web");
    asked.request.id = slice_from_str(id);
    (void)instance_record_set_address(&asked.record, SLICE_LIT("http@10.0.0.7:80"));
    return asked;
}

static enum curator_outcome register_one(struct bench *bench, const char *id)
{
    struct asked asked = new_request(bench, bench->kit.loop, CURATOR_REGISTER, id);
    asked.request.ttl_ms = 60000;
    expect_int(ask(&asked), CURATOR_OK);
    expect_true(asked.was_visible);
    return asked.request.outcome;
}

/* -------- cases */

static void what_is_registered_is_visible(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1");
    int64_t revision = keeper_kit_revision(&bench.kit);
    register_one(&bench, "w1");
    expect_int(keeper_kit_revision(&bench.kit), revision); /* a renewal */
    struct asked leaves = new_request(&bench, bench.kit.loop, CURATOR_DEREGISTER, "w1");
    expect_int(ask(&leaves), CURATOR_OK);
    expect_false(leaves.was_visible);
    bench_deinit(&bench);
}

static void a_key_of_etcd_is_an_instance(void)
{
    struct bench bench;
    bench_init(&bench);
    int64_t lease = keeper_kit_grant(&bench.kit, 0, 60000);
    int64_t revision = keeper_kit_put(&bench.kit, "server/001", "127.0.0.1:1212", lease);
    while (catalog_passed(curator_catalog(bench.curator)) < revision)
        expect_int(loop_turn(bench.kit.loop, NSEC_PER_MSEC), 0);
    const struct instance *instance = find(&bench, SLICE_LIT("server"), SLICE_LIT("001"));
    expect_slice(instance->record.address, "127.0.0.1:1212");
    bench_deinit(&bench);
}

static bool count_note(void *ctx, const struct store_note *note)
{
    *(unsigned *)ctx += note->kind >= STORE_NOTE_FREE;
    return true;
}

/* Entries of the timeline may be lost with a crash; revisions that were shown mean one thing all the same. */
static void each_start_has_revisions_of_its_own(void)
{
    struct bench bench;
    bench_init(&bench);
    int64_t before = catalog_revision(curator_catalog(bench.curator));
    for (int i = 0; i < 3; i++) {
        stop(&bench);
        keeper_kit_reopen(&bench.kit);
        start(&bench);
        int64_t revision = catalog_revision(curator_catalog(bench.curator));
        expect_true(revision > before + 1000000);
        before = revision;
    }
    bench_deinit(&bench);
}

static void a_restart_keeps_orders_and_timeline(void)
{
    struct bench bench;
    unsigned n_notes = 0;
    bench_init(&bench);
    register_one(&bench, "w1");
    struct asked drain = new_request(&bench, bench.kit.loop, CURATOR_DRAIN, "w1");
    drain.request.order = (struct instance_order){.reason = SLICE_LIT("new kernel"), .since_ms = 1};
    expect_int(ask(&drain), CURATOR_OK);
    int64_t revision = catalog_revision(curator_catalog(bench.curator));

    stop(&bench);
    keeper_kit_reopen(&bench.kit);
    start(&bench);
    const struct instance *instance = find(&bench, SLICE_LIT("web"), SLICE_LIT("w1"));
    expect_true(instance && INSTANCE_HAS(instance, DRAINING));
    expect_slice(instance_orders(instance)->drain->reason, "new kernel");
    expect_true(catalog_revision(curator_catalog(bench.curator)) > revision);
    store_notes(bench.kit.store, count_note, &n_notes);
    expect_int(n_notes, 2);
    register_one(&bench, "w1"); /* its lease came back too */
    bench_deinit(&bench);
}

/* -------- many threads */

struct worker {
    struct bench *bench;
    struct loop *loop;
    struct curator_follower follower;
    pthread_t thread;
    uint64_t seed;
    int64_t seen;
};

static void on_news(struct curator_follower *follower)
{
    struct worker *worker = container_of(follower, struct worker, follower);
    const struct catalog *catalog = curator_catalog(worker->bench->curator);
    while (worker->seen < catalog_revision(catalog)) {
        const struct catalog_change *change = catalog_change(catalog, ++worker->seen);
        expect_int(change->revision, worker->seen);
        expect_true(change->before || change->after);
    }
}

static void one_round(struct worker *worker)
{
    char id[16];
    snprintf(id, sizeof(id), "w%02u", (unsigned)(test_random(&worker->seed) % N_IDS));
    bool leaves = test_random(&worker->seed) % 3 == 0;
    struct asked asked = new_request(worker->bench, worker->loop, leaves ? CURATOR_DEREGISTER : CURATOR_REGISTER, id);
    asked.request.ttl_ms = 60000;
    asked.record.weight = (uint16_t)(test_random(&worker->seed) % 3);
    enum curator_outcome outcome = ask(&asked);
    expect_true(outcome == CURATOR_OK || (leaves && outcome == CURATOR_NOT_FOUND));
}

static void *work(void *arg)
{
    struct worker *worker = arg;
    for (unsigned round = 0; round < N_ROUNDS; round++)
        one_round(worker);
    return NULL;
}

static void many_threads_ask_and_follow(void)
{
    struct bench bench;
    struct worker workers[N_WORKERS];
    uint64_t seed = test_seed();
    bench_init(&bench);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i] = (struct worker){.bench = &bench, .seed = test_random(&seed)};
        expect_int(loop_new(&bench.kit.rcu, &workers[i].loop), 0);
        workers[i].follower = (struct curator_follower){.loop = workers[i].loop, .on_news = on_news};
        workers[i].seen = catalog_revision(curator_catalog(bench.curator));
        expect_int(curator_follow(bench.curator, &workers[i].follower), 0);
    }
    for (unsigned i = 0; i < N_WORKERS; i++)
        expect_int(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (unsigned i = 0; i < N_WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    int64_t last = catalog_revision(curator_catalog(bench.curator));
    for (unsigned i = 0; i < N_WORKERS; i++) {
        while (workers[i].seen < last)
            expect_int(loop_turn(workers[i].loop, NSEC_NEVER), 0);
        curator_unfollow(bench.curator, &workers[i].follower);
        loop_settle(workers[i].loop);
        loop_free(workers[i].loop);
    }
    bench_deinit(&bench);
}

static void a_stopped_curator_turns_away(void)
{
    struct bench bench;
    bench_init(&bench);
    struct asked under_way = new_request(&bench, bench.kit.loop, CURATOR_REGISTER, "w1");
    under_way.request.record = &under_way.record;
    under_way.request.done = on_done;
    loop_task_init(&under_way.task, submit_now);
    loop_defer(bench.kit.loop, &under_way.task);
    loop_settle(bench.kit.loop);
    curator_stop(bench.curator);
    loop_settle(bench.kit.loop);
    expect_true(under_way.is_done); /* what was under way was answered */
    expect_int(under_way.request.outcome, CURATOR_OK);
    curator_request_deinit(&under_way.request);

    struct asked late = new_request(&bench, bench.kit.loop, CURATOR_REGISTER, "w2");
    expect_int(ask(&late), CURATOR_REFUSED);
    expect_int(late.request.store_outcome, STORE_STOPPED);
    const struct catalog_event event = {.type = CATALOG_CHECK, .report = {.service = SLICE_LIT("web")}};
    expect_int(curator_report(bench.curator, &event), 0);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"what is registered is visible, renewed inline, and leaves", what_is_registered_is_visible},
    {"a key that etcd's client put is an instance", a_key_of_etcd_is_an_instance},
    {"a restart keeps orders and timeline", a_restart_keeps_orders_and_timeline},
    {"each start has revisions of its own", each_start_has_revisions_of_its_own},
    {"many threads ask at once, and each follower sees every change once", many_threads_ask_and_follow},
    {"a stopped curator answers what is under way and turns away what comes", a_stopped_curator_turns_away},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
