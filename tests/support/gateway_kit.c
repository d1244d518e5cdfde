/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances read requests strictly: a head, then as much body as it says, of the right letter, then the next head.
 * Anything else on a connection fails the test, since it would be a byte of another request.
 */
#include "support/gateway_kit.h"

#include "gateway/gateway.h"
#include "gateway/planner_priv.h"
#include "support/addrs.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct kit_connection {
    struct list link;
    struct kit_instance *instance;
    struct stream *stream;
    struct buf in;
    struct timer late;
    enum kit_how how; /* of the request that is read */
    unsigned number, n_served;
    bool has_head, is_chunked, is_answered, is_switched, is_proof, is_head;
    bool is_spoilt; /* must not be used again */
    size_t body_left;
};

/* The pool's connect has no context of its own: a case has one kit, and a process of its own. */
static struct gateway_kit *the_kit;

/* ------------------------------------------------------------------------------------------------ connections */

static void connection_close(struct kit_connection *connection, bool is_reset)
{
    struct gateway_kit *kit = connection->instance->kit;
    loop_cancel(kit->loop, &connection->late);
    list_remove(&connection->link);
    buf_deinit(&connection->in);
    if (is_reset)
        sim_reset(connection->stream);
    stream_close(connection->stream);
    free(connection);
}

static void say(struct kit_connection *connection, const char *text)
{
    (void)stream_send(connection->stream, slice_from_str(text));
}

static void say_body(struct kit_connection *connection, size_t len)
{
    char bytes[KIT_BODY_BYTES];
    memset(bytes, kit_letter(connection->number), sizeof(bytes));
    (void)stream_send(connection->stream, slice_from(bytes, len));
}

static void say_head(struct kit_connection *connection, const char *framing)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\nx-n: %u\r\n%s\r\n", connection->number, framing);
    say(connection, text);
}

static void say_whole(struct kit_connection *connection, const char *more)
{
    char framing[128];
    (void)snprintf(framing, sizeof(framing), "content-length: %u\r\n%s", KIT_BODY_BYTES, more);
    say_head(connection, framing);
    if (!connection->is_head)
        say_body(connection, KIT_BODY_BYTES);
}

static void say_chunked(struct kit_connection *connection)
{
    char size[16];
    say_head(connection, "transfer-encoding: chunked\r\n");
    if (connection->is_head)
        return;
    (void)snprintf(size, sizeof(size), "%x\r\n", KIT_BODY_BYTES);
    say(connection, size);
    say_body(connection, KIT_BODY_BYTES);
    say(connection, "\r\n0\r\nx-trailer: yes\r\n\r\n");
}

/* False: the connection is gone. */
static bool answer(struct kit_connection *connection)
{
    connection->is_answered = true;
    switch (connection->how) {
    case KIT_INFO:
        say(connection, "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
        say_whole(connection, "");
        return true;
    case KIT_CHUNKED:
        say_chunked(connection);
        return true;
    case KIT_CLOSE:
        say_whole(connection, "connection: close\r\n");
        connection_close(connection, false);
        return false;
    case KIT_RUDE:
        say_whole(connection, "");
        connection_close(connection, false);
        return false;
    case KIT_EXTRA:
        say_whole(connection, "");
        say(connection, "!");
        connection->is_spoilt = true;
        return true;
    case KIT_BREAK:
        connection_close(connection, true);
        return false;
    case KIT_MID:
        say_head(connection, "content-length: 100000\r\n");
        say_body(connection, 10);
        connection_close(connection, false);
        return false;
    case KIT_GARBAGE:
        say(connection, "220 mail.example ESMTP\r\n\r\n");
        connection->is_spoilt = true;
        return true;
    case KIT_SWITCH:
        connection->is_switched = true;
        connection->instance->n_switched++;
        say(connection, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n");
        return true;
    default:
        say_whole(connection, "");
        return true;
    }
}

static void on_late(struct timer *timer)
{
    struct kit_connection *connection = container_of(timer, struct kit_connection, late);
    if (connection->instance->is_frozen)
        loop_arm(connection->instance->kit->loop, timer, timer->deadline_ns + 10 * NSEC_PER_MSEC);
    else
        (void)answer(connection);
}

static enum kit_how draw(struct gateway_kit *kit)
{
    return (enum kit_how)(test_random(&kit->random) % KIT_SWITCH);
}

/* ------------------------------------------------------------------------------------------------ requests */

static unsigned number_in(const char *head)
{
    const char *at = strstr(head, "\r\nx-n: ");
    return at ? (unsigned)strtoul(at + 7, NULL, 10) : 0;
}

/* True when something came of it. False also when the connection is gone. */
static bool take_head(struct kit_connection *connection)
{
    struct kit_instance *instance = connection->instance;
    const char *head = connection->in.ptr, *end = strstr(head, "\r\n\r\n");
    if (!end)
        return false;
    size_t n_head = (size_t)(end + 4 - head);
    connection->in.ptr[n_head - 1] = 0; /* searches end there */
    connection->is_proof = strncmp(head, "OPTIONS * ", 10) == 0;
    connection->is_head = strncmp(head, "HEAD ", 5) == 0;
    expect_true(connection->is_proof || strstr(head, " /web/"));
    expect_false(connection->is_spoilt);
    connection->number = number_in(head);
    expect_true(connection->is_proof || connection->number > 0);
    const char *length = strstr(head, "\r\ncontent-length: ");
    connection->body_left = length ? strtoul(length + 18, NULL, 10) : 0;
    connection->is_chunked = strstr(head, "\r\ntransfer-encoding: chunked");
    connection->how = instance->how == KIT_RANDOM ? draw(instance->kit) : instance->how;
    if (connection->is_proof && instance->answers_proofs)
        connection->how = KIT_OK;
    connection->has_head = true;
    buf_consume(&connection->in, n_head);
    if (connection->is_proof)
        instance->n_proofs++;
    else
        instance->n_requests++;
    if (connection->number < KIT_NUMBERS_MAX)
        instance->kit->n_seen[connection->number]++;
    if (connection->how == KIT_LIAR && connection->n_served > 0) {
        connection_close(connection, false);
        return false;
    }
    return connection->how != KIT_EARLY || answer(connection);
}

static void check_body(const struct kit_connection *connection, size_t len)
{
    for (size_t i = 0; i < len; i++)
        expect_int(connection->in.ptr[i], kit_letter(connection->number));
}

/* A chunk, or the last one; its size in front is hexadecimal. */
static bool take_chunk(struct kit_connection *connection)
{
    const char *end = strstr(connection->in.ptr, "\r\n");
    if (!end)
        return false;
    size_t size = strtoul(connection->in.ptr, NULL, 16), n_head = (size_t)(end + 2 - connection->in.ptr);
    if (connection->in.len < n_head + size + 2)
        return false;
    buf_consume(&connection->in, n_head);
    check_body(connection, size);
    expect_true(memcmp(connection->in.ptr + size, "\r\n", 2) == 0);
    buf_consume(&connection->in, size + 2);
    connection->is_chunked = size > 0;
    return true;
}

static bool take_body(struct kit_connection *connection)
{
    if (connection->is_chunked)
        return take_chunk(connection);
    size_t n = min_size(connection->body_left, connection->in.len);
    check_body(connection, n);
    buf_consume(&connection->in, n);
    connection->body_left -= n;
    return n > 0;
}

static bool take_end(struct kit_connection *connection)
{
    struct kit_instance *instance = connection->instance;
    if (connection->how == KIT_HANG || timer_is_armed(&connection->late) || connection->is_switched)
        return false;
    if (connection->how == KIT_LATE && !connection->is_answered && instance->late_ns > 0) {
        loop_arm(instance->kit->loop, &connection->late, loop_now(instance->kit->loop) + instance->late_ns);
        return false;
    }
    if (!connection->is_answered && !answer(connection))
        return false;
    if (connection->is_switched)
        return true;
    connection->has_head = connection->is_answered = false;
    connection->n_served++;
    return true;
}

static bool step(struct kit_connection *connection)
{
    if (connection->is_switched) {
        if (connection->in.len > 0)
            (void)stream_send(connection->stream, buf_slice(&connection->in));
        buf_reset(&connection->in);
        return false;
    }
    if (!connection->has_head)
        return connection->in.len > 0 && take_head(connection);
    if (connection->is_chunked || connection->body_left > 0)
        return take_body(connection);
    return take_end(connection);
}

/* False: the connection is gone. */
static bool receive(struct kit_connection *connection)
{
    char bytes[8192];
    ssize_t n;
    while ((n = stream_recv(connection->stream, bytes, sizeof(bytes))) > 0)
        if (buf_append(&connection->in, slice_from(bytes, (size_t)n)) < 0)
            break;
    if (n == -EAGAIN && buf_append_char(&connection->in, 0) == 0) { /* as text */
        connection->in.len--;
        return true;
    }
    connection_close(connection, false); /* at the end, or for want of memory */
    return false;
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct kit_connection *connection = stream->owner;
    (void)new_bits;
    if (connection->instance->is_frozen || !receive(connection))
        return;
    while (step(connection))
        continue;
}

static struct kit_instance *instance_at(const struct addr *addr)
{
    for (unsigned i = 0; i < the_kit->n_instances; i++) {
        struct addr own;
        expect_int(addr_parse(slice_from_str(the_kit->instances[i].address), &own, NULL), 0);
        if (addr_equal(&own, addr))
            return &the_kit->instances[i];
    }
    test_fail(__FILE__, __LINE__, "a connection to nobody");
}

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_open,
                       void *owner, struct stream **ret_stream)
{
    struct kit_instance *instance = instance_at(addr);
    struct sim_options network = instance->kit->network;
    (void)loop, (void)deadline_ns;
    if (instance->door == KIT_EXHAUSTED)
        return -EMFILE;
    network.connect_ns = NSEC_PER_MSEC / 10;
    if (instance->door == KIT_REFUSES)
        network.connect_error = -ECONNREFUSED;
    if (instance->door == KIT_SILENT) {
        network.connect_ns = 3600 * NSEC_PER_SEC;
        network.connect_error = -ETIMEDOUT;
    }
    struct kit_connection *connection = calloc(1, sizeof(*connection));
    if (!connection)
        return -ENOMEM;
    int r = sim_connect(instance->kit->sim, &network, on_open, owner, ret_stream, &connection->stream);
    if (r < 0) {
        free(connection);
        return r;
    }
    connection->instance = instance;
    connection->stream->owner = connection;
    connection->stream->on_event = on_event;
    timer_init(&connection->late, on_late);
    list_init(&connection->link);
    list_push_back(&instance->connections, &connection->link);
    instance->n_connects++;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ instances */

void kit_instance_register(struct kit_instance *instance)
{
    expect_int(kit_register(&instance->kit->curator, instance->id, instance->address, 600000), CURATOR_OK);
    gateway_kit_run_for(instance->kit, 20 * NSEC_PER_MSEC);
}

void kit_instance_remove(struct kit_instance *instance)
{
    expect_int(kit_ask_for(&instance->kit->curator, CURATOR_DEREGISTER, instance->id), CURATOR_OK);
    gateway_kit_run_for(instance->kit, 5 * NSEC_PER_MSEC);
}

void kit_instance_kill(struct kit_instance *instance)
{
    instance->door = KIT_REFUSES;
    list_for_each (node, &instance->connections)
        connection_close(container_of(node, struct kit_connection, link), true);
}

void kit_instance_freeze(struct kit_instance *instance, bool is_frozen)
{
    instance->is_frozen = is_frozen;
    list_for_each (node, &instance->connections)
        on_event(container_of(node, struct kit_connection, link)->stream, 0);
}

unsigned kit_instance_n_connections(const struct kit_instance *instance)
{
    unsigned n = 0;
    list_for_each (node, &instance->connections)
        n++;
    return n;
}

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
    expect_int(number_in(head), client->number);
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
    the_kit = kit;
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
        .connect = connect_sim,
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
    for (unsigned i = 0; i < kit->n_instances; i++)
        list_for_each (node, &kit->instances[i].connections)
            connection_close(container_of(node, struct kit_connection, link), false);
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
