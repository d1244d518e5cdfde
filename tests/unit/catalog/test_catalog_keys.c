/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys become instances: who is who, why it went, and who wrote it.
 */
#include "support/catalog_kit.h"
#include "support/test.h"

#include <stdio.h>

static struct catalog_kit kit;

static void begin(void)
{
    catalog_kit_init(&kit, NULL);
}

static void end(void)
{
    catalog_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ coming */

static void a_record_is_an_instance(void)
{
    begin();
    kit_register_by(&kit, "web", "1", "http@10.0.0.1:80", "etcd 10.0.0.1:4001");
    const struct instance *instance = kit_find(&kit, "web", "1");
    expect_slice(instance->record.host, "10.0.0.1");
    expect_int(instance->record.port, 80);
    expect_slice(instance->key, "/muster/services/web/1");
    expect_int(instance->lease, 77);
    expect_int(instance->revision, 1);
    expect_int(instance->registered_ms, kit.time.wall_ms);
    expect_true(instance->incarnation != 0);
    expect_str(kit_reasons(&kit, "web", "1"), "up");
    expect_str(kit_last(&kit), "1 registered web/1 by etcd 10.0.0.1:4001");
    expect_int(catalog_passed(kit.catalog), kit.store_revision);
    end();
}

static void a_projected_key_is_an_instance(void)
{
    begin();
    kit_put(&kit, "server/001", "127.0.0.1:1212", 5, "");
    expect_int(kit_find(&kit, "server", "001")->record.port, 1212);
    expect_str(kit_last(&kit), "1 registered server/001");
    kit_delete(&kit, "server/001", STORE_NOTE_DELETED, "etcd 10.0.0.7:4001", "");
    expect_str(kit_last(&kit), "2 deregistered server/001 by etcd 10.0.0.7:4001");
    expect_int(kit_count(&kit, "server"), 0);
    end();
}

static void other_keys_are_not(void)
{
    begin();
    kit_put(&kit, "config/colour", "blue", 0, "");
    kit_put(&kit, "/muster/services/web/1", "not a record", 1, "");
    kit_delete(&kit, "config/colour", STORE_NOTE_DELETED, "", "");
    expect_int(kit.trace.len, 0);
    expect_int(catalog_revision(kit.catalog), 0);
    end();
}

static void a_key_that_is_no_address_any_more_leaves(void)
{
    begin();
    kit_put(&kit, "server/001", "127.0.0.1:1212", 5, "");
    kit_put(&kit, "server/001", "out of order", 5, "root");
    expect_str(kit_last(&kit), "2 deregistered server/001 by root: its value is that of an instance no more");
    expect_int(kit_count(&kit, "server"), 0);
    end();
}

/* ------------------------------------------------------------------------------------------------ the same, or not */

static void the_same_record_again_is_no_change(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    uint64_t incarnation = kit_find(&kit, "web", "1")->incarnation;
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    expect_int(catalog_revision(kit.catalog), 1);
    expect_int(kit_find(&kit, "web", "1")->mod_revision, kit.store_revision);
    expect_int(kit_find(&kit, "web", "1")->incarnation, incarnation);
    end();
}

static void another_record_of_the_same_instance_is_a_change(void)
{
    begin();
    kit_register(&kit, "web", "1", "{\"address\": \"10.0.0.1:80\", \"weight\": 1}");
    const struct instance *before = instance_ref(kit_find(&kit, "web", "1"));
    kit_pass(&kit, NSEC_PER_SEC);
    kit_register(&kit, "web", "1", "{\"address\": \"10.0.0.1:80\", \"weight\": 5}");
    const struct instance *after = kit_find(&kit, "web", "1");
    expect_str(kit_last(&kit), "2 changed web/1");
    expect_int(after->record.weight, 5);
    expect_int(after->incarnation, before->incarnation);
    expect_int(after->registered_ms, before->registered_ms);
    expect_int(after->changed_ms, before->changed_ms); /* its status did not */
    instance_unref(before);
    end();
}

static void another_address_is_another_incarnation(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    const struct instance *before = instance_ref(kit_find(&kit, "web", "1"));
    kit_report(&kit, CATALOG_SOURCE, "web", "1", false, "paused");
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    const struct instance *after = kit_find(&kit, "web", "1");
    expect_str(kit_last(&kit), "3 replaced web/1");
    expect_true(after->incarnation != before->incarnation);
    expect_str(kit_reasons(&kit, "web", "1"), "up"); /* what was said of the former one does not hold for it */
    instance_unref(before);
    end();
}

static void another_session_is_another_incarnation(void)
{
    begin();
    kit_register(&kit, "web", "1", "{\"address\": \"10.0.0.1:80\", \"session\": \"a\"}");
    uint64_t incarnation = kit_find(&kit, "web", "1")->incarnation;
    kit_register(&kit, "web", "1", "{\"address\": \"10.0.0.1:80\", \"session\": \"b\"}");
    expect_str(kit_last(&kit), "2 replaced web/1");
    expect_true(kit_find(&kit, "web", "1")->incarnation != incarnation);
    end();
}

static void a_key_created_anew_is_another_incarnation(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    uint64_t incarnation = kit_find(&kit, "web", "1")->incarnation;
    kit_deregister(&kit, "web", "1", "rest");
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    expect_true(kit_find(&kit, "web", "1")->incarnation != incarnation);
    expect_str(kit_last(&kit), "3 registered web/1");
    end();
}

static void reports_about_a_former_incarnation_are_dropped(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    uint64_t former = kit_find(&kit, "web", "1")->incarnation;
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    struct catalog_event event = {
        .type = CATALOG_CHECK,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("1"), .incarnation = former},
    };
    expect_int(kit_step(&kit, &event), 0);
    kit_settle(&kit);
    expect_str(kit_reasons(&kit, "web", "1"), "up");
    event.report.incarnation = kit_find(&kit, "web", "1")->incarnation;
    expect_int(kit_step(&kit, &event), 0);
    kit_settle(&kit);
    expect_str(kit_reasons(&kit, "web", "1"), "failing");
    end();
}

/* ------------------------------------------------------------------------------------------------ going */

static void a_crash_is_told_from_a_clean_exit(void)
{
    begin();
    for (unsigned i = 0; i < 6; i++) {
        char id[12];
        snprintf(id, sizeof(id), "%u", i);
        kit_register(&kit, "web", id,
                     "{\"address\": \"10.0.0.1:80\", \"session\": \"s\","
                     " \"check\": {\"type\": \"tcp\", \"remove_after_ms\": 1000}}");
        kit_report(&kit, CATALOG_CHECK, "web", id, true, "");
    }
    kit_deregister(&kit, "web", "0", "etcd 10.0.0.1:4001");
    expect_str(kit_last(&kit), "13 deregistered web/0 by etcd 10.0.0.1:4001");
    kit_expire(&kit, "web", "1");
    expect_str(kit_last(&kit), "14 expired web/1 after 3000 ms");
    kit_delete(&kit, "/muster/services/web/2", STORE_NOTE_REVOKED, "etcd 10.0.0.2:4001", "");
    expect_str(kit_last(&kit), "15 deregistered web/2 by etcd 10.0.0.2:4001: its lease was revoked");
    kit_session_broke(&kit, "web", "3", 0);
    expect_str(kit_last(&kit), "17 connection lost web/3 by catalogue: reset by peer");
    kit_report(&kit, CATALOG_CHECK, "web", "4", false, "connect refused");
    kit_pass(&kit, 1001 * NSEC_PER_MSEC);
    expect_str(kit_last(&kit), "19 removed by its check web/4 by catalogue: connect refused");
    expect_int(kit_count(&kit, "web"), 1);
    end();
}

static void nothing_goes_without_a_reason(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_delete(&kit, "/muster/services/web/1", STORE_NOTE_DELETED, "user root", "a tidy-up");
    expect_str(kit_last(&kit), "2 deregistered web/1 by user root: a tidy-up");
    end();
}

static void what_was_removed_stays_removed_until_its_owner_registers(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_deregister(&kit, "web", "1", "user root");
    kit_report(&kit, CATALOG_CHECK, "web", "1", true, ""); /* others still have it in mind */
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "503");
    kit_report(&kit, CATALOG_SESSION, "web", "1", true, "");
    kit_pass(&kit, 60 * NSEC_PER_SEC);
    expect_str(kit_reasons(&kit, "web", "1"), "gone");
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    expect_str(kit_reasons(&kit, "web", "1"), "up");
    end();
}

/* ------------------------------------------------------------------------------------------------ conflicts */

static void two_who_write_one_instance_by_turns_are_in_conflict(void)
{
    begin();
    kit_register_by(&kit, "web", "1", "10.0.0.1:80", "a");
    kit_register_by(&kit, "web", "1", "10.0.0.2:80", "b");
    expect_str(kit_last(&kit), "2 replaced web/1 by b");
    kit_register_by(&kit, "web", "1", "10.0.0.1:80", "a");
    expect_str(kit_last(&kit), "3 conflict web/1 by a");
    kit_register_by(&kit, "web", "1", "10.0.0.2:80", "b");
    expect_str(kit_last(&kit), "4 conflict web/1 by b");
    kit_register_by(&kit, "web", "1", "10.0.0.3:80", "b");
    expect_str(kit_last(&kit), "5 replaced web/1 by b");
    end();
}

static void of_two_keys_for_one_name_the_older_is_shown(void)
{
    begin();
    kit_put(&kit, "web/1", "10.0.0.1:80", 5, "");
    kit_register_by(&kit, "web", "1", "10.0.0.2:80", "rest");
    expect_str(kit_last(&kit), "2 conflict web/1 by rest");
    expect_slice(kit_find(&kit, "web", "1")->record.host, "10.0.0.1");
    kit_register_by(&kit, "web", "1", "10.0.0.3:80", "rest"); /* it has been told */
    expect_int(catalog_revision(kit.catalog), 2);
    kit_delete(&kit, "web/1", STORE_NOTE_EXPIRED, "", "");
    expect_str(kit_last(&kit), "3 replaced web/1 after 3000 ms");
    expect_slice(kit_find(&kit, "web", "1")->record.host, "10.0.0.3");
    kit_deregister(&kit, "web", "1", "");
    expect_str(kit_reasons(&kit, "web", "1"), "gone");
    end();
}

static void a_claim_that_goes_is_not_missed(void)
{
    begin();
    kit_put(&kit, "web/1", "10.0.0.1:80", 5, "");
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    kit_deregister(&kit, "web", "1", "");
    expect_int(catalog_revision(kit.catalog), 2);
    kit_delete(&kit, "web/1", STORE_NOTE_EXPIRED, "", "");
    expect_str(kit_reasons(&kit, "web", "1"), "gone");
    end();
}

static void after_a_restart_the_same_key_is_shown(void)
{
    begin();
    kit_put(&kit, "web/1", "10.0.0.1:80", 5, "");
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    kit_restart(&kit); /* reads web/1 first */
    expect_slice(kit_find(&kit, "web", "1")->record.host, "10.0.0.1");
    end();
    begin();
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    kit_put(&kit, "web/1", "10.0.0.1:80", 5, "");
    struct kit_key first = kit.keys[0];
    kit.keys[0] = kit.keys[1]; /* reads the younger one first */
    kit.keys[1] = first;
    kit_restart(&kit);
    expect_slice(kit_find(&kit, "web", "1")->record.host, "10.0.0.2");
    kit_deregister(&kit, "web", "1", "");
    expect_slice(kit_find(&kit, "web", "1")->record.host, "10.0.0.1");
    end();
}

static void a_key_that_names_another_instance_leaves_the_former_one(void)
{
    const struct projection_rule rules[] = {
        {.pattern = SLICE_LIT("x/{id}"), .service = SLICE_LIT("plain"), .value = PROJECTION_ADDRESS},
        {.pattern = SLICE_LIT("x/{id}"), .service = SLICE_LIT("rich"), .value = PROJECTION_RECORD},
    };
    struct projection *projection;
    expect_int(projection_new(rules, ARRAY_LEN(rules), false, &projection, NULL), 0);
    struct catalog_options options;
    catalog_options_init(&options);
    options.projection = projection;
    catalog_kit_init(&kit, &options);
    kit_put(&kit, "x/1", "10.0.0.1:80", 0, "a");
    expect_str(kit_reasons(&kit, "plain", "1"), "up");
    kit_put(&kit, "x/1", "{\"address\": \"10.0.0.1:80\"}", 0, "b");
    expect_int(kit_trace_count(&kit, "2 deregistered plain/1 by b: its key names another instance now"), 1);
    expect_str(kit_last(&kit), "3 registered rich/1 by b");
    expect_str(kit_reasons(&kit, "plain", "1"), "gone");
    kit_delete(&kit, "x/1", STORE_NOTE_DELETED, "c", "");
    expect_str(kit_last(&kit), "4 deregistered rich/1 by c");
    end();
    projection_free(projection);
}

/* ------------------------------------------------------------------------------------------------ readers */

static void a_change_touches_only_its_service(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_register(&kit, "db", "1", "10.0.0.2:80");
    const struct directory_service *web = directory_find(catalog_directory(kit.catalog), SLICE_LIT("web"));
    int64_t revision = web->revision;
    uint64_t generation = web->generation;
    kit_register(&kit, "db", "1", "10.0.0.3:80");
    kit_report(&kit, CATALOG_SOURCE, "db", "1", false, "paused");
    expect_true(directory_find(catalog_directory(kit.catalog), SLICE_LIT("web")) == web);
    expect_int(web->revision, revision);
    expect_int(web->generation, generation);
    end();
}

/* ------------------------------------------------------------------------------------------------ the start */

static void what_is_read_at_the_start_is_not_told(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_restart(&kit);
    expect_int(catalog_revision(kit.catalog), 1001);
    expect_int(catalog_oldest_change(kit.catalog), 1002);
    expect_true(catalog_change(kit.catalog, 1) == NULL);
    expect_str(kit_reasons(&kit, "web", "1"), "up");
    kit_register(&kit, "web", "2", "10.0.0.2:80");
    expect_str(kit_last(&kit), "1002 registered web/2");
    end();
}

static void a_restart_does_not_withhold_checked_instances(void)
{
    begin();
    kit_register(&kit, "web", "1", "{\"address\": \"10.0.0.1:80\", \"check\": {\"type\": \"ttl\"}}");
    expect_str(kit_reasons(&kit, "web", "1"), "starting");
    kit_report(&kit, CATALOG_CHECK, "web", "1", true, "");
    kit_restart(&kit);
    expect_str(kit_reasons(&kit, "web", "1"), "up");
    end();
}

static void a_service_is_known_for_a_while_after_its_last_instance(void)
{
    begin();
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_pass(&kit, NSEC_PER_SEC);
    kit_deregister(&kit, "web", "1", "");
    const struct directory_service *service = directory_find(catalog_directory(kit.catalog), SLICE_LIT("web"));
    expect_int(service->emptied_ms, kit.time.wall_ms);
    kit_pass(&kit, 1800 * NSEC_PER_SEC);
    kit_register(&kit, "db", "1", "10.0.0.2:80");
    expect_true(directory_find(catalog_directory(kit.catalog), SLICE_LIT("web")) != NULL);
    kit_pass(&kit, 3600 * NSEC_PER_SEC);
    for (unsigned i = 0; i < 100; i++) { /* a few are looked at each time */
        expect_int(kit_step(&kit, &(struct catalog_event){.type = CATALOG_TIME}), 0);
        kit_settle(&kit);
    }
    expect_true(directory_find(catalog_directory(kit.catalog), SLICE_LIT("web")) == NULL);
    end();
}

static const struct test_case cases[] = {
    {"a record is an instance", a_record_is_an_instance},
    {"a projected key is an instance", a_projected_key_is_an_instance},
    {"other keys are not", other_keys_are_not},
    {"a key that is no address any more leaves", a_key_that_is_no_address_any_more_leaves},
    {"the same record again is no change", the_same_record_again_is_no_change},
    {"another record of the same instance is a change", another_record_of_the_same_instance_is_a_change},
    {"another address is another incarnation", another_address_is_another_incarnation},
    {"another session is another incarnation", another_session_is_another_incarnation},
    {"a key created anew is another incarnation", a_key_created_anew_is_another_incarnation},
    {"reports about a former incarnation are dropped", reports_about_a_former_incarnation_are_dropped},
    {"etcd#5487: a crash is told from a clean exit", a_crash_is_told_from_a_clean_exit},
    {"consul#1489: nothing goes without a reason", nothing_goes_without_a_reason},
    {"consul#1188: what was removed stays removed until its owner registers",
     what_was_removed_stays_removed_until_its_owner_registers},
    {"two who write one instance by turns are in conflict", two_who_write_one_instance_by_turns_are_in_conflict},
    {"of two keys for one name the older is shown", of_two_keys_for_one_name_the_older_is_shown},
    {"a claim that goes is not missed", a_claim_that_goes_is_not_missed},
    {"after a restart the same of two keys is shown", after_a_restart_the_same_key_is_shown},
    {"a key that names another instance leaves the former one",
     a_key_that_names_another_instance_leaves_the_former_one},
    {"consul#3890: a change touches only its service", a_change_touches_only_its_service},
    {"what is read at the start is not told", what_is_read_at_the_start_is_not_told},
    {"consul#3569: a restart does not withhold checked instances", a_restart_does_not_withhold_checked_instances},
    {"a service is known for a while after its last instance", a_service_is_known_for_a_while_after_its_last_instance},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
