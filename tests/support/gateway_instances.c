/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances read requests strictly: a head, then as much body as it says, of the right letter, then the next head.
 * Anything else on a connection fails the test, since it would be a byte of another request.
 */
#include "support/gateway_instances.h"

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

unsigned instances_number_in(const char *head)
{
    const char *at = strstr(head, "\r\nx-n: ");
    return at ? (unsigned)strtoul(at + 7, NULL, 10) : 0;
}

/* True when something came of it. False also when the connection is gone. */
static bool take_head(struct kit_connection *connection)
{
    struct kit_instance *instance = connection->instance;
    const char *head = connection->in.ptr, *end = memmem(head, connection->in.len, "\r\n\r\n", 4);
    if (!end)
        return false;
    size_t n_head = (size_t)(end + 4 - head);
    connection->in.ptr[n_head - 1] = 0; /* searches end there */
    connection->is_proof = strncmp(head, "OPTIONS * ", 10) == 0;
    connection->is_head = strncmp(head, "HEAD ", 5) == 0;
    expect_true(connection->is_proof || strstr(head, " /web/"));
    expect_false(connection->is_spoilt);
    connection->number = instances_number_in(head);
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
    const char *end = memmem(connection->in.ptr, connection->in.len, "\r\n", 2);
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
    if (n == -EAGAIN)
        return true;
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

int instances_connect(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_open,
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

void instances_play(struct gateway_kit *kit)
{
    the_kit = kit;
}

void instances_leave(struct gateway_kit *kit)
{
    for (unsigned i = 0; i < kit->n_instances; i++)
        list_for_each (node, &kit->instances[i].connections)
            connection_close(container_of(node, struct kit_connection, link), false);
}
