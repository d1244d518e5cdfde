/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/forward.h"

#include "http/client.h"
#include "support/test.h"
#include "wire/http1.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const struct http1_limits limits = {.head_bytes = 16384, .target_bytes = 4096, .n_fields = HTTP_FIELDS_MAX};

/* A request that comes from `ip`, as the instance gets it; "" when it is refused. */
struct passage {
    struct gateway_settings settings;
    struct forward_terms terms;
    struct peer peer;
    struct forward_id id;
    struct buf out;
};

static void passage_init(struct passage *passage, const char *ip)
{
    *passage = (struct passage){.peer.family = strchr(ip, ':') ? AF_INET6 : AF_INET};
    expect_int(inet_pton(passage->peer.family, ip, passage->peer.ip), 1);
    passage->terms = (struct forward_terms){
        .settings = &passage->settings,
        .name = SLICE_LIT("gw-1"),
        .peer = &passage->peer,
        .random = {0x0123456789abcdef, 0xfedcba9876543210, 0x1111222233334444},
    };
}

static const char *pass(struct passage *passage, const char *head)
{
    struct http_fields *fields = malloc(sizeof(*fields));
    struct http_request request;
    struct http1_fault fault;
    struct header_carry carry;
    struct buf lines = {0};
    expect_int(http1_parse_request(slice_from_str(head), &limits, fields, &request, &fault), 0);
    expect_int(forward_request(&request, &passage->terms, &carry, &lines, &passage->id), 0);
    const struct client_request sent = {
        .method = request.method_text,
        .target = request.target,
        .authority = request.authority,
        .carry = &carry,
        .lines = buf_slice(&lines),
    };
    buf_reset(&passage->out);
    expect_int(client_request_write(&passage->out, &sent), 0);
    expect_int(buf_append_char(&passage->out, 0), 0);
    buf_deinit(&lines);
    free(fields);
    return passage->out.ptr;
}

static unsigned count(const char *text, const char *part)
{
    unsigned n = 0;
    for (const char *at = text; (at = strcasestr(at, part)); at++)
        n++;
    return n;
}

static void expect_has(const char *text, const char *part)
{
    if (count(text, part) != 1)
        expect_str(text, part);
}

static void expect_lacks(const char *text, const char *part)
{
    if (count(text, part) != 0)
        expect_str(text, part);
}

static void ours_are_added(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out = pass(&passage, "GET /a HTTP/1.1\r\nHost: shop\r\nAccept: x\r\n\r\n");
    expect_has(out, "\r\nAccept: x\r\n");
    expect_has(out, "\r\nvia: 1.1 gw-1\r\n");
    expect_has(out, "\r\nx-forwarded-for: 203.0.113.9\r\n");
    expect_has(out, "\r\nx-forwarded-proto: http\r\n");
    expect_has(out, "\r\nx-forwarded-host: shop\r\n");
    expect_has(out, "\r\nforwarded: for=203.0.113.9;host=\"shop\";proto=http\r\n");
    expect_has(out, "\r\nx-request-id: 0123456789abcdef\r\n");
    expect_has(out, "\r\ntraceparent: 00-");
    expect_slice(slice_from(passage.id.text, passage.id.len), "0123456789abcdef");
    buf_deinit(&passage.out);
}

static void ipv6_addresses_are_quoted_in_forwarded(void)
{
    struct passage passage;
    passage_init(&passage, "2001:db8::7");
    passage.terms.is_tls = true;
    const char *out = pass(&passage, "GET / HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect_has(out, "\r\nx-forwarded-for: 2001:db8::7\r\n");
    expect_has(out, "\r\nforwarded: for=\"[2001:db8::7]\";host=\"shop\";proto=https\r\n");
    expect_has(out, "\r\nx-forwarded-proto: https\r\n");
    buf_deinit(&passage.out);
}

static void what_a_stranger_says_of_himself_is_dropped(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out = pass(
        &passage, "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n"
                  "X-Real-IP: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
                  "X-Forwarded-Prefix: /x\r\nX-Forwarded-User: evil\r\nX-Forwarded-Port: 1\r\nX-Request-ID: mine\r\n"
                  "X_Forwarded_For: 1.1.1.1\r\nX_Other: stays\r\n\r\n");
    expect_lacks(out, "1.1.1.1");
    expect_lacks(out, "evil");
    expect_lacks(out, "mine");
    expect_lacks(out, "x-forwarded-prefix");
    expect_lacks(out, "x-forwarded-port");
    expect_has(out, "x-forwarded-proto: http\r\n");
    expect_has(out, "X_Other: stays");
    buf_deinit(&passage.out);
}

static void what_a_trusted_proxy_says_is_continued(void)
{
    struct passage passage;
    passage_init(&passage, "10.0.0.1");
    struct addr_range trusted = {.family = AF_INET, .n_bits = 8, .ip = {10}};
    passage.settings.trusted = &trusted;
    passage.settings.n_trusted = 1;
    const char *out =
        pass(&passage, "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 9.9.9.9\r\nForwarded: for=9.9.9.9\r\n"
                       "X-Forwarded-Proto: https\r\nX-Forwarded-Host: www.shop\r\nX-Request-ID: theirs\r\n\r\n");
    expect_has(out, "x-forwarded-for: 9.9.9.9, 10.0.0.1\r\n");
    expect_has(out, "forwarded: for=9.9.9.9, for=10.0.0.1;");
    expect_has(out, "x-forwarded-proto: https\r\n");
    expect_has(out, "x-forwarded-host: www.shop\r\n");
    expect_has(out, "x-request-id: theirs\r\n");
    expect_slice(slice_from(passage.id.text, passage.id.len), "theirs");
    buf_deinit(&passage.out);
}

static void a_chain_that_is_too_long_to_join_goes_on_in_another_line(void)
{
    struct passage passage;
    passage_init(&passage, "10.0.0.1");
    struct addr_range trusted = {.family = AF_INET, .n_bits = 8, .ip = {10}};
    passage.settings.trusted = &trusted;
    passage.settings.n_trusted = 1;
    struct buf head = {0};
    expect_int(buf_append_str(&head, "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: "), 0);
    for (unsigned i = 0; i < 400; i++)
        expect_int(buf_append_str(&head, "192.0.2.1, "), 0);
    expect_int(buf_append_str(&head, "192.0.2.2\r\n\r\n"), 0);
    expect_int(buf_append_char(&head, 0), 0);
    head.len--;
    const char *out = pass(&passage, head.ptr);
    expect_has(out, "192.0.2.2\r\n");
    expect_has(out, "x-forwarded-for: 10.0.0.1\r\n");
    buf_deinit(&head);
    buf_deinit(&passage.out);
}

static void listing_our_fields_in_connection_does_not_take_them_away(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out =
        pass(&passage, "GET / HTTP/1.1\r\nHost: shop\r\nAuthorization: Basic x\r\nX-Mine: 1\r\nCookie: a=b\r\n"
                       "Connection: X-Forwarded-For, Authorization, x-mine, traceparent, Cookie, Host\r\n\r\n");
    expect_has(out, "x-forwarded-for: 203.0.113.9");
    expect_has(out, "Authorization: Basic x");
    expect_has(out, "Cookie: a=b");
    expect_has(out, "traceparent: ");
    expect_lacks(out, "x-mine");
    expect_lacks(out, "connection:");
    buf_deinit(&passage.out);
}

static void a_running_trace_goes_on(void)
{
    struct passage passage;
    const char *trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    struct buf head = {0};
    passage_init(&passage, "203.0.113.9");
    expect_int(buf_printf(&head, "GET / HTTP/1.1\r\nHost: shop\r\nTraceparent: %s\r\nTracestate: a=1\r\n\r\n", trace),
               0);
    const char *out = pass(&passage, head.ptr);
    expect_has(out, trace);
    expect_has(out, "traceparent: ");
    expect_has(out, "Tracestate: a=1");
    buf_deinit(&head);
    buf_deinit(&passage.out);
}

static void hops_are_counted_for_options_only(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out = pass(&passage, "OPTIONS /a HTTP/1.1\r\nHost: shop\r\nMax-Forwards: 5\r\n\r\n");
    expect_has(out, "max-forwards: 4\r\n");
    out = pass(&passage, "GET /a HTTP/1.1\r\nHost: shop\r\nMax-Forwards: 5\r\n\r\n");
    expect_has(out, "Max-Forwards: 5\r\n");
    buf_deinit(&passage.out);
}

static void only_trailers_is_told_of_te(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out = pass(&passage, "GET /a HTTP/1.1\r\nHost: shop\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n");
    expect_has(out, "\r\nte: trailers\r\n");
    expect_has(out, "\r\nconnection: te\r\n");
    expect_lacks(out, "gzip");
    buf_deinit(&passage.out);
}

static void only_who_waits_for_100_says_so(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    const char *out = pass(&passage, "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    expect_has(out, "\r\nExpect: 100-continue\r\n");
    out = pass(&passage, "PUT / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
    expect_lacks(out, "expect");
    out = pass(&passage, "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n");
    expect_lacks(out, "expect");
    buf_deinit(&passage.out);
}

static void the_prefix_that_was_taken_off_is_told(void)
{
    struct passage passage;
    passage_init(&passage, "203.0.113.9");
    passage.terms.stripped_prefix = SLICE_LIT("/shop");
    const char *out = pass(&passage, "GET /a HTTP/1.1\r\nHost: shop\r\n\r\n");
    expect_has(out, "x-forwarded-prefix: /shop\r\n");
    buf_deinit(&passage.out);
}

static bool is_loop(const char *via)
{
    struct http_fields fields;
    struct http_request request;
    struct http1_fault fault;
    struct buf head = {0};
    expect_int(buf_printf(&head, "GET / HTTP/1.1\r\nHost: a\r\nVia: %s\r\n\r\n", via), 0);
    expect_int(http1_parse_request(buf_slice(&head), &limits, &fields, &request, &fault), 0);
    bool found = forward_is_loop(&request, SLICE_LIT("gw-1"));
    buf_deinit(&head);
    return found;
}

static void our_own_name_in_via_is_a_loop(void)
{
    expect_true(is_loop("1.1 gw-1"));
    expect_true(is_loop("1.0 fred, 1.1 gw-1 (comment), 1.1 p"));
    expect_false(is_loop("1.1 gw-10"));
    expect_false(is_loop("1.1 fred"));
    expect_false(is_loop("gw-1"));
    expect_false(is_loop(""));
}

static const struct test_case cases[] = {
    {"our fields are added", ours_are_added},
    {"IPv6 addresses are quoted in Forwarded", ipv6_addresses_are_quoted_in_forwarded},
    {"what a stranger says of himself is dropped", what_a_stranger_says_of_himself_is_dropped},
    {"what a trusted proxy says is continued", what_a_trusted_proxy_says_is_continued},
    {"a chain that is too long to join goes on in another line",
     a_chain_that_is_too_long_to_join_goes_on_in_another_line},
    {"listing our fields in Connection does not take them away",
     listing_our_fields_in_connection_does_not_take_them_away},
    {"a running trace goes on", a_running_trace_goes_on},
    {"hops are counted for OPTIONS only", hops_are_counted_for_options_only},
    {"only trailers is told of TE", only_trailers_is_told_of_te},
    {"only who waits for 100 says so", only_who_waits_for_100_says_so},
    {"the prefix that was taken off is told", the_prefix_that_was_taken_off_is_told},
    {"our own name in Via is a loop", our_own_name_in_via_is_a_loop},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
