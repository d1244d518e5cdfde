/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that HTTP/2 forbids or that are not served: each ends its own stream, and the connection goes on. */
#include "support/h2_kit.h"
#include "support/test.h"

/* Pairs of the three pseudo-fields that most heads begin with. */
#define HEAD ":method", "GET", ":scheme", "http", ":path", "/hello"

struct head {
    const char *what;
    const char *pairs[24];
};

static void malformed_heads_are_reset(void)
{
    static const struct head heads[] = {
        {"no method", {":scheme", "http", ":path", "/hello", ":authority", "x"}},
        {"no path", {":method", "GET", ":scheme", "http", ":authority", "x"}},
        {"no scheme", {":method", "GET", ":path", "/hello", ":authority", "x"}},
        {"empty path", {":method", "GET", ":scheme", "http", ":path", "", ":authority", "x"}},
        {"path without slash", {":method", "GET", ":scheme", "http", ":path", "hello", ":authority", "x"}},
        {"asterisk for GET", {":method", "GET", ":scheme", "http", ":path", "*", ":authority", "x"}},
        {"fragment", {":method", "GET", ":scheme", "http", ":path", "/hello#top", ":authority", "x"}},
        {"blank in path", {":method", "GET", ":scheme", "http", ":path", "/he llo", ":authority", "x"}},
        {"other scheme's path", {":method", "GET", ":scheme", "urn", ":path", "hello", ":authority", "x"}},
        {"method twice", {HEAD, ":authority", "x", ":method", "GET"}},
        {"path twice", {HEAD, ":authority", "x", ":path", "/hello"}},
        {"pseudo-field behind a field", {HEAD, "accept", "*/*", ":authority", "x"}},
        {"unknown pseudo-field", {HEAD, ":authority", "x", ":color", "red"}},
        {"a response's pseudo-field", {HEAD, ":authority", "x", ":status", "200"}},
        {"no authority", {HEAD}},
        {"empty authority", {HEAD, ":authority", ""}},
        {"authority that is none", {HEAD, ":authority", "a,b"}},
        {"user in authority", {HEAD, ":authority", "me@x"}},
        {"host differs", {HEAD, ":authority", "x", "host", "y"}},
        {"host twice", {HEAD, "host", "x", "host", "x"}},
        {"name with a blank", {HEAD, ":authority", "x", "a b", "1"}},
        {"empty name", {HEAD, ":authority", "x", "", "1"}},
        {"control in a value", {HEAD, ":authority", "x", "a", "1\r\n2"}},
        {"blank in front of a value", {HEAD, ":authority", "x", "a", " 1"}},
        {"blank behind a value", {HEAD, ":authority", "x", "a", "1 "}},
        {"connection", {HEAD, ":authority", "x", "connection", "close"}},
        {"keep-alive", {HEAD, ":authority", "x", "keep-alive", "1"}},
        {"proxy-connection", {HEAD, ":authority", "x", "proxy-connection", "close"}},
        {"transfer-encoding", {HEAD, ":authority", "x", "transfer-encoding", "chunked"}},
        {"upgrade", {HEAD, ":authority", "x", "upgrade", "h2c"}},
        {"te: gzip", {HEAD, ":authority", "x", "te", "gzip"}},
        {"te: trailers, gzip", {HEAD, ":authority", "x", "te", "trailers, gzip"}},
        {"content-length twice", {HEAD, ":authority", "x", "content-length", "0", "content-length", "0"}},
        {"content-length that is none", {HEAD, ":authority", "x", "content-length", "+0"}},
        {"content-length without a body", {HEAD, ":authority", "x", "content-length", "1"}},
        {"extended CONNECT",
         {":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":path", "/", ":authority", "x"}},
    };
    struct kit *kit = kit_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        int32_t id = kit_request_raw(kit, false, heads[i].pairs);
        kit_run(kit);
        struct kit_answer *answer = kit_answer(kit, id);
        if (!answer->is_closed || answer->code != NGHTTP2_PROTOCOL_ERROR || answer->status != 0)
            test_fail(__FILE__, __LINE__, "%s: status %u, code %u", heads[i].what, answer->status, answer->code);
    }
    expect_trace(kit, "");
    kit_expect_alive(kit);
    kit_free(kit);
}

/* nghttp2's client would not send it, so the block is written here. */
static void upper_case_names_are_malformed(void)
{
    /* GET, http, "/", :authority "x" as the static table has them, then a literal field "Ab: c". */
    struct kit *kit = kit_new(NULL, NULL);
    kit_run(kit);
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
              SLICE_LIT("\x82\x86\x84\x01\x01x\x00\x02"
                        "Ab\x01"
                        "c"));
    sim_run_for(kit->sim, 0);
    char frame[64];
    ssize_t n = stream_recv(kit->far, frame, sizeof(frame));
    expect_true(n == 13 && frame[3] == NGHTTP2_RST_STREAM && frame[12] == NGHTTP2_PROTOCOL_ERROR);
    expect_trace(kit, "");
    kit_free(kit);
}

static void odd_but_valid_heads_are_served(void)
{
    static const struct head heads[] = {
        {"host alone", {HEAD, "host", "x"}},
        {"host like authority", {HEAD, ":authority", "x:80", "host", "X:80"}},
        {"te: trailers", {HEAD, ":authority", "x", "te", "trailers"}},
        {"https", {":method", "GET", ":scheme", "https", ":path", "/hello", ":authority", "x"}},
        {"a query", {":method", "GET", ":scheme", "http", ":path", "/hello?a=b?c", ":authority", "x"}},
        {"a method of its own", {":method", "BREW", ":scheme", "http", ":path", "/hello", ":authority", "x"}},
        {"an empty value", {HEAD, ":authority", "x", "a", ""}},
        {"content-length: 0", {HEAD, ":authority", "x", "content-length", "0"}},
    };
    struct kit *kit = kit_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        int32_t id = kit_request_raw(kit, false, heads[i].pairs);
        kit_run(kit);
        if (kit_answer(kit, id)->status != 200)
            test_fail(__FILE__, __LINE__, "%s: status %u", heads[i].what, kit_answer(kit, id)->status);
    }
    kit_free(kit);
}

static void connect_is_not_served(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_request_raw(kit, true, (const char *const[]){":method", "CONNECT", ":authority", "x:443", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 501);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void large_heads_get_431(void)
{
    static char large[40 * 1024];
    struct kit *kit = kit_new(NULL, NULL);
    memset(large, 'x', sizeof(large) - 1);
    int32_t id = kit_request(kit, "GET", "/hello", false, (const char *const[]){"a", large, NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 431);

    const char *many[2 * 120 + 1];
    for (size_t i = 0; i < 120; i++) {
        many[2 * i] = "a";
        many[2 * i + 1] = "b";
    }
    many[240] = NULL;
    id = kit_request(kit, "GET", "/hello", false, many);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 431);

    char path[9000] = "/";
    memset(path + 1, 'p', sizeof(path) - 2);
    id = kit_request(kit, "GET", path, false, NULL);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 414);
    expect_trace(kit, "");
    kit_expect_alive(kit);
    kit_free(kit);
}

static void bodies_must_be_as_long_as_they_say(void)
{
    static const char *const lengths[] = {"2", "4"};
    struct kit *kit = kit_new(NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        int32_t id = kit_request(kit, "POST", "/hold", true, (const char *const[]){"content-length", lengths[i], NULL});
        kit_data(kit, id, SLICE_LIT("abc"), true);
        expect_int(kit_answer(kit, id)->code, NGHTTP2_PROTOCOL_ERROR);
        expect_int(kit_answer(kit, id)->status, 0);
    }
    kit_expect_alive(kit);
    kit_free(kit);
}

static void too_long_bodies_get_413(void)
{
    static char bytes[2000];
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_request(kit, "POST", "/collect", true, NULL);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), true);
    expect_int(kit_answer(kit, id)->status, 413);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void pseudo_fields_in_trailers_are_malformed(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_request(kit, "POST", "/hold", true, NULL);
    kit_trailers(kit, id, (const char *const[]){":path", "/", NULL});
    expect_int(kit_answer(kit, id)->code, NGHTTP2_PROTOCOL_ERROR);
    expect_trace(kit, "request close:aborted");
    kit_expect_alive(kit);
    kit_free(kit);
}

static void a_second_head_is_malformed(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_request(kit, "POST", "/hold", true, NULL);
    kit_run(kit);
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, SLICE_LIT("\x82\x86\x84\x01\x01x"));
    kit_run(kit);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_PROTOCOL_ERROR);
    expect_trace(kit, "request close:aborted");
    kit_expect_alive(kit);
    kit_free(kit);
}

static void heads_for_streams_that_are_gone_end_the_connection(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_get(kit, "/hello");
    kit_run(kit);
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
              SLICE_LIT("\x82\x86\x84\x01\x01x"));
    kit_run(kit);
    expect_int(kit->goaway_code, NGHTTP2_STREAM_CLOSED);
    expect_true(kit->is_closed);
    kit_free(kit);
}

/* The client could not know yet. */
static void heads_for_streams_that_we_reset_are_ignored(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    int32_t id = kit_request(kit, "POST", "/hello", true, (const char *const[]){"connection", "close", NULL});
    kit_run(kit);
    expect_int(kit->n_resets, 1);
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
              SLICE_LIT("\x00\x01z\x01z"));
    kit_run(kit);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void what_is_no_http2_ends_the_connection(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    kit_run(kit);
    kit_frame(kit, NGHTTP2_DATA, 0, 1, SLICE_LIT("for a stream that never began"));
    kit_run(kit);
    expect_int(kit->n_goaways, 1);
    expect_int(kit->goaway_code, NGHTTP2_PROTOCOL_ERROR);
    expect_true(kit->is_closed);
    expect_int(http_server_n_connections(kit->server), 1); /* lingering, since our end is open still */
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"malformed heads are reset and never seen by a front end", malformed_heads_are_reset},
    {"a name in upper case is malformed", upper_case_names_are_malformed},
    {"odd but valid heads are served", odd_but_valid_heads_are_served},
    {"CONNECT is not served", connect_is_not_served},
    {"heads, fields and targets have limits", large_heads_get_431},
    {"a body must be as long as content-length says", bodies_must_be_as_long_as_they_say},
    {"a longer body than is taken gets 413", too_long_bodies_get_413},
    {"pseudo-fields in trailers are malformed", pseudo_fields_in_trailers_are_malformed},
    {"a second head without an end is malformed", a_second_head_is_malformed},
    {"a head for a stream that is gone ends the connection", heads_for_streams_that_are_gone_end_the_connection},
    {"a head for a stream that we have reset is ignored", heads_for_streams_that_we_reset_are_ignored},
    {"what breaks the framing ends the connection", what_is_no_http2_ends_the_connection},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
