/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The curator on a store without disk and threads, in virtual time: the store and who asks are on one loop, the curator
 * on another one that runs when the test says so.
 */
#include "keeper/curator_priv.h"

#include "catalog/instance_record.h"
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define S NSEC_PER_SEC

struct bench {
    struct rcu_domain rcu;
    struct sim *sim, *curator_sim;
    struct loop *loop, *curator_loop;
    struct store *store;
    struct projection *projection;
    struct curator *curator;
};

static void start(struct bench *bench)
{
    struct curator_options options = {.store = bench->store, .rcu = &bench->rcu, .min_ttl_ms = 1000};
    catalog_options_init(&options.catalog);
    options.catalog.projection = bench->projection;
    expect_int(curator_new_on(&options, bench->curator_loop, &bench->curator), 0);
    curator_begin(bench->curator);
}

static void stop(struct bench *bench)
{
    curator_end(bench->curator);
    curator_free(TAKE(bench->curator));
}

static void bench_init(struct bench *bench)
{
    *bench = (struct bench){0};
    rcu_init(&bench->rcu);
    expect_int(sim_new(&bench->rcu, &bench->sim, &bench->loop), 0);
    expect_int(sim_new(&bench->rcu, &bench->curator_sim, &bench->curator_loop), 0);
    expect_int(fake_store_new(bench->loop, &bench->rcu, &bench->store), 0);
    expect_int(projection_new(NULL, 0, true, &bench->projection, NULL), 0);
    start(bench);
}

/* All that can happen on both loops, until so much later. */
static void run_for(struct bench *bench, nsec_t duration_ns)
{
    for (unsigned round = 0; round < 4; round++) {
        sim_run_for(bench->sim, round == 0 ? duration_ns : 0);
        sim_run_for(bench->curator_sim, round == 0 ? duration_ns : 0);
    }
}

static void run(struct bench *bench)
{
    run_for(bench, 0);
}

static void bench_deinit(struct bench *bench)
{
    run(bench);
    if (bench->curator)
        stop(bench);
    projection_free(bench->projection);
    fake_store_free(bench->store);
    loop_free(bench->loop);
    loop_free(bench->curator_loop);
    rcu_deinit(&bench->rcu);
}

static const struct instance *find(const struct bench *bench, const char *service, const char *id)
{
    const struct directory_service *all =
        directory_find(catalog_directory(curator_catalog(bench->curator)), slice_from_str(service));
    return all ? directory_find_instance(all, slice_from_str(id)) : NULL;
}

static int64_t store_revision(const struct bench *bench)
{
    struct store_view view;
    store_view(bench->store, false, &view);
    return view.revision;
}

/* -------- requests */

struct asked {
    struct curator_request request;
    struct instance_record record;
    struct bench *bench;
    bool is_done, was_visible;
};

static void on_done(struct curator_request *request)
{
    struct asked *asked = container_of(request, struct asked, request);
    expect_false(asked->is_done);
    asked->is_done = true;
    const struct directory_service *service =
        directory_find(catalog_directory(curator_catalog(asked->bench->curator)), request->service);
    asked->was_visible = service && directory_find_instance(service, request->id);
}

static struct asked new_request(struct bench *bench, enum curator_request_type type, const char *id)
{
    return (struct asked){
        .bench = bench,
        .request = {.type = type,
                    .loop = bench->loop,
                    .done = on_done,
                    .origin = {.actor = SLICE_LIT("a test")},
                    .service = SLICE_LIT("web"),
                    .id = slice_from_str(id)},
    };
}

static struct asked new_registration(struct bench *bench, const char *id, const char *address, int64_t ttl_ms)
{
    struct asked asked = new_request(bench, CURATOR_REGISTER, id);
    asked.record.weight = 1;
    (void)instance_record_set_address(&asked.record, slice_from_str(address));
    asked.request.ttl_ms = ttl_ms;
    return asked;
}

static void submit(struct asked *asked)
{
    asked->request.record = &asked->record;
    curator_submit(asked->bench->curator, &asked->request);
}

static enum curator_outcome ask(struct asked *asked)
{
    submit(asked);
    run(asked->bench);
    expect_true(asked->is_done);
    curator_request_deinit(&asked->request);
    return asked->request.outcome;
}

static enum curator_outcome register_one(struct bench *bench, const char *id, const char *address, int64_t ttl_ms)
{
    struct asked asked = new_registration(bench, id, address, ttl_ms);
    return ask(&asked);
}

static enum curator_outcome ask_for(struct bench *bench, enum curator_request_type type, const char *id)
{
    struct asked asked = new_request(bench, type, id);
    return ask(&asked);
}

/* -------- registering */

static void a_registration_is_visible_when_answered(void)
{
    struct bench bench;
    bench_init(&bench);
    struct asked asked = new_registration(&bench, "w1", "http@10.0.0.7:80", 5000);
    expect_int(ask(&asked), CURATOR_OK);
    expect_true(asked.was_visible);
    expect_true(asked.request.was_new);
    expect_int(asked.request.ttl_left_ms, 5000);
    const struct instance *instance = find(&bench, "web", "w1");
    expect_slice(instance->record.address, "http@10.0.0.7:80");
    expect_slice(instance->key, "/muster/services/web/w1");
    expect_int(instance->lease >> 48, CURATOR_LEASE_MARK);
    expect_int(asked.request.revision, instance->revision);
    expect_int(store_revision(&bench), 2);
    bench_deinit(&bench);
}

static void registering_again_only_renews(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    for (unsigned i = 0; i < 10; i++) {
        run_for(&bench, 4 * S);
        struct asked again = new_registration(&bench, "w1", "http@10.0.0.7:80", 5000);
        submit(&again);
        expect_true(again.is_done); /* from inside */
        expect_int(again.request.outcome, CURATOR_OK);
        expect_false(again.request.was_new);
        expect_int(fake_store_expire(bench.store), 0);
        curator_request_deinit(&again.request);
    }
    expect_int(store_revision(&bench), 2);
    run_for(&bench, 6 * S);
    expect_int(fake_store_expire(bench.store), 1);
    run(&bench);
    expect_true(find(&bench, "web", "w1") == NULL);
    bench_deinit(&bench);
}

static void a_changed_record_keeps_its_lease(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    int64_t lease = find(&bench, "web", "w1")->lease;
    uint64_t incarnation = find(&bench, "web", "w1")->incarnation;
    struct asked asked = new_registration(&bench, "w1", "http@10.0.0.7:80", 5000);
    asked.record.weight = 7;
    expect_int(ask(&asked), CURATOR_OK);
    expect_false(asked.request.was_new);
    expect_int(find(&bench, "web", "w1")->lease, lease);
    expect_int(find(&bench, "web", "w1")->incarnation, incarnation);
    expect_int(find(&bench, "web", "w1")->record.weight, 7);
    bench_deinit(&bench);
}

static void another_ttl_takes_another_lease(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    int64_t lease = find(&bench, "web", "w1")->lease;
    expect_int(register_one(&bench, "w1", "http@10.0.0.7:80", 10), CURATOR_OK); /* is granted 1 s */
    expect_true(find(&bench, "web", "w1")->lease != lease);
    expect_int(store_lease_touch(bench.store, lease, 0), 0); /* gone with its last key */
    expect_int(store_lease_touch(bench.store, find(&bench, "web", "w1")->lease, 0), 1000);

    expect_int(register_one(&bench, "w1", "http@10.0.0.7:80", 0), CURATOR_OK);
    expect_int(find(&bench, "web", "w1")->lease, 0);
    int64_t revision = store_revision(&bench);
    expect_int(register_one(&bench, "w1", "http@10.0.0.7:80", 0), CURATOR_OK);
    expect_int(store_revision(&bench), revision);
    bench_deinit(&bench);
}

static void another_address_is_another_incarnation(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    struct asked asked = new_registration(&bench, "w1", "http@10.0.0.8:80", 5000);
    expect_int(ask(&asked), CURATOR_OK);
    expect_true(asked.request.was_new);
    bench_deinit(&bench);
}

static void a_lease_that_dies_on_the_way_is_replaced(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    fake_store_hold(bench.store, true);
    struct asked asked = new_registration(&bench, "w1", "http@10.0.0.7:80", 5000);
    asked.record.weight = 7;
    submit(&asked);
    sim_run_for(bench.sim, 6 * S);
    expect_int(fake_store_expire(bench.store), 1);
    fake_store_hold(bench.store, false);
    run(&bench);
    expect_true(asked.is_done);
    expect_int(asked.request.outcome, CURATOR_OK);
    expect_int(find(&bench, "web", "w1")->record.weight, 7);
    curator_request_deinit(&asked.request);
    bench_deinit(&bench);
}

static void heartbeats_by_name_renew(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    run_for(&bench, 4 * S);
    struct asked beat = new_request(&bench, CURATOR_RENEW, "w1");
    submit(&beat);
    expect_true(beat.is_done);
    expect_int(beat.request.outcome, CURATOR_OK);
    expect_int(beat.request.ttl_left_ms, 5000);
    expect_int(ask_for(&bench, CURATOR_RENEW, "w2"), CURATOR_NOT_FOUND);
    run_for(&bench, 6 * S);
    fake_store_expire(bench.store);
    expect_int(ask_for(&bench, CURATOR_RENEW, "w1"), CURATOR_NOT_FOUND);
    bench_deinit(&bench);
}

static void wrong_registrations_are_refused_with_words(void)
{
    struct bench bench;
    bench_init(&bench);
    struct asked nameless = new_registration(&bench, "", "http@10.0.0.7:80", 0);
    expect_int(ask(&nameless), CURATOR_INVALID);
    expect_str(nameless.request.err.text, "the name of the instance is empty");

    static char zone[INSTANCE_RECORD_VALUE_MAX];
    memset(zone, 'z', sizeof(zone));
    struct asked endless = new_registration(&bench, "w1", "http@10.0.0.7:80", 0);
    endless.record.zone = slice_from(zone, sizeof(zone));
    expect_int(ask(&endless), CURATOR_INVALID);
    expect_str(endless.request.err.text, "the record is longer than 65536 bytes");
    bench_deinit(&bench);
}

static void deregistering_takes_key_and_lease(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    register_one(&bench, "w2", "http@10.0.0.7:81", 0);
    int64_t lease = find(&bench, "web", "w1")->lease;
    expect_int(ask_for(&bench, CURATOR_DEREGISTER, "w1"), CURATOR_OK);
    expect_true(find(&bench, "web", "w1") == NULL);
    expect_int(store_lease_touch(bench.store, lease, 0), 0);
    expect_int(ask_for(&bench, CURATOR_DEREGISTER, "w1"), CURATOR_NOT_FOUND);
    expect_int(ask_for(&bench, CURATOR_DEREGISTER, "w2"), CURATOR_OK);
    expect_true(find(&bench, "web", "w2") == NULL);
    bench_deinit(&bench);
}

/* -------- ownership, foreign keys */

static enum curator_outcome ask_as(struct asked asked, const char *identity, bool is_admin)
{
    asked.request.identity = slice_from_str(identity);
    asked.request.is_admin = is_admin;
    return ask(&asked);
}

static void owners_alone_change_what_is_theirs(void)
{
    struct bench bench;
    bench_init(&bench);
    const struct asked mine = new_registration(&bench, "w1", "http@10.0.0.7:80", 5000);
    const struct asked other = new_registration(&bench, "w1", "http@10.0.0.8:80", 5000);
    expect_int(ask_as(mine, "alice", false), CURATOR_OK);
    expect_slice(find(&bench, "web", "w1")->record.owner, "alice");
    expect_int(ask_as(other, "bob", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(other, "", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(new_request(&bench, CURATOR_RENEW, "w1"), "bob", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(new_request(&bench, CURATOR_DEREGISTER, "w1"), "bob", false), CURATOR_NOT_OWNER);
    struct asked drain = new_request(&bench, CURATOR_DRAIN, "");
    drain.request.order.since_ms = 1;
    expect_int(ask_as(drain, "bob", false), CURATOR_NOT_OWNER);

    expect_int(ask_as(other, "root", true), CURATOR_OK);
    expect_slice(find(&bench, "web", "w1")->record.address, "http@10.0.0.8:80");
    expect_slice(find(&bench, "web", "w1")->record.owner, "alice"); /* it stays hers */
    expect_int(ask_as(new_request(&bench, CURATOR_DEREGISTER, "w1"), "alice", false), CURATOR_OK);
    bench_deinit(&bench);
}

static void put_foreign(struct bench *bench, const char *key, const char *value)
{
    struct store_request grant = {.type = STORE_LEASE_GRANT, .loop = bench->loop, .lease = {77, 5000}};
    struct store_op op = {.type = STORE_OP_PUT, .put = {slice_from_str(key), slice_from_str(value), .lease = 77}};
    struct store_request put = {.type = STORE_TXN,
                                .loop = bench->loop,
                                .txn = {.success = &op, .n_success = 1},
                                .origin = {.actor = SLICE_LIT("etcd 1")}};
    struct store_request *both[] = {&grant, &put};
    for (unsigned i = 0; i < ARRAY_LEN(both); i++) {
        both[i]->done = store_request_deinit;
        store_submit(bench->store, both[i]);
        run(bench);
    }
}

static void foreign_keys_are_instances(void)
{
    struct bench bench;
    bench_init(&bench);
    put_foreign(&bench, "web/001", "127.0.0.1:1212");
    expect_slice(find(&bench, "web", "001")->record.address, "127.0.0.1:1212");
    expect_slice(find(&bench, "web", "001")->record.origin, "etcd");
    expect_int(register_one(&bench, "001", "http@10.0.0.7:80", 0), CURATOR_FOREIGN);
    expect_int(ask_for(&bench, CURATOR_RENEW, "001"), CURATOR_OK);
    expect_int(ask_for(&bench, CURATOR_DEREGISTER, "001"), CURATOR_OK);
    expect_true(find(&bench, "web", "001") == NULL);
    expect_int(store_lease_touch(bench.store, 77, 0), 5000); /* theirs */
    bench_deinit(&bench);
}

/* -------- orders */

static struct asked new_order(struct bench *bench, const char *id, int64_t until_ms)
{
    struct asked asked = new_request(bench, CURATOR_DRAIN, id);
    asked.request.order = (struct instance_order){
        .owner = SLICE_LIT("alice"), .reason = SLICE_LIT("new kernel"), .since_ms = 1, .until_ms = until_ms};
    return asked;
}

static bool count_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    (void)name, (void)value, (void)version;
    ++*(unsigned *)ctx;
    return true;
}

static unsigned n_docs(struct bench *bench)
{
    unsigned n = 0;
    expect_int(store_docs(bench->store, SLICE_LIT("drain/"), count_doc, &n), 0);
    return n;
}

static void drains_survive_registrations_and_restarts(void)
{
    struct bench bench;
    bench_init(&bench);
    struct asked drain = new_order(&bench, "w1", 0);
    expect_int(ask(&drain), CURATOR_NOT_FOUND);
    register_one(&bench, "w1", "http@10.0.0.7:80", 0);
    drain = new_order(&bench, "w1", 0);
    expect_int(ask(&drain), CURATOR_OK);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), DRAINING));
    expect_slice(find(&bench, "web", "w1")->drain->reason, "new kernel");
    register_one(&bench, "w1", "http@10.0.0.8:80", 0);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), DRAINING));

    run_for(&bench, S / 10); /* notes are gathered for a moment */
    int64_t revision = catalog_revision(curator_catalog(bench.curator));
    stop(&bench);
    start(&bench);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), DRAINING));
    expect_slice(find(&bench, "web", "w1")->drain->owner, "alice");
    expect_true(catalog_revision(curator_catalog(bench.curator)) >= revision);

    struct asked end = new_request(&bench, CURATOR_DRAIN, "w1");
    expect_int(ask(&end), CURATOR_OK);
    expect_int(find(&bench, "web", "w1")->reasons, 0);
    expect_int(n_docs(&bench), 0);
    bench_deinit(&bench);
}

static void drains_end_with_their_time(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 0);
    int64_t now_ms = loop_wall_now(bench.loop) / NSEC_PER_MSEC;
    struct asked drain = new_order(&bench, "w1", now_ms + 10000);
    expect_int(ask(&drain), CURATOR_OK);
    expect_int(n_docs(&bench), 1);
    run_for(&bench, 9 * S);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), DRAINING));
    run_for(&bench, 2 * S);
    expect_int(find(&bench, "web", "w1")->reasons, 0);
    expect_int(n_docs(&bench), 0);
    bench_deinit(&bench);
}

static void a_whole_service_drains(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 0);
    register_one(&bench, "w2", "http@10.0.0.7:81", 0);
    struct asked drain = new_order(&bench, "", 0);
    expect_int(ask(&drain), CURATOR_OK);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), DRAINING));
    expect_true(INSTANCE_HAS(find(&bench, "web", "w2"), DRAINING));
    bench_deinit(&bench);
}

/* -------- timeline, followers, lost commits, refusals */

static bool collect_note(void *ctx, const struct store_note *note)
{
    if (note->kind < STORE_NOTE_FREE)
        return true;
    struct buf *text = ctx;
    return buf_printf(text, "%.*s %.*s by %.*s\n", SLICE_ARG(note->subject), SLICE_ARG(timeline_text(note->kind)),
                      SLICE_ARG(note->actor)) == 0;
}

static void expect_timeline(struct bench *bench, const char *expected)
{
    struct buf text = {0};
    run_for(bench, S / 10); /* notes are gathered for a moment */
    run(bench);
    store_notes(bench->store, collect_note, &text);
    expect_slice(buf_slice(&text), expected);
    buf_deinit(&text);
}

static void the_timeline_is_in_the_store(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    const struct catalog_event dead = {
        .type = CATALOG_SUSPECT,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("w1"), .actor = SLICE_LIT("gateway")},
    };
    expect_int(curator_report(bench.curator, &dead), 0);
    run(&bench);
    expect_true(INSTANCE_HAS(find(&bench, "web", "w1"), SUSPECT));
    ask_for(&bench, CURATOR_DEREGISTER, "w1");
    run(&bench);
    expect_timeline(&bench,
                    "web/w1 registered by a test\nweb/w1 suspected by gateway\nweb/w1 deregistered by a test\n");
    bench_deinit(&bench);
}

static void notes_wait_for_a_store_that_refuses(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 5000);
    expect_timeline(&bench, "web/w1 registered by a test\n");
    fake_store_refuse(bench.store, STORE_NO_SPACE);
    struct asked asked = new_registration(&bench, "w2", "http@10.0.0.7:80", 5000);
    expect_int(ask(&asked), CURATOR_REFUSED);
    expect_int(asked.request.store_outcome, STORE_NO_SPACE);
    const struct catalog_event stopped = {
        .type = CATALOG_SOURCE,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("w1"), .actor = SLICE_LIT("docker")},
    };
    expect_int(curator_report(bench.curator, &stopped), 0);
    run_for(&bench, S);
    expect_timeline(&bench, "web/w1 registered by a test\n");
    fake_store_refuse(bench.store, STORE_OK);
    run_for(&bench, S);
    run(&bench);
    expect_timeline(&bench, "web/w1 registered by a test\nweb/w1 stopped by docker\n");
    bench_deinit(&bench);
}

struct follower {
    struct curator_follower follower;
    struct bench *bench;
    int64_t seen;
    unsigned n_news, n_changes;
};

static void on_news(struct curator_follower *base)
{
    struct follower *follower = container_of(base, struct follower, follower);
    const struct catalog *catalog = curator_catalog(follower->bench->curator);
    follower->n_news++;
    for (; follower->seen < catalog_revision(catalog); follower->n_changes++) {
        const struct catalog_change *change = catalog_change(catalog, ++follower->seen);
        expect_int(change->revision, follower->seen);
    }
}

static void followers_see_each_change_once(void)
{
    struct bench bench;
    char id[16];
    bench_init(&bench);
    struct follower follower = {.follower = {.loop = bench.loop, .on_news = on_news}, .bench = &bench};
    follower.seen = catalog_revision(curator_catalog(bench.curator));
    expect_int(curator_follow(bench.curator, &follower.follower), 0);
    fake_store_hold(bench.store, true);
    struct asked asked[20];
    for (unsigned i = 0; i < ARRAY_LEN(asked); i++) {
        snprintf(id, sizeof(id), "w%02u", i % 10);
        asked[i] = new_registration(&bench, id, i < 10 ? "http@10.0.0.7:80" : "http@10.0.0.8:80", 5000);
        submit(&asked[i]);
    }
    fake_store_hold(bench.store, false);
    run(&bench);
    expect_int(follower.n_changes, 20);
    expect_int(follower.n_news, 1); /* one per burst */
    for (unsigned i = 0; i < ARRAY_LEN(asked); i++)
        curator_request_deinit(&asked[i].request);
    curator_unfollow(bench.curator, &follower.follower);
    bench_deinit(&bench);
}

static void news_under_way_pass_who_has_gone(void)
{
    struct bench bench;
    bench_init(&bench);
    struct follower follower = {.follower = {.loop = bench.loop, .on_news = on_news}, .bench = &bench};
    expect_int(curator_follow(bench.curator, &follower.follower), 0);
    struct asked asked = new_registration(&bench, "w1", "http@10.0.0.7:80", 0);
    submit(&asked);
    sim_run_for(bench.curator_sim, 0); /* the news are posted, and not delivered yet */
    curator_unfollow(bench.curator, &follower.follower);
    run(&bench);
    expect_true(asked.is_done);
    expect_int(follower.n_news, 0);
    curator_request_deinit(&asked.request);
    bench_deinit(&bench);
}

static void lost_commits_make_no_false_departures(void)
{
    struct bench bench;
    bench_init(&bench);
    register_one(&bench, "w1", "http@10.0.0.7:80", 0);
    register_one(&bench, "w2", "http@10.0.0.7:81", 0);
    uint64_t incarnation = find(&bench, "web", "w1")->incarnation;
    int64_t revision = catalog_revision(curator_catalog(bench.curator));
    /* The curator sleeps while the history goes by. */
    fake_store_put(bench.store, "/muster/services/web/w3", "{\"address\":\"h:1\"}");
    fake_store_delete(bench.store, "/muster/services/web/w2");
    int64_t last = fake_store_put(bench.store, "other", "value");
    fake_store_compact(bench.store, last);
    run_for(&bench, NSEC_PER_MSEC); /* it rests between commits of others */
    expect_int(catalog_passed(curator_catalog(bench.curator)), last);
    expect_int(find(&bench, "web", "w1")->incarnation, incarnation);
    expect_true(find(&bench, "web", "w2") == NULL || INSTANCE_HAS(find(&bench, "web", "w2"), HELD));
    expect_slice(find(&bench, "web", "w3")->record.address, "h:1");
    expect_int(catalog_revision(curator_catalog(bench.curator)), revision + 2);
    bench_deinit(&bench);
}

/* Whatever allocation fails, the request is answered and what it did is consistent. */
static int register_and_leave(void *arg)
{
    struct bench *bench = arg;
    struct asked asked = new_registration(bench, "w1", "http@10.0.0.7:80", 5000);
    submit(&asked);
    run_for(bench, S);
    run_for(bench, S);
    expect_true(asked.is_done);
    curator_request_deinit(&asked.request);
    bool is_short = asked.request.outcome != CURATOR_OK;
    expect_true(!is_short || asked.request.store_outcome == STORE_OUT_OF_MEMORY);
    expect_true(is_short || asked.was_visible);
    if (is_short)
        return -ENOMEM;
    asked = new_request(bench, CURATOR_DEREGISTER, "w1");
    submit(&asked);
    run_for(bench, S);
    run_for(bench, S);
    expect_true(asked.is_done);
    curator_request_deinit(&asked.request);
    if (asked.request.outcome == CURATOR_OK)
        return 0;
    expect_int(ask_for(bench, CURATOR_DEREGISTER, "w1"), CURATOR_OK);
    return -ENOMEM;
}

static void out_of_memory_is_overcome(void)
{
    struct bench bench;
    bench_init(&bench);
    expect_true(fault_alloc_sweep(register_and_leave, &bench) > 10);
    bench_deinit(&bench);
}

static const struct test_case cases[] = {
    {"a registration is visible when it is answered", a_registration_is_visible_when_answered},
    {"registering again only renews, without a write", registering_again_only_renews},
    {"a changed record keeps its lease", a_changed_record_keeps_its_lease},
    {"another TTL takes another lease", another_ttl_takes_another_lease},
    {"another address is another incarnation", another_address_is_another_incarnation},
    {"a lease that dies on the way is replaced", a_lease_that_dies_on_the_way_is_replaced},
    {"heartbeats by name renew", heartbeats_by_name_renew},
    {"wrong registrations are refused with words", wrong_registrations_are_refused_with_words},
    {"deregistering takes key and lease", deregistering_takes_key_and_lease},
    {"owners alone change what is theirs", owners_alone_change_what_is_theirs},
    {"foreign keys are instances, and may be deregistered", foreign_keys_are_instances},
    {"drains survive registrations and restarts", drains_survive_registrations_and_restarts},
    {"drains end with their time", drains_end_with_their_time},
    {"a whole service drains", a_whole_service_drains},
    {"the timeline is in the store", the_timeline_is_in_the_store},
    {"notes wait for a store that refuses", notes_wait_for_a_store_that_refuses},
    {"followers see each change once, and one piece of news per burst", followers_see_each_change_once},
    {"news under way pass who has gone", news_under_way_pass_who_has_gone},
    {"lost commits make no false departures", lost_commits_make_no_false_departures},
    {"running out of memory is overcome", out_of_memory_is_overcome},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
