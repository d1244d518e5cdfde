/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of the curator: registrations, heartbeats, departures, and whose is what. */
#include "support/curator_kit.h"

#include "catalog/instance_record.h"
#include "support/fake_store.h"
#include "support/sim.h"
#include "support/test.h"

#define S NSEC_PER_SEC

static int64_t store_revision(const struct curator_kit *kit)
{
    struct store_view view;
    store_view(kit->store, false, &view);
    return view.revision;
}

/* -------- registering */

static void a_registration_is_visible_when_answered(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    struct asked asked = kit_registration(&kit, "w1", "http@10.0.0.7:80", 5000);
    expect_int(kit_ask(&asked), CURATOR_OK);
    expect_true(asked.was_visible);
    expect_true(asked.request.was_new);
    expect_int(asked.request.ttl_left_ms, 5000);
    const struct instance *instance = kit_find(&kit, "web", "w1");
    expect_slice(instance->record.address, "http@10.0.0.7:80");
    expect_slice(instance->key, "/muster/services/web/w1");
    expect_int(instance->lease >> 48, CURATOR_LEASE_MARK);
    expect_int(asked.request.revision, instance->revision);
    expect_int(store_revision(&kit), 2);
    curator_kit_deinit(&kit);
}

static void registering_again_only_renews(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    for (unsigned i = 0; i < 10; i++) {
        curator_kit_run_for(&kit, 4 * S);
        struct asked again = kit_registration(&kit, "w1", "http@10.0.0.7:80", 5000);
        kit_submit(&again);
        expect_true(again.is_done); /* from inside */
        expect_int(again.request.outcome, CURATOR_OK);
        expect_false(again.request.was_new);
        expect_int(fake_store_expire(kit.store), 0);
        curator_request_deinit(&again.request);
    }
    expect_int(store_revision(&kit), 2);
    curator_kit_run_for(&kit, 6 * S);
    expect_int(fake_store_expire(kit.store), 1);
    curator_kit_run(&kit);
    expect_true(kit_find(&kit, "web", "w1") == NULL);
    curator_kit_deinit(&kit);
}

static void a_changed_record_keeps_its_lease(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    int64_t lease = kit_find(&kit, "web", "w1")->lease;
    uint64_t incarnation = kit_find(&kit, "web", "w1")->incarnation;
    struct asked asked = kit_registration(&kit, "w1", "http@10.0.0.7:80", 5000);
    asked.record.weight = 7;
    expect_int(kit_ask(&asked), CURATOR_OK);
    expect_false(asked.request.was_new);
    expect_int(kit_find(&kit, "web", "w1")->lease, lease);
    expect_int(kit_find(&kit, "web", "w1")->incarnation, incarnation);
    expect_int(kit_find(&kit, "web", "w1")->record.weight, 7);
    curator_kit_deinit(&kit);
}

static void another_ttl_takes_another_lease(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    int64_t lease = kit_find(&kit, "web", "w1")->lease;
    expect_int(kit_register(&kit, "w1", "http@10.0.0.7:80", 10), CURATOR_OK); /* is granted 1 s */
    expect_true(kit_find(&kit, "web", "w1")->lease != lease);
    expect_int(store_lease_touch(kit.store, lease, 0), 0); /* gone with its last key */
    expect_int(store_lease_touch(kit.store, kit_find(&kit, "web", "w1")->lease, 0), 1000);

    expect_int(kit_register(&kit, "w1", "http@10.0.0.7:80", 0), CURATOR_OK);
    expect_int(kit_find(&kit, "web", "w1")->lease, 0);
    int64_t revision = store_revision(&kit);
    expect_int(kit_register(&kit, "w1", "http@10.0.0.7:80", 0), CURATOR_OK);
    expect_int(store_revision(&kit), revision);
    curator_kit_deinit(&kit);
}

static void another_address_is_another_incarnation(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    struct asked asked = kit_registration(&kit, "w1", "http@10.0.0.8:80", 5000);
    expect_int(kit_ask(&asked), CURATOR_OK);
    expect_true(asked.request.was_new);
    curator_kit_deinit(&kit);
}

static void a_lease_that_dies_on_the_way_is_replaced(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    fake_store_hold(kit.store, true);
    struct asked asked = kit_registration(&kit, "w1", "http@10.0.0.7:80", 5000);
    asked.record.weight = 7;
    kit_submit(&asked);
    sim_run_for(kit.sim, 6 * S);
    expect_int(fake_store_expire(kit.store), 1);
    fake_store_hold(kit.store, false);
    curator_kit_run(&kit);
    expect_true(asked.is_done);
    expect_int(asked.request.outcome, CURATOR_OK);
    expect_int(kit_find(&kit, "web", "w1")->record.weight, 7);
    curator_request_deinit(&asked.request);
    curator_kit_deinit(&kit);
}

static void heartbeats_by_name_renew(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    curator_kit_run_for(&kit, 4 * S);
    struct asked beat = curator_kit_request(&kit, CURATOR_RENEW, "w1");
    kit_submit(&beat);
    expect_true(beat.is_done);
    expect_int(beat.request.outcome, CURATOR_OK);
    expect_int(beat.request.ttl_left_ms, 5000);
    expect_int(kit_ask_for(&kit, CURATOR_RENEW, "w2"), CURATOR_NOT_FOUND);
    curator_kit_run_for(&kit, 6 * S);
    fake_store_expire(kit.store);
    expect_int(kit_ask_for(&kit, CURATOR_RENEW, "w1"), CURATOR_NOT_FOUND);
    curator_kit_deinit(&kit);
}

static void wrong_registrations_are_refused_with_words(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    struct asked nameless = kit_registration(&kit, "", "http@10.0.0.7:80", 0);
    expect_int(kit_ask(&nameless), CURATOR_INVALID);
    expect_str(nameless.request.err.text, "the name of the instance is empty");

    static char zone[INSTANCE_RECORD_VALUE_MAX];
    memset(zone, 'z', sizeof(zone));
    struct asked endless = kit_registration(&kit, "w1", "http@10.0.0.7:80", 0);
    const struct instance_details details = {.zone = slice_from(zone, sizeof(zone))};
    endless.record.details = &details;
    expect_int(kit_ask(&endless), CURATOR_INVALID);
    expect_str(endless.request.err.text, "the record is longer than 65536 bytes");
    curator_kit_deinit(&kit);
}

static void deregistering_takes_key_and_lease(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_register(&kit, "w1", "http@10.0.0.7:80", 5000);
    kit_register(&kit, "w2", "http@10.0.0.7:81", 0);
    int64_t lease = kit_find(&kit, "web", "w1")->lease;
    expect_int(kit_ask_for(&kit, CURATOR_DEREGISTER, "w1"), CURATOR_OK);
    expect_true(kit_find(&kit, "web", "w1") == NULL);
    expect_int(store_lease_touch(kit.store, lease, 0), 0);
    expect_int(kit_ask_for(&kit, CURATOR_DEREGISTER, "w1"), CURATOR_NOT_FOUND);
    expect_int(kit_ask_for(&kit, CURATOR_DEREGISTER, "w2"), CURATOR_OK);
    expect_true(kit_find(&kit, "web", "w2") == NULL);
    curator_kit_deinit(&kit);
}

/* -------- ownership, foreign keys */

static enum curator_outcome ask_as(struct asked asked, const char *identity, bool is_admin)
{
    asked.request.identity = slice_from_str(identity);
    asked.request.is_admin = is_admin;
    return kit_ask(&asked);
}

static void owners_alone_change_what_is_theirs(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    const struct asked mine = kit_registration(&kit, "w1", "http@10.0.0.7:80", 5000);
    const struct asked other = kit_registration(&kit, "w1", "http@10.0.0.8:80", 5000);
    expect_int(ask_as(mine, "alice", false), CURATOR_OK);
    expect_slice(instance_details(&kit_find(&kit, "web", "w1")->record)->owner, "alice");
    expect_int(ask_as(other, "bob", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(other, "", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(curator_kit_request(&kit, CURATOR_RENEW, "w1"), "bob", false), CURATOR_NOT_OWNER);
    expect_int(ask_as(curator_kit_request(&kit, CURATOR_DEREGISTER, "w1"), "bob", false), CURATOR_NOT_OWNER);
    struct asked drain = curator_kit_request(&kit, CURATOR_DRAIN, "");
    drain.request.order.since_ms = 1;
    expect_int(ask_as(drain, "bob", false), CURATOR_NOT_OWNER);

    expect_int(ask_as(other, "root", true), CURATOR_OK);
    expect_slice(kit_find(&kit, "web", "w1")->record.address, "http@10.0.0.8:80");
    expect_slice(instance_details(&kit_find(&kit, "web", "w1")->record)->owner, "alice"); /* it stays hers */
    expect_int(ask_as(curator_kit_request(&kit, CURATOR_DEREGISTER, "w1"), "alice", false), CURATOR_OK);
    curator_kit_deinit(&kit);
}

static void who_is_turned_away_is_told_once_in_a_while(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    expect_int(ask_as(kit_registration(&kit, "w1", "http@10.0.0.7:80", 60000), "alice", false), CURATOR_OK);
    for (unsigned i = 0; i < 3; i++)
        expect_int(ask_as(curator_kit_request(&kit, CURATOR_DEREGISTER, "w1"), "bob", false), CURATOR_NOT_OWNER);
    curator_kit_run_for(&kit, 11 * S);
    expect_int(ask_as(curator_kit_request(&kit, CURATOR_RENEW, "w1"), "", false), CURATOR_NOT_OWNER);
    curator_kit_run_for(&kit, S);
    kit_expect_timeline(&kit, "web/w1 registered by a test\nweb/w1 refused by a test\nweb/w1 refused by a test\n");
    expect_int(instance_status(kit_find(&kit, "web", "w1")), INSTANCE_UP);
    curator_kit_deinit(&kit);
}

static void foreign_keys_are_instances(void)
{
    struct curator_kit kit;
    curator_kit_init(&kit);
    kit_put_leased(&kit, "web/001", "127.0.0.1:1212");
    expect_slice(kit_find(&kit, "web", "001")->record.address, "127.0.0.1:1212");
    expect_slice(kit_find(&kit, "web", "001")->record.origin, "etcd");
    expect_int(kit_register(&kit, "001", "http@10.0.0.7:80", 0), CURATOR_FOREIGN);
    expect_int(kit_ask_for(&kit, CURATOR_RENEW, "001"), CURATOR_OK);
    expect_int(kit_ask_for(&kit, CURATOR_DEREGISTER, "001"), CURATOR_OK);
    expect_true(kit_find(&kit, "web", "001") == NULL);
    expect_int(store_lease_touch(kit.store, 77, 0), 5000); /* theirs */
    curator_kit_deinit(&kit);
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
    {"who is turned away is told once in a while", who_is_turned_away_is_told_once_in_a_while},
    {"foreign keys are instances, and may be deregistered", foreign_keys_are_instances},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
