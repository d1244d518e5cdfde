/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set of connections: which protocol is spoken, how many there may be, how they end, what they cost.
 */
#include "http/server_impl.h"
#include "support/sim_http.h"
#include "support/test.h"

#include <stdlib.h>

#define GET(path) "GET " path " HTTP/1.1\r\nhost: x\r\n\r\n"
#define PREFACE   "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void an_idle_connection_is_small(void)
{
    /* With the stream's 64 bytes. Both are in slabs, which add some percent. */
    expect_true(LOOP_STREAM_BYTES + sizeof(struct http_connection) <= 192);

    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab");
    sim_http_say(http, "cde" GET("/hello"));
    struct http_connection *connection = container_of(http->server->open.next, struct http_connection, link);
    expect_int(connection->state, CONNECTION_REST);
    expect_true(outq_is_empty(&connection->queue) && !connection->queue.first);
    expect_true(!connection->session);
    sim_http_say(http, GET("/hello"));
    expect_int(connection->state, CONNECTION_REST);
    sim_http_free(http);
}

static void the_first_bytes_tell_the_protocol(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    sim_http_say(http, PREFACE "\0\0\0\4\0\0\0\0\0"); /* ends at its first NUL: the preface alone */
    expect_int(sim_http_send(http, slice_from("\0\0\0\4\0\0\0\0\0", 9)), 9);
    const char *heard = sim_http_hear(http);
    expect_true(http->heard.len >= 9 && heard[3] == 4); /* the server's SETTINGS */
    sim_http_free(http);

    /* The preface may come in pieces … */
    http = sim_http_new(NULL, &(struct sim_options){.to_b.pieces = SIM_BYTEWISE});
    sim_http_say(http, PREFACE);
    expect_int(sim_http_send(http, slice_from("\0\0\0\4\0\0\0\0\0", 9)), 9);
    heard = sim_http_hear(http);
    expect_true(http->heard.len >= 9 && heard[3] == 4);
    sim_http_free(http);

    /* … and what begins like it may be something else. */
    http = sim_http_new(NULL, NULL);
    sim_http_say(http, "P");
    sim_http_say(http, "OST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok");
    expect_true(strstr(sim_http_hear(http), "\r\n\r\nok"));
    sim_http_forget(http);
    sim_http_reconnect(http, NULL);
    sim_http_say(http, "PRI * HTTP/1");
    sim_http_say(http, ".1\r\nhost: x\r\n\r\n");
    expect_true(strstr(sim_http_hear(http), "HTTP/1.1 400 "));
    sim_http_free(http);
}

static void one_connection_too_many_is_told_and_closed(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    options.n_connections_max = 1;
    struct sim_http *http = sim_http_new(&options, NULL);
    struct stream *first = TAKE(http->client);
    sim_http_reconnect(http, NULL);
    sim_http_wait(http, 0);
    const char *told = sim_http_hear(http);
    expect_true(strstr(told, "HTTP/1.1 503 Service Unavailable\r\n") == told);
    expect_true(strstr(told, "\r\n\r\nthere are too many connections, or the server is stopping: try again later\n"));
    expect_true(http->ended);
    expect_int(http_server_n_connections(http->server), 1);
    stream_close(first);
    sim_http_wait(http, 0);
    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/hello"));
    expect_true(strstr(sim_http_hear(http), "hello\n"));
    sim_http_free(http);
}

static void count_drained(void *ctx)
{
    ++*(int *)ctx;
}

static void draining_lets_requests_finish(void)
{
    int n_drained = 0;
    struct sim_http *http = sim_http_new(NULL, NULL);
    struct stream *silent = TAKE(http->client);
    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/hello"));
    struct stream *idle = TAKE(http->client);
    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/later"));
    expect_int(http_server_n_connections(http->server), 3);

    http_server_drain(http->server, count_drained, &n_drained);
    sim_http_wait(http, 0);
    expect_int(n_drained, 0);
    char bytes[256];
    expect_int(stream_recv(silent, bytes, sizeof(bytes)), 0);
    expect_true(stream_recv(idle, bytes, sizeof(bytes)) > 0);
    expect_int(stream_recv(idle, bytes, sizeof(bytes)), 0);
    stream_close(silent);
    stream_close(idle);

    exchange_respond(http->exchange, 200, NULL, 0, SLICE_LIT("last"));
    sim_http_wait(http, 0);
    expect_true(strstr(sim_http_hear(http), "\r\nconnection: close\r\n\r\nlast"));
    expect_true(http->ended);
    sim_http_end(http);
    expect_int(n_drained, 1);

    sim_http_reconnect(http, NULL);
    sim_http_wait(http, 0);
    (void)sim_http_hear(http);
    expect_true(http->ended);
    expect_int(n_drained, 1);
    sim_http_free(http);
}

static void free_server(void *ctx)
{
    struct sim_http *http = ctx;
    http_server_free(TAKE(http->server));
}

static void a_drained_server_may_be_freed_at_once(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    http_server_drain(http->server, free_server, http);
    sim_http_wait(http, 0);
    expect_false(http->server);
    sim_http_free(http);
}

static void answer_hello(void *ctx, struct exchange *exchange)
{
    (void)ctx;
    exchange_respond(exchange, 200, NULL, 0, SLICE_LIT("hello\n"));
}

/* What the registry has for a server that answered, refused and closed. */
static void what_happens_is_counted(void)
{
    struct sim *sim;
    struct loop *loop;
    struct metrics *metrics;
    struct http_metrics *http_metrics;
    struct http_server *server;
    struct http_server_options options;
    http_server_options_init(&options);
    expect_int(sim_new(NULL, &sim, &loop), 0);
    expect_int(metrics_new(2, &metrics), 0);
    expect_int(http_metrics_new(metrics, &http_metrics), 0);
    const struct exchange_handler handler = {answer_hello, NULL};
    expect_int(http_server_new(loop, &options, &handler, http_metrics, 1, &server), 0);

    struct stream *client[2];
    for (int i = 0; i < 2; i++) {
        struct stream *end;
        expect_int(sim_pair(sim, NULL, &client[i], &end), 0);
        http_server_adopt(server, end, &(struct peer){.family = AF_INET});
    }
    (void)stream_send(client[0], SLICE_LIT(GET("/") GET("/")));
    (void)stream_send(client[1], SLICE_LIT("nonsense\r\n\r\n"));
    sim_run_for(sim, 0);
    stream_close(client[1]);
    sim_run_for(sim, 0);

    struct buf text = {0};
    expect_int(metrics_render(metrics, &text), 0);
    expect_int(buf_append_char(&text, '\0'), 0);
    static const char *const lines[] = {
        "muster_http_connections_accepted_total 2\n",
        "muster_http_connections_open 1\n",
        "muster_http_requests_malformed_total 1\n",
        "muster_http_connections_total{protocol=\"http1\"} 2\n",
        "muster_http_requests_total{protocol=\"http1\",code=\"2xx\"} 2\n",
        "muster_http_requests_total{protocol=\"http1\",code=\"4xx\"} 1\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(text.ptr, lines[i]))
            test_fail(__FILE__, __LINE__, "no %s in:\n%s", lines[i], text.ptr);
    buf_deinit(&text);
    http_server_free(server);
    stream_close(client[0]);
    loop_free(loop);
    http_metrics_free(http_metrics);
    metrics_free(metrics);
}

/* A connection that always has more to read does not keep the others from being served. */
static void a_busy_connection_does_not_starve_the_others(void)
{
    struct sim_http *http = sim_http_new(NULL, NULL);
    struct stream *busy = TAKE(http->client);
    char *garbage = calloc(1, SIM_WINDOW_BYTES);
    expect_true(garbage);
    (void)stream_send(busy, SLICE_LIT("POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n"));
    (void)stream_send(busy, slice_from(garbage, SIM_WINDOW_BYTES));
    sim_http_reconnect(http, NULL);
    sim_http_say(http, GET("/hello"));
    expect_true(strstr(sim_http_hear(http), "hello\n"));
    free(garbage);
    stream_close(busy);
    sim_http_free(http);
}

static const struct test_case cases[] = {
    {"an idle connection is small and owns no buffer", an_idle_connection_is_small},
    {"the first bytes tell the protocol", the_first_bytes_tell_the_protocol},
    {"one connection too many is told and closed", one_connection_too_many_is_told_and_closed},
    {"draining closes idle connections and lets requests finish", draining_lets_requests_finish},
    {"a drained server may be freed at once", a_drained_server_may_be_freed_at_once},
    {"what happens is counted", what_happens_is_counted},
    {"a busy connection does not starve the others", a_busy_connection_does_not_starve_the_others},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
