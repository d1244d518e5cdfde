/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "wire/http1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct http1_limits limits = {.head_bytes = 8192, .target_bytes = 4096, .n_fields = 100};

/* Parses a head that is right; the result points into `text`. */
static struct http_request parse(struct slice text)
{
    static struct http_fields fields;
    struct http_request request;
    struct http1_fault fault = {.text = ""};
    expect_int(http1_head_end(text, 0), text.len);
    if (http1_parse_request(text, &limits, &fields, &request, &fault) < 0)
        test_fail(__FILE__, __LINE__, "refused with %u: %s\n%.*s", fault.status, fault.text, SLICE_ARG(text));
    return request;
}

#define HEAD(text) SLICE_LIT(text "\r\n\r\n")

static void parses_an_ordinary_request(void)
{
    struct http_request request = parse(HEAD("GET /a/b?c=d HTTP/1.1\r\n"
                                             "Host: example.com:8080\r\n"
                                             "X-Empty:\r\n"
                                             "Accept:\t */*  \t"));
    expect_int(request.method, HTTP_METHOD_GET);
    expect_slice(request.method_text, "GET");
    expect_slice(request.target, "/a/b?c=d");
    expect_slice(request.path, "/a/b");
    expect_slice(request.query, "c=d");
    expect_slice(request.authority, "example.com:8080");
    expect_int(request.version_major, 1);
    expect_int(request.version_minor, 1);
    expect_int(request.framing, HTTP_BODY_NONE);
    expect_true(request.keep_alive);
    expect_false(request.expect_continue);
    expect_false(request.upgrade);
    expect_int(request.fields->n, 3);
    expect_slice(request.fields->items[0].name, "Host");
    expect_int(request.fields->items[0].id, HTTP_FIELD_HOST);
    expect_slice(request.fields->items[1].name, "X-Empty");
    expect_slice(request.fields->items[1].value, "");
    expect_int(request.fields->items[1].id, HTTP_FIELD_OTHER);
    expect_slice(request.fields->items[2].value, "*/*");
    expect_int(request.fields->items[2].id, HTTP_FIELD_ACCEPT);
}

static void keeps_bytes_that_are_allowed(void)
{
    struct http_request request = parse(HEAD("M-SEARCH /%00\"<>[]\\^`{|}~ HTTP/1.1\r\n"
                                             "Host: a\r\n"
                                             "!#$%&'*+-.^_`|~09azAZ: \xc3\xa4\xff\ttab \"quoted\""));
    expect_int(request.method, HTTP_METHOD_OTHER);
    expect_slice(request.method_text, "M-SEARCH");
    expect_slice(request.path, "/%00\"<>[]\\^`{|}~");
    expect_slice(request.fields->items[1].name, "!#$%&'*+-.^_`|~09azAZ");
    expect_slice(request.fields->items[1].value, "\xc3\xa4\xff\ttab \"quoted\"");
}

static void skips_empty_lines_before_the_request(void)
{
    expect_slice(parse(HEAD("\r\nGET / HTTP/1.1\r\nHost: a")).path, "/");
    expect_slice(parse(HEAD("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a")).path, "/");
}

static void splits_target_at_the_first_question_mark(void)
{
    struct http_request request = parse(HEAD("GET /a?b?c HTTP/1.1\r\nHost: a"));
    expect_slice(request.path, "/a");
    expect_slice(request.query, "b?c");
    request = parse(HEAD("GET /a? HTTP/1.1\r\nHost: a"));
    expect_slice(request.path, "/a");
    expect_slice(request.query, "");
}

static void absolute_target_wins_over_host(void)
{
    struct http_request request = parse(HEAD("GET http://real:81/a?b HTTP/1.1\r\nHost: fake"));
    expect_slice(request.authority, "real:81");
    expect_slice(request.path, "/a");
    expect_slice(request.query, "b");
    expect_slice(request.target, "http://real:81/a?b");
    request = parse(HEAD("GET HTTPS://[::1] HTTP/1.1\r\nHost: fake"));
    expect_slice(request.authority, "[::1]");
    expect_slice(request.path, "/");
    request = parse(HEAD("GET http://real?b/c HTTP/1.1\r\nHost: fake"));
    expect_slice(request.authority, "real");
    expect_slice(request.path, "/");
    expect_slice(request.query, "b/c");
}

static void options_may_ask_for_the_whole_server(void)
{
    expect_slice(parse(HEAD("OPTIONS * HTTP/1.1\r\nHost: a")).path, "*");
    expect_slice(parse(HEAD("OPTIONS http://b HTTP/1.1\r\nHost: a")).path, "*");
    expect_slice(parse(HEAD("OPTIONS http://b/ HTTP/1.1\r\nHost: a")).path, "/");
    expect_slice(parse(HEAD("OPTIONS http://b?c HTTP/1.1\r\nHost: a")).path, "/");
}

static void connect_names_host_and_port(void)
{
    struct http_request request = parse(HEAD("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com"));
    expect_int(request.method, HTTP_METHOD_CONNECT);
    expect_slice(request.authority, "example.com:443");
    expect_slice(request.path, "");
    expect_slice(parse(HEAD("CONNECT [::1]:443 HTTP/1.1\r\nHost: a")).authority, "[::1]:443");
}

static void framing_follows_the_fields(void)
{
    struct http_request request = parse(HEAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807"));
    expect_int(request.framing, HTTP_BODY_LENGTH);
    expect_int(request.content_length, INT64_MAX);
    request = parse(HEAD("POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 0005"));
    expect_int(request.content_length, 5);
    request = parse(HEAD("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0"));
    expect_int(request.framing, HTTP_BODY_LENGTH);
    expect_int(request.content_length, 0);
    request = parse(HEAD("POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: Chunked"));
    expect_int(request.framing, HTTP_BODY_CHUNKED);
}

static void keep_alive_follows_version_and_connection(void)
{
    expect_true(parse(HEAD("GET / HTTP/1.1\r\nHost: a")).keep_alive);
    expect_false(parse(HEAD("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close")).keep_alive);
    expect_false(parse(HEAD("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: x,,close")).keep_alive);
    expect_false(parse(HEAD("GET / HTTP/1.0")).keep_alive);
    expect_true(parse(HEAD("GET / HTTP/1.0\r\nConnection: TE, Keep-Alive")).keep_alive);
    expect_false(parse(HEAD("GET / HTTP/1.0\r\nConnection: keep-alive, close")).keep_alive);
}

static void http_1_0_needs_no_host(void)
{
    struct http_request request = parse(HEAD("GET / HTTP/1.0"));
    expect_int(request.version_minor, 0);
    expect_slice(request.authority, "");
    expect_int(request.fields->n, 0);
}

static void expects_continue_only_with_a_body_and_http_1_1(void)
{
    expect_true(parse(HEAD("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1")).expect_continue);
    expect_false(parse(HEAD("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 0")).expect_continue);
    expect_false(parse(HEAD("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue")).expect_continue);
    expect_false(parse(HEAD("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1")).expect_continue);
}

static void upgrade_needs_both_fields_and_is_not_h2c(void)
{
#define UPGRADE(text) parse(HEAD("GET / HTTP/1.1\r\nHost: a\r\n" text)).upgrade
    expect_true(UPGRADE("Connection: Upgrade\r\nUpgrade: websocket"));
    expect_true(UPGRADE("Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0"));
    expect_false(UPGRADE("Upgrade: websocket"));
    expect_false(UPGRADE("Connection: upgrade"));
    expect_false(UPGRADE("Connection: upgrade\r\nUpgrade:"));
    expect_false(UPGRADE("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk"));
    expect_false(UPGRADE("Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 3"));
    expect_false(UPGRADE("Connection: Upgrade\r\nUpgrade: h2c, websocket"));
    expect_false(UPGRADE("Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c"));
    expect_false(parse(HEAD("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket")).upgrade);
#undef UPGRADE
}

/* What a byte-dripping client sends on its way to a complete head. */
static void each_prefix_of_a_head_waits_for_more(void)
{
    static const struct slice heads[] = {
        HEAD("\r\n\r\nGET /a/b?c=d HTTP/1.1\r\nHost: a\r\nAccept: */*\r\nX-Empty:"),
        HEAD("OPTIONS * HTTP/1.0"),
        HEAD("CONNECT a:443 HTTP/1.1\r\nHost: a"),
        HEAD("POST http://b/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked"),
    };
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        for (size_t n = 0; n < heads[i].len; n++) {
            /* Memory of exactly this size, for ASan. */
            char *copy = malloc(n + (n == 0));
            expect_true(copy != NULL);
            memcpy(copy, heads[i].ptr, n);
            struct slice prefix = slice_from(copy, n);
            struct http1_fault fault = {.text = ""};
            expect_int(http1_head_end(prefix, 0), 0);
            expect_int(http1_head_end(prefix, n > 0 ? n - 1 : 0), 0);
            if (http1_check_partial(prefix, &limits, &fault) < 0)
                test_fail(__FILE__, __LINE__, "%zu bytes of head %zu: %s", n, i, fault.text);
            free(copy);
        }
        for (size_t searched = 0; searched < heads[i].len; searched++)
            expect_int(http1_head_end(heads[i], searched), heads[i].len);
    }
}

static void head_ends_before_the_body(void)
{
    struct slice bytes = SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n");
    for (size_t searched = 0; searched < 27; searched++)
        expect_int(http1_head_end(bytes, searched), 27);
}

static unsigned partial_status(struct slice bytes, const struct http1_limits *tight)
{
    struct http1_fault fault;
    return http1_check_partial(bytes, tight, &fault) < 0 ? fault.status : 0;
}

static void hopeless_beginnings_are_refused_early(void)
{
    static const struct http1_limits tight = {.head_bytes = 64, .target_bytes = 16, .n_fields = 4};
    expect_int(partial_status(SLICE_LIT("\x16\x03\x01"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("SSH-2.0-OpenSSH_9.2\r\n"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("{\"a"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("GET\n"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("GET /\r\n"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("GET / HTTP/1.1\n"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("GET / HTTP/1.3\r\n"), &tight), 505);
    expect_int(partial_status(SLICE_LIT("GET /23456789012345"), &tight), 0);
    expect_int(partial_status(SLICE_LIT("GET /234567890123456"), &tight), 0);
    expect_int(partial_status(SLICE_LIT("GET /2345678901234567"), &tight), 414);
    expect_int(partial_status(SLICE_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"), &tight), 0);
    expect_int(partial_status(SLICE_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"), &tight), 400);
    expect_int(partial_status(SLICE_LIT("GET / HTTP/1.1\r\nA: 234567890123456789012345678901234567890123"), &tight), 0);
    expect_int(partial_status(SLICE_LIT("GET / HTTP/1.1\r\nA: 2345678901234567890123456789012345678901234567"), &tight),
               431);
}

static void limits_are_exact(void)
{
    struct slice head = HEAD("GET /567 HTTP/1.1\r\nHost: a\r\nB: c");
    struct http1_limits exact = {.head_bytes = head.len, .target_bytes = 4, .n_fields = 2};
    struct http_fields fields;
    struct http_request request;
    struct http1_fault fault;
    expect_int(http1_parse_request(head, &exact, &fields, &request, &fault), 0);

    struct http1_limits tight = exact;
    tight.head_bytes--;
    expect_int(http1_parse_request(head, &tight, &fields, &request, &fault), -EBADMSG);
    expect_int(fault.status, 431);
    tight = exact;
    tight.target_bytes--;
    expect_int(http1_parse_request(head, &tight, &fields, &request, &fault), -EBADMSG);
    expect_int(fault.status, 414);
    tight = exact;
    tight.n_fields--;
    expect_int(http1_parse_request(head, &tight, &fields, &request, &fault), -EBADMSG);
    expect_int(fault.status, 431);
}

/* Whatever the caller's limit, the room in http_fields is one too. */
static void more_fields_than_room_are_refused(void)
{
    char text[64 + 4 * HTTP_FIELDS_MAX + 4];
    struct http1_limits wide = {.head_bytes = sizeof(text), .target_bytes = 100, .n_fields = 10000};
    for (unsigned n_more = HTTP_FIELDS_MAX - 1; n_more <= HTTP_FIELDS_MAX; n_more++) {
        size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\n");
        for (unsigned i = 0; i < n_more; i++)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "B:\r\n");
        len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
        struct http_fields fields;
        struct http_request request;
        struct http1_fault fault;
        int r = http1_parse_request(slice_from(text, len), &wide, &fields, &request, &fault);
        expect_int(r, n_more < HTTP_FIELDS_MAX ? 0 : -EBADMSG);
    }
}

static const struct test_case cases[] = {
    {"an ordinary request is taken apart", parses_an_ordinary_request},
    {"every byte that is allowed is kept", keeps_bytes_that_are_allowed},
    {"empty lines before the request are skipped", skips_empty_lines_before_the_request},
    {"the query begins at the first question mark", splits_target_at_the_first_question_mark},
    {"the authority of an absolute target wins over Host", absolute_target_wins_over_host},
    {"OPTIONS may ask for the whole server", options_may_ask_for_the_whole_server},
    {"CONNECT names host and port", connect_names_host_and_port},
    {"framing follows Content-Length and Transfer-Encoding", framing_follows_the_fields},
    {"keep-alive follows version and Connection", keep_alive_follows_version_and_connection},
    {"HTTP/1.0 needs no Host", http_1_0_needs_no_host},
    {"100-continue counts with a body and HTTP/1.1 only", expects_continue_only_with_a_body_and_http_1_1},
    {"Upgrade needs both fields and is never h2c", upgrade_needs_both_fields_and_is_not_h2c},
    {"each prefix of a head waits for more", each_prefix_of_a_head_waits_for_more},
    {"the first empty line ends a head, wherever the search begins", head_ends_before_the_body},
    {"what can never become a request is refused early", hopeless_beginnings_are_refused_early},
    {"limits are exact", limits_are_exact},
    {"more fields than there is room for are refused", more_fields_than_room_are_refused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
