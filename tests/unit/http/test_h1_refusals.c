/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of peers that speak wrongly, too slowly, or not at all. What is malformed, and why, is the parsers' to
 * know (tests/unit/wire); here each class is sent through a live session once.
 */
#include "support/sim_http.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"
#define POST      "POST /later HTTP/1.1\r\nhost: x\r\n"

/* The request is answered with the status and a reason, then the connection is closed in good order. */
static void expect_refused(struct sim_http *http, const char *request, unsigned status)
{
    char line[32];
    (void)snprintf(line, sizeof(line), "HTTP/1.1 %u ", status);
    sim_http_reconnect(http, NULL);
    sim_http_say(http, request);
    const char *heard = sim_http_hear(http);
    const char *answer = strstr(heard, line);
    if (!answer)
        test_fail(__FILE__, __LINE__, "\"%s\" was answered \"%s\", expected %u", request, heard, status);
    expect_true(strstr(answer, "\r\nconnection: close\r\n"));
    const char *body = strstr(answer, "\r\n\r\n");
    expect_true(body && strlen(body) > 15); /* it says why */
    expect_true(http->ended);
    expect_int(http->error, 0);
    sim_http_end(http);
    expect_int(http_server_n_connections(http->server), 0);
}

/* Not even the reason follows its head. */
static void a_refusal_of_head_has_no_body(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "HEAD /later HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n");
    const char *heard = sim_http_hear(http);
    expect_true(slice_starts_with(slice_from_str(heard), SLICE_LIT("HTTP/1.1 400 Bad Request\r\n")));
    expect_str(strstr(heard, "\r\n\r\n"), "\r\n\r\n");
    expect_true(http->ended);
    sim_http_free(http);
}

/* What a client that had hoped for one sends through it is not taken for requests. */
static void nothing_follows_on_connect(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n" GET("/hello"));
    expect_true(strstr(sim_http_hear(http), "\r\nconnection: close\r\n"));
    expect_true(http->ended);
    expect_true(!strstr(sim_http_calls(http), "/hello"));
    sim_http_free(http);
}

static void malformed_heads_are_refused(void)
{
    static const struct {
        const char *request;
        unsigned status;
    } refused[] = {
        {"GET /\r\nhost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\nhost: x\n\n", 400},
        {"GET / HTTP/1.1\r\nhost : x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nhost: x\r\n folded: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nhost: x\r\na: b\rc\r\n\r\n", 400},
        {"GET  / HTTP/1.1\r\nhost: x\r\n\r\n", 400},
        {"GET /#x HTTP/1.1\r\nhost: x\r\n\r\n", 400},
        {POST "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400},
        {POST "content-length: 1\r\ncontent-length: 1\r\n\r\n", 400},
        {POST "content-length: +1\r\n\r\n", 400},
        {POST "content-length: 99999999999999999999\r\n\r\n", 400},
        {POST "content-length:\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", 400},
        {POST "transfer-encoding: xchunked\r\n\r\n", 400},
        {POST "transfer-encoding: gzip, chunked\r\n\r\n", 501},
        {POST "expect: the-unexpected\r\ncontent-length: 1\r\n\r\n", 417},
        {"GET / HTTP/1.2\r\nhost: x\r\n\r\n", 505},
        {"GET / HTTP/3.0\r\nhost: x\r\n\r\n", 505},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
        {"SSH-2.0-OpenSSH_9.2\r\n", 400},
        {GET("/hello") "nonsense\r\n\r\n", 400},
    };
    struct sim_http *http = sim_http_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        expect_refused(http, refused[i].request, refused[i].status);
    sim_http_free(http);
}

static void long_heads_are_refused(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    char *request = malloc(64 * 1024);
    expect_true(request);
    (void)sprintf(request, "GET /%0*d", 9000, 0);
    expect_refused(http, request, 414);
    (void)sprintf(request, "GET / HTTP/1.1\r\nhost: x\r\na: %0*d", 40000, 0);
    expect_refused(http, request, 431);
    char *end = request + sprintf(request, "GET / HTTP/1.1\r\nhost: x\r\n");
    for (int i = 0; i < 150; i++)
        end += sprintf(end, "a%d: b\r\n", i);
    (void)sprintf(end, "\r\n");
    expect_refused(http, request, 431);
    free(request);
    sim_http_free(http);
}

static void malformed_bodies_are_refused(void)
{
    static const char *const chunks[] = {"0x5\r\n",        "5 \r\n",
                                         " 5\r\n",         "-1\r\n",
                                         "\r\n",           "3\r\nabcd\r\n",
                                         "3\nabc",         "11111111111111111\r\n",
                                         "1;\rx\r\na\r\n", "0\r\nbad trailer\r\n\r\n"};
    struct sim_http *http = sim_http_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
        char request[256];
        (void)snprintf(request, sizeof(request), POST "transfer-encoding: chunked\r\n\r\n%s", chunks[i]);
        expect_refused(http, request, 400);
        expect_true(strstr(sim_http_calls(http), "close aborted\n"));
    }

    /* Once the answer has begun there is no other way to say it than to break off. */
    sim_http_reconnect(http, NULL);
    sim_http_say(http, "POST /pipe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nxyz\r\n");
    expect_false(strstr(sim_http_hear(http), "\r\n0\r\n"));
    expect_true(http->ended || http->error);
    sim_http_free(http);
}

static void what_ends_too_soon_is_refused(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "GET / HTTP/1.1\r\nho");
    sim_http_end(http);
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 400 "));
    sim_http_reconnect(http, NULL);
    sim_http_say(http, POST "content-length: 5\r\n\r\nabc");
    sim_http_end(http);
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 400 "));
    expect_str(sim_http_calls(http), "request POST /later\nbody abc\nclose aborted\n");
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static void wait_out(struct sim_http *http, nsec_t timeout_ns)
{
    sim_http_wait(http, timeout_ns - NSEC_PER_MSEC);
    expect_str(sim_http_hear(http), "");
    expect_int(http_server_n_connections(http->server), 1);
    sim_http_wait(http, 2 * NSEC_PER_MSEC);
}

static void a_silent_connection_is_closed(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    struct sim_http *http = sim_http_new(&options, NULL);
    wait_out(http, options.head_timeout_ns);
    expect_str(sim_http_hear(http), "");
    expect_true(http->ended);

    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/hello"));
    (void)sim_http_hear(http);
    sim_http_forget(http);
    wait_out(http, options.idle_timeout_ns);
    expect_str(sim_http_hear(http), "");
    expect_true(http->ended);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

/* Bytes that drip do not put the end of a head off. */
static void a_slow_head_is_answered_with_408(void)
{
    static const char *const beginnings[] = {"GET / HTT", "P", "PRI * HTTP/2.0\r\n"};
    struct http_server_options options;
    http_server_options_init(&options);
    struct sim_http *http = sim_http_new(&options, NULL);
    for (size_t i = 0; i < ARRAY_LEN(beginnings); i++) {
        sim_http_reconnect(http, NULL);
        sim_http_say(http, beginnings[i]);
        wait_out(http, options.head_timeout_ns);
        expect_true(strstr(sim_http_hear(http), "HTTP/1.1 408 Request Timeout\r\n"));
    }
    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/hello") "GET / HTTP/1.1\r\nhost: x\r\n");
    for (nsec_t passed_ns = 0; passed_ns < options.head_timeout_ns; passed_ns += NSEC_PER_SEC) {
        sim_http_say(http, "a: b\r\n");
        sim_http_wait(http, NSEC_PER_SEC);
    }
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 408 Request Timeout\r\n"));
    expect_true(http->ended);
    sim_http_free(http);
}

static void a_slow_body_is_answered_with_408(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    options.rate_min_bytes = 0; /* each byte puts it off */
    struct sim_http *http = sim_http_new(&options, NULL);
    sim_http_say(http, POST "content-length: 5\r\n\r\na");
    sim_http_wait(http, options.body_timeout_ns - NSEC_PER_MSEC);
    sim_http_say(http, "b");
    wait_out(http, options.body_timeout_ns);
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 408 Request Timeout\r\n"));
    expect_str(sim_http_calls(http), "request POST /later\nbody a\nbody b\nclose timeout\n");

    /* A body that nobody wants has the same time; its answer was given. */
    sim_http_reconnect(http, NULL);
    sim_http_say(http, "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\na");
    expect_true(strstr(sim_http_hear(http), "hello\n"));
    sim_http_forget(http);
    wait_out(http, options.body_timeout_ns);
    expect_str(sim_http_hear(http), "");
    expect_true(http->ended);
    sim_http_free(http);
}

static void a_front_end_has_its_time(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    struct sim_http *http = sim_http_new(&options, NULL);
    sim_http_say(http, GET("/later"));
    wait_out(http, options.answer_timeout_ns);
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 503 Service Unavailable\r\n"));
    expect_str(sim_http_calls(http), "request GET /later\nend\nclose timeout\n");

    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/later"));
    exchange_set_idle_timeout(http->exchange, NSEC_NEVER);
    sim_http_wait(http, 24 * 3600 * NSEC_PER_SEC);
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    exchange_set_idle_timeout(http->exchange, NSEC_PER_SEC);
    sim_http_wait(http, NSEC_PER_SEC - NSEC_PER_MSEC);
    expect_int(exchange_write(http->exchange, SLICE_LIT("still here")), 0);
    sim_http_wait(http, NSEC_PER_SEC - NSEC_PER_MSEC);
    expect_str(sim_http_calls(http), "request GET /later\nend\n");
    sim_http_wait(http, 2 * NSEC_PER_MSEC);
    expect_str(sim_http_calls(http), "close timeout\n");
    sim_http_free(http);
}

static void a_peer_that_never_reads_is_cut_off(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    options.rate_min_bytes = 0; /* each byte puts it off */
    struct sim_http *http = sim_http_new(&options, &(struct sim_options){.to_a.window_bytes = 100});
    int n_sent = 0;
    while (n_sent < 5000 && stream_send(http->client, SLICE_LIT(GET("/hello"))) == sizeof(GET("/hello")) - 1) {
        sim_http_wait(http, 0);
        n_sent++;
    }
    /* Requests are not looked at while the answers before them wait. */
    expect_true(strlen(sim_http_calls(http)) < 5 * sizeof("request GET /hello\n"));
    sim_http_wait(http, options.send_timeout_ns + NSEC_PER_MSEC);
    expect_int(http_server_n_connections(http->server), 0);

    sim_http_reconnect(http, &(struct sim_options){.to_a.window_bytes = 100});
    sim_http_say(http, GET("/later"));
    exchange_set_idle_timeout(http->exchange, NSEC_NEVER);
    char bytes[500] = {0};
    expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(http->exchange, slice_from(bytes, sizeof(bytes))), 0);
    (void)sim_http_calls(http);
    sim_http_wait(http, options.send_timeout_ns + NSEC_PER_MSEC);
    expect_str(sim_http_calls(http), "close timeout\n");

    /* One that reads a little has more time, and also at the very end. */
    sim_http_reconnect(http, &(struct sim_options){.to_a.window_bytes = 50});
    sim_http_say(http, "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    sim_http_wait(http, options.send_timeout_ns - NSEC_PER_MSEC);
    expect_int(stream_recv(http->client, bytes, 10), 10);
    sim_http_wait(http, options.send_timeout_ns - NSEC_PER_MSEC);
    expect_int(http_server_n_connections(http->server), 1);
    sim_http_wait(http, 2 * NSEC_PER_MSEC);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

/* Says so many bytes of a body each second; for how many seconds it was listened to. */
static unsigned drip(struct sim_http *http, size_t n_bytes, unsigned n_seconds)
{
    static char piece[1000];
    unsigned n = 0;
    for (; n < n_seconds && http_server_n_connections(http->server) > 0 && !http->ended; n++) {
        (void)sim_http_send(http, slice_from(piece, n_bytes));
        sim_http_wait(http, NSEC_PER_SEC);
        (void)sim_http_hear(http);
    }
    return n;
}

static void a_body_that_drips_ends(void)
{
    static const char *const heads[] = {POST "content-length: 1000000\r\n\r\n",
                                        POST "transfer-encoding: chunked\r\n\r\nfffff\r\n"};
    struct sim_http *http = sim_http_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        sim_http_reconnect(http, NULL);
        sim_http_say(http, heads[i]);
        unsigned n_seconds = drip(http, 1, 300);
        expect_true(n_seconds >= 29 && n_seconds <= 32);
        expect_true(strstr(sim_http_hear(http), "HTTP/1.1 408 Request Timeout\r\n"));
        expect_true(strstr(sim_http_calls(http), "close timeout\n"));
        sim_http_forget(http);

        sim_http_reconnect(http, NULL);
        sim_http_say(http, heads[i]);
        expect_int(drip(http, 120, 300), 300); /* above the least rate it may take as long as it wants */
        (void)sim_http_calls(http);

        sim_http_reconnect(http, NULL);
        sim_http_say(http, heads[i]);
        expect_int(exchange_begin(http->exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
        expect_int(drip(http, 1, 300), 300); /* a conversation has no rate */
        (void)sim_http_calls(http);
    }
    sim_http_free(http);
}

/* Takes so many bytes of an answer each second; for how many seconds it was sent. */
static unsigned sip(struct sim_http *http, size_t n_bytes, unsigned n_seconds)
{
    char piece[1000];
    unsigned n = 0;
    for (; n < n_seconds && http_server_n_connections(http->server) > 0; n++) {
        (void)stream_recv(http->client, piece, n_bytes);
        sim_http_wait(http, NSEC_PER_SEC);
    }
    return n;
}

static void an_answer_that_is_sipped_ends(void)
{
    static const nsec_t idle[] = {10 * NSEC_PER_SEC, NSEC_NEVER};
    static char answer[100000];
    struct sim_http *http = sim_http_new(NULL, NULL);
    for (size_t i = 0; i < 2 * ARRAY_LEN(idle); i++) {
        bool is_slow = i % 2 == 0;
        sim_http_reconnect(http, &(struct sim_options){.to_a.window_bytes = 500});
        sim_http_say(http, GET("/later"));
        exchange_set_idle_timeout(http->exchange, idle[i / 2]);
        expect_int(exchange_begin(http->exchange, 200, NULL, 0, sizeof(answer)), 0);
        expect_int(exchange_write(http->exchange, slice_from(answer, sizeof(answer))), 0);
        sim_http_wait(http, 0);
        unsigned n_seconds = sip(http, is_slow ? 10 : 120, 300);
        expect_true(is_slow ? n_seconds >= 29 && n_seconds <= 35 : n_seconds == 300);
        expect_int(strstr(sim_http_calls(http), "close timeout\n") != NULL, is_slow);
    }
    /* The last bytes, when the exchange is over. */
    sim_http_reconnect(http, &(struct sim_options){.to_a.window_bytes = 500});
    sim_http_say(http, "GET /later HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    exchange_respond(http->exchange, 200, NULL, 0, slice_from(answer, sizeof(answer)));
    sim_http_wait(http, 0);
    unsigned n_seconds = sip(http, 10, 300);
    expect_true(n_seconds >= 29 && n_seconds <= 35);
    sim_http_free(http);
}

static void lingering_ends(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    struct sim_http *http = sim_http_new(&options, NULL);
    sim_http_say(http, "nonsense\r\n\r\n");
    (void)sim_http_hear(http);
    expect_true(http->ended);
    sim_http_say(http, "more of it, which must not reset the connection");
    expect_int(stream_recv(http->client, (char[1]){0}, 1), 0);
    sim_http_wait(http, options.linger_ns - NSEC_PER_MSEC);
    expect_int(http_server_n_connections(http->server), 1);
    sim_http_wait(http, 2 * NSEC_PER_MSEC);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static const struct test_case cases[] = {
    {"malformed heads are refused", malformed_heads_are_refused},
    {"a refusal of HEAD has no body", a_refusal_of_head_has_no_body},
    {"nothing follows on CONNECT", nothing_follows_on_connect},
    {"long heads are refused", long_heads_are_refused},
    {"malformed bodies are refused", malformed_bodies_are_refused},
    {"what ends too soon is refused", what_ends_too_soon_is_refused},
    {"a silent connection is closed", a_silent_connection_is_closed},
    {"a slow head is answered with 408", a_slow_head_is_answered_with_408},
    {"a slow body is answered with 408", a_slow_body_is_answered_with_408},
    {"a front end has its time to answer", a_front_end_has_its_time},
    {"a peer that never reads is cut off", a_peer_that_never_reads_is_cut_off},
    {"a body that drips in ends, unless the answer has begun", a_body_that_drips_ends},
    {"an answer that is taken a few bytes at a time ends", an_answer_that_is_sipped_ends},
    {"lingering ends", lingering_ends},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
