/* SPDX-License-Identifier: Apache-2.0 */
#include "client/rpc.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

#define LIMIT ((size_t)4096)

static void a_request_goes_through(void)
{
    CLEANUP(buf_deinit) struct buf out = {0};
    struct rpc_request request;
    enum rpc_code code;
    rpc_write_request(&out, "su\"m", SLICE_LIT("{\"a\":1}"));
    expect_slice(buf_slice(&out), "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"su\\\"m\",\"params\":{\"a\":1}}");
    expect_int(rpc_read_request(buf_slice(&out), LIMIT, &request, &code, NULL), 0);
    expect_str(request.method, "su\"m");
    expect_str(request.params, "{\"a\":1}");
    expect_str(request.id, "1");
    rpc_request_deinit(&request);
}

static const struct {
    const char *text;
    int code; /* 0: it is one */
    const char *id;
} requests[] = {
    {"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", 0, NULL},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":\"a\\nb\"}", 0, "\"a\\nb\""},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":null}", 0, "null"},
    {"{", RPC_PARSE_ERROR, NULL},
    {"[]", RPC_INVALID_REQUEST, NULL},
    {"{\"jsonrpc\":\"1.0\",\"method\":\"m\",\"id\":7}", RPC_INVALID_REQUEST, "7"},
    {"{\"jsonrpc\":\"2.0\",\"method\":7,\"id\":7}", RPC_INVALID_REQUEST, "7"},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"\",\"id\":7}", RPC_INVALID_REQUEST, "7"},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"id\":[]}", RPC_INVALID_REQUEST, NULL},
    {"{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":1}", RPC_INVALID_REQUEST, NULL},
};

static void each_request_has_its_result(void)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct rpc_request request;
        enum rpc_code code;
        struct err err = {""};
        int r = rpc_read_request(slice_from_str(requests[i].text), LIMIT, &request, &code, &err);
        if (r != (requests[i].code ? -EINVAL : 0) || (r < 0 && ((int)code != requests[i].code || !*err.text)))
            test_fail(__FILE__, __LINE__, "%s: %d, %d, %s", requests[i].text, r, (int)code, err.text);
        expect_str(request.id, requests[i].id);
        rpc_request_deinit(&request);
    }
}

static void replies_go_through(void)
{
    CLEANUP(buf_deinit) struct buf out = {0};
    struct rpc_reply reply;
    rpc_write_result(&out, "1", SLICE_LIT("[null]"));
    expect_int(rpc_read_reply(buf_slice(&out), LIMIT, &reply, NULL), 0);
    expect_str(reply.result, "[null]");
    rpc_reply_deinit(&reply);
    buf_reset(&out);
    rpc_write_error(&out, NULL, -5, "line\nbreak");
    expect_slice(buf_slice(&out),
                 "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-5,\"message\":\"line\\nbreak\"}}");
    expect_int(rpc_read_reply(buf_slice(&out), LIMIT, &reply, NULL), 0);
    expect_true(reply.result == NULL);
    expect_int(reply.code, -5);
    expect_str(reply.message, "line\nbreak");
    rpc_reply_deinit(&reply);
}

static void values_are_normalised(void)
{
    static const char *const good[][2] = {
        {" { \"a\" :\n1 } ", "{\"a\":1}"}, {"7", "7"}, {"\"\\u000a\"", "\"\\n\""}, {"null", "null"}};
    static const char *const bad[] = {"", "1,2", "]", "{", "\"\n\""};
    char *line;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        expect_int(rpc_normalise(slice_from_str(good[i][0]), LIMIT, &line, NULL), 0);
        expect_str(line, good[i][1]);
        free(line);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_int(rpc_normalise(slice_from_str(bad[i]), LIMIT, &line, NULL), -EINVAL);
    expect_int(rpc_normalise(SLICE_LIT("\"too long\""), 4, &line, NULL), -EINVAL);
}

static int read_once(void *arg)
{
    (void)arg;
    struct rpc_request request;
    struct rpc_reply reply;
    enum rpc_code code;
    char *line = NULL;
    int r = rpc_read_request(SLICE_LIT("{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":[],\"id\":1}"), LIMIT,
                             &request, &code, NULL);
    rpc_request_deinit(&request);
    if (r == 0) {
        r = rpc_read_reply(SLICE_LIT("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":2}"), LIMIT, &reply, NULL);
        rpc_reply_deinit(&reply);
    }
    if (r == 0)
        r = rpc_normalise(SLICE_LIT("[1]"), LIMIT, &line, NULL);
    free(line);
    return r;
}

static void running_out_of_memory_is_an_error(void)
{
    expect_true(fault_alloc_sweep(read_once, NULL) >= 2);
}

static const struct test_case cases[] = {
    {"a request goes through", a_request_goes_through},
    {"each request has its result", each_request_has_its_result},
    {"replies go through", replies_go_through},
    {"values are normalised", values_are_normalised},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
