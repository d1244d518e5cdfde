/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain and maintenance: by whom, why, until when; of an instance or a service.
 */
#include "support/catalog_kit.h"
#include "support/test.h"

#include <stdio.h>

#define SECONDS NSEC_PER_SEC

static struct catalog_kit kit;

static void begin(void)
{
    catalog_kit_init(&kit, NULL);
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    kit_register(&kit, "web", "2", "10.0.0.2:80");
    kit_register(&kit, "db", "1", "10.0.0.3:80");
}

static void end(void)
{
    catalog_kit_deinit(&kit);
}

static void expect_reasons(const char *service, const char *id, const char *words)
{
    expect_str(kit_reasons(&kit, service, id), words);
}

static void a_drain_has_owner_reason_and_deadline(void)
{
    begin();
    int64_t until_ms = kit.time.wall_ms + 30000;
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "upgrade", until_ms);
    expect_str(kit_last(&kit), "4 draining web/1 by bob: upgrade");
    expect_reasons("web", "1", "draining");
    expect_reasons("web", "2", "up");
    const struct instance *instance = kit_find(&kit, "web", "1");
    expect_slice(instance_orders(instance)->drain->owner, "bob");
    expect_slice(instance_orders(instance)->drain->reason, "upgrade");
    expect_int(instance_orders(instance)->drain->until_ms, until_ms);
    expect_int(instance_offer(instance), INSTANCE_WITHHELD);
    end();
}

static void maintenance_ends_at_its_deadline(void)
{
    begin();
    kit_order(&kit, CATALOG_MAINTAIN, "web", "1", "bob", "disk", kit.time.wall_ms + 3600 * 1000);
    kit_pass(&kit, 3599 * SECONDS);
    expect_reasons("web", "1", "maintenance");
    expect_int(kit.n_ended, 0);
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("web", "1", "up");
    expect_str(kit_last(&kit), "5 maintenance ended web/1: its time is over");
    expect_int(kit.n_ended, 1);
    expect_true(instance_orders(kit_find(&kit, "web", "1"))->maintenance == NULL);
    kit_withdraw(&kit, CATALOG_MAINTAIN, "web", "1", "catalogue"); /* its document has gone */
    expect_int(catalog_revision(kit.catalog), 5);
    end();
}

static void a_deadline_is_of_the_wall_clock(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "", kit.time.wall_ms + 3600 * 1000);
    kit.time.wall_ms += 3000 * 1000; /* the machine slept */
    kit_pass(&kit, 661 * SECONDS);
    expect_reasons("web", "1", "up");
    end();
}

static void one_that_is_over_when_it_is_read_ends_at_once(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "", kit.time.wall_ms - 1);
    expect_reasons("web", "1", "up");
    expect_int(kit.n_ended, 1);
    end();
}

static void an_order_survives_registration_anew(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "upgrade", 0);
    kit_deregister(&kit, "web", "1", "");
    kit_pass(&kit, 3600 * SECONDS);
    kit_register(&kit, "web", "1", "10.0.0.9:80");
    expect_reasons("web", "1", "draining");
    expect_slice(instance_orders(kit_find(&kit, "web", "1"))->drain->owner, "bob");
    kit_withdraw(&kit, CATALOG_DRAIN, "web", "1", "eve");
    expect_str(kit_last(&kit), "7 drain ended web/1 by eve");
    expect_reasons("web", "1", "up");
    end();
}

static void an_order_may_come_before_its_instance(void)
{
    begin();
    kit_order(&kit, CATALOG_MAINTAIN, "web", "3", "bob", "not yet", 0);
    kit_register(&kit, "web", "3", "10.0.0.3:80");
    expect_reasons("web", "3", "maintenance");
    expect_str(kit_last(&kit), "4 registered web/3");
    end();
}

static void changed_terms_are_a_change(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "upgrade", 0);
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "upgrade", 0); /* the same again */
    expect_int(catalog_revision(kit.catalog), 4);
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "eve", "hurry", kit.time.wall_ms + 1000);
    expect_str(kit_last(&kit), "5 draining web/1 by eve: hurry");
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("web", "1", "up");
    end();
}

static void a_service_is_drained_as_a_whole(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "", "bob", "move", 0);
    expect_reasons("web", "1", "draining");
    expect_reasons("web", "2", "draining");
    expect_reasons("db", "1", "up");
    kit_register(&kit, "web", "3", "10.0.0.4:80"); /* who comes later too */
    expect_reasons("web", "3", "draining");
    kit_withdraw(&kit, CATALOG_DRAIN, "web", "", "eve");
    for (unsigned i = 1; i <= 3; i++) {
        char id[2] = {(char)('0' + i), 0};
        expect_reasons("web", id, "up");
    }
    expect_int(kit_trace_count(&kit, "drain ended"), 3);
    expect_int(kit_trace_count(&kit, "by eve"), 3);
    end();
}

static void a_service_without_instances_may_be_in_maintenance(void)
{
    begin();
    int64_t until_ms = kit.time.wall_ms + 60000;
    kit_order(&kit, CATALOG_MAINTAIN, "mail", "", "bob", "later", until_ms);
    kit_register(&kit, "mail", "1", "10.0.0.5:25");
    expect_reasons("mail", "1", "maintenance");
    kit_pass(&kit, 61 * SECONDS);
    expect_reasons("mail", "1", "up");
    expect_str(kit_last(&kit), "5 maintenance ended mail/1: its time is over");
    expect_int(kit.n_ended, 1);
    end();
}

static void an_instances_own_order_goes_first(void)
{
    begin();
    kit_order(&kit, CATALOG_DRAIN, "web", "", "bob", "all", 0);
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "eve", "this one", 0);
    expect_slice(instance_orders(kit_find(&kit, "web", "1"))->drain->owner, "eve");
    kit_withdraw(&kit, CATALOG_DRAIN, "web", "", "bob");
    expect_reasons("web", "1", "draining");
    expect_reasons("web", "2", "up");
    kit_order(&kit, CATALOG_DRAIN, "web", "", "bob", "all", 0);
    kit_withdraw(&kit, CATALOG_DRAIN, "web", "1", "eve");
    expect_slice(instance_orders(kit_find(&kit, "web", "1"))->drain->owner, "bob");
    expect_str(kit_last(&kit), "9 draining web/1 by eve: all");
    end();
}

static void a_large_service_is_told_piece_by_piece(void)
{
    begin();
    char id[12];
    for (unsigned i = 10; i < 1010; i++) {
        snprintf(id, sizeof(id), "%u", i);
        kit_register(&kit, "web", id, "10.0.0.1:80");
    }
    struct catalog_event drain = {
        .type = CATALOG_DRAIN,
        .order = {.service = SLICE_LIT("web"), .order = {.since_ms = 1}, .actor = SLICE_LIT("bob")},
    };
    expect_int(kit_step(&kit, &drain), 0);
    expect_int(kit.updates.n_notes, 0);
    expect_true(catalog_deadline(kit.catalog) <= kit.time.now_ns);
    expect_int(kit_step(&kit, &(struct catalog_event){.type = CATALOG_TIME}), 0);
    expect_true(kit.updates.n_notes > 0 && kit.updates.n_notes < 100);
    drain.order.order.since_ms = 0; /* withdrawn half-way: who has not heard of it never will */
    drain.order.actor = SLICE_LIT("eve");
    expect_int(kit_step(&kit, &drain), 0);
    kit_settle(&kit);
    expect_int(kit_trace_count(&kit, "draining"), kit_trace_count(&kit, "drain ended"));
    expect_true(kit_trace_count(&kit, "draining") < 100);
    expect_reasons("web", "10", "up");
    end();
}

static void orders_read_at_the_start_are_not_told(void)
{
    begin();
    struct catalog_event drain = {
        .type = CATALOG_DRAIN,
        .order = {.service = SLICE_LIT("web"), .order = {.since_ms = 1}, .is_initial = true},
    };
    expect_int(kit_step(&kit, &drain), 0);
    drain.order.service = SLICE_LIT("db");
    drain.order.id = SLICE_LIT("1");
    expect_int(kit_step(&kit, &drain), 0);
    kit_settle(&kit);
    expect_reasons("web", "1", "draining");
    expect_reasons("db", "1", "draining");
    expect_int(catalog_revision(kit.catalog), 3);
    end();
}

static const struct test_case cases[] = {
    {"consul#3268: a drain has owner, reason and deadline", a_drain_has_owner_reason_and_deadline},
    {"consul#3268: maintenance ends at its deadline", maintenance_ends_at_its_deadline},
    {"a deadline is of the wall clock", a_deadline_is_of_the_wall_clock},
    {"one that is over when it is read ends at once", one_that_is_over_when_it_is_read_ends_at_once},
    {"an order survives registration anew", an_order_survives_registration_anew},
    {"an order may come before its instance", an_order_may_come_before_its_instance},
    {"changed terms are a change, the same are none", changed_terms_are_a_change},
    {"a service is drained as a whole", a_service_is_drained_as_a_whole},
    {"a service without instances may be in maintenance", a_service_without_instances_may_be_in_maintenance},
    {"an instance's own order goes before its service's", an_instances_own_order_goes_first},
    {"a large service is told piece by piece", a_large_service_is_told_piece_by_piece},
    {"orders read at the start are not told", orders_read_at_the_start_are_not_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
