/* SPDX-License-Identifier: Apache-2.0 */
/* Who fails is ejected, the catalogue hears of it, and who is back is found. */
#include "gateway/tally.h"
#include "support/gateway_kit.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC
#define S  NSEC_PER_SEC

static struct runtime *runtime_of(const struct kit_instance *instance)
{
    return (struct runtime *)(uintptr_t)kit_runtime(instance);
}

static bool is_ejected(const struct kit_instance *instance)
{
    return runtime_has(runtime_of(instance), RUNTIME_EJECTED);
}

/* Requests until the instance is ejected; how many it took. */
static unsigned ask_until_ejected(struct gateway_kit *kit, const struct kit_instance *instance, unsigned first)
{
    unsigned n = 0;
    for (; !is_ejected(instance) && n < 200; n++)
        (void)gateway_kit_ask(kit, "POST", first + n, 0, 10 * MS);
    expect_true(is_ejected(instance));
    return n;
}

/* More often than any number of failures that would eject it. */
static void our_lack_of_descriptors_is_not_held_against_instances(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].door = kit.instances[1].door = KIT_EXHAUSTED;
    for (unsigned i = 1; i <= 20; i++) {
        struct kit_client *client = kit_client_open(&kit);
        kit_client_ask(client, i % 2 ? "POST" : "GET", i, 0);
        gateway_kit_run_for(&kit, 2 * S);
        expect_int(kit_client_status(client), 503);
        expect_true(strstr(kit_client_hear(client), "error=proxy_internal_error"));
        expect_true(strstr(kit_client_hear(client), "no descriptor left"));
        kit_client_close(client);
    }
    for (unsigned i = 0; i < 2; i++) {
        struct runtime_sum sum;
        expect_false(is_ejected(&kit.instances[i]));
        expect_false(kit_is_suspect(&kit, kit.instances[i].id));
        runtime_sum(runtime_of(&kit.instances[i]), &sum);
        expect_int(sum.n_connect_failures, 0);
    }
    kit.instances[0].door = kit.instances[1].door = KIT_OPEN;
    expect_int(gateway_kit_ask(&kit, "POST", 21, 0, 10 * MS), 200);
    gateway_kit_deinit(&kit);
}

static void who_refuses_is_ejected_at_once_and_found_when_it_is_back(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit_instance_kill(&kit.instances[0]);
    (void)ask_until_ejected(&kit, &kit.instances[0], 1);
    expect_int(kit.instances[0].n_connects, 1);
    expect_true(kit_is_suspect(&kit, "0"));
    gateway_kit_run_for(&kit, 25 * S); /* the catalogue is told again: it forgets after 10 s */
    expect_true(kit_is_suspect(&kit, "0"));
    expect_true(is_ejected(&kit.instances[0]));
    expect_true(kit.instances[0].n_connects < 20);
    kit.instances[0].door = KIT_OPEN;
    gateway_kit_run_for(&kit, 5 * S);
    expect_false(kit_is_suspect(&kit, "0"));
    expect_false(is_ejected(&kit.instances[0]));
    kit_expect_timeline(&kit.curator, "web/0 registered by a test\nweb/1 registered by a test\n"
                                      "web/0 suspected by gateway\nweb/0 cleared by gateway\n");
    gateway_kit_deinit(&kit);
}

static void who_fails_again_and_again_is_ejected_for_longer(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].how = KIT_BREAK;
    kit.instances[0].answers_proofs = true;
    nsec_t last_ns = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned n_before = kit.instances[0].n_requests;
        (void)ask_until_ejected(&kit, &kit.instances[0], 1 + 200 * i);
        expect_int(kit.instances[0].n_requests - n_before, kit.settings.eject_failures);
        nsec_t for_ns = runtime_of(&kit.instances[0])->ejected_until_ns - sim_now(kit.sim);
        expect_true(for_ns > last_ns);
        last_ns = for_ns + for_ns / 2;
        unsigned n_proofs = kit.instances[0].n_proofs;
        gateway_kit_run_for(&kit, for_ns / 2);
        expect_true(is_ejected(&kit.instances[0]));
        gateway_kit_run_for(&kit, for_ns / 2 + 100 * MS);
        expect_false(is_ejected(&kit.instances[0]));
        expect_int(kit.instances[0].n_proofs, n_proofs + 1); /* one question is the trial */
    }
    gateway_kit_deinit(&kit);
}

static void without_proofs_one_request_is_the_trial(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[10];
    gateway_kit_prepare(&kit, 2);
    kit.settings.prove = false;
    expect_int(gateway_kit_start(&kit), 0);
    kit.instances[0].how = KIT_BREAK;
    (void)ask_until_ejected(&kit, &kit.instances[0], 1);
    kit.instances[0].how = KIT_HANG;
    gateway_kit_run_for(&kit, 12 * S); /* the catalogue has forgotten it, too */
    unsigned n_before = kit.instances[0].n_requests;
    for (unsigned i = 0; i < 10; i++) {
        clients[i] = kit_client_open(&kit);
        kit_client_ask(clients[i], "POST", 300 + i, 10);
        gateway_kit_run_for(&kit, 2 * MS);
    }
    expect_int(kit.instances[0].n_requests, n_before + 1);
    gateway_kit_deinit(&kit);
}

static void the_last_instance_is_used_though_it_is_ejected(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_BREAK;
    (void)ask_until_ejected(&kit, &kit.instances[0], 1);
    kit.instances[0].how = KIT_OK;
    expect_int(gateway_kit_ask(&kit, "POST", 300, 0, 10 * MS), 200);
    expect_false(is_ejected(&kit.instances[0]));
    expect_false(kit_is_suspect(&kit, "0"));
    gateway_kit_deinit(&kit);
}

static void an_answer_ends_the_row_of_failures(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    for (unsigned i = 1; i <= 60; i++) {
        kit.instances[0].how = i % 5 == 0 ? KIT_OK : KIT_BREAK;
        (void)gateway_kit_ask(&kit, "POST", i, 0, 10 * MS);
        expect_false(is_ejected(&kit.instances[0]));
    }
    gateway_kit_deinit(&kit);
}

/* The death of many requests at the same moment is one ejection. */
static void many_failures_at_once_are_one_ejection(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_HANG;
    for (unsigned i = 1; i <= 50; i++)
        kit_client_ask(kit_client_open(&kit), "POST", i, 10);
    gateway_kit_run_for(&kit, 50 * MS);
    kit_instance_kill(&kit.instances[0]);
    gateway_kit_run_for(&kit, 50 * MS);
    expect_int(runtime_of(&kit.instances[0])->n_ejections, 1);
    gateway_kit_deinit(&kit);
}

static void a_connection_that_closes_is_not_held_against_the_instance(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].how = kit.instances[1].how = KIT_LIAR;
    for (unsigned i = 1; i <= 100; i++) {
        expect_int(gateway_kit_ask(&kit, "GET", i, 0, 10 * MS), 200);
        expect_false(is_ejected(&kit.instances[0]) || is_ejected(&kit.instances[1]));
    }
    expect_true(kit.instances[0].n_connects + kit.instances[1].n_connects <= 100);
    gateway_kit_deinit(&kit);
}

/* All connections are in use when it would be asked whether it keeps them: that is no sign that it does not. */
static void busy_connections_raise_no_doubt(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 50 * MS;
    for (unsigned number = 1; number <= 40; number++)
        expect_int(gateway_kit_ask(&kit, "POST", number, 100, 60 * MS), 200);
    expect_int(runtime_of(&kit.instances[0])->reuse_doubt_ns, 0);
    expect_true(runtime_of(&kit.instances[0])->reuse_proven);
    expect_true(kit.instances[0].n_connects < 30);
    gateway_kit_deinit(&kit);
}

/* It closes what is idle for a second: requests that must not be repeated keep well away from that. */
static void the_life_of_idle_connections_is_learned(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, 10 * MS), 200);
    expect_int(gateway_kit_ask(&kit, "GET", 2, 0, 10 * MS), 200);
    gateway_kit_run_for(&kit, S - 20 * MS);
    kit_instance_kill(&kit.instances[0]);
    kit.instances[0].door = KIT_OPEN;
    gateway_kit_run_for(&kit, 10 * MS);
    nsec_t life_ns = runtime_of(&kit.instances[0])->idle_life_ns;
    expect_true(life_ns > 900 * MS && life_ns <= S);
    expect_int(gateway_kit_ask(&kit, "GET", 3, 0, 10 * MS), 200);
    unsigned n_connects = kit.instances[0].n_connects;
    gateway_kit_run_for(&kit, 600 * MS);
    expect_int(gateway_kit_ask(&kit, "POST", 4, 0, 10 * MS), 200);
    expect_int(kit.instances[0].n_connects, n_connects);
    gateway_kit_run_for(&kit, 850 * MS);
    expect_int(gateway_kit_ask(&kit, "POST", 5, 0, 10 * MS), 200);
    expect_int(kit.instances[0].n_connects, n_connects + 1);
    gateway_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"who refuses is ejected at once, and found when it is back",
     who_refuses_is_ejected_at_once_and_found_when_it_is_back},
    {"our lack of descriptors is not held against instances", our_lack_of_descriptors_is_not_held_against_instances},
    {"who fails again and again is ejected for longer", who_fails_again_and_again_is_ejected_for_longer},
    {"without proofs one request is the trial", without_proofs_one_request_is_the_trial},
    {"the last instance is used though it is ejected", the_last_instance_is_used_though_it_is_ejected},
    {"an answer ends the row of failures", an_answer_ends_the_row_of_failures},
    {"many failures at once are one ejection", many_failures_at_once_are_one_ejection},
    {"a connection that closes is not held against the instance",
     a_connection_that_closes_is_not_held_against_the_instance},
    {"busy connections raise no doubt", busy_connections_raise_no_doubt},
    {"the life of idle connections is learned", the_life_of_idle_connections_is_learned},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
