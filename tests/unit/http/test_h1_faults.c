/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same conversation over networks that cut it into pieces of every size, break it at every byte, and with every
 * allocation failing in turn: the bytes must be the same, or the connection gone.
 */
#include "support/fault_alloc.h"
#include "support/sim_http.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

#define DATE     "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define OK(body) "HTTP/1.1 200 OK\r\n" DATE "content-length: " body
#define PIECES   "HTTP/1.1 200 OK\r\n" DATE "transfer-encoding: chunked\r\n\r\n"

static const char requests[] = "\r\nGET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
                               "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n0123456789"
                               "HEAD /hello HTTP/1.1\r\nhost: x\r\n\r\n"
                               "POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
                               "4\r\nabcd\r\n2;x=\"y\"\r\nef\r\n0\r\nx-t: u\r\n\r\n"
                               "POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nxyz"
                               "GET /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

static const char answers[] = OK("6\r\n\r\nhello\n") OK("10\r\n\r\n0123456789") OK("6\r\n\r\n") OK("6\r\n\r\nabcdef")
    OK("6\r\n\r\nhello\n") "HTTP/1.1 404 Not Found\r\n" DATE "content-length: 14\r\nconnection: close\r\n"
                           "content-type: text/plain; charset=utf-8\r\n\r\nno /none here\n";

static void converse(const struct sim_options *network)
{
    struct sim_http *http = sim_http_new(NULL, network);
    sim_http_say(http, requests);
    expect_str(sim_http_hear(http), answers);
    expect_true(http->ended);
    sim_http_end(http);
    expect_int(http_server_n_connections(http->server), 0);
    sim_http_free(http);
}

static void requests_may_come_in_pieces_of_any_size(void)
{
    for (size_t size = 1; size < sizeof(requests); size++)
        converse(&(struct sim_options){.to_b.pieces = (const size_t[]){size, 0}});
}

static void requests_may_be_cut_anywhere(void)
{
    for (size_t at = 1; at < sizeof(requests) - 1; at++)
        converse(&(struct sim_options){.to_b.pieces = (const size_t[]){at, sizeof(requests), 0}});
}

static void answers_may_leave_in_pieces_of_any_size(void)
{
    for (size_t size = 1; size < sizeof(answers); size++)
        converse(&(struct sim_options){.to_a.window_bytes = size});
}

static void a_reset_at_any_byte_leaves_nothing_behind(void)
{
    for (size_t at = 1; at < sizeof(requests) - 1; at++) {
        struct sim_http *http = sim_http_new(NULL, &(struct sim_options){.to_b.reset_at = at});
        (void)sim_http_send(http, slice_from_str(requests));
        sim_http_wait(http, 0);
        expect_int(http_server_n_connections(http->server), 0);
        sim_http_free(http);
    }
    for (size_t at = 1; at < sizeof(answers) - 1; at++) {
        struct sim_http *http = sim_http_new(NULL, &(struct sim_options){.to_a.reset_at = at});
        sim_http_say(http, requests);
        expect_int(http_server_n_connections(http->server), 0);
        sim_http_free(http);
    }
}

static int converse_or_fail(void *arg)
{
    struct sim_http *http;
    int r = sim_http_try_new(NULL, arg, &http);
    if (r < 0)
        return r;
    sim_http_say(http, requests);
    const char *heard = sim_http_hear(http);
    if (strcmp(heard, answers) != 0) {
        /* Cut, or one of the answers is that there is no memory; then nothing is wrong or twice. */
        const char *unavailable = strstr(heard, "HTTP/1.1 503 ");
        size_t n_same = unavailable ? (size_t)(unavailable - heard) : strlen(heard);
        expect_bytes(slice_from(heard, n_same), slice_from(answers, n_same));
        expect_true(unavailable || http->ended || http->error);
        r = -ENOMEM;
    }
    sim_http_free(http);
    return r;
}

static void any_allocation_may_fail(void)
{
    struct sim_options network = {.to_b.pieces = (const size_t[]){11, 0}, .to_a.window_bytes = 50};
    expect_true(fault_alloc_sweep(converse_or_fail, &network) > 10);
}

/* Nothing comes behind the one request: whoever got less than its answer must not wait for the rest. */
static int ask_or_fail(void *arg)
{
    struct sim_http *http;
    int r = sim_http_try_new(NULL, arg, &http);
    if (r < 0)
        return r;
    sim_http_say(http, "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n");
    if (strcmp(sim_http_hear(http), OK("6\r\n\r\nhello\n")) != 0) {
        expect_true(http->ended || http->error);
        r = -ENOMEM;
    }
    sim_http_free(http);
    return r;
}

static void who_gets_no_whole_answer_is_not_kept(void)
{
    struct sim_options network = {.to_a.window_bytes = 50};
    expect_true(fault_alloc_sweep(ask_or_fail, &network) > 0);
}

/* Random bodies in random pieces, over a random network, one request after another or many at a time. */
static void what_goes_in_comes_out(void)
{
    uint64_t seed = test_seed();
    for (int round = 0; round < 60; round++) {
        size_t pieces_in[] = {1 + test_random(&seed) % 3000, 1 + test_random(&seed) % 9000, 0};
        struct sim_options network = {
            .to_b = {.pieces = pieces_in, .window_bytes = 100 + test_random(&seed) % 60000},
            .to_a = {.window_bytes = 10 + test_random(&seed) % 60000},
        };
        struct http_server_options options;
        http_server_options_init(&options);
        options.send_high_bytes = 1 + test_random(&seed) % 20000;
        options.send_low_bytes = options.send_high_bytes / 2;
        struct sim_http *http = sim_http_new(&options, &network);
        struct buf sent = {0}, body = {0}, back = {0};

        size_t n_body = test_random(&seed) % 100000;
        for (size_t i = 0; i < n_body; i++)
            expect_int(buf_append_char(&body, (char)test_random(&seed)), 0);
        expect_int(buf_append_str(&sent, "POST /pipe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"), 0);
        for (size_t at = 0, n; at < n_body; at += n) {
            n = min_size(n_body - at, 1 + test_random(&seed) % 20000);
            expect_int(buf_printf(&sent, "%zx\r\n", n), 0);
            expect_int(buf_append(&sent, slice_from(body.ptr + at, n)), 0);
            expect_int(buf_append_str(&sent, "\r\n"), 0);
        }
        expect_int(buf_append_str(&sent, "0\r\n\r\nGET /hello HTTP/1.1\r\nhost: x\r\n\r\n"), 0);

        size_t n_sent = 0;
        while (n_sent < sent.len || !strstr(sim_http_hear(http), "hello\n")) {
            size_t n = min_size(sent.len - n_sent, 1 + test_random(&seed) % 30000);
            ssize_t taken = n > 0 ? stream_send(http->client, slice_from(sent.ptr + n_sent, n)) : 0;
            n_sent += taken > 0 ? (size_t)taken : 0;
            sim_http_wait(http, 0);
            (void)sim_http_hear(http);
            if (http->heard.len > 6 && memcmp(http->heard.ptr + http->heard.len - 6, "hello\n", 6) == 0 &&
                n_sent == sent.len)
                break;
        }

        /* Takes the chunks of the answer apart again. */
        struct slice rest = buf_slice(&http->heard);
        expect_true(slice_starts_with(rest, SLICE_LIT(PIECES)));
        rest = slice_skip(rest, sizeof(PIECES) - 1);
        for (;;) {
            char *end;
            size_t n = strtoul(rest.ptr, &end, 16);
            rest = slice_skip(rest, (size_t)(end - rest.ptr) + 2);
            if (n == 0)
                break;
            expect_int(buf_append(&back, slice_from(rest.ptr, n)), 0);
            rest = slice_skip(rest, n + 2);
        }
        expect_bytes(buf_slice(&back), buf_slice(&body));
        expect_bytes(slice_skip(rest, 2), SLICE_LIT(OK("6\r\n\r\nhello\n")));
        sim_http_free(http);
        buf_deinit(&sent);
        buf_deinit(&body);
        buf_deinit(&back);
    }
}

static const struct test_case cases[] = {
    {"requests may come in pieces of any size", requests_may_come_in_pieces_of_any_size},
    {"requests may be cut anywhere", requests_may_be_cut_anywhere},
    {"answers may leave in pieces of any size", answers_may_leave_in_pieces_of_any_size},
    {"a reset at any byte leaves nothing behind", a_reset_at_any_byte_leaves_nothing_behind},
    {"any allocation may fail", any_allocation_may_fail},
    {"who gets no whole answer is not kept", who_gets_no_whole_answer_is_not_kept},
    {"what goes in comes out", what_goes_in_comes_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
