/* SPDX-License-Identifier: Apache-2.0 */
/* The source with a scripted engine, a curator and a store, in virtual time. */
#include "support/docker_kit.h"
#include "support/fake_store.h"
#include "support/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

static struct docker_stats stats_of(const struct docker_kit *kit)
{
    struct docker_stats stats;
    docker_get_stats(kit->docker, &stats);
    return stats;
}

/* ------------------------------------------------------------------------------------------------ one container */

static void from_run_to_stop(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 5 * MS);
    expect_str(kit_status(&kit, 1), "up");
    expect_slice(kit_instance(&kit, 1)->record.address, "10.0.0.11:8080");
    kit_signal(&kit, 1, SIGHUP);
    docker_kit_run(&kit, 5 * MS);
    expect_str(kit_status(&kit, 1), "up");
    kit_signal(&kit, 1, SIGTERM);
    docker_kit_run(&kit, 5 * MS);
    expect_str(kit_status(&kit, 1), "stopped");
    kit_die(&kit, 1, 143);
    docker_kit_run(&kit, 5 * MS);
    expect_str(kit_status(&kit, 1), "gone");
    kit_expect_timeline(&kit, "registered by docker: c1: start\nstopped by docker: c1: kill signal=15\n"
                              "deregistered by docker: c1: die exitCode=143\n");
    docker_kit_deinit(&kit);
}

static void each_change_has_the_engines_words(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    kit_pause(&kit, 1, true);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "stopped");
    kit_pause(&kit, 1, false);
    docker_kit_run(&kit, 10 * MS);
    kit_rename(&kit, 1, "new");
    docker_kit_run(&kit, 10 * MS);
    kit_tell(&kit, 1, "oom", "", 0);
    kit_die(&kit, 1, 137);
    docker_kit_run(&kit, 10 * MS);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    kit_expect_truth(&kit);
    kit_expect_timeline(&kit, "registered by docker: c1: start\nstopped by docker: c1: pause\n"
                              "started by docker: c1: unpause\nchanged by docker: new: rename\n"
                              "stopped by docker: new: die exitCode=137 after oom\n"
                              "deregistered by docker: new: die exitCode=137 after oom\n"
                              "registered by docker: new: start\n");
    docker_kit_deinit(&kit);
}

static void its_health_check_is_its_status(void)
{
    struct docker_options options;
    struct docker_kit kit;
    docker_options_init(&options);
    options.list_every_ns = 3600 * S;
    docker_kit_init(&kit, &options);
    kit.containers[1].health = "starting";
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "starting");
    kit_health(&kit, 1, "healthy");
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "up");
    kit_health(&kit, 1, "unhealthy");
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "failing");
    docker_kit_run(&kit, 2 * 3600 * S);
    expect_str(kit_status(&kit, 1), "failing");
    kit_health(&kit, 1, "healthy");
    docker_kit_run(&kit, 3 * 24 * 3600 * S);
    expect_str(kit_status(&kit, 1), "up");
    kit_expect_timeline(&kit,
                        "registered by docker: c1: start\ncheck passed by docker: c1: health_status: healthy: looked\n"
                        "check failed by docker: c1: health_status: unhealthy: looked\n"
                        "check passed by docker: c1: health_status: healthy: looked\n");
    docker_kit_deinit(&kit);
}

static void who_ignores_the_signal_is_taken_back(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.containers[2].labels = "\"muster.drain\":\"5m\"";
    kit_start(&kit, 1);
    kit_start(&kit, 2);
    docker_kit_run(&kit, 10 * MS);
    kit_signal(&kit, 1, SIGTERM);
    kit_signal(&kit, 2, SIGTERM);
    docker_kit_run(&kit, 59 * S);
    expect_str(kit_status(&kit, 1), "stopped");
    docker_kit_run(&kit, 2 * S);
    expect_str(kit_status(&kit, 1), "up");
    expect_str(kit_status(&kit, 2), "stopped");
    docker_kit_run(&kit, 240 * S);
    expect_str(kit_status(&kit, 2), "up");
    docker_kit_deinit(&kit);
}

/* Two events in one turn, and an answer that was asked for before the second. */
static void a_restart_is_another_incarnation(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    uint64_t before = kit_instance(&kit, 1)->incarnation;
    kit_die(&kit, 1, 0);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "up");
    expect_true(kit_instance(&kit, 1)->incarnation != before);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

/* It runs again before the event of that comes; a look for an event before its end does not take it for what it was. */
static void another_run_has_words_of_its_own(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    kit_rename(&kit, 1, "new");
    kit_die(&kit, 1, 0);
    kit.is_silent = true;
    kit_start(&kit, 1);
    kit.is_silent = false;
    docker_kit_run(&kit, 10 * MS);
    kit_tell(&kit, 1, "start", "", kit.containers[1].started_ns);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "up");
    expect_int(stats_of(&kit).n_drifts, 0);
    kit_expect_timeline(&kit, "registered by docker: c1: start\nstopped by docker: new: die exitCode=0\n"
                              "deregistered by docker: new: die exitCode=0\nregistered by docker: new: start\n");
    docker_kit_deinit(&kit);
}

static void an_event_of_an_earlier_run_ends_nothing(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    int64_t early_ns = kit.containers[1].started_ns - S;
    kit_tell(&kit, 1, "die", ",\"exitCode\":\"1\"", early_ns);
    kit_tell(&kit, 1, "kill", ",\"signal\":\"15\"", early_ns);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "up");
    kit_expect_timeline(&kit, "registered by docker: c1: start\n");
    docker_kit_deinit(&kit);
}

static void wrong_labels_keep_it_out_until_they_are_right(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.containers[1].labels = "\"muster.weight\":\"heavy\"";
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "gone");
    kit.containers[1].labels = "\"muster.weight\":\"3\"";
    docker_kit_run(&kit, 32 * S);
    expect_int(kit_instance(&kit, 1)->record.weight, 3);
    docker_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ addresses */

static void the_address_that_answers(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.is_unreachable = true;
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    expect_slice(kit_instance(&kit, 1)->record.address, "127.0.0.1:30001");
    kit.is_unreachable = false;
    kit_start(&kit, 2);
    docker_kit_run(&kit, 10 * MS);
    expect_slice(kit_instance(&kit, 2)->record.address, "10.0.0.12:8080");
    docker_kit_deinit(&kit);
}

static void an_address_that_another_has_now(void)
{
    struct docker_options options;
    struct docker_kit kit;
    docker_options_init(&options);
    options.rules.address = DOCKER_ADDRESS_HOST;
    docker_kit_init(&kit, &options);
    kit.containers[1].labels = "\"muster.port\":\"8080\"";
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    kit.is_silent = true;
    kit_die(&kit, 1, 1); /* nobody hears of it */
    kit.is_silent = false;
    memcpy(kit.containers[1].id, "ffffffffffff", 12); /* the same port, published by another */
    kit_start(&kit, 1);
    docker_kit_run(&kit, 50 * MS);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ the engine */

static void it_goes_on_from_the_last_event(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 2 * S);
    kit_cut(&kit);
    kit_start(&kit, 2);
    docker_kit_run(&kit, 50 * MS);
    expect_int(kit.n_subscribed, 2);
    kit_expect_truth(&kit);
    expect_int(stats_of(&kit).n_drifts, 0);
    kit_expect_timeline(&kit, "registered by docker: c1: start\nregistered by docker: c2: start\n");
    docker_kit_deinit(&kit);
}

/* Docker's engine answers with a head, and begins to listen then: who comes meanwhile may be in no list either. */
static void what_happens_before_the_engine_listens(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.listens_late = true;
    docker_kit_restart(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 50 * MS);
    expect_str(kit_status(&kit, 1), "gone");
    kit_listen(&kit);
    docker_kit_run(&kit, 50 * MS);
    kit_expect_truth(&kit);
    kit_expect_timeline(&kit, "registered by docker: c1: start\n");
    docker_kit_deinit(&kit);
}

static void a_lost_engine_makes_suspects(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    kit_start(&kit, 2);
    docker_kit_run(&kit, 10 * MS);
    kit_down(&kit);
    docker_kit_run(&kit, 100 * MS);
    expect_str(kit_status(&kit, 1), "suspect");
    expect_str(stats_of(&kit).state, "waiting");
    expect_str(stats_of(&kit).trouble, "connection refused");
    expect_true(stats_of(&kit).next_ms > 0);
    docker_kit_run(&kit, 3600 * S);
    expect_str(kit_status(&kit, 1), "up"); /* a suspicion ends, unless somebody finds more */
    kit.containers[2].is_running = false;
    kit.is_down = false;
    docker_kit_run(&kit, 6 * S);
    kit_expect_truth(&kit);
    expect_str(stats_of(&kit).state, "following");
    expect_str(stats_of(&kit).trouble, "");
    docker_kit_deinit(&kit);
}

static void an_engine_that_is_not_there_yet(void)
{
    struct docker_options options;
    struct docker_kit kit;
    docker_options_init(&options);
    options.mode = DOCKER_OFF;
    docker_kit_init(&kit, &options);
    expect_str(stats_of(&kit).state, "off");
    kit_start(&kit, 1);
    kit.is_down = true;
    options.mode = DOCKER_AUTO;
    docker_kit_restart(&kit, &options);
    docker_kit_run(&kit, 600 * S);
    expect_str(stats_of(&kit).state, "waiting");
    kit.is_down = false;
    docker_kit_run(&kit, 6 * S);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

static void where_no_events_are_to_be_had(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.events_status = 403;
    kit_cut(&kit);
    docker_kit_run(&kit, 2 * S);
    expect_str(stats_of(&kit).state, "polling");
    kit_start(&kit, 1);
    docker_kit_run(&kit, 3100 * MS);
    kit_expect_truth(&kit);
    kit_die(&kit, 1, 0);
    docker_kit_run(&kit, 3100 * MS);
    kit_expect_truth(&kit);
    expect_int(stats_of(&kit).n_drifts, 0);
    kit.events_status = 200;
    docker_kit_run(&kit, 31 * S);
    expect_str(stats_of(&kit).state, "following");
    docker_kit_deinit(&kit);
}

static void events_that_end_at_once(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit.ends_events = true;
    kit_cut(&kit);
    docker_kit_run(&kit, 2 * S);
    expect_str(stats_of(&kit).state, "polling");
    expect_true(kit.n_subscribed < 10);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 3100 * MS);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

static void what_no_event_told_is_drift(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    kit_start(&kit, 2);
    docker_kit_run(&kit, 10 * MS);
    kit.is_silent = true;
    kit_die(&kit, 1, 9);
    kit_pause(&kit, 2, true);
    kit_start(&kit, 3);
    kit.is_silent = false;
    docker_kit_run(&kit, 32 * S);
    kit_expect_truth(&kit);
    expect_int(stats_of(&kit).n_drifts, 3);
    docker_kit_run(&kit, 300 * S);
    expect_int(stats_of(&kit).n_drifts, 3);
    docker_kit_deinit(&kit);
}

static void who_was_deregistered_by_others_comes_back(void)
{
    struct docker_kit kit;
    char key[128];
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    (void)snprintf(key, sizeof(key), "/muster/services/hello/%.12s:8080", kit.containers[1].id);
    expect_true(fake_store_delete(kit.base.store, key) > 0);
    docker_kit_run(&kit, 10 * MS);
    expect_str(kit_status(&kit, 1), "gone");
    docker_kit_run(&kit, 32 * S);
    expect_str(kit_status(&kit, 1), "up");
    expect_int(stats_of(&kit).n_drifts, 1);
    docker_kit_deinit(&kit);
}

static void answers_that_are_cut(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    docker_kit_run(&kit, 10 * MS);
    kit.is_garbled = true;
    kit_start(&kit, 2);
    docker_kit_run(&kit, 60 * S);
    expect_true(kit_instance(&kit, 1)); /* not gone: nobody has said so */
    kit.is_garbled = false;
    docker_kit_run(&kit, 12 * S);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

static void versions_are_negotiated(void)
{
    static const struct {
        const char *api, *min_api, *spoken, *trouble;
    } cases[] = {
        {"1.41", "1.12", "/v1.41/", ""},
        {"1.99", "1.24", "/v1.47/", ""},
        {"1.99", "1.52", "/v1.52/", ""},
        {"1.20", "1.12", "", "it is too old: its API is older than 1.24"},
        {"2.0", "", "", "it names no version of the Engine API"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct docker_kit kit;
        docker_kit_init(&kit, NULL);
        kit.api = cases[i].api;
        kit.min_api = cases[i].min_api;
        docker_kit_restart(&kit, NULL);
        expect_str(stats_of(&kit).trouble, cases[i].trouble);
        expect_true(cases[i].spoken[0] == '\0' || strncmp(kit.last_events, cases[i].spoken, 7) == 0);
        docker_kit_deinit(&kit);
    }
}

/* ------------------------------------------------------------------------------------------------ the registry */

static void what_an_earlier_process_left(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 1);
    kit_start(&kit, 2);
    kit_start(&kit, 3);
    docker_kit_run(&kit, 10 * MS);
    uint64_t same = kit_instance(&kit, 1)->incarnation, other = kit_instance(&kit, 3)->incarnation;
    kit.is_down = true;
    docker_kit_restart(&kit, NULL);
    expect_str(kit_status(&kit, 1), "suspect");
    kit_remove(&kit, 2);
    kit_start(&kit, 3);
    kit.is_down = false;
    docker_kit_run(&kit, 20 * S);
    kit_expect_truth(&kit);
    expect_int(kit_instance(&kit, 1)->incarnation, same);
    expect_true(kit_instance(&kit, 3)->incarnation != other);
    struct docker_options options;
    docker_options_init(&options);
    options.mode = DOCKER_OFF;
    docker_kit_restart(&kit, &options);
    expect_str(kit_status(&kit, 1), "gone");
    docker_kit_deinit(&kit);
}

static void a_store_that_refuses_for_a_while(void)
{
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    kit_start(&kit, 2);
    docker_kit_run(&kit, 10 * MS);
    fake_store_refuse(kit.base.store, STORE_NO_SPACE);
    kit_start(&kit, 1);
    kit_die(&kit, 2, 1);
    docker_kit_run(&kit, 10 * S);
    expect_str(kit_status(&kit, 1), "gone");
    expect_str(kit_status(&kit, 2), "stopped"); /* no traffic, though its key cannot be removed */
    fake_store_refuse(kit.base.store, STORE_OK);
    docker_kit_run(&kit, 2 * S);
    kit_expect_truth(&kit);
    docker_kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ at random */

static void one_thing_happens(struct docker_kit *kit, uint64_t *random)
{
    unsigned i = test_random(random) % 12;
    struct kit_container *container = &kit->containers[i];
    kit->is_silent = test_random(random) % 10 == 0;
    switch (test_random(random) % 12) {
    case 0:
    case 1:
    case 2:
        if (!container->is_running)
            kit_start(kit, i);
        break;
    case 3:
        if (container->is_running)
            kit_die(kit, i, 1);
        break;
    case 4:
        if (container->is_running) {
            kit_die(kit, i, 0);
            kit_start(kit, i);
        }
        break;
    case 5:
        if (container->is_running)
            kit_signal(kit, i, test_random(random) % 2 ? SIGTERM : SIGHUP);
        break;
    case 6:
        if (container->is_running)
            kit_pause(kit, i, !container->is_paused);
        break;
    case 7:
        if (container->is_running && container->health)
            kit_health(kit, i, test_random(random) % 2 ? "healthy" : "unhealthy");
        break;
    case 8:
        if (!container->is_running && container->exists)
            kit_remove(kit, i);
        break;
    case 9: /* an old one comes late, or twice */
        kit_tell(kit, i, "die", ",\"exitCode\":\"3\"", container->started_ns - 1);
        kit_tell(kit, i, "start", "", container->started_ns);
        break;
    case 10:
        kit_cut(kit);
        break;
    default:
        if (test_random(random) % 4 == 0)
            kit_down(kit);
        kit->is_garbled = test_random(random) % 8 == 0;
        kit->events_status = test_random(random) % 8 == 0 ? 404 : 200;
        kit->ends_events = test_random(random) % 16 == 0;
        break;
    }
    kit->is_silent = false;
}

static void the_catalogue_is_the_engines_list_at_each_quiet_moment(void)
{
    uint64_t random = test_seed();
    struct docker_kit kit;
    docker_kit_init(&kit, NULL);
    for (unsigned i = 0; i < 12; i += 3)
        kit.containers[i].health = "healthy";
    for (unsigned n_rounds = test_rounds(60); n_rounds > 0; n_rounds--) {
        for (unsigned n = test_random(&random) % 40; n > 0; n--) {
            one_thing_happens(&kit, &random);
            docker_kit_run(&kit, (nsec_t)(test_random(&random) % 4 == 0 ? test_random(&random) % (2 * S)
                                                                        : test_random(&random) % (2 * MS)));
            kit.is_down &= test_random(&random) % 3 != 0;
        }
        kit.is_down = kit.is_garbled = kit.ends_events = false;
        kit.events_status = 200;
        docker_kit_run(&kit, 95 * S); /* drift is found, and a signal that was ignored is forgotten */
        kit_expect_truth(&kit);
        if (test_random(&random) % 8 == 0)
            docker_kit_restart(&kit, NULL);
    }
    docker_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"traefik#7886: from `docker run` to `docker stop`", from_run_to_stop},
    {"each change has the engine's words", each_change_has_the_engines_words},
    {"registrator#578: its health check is its status", its_health_check_is_its_status},
    {"who ignores the signal is taken back", who_ignores_the_signal_is_taken_back},
    {"a restart is another incarnation", a_restart_is_another_incarnation},
    {"another run has words of its own", another_run_has_words_of_its_own},
    {"an event of an earlier run ends nothing", an_event_of_an_earlier_run_ends_nothing},
    {"wrong labels keep it out until they are right", wrong_labels_keep_it_out_until_they_are_right},
    {"the address that answers is used", the_address_that_answers},
    {"an address that another container has now", an_address_that_another_has_now},
    {"after a cut it goes on from the last event", it_goes_on_from_the_last_event},
    {"what happens before the engine listens is told, too", what_happens_before_the_engine_listens},
    {"traefik#13549: a lost engine makes suspects", a_lost_engine_makes_suspects},
    {"an engine that is not there yet", an_engine_that_is_not_there_yet},
    {"where no events are to be had", where_no_events_are_to_be_had},
    {"events that end at once", events_that_end_at_once},
    {"registrator#325: what no event told is drift", what_no_event_told_is_drift},
    {"who was deregistered by others comes back", who_was_deregistered_by_others_comes_back},
    {"answers that are cut change nothing", answers_that_are_cut},
    {"versions are negotiated", versions_are_negotiated},
    {"what an earlier process left is brought in line", what_an_earlier_process_left},
    {"a store that refuses for a while", a_store_that_refuses_for_a_while},
    {"the catalogue is the engine's list at each quiet moment", the_catalogue_is_the_engines_list_at_each_quiet_moment},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
