/* SPDX-License-Identifier: Apache-2.0 */
/* A request on its way, and what instances do to it. */
#include "support/fault_alloc.h"
#include "support/gateway_kit.h"
#include "support/test.h"

#include <stdio.h>

#define MS NSEC_PER_MSEC
#define S  NSEC_PER_SEC

static void passes_requests_and_answers_on(void)
{
    static const enum kit_how hows[] = {KIT_OK, KIT_CHUNKED, KIT_INFO, KIT_CLOSE, KIT_RUDE, KIT_EXTRA, KIT_EARLY};
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    unsigned number = 0;
    for (unsigned i = 0; i < ARRAY_LEN(hows); i++) {
        kit.instances[0].how = kit.instances[1].how = hows[i];
        expect_int(gateway_kit_ask(&kit, "GET", ++number, 0, MS), 200);
        expect_int(gateway_kit_ask(&kit, "POST", ++number, 10, MS), 200);
        expect_int(gateway_kit_ask(&kit, "PUT", ++number, 20000, MS), 200);
        expect_int(gateway_kit_ask(&kit, "PUT", ++number, -20000, MS), 200);
    }
    gateway_kit_deinit(&kit);
}

static void a_refused_connection_costs_no_request(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit_instance_kill(&kit.instances[0]);
    for (unsigned i = 1; i <= 50; i++)
        expect_int(gateway_kit_ask(&kit, i % 2 ? "GET" : "POST", i, i % 2 ? 0 : 100, 20 * MS), 200);
    expect_true(kit.instances[0].n_connects < 10); /* it was ejected, and is asked now and then */
    expect_int(kit.instances[1].n_requests, 50);
    gateway_kit_deinit(&kit);
}

static void one_that_takes_no_connection_is_left_for_another(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].door = KIT_SILENT;
    for (unsigned i = 1; i <= 6; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 10, 700 * MS), 200);
    gateway_kit_deinit(&kit);
}

/* What breaks without an answer is repeated when it may be, and told with its cause when not. */
static void what_breaks_is_repeated_if_it_may_be(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].how = KIT_BREAK;
    for (unsigned i = 1; i <= 4; i++)
        expect_int(gateway_kit_ask(&kit, "PUT", i, 10, 10 * MS), 200);
    kit.instances[1].how = KIT_BREAK;
    struct kit_client *client = kit_client_open(&kit);
    kit_client_ask(client, "POST", 5, 10);
    gateway_kit_run_for(&kit, 10 * MS);
    expect_int(kit_client_status(client), 502);
    expect_true(strstr(kit_client_hear(client), "error=connection_terminated"));
    expect_true(strstr(kit_client_hear(client), "details=\"sent=full\""));
    expect_int(kit.n_seen[5], 1);
    gateway_kit_deinit(&kit);
}

static void an_answer_that_breaks_off_is_seen_to(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 2);
    kit.instances[0].how = kit.instances[1].how = KIT_MID;
    struct kit_client *client = kit_client_open(&kit);
    kit_client_ask(client, "GET", 1, 0);
    gateway_kit_run_for(&kit, 10 * MS);
    expect_true(client->is_ended);
    expect_int(kit_client_status(client), 0);
    expect_int(kit.n_seen[1], 1);
    gateway_kit_deinit(&kit);
}

static void liars_cost_nothing(void)
{
    static const enum kit_how hows[] = {KIT_LIAR, KIT_RUDE, KIT_CLOSE};
    for (unsigned h = 0; h < ARRAY_LEN(hows); h++) {
        struct gateway_kit kit;
        gateway_kit_init(&kit, 2);
        kit.instances[0].how = kit.instances[1].how = hows[h];
        for (unsigned i = 1; i <= 300; i++)
            expect_int(gateway_kit_ask(&kit, i % 3 ? "GET" : "POST", i, i % 3 ? 0 : 50, 5 * MS), 200);
        for (unsigned i = 3; i <= 300; i += 3)
            expect_int(kit.n_seen[i], 1);
        gateway_kit_deinit(&kit);
    }
}

/* An instance that only gets POSTs is asked once whether it answers twice on a connection. */
static void posts_use_connections_again_when_that_is_proven(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    expect_int(kit.instances[0].n_proofs, 1);
    expect_true(kit.instances[0].n_connects < 10);
    gateway_kit_deinit(&kit);

    gateway_kit_prepare(&kit, 1);
    kit.settings.prove = false;
    expect_int(gateway_kit_start(&kit), 0);
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    expect_int(kit.instances[0].n_proofs, 0);
    expect_int(kit.instances[0].n_connects, 100);
    gateway_kit_deinit(&kit);
}

/* It closes behind each request, but not behind our question: that is no sign that it answers twice. */
static void a_proof_is_none_for_the_next_one(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_CLOSE;
    kit.instances[0].answers_proofs = true;
    for (unsigned i = 1; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 1000 * MS), 200);
    expect_true(kit.instances[0].n_proofs >= 3);
    expect_int(kit.instances[0].n_connects, 100 + kit.instances[0].n_proofs);
    gateway_kit_deinit(&kit);
}

/* Some of its connections answer twice; of others it closes one behind its answer, as any might be. */
static void an_end_without_a_word_outweighs_a_proof(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_RUDE;
    kit.instances[0].answers_proofs = true;
    expect_int(gateway_kit_ask(&kit, "POST", 2, 50, 100 * MS), 200);
    kit.instances[0].how = KIT_LIAR;
    for (unsigned i = 3; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, "POST", i, 50, 10 * MS), 200);
    gateway_kit_deinit(&kit);
}

/* GETs take what there is, and do not vouch for what a POST would take. */
static void an_end_without_a_word_outweighs_answers(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, 10 * MS), 200);
    expect_int(gateway_kit_ask(&kit, "GET", 2, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_RUDE;
    expect_int(gateway_kit_ask(&kit, "GET", 3, 0, 10 * MS), 200);
    kit.instances[0].how = KIT_OK;
    for (unsigned i = 4; i <= 100; i++)
        expect_int(gateway_kit_ask(&kit, i % 2 ? "GET" : "POST", i, i % 2 ? 0 : 50, 10 * MS), 200);
    const unsigned n_connects = kit.instances[0].n_connects;
    expect_int(n_connects, 2 + 97 / 2); /* each POST's is new, which the next GET takes */

    gateway_kit_run_for(&kit, 10 * S);
    for (unsigned i = 101; i <= 200; i++)
        expect_int(gateway_kit_ask(&kit, i % 2 ? "GET" : "POST", i, i % 2 ? 0 : 50, 10 * MS), 200);
    expect_true(kit.instances[0].n_connects < n_connects + 5); /* it is forgotten after a while */
    gateway_kit_deinit(&kit);
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
    for (unsigned i = 0; i < 4; i++) {
        clients[i] = kit_client_open(&kit);
        kit_client_ask(clients[i], "GET", i + 1, 0);
    }
    gateway_kit_run_for(&kit, 1200 * MS);
    for (unsigned i = 0; i < 4; i++)
        expect_int(kit_client_status(clients[i]), 503);
    for (unsigned i = 0; i < 4; i++)
        kit_client_ask(clients[i], "POST", i + 5, 10);
    gateway_kit_run_for(&kit, 300 * MS);
    kit_instance_register(&kit.instances[0]);
    gateway_kit_run_for(&kit, 300 * MS);
    for (unsigned i = 0; i < 4; i++)
        expect_int(kit_client_status(clients[i]), 200);
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
    for (unsigned i = 0; i < 4; i++) {
        clients[i] = kit_client_open(&kit);
        kit_client_ask(clients[i], "POST", i + 1, 10);
    }
    gateway_kit_run_for(&kit, 300 * MS);
    expect_int(kit.worker->n_parked, 4);
    kit.instances[0].door = KIT_OPEN;
    gateway_kit_run_for(&kit, 700 * MS);
    for (unsigned i = 0; i < 4; i++)
        expect_int(kit_client_status(clients[i]), 200);
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

static void other_settings_hold_from_the_reload_on(void)
{
    struct gateway_kit kit;
    struct err err;
    gateway_kit_prepare(&kit, 1);
    kit.settings.park_ns = 0;
    kit.settings.connect_timeout_ns = 10 * NSEC_PER_SEC;
    kit.instances[0].door = KIT_SILENT;
    expect_int(gateway_kit_start(&kit), 0);
    kit.settings.connect_timeout_ns = 20 * MS;
    kit.settings.name = SLICE_LIT("edge");
    expect_int(planner_set_settings(kit.planner, &kit.settings, &err), 0);
    gateway_kit_run_for(&kit, 10 * MS);
    struct kit_client *client = kit_client_open(&kit);
    kit_client_ask(client, "POST", 1, 10);
    gateway_kit_run_for(&kit, 100 * MS);
    expect_int(kit_client_status(client), 504);
    expect_true(strstr(kit_client_hear(client), "proxy-status: edge-"));
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
    for (unsigned i = 1; i <= 8; i++)
        expect_int(gateway_kit_ask(&kit, "GET", i, 0, MS), 200);
    expect_true(kit_instance_n_connections(&kit.instances[0]) > 0);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 2 * WORKER_WATCH_NS);
    expect_int(kit_instance_n_connections(&kit.instances[0]), 0);
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
    for (unsigned i = 0; i < 8; i++) {
        clients[i] = kit_client_open(&kit);
        kit_client_ask(clients[i], "GET", i + 1, 0);
    }
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
    for (unsigned i = 0; i < 8; i++)
        expect_int(kit_client_status(clients[i]), 200);
    gateway_kit_deinit(&kit);
}

/* An upload to an instance that takes nothing holds the client back, and memory is bounded. */
static void an_upload_is_held_back(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    expect_int(gateway_kit_ask(&kit, "GET", 1, 0, MS), 200);
    kit_instance_freeze(&kit.instances[0], true);
    struct kit_client *client = kit_client_open(&kit);
    kit_client_say(client, SLICE_LIT("POST /web/2 HTTP/1.1\r\nhost: x\r\nx-n: 2\r\ncontent-length: 10000000\r\n\r\n"));
    char bytes[10000];
    memset(bytes, kit_letter(2), sizeof(bytes));
    size_t n_taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        ssize_t n = stream_send(client->stream, slice_from(bytes, sizeof(bytes)));
        n_taken += n > 0 ? (size_t)n : 0;
        gateway_kit_run_for(&kit, MS / 10);
    }
    expect_true(n_taken < 1000000);
    kit_instance_freeze(&kit.instances[0], false);
    while (n_taken < 10000000) {
        size_t left = 10000000 - n_taken;
        ssize_t n = stream_send(client->stream, slice_from(bytes, min_size(left, sizeof(bytes))));
        n_taken += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            gateway_kit_run_for(&kit, MS / 10);
    }
    client->number = 2;
    gateway_kit_run_for(&kit, 20 * MS);
    expect_int(kit_client_status(client), 200);
    expect_int(kit.worker->n_kept, 0);
    gateway_kit_deinit(&kit);
}

/* Clients of HTTP/2 can make long heads of a few bytes: all that are kept at one time have a bound. */
static void long_heads_have_a_bound(void)
{
    enum { HEAD_BYTES = 3000 };
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 10 * MS;
    char field[HEAD_BYTES], request[HEAD_BYTES + 100];
    memset(field, 'x', sizeof(field));
    int n = snprintf(request, sizeof(request), "GET /web/1 HTTP/1.1\r\nhost: x\r\nx-n: 1\r\na: %.*s\r\n\r\n",
                     HEAD_BYTES, field);
    struct kit_client *first = kit_client_open(&kit), *second = kit_client_open(&kit);
    first->number = 1;
    kit_client_say(first, slice_from(request, (size_t)n));
    gateway_kit_run_for(&kit, MS);
    size_t n_first = kit.worker->n_heads;
    expect_true(n_first > HEAD_BYTES);
    kit.worker->n_heads = WORKER_HEADS_MAX - HEAD_BYTES;
    kit_client_say(second, slice_from(request, (size_t)n));
    gateway_kit_run_for(&kit, MS);
    expect_int(kit_client_status(second), 503);
    kit.worker->n_heads = n_first;
    gateway_kit_run_for(&kit, 20 * MS);
    expect_int(kit_client_status(first), 200);
    expect_int(kit.worker->n_heads, 0);
    gateway_kit_deinit(&kit);
}

static void clients_that_go_leave_nothing(void)
{
    static const enum kit_how hows[] = {KIT_OK, KIT_HANG, KIT_LATE, KIT_SWITCH};
    for (unsigned h = 0; h < ARRAY_LEN(hows); h++) {
        struct gateway_kit kit;
        gateway_kit_init(&kit, 2);
        kit.instances[0].how = kit.instances[1].how = hows[h];
        kit.instances[0].late_ns = kit.instances[1].late_ns = 10 * MS;
        for (unsigned i = 1; i <= 40; i++) {
            struct kit_client *client = kit_client_open(&kit);
            kit_client_ask(client, i % 2 ? "GET" : "PUT", i, i % 2 ? 0 : 5000);
            gateway_kit_run_for(&kit, (nsec_t)i * MS / 20);
            kit_client_close(client);
        }
        gateway_kit_deinit(&kit);
    }
}

static void stops_with_requests_in_every_state(void)
{
    struct gateway_kit kit;
    gateway_kit_prepare(&kit, 1);
    kit.settings.policy.n_in_flight_max = 3;
    expect_int(gateway_kit_start(&kit), 0);
    kit.instances[0].how = KIT_HANG;
    for (unsigned i = 1; i <= 6; i++) {
        kit_client_ask(kit_client_open(&kit), i % 2 ? "GET" : "PUT", i, i % 2 ? 0 : 5000);
        gateway_kit_run_for(&kit, MS);
    }
    http_server_free(kit.server);
    kit.server = NULL;
    gateway_kit_deinit(&kit);
}

/* Some of it fails; nothing is lost, and no request gets the answer of another. */
static int run_without_memory(void *arg)
{
    static const enum kit_how hows[] = {KIT_CHUNKED, KIT_BREAK, KIT_LIAR};
    struct gateway_kit *kit = arg;
    for (unsigned i = 1; i <= 6; i++) {
        kit->instances[i % 2].how = hows[i % 3];
        struct kit_client *client = kit_client_open(kit);
        if (!client)
            return -12;
        kit_client_ask(client, i % 2 ? "GET" : "PUT", i, i % 2 ? 0 : -3000);
        gateway_kit_run_for(kit, 3 * MS);
        (void)kit_client_status(client);
        kit_client_close(client);
    }
    return 0;
}

static void each_allocation_may_fail(void)
{
    for (size_t n = 1; n < 400; n++) {
        struct gateway_kit kit;
        gateway_kit_init(&kit, 2);
        fault_alloc_arm(n);
        (void)run_without_memory(&kit);
        bool did_fail = fault_alloc_disarm();
        gateway_kit_deinit(&kit);
        if (!did_fail)
            return;
    }
    test_fail(__FILE__, __LINE__, "it never gets through");
}

static const struct test_case cases[] = {
    {"requests and answers of every kind are passed on", passes_requests_and_answers_on},
    {"a refused connection costs no request", a_refused_connection_costs_no_request},
    {"an instance that takes no connection is left for another one", one_that_takes_no_connection_is_left_for_another},
    {"what breaks without an answer is repeated if it may be", what_breaks_is_repeated_if_it_may_be},
    {"an answer that breaks off is never repeated", an_answer_that_breaks_off_is_seen_to},
    {"instances that close connections cost nothing, nor do they get a POST twice", liars_cost_nothing},
    {"POSTs use connections again when that is proven", posts_use_connections_again_when_that_is_proven},
    {"an end without a word outweighs a proof", an_end_without_a_word_outweighs_a_proof},
    {"an end without a word outweighs answers", an_end_without_a_word_outweighs_answers},
    {"a proof's connection is none that a request has used", a_proof_is_none_for_the_next_one},
    {"requests wait for the only instance while it restarts", requests_wait_for_an_instance_that_restarts},
    {"a request waits for a new instance and goes with its publication",
     requests_wait_for_a_new_instance_and_go_with_its_publication},
    {"who waits for an instance takes nobody's turn", who_waits_for_an_instance_takes_nobodys_turn},
    {"who has waited for an instance may have to wait for his turn",
     who_has_waited_for_an_instance_may_have_to_wait_for_his_turn},
    {"a full service queues, and then refuses", a_full_service_queues_and_then_refuses},
    {"other settings hold from the reload on", other_settings_hold_from_the_reload_on},
    {"the time of a request is over in every state", time_is_over_in_every_state},
    {"idle connections to who is gone are closed at once", idle_connections_to_who_is_gone_are_closed_at_once},
    {"what waits at one that is removed is hedged, or waits on",
     what_waits_at_one_that_is_removed_is_hedged_or_waits_on},
    {"what waits at one that is removed goes when it can", what_waits_at_one_that_is_removed_goes_when_it_can},
    {"an upload is held back by an instance that takes nothing", an_upload_is_held_back},
    {"long heads have a bound", long_heads_have_a_bound},
    {"clients that go leave nothing behind", clients_that_go_leave_nothing},
    {"it stops with requests in every state", stops_with_requests_in_every_state},
    {"each allocation may fail", each_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
