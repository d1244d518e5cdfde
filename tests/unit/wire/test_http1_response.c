/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "wire/http1.h"

#include <errno.h>

static const struct http1_limits limits = {.head_bytes = 8192, .target_bytes = 4096, .n_fields = 100};

#define HEAD(text) SLICE_LIT(text "\r\n\r\n")

/* Parses a head that is right, as the answer to `method`. */
static struct http_response parse(enum http_method method, struct slice text)
{
    static struct http_fields fields;
    struct http_response response;
    struct http1_fault fault = {.text = ""};
    expect_int(http1_head_end(text, 0), text.len);
    if (http1_parse_response(text, &limits, method, &fields, &response, &fault) < 0)
        test_fail(__FILE__, __LINE__, "refused with %u: %s\n%.*s", fault.status, fault.text, SLICE_ARG(text));
    return response;
}

static void parses_an_ordinary_response(void)
{
    struct http_response response = parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 404 Not Found\r\n"
                                                                "Content-Length: 12\r\n"
                                                                "Host: a,b\r\n"
                                                                "Expect: nothing"));
    expect_int(response.status, 404);
    expect_int(response.version_major, 1);
    expect_int(response.version_minor, 1);
    expect_slice(response.reason, "Not Found");
    expect_int(response.framing, HTTP_BODY_LENGTH);
    expect_int(response.content_length, 12);
    expect_true(response.keep_alive);
    expect_int(response.fields->n, 3);
    expect_slice(response.fields->items[1].value, "a,b");
}

static void reason_may_be_empty_or_missing(void)
{
    expect_slice(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200 ")).reason, "");
    expect_slice(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200")).reason, "");
    expect_slice(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200  a\tb\xe9 ")).reason, " a\tb\xe9 ");
    expect_int(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 599 ")).status, 599);
    expect_int(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 100 Continue")).status, 100);
}

/* RFC 9112 6.3, in its order. */
static void framing_follows_the_rfc(void)
{
    struct http_response response = parse(HTTP_METHOD_HEAD, HEAD("HTTP/1.1 200 OK\r\nContent-Length: 7"));
    expect_int(response.framing, HTTP_BODY_NONE);
    expect_int(response.content_length, 7);
    expect_true(response.keep_alive);
    expect_int(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 103 Early Hints")).framing, HTTP_BODY_NONE);
    expect_int(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 101 Switching Protocols")).framing, HTTP_BODY_NONE);
    expect_int(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 204 No Content")).framing, HTTP_BODY_NONE);
    response = parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 304 Not Modified\r\nContent-Length: 7"));
    expect_int(response.framing, HTTP_BODY_NONE);
    expect_int(response.content_length, 7);
    expect_true(response.keep_alive);
    response = parse(HTTP_METHOD_CONNECT, HEAD("HTTP/1.1 200 Connected\r\nTransfer-Encoding: chunked"));
    expect_int(response.framing, HTTP_BODY_NONE);
    response = parse(HTTP_METHOD_CONNECT, HEAD("HTTP/1.1 407 No\r\nTransfer-Encoding: chunked"));
    expect_int(response.framing, HTTP_BODY_CHUNKED);
    response = parse(HTTP_METHOD_POST, HEAD("HTTP/1.1 200 OK\r\nContent-Length: 0"));
    expect_int(response.framing, HTTP_BODY_LENGTH);
    response = parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 205 Reset Content"));
    expect_int(response.framing, HTTP_BODY_STREAM);
}

static void keep_alive_needs_a_known_end(void)
{
    expect_true(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")).keep_alive);
    expect_false(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200 OK\r\nConnection: keep-alive")).keep_alive);
    expect_false(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1")).keep_alive);
    expect_false(parse(HTTP_METHOD_GET, HEAD("HTTP/1.0 200 OK\r\nContent-Length: 1")).keep_alive);
    expect_true(
        parse(HTTP_METHOD_GET, HEAD("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive")).keep_alive);
}

static void connection_is_not_reused_behind_a_body_that_cannot_be(void)
{
    expect_true(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 204 No Content\r\nContent-Length: 0")).keep_alive);
    expect_false(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 204 No Content\r\nContent-Length: 5")).keep_alive);
    expect_false(parse(HTTP_METHOD_GET, HEAD("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked")).keep_alive);
    expect_true(parse(HTTP_METHOD_HEAD, HEAD("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")).keep_alive);
}

static void each_prefix_of_a_head_waits_for_more(void)
{
    struct slice head = HEAD("HTTP/1.1 200 OK\r\nServer: a\r\nContent-Length: 1");
    struct http1_fault fault;
    for (size_t n = 0; n < head.len; n++) {
        struct slice prefix = slice_from(head.ptr, n);
        expect_int(http1_head_end(prefix, 0), 0);
        expect_int(http1_check_partial_response(prefix, &limits, &fault), 0);
    }
}

static void hopeless_beginnings_are_refused_early(void)
{
    struct http1_limits tight = {.head_bytes = 16, .target_bytes = 16, .n_fields = 4};
    struct http1_fault fault;
    expect_int(http1_check_partial_response(SLICE_LIT("HTTX"), &tight, &fault), -EBADMSG);
    expect_int(fault.status, 502);
    expect_int(http1_check_partial_response(SLICE_LIT("HTTP/2"), &tight, &fault), -EBADMSG);
    expect_int(http1_check_partial_response(SLICE_LIT("\r\nHTTP/1.1"), &tight, &fault), -EBADMSG);
    expect_int(http1_check_partial_response(SLICE_LIT("HTTP/1.1 200 OK"), &tight, &fault), 0);
    expect_int(http1_check_partial_response(SLICE_LIT("HTTP/1.1 200 OK\r"), &tight, &fault), -EBADMSG);
    expect_int(fault.status, 502);
}

static const struct test_case cases[] = {
    {"an ordinary response is taken apart", parses_an_ordinary_response},
    {"the reason may be empty or missing", reason_may_be_empty_or_missing},
    {"framing follows RFC 9112 6.3 in its order", framing_follows_the_rfc},
    {"keep-alive needs a body with a known end", keep_alive_needs_a_known_end},
    {"a connection is not used again behind a body that cannot be",
     connection_is_not_reused_behind_a_body_that_cannot_be},
    {"each prefix of a head waits for more", each_prefix_of_a_head_waits_for_more},
    {"what can never become a response is refused early", hopeless_beginnings_are_refused_early},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
