/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway of the kit, and its clients; gateway_instances.c plays the instances. */
#include "support/gateway_instances.h"

#include "gateway/gateway.h"
#include "gateway/planner_priv.h"
#include "support/addrs.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct runtime *kit_runtime(const struct kit_instance *instance)
{
    const struct plan_cell *cell = plan_find(planner_plan(instance->kit->planner), SLICE_LIT("web"));
    const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
    const struct target *target = service ? plan_find_target(service, slice_from_str(instance->id)) : NULL;
    expect_true(target);
    return target->runtime;
}

bool kit_is_suspect(const struct gateway_kit *kit, const char *id)
{
    const struct instance *found = kit_find(&kit->curator, "web", id);
    return found && INSTANCE_HAS(found, SUSPECT);
}

/* ------------------------------------------------------------------------------------------------ clients */

static void client_event(struct stream *stream, unsigned new_bits)
{
    struct kit_client *client = stream->owner;
    char bytes[8192];
    ssize_t n;
    (void)new_bits;
    while ((n = stream_recv(stream, bytes, sizeof(bytes))) > 0)
        client->is_deaf |= buf_append(&client->heard, slice_from(bytes, (size_t)n)) < 0;
    client->is_ended |= n != -EAGAIN;
    client->is_deaf |= buf_append_char(&client->heard, 0) < 0; /* as text */
    client->heard.len -= !client->is_deaf;
}

struct kit_client *kit_client_open(struct gateway_kit *kit)
{
    struct kit_client *client = calloc(1, sizeof(*client));
    struct stream *server_end;
    if (!client)
        return NULL;
    if (sim_pair(kit->sim, NULL, &client->stream, &server_end) < 0) {
        free(client);
        return NULL;
    }
    client->kit = kit;
    client->stream->on_event = client_event;
    client->stream->owner = client;
    list_init(&client->link);
    list_push_back(&kit->clients, &client->link);
    http_server_adopt(kit->server, server_end, &(struct peer){.family = AF_INET, .ip = {127, 0, 0, 1}, .port = 1});
    return client;
}

void kit_client_close(struct kit_client *client)
{
    list_remove(&client->link);
    stream_close(client->stream);
    buf_deinit(&client->heard);
    free(client);
}

void kit_client_say(struct kit_client *client, struct slice bytes)
{
    (void)stream_send(client->stream, bytes);
}

void kit_client_ask(struct kit_client *client, const char *method, unsigned number, int n_body)
{
    char text[256], body[1000];
    buf_reset(&client->heard);
    client->number = number;
    memset(body, kit_letter(number), sizeof(body));
    int n = snprintf(text, sizeof(text), "%s /web/%u HTTP/1.1\r\nhost: x\r\nx-n: %u\r\n", method, number, number);
    kit_client_say(client, slice_from(text, (size_t)n));
    if (n_body > 0)
        n = snprintf(text, sizeof(text), "content-length: %d\r\n\r\n", n_body);
    else
        n = snprintf(text, sizeof(text), "%s\r\n", n_body < 0 ? "transfer-encoding: chunked\r\n" : "");
    kit_client_say(client, slice_from(text, (size_t)n));
    for (int left = abs(n_body); left > 0; left -= (int)sizeof(body)) {
        struct slice piece = slice_from(body, min_size((size_t)left, sizeof(body)));
        n = snprintf(text, sizeof(text), "%zx\r\n", piece.len);
        if (n_body < 0)
            kit_client_say(client, slice_from(text, (size_t)n));
        kit_client_say(client, piece);
        if (n_body < 0)
            kit_client_say(client, SLICE_LIT("\r\n"));
    }
    if (n_body < 0)
        kit_client_say(client, SLICE_LIT("0\r\n\r\n"));
}

const char *kit_client_hear(struct kit_client *client)
{
    return client->heard.len > 0 && !client->is_deaf ? client->heard.ptr : "";
}

/* The head of the answer behind those with 1xx; NULL: it has not come. */
static const char *final_head(struct kit_client *client)
{
    const char *at = kit_client_hear(client);
    while (strncmp(at, "HTTP/1.1 1", 10) == 0) {
        at = strstr(at, "\r\n\r\n");
        if (!at)
            return NULL;
        at += 4;
    }
    return strstr(at, "\r\n\r\n") ? at : NULL;
}

unsigned kit_client_status(struct kit_client *client)
{
    const char *head = final_head(client);
    if (!head)
        return 0;
    unsigned status = (unsigned)strtoul(head + 9, NULL, 10);
    const char *body = strstr(head, "\r\n\r\n") + 4, *heard_end = client->heard.ptr + client->heard.len;
    const char *length = strstr(head, "\r\ncontent-length: ");
    if (status != 200)
        return status;
    expect_int(instances_number_in(head), client->number);
    for (const char *at = body; length && length < body && at < heard_end; at++)
        expect_int(*at, kit_letter(client->number));
    if (length && length < body)
        return (size_t)(heard_end - body) == strtoul(length + 18, NULL, 10) ? 200 : 0;
    return strstr(body, "\r\n0\r\n") ? 200 : 0;
}

/* ------------------------------------------------------------------------------------------------ the kit */

void gateway_kit_prepare(struct gateway_kit *kit, unsigned n_instances)
{
    *kit = (struct gateway_kit){.n_instances = n_instances};
    instances_play(kit);
    curator_kit_init(&kit->curator);
    kit->sim = kit->curator.sim;
    kit->loop = kit->curator.loop;
    list_init(&kit->clients);
    for (unsigned i = 0; i < n_instances; i++) {
        struct kit_instance *instance = &kit->instances[i];
        instance->kit = kit;
        (void)snprintf(instance->id, sizeof(instance->id), "%u", i);
        (void)snprintf(instance->address, sizeof(instance->address), "10.0.0.%u:80", i + 1);
        list_init(&instance->connections);
    }
    kit->settings = (struct gateway_settings){
        .policy = {.hedge = true, .timeout_ns = 30 * NSEC_PER_SEC, .n_queued_max = 100},
        .name = SLICE_LIT("muster"),
        .connect_timeout_ns = NSEC_PER_SEC / 2,
        .first_byte_timeout_ns = 30 * NSEC_PER_SEC,
        .body_timeout_ns = 300 * NSEC_PER_SEC,
        .idle_timeout_ns = 60 * NSEC_PER_SEC,
        .tunnel_timeout_ns = 3600 * NSEC_PER_SEC,
        .park_ns = NSEC_PER_SEC,
        .park_since_ns = 30 * NSEC_PER_SEC,
        .n_parked_max = 1000,
        .retry_percent = 10,
        .retry_floor = 3,
        .stall_min_ns = 100 * NSEC_PER_MSEC,
        .stall_factor = 3,
        .prove = true,
        .eject_failures = 5,
        .eject_ns = NSEC_PER_SEC,
        .client_burst = 100,
        .access_log_path = "-",
        .n_records = 100,
    };
    for (unsigned i = 0; i < n_instances; i++)
        expect_int(kit_register(&kit->curator, kit->instances[i].id, kit->instances[i].address, 600000), CURATOR_OK);
    expect_int(resolver_new(1, 100, no_lookup, NULL, &kit->resolver), 0);
}

static int start_worker(struct gateway_kit *kit)
{
    int r = gateway_start_worker(kit->gateway, 0, kit->loop);
    if (r < 0)
        return r;
    kit->worker = (struct gateway_worker *)(uintptr_t)gateway_worker_at(kit->gateway, 0);
    struct http_server_options options;
    http_server_options_init(&options);
    const struct exchange_handler handler = gateway_handler(kit->gateway, 0, true);
    return http_server_new(kit->loop, &options, &handler, NULL, 0, &kit->server);
}

int gateway_kit_start(struct gateway_kit *kit)
{
    const struct planner_options planner = {
        .curator = kit->curator.curator,
        .rcu = &kit->curator.rcu,
        .n_workers = 1,
        .settings = &kit->settings,
    };
    int r = planner_new_on(&planner, kit->loop, kit->resolver, &kit->planner);
    if (r < 0)
        return r;
    const struct gateway_options gateway = {
        .planner = kit->planner,
        .curator = kit->curator.curator,
        .n_workers = 1,
        .loops = &kit->loop,
        .connect = instances_connect,
    };
    r = gateway_new(&gateway, &kit->gateway);
    if (r == 0)
        r = planner_begin(kit->planner);
    if (r == 0)
        r = start_worker(kit);
    if (r == 0)
        gateway_kit_run_for(kit, 20 * NSEC_PER_MSEC);
    return r;
}

void gateway_kit_init(struct gateway_kit *kit, unsigned n_instances)
{
    gateway_kit_prepare(kit, n_instances);
    expect_int(gateway_kit_start(kit), 0);
}

static unsigned n_in_flight(struct gateway_kit *kit)
{
    unsigned n = 0;
    for (unsigned i = 0; i < kit->n_instances; i++)
        if (kit_find(&kit->curator, "web", kit->instances[i].id))
            n += runtime_n_in_flight(kit_runtime(&kit->instances[i]));
    return n;
}

/* A client that has ended its side may still want its answer, so what hangs ends with its time. */
static void wait_for_rest(struct gateway_kit *kit)
{
    for (unsigned i = 0; i < 400 && (n_in_flight(kit) > 0 || http_server_n_connections(kit->server) > 0); i++)
        curator_kit_run_for(&kit->curator, 100 * NSEC_PER_MSEC);
    expect_int(n_in_flight(kit), 0);
    expect_int(http_server_n_connections(kit->server), 0);
}

void gateway_kit_deinit(struct gateway_kit *kit)
{
    list_for_each (node, &kit->clients)
        kit_client_close(container_of(node, struct kit_client, link));
    if (kit->server)
        wait_for_rest(kit);
    http_server_free(kit->server);
    if (kit->worker)
        gateway_stop_worker(kit->gateway, 0);
    if (kit->planner) {
        planner_end(kit->planner);
        loop_settle(kit->loop);
    }
    gateway_free(kit->gateway);
    planner_free(kit->planner);
    resolver_free(kit->resolver);
    instances_leave(kit);
    curator_kit_deinit(&kit->curator);
}

void gateway_kit_run_for(struct gateway_kit *kit, nsec_t duration_ns)
{
    const nsec_t step_ns = 5 * NSEC_PER_MSEC; /* the catalogue is not left behind */
    for (; duration_ns > step_ns; duration_ns -= step_ns)
        curator_kit_run_for(&kit->curator, step_ns);
    curator_kit_run_for(&kit->curator, duration_ns);
}

unsigned gateway_kit_ask(struct gateway_kit *kit, const char *method, unsigned number, int n_body, nsec_t wait_ns)
{
    struct kit_client *client = kit_client_open(kit);
    kit_client_ask(client, method, number, n_body);
    gateway_kit_run_for(kit, wait_ns);
    unsigned status = kit_client_status(client);
    kit_client_close(client);
    return status;
}
