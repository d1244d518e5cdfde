/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sim_http.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

/* The calls and what was heard are kept for the test only: when they cannot be, the test is what fails. */
static void note(struct sim_http *http, const char *what, struct slice detail)
{
    expect_int(buf_printf(&http->calls, "%s%s%.*s\n", what, detail.len ? " " : "", SLICE_ARG(detail)), 0);
}

static void later_body(struct exchange *exchange, struct slice bytes)
{
    note(exchange->state, "body", bytes);
}

static void later_end(struct exchange *exchange)
{
    note(exchange->state, "end", (struct slice){0});
}

static void later_drain(struct exchange *exchange)
{
    note(exchange->state, "drain", (struct slice){0});
}

static void later_close(struct exchange *exchange, enum exchange_end end)
{
    static const char *const names[] = {
        [EXCHANGE_DONE] = "done",
        [EXCHANGE_ABORTED] = "aborted",
        [EXCHANGE_TIMEOUT] = "timeout",
        [EXCHANGE_SHUTDOWN] = "shutdown",
    };
    struct sim_http *http = exchange->state;
    note(http, "close", slice_from_str(names[end]));
    if (http->exchange == exchange)
        http->exchange = NULL;
}

static const struct exchange_app later_app = {
    .on_body = later_body,
    .on_end = later_end,
    .on_drain = later_drain,
    .on_close = later_close,
};

static void pipe_body(struct exchange *exchange, struct slice bytes)
{
    if (exchange_write(exchange, bytes) == EXCHANGE_FULL)
        exchange_pause(exchange, true);
}

static void pipe_end(struct exchange *exchange)
{
    exchange_end(exchange, NULL, 0);
}

static void pipe_drain(struct exchange *exchange)
{
    exchange_pause(exchange, false);
}

static const struct exchange_app pipe_app = {
    .on_body = pipe_body,
    .on_end = pipe_end,
    .on_drain = pipe_drain,
    .on_close = later_close,
};

static void echo(struct exchange *exchange, struct slice body)
{
    exchange_respond(exchange, 200, NULL, 0, body);
}

static void on_request(void *ctx, struct exchange *exchange)
{
    struct sim_http *http = ctx;
    struct slice path = exchange->request->path;
    expect_int(
        buf_printf(&http->calls, "request %.*s %.*s\n", SLICE_ARG(exchange->request->method_text), SLICE_ARG(path)), 0);
    exchange->state = http;
    if (slice_equal_str(path, "/hello")) {
        exchange_respond(exchange, 200, NULL, 0, SLICE_LIT("hello\n"));
    } else if (slice_equal_str(path, "/echo")) {
        exchange_collect(exchange, SIM_HTTP_ECHO_MAX, echo);
    } else if (slice_equal_str(path, "/pipe")) {
        exchange->app = &pipe_app;
        (void)exchange_begin(exchange, 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN);
    } else if (slice_equal_str(path, "/later")) {
        exchange->app = &later_app;
        http->exchange = exchange;
    } else if (slice_equal_str(path, "/early")) {
        exchange->app = &later_app;
        exchange_respond(exchange, 200, NULL, 0, SLICE_LIT("early\n"));
    } else {
        exchange_respond_text(exchange, 404, "no %.*s here\n", SLICE_ARG(path));
    }
}

static int connect_client(struct sim_http *http, const struct sim_options *network)
{
    struct stream *server_end;
    int r = sim_pair(http->sim, network, &http->client, &server_end);
    if (r == 0)
        http_server_adopt(http->server, server_end, &(struct peer){.family = AF_INET, .ip = {127, 0, 0, 1}});
    http->ended = false;
    http->error = 0;
    return r;
}

int sim_http_try_new(const struct http_server_options *options, const struct sim_options *network,
                     struct sim_http **ret_http)
{
    struct http_server_options defaults;
    http_server_options_init(&defaults);
    struct sim_http *http = calloc(1, sizeof(*http));
    if (!http)
        return -ENOMEM;
    struct exchange_handler handler = {on_request, http};
    /* Room beforehand, so that a failing allocation hits the code under test and not what watches it. */
    char *room;
    int r = buf_reserve(&http->heard, 256 * 1024, &room);
    if (r == 0)
        r = buf_reserve(&http->calls, 4 * 1024, &room);
    if (r == 0)
        r = sim_new(NULL, &http->sim, &http->loop);
    if (r == 0)
        r = http_server_new(http->loop, options ? options : &defaults, &handler, NULL, 0, &http->server);
    if (r == 0)
        r = connect_client(http, network);
    if (r < 0) {
        sim_http_free(http);
        return r;
    }
    *ret_http = http;
    return 0;
}

struct sim_http *sim_http_new(const struct http_server_options *options, const struct sim_options *network)
{
    struct sim_http *http;
    expect_int(sim_http_try_new(options, network, &http), 0);
    return http;
}

void sim_http_free(struct sim_http *http)
{
    if (!http)
        return;
    http_server_free(http->server);
    stream_close(http->client);
    if (http->loop)
        loop_free(http->loop);
    buf_deinit(&http->heard);
    buf_deinit(&http->calls);
    free(http);
}

void sim_http_reconnect(struct sim_http *http, const struct sim_options *network)
{
    stream_close(http->client);
    expect_int(connect_client(http, network), 0);
    sim_http_forget(http);
}

size_t sim_http_send(struct sim_http *http, struct slice bytes)
{
    size_t n_sent = 0;
    while (n_sent < bytes.len) {
        ssize_t n = stream_send(http->client, slice_skip(bytes, n_sent));
        if (n < 0)
            break;
        n_sent += (size_t)n;
        sim_run_for(http->sim, 0);
    }
    return n_sent;
}

void sim_http_say(struct sim_http *http, const char *text)
{
    (void)sim_http_send(http, slice_from_str(text));
    sim_run_for(http->sim, 0);
}

void sim_http_end(struct sim_http *http)
{
    expect_int(stream_shutdown(http->client), 0);
    sim_run_for(http->sim, 0);
}

const char *sim_http_hear(struct sim_http *http)
{
    for (;;) {
        char *room;
        expect_int(buf_reserve(&http->heard, 4096, &room), 0);
        ssize_t n = stream_recv(http->client, room, 4096);
        if (n > 0) {
            buf_commit(&http->heard, (size_t)n);
            sim_run_for(http->sim, 0);
            continue;
        }
        http->ended |= n == 0;
        if (n < 0 && n != -EAGAIN)
            http->error = (int)n;
        room[0] = '\0';
        return http->heard.ptr;
    }
}

void sim_http_forget(struct sim_http *http)
{
    buf_reset(&http->heard);
}

const char *sim_http_calls(struct sim_http *http)
{
    expect_int(buf_append(&http->calls, slice_from("", 1)), 0);
    buf_reset(&http->calls);
    return http->calls.ptr;
}

void sim_http_wait(struct sim_http *http, nsec_t duration_ns)
{
    sim_run_for(http->sim, duration_ns);
}
