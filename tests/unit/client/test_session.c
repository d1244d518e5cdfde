/* SPDX-License-Identifier: Apache-2.0 */
#include "client/session.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>

static const struct session_options by_http = {.path = "/rpc", .message_bytes = 100};
static const struct session_options by_line = {.is_line = true, .message_bytes = 100};

#define CALL      "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":7}"
#define REPLY     "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":true}"
#define POST(len) "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: " len "\r\n\r\n"

/* All that the session writes when it is given the text, `at_once` bytes at a time, and answers true to each call. */
static int talk(const struct session_options *options, const char *text, size_t at_once, struct buf *ret_out)
{
    struct session session;
    struct slice rest = slice_from_str(text);
    int step = SESSION_MORE;
    session_init(&session, options);
    while (step >= 0 && step != SESSION_ENDED && (step != SESSION_MORE || rest.len > 0)) {
        size_t n = min_size(min_size(rest.len, at_once), session_room(&session));
        if (step == SESSION_MORE) {
            step = session_take(&session, (struct slice){rest.ptr, n});
            rest = slice_skip(rest, n);
        } else {
            step = session_reply(&session, SLICE_LIT("true"));
        }
        if (step == 0)
            step = session_step(&session);
    }
    if (step == SESSION_ENDED)
        buf_append_str(&session.out, "|");
    buf_append(ret_out, buf_slice(&session.out));
    session_deinit(&session);
    return step < 0 ? step : buf_error(ret_out);
}

static const struct {
    const struct session_options *options;
    const char *in, *out; /* '|': and ends */
} talks[] = {
    {&by_line, CALL "\n\r\n" CALL "\r\n", REPLY "\n" REPLY "\n"},
    {&by_line, "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}\n" CALL "\n", REPLY "\n"},
    {&by_line, "[]\n" CALL "\n",
     "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"expected one request, an object; "
     "batches "
     "are not taken\"}}\n" REPLY "\n"},
    {&by_http, POST("37") CALL POST("37") CALL,
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n" REPLY
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n" REPLY},
    {&by_http, "POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n25\r\n" CALL "\r\n0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 38\r\n\r\n" REPLY},
    {&by_http, POST("31") "{\"jsonrpc\":\"2.0\",\"method\":\"m\"} ", "HTTP/1.1 204 No Content\r\n\r\n"},
    {&by_http, "GET /heart-beat HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"},
    {&by_http, "GET /heart-beat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n|"},
    {&by_http, "GET /heart-beat HTTP/1.0\r\n\r\n",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nConnection: close\r\n\r\n|"},
    {&by_http, "DELETE /services HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"},
    {&by_http, "GET /rpc HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 405 Method Not Allowed\r\nContent-Type: text/plain\r\nContent-Length: 0\r\nAllow: POST\r\n\r\n"},
    {&by_http, "GET /other HTTP/1.1\r\nHost: x\r\n\r\n",
     "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n"},
    {&by_http, POST("101"),
     "HTTP/1.1 413 Content Too Large\r\nContent-Type: text/plain\r\nContent-Length: 23\r\nConnection: "
     "close\r\n\r\nthe request is too long|"},
};

static void each_talk_is_as_it_should_be(void)
{
    for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
        static const size_t paces[] = {1, 3, 16384};
        for (size_t pace = 0; pace < ARRAY_LEN(paces); pace++) {
            CLEANUP(buf_deinit) struct buf out = {0};
            expect_int(talk(talks[i].options, talks[i].in, paces[pace], &out), 0);
            expect_slice(buf_slice(&out), talks[i].out);
        }
    }
}

static void what_is_too_long_is_refused(void)
{
    static char line[300], chunked[400];
    CLEANUP(buf_deinit) struct buf out = {0};
    memset(line, 'x', sizeof(line) - 1);
    expect_int(talk(&by_line, line, 7, &out), 0);
    expect_slice(
        buf_slice(&out),
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32600,\"message\":\"the line is too long\"}}\n|");
    buf_reset(&out);
    snprintf(chunked, sizeof(chunked), "POST /rpc HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n%s",
             line);
    expect_int(talk(&by_http, chunked, 7, &out), 0);
    expect_true(slice_starts_with(buf_slice(&out), SLICE_LIT("HTTP/1.1 413 ")));
}

static void the_last_request_is_answered_and_no_other(void)
{
    struct session session;
    session_init(&session, &by_http);
    expect_int(session_take(&session, SLICE_LIT(POST("37") CALL POST("37") CALL)), 0);
    expect_int(session_step(&session), SESSION_REQUEST);
    expect_int(session_step(&session), SESSION_BUSY);
    expect_int(session_room(&session), 0);
    session.is_last = true;
    expect_int(session_fail(&session, -3, "no"), 0);
    expect_int(session_step(&session), SESSION_ENDED);
    expect_slice(buf_slice(&session.out),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 59\r\nConnection: close\r\n\r\n"
                 "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-3,\"message\":\"no\"}}");
    session_deinit(&session);
}

static int talk_once(void *arg)
{
    CLEANUP(buf_deinit) struct buf out = {0};
    (void)arg;
    int r = talk(&by_http, POST("37") CALL, 5, &out);
    return r < 0 ? r : talk(&by_line, CALL "\n{}\n", 5, &out);
}

static void running_out_of_memory_is_an_error(void)
{
    expect_true(fault_alloc_sweep(talk_once, NULL) >= 10);
}

static const struct test_case cases[] = {
    {"each talk is as it should be", each_talk_is_as_it_should_be},
    {"what is too long is refused", what_is_too_long_is_refused},
    {"the last request is answered, and no other", the_last_request_is_answered_and_no_other},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
