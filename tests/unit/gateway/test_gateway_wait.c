/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait: for an instance, for their turn, at one that is removed; and until their time is over. */
#include "support/gateway_kit.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC

/* From the number 1 on. */
static void ask_at_once(struct gateway_kit *kit, struct kit_client **ret_clients, unsigned n, const char *method,
                        int n_body)
{
    for (unsigned i = 0; i < n; i++) {
        ret_clients[i] = kit_client_open(kit);
        kit_client_ask(ret_clients[i], method, i + 1, n_body);
    }
}

static void expect_statuses(struct kit_client *const *clients, unsigned n, unsigned status)
{
    for (unsigned i = 0; i < n; i++)
        expect_int(kit_client_status(clients[i]), status);
}

/* The only instance restarts: its requests wait, and none fails. */
static void requests_wait_for_an_instance_that_restarts(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, MS), 200);
    kit_instance_kill(&kit.instances[0]);
    struct kit_client *get = kit_client_open(&kit), *post = kit_client_open(&kit);
    kit_client_ask(get, "GET", 2, 0);
    kit_client_ask(post, "POST", 3, 3000);
    gateway_kit_run_for(&kit, 300 * MS);
    expect_int(kit_client_status(get), 0);
    expect_int(kit.worker->n_parked, 2);
    kit.instances[0].door = KIT_OPEN;
    gateway_kit_run_for(&kit, 500 * MS);
    expect_int(kit_client_status(get), 200);
    expect_int(kit_client_status(post), 200);
    expect_int(kit.worker->n_parked, 0);
    gateway_kit_deinit(&kit);
}

static void requests_wait_for_a_new_instance_and_go_with_its_publication(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 100 * MS);
    struct kit_client *client = kit_client_open(&kit);
    kit_client_ask(client, "POST", 1, 100);
    gateway_kit_run_for(&kit, 700 * MS);
    expect_int(kit.worker->n_parked, 1);
    kit_instance_register(&kit.instances[0]);
    gateway_kit_run_for(&kit, 5 * MS);
    expect_int(kit_client_status(client), 200);

    kit_instance_remove(&kit.instances[0]);
    kit_client_ask(client, "GET", 2, 0);
    gateway_kit_run_for(&kit, 1100 * MS);
    expect_int(kit_client_status(client), 503);
    expect_true(strstr(kit_client_hear(client), "retry-after: 1"));
    expect_true(strstr(kit_client_hear(client), "No backend entry in the service registry"));
    gateway_kit_deinit(&kit);
}

/* Else they would wait for one another, each as long as a request may wait for an instance. */
static void who_waits_for_an_instance_takes_nobodys_turn(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[4];
    gateway_kit_prepare(&kit, 1);
    kit.settings.policy.n_in_flight_max = 1;
    expect_int(gateway_kit_start(&kit), 0);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 100 * MS);
    ask_at_once(&kit, clients, 4, "GET", 0);
    gateway_kit_run_for(&kit, 1200 * MS);
    expect_statuses(clients, 4, 503);
    for (unsigned i = 0; i < 4; i++)
        kit_client_ask(clients[i], "POST", i + 5, 10);
    gateway_kit_run_for(&kit, 300 * MS);
    kit_instance_register(&kit.instances[0]);
    gateway_kit_run_for(&kit, 300 * MS);
    expect_statuses(clients, 4, 200);
    const struct plan_cell *cell = plan_find(planner_plan(kit.planner), SLICE_LIT("web"));
    expect_int(cell->n_in_flight, 0);
    expect_int(cell->n_queued, 0);
    gateway_kit_deinit(&kit);
}

/* It refused them all; when it is back they go to it one after the other. */
static void who_has_waited_for_an_instance_may_have_to_wait_for_his_turn(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[4];
    gateway_kit_prepare(&kit, 1);
    kit.settings.policy.n_in_flight_max = 1;
    kit.instances[0].door = KIT_REFUSES;
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 30 * MS;
    expect_int(gateway_kit_start(&kit), 0);
    ask_at_once(&kit, clients, 4, "POST", 10);
    gateway_kit_run_for(&kit, 300 * MS);
    expect_int(kit.worker->n_parked, 4);
    kit.instances[0].door = KIT_OPEN;
    gateway_kit_run_for(&kit, 700 * MS);
    expect_statuses(clients, 4, 200);
    gateway_kit_deinit(&kit);
}

static void a_full_service_queues_and_then_refuses(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[5];
    gateway_kit_prepare(&kit, 1);
    kit.settings.policy.n_in_flight_max = 2;
    kit.settings.policy.n_queued_max = 2;
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 50 * MS;
    expect_int(gateway_kit_start(&kit), 0);
    for (unsigned i = 0; i < 5; i++) {
        clients[i] = kit_client_open(&kit);
        kit_client_ask(clients[i], "POST", i + 1, 2000);
        gateway_kit_run_for(&kit, MS);
    }
    expect_int(kit_client_status(clients[4]), 503);
    expect_true(strstr(kit_client_hear(clients[4]), "connection_limit_reached"));
    kit_client_close(clients[2]); /* it goes while it waits */
    gateway_kit_run_for(&kit, 70 * MS);
    expect_int(kit_client_status(clients[0]), 200);
    expect_int(kit_client_status(clients[1]), 200);
    gateway_kit_run_for(&kit, 50 * MS);
    expect_int(kit_client_status(clients[3]), 200);
    const struct plan_cell *cell = plan_find(planner_plan(kit.planner), SLICE_LIT("web"));
    gateway_kit_run_for(&kit, MS);
    expect_int(cell->n_in_flight, 0);
    gateway_kit_deinit(&kit);
}

static void time_is_over_in_every_state(void)
{
    struct gateway_kit kit;
    gateway_kit_prepare(&kit, 1);
    kit.settings.policy.timeout_ns = 200 * MS;
    kit.settings.policy.n_in_flight_max = 1;
    kit.instances[0].how = KIT_HANG;
    expect_int(gateway_kit_start(&kit), 0);
    struct kit_client *waiting = kit_client_open(&kit), *queued = kit_client_open(&kit);
    kit_client_ask(waiting, "POST", 1, 10);
    gateway_kit_run_for(&kit, 10 * MS);
    kit_client_ask(queued, "GET", 2, 0);
    gateway_kit_run_for(&kit, 180 * MS);
    expect_int(kit_client_status(waiting), 0);
    gateway_kit_run_for(&kit, 40 * MS);
    expect_int(kit_client_status(waiting), 504);
    gateway_kit_run_for(&kit, 250 * MS);
    expect_true(kit_client_status(queued) == 503 || kit_client_status(queued) == 504);
    kit.instances[0].door = KIT_SILENT;
    struct kit_client *connecting = kit_client_open(&kit);
    kit_client_ask(connecting, "POST", 3, 10);
    gateway_kit_run_for(&kit, 250 * MS);
    expect_int(kit_client_status(connecting), 504);
    gateway_kit_deinit(&kit);
}

static void idle_connections_to_who_is_gone_are_closed_at_once(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, MS), 200);
    struct kit_instance *used = &kit.instances[kit_instance_n_connections(&kit.instances[0]) > 0 ? 0 : 1];
    expect_int(kit_instance_n_connections(used), 1);
    kit_instance_remove(used);
    gateway_kit_run_for(&kit, 2 * WORKER_WATCH_NS);
    expect_int(kit_instance_n_connections(used), 0);
    gateway_kit_deinit(&kit);
}

/* What waits at one that is removed is sent elsewhere as well, if it may be; else it waits on, and gets its answer. */
static void what_waits_at_one_that_is_removed_is_hedged_or_waits_on(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 90 * MS;
    struct kit_client *get = kit_client_open(&kit), *post = kit_client_open(&kit);
    kit_client_ask(get, "GET", 1, 0);
    kit_client_ask(post, "POST", 2, 10);
    gateway_kit_run_for(&kit, 5 * MS);
    kit.n_instances = 2;
    kit.instances[1] = (struct kit_instance){.kit = &kit, .id = "1", .address = "10.0.0.2:80"};
    list_init(&kit.instances[1].connections);
    kit_instance_register(&kit.instances[1]);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 2 * WORKER_WATCH_NS);
    expect_int(kit_client_status(get), 200);
    expect_int(kit_client_status(post), 0);
    expect_int(kit.n_seen[1], 2);
    gateway_kit_run_for(&kit, 100 * MS);
    expect_int(kit_client_status(post), 200);
    expect_int(kit.n_seen[2], 1);
    gateway_kit_deinit(&kit);
}

/* Nobody else is there at first; and then the budget is for five in five seconds. */
static void what_waits_at_one_that_is_removed_goes_when_it_can(void)
{
    struct gateway_kit kit;
    struct kit_client *clients[8];
    gateway_kit_prepare(&kit, 1);
    kit.settings.retry_percent = 0;
    kit.settings.retry_floor = 1;
    expect_int(gateway_kit_start(&kit), 0);
    kit.instances[0].how = KIT_HANG;
    ask_at_once(&kit, clients, 8, "GET", 0);
    gateway_kit_run_for(&kit, 20 * MS);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 200 * MS);
    kit.n_instances = 2;
    kit.instances[1] = (struct kit_instance){.kit = &kit, .id = "1", .address = "10.0.0.2:80"};
    list_init(&kit.instances[1].connections);
    kit_instance_register(&kit.instances[1]);
    gateway_kit_run_for(&kit, 50 * MS);
    expect_int(kit.instances[1].n_requests, 5);
    gateway_kit_run_for(&kit, 10 * NSEC_PER_SEC);
    expect_statuses(clients, 8, 200);
    gateway_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"requests wait for the only instance while it restarts", requests_wait_for_an_instance_that_restarts},
    {"a request waits for a new instance and goes with its publication",
     requests_wait_for_a_new_instance_and_go_with_its_publication},
    {"who waits for an instance takes nobody's turn", who_waits_for_an_instance_takes_nobodys_turn},
    {"who has waited for an instance may have to wait for his turn",
     who_has_waited_for_an_instance_may_have_to_wait_for_his_turn},
    {"a full service queues, and then refuses", a_full_service_queues_and_then_refuses},
    {"the time of a request is over in every state", time_is_over_in_every_state},
    {"idle connections to who is gone are closed at once", idle_connections_to_who_is_gone_are_closed_at_once},
    {"what waits at one that is removed is hedged, or waits on",
     what_waits_at_one_that_is_removed_is_hedged_or_waits_on},
    {"what waits at one that is removed goes when it can", what_waits_at_one_that_is_removed_goes_when_it_can},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
