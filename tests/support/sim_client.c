/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_client.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

static struct sim_client *peer_of(struct client_call *call)
{
    return container_of(call, struct sim_client, call);
}

static void note(struct sim_client *peer, const char *what, struct slice detail)
{
    expect_int(buf_printf(&peer->events, "%s %.*s\n", what, SLICE_ARG(detail)), 0);
}

static void on_info(struct client_call *call, const struct http_response *response)
{
    expect_int(buf_printf(&peer_of(call)->events, "info %u\n", response->status), 0);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    expect_int(buf_printf(&peer_of(call)->events, "head %u\n", response->status), 0);
}

static void on_body(struct client_call *call, struct slice bytes)
{
    struct sim_client *peer = peer_of(call);
    note(peer, "body", bytes);
    if (peer->cancel_on_body)
        client_call_cancel(call);
}

static void on_drain(struct client_call *call)
{
    note(peer_of(call), "drain", SLICE_LIT("now"));
}

static void on_done(struct client_call *call, int result)
{
    expect_int(buf_printf(&peer_of(call)->events, "done %d%s%s%s\n", result, call->sent ? " sent" : "",
                          call->reused ? " reused" : "", call->responded ? " responded" : ""),
               0);
}

static const struct client_events events = {
    .on_info = on_info,
    .on_head = on_head,
    .on_body = on_body,
    .on_drain = on_drain,
    .on_done = on_done,
};

static void close_connection(struct sim_client *peer)
{
    client_connection_close(TAKE(peer->connection));
}

static void on_free(struct client_connection *connection, bool reusable)
{
    struct sim_client *peer = connection->owner;
    note(peer, "free", reusable ? SLICE_LIT("reusable") : SLICE_LIT("spent"));
    if (!reusable)
        close_connection(peer);
}

static void on_lost(struct client_connection *connection, enum client_loss loss)
{
    static const char *const words[] = {"closed", "unasked", "idle long"};
    struct sim_client *peer = connection->owner;
    note(peer, "lost", slice_from_str(words[loss]));
    close_connection(peer);
}

static const struct client_owner_ops owner_ops = {on_free, on_lost};

static int connect_peer(struct sim_client *peer, const struct sim_options *network)
{
    struct stream *stream;
    int r = sim_pair(peer->sim, network, &stream, &peer->server);
    return r < 0 ? r : h1_client_new(&peer->room, stream, &owner_ops, peer, &peer->connection);
}

void sim_client_free(struct sim_client *peer)
{
    if (!peer)
        return;
    if (peer->connection) {
        client_call_cancel(&peer->call);
        if (peer->connection)
            close_connection(peer);
    }
    stream_close(peer->server);
    if (peer->loop)
        loop_free(peer->loop);
    h1_client_room_deinit(&peer->room);
    buf_deinit(&peer->events);
    buf_deinit(&peer->heard);
    free(peer);
}

int sim_client_try_new(const struct h1_client_options *options, const struct sim_options *network,
                       struct sim_client **ret_peer)
{
    struct h1_client_options defaults;
    h1_client_options_init(&defaults);
    struct sim_client *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return -ENOMEM;
    char *room;
    int r = buf_reserve(&peer->events, 64 * 1024, &room);
    if (r == 0)
        r = buf_reserve(&peer->heard, 64 * 1024, &room);
    if (r == 0)
        r = sim_new(NULL, &peer->sim, &peer->loop);
    if (r == 0) {
        h1_client_room_init(&peer->room, peer->loop, options ? options : &defaults);
        peer->call.events = &events;
        r = connect_peer(peer, network);
    }
    if (r < 0) {
        sim_client_free(peer);
        return r;
    }
    *ret_peer = peer;
    return 0;
}

struct sim_client *sim_client_new(const struct h1_client_options *options, const struct sim_options *network)
{
    struct sim_client *peer;
    expect_int(sim_client_try_new(options, network, &peer), 0);
    return peer;
}

void sim_client_reconnect(struct sim_client *peer, const struct sim_options *network)
{
    expect_false(peer->connection);
    stream_close(peer->server);
    expect_int(connect_peer(peer, network), 0);
}

void sim_client_get(struct sim_client *peer, const char *method)
{
    client_call_start(peer->connection, &peer->call,
                      &(struct client_request){
                          .method = slice_from_str(method),
                          .target = SLICE_LIT("/x"),
                          .authority = SLICE_LIT("host"),
                      });
    sim_run_for(peer->sim, 0);
}

void sim_client_say(struct sim_client *peer, const char *text)
{
    struct slice rest = slice_from_str(text);
    while (rest.len > 0) {
        ssize_t n = stream_send(peer->server, rest);
        expect_true(n > 0);
        rest = slice_skip(rest, (size_t)n);
        sim_run_for(peer->sim, 0);
    }
}

const char *sim_client_hear(struct sim_client *peer)
{
    buf_reset(&peer->heard);
    for (;;) {
        char *room;
        expect_int(buf_reserve(&peer->heard, 4096, &room), 0);
        ssize_t n = stream_recv(peer->server, room, 4095);
        room[n > 0 ? n : 0] = '\0';
        if (n <= 0)
            return peer->heard.ptr;
        buf_commit(&peer->heard, (size_t)n);
        sim_run_for(peer->sim, 0);
    }
}

const char *sim_client_told(struct sim_client *peer)
{
    expect_int(buf_append(&peer->events, slice_from("", 1)), 0);
    buf_reset(&peer->events);
    return peer->events.ptr;
}
