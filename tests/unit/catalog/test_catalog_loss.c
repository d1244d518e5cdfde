/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mass losses: what is held, and what ends it.
 */
#include "support/catalog_kit.h"
#include "support/test.h"

#include <stdio.h>

#define SECONDS NSEC_PER_SEC

static struct catalog_kit kit;

/* A service "web" of n instances "0", "1", … */
static void begin(unsigned n)
{
    catalog_kit_init(&kit, NULL);
    for (unsigned i = 0; i < n; i++) {
        char id[12], address[32];
        snprintf(id, sizeof(id), "%u", i);
        snprintf(address, sizeof(address), "10.0.0.%u:80", i);
        kit_register(&kit, "web", id, address);
    }
}

static void end(void)
{
    catalog_kit_deinit(&kit);
}

static void expire(const char *ids)
{
    for (; *ids; ids++)
        kit_expire(&kit, "web", (char[]){*ids, 0});
}

/* Of each of these. */
static void expect_reasons(const char *ids, const char *words)
{
    for (; *ids; ids++)
        expect_str(kit_reasons(&kit, "web", (char[]){*ids, 0}), words);
}

static void probe(const char *id, bool is_good)
{
    kit_report(&kit, CATALOG_PROBE, "web", id, is_good, is_good ? "connected" : "connect refused");
}

/* ------------------------------------------------------------------------------------------------ tripping */

static void a_lone_dead_instance_goes_at_once(void)
{
    begin(4);
    expire("0");
    expect_reasons("0", "gone");
    expire("1"); /* so do two */
    expect_reasons("1", "gone");
    end();
    begin(1);
    expire("0"); /* and one of one */
    expect_reasons("0", "gone");
    end();
}

static void a_service_that_vanishes_is_held(void)
{
    begin(4);
    uint64_t incarnation = kit_find(&kit, "web", "0")->incarnation;
    expire("01");
    expect_int(kit_count(&kit, "web"), 2);
    expire("2");
    expect_str(kit_reasons(&kit, "web", "2"), "held");
    expect_reasons("01", "held"); /* those that went before, in the same window, too */
    expect_reasons("3", "up");
    expect_int(kit_find(&kit, "web", "0")->incarnation, incarnation);
    expect_int(kit_trace_count(&kit, "held web/2 after 3000 ms: 3 of 4 lost within 5000 ms"), 1);
    expire("3");
    expect_str(kit_last(&kit), "10 held web/3 after 3000 ms: 4 of 4 lost within 5000 ms");
    expect_int(instance_offer(kit_find(&kit, "web", "3")), INSTANCE_LAST_RESORT);
    expect_int(kit_find(&kit, "web", "3")->lease, 0);
    expect_false(kit_has_key(&kit, "web", "0")); /* clients of keys see the keys */
    end();
}

static void half_of_a_service_is_not_more_than_half(void)
{
    begin(6);
    expire("012");
    expect_reasons("012", "gone");
    expire("3");
    expect_reasons("0123", "held");
    end();
}

static void losses_far_apart_are_no_mass_loss(void)
{
    begin(4);
    expire("0");
    kit_pass(&kit, 3 * SECONDS);
    expire("1");
    kit_pass(&kit, 3 * SECONDS);
    expire("2"); /* the first is out of the window */
    expect_reasons("012", "gone");
    end();
}

static void the_window_slides(void)
{
    begin(6);
    expire("0");
    kit_pass(&kit, 3 * SECONDS);
    expire("12");
    kit_pass(&kit, 3 * SECONDS);
    expire("3"); /* 3 of 5 */
    expect_reasons("123", "held");
    expect_reasons("0", "gone");
    end();
}

static void each_service_is_judged_by_itself(void)
{
    begin(2);
    kit_register(&kit, "db", "1", "10.0.1.1:80");
    kit_register(&kit, "db", "2", "10.0.1.2:80");
    expire("01");
    kit_expire(&kit, "db", "1");
    kit_expire(&kit, "db", "2");
    expect_int(kit_trace_count(&kit, "held"), 0);
    end();
}

static void evidence_of_death_is_no_mass_loss(void)
{
    begin(9);
    kit_deregister(&kit, "web", "0", "root");
    kit_delete(&kit, "/muster/services/web/1", STORE_NOTE_REVOKED, "", "");
    kit_report(&kit, CATALOG_CHECK, "web", "2", false, "connect refused");
    kit_report(&kit, CATALOG_SOURCE, "web", "3", false, "die");
    kit_session_broke(&kit, "web", "4", 60 * SECONDS);
    kit_order(&kit, CATALOG_DRAIN, "web", "5", "bob", "", 0);
    probe("6", false);
    expire("2345678");
    expect_int(kit_trace_count(&kit, "held"), 0);
    expect_int(kit_count(&kit, "web"), 0);
    end();
}

static void a_suspicion_is_no_evidence(void)
{
    begin(3);
    for (unsigned i = 0; i < 3; i++)
        kit_report(&kit, CATALOG_SUSPECT, "web", (char[]){(char)('0' + i), 0}, false, "timed out");
    expire("012");
    expect_reasons("01", "held"); /* volatile: it has ended with the key */
    expect_reasons("2", "held suspect");
    end();
}

static void a_service_that_registers_elsewhere_is_not_held(void)
{
    begin(8);
    expire("012"); /* 4 new ones have taken over from 4 old ones, which expire */
    expire("3");
    expect_int(kit_trace_count(&kit, "held"), 0);
    end();
}

/* ------------------------------------------------------------------------------------------------ ends */

static void registered_again_it_is_normal_at_once(void)
{
    begin(3);
    const struct instance *before = instance_ref(kit_find(&kit, "web", "0"));
    expire("012");
    kit_register(&kit, "web", "0", "10.0.0.0:80");
    const struct instance *after = kit_find(&kit, "web", "0");
    expect_reasons("0", "up");
    expect_reasons("12", "held");
    expect_int(after->incarnation, before->incarnation);
    expect_int(after->registered_ms, before->registered_ms);
    expect_str(kit_last(&kit), "9 registered web/0: it was held, and is back");
    instance_unref(before);
    kit_register(&kit, "web", "1", "10.9.9.9:80"); /* at another address: another one */
    expect_str(kit_last(&kit), "10 registered web/1");
    kit_pass(&kit, 3600 * SECONDS);
    expect_reasons("01", "up");
    expect_reasons("2", "gone");
    end();
}

static void one_that_returns_counts_as_lost_no_more(void)
{
    begin(5);
    expire("01");
    kit_register(&kit, "web", "0", "10.0.0.0:80");
    expire("2"); /* 2 of 5 */
    expect_reasons("12", "gone");
    end();
}

static void a_dead_probe_releases_one_by_one(void)
{
    begin(3);
    expire("012");
    probe("1", false);
    expect_str(kit_last(&kit), "9 released web/1: connect refused");
    expect_reasons("1", "gone");
    expect_reasons("02", "held");
    end();
}

static void a_live_probe_keeps_it_but_not_for_ever(void)
{
    begin(3);
    expire("012");
    for (unsigned i = 0; i < 10; i++) {
        kit_pass(&kit, 200 * SECONDS);
        probe("0", true);
    }
    expect_reasons("0", "held"); /* still not as good as a registered one */
    expect_reasons("12", "gone");
    expect_int(kit_trace_count(&kit, "released web/1: nobody could look whether it lives"), 1);
    kit_pass(&kit, 301 * SECONDS); /* nobody looks any more */
    expect_reasons("0", "gone");
    end();
}

static void any_bad_word_about_a_held_one_is_proof(void)
{
    begin(5);
    expire("01234");
    kit_report(&kit, CATALOG_CHECK, "web", "0", false, "connect refused");
    kit_report(&kit, CATALOG_SOURCE, "web", "1", false, "die exitCode=1");
    kit_session_broke(&kit, "web", "2", SECONDS);
    kit_report(&kit, CATALOG_SUSPECT, "web", "3", false, "slow");
    expect_reasons("012", "gone");
    expect_reasons("3", "held suspect");
    expect_reasons("4", "held");
    end();
}

static void one_that_dies_after_the_loss_goes_at_once(void)
{
    begin(7);
    expire("0123");
    expect_reasons("0123", "held");
    kit_pass(&kit, 6 * SECONDS);
    expire("4"); /* the window of the loss is over, although four are still held */
    expect_reasons("4", "gone");
    end();
}

static void proved_deaths_make_no_mass_loss_of_the_next(void)
{
    begin(8);
    expire("01234");
    for (unsigned i = 0; i < 5; i++)
        probe((char[]){(char)('0' + i), 0}, false);
    expire("5"); /* 1 of 3 without evidence */
    expect_reasons("5", "gone");
    end();
}

static void who_was_lost_earlier_has_missed_nothing(void)
{
    begin(3);
    kit_report(&kit, CATALOG_SUSPECT, "web", "0", false, "slow");
    expire("0");
    kit_order(&kit, CATALOG_DRAIN, "web", "0", "bob", "", 0); /* while it was away */
    expire("12");
    expect_str(kit_reasons(&kit, "web", "0"), "draining held");
    end();
}

static void a_mass_loss_is_no_flapping(void)
{
    begin(3);
    for (unsigned round = 0; round < 8; round++) {
        expire("012");
        for (unsigned i = 0; i < 3; i++) {
            char address[32];
            snprintf(address, sizeof(address), "10.0.0.%u:80", i);
            kit_register(&kit, "web", (char[]){(char)('0' + i), 0}, address);
        }
        kit_pass(&kit, SECONDS);
    }
    expect_reasons("012", "up");
    end();
}

static void held_ones_are_gone_after_a_restart(void)
{
    begin(3);
    expire("012");
    kit_restart(&kit); /* the store has no keys of them */
    expect_int(kit_count(&kit, "web"), 0);
    end();
}

static const struct test_case cases[] = {
    {"a lone dead instance goes at once", a_lone_dead_instance_goes_at_once},
    {"nacos#1873: a service that vanishes is held", a_service_that_vanishes_is_held},
    {"half of a service is not more than half", half_of_a_service_is_not_more_than_half},
    {"losses far apart are no mass loss", losses_far_apart_are_no_mass_loss},
    {"the window slides", the_window_slides},
    {"each service is judged by itself", each_service_is_judged_by_itself},
    {"with evidence of death it is no mass loss", evidence_of_death_is_no_mass_loss},
    {"a suspicion is no evidence", a_suspicion_is_no_evidence},
    {"nacos#1873: a service that has moved is not held", a_service_that_registers_elsewhere_is_not_held},
    {"registered again it is normal at once", registered_again_it_is_normal_at_once},
    {"one that returns counts as lost no more", one_that_returns_counts_as_lost_no_more},
    {"eureka#1247: a dead probe releases one by one", a_dead_probe_releases_one_by_one},
    {"eureka#1247: a live probe keeps it, but not for ever", a_live_probe_keeps_it_but_not_for_ever},
    {"any bad word about a held one is proof", any_bad_word_about_a_held_one_is_proof},
    {"eureka#1247: one that dies after the loss goes at once", one_that_dies_after_the_loss_goes_at_once},
    {"proved deaths make no mass loss of the next", proved_deaths_make_no_mass_loss_of_the_next},
    {"who was lost earlier has missed nothing", who_was_lost_earlier_has_missed_nothing},
    {"a mass loss is no flapping", a_mass_loss_is_no_flapping},
    {"held ones are gone after a restart", held_ones_are_gone_after_a_restart},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
