/* SPDX-License-Identifier: Apache-2.0 */
/* The watch: instances that hang, and what waits there. */
#include "support/gateway_kit.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC
#define S  NSEC_PER_SEC

static bool is_stalled(const struct kit_instance *instance)
{
    return runtime_has((struct runtime *)(uintptr_t)kit_runtime(instance), RUNTIME_STALLED);
}

static void warm_up(struct gateway_kit *kit)
{
    for (unsigned i = 1; i <= 40; i++)
        expect_int(gateway_kit_ask(kit, "GET", i, 0, MS), 200);
}

/* So many requests at once, every ms; the longest that one of them took. */
static nsec_t slowest_of(struct gateway_kit *kit, const char *method, unsigned n, unsigned first)
{
    struct kit_client *clients[64];
    nsec_t began_ns[64], slowest_ns = 0;
    expect_true(n <= ARRAY_LEN(clients));
    for (unsigned n_begun = 0, n_left = n; n_left > 0; gateway_kit_run_for(kit, MS)) {
        if (n_begun < n) {
            clients[n_begun] = kit_client_open(kit);
            kit_client_ask(clients[n_begun], method, first + n_begun, 0);
            began_ns[n_begun++] = sim_now(kit->sim);
        }
        expect_true(sim_now(kit->sim) - began_ns[0] < 60 * S);
        for (unsigned i = 0; i < n_begun; i++) {
            if (!clients[i] || kit_client_status(clients[i]) == 0)
                continue;
            expect_int(kit_client_status(clients[i]), 200);
            nsec_t took_ns = sim_now(kit->sim) - began_ns[i];
            slowest_ns = took_ns > slowest_ns ? took_ns : slowest_ns;
            kit_client_close(TAKE(clients[i]));
            n_left--;
        }
    }
    return slowest_ns;
}

static void a_frozen_instance_costs_no_request_and_little_time(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 3);
    warm_up(&kit);
    kit_instance_freeze(&kit.instances[0], true);
    expect_true(slowest_of(&kit, "GET", 60, 100) < 300 * MS);
    expect_true(is_stalled(&kit.instances[0]));
    expect_true(kit_is_suspect(&kit, "0"));
    unsigned n_before = kit.instances[0].n_connects;
    expect_true(slowest_of(&kit, "POST", 60, 200) < 10 * MS); /* nobody gets there any more */
    expect_true(kit.instances[0].n_connects - n_before <= 1);
    gateway_kit_run_for(&kit, 20 * S);
    expect_true(kit_is_suspect(&kit, "0")); /* it is told again while it lasts */

    kit_instance_freeze(&kit.instances[0], false); /* and nothing waits there: the proof finds it */
    gateway_kit_run_for(&kit, 20 * MS);
    expect_false(is_stalled(&kit.instances[0]));
    expect_false(kit_is_suspect(&kit, "0"));
    unsigned n_requests = kit.instances[0].n_requests;
    expect_true(slowest_of(&kit, "GET", 60, 300) < 10 * MS);
    expect_true(kit.instances[0].n_requests > n_requests);
    gateway_kit_deinit(&kit);
}

static void what_must_not_be_repeated_waits_on(void)
{
    struct gateway_kit kit;
    gateway_kit_prepare(&kit, 2);
    kit.settings.policy.balance = BALANCE_ROUND_ROBIN;
    expect_int(gateway_kit_start(&kit), 0);
    warm_up(&kit);
    kit_instance_freeze(&kit.instances[0], true);
    struct kit_client *first = kit_client_open(&kit), *second = kit_client_open(&kit);
    kit_client_ask(first, "POST", 101, 10);
    kit_client_ask(second, "POST", 102, 10);
    gateway_kit_run_for(&kit, 2 * S);
    expect_int(kit_client_status(first) + kit_client_status(second), 200);
    kit_instance_freeze(&kit.instances[0], false);
    gateway_kit_run_for(&kit, 10 * MS);
    expect_int(kit_client_status(first) + kit_client_status(second), 400);
    expect_int(kit.n_seen[101] + kit.n_seen[102], 2);
    gateway_kit_deinit(&kit);
}

static void a_slow_request_beside_quick_ones_is_no_freeze(void)
{
    struct gateway_kit kit;
    gateway_kit_prepare(&kit, 2);
    kit.settings.policy.balance = BALANCE_ROUND_ROBIN;
    expect_int(gateway_kit_start(&kit), 0);
    warm_up(&kit);
    for (unsigned i = 0; i < 2; i++) {
        kit.instances[i].how = KIT_LATE;
        kit.instances[i].late_ns = 2 * S;
    }
    struct kit_client *slow = kit_client_open(&kit);
    kit_client_ask(slow, "GET", 100, 0);
    gateway_kit_run_for(&kit, 10 * MS);
    kit.instances[0].how = kit.instances[1].how = KIT_OK;
    for (unsigned i = 101; i < 201; i++) {
        expect_int(gateway_kit_ask(&kit, "GET", i, 0, 10 * MS), 200);
        expect_false(is_stalled(&kit.instances[0]) || is_stalled(&kit.instances[1]));
    }
    gateway_kit_run_for(&kit, 2 * S);
    expect_int(kit_client_status(slow), 200);
    expect_int(kit.n_seen[100], 1);
    gateway_kit_deinit(&kit);
}

/* Nothing else is going on there: it is asked, and lives. Nobody is bothered. */
static void a_slow_request_alone_is_no_freeze_either(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    warm_up(&kit);
    for (unsigned i = 0; i < 2; i++) {
        kit.instances[i].how = KIT_LATE;
        kit.instances[i].late_ns = 2 * S;
        kit.instances[i].answers_proofs = true;
    }
    struct kit_client *slow = kit_client_open(&kit);
    kit_client_ask(slow, "GET", 100, 0);
    gateway_kit_run_for(&kit, 3 * S);
    expect_int(kit_client_status(slow), 200);
    expect_int(kit.n_seen[100], 1);
    unsigned n_proofs = kit.instances[0].n_proofs + kit.instances[1].n_proofs;
    expect_true(n_proofs > 0 && n_proofs < 4);
    expect_false(kit_is_suspect(&kit, "0") || kit_is_suspect(&kit, "1"));
    gateway_kit_deinit(&kit);
}

static void the_only_instance_gets_requests_though_it_hangs(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    warm_up(&kit);
    kit_instance_freeze(&kit.instances[0], true);
    struct kit_client *client = kit_client_open(&kit), *late = kit_client_open(&kit);
    kit_client_ask(client, "GET", 100, 0);
    gateway_kit_run_for(&kit, 500 * MS);
    expect_true(is_stalled(&kit.instances[0]));
    kit_client_ask(late, "POST", 101, 100);
    gateway_kit_run_for(&kit, 500 * MS);
    kit_instance_freeze(&kit.instances[0], false);
    gateway_kit_run_for(&kit, 30 * MS);
    expect_int(kit_client_status(client), 200);
    expect_int(kit_client_status(late), 200);
    expect_false(is_stalled(&kit.instances[0]));
    gateway_kit_deinit(&kit);
}

static void hedges_are_bounded_by_the_budget_and_by_policy(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[20];
    for (unsigned round = 0; round < 2; round++) {
        gateway_kit_prepare(&kit, 2);
        kit.settings.policy.balance = BALANCE_ROUND_ROBIN;
        kit.settings.retry_percent = 0;
        kit.settings.retry_floor = 1; /* five in five seconds */
        kit.settings.policy.hedge = round == 0;
        expect_int(gateway_kit_start(&kit), 0);
        warm_up(&kit);
        kit_instance_freeze(&kit.instances[0], true);
        unsigned n_answered = 0;
        for (unsigned i = 0; i < 20; i++) {
            clients[i] = kit_client_open(&kit);
            kit_client_ask(clients[i], "GET", 100 + i, 0);
        }
        gateway_kit_run_for(&kit, S);
        for (unsigned i = 0; i < 20; i++)
            n_answered += kit_client_status(clients[i]) == 200;
        expect_int(n_answered, round == 0 ? 15 : 10);
        kit_instance_freeze(&kit.instances[0], false);
        gateway_kit_run_for(&kit, 10 * MS);
        for (unsigned i = 0; i < 20; i++)
            expect_int(kit_client_status(clients[i]), 200);
        gateway_kit_deinit(&kit);
    }
}

/* The instance is slow by nature: its own latency is what it is measured by. */
static void the_measure_is_the_instances_own_latency(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    for (unsigned i = 0; i < 2; i++) {
        kit.instances[i].how = KIT_LATE;
        kit.instances[i].late_ns = 500 * MS;
        kit.instances[i].answers_proofs = true;
    }
    for (unsigned i = 1; i <= 20; i++)
        expect_int(gateway_kit_ask(&kit, "GET", i, 0, 600 * MS), 200);
    unsigned n_proofs = kit.instances[0].n_proofs + kit.instances[1].n_proofs;
    for (unsigned i = 21; i <= 40; i++)
        expect_int(gateway_kit_ask(&kit, "GET", i, 0, 600 * MS), 200);
    expect_int(kit.instances[0].n_proofs + kit.instances[1].n_proofs, n_proofs);
    for (unsigned i = 1; i <= 40; i++)
        expect_int(kit.n_seen[i], 1);
    gateway_kit_deinit(&kit);
}

static void without_proofs_a_freeze_is_seen_and_ends_too(void)
{
    struct gateway_kit kit;
    gateway_kit_prepare(&kit, 2);
    kit.settings.prove = false;
    expect_int(gateway_kit_start(&kit), 0);
    warm_up(&kit);
    kit_instance_freeze(&kit.instances[0], true);
    expect_true(slowest_of(&kit, "GET", 40, 100) < 300 * MS);
    expect_true(is_stalled(&kit.instances[0]));
    kit_instance_freeze(&kit.instances[0], false);
    gateway_kit_run_for(&kit, 12 * S); /* the catalogue has forgotten it, too */
    unsigned n_requests = kit.instances[0].n_requests;
    expect_true(slowest_of(&kit, "GET", 40, 200) < 10 * MS);
    expect_true(kit.instances[0].n_requests > n_requests);
    expect_int(kit.instances[0].n_proofs, 0);
    gateway_kit_deinit(&kit);
}

static void the_watch_rests_when_nothing_waits(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    warm_up(&kit);
    gateway_kit_run_for(&kit, 100 * MS);
    expect_false(timer_is_armed(&kit.worker->watch));
    gateway_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"a frozen instance costs no request and little time", a_frozen_instance_costs_no_request_and_little_time},
    {"what must not be repeated waits on", what_must_not_be_repeated_waits_on},
    {"a slow request beside quick ones is no freeze", a_slow_request_beside_quick_ones_is_no_freeze},
    {"a slow request alone is no freeze either", a_slow_request_alone_is_no_freeze_either},
    {"the only instance gets requests though it hangs", the_only_instance_gets_requests_though_it_hangs},
    {"hedges are bounded by the budget, and by policy", hedges_are_bounded_by_the_budget_and_by_policy},
    {"the measure is the instance's own latency", the_measure_is_the_instances_own_latency},
    {"without proofs a freeze is seen, and ends, too", without_proofs_a_freeze_is_seen_and_ends_too},
    {"the watch rests when nothing waits", the_watch_rests_when_nothing_waits},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
