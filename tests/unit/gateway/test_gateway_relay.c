/* SPDX-License-Identifier: Apache-2.0 */
/* A request on its way, and what instances do to it. */
#include "support/fault_alloc.h"
#include "support/gateway_kit.h"
#include "support/test.h"

#include <stdio.h>

#define MS NSEC_PER_MSEC

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
    {"other settings hold from the reload on", other_settings_hold_from_the_reload_on},
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
