/* SPDX-License-Identifier: Apache-2.0 */
/* Tunnels, and what becomes of their instances. */
#include "gateway/tally.h"
#include "support/gateway_kit.h"
#include "support/test.h"

#define MS NSEC_PER_MSEC

/* A removal is heard of, and the watch has looked. */
#define SOON_NS (2 * WORKER_WATCH_NS)

#define ASK SLICE_LIT("GET /web/1 HTTP/1.1\r\nhost: x\r\nx-n: 1\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")

static void prepare(struct gateway_kit *kit, unsigned n_instances)
{
    gateway_kit_init(kit, n_instances);
    for (unsigned i = 0; i < n_instances; i++)
        kit->instances[i].how = KIT_SWITCH;
}

static struct kit_client *tunnel_open(struct gateway_kit *kit)
{
    struct kit_client *client = kit_client_open(kit);
    kit_client_say(client, ASK);
    gateway_kit_run_for(kit, 5 * MS);
    expect_true(strstr(kit_client_hear(client), "HTTP/1.1 101 "));
    return client;
}

/* Opened to that instance; those that come to others meanwhile stay, too. */
static struct kit_client *tunnel_open_to(struct kit_instance *instance)
{
    for (unsigned i = 0; i < 100; i++) {
        unsigned n = instance->n_switched;
        struct kit_client *client = tunnel_open(instance->kit);
        if (instance->n_switched > n)
            return client;
    }
    test_fail(__FILE__, __LINE__, "none comes to this instance");
}

static void expect_echo(struct kit_client *client, const char *words)
{
    buf_reset(&client->heard);
    kit_client_say(client, slice_from_str(words));
    gateway_kit_run_for(client->kit, 2 * MS);
    expect_str(kit_client_hear(client), words);
}

static uint64_t n_caused(struct gateway_kit *kit, enum cause cause)
{
    struct plan_cell *cell = plan_find(planner_plan(kit->planner), SLICE_LIT("web"));
    return atomic_load(&tally_of(cell, 0)->causes[cause]);
}

static void a_tunnel_to_one_that_is_removed_ends_at_once(void)
{
    struct gateway_kit kit;
    prepare(&kit, 2);
    struct kit_client *cut = tunnel_open_to(&kit.instances[0]), *other = tunnel_open_to(&kit.instances[1]);
    unsigned n_cut = kit.instances[0].n_switched;
    uint32_t n_others = runtime_n_in_flight(kit_runtime(&kit.instances[1]));
    expect_echo(cut, "well");
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_true(cut->is_ended);
    expect_int(kit_instance_n_connections(&kit.instances[0]), 0);
    expect_int(n_caused(&kit, CAUSE_TUNNEL_CUT), n_cut);
    expect_echo(other, "still there?");
    expect_int(runtime_n_in_flight(kit_runtime(&kit.instances[1])), n_others);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_true(list_is_empty(&kit.worker->gone));
    gateway_kit_deinit(&kit);
}

/* Another process under the same name: the tunnels of the former one go, those of the new one stay. */
static void a_tunnel_goes_with_its_incarnation(void)
{
    struct gateway_kit kit;
    prepare(&kit, 1);
    struct kit_client *former = tunnel_open(&kit);
    expect_int(kit_ask_for(&kit.curator, CURATOR_DEREGISTER, "0"), CURATOR_OK);
    kit_instance_register(&kit.instances[0]);
    struct kit_client *new = tunnel_open(&kit);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_true(former->is_ended);
    expect_echo(new, "still there?");
    expect_int(runtime_n_in_flight(kit_runtime(&kit.instances[0])), 1);
    gateway_kit_deinit(&kit);
}

static void drained_ones_keep_their_tunnels(void)
{
    static const enum curator_request_type orders[] = {CURATOR_DRAIN, CURATOR_MAINTAIN};
    for (unsigned i = 0; i < ARRAY_LEN(orders); i++) {
        struct gateway_kit kit;
        prepare(&kit, 1);
        struct kit_client *client = tunnel_open(&kit);
        struct asked asked = curator_kit_request(&kit.curator, orders[i], "0");
        asked.request.order.since_ms = 1;
        expect_int(kit_ask(&asked), CURATOR_OK);
        gateway_kit_run_for(&kit, 10 * SOON_NS);
        expect_int(kit_runtime(&kit.instances[0])->trouble, 0);
        expect_echo(client, "still there?");
        gateway_kit_deinit(&kit);
    }
}

/* The instance is the same, but not to be reached at its address any more; until it is removed as well. */
static void a_tunnel_lasts_while_its_incarnation_is_there(void)
{
    struct gateway_kit kit;
    struct err err = {0};
    gateway_kit_prepare(&kit, 1);
    kit.instances[0].how = KIT_SWITCH;
    (void)strcpy(kit.instances[0].address, "169.254.1.1:80");
    kit.settings.odd_addresses = true;
    expect_int(kit_register(&kit.curator, "0", kit.instances[0].address, 600000), CURATOR_OK);
    expect_int(gateway_kit_start(&kit), 0);
    struct kit_client *client = tunnel_open(&kit);
    const struct runtime *former = kit_runtime(&kit.instances[0]);
    kit.settings.odd_addresses = false;
    expect_int(planner_set_settings(kit.planner, &kit.settings, &err), 0);
    gateway_kit_run_for(&kit, 10 * SOON_NS);
    expect_true(runtime_has(former, RUNTIME_GONE));
    expect_echo(client, "still there?");
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_true(client->is_ended);
    gateway_kit_deinit(&kit);
}

/* It was asked before it was removed, and agrees afterwards. */
static void none_begins_to_one_that_is_removed(void)
{
    struct gateway_kit kit;
    prepare(&kit, 1);
    kit.instances[0].is_frozen = true;
    struct kit_client *client = kit_client_open(&kit);
    kit_client_say(client, ASK);
    gateway_kit_run_for(&kit, 5 * MS);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_str(kit_client_hear(client), "");
    kit_instance_freeze(&kit.instances[0], false);
    gateway_kit_run_for(&kit, 5 * MS);
    expect_int(kit.instances[0].n_switched, 1);
    expect_int(kit_client_status(client), 503);
    expect_true(strstr(kit_client_hear(client), "the instance was removed while the request waited for it"));
    expect_int(kit_instance_n_connections(&kit.instances[0]), 0);
    gateway_kit_run_for(&kit, SOON_NS);
    kit_client_close(client);
    gateway_kit_run_for(&kit, SOON_NS);
    expect_true(list_is_empty(&kit.worker->gone));
    gateway_kit_deinit(&kit);
}

/* An answer that is passed on ends by itself. */
static void an_answer_lasts_when_its_instance_is_removed(void)
{
    struct gateway_kit kit;
    gateway_kit_init(&kit, 1);
    kit.instances[0].how = KIT_LATE;
    kit.instances[0].late_ns = 200 * MS;
    struct kit_client *client = kit_client_open(&kit);
    kit_client_ask(client, "POST", 1, 10);
    gateway_kit_run_for(&kit, 5 * MS);
    kit_instance_remove(&kit.instances[0]);
    gateway_kit_run_for(&kit, 300 * MS);
    expect_int(kit_client_status(client), 200);
    gateway_kit_deinit(&kit);
}

static void the_server_may_stop_meanwhile(void)
{
    for (nsec_t wait_ns = 0; wait_ns < SOON_NS; wait_ns += MS) {
        struct gateway_kit kit;
        prepare(&kit, 1);
        (void)tunnel_open(&kit);
        kit_instance_remove(&kit.instances[0]);
        gateway_kit_run_for(&kit, wait_ns);
        http_server_free(TAKE(kit.server));
        gateway_kit_deinit(&kit);
    }
}

static const struct test_case cases[] = {
    {"a tunnel to an instance that is removed ends at once, and no other one",
     a_tunnel_to_one_that_is_removed_ends_at_once},
    {"a tunnel goes with its incarnation", a_tunnel_goes_with_its_incarnation},
    {"drained instances keep their tunnels", drained_ones_keep_their_tunnels},
    {"a tunnel lasts while its incarnation is there, wherever that is", a_tunnel_lasts_while_its_incarnation_is_there},
    {"none begins to an instance that is removed", none_begins_to_one_that_is_removed},
    {"an answer lasts when its instance is removed", an_answer_lasts_when_its_instance_is_removed},
    {"the server may stop meanwhile", the_server_may_stop_meanwhile},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
