/* SPDX-License-Identifier: Apache-2.0 */
/* What the curator has in the store and takes from it: orders, the timeline, commits that it missed. */
#include "support/curator_kit.h"

#include "catalog/instance_record.h"
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

#define S NSEC_PER_SEC

/* -------- orders */

static struct asked new_order(struct curator_kit *kit, const char *id, int64_t until_ms)
{
    struct asked asked = curator_kit_request(kit, CURATOR_DRAIN, id);
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

static unsigned n_docs(struct curator_kit *kit)
{
    unsigned n = 0;
    expect_int(store_docs(kit->store, SLICE_LIT("drain/"), count_doc, &n), 0);
    return n;
}

static void drains_survive_registrations_and_restarts(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    struct asked drain = new_order(&kit, "w1", 0);
    expect_int(kit_ask(&drain), CURATOR_NOT_FOUND);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 0);
    drain = new_order(&kit, "w1", 0);
    expect_int(kit_ask(&drain), CURATOR_OK);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), DRAINING));
    expect_slice(instance_orders(kit_find(&kit, "web", "w1"))->drain->reason, "new kernel");
    kit_register(&kit, "w1", "http@10.0.0.8:80", 0);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), DRAINING));

    curator_kit_run_for(&kit, S / 10); /* notes are gathered for a moment */
    int64_t revision = catalog_revision(curator_catalog(kit.curator));
    curator_kit_stop(&kit);
    curator_kit_start(&kit);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), DRAINING));
    expect_slice(instance_orders(kit_find(&kit, "web", "w1"))->drain->owner, "alice");
    expect_true(catalog_revision(curator_catalog(kit.curator)) >= revision);

    struct asked end = curator_kit_request(&kit, CURATOR_DRAIN, "w1");
    expect_int(kit_ask(&end), CURATOR_OK);
    expect_int(kit_find(&kit, "web", "w1")->reasons, 0);
    expect_int(n_docs(&kit), 0);
    curator_kit_deinit(&kit);
}

static void drains_end_with_their_time(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 0);
    int64_t now_ms = loop_wall_now(kit.loop) / NSEC_PER_MSEC;
    struct asked drain = new_order(&kit, "w1", now_ms + 10000);
    expect_int(kit_ask(&drain), CURATOR_OK);
    expect_int(n_docs(&kit), 1);
    curator_kit_run_for(&kit, 9 * S);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), DRAINING));
    curator_kit_run_for(&kit, 2 * S);
    expect_int(kit_find(&kit, "web", "w1")->reasons, 0);
    expect_int(n_docs(&kit), 0);
    curator_kit_deinit(&kit);
}

static void a_whole_service_drains(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 0);
    kit_register(&kit, "w2", "http@10.0.0.7:81", 0);
    struct asked drain = new_order(&kit, "", 0);
    expect_int(kit_ask(&drain), CURATOR_OK);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), DRAINING));
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w2"), DRAINING));
    curator_kit_deinit(&kit);
}

/* -------- timeline, followers, lost commits, refusals */

static void the_timeline_is_in_the_store(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    const struct catalog_event dead = {
        .type = CATALOG_SUSPECT,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("w1"), .actor = SLICE_LIT("gateway")},
    };
    expect_int(curator_report(kit.curator, &dead), 0);
    curator_kit_run(&kit);
    expect_true(INSTANCE_HAS(kit_find(&kit, "web", "w1"), SUSPECT));
    kit_ask_for(&kit, CURATOR_DEREGISTER, "w1");
    curator_kit_run(&kit);
    kit_expect_timeline(&kit,
                        "web/w1 registered by a test\nweb/w1 suspected by gateway\nweb/w1 deregistered by a test\n");
    curator_kit_deinit(&kit);
}

static void delete_key(struct curator_kit *kit, const char *key)
{
    struct store_op op = {.type = STORE_OP_DELETE, .del = {.key = slice_from_str(key)}};
    struct store_request request = {.type = STORE_TXN,
                                    .loop = kit->loop,
                                    .done = store_request_deinit,
                                    .txn = {.success = &op, .n_success = 1},
                                    .origin = {.actor = SLICE_LIT("etcd 2")}};
    store_submit(kit->store, &request);
    curator_kit_run(kit);
}

/* As after a crash that took the entries. */
static void what_the_timeline_missed_is_found_out_at_the_start(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "goes", "http@10.0.0.7:80", 0);
    kit_register(&kit, "stays", "http@10.0.0.7:80", 0);
    kit_register(&kit, "comes", "http@10.0.0.7:80", 0);
    kit_ask_for(&kit, CURATOR_DEREGISTER, "comes");
    curator_kit_run_for(&kit, S);
    const int64_t since_ms = kit_find(&kit, "web", "stays")->registered_ms;
    curator_kit_stop(&kit);
    delete_key(&kit, "/muster/services/web/goes");
    kit_put_leased(&kit, "/muster/services/web/comes", "{\"address\":\"10.0.0.7:80\"}");
    curator_kit_run_for(&kit, S);
    static const char expected[] =
        "web/goes registered by a test\nweb/stays registered by a test\nweb/comes registered by a test\n"
        "web/comes deregistered by a test\n"
        "web/comes registered by \nweb/goes deregistered by etcd 2\n";
    for (unsigned i = 0; i < 2; i++) { /* once */
        curator_kit_start(&kit);
        kit_expect_timeline(&kit, expected);
        expect_int(kit_find(&kit, "web", "stays")->registered_ms, since_ms);
        curator_kit_stop(&kit);
    }
    curator_kit_start(&kit);
    curator_kit_deinit(&kit);
}

static void notes_wait_for_a_store_that_refuses(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    kit_expect_timeline(&kit, "web/w1 registered by a test\n");
    fake_store_refuse(kit.store, STORE_NO_SPACE);
    struct asked asked = kit_registration(&kit, "w2", "http@10.0.0.7:80", 5000);
    expect_int(kit_ask(&asked), CURATOR_REFUSED);
    expect_int(asked.request.store_outcome, STORE_NO_SPACE);
    const struct catalog_event stopped = {
        .type = CATALOG_SOURCE,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("w1"), .actor = SLICE_LIT("docker")},
    };
    expect_int(curator_report(kit.curator, &stopped), 0);
    curator_kit_run_for(&kit, S);
    kit_expect_timeline(&kit, "web/w1 registered by a test\n");
    fake_store_refuse(kit.store, STORE_OK);
    curator_kit_run_for(&kit, S);
    curator_kit_run(&kit);
    kit_expect_timeline(&kit, "web/w1 registered by a test\nweb/w1 stopped by docker\n");
    curator_kit_deinit(&kit);
}

struct follower {
    struct curator_follower follower;
    struct curator_kit *kit;
    int64_t seen;
    unsigned n_news, n_changes;
};

static void on_news(struct curator_follower *base)
{
    struct follower *follower = container_of(base, struct follower, follower);
    const struct catalog *catalog = curator_catalog(follower->kit->curator);
    follower->n_news++;
    for (; follower->seen < catalog_revision(catalog); follower->n_changes++) {
        const struct catalog_change *change = catalog_change(catalog, ++follower->seen);
        expect_int(change->revision, follower->seen);
    }
}

static void followers_see_each_change_once(void)
{
    struct curator_kit kit;
    char id[16];
    curator_kit_init(&kit);
    struct follower follower = {.follower = {.loop = kit.loop, .on_news = on_news}, .kit = &kit};
    follower.seen = catalog_revision(curator_catalog(kit.curator));
    expect_int(curator_follow(kit.curator, &follower.follower), 0);
    fake_store_hold(kit.store, true);
    struct asked asked[20];
    for (unsigned i = 0; i < ARRAY_LEN(asked); i++) {
        snprintf(id, sizeof(id), "w%02u", i % 10);
        asked[i] = kit_registration(&kit, id, i < 10 ? "http@10.0.0.7:80" : "http@10.0.0.8:80", 5000);
        kit_submit(&asked[i]);
    }
    fake_store_hold(kit.store, false);
    curator_kit_run(&kit);
    expect_int(follower.n_changes, 20);
    expect_int(follower.n_news, 1); /* one per burst */
    for (unsigned i = 0; i < ARRAY_LEN(asked); i++)
        curator_request_deinit(&asked[i].request);
    curator_unfollow(kit.curator, &follower.follower);
    curator_kit_deinit(&kit);
}

static void news_under_way_pass_who_has_gone(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    struct follower follower = {.follower = {.loop = kit.loop, .on_news = on_news}, .kit = &kit};
    expect_int(curator_follow(kit.curator, &follower.follower), 0);
    struct asked asked = kit_registration(&kit, "w1", "http@10.0.0.7:80", 0);
    kit_submit(&asked);
    sim_run_for(kit.curator_sim, 0); /* the news are posted, and not delivered yet */
    curator_unfollow(kit.curator, &follower.follower);
    curator_kit_run(&kit);
    expect_true(asked.is_done);
    expect_int(follower.n_news, 0);
    curator_request_deinit(&asked.request);
    curator_kit_deinit(&kit);
}

static void lost_commits_make_no_false_departures(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 0);
    kit_register(&kit, "w2", "http@10.0.0.7:81", 0);
    uint64_t incarnation = kit_find(&kit, "web", "w1")->incarnation;
    int64_t revision = catalog_revision(curator_catalog(kit.curator));
    /* The curator sleeps while the history goes by. */
    fake_store_put(kit.store, "/muster/services/web/w3", "{\"address\":\"h:1\"}");
    fake_store_delete(kit.store, "/muster/services/web/w2");
    int64_t last = fake_store_put(kit.store, "other", "value");
    fake_store_compact(kit.store, last);
    curator_kit_run_for(&kit, NSEC_PER_MSEC); /* it rests between commits of others */
    expect_int(catalog_passed(curator_catalog(kit.curator)), last);
    expect_int(kit_find(&kit, "web", "w1")->incarnation, incarnation);
    expect_true(kit_find(&kit, "web", "w2") == NULL || INSTANCE_HAS(kit_find(&kit, "web", "w2"), HELD));
    expect_slice(kit_find(&kit, "web", "w3")->record.address, "h:1");
    expect_int(catalog_revision(curator_catalog(kit.curator)), revision + 2);
    curator_kit_deinit(&kit);
}

static void lost_commits_take_those_who_waited_for_a_name(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 0);
    kit_put_leased(&kit, "web/w1", "10.0.0.8:80");
    expect_slice(kit_find(&kit, "web", "w1")->record.address, "http@10.0.0.7:80");
    fake_store_delete(kit.store, "web/w1");
    fake_store_compact(kit.store, fake_store_put(kit.store, "other", "value"));
    curator_kit_run_for(&kit, NSEC_PER_MSEC);
    expect_int(kit_ask_for(&kit, CURATOR_DEREGISTER, "w1"), CURATOR_OK);
    expect_true(kit_find(&kit, "web", "w1") == NULL);
    curator_kit_deinit(&kit);
}

/* Whatever allocation fails, the request is answered and what it did is consistent. */
static int register_and_leave(void *arg)
{
    struct curator_kit *kit = arg;
    struct asked asked = kit_registration(kit, "w1", "http@10.0.0.7:80", 5000);
    kit_submit(&asked);
    curator_kit_run_for(kit, S);
    curator_kit_run_for(kit, S);
    expect_true(asked.is_done);
    curator_request_deinit(&asked.request);
    bool is_short = asked.request.outcome != CURATOR_OK;
    expect_true(!is_short || asked.request.store_outcome == STORE_OUT_OF_MEMORY);
    expect_true(is_short || asked.was_visible);
    if (is_short)
        return -ENOMEM;
    asked = curator_kit_request(kit, CURATOR_DEREGISTER, "w1");
    kit_submit(&asked);
    curator_kit_run_for(kit, S);
    curator_kit_run_for(kit, S);
    expect_true(asked.is_done);
    curator_request_deinit(&asked.request);
    if (asked.request.outcome == CURATOR_OK)
        return 0;
    expect_int(kit_ask_for(kit, CURATOR_DEREGISTER, "w1"), CURATOR_OK);
    return -ENOMEM;
}

static void out_of_memory_is_overcome(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    expect_true(fault_alloc_sweep(register_and_leave, &kit) > 10);
    curator_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"drains survive registrations and restarts", drains_survive_registrations_and_restarts},
    {"drains end with their time", drains_end_with_their_time},
    {"a whole service drains", a_whole_service_drains},
    {"the timeline is in the store", the_timeline_is_in_the_store},
    {"what the timeline missed is found out at the start", what_the_timeline_missed_is_found_out_at_the_start},
    {"notes wait for a store that refuses", notes_wait_for_a_store_that_refuses},
    {"followers see each change once, and one piece of news per burst", followers_see_each_change_once},
    {"news under way pass who has gone", news_under_way_pass_who_has_gone},
    {"lost commits make no false departures", lost_commits_make_no_false_departures},
    {"lost commits take those who waited for a name", lost_commits_take_those_who_waited_for_a_name},
    {"running out of memory is overcome", out_of_memory_is_overcome},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
