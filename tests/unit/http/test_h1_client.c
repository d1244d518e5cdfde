/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client connection against a server that is played by the test, byte by byte.
 */
#include "support/fault_alloc.h"
#include "support/sim_client.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

/* So many bytes are to follow, by client_call_write. */
static void begin_put(struct sim_client *peer, uint64_t content_length)
{
    client_call_start(peer->connection, &peer->call,
                      &(struct client_request){
                          .method = SLICE_LIT("PUT"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .streamed = true,
                          .content_length = content_length,
                      });
}

static void a_response_is_told_and_the_connection_is_free_again(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_get(peer, "GET");
    expect_str(sim_client_hear(peer), "GET /x HTTP/1.1\r\nhost: host\r\n\r\n");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    expect_str(sim_client_told(peer), "head 200\nbody abc\nfree reusable\ndone 0 sent responded\n");
    sim_client_get(peer, "GET");
    sim_client_say(peer,
                   "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    sim_client_say(peer, "2\r\nbc\r\n0\r\n\r\n");
    expect_str(sim_client_told(peer),
               "info 103\nhead 200\nbody a\nbody bc\nfree reusable\ndone 0 sent reused responded\n");
    sim_client_get(peer, "HEAD");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n");
    expect_str(sim_client_told(peer), "head 200\nfree reusable\ndone 0 sent reused responded\n");
    sim_client_free(peer);
}

static void bodies_are_sent_whole_or_in_pieces(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    struct header type = {SLICE_LIT("content-type"), SLICE_LIT("text/plain")};
    struct client_request request = {
        .method = SLICE_LIT("POST"),
        .target = SLICE_LIT("/x"),
        .authority = SLICE_LIT("h:1"),
        .headers = &type,
        .n_headers = 1,
        .body = SLICE_LIT("hello"),
    };
    client_call_start(peer->connection, &peer->call, &request);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_hear(peer),
               "POST /x HTTP/1.1\r\nhost: h:1\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello");
    sim_client_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");

    request.body = (struct slice){0};
    request.streamed = true;
    request.content_length = EXCHANGE_LENGTH_UNKNOWN;
    client_call_start(peer->connection, &peer->call, &request);
    expect_int(client_call_write(&peer->call, SLICE_LIT("sixteen bytes it")), 0);
    client_call_end(&peer->call, NULL, 0);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_hear(peer),
               "POST /x HTTP/1.1\r\nhost: h:1\r\ntransfer-encoding: chunked\r\ncontent-type: text/plain\r\n"
               "\r\n10\r\nsixteen bytes it\r\n0\r\n\r\n");
    sim_client_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");

    request.content_length = 4;
    client_call_start(peer->connection, &peer->call, &request);
    expect_int(client_call_write(&peer->call, SLICE_LIT("ab")), 0);
    expect_int(client_call_write(&peer->call, SLICE_LIT("cd")), 0);
    client_call_end(&peer->call, NULL, 0);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_hear(peer),
               "POST /x HTTP/1.1\r\nhost: h:1\r\ncontent-length: 4\r\ncontent-type: text/plain\r\n\r\nabcd");
    sim_client_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    (void)sim_client_told(peer);

    /* One that ends too soon must not look complete; here nothing of it had left yet. */
    client_call_start(peer->connection, &peer->call, &request);
    client_call_end(&peer->call, NULL, 0);
    sim_run_for(peer->sim, 0);
    char text[64];
    (void)snprintf(text, sizeof(text), "free spent\ndone %d reused\n", -ECONNABORTED);
    expect_str(sim_client_told(peer), text);
    sim_client_free(peer);
}

static void a_request_stays_one_request(void)
{
    const struct header two_lines = {SLICE_LIT("x"), SLICE_LIT("y\r\nz: a")};
    const struct client_request unsound[] = {
        {.method = SLICE_LIT("GET"), .target = SLICE_LIT("/ HTTP/1.1\r\n"), .authority = SLICE_LIT("h")},
        {.method = SLICE_LIT("GET"), .target = SLICE_LIT(""), .authority = SLICE_LIT("h")},
        {.method = SLICE_LIT("GET /"), .target = SLICE_LIT("/"), .authority = SLICE_LIT("h")},
        {.method = SLICE_LIT("GET"), .target = SLICE_LIT("/"), .authority = SLICE_LIT("h\r\nx: y")},
        {.method = SLICE_LIT("GET"),
         .target = SLICE_LIT("/"),
         .authority = SLICE_LIT("h"),
         .headers = &two_lines,
         .n_headers = 1},
    };
    char text[64];
    (void)snprintf(text, sizeof(text), "free spent\ndone %d\n", -EINVAL);
    struct sim_client *peer = sim_client_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(unsound); i++) {
        client_call_start(peer->connection, &peer->call, &unsound[i]);
        sim_run_for(peer->sim, 0);
        expect_str(sim_client_hear(peer), "");
        expect_str(sim_client_told(peer), text);
        sim_client_reconnect(peer, NULL);
    }
    sim_client_free(peer);
}

/* What is said on a fresh connection, and what must come of it. */
static void judge(const char *response, bool reusable)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_get(peer, "GET");
    sim_client_say(peer, response);
    expect_true(strstr(sim_client_told(peer), reusable ? "free reusable\ndone 0 " : "free spent\ndone 0 "));
    sim_client_free(peer);
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

    struct sim_client *peer = sim_client_new(NULL, NULL);
    begin_put(peer, 10);
    sim_run_for(peer->sim, 0);
    sim_client_say(peer, "HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n");
    expect_str(sim_client_told(peer), "head 413\nfree spent\ndone 0 sent responded\n");

    sim_client_reconnect(peer, NULL);
    client_call_start(peer->connection, &peer->call,
                      &(struct client_request){
                          .method = SLICE_LIT("GET"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .headers = &(const struct header){SLICE_LIT("connection"), SLICE_LIT("close")},
                          .n_headers = 1,
                      });
    sim_run_for(peer->sim, 0);
    sim_client_say(peer, "HTTP/1.1 204 No Content\r\n\r\n");
    expect_str(sim_client_told(peer), "head 204\nfree spent\ndone 0 sent responded\n");
    sim_client_free(peer);
}

static void a_body_may_last_until_the_end(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_get(peer, "GET");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\n\r\nabc");
    expect_int(stream_shutdown(peer->server), 0);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_told(peer), "head 200\nbody abc\nfree spent\ndone 0 sent responded\n");
    sim_client_free(peer);
}

static void expect_done(struct sim_client *peer, int result, const char *rest)
{
    char text[96];
    (void)snprintf(text, sizeof(text), "free spent\ndone %d%s\n", result, rest);
    const char *all = sim_client_told(peer);
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
    struct sim_client *peer = sim_client_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        sim_client_get(peer, "GET");
        sim_client_say(peer, cut[i]);
        expect_int(stream_shutdown(peer->server), 0);
        sim_run_for(peer->sim, 0);
        expect_done(peer, -ECONNRESET, " sent responded");
        sim_client_reconnect(peer, NULL);
    }
    sim_client_get(peer, "GET");
    sim_reset(peer->server);
    sim_run_for(peer->sim, 0);
    expect_done(peer, -ECONNRESET, " sent");
    sim_client_free(peer);
}

static void nonsense_is_an_error_with_a_reason(void)
{
    static const char *const bad[] = {
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    };
    struct sim_client *peer = sim_client_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        sim_client_get(peer, "GET");
        sim_client_say(peer, bad[i]);
        expect_done(peer, -EBADMSG, " sent responded");
        expect_true(peer->call.fault && strlen(peer->call.fault) > 10);
        sim_client_reconnect(peer, NULL);
    }
    sim_client_free(peer);
}

/* The server answers without reading the request, and closes, which resets what is on its way. */
static void an_answer_is_heard_although_sending_failed(void)
{
    struct sim_client *peer = sim_client_new(NULL, &(struct sim_options){.to_b.window_bytes = 10});
    client_call_start(peer->connection, &peer->call,
                      &(struct client_request){
                          .method = SLICE_LIT("PUT"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("h"),
                          .body = SLICE_LIT("unread"),
                      });
    static const struct slice answer = SLICE_LIT("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nfull");
    expect_int(stream_send(peer->server, answer), answer.len);
    loop_turn(peer->loop, 0); /* it arrives, and is not looked at before … */
    stream_close(TAKE(peer->server));
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_told(peer), "head 503\nbody full\nfree spent\ndone 0 sent responded\n");
    sim_client_free(peer);
}

static void deadlines_end_a_call(void)
{
    struct h1_client_options options;
    h1_client_options_init(&options);
    struct sim_client *peer = sim_client_new(&options, NULL);
    sim_client_get(peer, "GET");
    sim_run_for(peer->sim, options.head_timeout_ns - NSEC_PER_MSEC);
    expect_str(sim_client_told(peer), "");
    sim_run_for(peer->sim, 2 * NSEC_PER_MSEC);
    expect_done(peer, -ETIMEDOUT, " sent");

    sim_client_reconnect(peer, NULL);
    sim_client_get(peer, "GET");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\na");
    sim_run_for(peer->sim, options.body_timeout_ns - NSEC_PER_MSEC);
    sim_client_say(peer, "b");
    sim_run_for(peer->sim, options.body_timeout_ns - NSEC_PER_MSEC);
    expect_str(sim_client_told(peer), "head 200\nbody a\nbody b\n");
    sim_run_for(peer->sim, 2 * NSEC_PER_MSEC);
    expect_done(peer, -ETIMEDOUT, " sent responded");

    sim_client_reconnect(peer, &(struct sim_options){.to_b.window_bytes = 10});
    sim_client_get(peer, "GET");
    sim_run_for(peer->sim, options.send_timeout_ns + NSEC_PER_MSEC);
    expect_done(peer, -ETIMEDOUT, " sent");
    sim_client_free(peer);
}

static void a_paused_body_has_no_deadline(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_get(peer, "GET");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    client_call_pause(&peer->call, true);
    sim_client_say(peer, "1\r\nb\r\n");
    sim_run_for(peer->sim, 3600 * NSEC_PER_SEC);
    expect_str(sim_client_told(peer), "head 200\nbody a\n");
    client_call_pause(&peer->call, false);
    sim_run_for(peer->sim, 0);
    sim_client_say(peer, "0\r\n\r\n");
    expect_str(sim_client_told(peer), "body b\nfree reusable\ndone 0 sent responded\n");
    sim_client_free(peer);
}

static void a_writer_waits_for_a_slow_server(void)
{
    struct h1_client_options options;
    h1_client_options_init(&options);
    options.send_high_bytes = 1000;
    options.send_low_bytes = 100;
    struct sim_client *peer = sim_client_new(&options, &(struct sim_options){.to_b.window_bytes = 500});
    begin_put(peer, 100000);
    char piece[400] = {0};
    int n_written = 1;
    while (client_call_write(&peer->call, slice_from(piece, sizeof(piece))) == 0)
        n_written++;
    expect_int(n_written, 4);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_told(peer), "");
    (void)sim_client_hear(peer);
    expect_str(sim_client_told(peer), "drain now\n");
    sim_client_free(peer);
}

static void under_pressure_a_writer_waits_sooner(void)
{
    static char piece[4000];
    struct sim_client *peer = sim_client_new(NULL, &(struct sim_options){.to_b.window_bytes = 500});
    struct backlog *backlog = loop_backlog(peer->loop);
    size_t n = 0;
    backlog->n_bytes_max = 1; /* whatever is kept is too much */
    begin_put(peer, 1000000);
    while (client_call_write(&peer->call, slice_from(piece, sizeof(piece))) == 0)
        n += sizeof(piece);
    expect_true(n < BACKLOG_LITTLE_BYTES + 5000 && backlog->n_bytes < 2 * BACKLOG_LITTLE_BYTES);
    sim_run_for(peer->sim, 0);
    (void)sim_client_hear(peer);
    expect_str(sim_client_told(peer), "drain now\n");
    expect_int(backlog->n_bytes, 0);
    sim_client_free(peer);
}

static void a_cancelled_call_is_not_heard_of_again(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_get(peer, "GET");
    client_call_cancel(&peer->call);
    client_call_cancel(&peer->call);
    expect_str(sim_client_told(peer), "free spent\n");
    expect_false(peer->connection);

    sim_client_reconnect(peer, NULL);
    peer->cancel_on_body = true;
    sim_client_get(peer, "GET");
    sim_client_say(peer, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc");
    expect_str(sim_client_told(peer), "head 200\nbody abc\nfree spent\n");
    sim_client_free(peer);
}

static void an_idle_connection_is_watched(void)
{
    struct sim_client *peer = sim_client_new(NULL, NULL);
    sim_client_say(peer, "x");
    expect_str(sim_client_told(peer), "lost unasked\n");
    sim_client_reconnect(peer, NULL);
    expect_int(stream_shutdown(peer->server), 0);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_told(peer), "lost closed\n");
    sim_client_reconnect(peer, NULL);
    sim_reset(peer->server);
    sim_run_for(peer->sim, 0);
    expect_str(sim_client_told(peer), "lost closed\n");
    sim_client_reconnect(peer, NULL);
    sim_run_for(peer->sim, peer->room.options.idle_timeout_ns + NSEC_PER_MSEC);
    expect_str(sim_client_told(peer), "lost idle long\n");
    sim_client_free(peer);
}

static const char long_response[] =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: y\r\n"
    "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nt: u\r\n\r\n";

static void bytes_may_come_one_by_one(void)
{
    struct sim_client *peer =
        sim_client_new(NULL, &(struct sim_options){.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE});
    sim_client_get(peer, "GET");
    expect_str(sim_client_hear(peer), "GET /x HTTP/1.1\r\nhost: host\r\n\r\n");
    sim_client_say(peer, long_response);
    expect_str(sim_client_told(peer),
               "info 100\nhead 200\nbody a\nbody b\nbody c\nbody 0\nbody 1\nbody 2\nbody 3\nbody 4\nbody 5\n"
               "body 6\nbody 7\nbody 8\nbody 9\nbody a\nbody b\nbody c\nbody d\nbody e\nbody f\n"
               "free reusable\ndone 0 sent responded\n");
    sim_client_free(peer);
}

static void a_reset_at_any_byte_ends_the_call(void)
{
    for (size_t n = 1; n < sizeof(long_response) - 1; n++) {
        struct sim_client *peer = sim_client_new(NULL, &(struct sim_options){.to_a.reset_at = n});
        sim_client_get(peer, "GET");
        (void)stream_send(peer->server, slice_from_str(long_response));
        sim_run_for(peer->sim, 0);
        expect_done(peer, -ECONNRESET, " sent responded");
        sim_client_free(peer);
    }
}

static int one_call(void *arg)
{
    (void)arg;
    struct sim_client *peer;
    int r = sim_client_try_new(
        NULL, &(struct sim_options){.to_a.pieces = (const size_t[]){7, 0}, .to_b.window_bytes = 20}, &peer);
    if (r < 0)
        return r;
    sim_client_get(peer, "GET");
    (void)sim_client_hear(peer);
    (void)stream_send(peer->server, slice_from_str(long_response));
    sim_run_for(peer->sim, 0);
    const char *all = sim_client_told(peer);
    const char *last = strstr(all, "done ");
    expect_true(last);
    if (strncmp(last, "done 0", 6) != 0)
        r = -ENOMEM;
    sim_client_free(peer);
    return r;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(one_call, NULL) > 4);
}

static const struct test_case cases[] = {
    {"a response is told and the connection is free again", a_response_is_told_and_the_connection_is_free_again},
    {"bodies are sent whole or in pieces", bodies_are_sent_whole_or_in_pieces},
    {"a request stays one request", a_request_stays_one_request},
    {"only a clean connection is reused", only_a_clean_connection_is_reused},
    {"a body may last until the end", a_body_may_last_until_the_end},
    {"what is cut short is an error", what_is_cut_short_is_an_error},
    {"nonsense is an error with a reason", nonsense_is_an_error_with_a_reason},
    {"an answer is heard although sending failed", an_answer_is_heard_although_sending_failed},
    {"deadlines end a call", deadlines_end_a_call},
    {"a paused body has no deadline", a_paused_body_has_no_deadline},
    {"a writer waits for a slow server", a_writer_waits_for_a_slow_server},
    {"under pressure a writer waits sooner", under_pressure_a_writer_waits_sooner},
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
