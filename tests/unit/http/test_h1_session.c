/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an HTTP/1 client gets to see when all goes well, and what a front end is called with.
 */
#include "support/sim_http.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define DATE      "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define HELLO_OK  "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\n\r\nhello\n"
#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"

static void answers_a_request(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/hello"));
    expect_str(sim_http_hear(http), HELLO_OK);
    expect_false(http->ended);
    sim_http_forget(http);
    sim_http_say(http, GET("/nothing"));
    expect_str(sim_http_hear(http),
               "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 17\r\ncontent-type: text/plain; charset=utf-8\r\n\r\n"
               "no /nothing here\n");
    expect_str(sim_http_calls(http), "request GET /hello\nrequest GET /nothing\n");
    sim_http_free(http);
}

static void answers_pipelined_requests_in_order(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/hello") GET("/later") GET("/hello") GET("/hello"));
    expect_str(sim_http_hear(http), HELLO_OK);
    expect_str(sim_http_calls(http), "request GET /hello\nrequest GET /later\nend\n");
    sim_http_forget(http);

    exchange_respond(http->exchange, 204, NULL, 0, (struct slice){0});
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), "HTTP/1.1 204 No Content\r\n" DATE "\r\n" HELLO_OK HELLO_OK);
    expect_str(sim_http_calls(http), "close done\nrequest GET /hello\nrequest GET /hello\n");
    sim_http_free(http);
}

/* Each piece that arrives is one send of the server: the simulated network does not merge them here. */
static void sends_pipelined_answers_at_once(void)
{
    static const size_t whole[] = {1024 * 1024, 0};
    struct sim_http *http = sim_http_new(NULL, &(struct sim_options){.to_a.pieces = whole});
    sim_http_say(http, GET("/hello") GET("/hello") GET("/hello"));
    char bytes[4096];
    expect_int(stream_recv(http->client, bytes, sizeof(bytes)), 3 * (sizeof(HELLO_OK) - 1));
    sim_http_free(http);
}

static void leaves_out_the_body_of_head(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n" GET("/hello"));
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\n\r\n" HELLO_OK);
    sim_http_forget(http);

    sim_http_say(http, "HEAD /later HTTP/1.1\r\nhost: x\r\n\r\n");
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("not sent")), 0);
    exchange_end(http->exchange, NULL, 0);
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "\r\n");
    sim_http_free(http);
}

static void sends_pieces_as_chunks(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    struct header type = {SLICE_LIT("content-type"), SLICE_LIT("text/event-stream")};
    expect_int(exchange_begin(http->exchange, 200, &type, 1, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("one")), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("")), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("eighteen and a bit")), 0);
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http),
               "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n"
               "3\r\none\r\n12\r\neighteen and a bit\r\n");
    sim_http_forget(http);
    struct header sum = {SLICE_LIT("x-sum"), SLICE_LIT("5")};
    exchange_end(http->exchange, &sum, 1);
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), "0\r\nx-sum: 5\r\n\r\n");
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose done\n");
    sim_http_free(http);
}

static void writes_leave_at_the_end_of_the_turn(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, 6), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("one")), 0);
    expect_int(sim_unread(http->client), 0);
    sim_http_wait(http, 0);
    expect_true(sim_unread(http->client) > 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("two")), 0);
    exchange_end(http->exchange, NULL, 0);
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\n\r\nonetwo");
    sim_http_free(http);
}

static void serves_http_1_0(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "GET /hello HTTP/1.0\r\n\r\n");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\nconnection: close\r\n\r\nhello\n");
    expect_true(http->ended);

    sim_http_reconnect(http, NULL);
    sim_http_say(http, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    expect_str(sim_http_hear(http),
               "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\nconnection: keep-alive\r\n\r\nhello\n");
    expect_false(http->ended);

    sim_http_reconnect(http, NULL);
    sim_http_say(http, "POST /pipe HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "connection: close\r\n\r\nabc");
    expect_true(http->ended);
    sim_http_free(http);
}

static void closes_when_asked(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" GET("/hello"));
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\nconnection: close\r\n\r\nhello\n");
    expect_true(http->ended);
    expect_str(sim_http_calls(http), "request GET /hello\n");
    sim_http_end(http);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static void takes_bodies(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde" GET("/hello"));
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 5\r\n\r\nabcde" HELLO_OK);
    sim_http_forget(http);
    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n");
    sim_http_say(http, "3;x=y\r\ncde\r\n0\r\nx-trailer: 1\r\n\r\n" GET("/hello"));
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 5\r\n\r\nabcde" HELLO_OK);
    sim_http_forget(http);
    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\n\r\n");
    sim_http_free(http);
}

static void refuses_bodies_that_are_too_long_to_collect(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 65537\r\n\r\n");
    expect_int(strncmp(sim_http_hear(http), "HTTP/1.1 413 Content Too Large\r\n", 32), 0);
    sim_http_forget(http);
    char *body = calloc(1, 65537);
    expect_true(body);
    expect_int(sim_http_send(http, slice_from(body, 65537)), 65537);
    sim_http_say(http, GET("/hello"));
    expect_str(sim_http_hear(http), HELLO_OK); /* what was not wanted was drained */
    sim_http_forget(http);

    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n10001\r\n");
    expect_int(sim_http_send(http, slice_from(body, 65537)), 65537);
    expect_int(strncmp(sim_http_hear(http), "HTTP/1.1 413 Content Too Large\r\n", 32), 0);
    sim_http_forget(http);
    sim_http_say(http, "\r\n0\r\n\r\n" GET("/hello"));
    expect_str(sim_http_hear(http), HELLO_OK);
    free(body);
    sim_http_free(http);
}

static void closes_when_too_much_would_be_drained(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    options.body_drain_bytes = 10;
    struct sim_http *http = sim_http_new(&options, NULL);
    sim_http_say(http, "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 11\r\n\r\n");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\nconnection: close\r\n\r\nhello\n");
    expect_true(http->ended);

    sim_http_reconnect(http, NULL);
    sim_http_say(http, "POST /hello HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n");
    expect_str(sim_http_hear(http), HELLO_OK);
    expect_false(http->ended);
    sim_http_say(http, "8\r\n12345678\r\n");
    (void)sim_http_hear(http);
    expect_true(http->ended);
    sim_http_free(http);
}

static void says_100_when_the_front_end_takes_the_body(void)
{
    static const char head[] = "POST %s HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
    char request[256];
    struct sim_http *http = sim_http_new(NULL, NULL);
    (void)snprintf(request, sizeof(request), head, "/echo");
    sim_http_say(http, request);
    expect_str(sim_http_hear(http), "HTTP/1.1 100 Continue\r\n\r\n");
    sim_http_forget(http);
    sim_http_say(http, "abc");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 3\r\n\r\nabc");
    sim_http_forget(http);

    /* Nobody knows whether the body will follow, so the connection must not be used for another request. */
    (void)snprintf(request, sizeof(request), head, "/hello");
    sim_http_say(http, request);
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\nconnection: close\r\n\r\nhello\n");
    expect_true(http->ended);
    sim_http_free(http);
}

static void an_early_answer_ends_the_exchange(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nabc");
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 6\r\n\r\nearly\n");
    expect_str(sim_http_calls(http), "request POST /early\nclose done\n");
    sim_http_forget(http);
    sim_http_say(http, "def" GET("/hello"));
    expect_str(sim_http_hear(http), HELLO_OK);
    sim_http_free(http);
}

static void a_half_closed_client_gets_its_answer(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    sim_http_end(http);
    expect_str(sim_http_calls(http), "request GET /later\nend\n");
    exchange_respond(http->exchange, 200, NULL, 0, SLICE_LIT("ok"));
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), "HTTP/1.1 200 OK\r\n" DATE "content-length: 2\r\n\r\nok");
    expect_true(http->ended);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

/* The end is there with the requests, and the answers, which were gathered, do not leave in one go. */
static void a_client_that_ends_at_once_gets_its_answers(void)
{
    struct sim_http *http = sim_http_new(NULL, &(struct sim_options){.to_a.window_bytes = 50});
    sim_http_wait(http, 0);
    expect_true(stream_send(http->client, SLICE_LIT(GET("/hello") GET("/hello"))) > 0);
    sim_http_end(http);
    expect_str(sim_http_hear(http), HELLO_OK HELLO_OK);
    expect_true(http->ended);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static void a_half_closed_client_of_an_endless_answer_is_gone(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    exchange_set_idle_timeout(http->exchange, NSEC_NEVER);
    sim_http_end(http);
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose aborted\n");
    expect_int(http_server_n_connections(http->server), 0);

    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/later"));
    sim_http_end(http);
    exchange_set_idle_timeout(http->exchange, NSEC_NEVER);
    sim_http_wait(http, 0);
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose aborted\n");
    sim_http_free(http);
}

static void a_paused_body_waits(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "POST /later HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n");
    exchange_pause(http->exchange, true);
    sim_http_say(http, "1\r\nb\r\n1\r\nc\r\n");
    expect_str(sim_http_calls(http), "request POST /later\nbody a\n");
    exchange_pause(http->exchange, false);
    sim_http_wait(http, 0);
    expect_str(sim_http_calls(http), "body b\nbody c\n");
    sim_http_say(http, "0\r\n\r\n");
    expect_str(sim_http_calls(http), "end\n");
    sim_http_free(http);
}

static void a_writer_waits_for_a_slow_reader(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    options.send_high_bytes = 1000;
    options.send_low_bytes = 100;
    struct sim_http *http = sim_http_new(&options, &(struct sim_options){.to_a.window_bytes = 500});
    sim_http_say(http, GET("/later"));
    char piece[400] = {0};
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    int n_written = 0;
    while (exchange_write(http->exchange, slice_from(piece, sizeof(piece))) == 0) {
        sim_http_wait(http, 0);
        n_written++;
    }
    expect_int(n_written, 4);
    (void)sim_http_calls(http);
    sim_http_wait(http, 0);
    char room[300];
    expect_int(stream_recv(http->client, room, sizeof(room)), sizeof(room));
    sim_http_wait(http, 0);
    expect_str(sim_http_calls(http), "");
    (void)sim_http_hear(http);
    expect_str(sim_http_calls(http), "drain\n");
    sim_http_free(http);
}

/* How much may be written before the writer is told to wait, when the client takes nothing. */
static size_t n_taken_of_writer(struct sim_http *http)
{
    static char piece[4000];
    size_t n = 0;
    sim_http_say(http, GET("/later"));
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    while (exchange_write(http->exchange, slice_from(piece, sizeof(piece))) == 0) {
        sim_http_wait(http, 0);
        n += sizeof(piece);
    }
    return n;
}

static void under_pressure_a_writer_waits_sooner(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    struct sim_http *http = sim_http_new(&options, &(struct sim_options){.to_a.window_bytes = 500});
    expect_true(n_taken_of_writer(http) > options.send_high_bytes - 5000);
    sim_http_free(http);

    options.unsent_bytes = 1; /* whatever is kept is too much */
    http = sim_http_new(&options, &(struct sim_options){.to_a.window_bytes = 500});
    expect_true(n_taken_of_writer(http) < BACKLOG_LITTLE_BYTES + 5000);
    expect_true(loop_backlog(http->loop)->n_bytes < 2 * BACKLOG_LITTLE_BYTES);
    (void)sim_http_calls(http);
    sim_http_wait(http, 0);
    (void)sim_http_hear(http);
    expect_str(sim_http_calls(http), "drain\n"); /* who reads is served as before */
    expect_int(loop_backlog(http->loop)->n_bytes, 0);
    sim_http_free(http);
}

/* Little of a body is read for an answer that the client does not take; when it does, all goes through. */
static void under_pressure_little_is_read(void)
{
    static char body[300000];
    struct http_server_options options;
    http_server_options_init(&options);
    options.unsent_bytes = 1;
    struct sim_http *http = sim_http_new(&options, &(struct sim_options){.to_a.window_bytes = 500});
    struct backlog *backlog = loop_backlog(http->loop);
    backlog_note(backlog, 0, 2); /* somebody else's */
    sim_http_say(http, "POST /pipe HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n");
    size_t n_sent = 0;
    while (http->heard.len < sizeof(body)) {
        n_sent += sim_http_send(http, slice_from(body, sizeof(body) - n_sent));
        expect_true(backlog->n_bytes < 4 * BACKLOG_LITTLE_BYTES);
        (void)sim_http_hear(http);
    }
    expect_int(n_sent, sizeof(body));
    backlog_note(backlog, 2, 0);
    expect_int(backlog->n_bytes, 0);
    sim_http_free(http);
}

static void an_aborted_answer_is_not_completed(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(http->exchange, SLICE_LIT("half")), 0);
    exchange_abort(http->exchange);
    expect_true(exchange_write(http->exchange, SLICE_LIT("more")) < 0);
    sim_http_wait(http, 0);
    expect_false(strstr(sim_http_hear(http), "\r\n0\r\n"));
    expect_true(http->ended);
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose aborted\n");

    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/later"));
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, 10), 0);
    exchange_end(http->exchange, NULL, 0); /* of ten bytes promised none was written */
    sim_http_wait(http, 0);
    (void)sim_http_hear(http);
    expect_true(http->ended);
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose aborted\n");
    sim_http_free(http);
}

static void a_value_cannot_end_its_line(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    struct header servers = {SLICE_LIT("srpc-servers"), slice_from("a\r\nset-cookie: x\0\x7f", 18)};
    exchange_respond(http->exchange, 200, &servers, 1, (struct slice){0});
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http),
               "HTTP/1.1 200 OK\r\n" DATE "content-length: 0\r\nsrpc-servers: a  set-cookie: x  \r\n\r\n");
    sim_http_free(http);
}

static void a_head_may_be_long(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    static char value[700]; /* with and without room left behind what precedes it */
    memset(value, 'v', sizeof(value));
    struct header fields[] = {
        {SLICE_LIT("a"), slice_from(value, 400)},
        {SLICE_LIT("b"), slice_from(value, 400)},
        {SLICE_LIT("c"), slice_from(value, 700)},
        {SLICE_LIT("d"), SLICE_LIT("end")},
    };
    char expected[2048];
    int n = snprintf(expected, sizeof(expected),
                     "HTTP/1.1 200 OK\r\n" DATE
                     "content-length: 2\r\na: %.400s\r\nb: %.400s\r\nc: %.700s\r\nd: end\r\n\r\nok",
                     value, value, value);
    expect_true(n > 0 && (size_t)n < sizeof(expected));
    sim_http_say(http, GET("/later"));
    exchange_respond(http->exchange, 200, fields, ARRAY_LEN(fields), SLICE_LIT("ok"));
    sim_http_wait(http, 0);
    expect_str(sim_http_hear(http), expected);
    sim_http_free(http);
}

static void the_client_s_end_is_told(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    sim_reset(http->client);
    sim_http_wait(http, 0);
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose aborted\n");
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static void the_server_s_end_is_told(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, GET("/later"));
    (void)sim_http_calls(http);
    http_server_free(TAKE(http->server));
    expect_str(sim_http_calls(http), "close shutdown\n");
    sim_http_free(http);
}

static const struct test_case cases[] = {
    {"a request is answered and the connection stays", answers_a_request},
    {"pipelined requests are answered in order, one at a time", answers_pipelined_requests_in_order},
    {"small answers to pipelined requests leave in one send", sends_pipelined_answers_at_once},
    {"HEAD gets the head only", leaves_out_the_body_of_head},
    {"an answer of unknown length is chunked", sends_pieces_as_chunks},
    {"pieces of an answer leave together, or when flushed", writes_leave_at_the_end_of_the_turn},
    {"HTTP/1.0 clients are served as they expect", serves_http_1_0},
    {"a connection is closed when the client asks for it", closes_when_asked},
    {"bodies with a length and in chunks are taken", takes_bodies},
    {"bodies too long to collect are answered with 413", refuses_bodies_that_are_too_long_to_collect},
    {"a connection is closed rather than drain too much", closes_when_too_much_would_be_drained},
    {"100 Continue is said when the body is wanted", says_100_when_the_front_end_takes_the_body},
    {"an answer before the body ends the exchange", an_early_answer_ends_the_exchange},
    {"a half-closed client gets its answer", a_half_closed_client_gets_its_answer},
    {"one that ends at once gets its answers", a_client_that_ends_at_once_gets_its_answers},
    {"one that waits for an answer without end is gone", a_half_closed_client_of_an_endless_answer_is_gone},
    {"a paused body waits", a_paused_body_waits},
    {"a writer waits for a slow reader", a_writer_waits_for_a_slow_reader},
    {"under pressure a writer waits sooner", under_pressure_a_writer_waits_sooner},
    {"under pressure little is read", under_pressure_little_is_read},
    {"an aborted answer is not completed", an_aborted_answer_is_not_completed},
    {"a header's value cannot end its line", a_value_cannot_end_its_line},
    {"a head may be long", a_head_may_be_long},
    {"a front end is told that the client is gone", the_client_s_end_is_told},
    {"a front end is told that the server stops", the_server_s_end_is_told},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
