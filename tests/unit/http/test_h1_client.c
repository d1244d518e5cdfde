/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client connection against a server that is played by the test, byte by byte.
 */
#include "base/buf.h"
#include "http/h1_client.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct h1_client_room room;
    struct client_connection *connection; /* NULL once closed */
    struct stream *server;                /* the other end */
    struct client_call call;
    bool cancel_on_body;
    struct buf events; /* "head 200", "body abc", "done 0", "free reusable", … a line each */
    struct buf heard;
};

static struct kit *kit_of(struct client_call *call)
{
    return container_of(call, struct kit, call);
}

static void note(struct kit *kit, const char *what, struct slice detail)
{
    expect_int(buf_printf(&kit->events, "%s %.*s\n", what, SLICE_ARG(detail)), 0);
}

static void on_info(struct client_call *call, const struct http_response *response)
{
    expect_int(buf_printf(&kit_of(call)->events, "info %u\n", response->status), 0);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    expect_int(buf_printf(&kit_of(call)->events, "head %u\n", response->status), 0);
}

static void on_body(struct client_call *call, struct slice bytes)
{
    struct kit *kit = kit_of(call);
    note(kit, "body", bytes);
    if (kit->cancel_on_body)
        client_call_cancel(call);
}

static void on_drain(struct client_call *call)
{
    note(kit_of(call), "drain", SLICE_LIT("now"));
}

static void on_done(struct client_call *call, int result)
{
    expect_int(buf_printf(&kit_of(call)->events, "done %d%s%s%s\n", result, call->sent ? " sent" : "",
                          call->reused ? " reused" : "", call->responded ? " responded" : ""),
               0);
}

static const struct client_events events = {on_info, on_head, on_body, on_drain, on_done};

static void close_connection(struct kit *kit)
{
    client_connection_close(TAKE(kit->connection));
}

static void on_free(struct client_connection *connection, bool reusable)
{
    struct kit *kit = connection->owner;
    note(kit, "free", reusable ? SLICE_LIT("reusable") : SLICE_LIT("spent"));
    if (!reusable)
        close_connection(kit);
}

static void on_lost(struct client_connection *connection, enum client_loss loss)
{
    static const char *const words[] = {"closed", "unasked", "idle long"};
    struct kit *kit = connection->owner;
    note(kit, "lost", slice_from_str(words[loss]));
    close_connection(kit);
}

static const struct client_owner_ops owner_ops = {on_free, on_lost};

static int kit_connect(struct kit *kit, const struct sim_options *network)
{
    struct stream *stream;
    int r = sim_pair(kit->sim, network, &stream, &kit->server);
    return r < 0 ? r : h1_client_new(&kit->room, stream, &owner_ops, kit, &kit->connection);
}

static void kit_free(struct kit *kit)
{
    if (!kit)
        return;
    if (kit->connection) {
        client_call_cancel(&kit->call);
        if (kit->connection)
            close_connection(kit);
    }
    stream_close(kit->server);
    if (kit->loop)
        loop_free(kit->loop);
    h1_client_room_deinit(&kit->room);
    buf_deinit(&kit->events);
    buf_deinit(&kit->heard);
    free(kit);
}

static int kit_try_new(const struct h1_client_options *options, const struct sim_options *network, struct kit **ret_kit)
{
    struct h1_client_options defaults;
    h1_client_options_init(&defaults);
    struct kit *kit = calloc(1, sizeof(*kit));
    if (!kit)
        return -ENOMEM;
    char *room;
    int r = buf_reserve(&kit->events, 64 * 1024, &room);
    if (r == 0)
        r = buf_reserve(&kit->heard, 64 * 1024, &room);
    if (r == 0)
        r = sim_new(NULL, &kit->sim, &kit->loop);
    if (r == 0) {
        h1_client_room_init(&kit->room, kit->loop, options ? options : &defaults);
        kit->call.events = &events;
        r = kit_connect(kit, network);
    }
    if (r < 0) {
        kit_free(kit);
        return r;
    }
    *ret_kit = kit;
    return 0;
}

static struct kit *kit_new(const struct h1_client_options *options, const struct sim_options *network)
{
    struct kit *kit;
    expect_int(kit_try_new(options, network, &kit), 0);
    return kit;
}

static void kit_reconnect(struct kit *kit, const struct sim_options *network)
{
    expect_false(kit->connection);
    stream_close(kit->server);
    expect_int(kit_connect(kit, network), 0);
}

static void get(struct kit *kit, const char *method)
{
    client_call_start(kit->connection, &kit->call,
                      &(struct client_request){
                          .method = slice_from_str(method),
                          .target = SLICE_LIT("/x"),
                          .authority = SLICE_LIT("host"),
                      });
    sim_run_for(kit->sim, 0);
}

static void say(struct kit *kit, const char *text)
{
    struct slice rest = slice_from_str(text);
    while (rest.len > 0) {
        ssize_t n = stream_send(kit->server, rest);
        expect_true(n > 0);
        rest = slice_skip(rest, (size_t)n);
        sim_run_for(kit->sim, 0);
    }
}

static const char *hear(struct kit *kit)
{
    buf_reset(&kit->heard);
    for (;;) {
        char *room;
        expect_int(buf_reserve(&kit->heard, 4096, &room), 0);
        ssize_t n = stream_recv(kit->server, room, 4095);
        room[n > 0 ? n : 0] = '\0';
        if (n <= 0)
            return kit->heard.ptr;
        buf_commit(&kit->heard, (size_t)n);
        sim_run_for(kit->sim, 0);
    }
}

static const char *told(struct kit *kit)
{
    expect_int(buf_append(&kit->events, slice_from("", 1)), 0);
    buf_reset(&kit->events);
    return kit->events.ptr;
}

static void a_response_is_told_and_the_connection_is_free_again(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    get(kit, "GET");
    expect_str(hear(kit), "GET /x HTTP/1.1\r\nhost: host\r\n\r\n");
    say(kit, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    expect_str(told(kit), "head 200\nbody abc\nfree reusable\ndone 0 sent responded\n");
    get(kit, "GET");
    say(kit, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    say(kit, "2\r\nbc\r\n0\r\n\r\n");
    expect_str(told(kit), "info 103\nhead 200\nbody a\nbody bc\nfree reusable\ndone 0 sent reused responded\n");
    get(kit, "HEAD");
    say(kit, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
    expect_str(told(kit), "head 200\nfree reusable\ndone 0 sent reused responded\n");
    kit_free(kit);
}

static void bodies_are_sent_whole_or_in_pieces(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    struct header type = {SLICE_LIT("content-type"), SLICE_LIT("text/plain")};
    struct client_request request = {
        .method = SLICE_LIT("POST"),
        .target = SLICE_LIT("/x"),
        .authority = SLICE_LIT("h:1"),
        .headers = &type,
        .n_headers = 1,
        .body = SLICE_LIT("hello"),
    };
    client_call_start(kit->connection, &kit->call, &request);
    sim_run_for(kit->sim, 0);
    expect_str(hear(kit),
               "POST /x HTTP/1.1\r\nhost: h:1\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello");
    say(kit, "HTTP/1.1 204 No Content\r\n\r\n");

    request.body = (struct slice){0};
    request.streamed = true;
    request.content_length = EXCHANGE_LENGTH_UNKNOWN;
    client_call_start(kit->connection, &kit->call, &request);
    expect_int(client_call_write(&kit->call, SLICE_LIT("sixteen bytes it")), 0);
    client_call_end(&kit->call);
    sim_run_for(kit->sim, 0);
    expect_str(hear(kit), "POST /x HTTP/1.1\r\nhost: h:1\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n"
                          "\r\n10\r\nsixteen bytes it\r\n0\r\n\r\n");
    say(kit, "HTTP/1.1 204 No Content\r\n\r\n");

    request.content_length = 4;
    client_call_start(kit->connection, &kit->call, &request);
    expect_int(client_call_write(&kit->call, SLICE_LIT("ab")), 0);
    expect_int(client_call_write(&kit->call, SLICE_LIT("cd")), 0);
    client_call_end(&kit->call);
    sim_run_for(kit->sim, 0);
    expect_str(hear(kit), "POST /x HTTP/1.1\r\nhost: h:1\r\ncontent-length: 4\r\ncontent-type: text/plain\r\n\r\nabcd");
    say(kit, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)told(kit);

    /* One that ends too soon must not look complete. */
    client_call_start(kit->connection, &kit->call, &request);
    client_call_end(&kit->call);
    sim_run_for(kit->sim, 0);
    char text[64];
    (void)snprintf(text, sizeof(text), "free spent\ndone %d sent reused\n", -ECONNABORTED);
    expect_str(told(kit), text);
    kit_free(kit);
}

/* What is said on a fresh connection, and what must come of it. */
static void judge(const char *response, bool reusable)
{
    struct kit *kit = kit_new(NULL, NULL);
    get(kit, "GET");
    say(kit, response);
    expect_true(strstr(told(kit), reusable ? "free reusable\ndone 0 " : "free spent\ndone 0 "));
    kit_free(kit);
}

static void only_a_clean_connection_is_reused(void)
{
    judge("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", true);
    judge("HTTP/1.1 304 Not Modified\r\ncontent-length: 1\r\n\r\n", true);
    judge("HTTP/1.0 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\na", true);
    judge("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", false);
    judge("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\na", false);
    judge("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab", false);
    judge("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false);

    struct kit *kit = kit_new(NULL, NULL);
    client_call_start(kit->connection, &kit->call,
                      &(struct client_request){
                          .method = SLICE_LIT("PUT"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .streamed = true,
                          .content_length = 10,
                      });
    sim_run_for(kit->sim, 0);
    say(kit, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
    expect_str(told(kit), "head 413\nfree spent\ndone 0 sent responded\n");
    kit_free(kit);
}

static void a_body_may_last_until_the_end(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    get(kit, "GET");
    say(kit, "HTTP/1.1 200 OK\r\n\r\nabc");
    expect_int(stream_shutdown(kit->server), 0);
    sim_run_for(kit->sim, 0);
    expect_str(told(kit), "head 200\nbody abc\nfree spent\ndone 0 sent responded\n");
    kit_free(kit);
}

static void expect_done(struct kit *kit, int result, const char *rest)
{
    char text[96];
    (void)snprintf(text, sizeof(text), "free spent\ndone %d%s\n", result, rest);
    const char *all = told(kit);
    const char *last = strstr(all, "free");
    expect_str(last ? last : all, text);
}

static void what_is_cut_short_is_an_error(void)
{
    static const char *const cut[] = {
        "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\ncont",
    };
    struct kit *kit = kit_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        get(kit, "GET");
        say(kit, cut[i]);
        expect_int(stream_shutdown(kit->server), 0);
        sim_run_for(kit->sim, 0);
        expect_done(kit, -ECONNRESET, " sent responded");
        kit_reconnect(kit, NULL);
    }
    get(kit, "GET");
    sim_reset(kit->server);
    sim_run_for(kit->sim, 0);
    expect_done(kit, -ECONNRESET, " sent");
    kit_free(kit);
}

static void nonsense_is_an_error_with_a_reason(void)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    };
    struct kit *kit = kit_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        get(kit, "GET");
        say(kit, bad[i]);
        expect_done(kit, -EBADMSG, " sent responded");
        expect_true(kit->call.fault && strlen(kit->call.fault) > 10);
        kit_reconnect(kit, NULL);
    }
    kit_free(kit);
}

/* The server answers without reading the request, and closes, which resets what is on its way. */
static void an_answer_is_heard_although_sending_failed(void)
{
    struct kit *kit = kit_new(NULL, &(struct sim_options){.to_b.window_bytes = 10});
    client_call_start(kit->connection, &kit->call,
                      &(struct client_request){
                          .method = SLICE_LIT("PUT"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .body = SLICE_LIT("unread"),
                      });
    static const struct slice answer = SLICE_LIT("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull");
    expect_int(stream_send(kit->server, answer), answer.len);
    loop_turn(kit->loop, 0); /* it arrives, and is not looked at before … */
    stream_close(TAKE(kit->server));
    sim_run_for(kit->sim, 0);
    expect_str(told(kit), "head 503\nbody full\nfree spent\ndone 0 sent responded\n");
    kit_free(kit);
}

static void deadlines_end_a_call(void)
{
    struct h1_client_options options;
    h1_client_options_init(&options);
    struct kit *kit = kit_new(&options, NULL);
    get(kit, "GET");
    sim_run_for(kit->sim, options.head_timeout_ns - NSEC_PER_MSEC);
    expect_str(told(kit), "");
    sim_run_for(kit->sim, 2 * NSEC_PER_MSEC);
    expect_done(kit, -ETIMEDOUT, " sent");

    kit_reconnect(kit, NULL);
    get(kit, "GET");
    say(kit, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na");
    sim_run_for(kit->sim, options.body_timeout_ns - NSEC_PER_MSEC);
    say(kit, "b");
    sim_run_for(kit->sim, options.body_timeout_ns - NSEC_PER_MSEC);
    expect_str(told(kit), "head 200\nbody a\nbody b\n");
    sim_run_for(kit->sim, 2 * NSEC_PER_MSEC);
    expect_done(kit, -ETIMEDOUT, " sent responded");

    kit_reconnect(kit, &(struct sim_options){.to_b.window_bytes = 10});
    get(kit, "GET");
    sim_run_for(kit->sim, options.send_timeout_ns + NSEC_PER_MSEC);
    expect_done(kit, -ETIMEDOUT, " sent");
    kit_free(kit);
}

static void a_paused_body_has_no_deadline(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    get(kit, "GET");
    say(kit, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    client_call_pause(&kit->call, true);
    say(kit, "1\r\nb\r\n");
    sim_run_for(kit->sim, 3600 * NSEC_PER_SEC);
    expect_str(told(kit), "head 200\nbody a\n");
    client_call_pause(&kit->call, false);
    sim_run_for(kit->sim, 0);
    say(kit, "0\r\n\r\n");
    expect_str(told(kit), "body b\nfree reusable\ndone 0 sent responded\n");
    kit_free(kit);
}

static void a_writer_waits_for_a_slow_server(void)
{
    struct h1_client_options options;
    h1_client_options_init(&options);
    options.send_high_bytes = 1000;
    options.send_low_bytes = 100;
    struct kit *kit = kit_new(&options, &(struct sim_options){.to_b.window_bytes = 500});
    client_call_start(kit->connection, &kit->call,
                      &(struct client_request){
                          .method = SLICE_LIT("PUT"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .streamed = true,
                          .content_length = 100000,
                      });
    char piece[400] = {0};
    int n_written = 1;
    while (client_call_write(&kit->call, slice_from(piece, sizeof(piece))) == 0)
        n_written++;
    expect_int(n_written, 4);
    sim_run_for(kit->sim, 0);
    expect_str(told(kit), "");
    (void)hear(kit);
    expect_str(told(kit), "drain now\n");
    kit_free(kit);
}

static void a_cancelled_call_is_not_heard_of_again(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    get(kit, "GET");
    client_call_cancel(&kit->call);
    client_call_cancel(&kit->call);
    expect_str(told(kit), "free spent\n");
    expect_false(kit->connection);

    kit_reconnect(kit, NULL);
    kit->cancel_on_body = true;
    get(kit, "GET");
    say(kit, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    expect_str(told(kit), "head 200\nbody abc\nfree spent\n");
    kit_free(kit);
}

static void an_idle_connection_is_watched(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    say(kit, "x");
    expect_str(told(kit), "lost unasked\n");
    kit_reconnect(kit, NULL);
    expect_int(stream_shutdown(kit->server), 0);
    sim_run_for(kit->sim, 0);
    expect_str(told(kit), "lost closed\n");
    kit_reconnect(kit, NULL);
    sim_reset(kit->server);
    sim_run_for(kit->sim, 0);
    expect_str(told(kit), "lost closed\n");
    kit_reconnect(kit, NULL);
    sim_run_for(kit->sim, kit->room.options.idle_timeout_ns + NSEC_PER_MSEC);
    expect_str(told(kit), "lost idle long\n");
    kit_free(kit);
}

static const char long_response[] =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n"
    "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nt: u\r\n\r\n";

static void bytes_may_come_one_by_one(void)
{
    struct kit *kit = kit_new(NULL, &(struct sim_options){.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE});
    get(kit, "GET");
    expect_str(hear(kit), "GET /x HTTP/1.1\r\nhost: host\r\n\r\n");
    say(kit, long_response);
    expect_str(told(kit), "info 100\nhead 200\nbody a\nbody b\nbody c\nbody 0\nbody 1\nbody 2\nbody 3\nbody 4\nbody 5\n"
                          "body 6\nbody 7\nbody 8\nbody 9\nbody a\nbody b\nbody c\nbody d\nbody e\nbody f\n"
                          "free reusable\ndone 0 sent responded\n");
    kit_free(kit);
}

static void a_reset_at_any_byte_ends_the_call(void)
{
    for (size_t n = 1; n < sizeof(long_response) - 1; n++) {
        struct kit *kit = kit_new(NULL, &(struct sim_options){.to_a.reset_at = n});
        get(kit, "GET");
        (void)stream_send(kit->server, slice_from_str(long_response));
        sim_run_for(kit->sim, 0);
        expect_done(kit, -ECONNRESET, " sent responded");
        kit_free(kit);
    }
}

static int one_call(void *arg)
{
    (void)arg;
    struct kit *kit;
    int r =
        kit_try_new(NULL, &(struct sim_options){.to_a.pieces = (const size_t[]){7, 0}, .to_b.window_bytes = 20}, &kit);
    if (r < 0)
        return r;
    get(kit, "GET");
    (void)hear(kit);
    (void)stream_send(kit->server, slice_from_str(long_response));
    sim_run_for(kit->sim, 0);
    const char *all = told(kit);
    const char *last = strstr(all, "done ");
    expect_true(last);
    if (strncmp(last, "done 0", 6) != 0)
        r = -ENOMEM;
    kit_free(kit);
    return r;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(one_call, NULL) > 4);
}

static const struct test_case cases[] = {
    {"a response is told and the connection is free again", a_response_is_told_and_the_connection_is_free_again},
    {"bodies are sent whole or in pieces", bodies_are_sent_whole_or_in_pieces},
    {"only a clean connection is reused", only_a_clean_connection_is_reused},
    {"a body may last until the end", a_body_may_last_until_the_end},
    {"what is cut short is an error", what_is_cut_short_is_an_error},
    {"nonsense is an error with a reason", nonsense_is_an_error_with_a_reason},
    {"an answer is heard although sending failed", an_answer_is_heard_although_sending_failed},
    {"deadlines end a call", deadlines_end_a_call},
    {"a paused body has no deadline", a_paused_body_has_no_deadline},
    {"a writer waits for a slow server", a_writer_waits_for_a_slow_server},
    {"a cancelled call is not heard of again", a_cancelled_call_is_not_heard_of_again},
    {"an idle connection is watched", an_idle_connection_is_watched},
    {"bytes may come one by one", bytes_may_come_one_by_one},
    {"a reset at any byte ends the call", a_reset_at_any_byte_ends_the_call},
    {"any allocation may fail", any_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
