/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks, sessions, sources, suspicions and flapping: each party sets and clears its own reason.
 */
#include "support/catalog_kit.h"
#include "support/test.h"

#include <stdio.h>

#define CHECKED "{\"address\": \"10.0.0.1:80\", \"check\": {\"type\": \"tcp\", \"remove_after_ms\": 60000}}"
#define SECONDS NSEC_PER_SEC

static struct catalog_kit kit;

static void begin(const char *record)
{
    catalog_kit_init(&kit, NULL);
    kit_register(&kit, "web", "1", record);
}

static void end(void)
{
    catalog_kit_deinit(&kit);
}

static void expect_reasons(const char *words)
{
    expect_str(kit_reasons(&kit, "web", "1"), words);
}

static enum instance_offer offer(void)
{
    return instance_offer(kit_find(&kit, "web", "1"));
}

static void check(bool is_good, const char *words)
{
    kit_report(&kit, CATALOG_CHECK, "web", "1", is_good, words);
}

/* ------------------------------------------------------------------------------------------------ checks */

static void starting_until_the_first_pass(void)
{
    begin(CHECKED);
    expect_reasons("starting");
    expect_int(offer(), INSTANCE_WITHHELD);
    check(false, "connect refused");
    expect_reasons("failing starting");
    expect_str(kit_last(&kit), "2 check failed web/1: connect refused");
    check(true, "");
    expect_reasons("up");
    expect_str(kit_last(&kit), "3 check passed web/1");
    check(true, "");
    expect_int(catalog_revision(kit.catalog), 3);
    end();
}

static void failing_for_too_long_is_removed(void)
{
    begin(CHECKED);
    check(true, "");
    check(false, "connect refused");
    kit_pass(&kit, 30 * SECONDS);
    check(false, "timed out"); /* the time runs since it failed first */
    kit_pass(&kit, 29 * SECONDS);
    expect_reasons("failing");
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("gone");
    expect_str(kit_last(&kit), "4 removed by its check web/1 by catalogue: connect refused");
    expect_false(kit_has_key(&kit, "web", "1"));
    end();
}

static void passing_in_time_is_not_removed(void)
{
    begin(CHECKED);
    check(false, "connect refused");
    kit_pass(&kit, 59 * SECONDS);
    check(true, "");
    kit_pass(&kit, 3600 * SECONDS);
    expect_reasons("up");
    expect_int(kit.n_deleted, 0);
    end();
}

static void a_check_that_is_taken_away_fails_no_more(void)
{
    begin(CHECKED);
    check(false, "connect refused");
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    expect_reasons("up");
    kit_pass(&kit, 3600 * SECONDS);
    expect_reasons("up");
    end();
}

static void a_removal_that_the_store_refuses_is_asked_for_again(void)
{
    begin(CHECKED);
    check(false, "connect refused");
    kit.is_read_only = true;
    kit_pass(&kit, 120 * SECONDS);
    expect_true(kit_has_key(&kit, "web", "1"));
    kit.is_read_only = false;
    kit_pass(&kit, 11 * SECONDS);
    expect_reasons("gone");
    expect_str(kit_last(&kit), "3 removed by its check web/1 by catalogue: connect refused");
    end();
}

static void one_that_was_written_again_is_not_removed_for_the_old_one(void)
{
    begin(CHECKED);
    check(false, "connect refused");
    kit.is_read_only = true;
    kit_pass(&kit, 61 * SECONDS);
    kit.is_read_only = false;
    kit_register(&kit, "web", "1", "10.0.0.2:80");
    kit_pass(&kit, 60 * SECONDS);
    expect_reasons("up");
    kit_deregister(&kit, "web", "1", "root");
    expect_str(kit_last(&kit), "4 deregistered web/1 by root");
    end();
}

/* ------------------------------------------------------------------------------------------------ TTL checks */

#define TTL       "{\"address\": \"10.0.0.1:80\", \"check\": {\"type\": \"ttl\", \"interval_ms\": 10000}}"
#define LAST_CALL (500 * NSEC_PER_MSEC)

static void a_ttl_check_passes_as_long_as_it_is_reported(void)
{
    begin(TTL);
    expect_reasons("starting");
    check(true, "");
    expect_reasons("up");
    for (int i = 0; i < 20; i++) {
        kit_pass(&kit, 10 * SECONDS - NSEC_PER_MSEC);
        check(true, "");
    }
    expect_int(catalog_revision(kit.catalog), 2);
    kit_pass(&kit, 10 * SECONDS + LAST_CALL - NSEC_PER_MSEC);
    expect_reasons("up");
    kit_pass(&kit, NSEC_PER_MSEC);
    expect_reasons("failing");
    expect_str(kit_last(&kit), "3 check failed web/1: no report for 10500 ms");
    kit_pass(&kit, 3600 * SECONDS);
    expect_int(catalog_revision(kit.catalog), 3);
    check(true, "");
    expect_reasons("up");
    end();
}

static void a_ttl_check_that_is_never_reported(void)
{
    begin("{\"address\": \"10.0.0.1:80\", \"check\": {\"type\": \"ttl\", \"interval_ms\": 10000, "
          "\"remove_after_ms\": 60000}}");
    kit_pass(&kit, 11 * SECONDS);
    expect_reasons("failing starting");
    kit_pass(&kit, 60 * SECONDS);
    expect_str(kit_last(&kit), "3 removed by its check web/1 by catalogue: no report for 10500 ms");
    end();
}

static void a_ttl_check_that_is_reported_to_fail(void)
{
    begin(TTL);
    check(true, "");
    check(false, "disk full");
    expect_str(kit_last(&kit), "3 check failed web/1: disk full");
    kit_pass(&kit, 3600 * SECONDS);
    expect_int(catalog_revision(kit.catalog), 3);
    check(true, "");
    kit_pass(&kit, 11 * SECONDS);
    expect_str(kit_last(&kit), "5 check failed web/1: no report for 10500 ms");
    end();
}

/* The process stood still: time has passed, and nobody could be heard. What came meanwhile is heard after that. */
static void hold_up(nsec_t for_ns)
{
    kit.time.now_ns += for_ns;
    kit_pass(&kit, 0);
}

static void silence_while_nobody_listened_counts_for_nothing(void)
{
    for (nsec_t before_ns = 0; before_ns <= 11 * SECONDS; before_ns += 100 * NSEC_PER_MSEC) {
        begin(TTL);
        check(true, "");
        kit_pass(&kit, before_ns);
        expect_reasons(before_ns < 10 * SECONDS + LAST_CALL ? "up" : "failing");
        if (before_ns < 10 * SECONDS) {
            hold_up(3 * SECONDS);
            hold_up(11 * SECONDS);
            expect_reasons("up");
            check(true, "");
            kit_pass(&kit, 10 * SECONDS);
            expect_reasons("up");
        }
        end();
    }
}

static void the_ttl_of_a_check_may_change(void)
{
    begin(TTL);
    check(true, "");
    kit_register(&kit, "web", "1",
                 "{\"address\": \"10.0.0.1:80\", \"check\": {\"type\": \"ttl\", \"interval_ms\": 20000}}");
    kit_pass(&kit, 19 * SECONDS);
    expect_reasons("up");
    kit_register(&kit, "web", "1", TTL);
    kit_pass(&kit, SECONDS);
    expect_reasons("failing");
    check(true, "");
    kit_register(&kit, "web", "1", CHECKED);
    kit_pass(&kit, 3600 * SECONDS);
    expect_reasons("up");
    kit_register(&kit, "web", "1", TTL);
    kit_pass(&kit, 9 * SECONDS);
    expect_reasons("up");
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("failing");
    end();
}

static void a_ttl_check_begins_anew_with_a_restart_and_another_incarnation(void)
{
    begin(TTL);
    check(true, "");
    kit_pass(&kit, 9 * SECONDS);
    kit_restart(&kit);
    expect_reasons("up");
    kit_pass(&kit, 9 * SECONDS);
    expect_reasons("up");
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("failing");
    kit_register(&kit, "web", "1",
                 "{\"address\": \"10.0.0.2:80\", \"check\": {\"type\": \"ttl\", \"interval_ms\": 10000}}");
    expect_reasons("starting");
    kit_pass(&kit, 11 * SECONDS);
    expect_reasons("failing starting");
    kit_deregister(&kit, "web", "1", "root");
    kit_pass(&kit, 3600 * SECONDS);
    end();
}

static void a_ttl_check_without_memory(void)
{
    catalog_kit_init(&kit, NULL);
    kit.is_disturbed = true;
    kit_register(&kit, "web", "1", TTL);
    check(true, "");
    kit_pass(&kit, 11 * SECONDS);
    expect_reasons("failing");
    check(true, "");
    kit_register(&kit, "web", "1", CHECKED);
    kit_register(&kit, "web", "1", TTL);
    kit_pass(&kit, 11 * SECONDS);
    expect_reasons("failing");
    expect_true(kit.n_failed > 0);
    end();
}

/* ------------------------------------------------------------------------------------------------ sessions */

static void a_broken_connection_may_come_back(void)
{
    begin("10.0.0.1:80");
    kit_session_broke(&kit, "web", "1", 2 * SECONDS);
    expect_str(kit_last(&kit), "2 disconnected web/1: reset by peer");
    expect_int(offer(), INSTANCE_LAST_RESORT);
    kit_pass(&kit, SECONDS);
    kit_report(&kit, CATALOG_SESSION, "web", "1", true, "");
    expect_str(kit_last(&kit), "3 connection back web/1");
    kit_pass(&kit, 60 * SECONDS);
    expect_reasons("up");
    end();
}

static void a_connection_that_stays_away_takes_the_key_along(void)
{
    begin("10.0.0.1:80");
    kit_session_broke(&kit, "web", "1", 2 * SECONDS);
    kit_pass(&kit, SECONDS);
    kit_session_broke(&kit, "web", "1", 2 * SECONDS); /* it broke once */
    kit_pass(&kit, SECONDS + NSEC_PER_MSEC);
    expect_reasons("gone");
    expect_str(kit_last(&kit), "3 connection lost web/1 by catalogue: reset by peer");
    end();
}

static void without_grace_it_goes_at_once(void)
{
    begin("10.0.0.1:80");
    kit_session_broke(&kit, "web", "1", 0);
    expect_reasons("gone");
    end();
}

/* Its connection was the former process's; that it has not come back yet says nothing for a while. */
static void who_was_held_has_time_to_come_back_after_a_restart(void)
{
    begin("{\"address\": \"10.0.0.1:80\", \"session\": \"s\"}");
    kit_register(&kit, "web", "2", "{\"address\": \"10.0.0.2:80\", \"session\": \"t\"}");
    kit_register(&kit, "web", "3", "10.0.0.3:80");
    kit_restart(&kit);
    kit_pass(&kit, CATALOG_RETURN_NS - SECONDS);
    expect_reasons("up");
    kit_report(&kit, CATALOG_SESSION, "web", "2", true, "its session is back");
    kit_pass(&kit, 2 * SECONDS);
    expect_reasons("disconnected");
    expect_str(kit_reasons(&kit, "web", "2"), "up");
    expect_str(kit_reasons(&kit, "web", "3"), "up");
    kit_pass(&kit, 3600 * SECONDS); /* its lease ends it */
    expect_true(kit_has_key(&kit, "web", "1"));
    kit_report(&kit, CATALOG_SESSION, "web", "1", true, "its session is back");
    expect_reasons("up");
    end();
}

/* ------------------------------------------------------------------------------------------------ others */

static void a_source_stops_and_starts_it(void)
{
    begin("10.0.0.1:80");
    kit_report(&kit, CATALOG_SOURCE, "web", "1", false, "die exitCode=137");
    expect_str(kit_last(&kit), "2 stopped web/1: die exitCode=137");
    expect_int(offer(), INSTANCE_WITHHELD);
    kit_report(&kit, CATALOG_SOURCE, "web", "1", true, "start");
    expect_str(kit_last(&kit), "3 started web/1: start");
    expect_reasons("up");
    end();
}

static void suspicion_ends_by_itself(void)
{
    begin("10.0.0.1:80");
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "5 of 5 refused");
    expect_str(kit_last(&kit), "2 suspected web/1: 5 of 5 refused");
    kit_pass(&kit, 6 * SECONDS);
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "again"); /* renewed: nothing to tell */
    kit_pass(&kit, 6 * SECONDS);
    expect_reasons("suspect");
    kit_pass(&kit, 5 * SECONDS);
    expect_str(kit_last(&kit), "3 cleared web/1: nobody has doubted it any more");
    expect_reasons("up");
    end();
}

static void a_live_probe_clears_a_suspect(void)
{
    begin("10.0.0.1:80");
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "5 of 5 refused");
    kit_report(&kit, CATALOG_PROBE, "web", "1", true, "connected");
    expect_str(kit_last(&kit), "3 cleared web/1: connected");
    expect_reasons("up");
    end();
}

static void a_connection_does_not_clear_one_that_is_mute(void)
{
    begin("10.0.0.1:80");
    struct catalog_event event = {
        .type = CATALOG_SUSPECT,
        .report = {.service = SLICE_LIT("web"), .id = SLICE_LIT("1"), .is_mute = true, .evidence = SLICE_LIT("mute")},
    };
    expect_int(kit_step(&kit, &event), 0);
    kit_settle(&kit);
    kit_report(&kit, CATALOG_PROBE, "web", "1", true, "connected");
    expect_str(kit_last(&kit), "2 suspected web/1: mute");
    event.type = CATALOG_PROBE;
    event.report.is_good = event.report.has_answered = true;
    expect_int(kit_step(&kit, &event), 0);
    kit_settle(&kit);
    expect_str(kit_last(&kit), "3 cleared web/1: mute");
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "refused");
    kit_report(&kit, CATALOG_PROBE, "web", "1", true, "connected");
    expect_str(kit_last(&kit), "5 cleared web/1: connected");
    end();
}

static void each_reason_is_its_own(void)
{
    begin(CHECKED);
    check(true, "");
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", false, "slow");
    check(false, "connect refused");
    kit_report(&kit, CATALOG_SOURCE, "web", "1", false, "paused");
    kit_order(&kit, CATALOG_DRAIN, "web", "1", "bob", "upgrade", 0);
    kit_order(&kit, CATALOG_MAINTAIN, "web", "1", "eve", "disk", 0);
    kit_session_broke(&kit, "web", "1", 3600 * SECONDS);
    expect_reasons("maintenance stopped failing draining disconnected suspect");
    check(true, "");
    expect_reasons("maintenance stopped draining disconnected suspect");
    kit_withdraw(&kit, CATALOG_MAINTAIN, "web", "1", "eve");
    expect_reasons("stopped draining disconnected suspect");
    kit_report(&kit, CATALOG_SUSPECT, "web", "1", true, "");
    kit_report(&kit, CATALOG_SOURCE, "web", "1", true, "");
    kit_report(&kit, CATALOG_SESSION, "web", "1", true, "");
    expect_reasons("draining");
    kit_withdraw(&kit, CATALOG_DRAIN, "web", "1", "bob");
    expect_reasons("up");
    end();
}

static void reports_about_nobody_are_dropped(void)
{
    begin("10.0.0.1:80");
    kit_report(&kit, CATALOG_CHECK, "web", "2", false, "who?");
    kit_report(&kit, CATALOG_PROBE, "db", "1", false, "who?");
    expect_int(catalog_revision(kit.catalog), 1);
    end();
}

static void long_words_are_cut(void)
{
    begin("10.0.0.1:80");
    char words[1001] = {0};
    for (unsigned i = 0; i < 500; i++)
        memcpy(words + 2 * i, "\xc3\xa9", 2);
    kit_report(&kit, CATALOG_SOURCE, "web", "1", false, words);
    const struct catalog_change *change = catalog_change(kit.catalog, 2);
    expect_int(change->evidence.len, 254); /* no half of a letter */
    end();
}

/* ------------------------------------------------------------------------------------------------ flapping */

static void come_and_go(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        kit_deregister(&kit, "web", "1", "");
        kit_pass(&kit, SECONDS);
        kit_register(&kit, "web", "1", "10.0.0.1:80");
        kit_pass(&kit, SECONDS);
    }
}

static void who_comes_and_goes_is_flapping_until_it_is_steady(void)
{
    begin("10.0.0.1:80");
    come_and_go(4);
    expect_reasons("up"); /* a little has faded */
    come_and_go(1);
    expect_reasons("flapping");
    expect_int(offer(), INSTANCE_LAST_RESORT);
    expect_int(kit_trace_count(&kit, "flapping web/1: penalty 4."), 1);
    come_and_go(1);
    expect_reasons("flapping"); /* it returns as what it was */
    kit_pass(&kit, 60 * SECONDS);
    expect_reasons("flapping");
    kit_pass(&kit, 60 * SECONDS);
    expect_reasons("up");
    expect_str(kit_last(&kit), "16 steady web/1: penalty 1.50");
    end();
}

static void a_check_that_goes_back_and_forth_is_flapping(void)
{
    begin(CHECKED);
    for (unsigned i = 0; i < 5; i++) {
        check(true, "");
        kit_pass(&kit, SECONDS);
        check(false, "connect refused");
        kit_pass(&kit, SECONDS);
    }
    check(true, "");
    expect_reasons("flapping");
    end();
}

static void after_a_day_of_flapping_minutes_are_enough(void)
{
    begin("10.0.0.1:80");
    come_and_go(500);
    expect_reasons("flapping");
    kit_pass(&kit, 240 * SECONDS);
    expect_reasons("up");
    end();
}

static void a_penalty_that_has_faded_is_forgotten(void)
{
    begin("10.0.0.1:80");
    come_and_go(10);
    kit_deregister(&kit, "web", "1", "");
    kit_pass(&kit, 3600 * SECONDS);
    expect_int(catalog_deadline(kit.catalog), NSEC_NEVER);
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    expect_reasons("up");
    end();
}

static void without_a_threshold_nothing_flaps(void)
{
    struct catalog_options options;
    catalog_options_init(&options);
    options.flap_suppress = options.flap_reuse = 0;
    catalog_kit_init(&kit, &options);
    kit_register(&kit, "web", "1", "10.0.0.1:80");
    come_and_go(20);
    expect_reasons("up");
    expect_int(kit_trace_count(&kit, "flapping"), 0);
    end();
}

static const struct test_case cases[] = {
    {"starting until the first pass", starting_until_the_first_pass},
    {"failing for too long is removed, with the check's words", failing_for_too_long_is_removed},
    {"passing in time is not removed", passing_in_time_is_not_removed},
    {"a check that is taken away fails no more", a_check_that_is_taken_away_fails_no_more},
    {"a removal that the store refuses is asked for again", a_removal_that_the_store_refuses_is_asked_for_again},
    {"one that was written again is not removed for the old one",
     one_that_was_written_again_is_not_removed_for_the_old_one},
    {"a TTL check passes as long as it is reported", a_ttl_check_passes_as_long_as_it_is_reported},
    {"a TTL check that is never reported", a_ttl_check_that_is_never_reported},
    {"a TTL check that is reported to fail", a_ttl_check_that_is_reported_to_fail},
    {"silence while nobody listened counts for nothing", silence_while_nobody_listened_counts_for_nothing},
    {"the TTL of a check may change", the_ttl_of_a_check_may_change},
    {"a TTL check begins anew with a restart and another incarnation",
     a_ttl_check_begins_anew_with_a_restart_and_another_incarnation},
    {"a TTL check without memory", a_ttl_check_without_memory},
    {"a broken connection may come back", a_broken_connection_may_come_back},
    {"a connection that stays away takes the key along", a_connection_that_stays_away_takes_the_key_along},
    {"without grace it goes at once", without_grace_it_goes_at_once},
    {"who was held has time to come back after a restart", who_was_held_has_time_to_come_back_after_a_restart},
    {"a source stops and starts it", a_source_stops_and_starts_it},
    {"suspicion ends by itself", suspicion_ends_by_itself},
    {"a live probe clears a suspect", a_live_probe_clears_a_suspect},
    {"a connection does not clear one that is mute", a_connection_does_not_clear_one_that_is_mute},
    {"each reason is its own", each_reason_is_its_own},
    {"reports about nobody are dropped", reports_about_nobody_are_dropped},
    {"long words are cut between letters", long_words_are_cut},
    {"consul#2890: who comes and goes is flapping until it is steady",
     who_comes_and_goes_is_flapping_until_it_is_steady},
    {"consul#2890: a check that goes back and forth is flapping", a_check_that_goes_back_and_forth_is_flapping},
    {"after a day of flapping, minutes are enough", after_a_day_of_flapping_minutes_are_enough},
    {"a penalty that has faded is forgotten", a_penalty_that_has_faded_is_forgotten},
    {"without a threshold nothing flaps", without_a_threshold_nothing_flaps},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
