/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table in docs/http1.md: what is refused, with which status. Every row there has at least one sample here, and
 * every sample a row.
 */
#include "support/test.h"
#include "wire/http1.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { REQUEST, RESPONSE, BODY };

struct sample {
    const char *row; /* first column of the table */
    unsigned status; /* second column */
    enum kind kind;
    struct slice bytes;
};

/* A request head whose first line is right. */
#define FIELDS(text) SLICE_LIT("POST / HTTP/1.1\r\nHost: a\r\n" text "\r\n")
/* A request head whose fields are right. */
#define LINE(text)   SLICE_LIT(text "\r\nHost: a\r\n\r\n")
#define ANSWER(text) SLICE_LIT("HTTP/1.1 200 OK\r\n" text "\r\n")
#define CHUNKS(text) SLICE_LIT("4\r\nabcd\r\n" text)

#define A16   "aaaaaaaaaaaaaaaa"
#define A64   A16 A16 A16 A16
#define A256  A64 A64 A64 A64
#define A4096 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256 A256

static const struct sample samples[] = {
    /* lines */
    {"bare LF as line end", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\nHost: a\r\n\r\n")},
    {"bare LF as line end", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a\n\r\n")},
    {"bare LF as line end", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a\r\n\n")},
    {"bare LF as line end", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\nHost: a\n\n")},
    {"bare LF as line end", 400, REQUEST, SLICE_LIT("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"bare CR", 400, REQUEST, FIELDS("A: b\rc\r\n")},
    {"bare CR", 400, REQUEST, FIELDS("A: b\r\r\n")},
    {"bare CR", 400, REQUEST, FIELDS("A: b\r\n\rC: d\r\n")},
    {"bare CR", 400, REQUEST, LINE("GET / HTTP/1.1\r")},
    {"bare CR", 400, REQUEST, LINE("GET /\r HTTP/1.1")},
    {"bare CR", 400, REQUEST, SLICE_LIT("\r\rGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"too many empty lines before the request", 400, REQUEST,
     SLICE_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")},
    {"TLS on a plain port", 400, REQUEST, SLICE_LIT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n\n")},

    /* request line */
    {"method is not a token", 400, REQUEST, LINE("GE(T / HTTP/1.1")},
    {"method is not a token", 400, REQUEST, LINE("G\x80T / HTTP/1.1")},
    {"method is not a token", 400, REQUEST, LINE("GET\t/ HTTP/1.1")},
    {"method is not a token", 400, REQUEST, LINE(" GET / HTTP/1.1")},
    {"method is not a token", 400, REQUEST, LINE("{\"json\": 1}")},
    {"two blanks in the request line", 400, REQUEST, LINE("GET  / HTTP/1.1")},
    {"two blanks in the request line", 400, REQUEST, LINE("GET /  HTTP/1.1")},
    {"two blanks in the request line", 400, REQUEST, LINE("GET / HTTP/1.1 ")},
    {"blank or control in the target", 400, REQUEST, LINE("GET /a b HTTP/1.1")},
    {"blank or control in the target", 400, REQUEST, LINE("GET /a\tb HTTP/1.1")},
    {"blank or control in the target", 400, REQUEST, LINE("GET /a\0b HTTP/1.1")},
    {"blank or control in the target", 400, REQUEST, LINE("GET /a\x7f HTTP/1.1")},
    {"non-ASCII in the target", 400, REQUEST, LINE("GET /\xc3\xa4 HTTP/1.1")},
    {"# in the target", 400, REQUEST, LINE("GET /a#b HTTP/1.1")},
    {"target too long", 414, REQUEST, LINE("GET /" A64 " HTTP/1.1")},
    {"target is neither path nor URI", 400, REQUEST, LINE("GET a HTTP/1.1")},
    {"target is neither path nor URI", 400, REQUEST, LINE("GET ?a HTTP/1.1")},
    {"target is neither path nor URI", 400, REQUEST, LINE("GET a:80 HTTP/1.1")},
    {"target is neither path nor URI", 400, REQUEST, LINE("GET ftp://a/ HTTP/1.1")},
    {"target is neither path nor URI", 400, REQUEST, LINE("GET http:/a HTTP/1.1")},
    {"bad host in an absolute target", 400, REQUEST, LINE("GET http:///a HTTP/1.1")},
    {"bad host in an absolute target", 400, REQUEST, LINE("GET http://me@a/ HTTP/1.1")},
    {"bad host in an absolute target", 400, REQUEST, LINE("GET http://a:b/ HTTP/1.1")},
    {"* with a method other than OPTIONS", 400, REQUEST, LINE("GET * HTTP/1.1")},
    {"* with a method other than OPTIONS", 400, REQUEST, LINE("OPTIONS *a HTTP/1.1")},
    {"CONNECT without host:port", 400, REQUEST, LINE("CONNECT / HTTP/1.1")},
    {"CONNECT without host:port", 400, REQUEST, LINE("CONNECT a HTTP/1.1")},
    {"CONNECT without host:port", 400, REQUEST, LINE("CONNECT [::1] HTTP/1.1")},
    {"CONNECT without host:port", 400, REQUEST, LINE("CONNECT http://a:80/ HTTP/1.1")},
    {"HTTP/0.9", 400, REQUEST, LINE("GET /")},
    {"HTTP/0.9", 400, REQUEST, LINE("GET")},
    {"version is not HTTP/x.y", 400, REQUEST, LINE("GET / http/1.1")},
    {"version is not HTTP/x.y", 400, REQUEST, LINE("GET / HTTP/1.10")},
    {"version is not HTTP/x.y", 400, REQUEST, LINE("GET / HTTP/1")},
    {"version is not HTTP/x.y", 400, REQUEST, LINE("GET / HTTP/+1.1")},
    {"version is not HTTP/x.y", 400, REQUEST, LINE("GET / ")},
    {"another version", 505, REQUEST, LINE("GET / HTTP/1.2")},
    {"another version", 505, REQUEST, LINE("GET / HTTP/2.0")},
    {"another version", 505, REQUEST, LINE("GET / HTTP/0.9")},

    /* fields */
    {"folded field line", 400, REQUEST, FIELDS("A: b\r\n c\r\n")},
    {"folded field line", 400, REQUEST, FIELDS("A: b\r\n\tc: d\r\n")},
    {"folded field line", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n")},
    {"NUL or control in a value", 400, REQUEST, FIELDS("A: b\0c\r\n")},
    {"NUL or control in a value", 400, REQUEST, FIELDS("A: \x0b\r\n")},
    {"NUL or control in a value", 400, REQUEST, FIELDS("A: b\x7f\r\n")},
    {"blank before the colon", 400, REQUEST, FIELDS("A : b\r\n")},
    {"blank before the colon", 400, REQUEST, FIELDS("A\t: b\r\n")},
    {"blank before the colon", 400, REQUEST, FIELDS("A B: b\r\n")},
    {"empty field name", 400, REQUEST, FIELDS(": b\r\n")},
    {"field line without colon", 400, REQUEST, FIELDS("garbage\r\n")},
    {"bad character in a field name", 400, REQUEST, FIELDS("A\"B: b\r\n")},
    {"bad character in a field name", 400, REQUEST, FIELDS("A\0B: b\r\n")},
    {"bad character in a field name", 400, REQUEST, FIELDS("A\x80: b\r\n")},
    {"head too large", 431, REQUEST, FIELDS("A: " A256 A64 "\r\n")},
    {"too many fields", 431, REQUEST, FIELDS("A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\n")},

    /* Host */
    {"HTTP/1.1 without Host", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\n\r\n")},
    {"HTTP/1.1 without Host", 400, REQUEST, SLICE_LIT("GET http://a/ HTTP/1.1\r\n\r\n")},
    {"more than one Host", 400, REQUEST, FIELDS("Host: a\r\n")},
    {"more than one Host", 400, REQUEST, FIELDS("host: b\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost:\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: me@a\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a:\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n")},
    {"Host is not one host[:port]", 400, REQUEST, SLICE_LIT("GET / HTTP/1.0\r\nHost: a,b\r\n\r\n")},

    /* framing */
    {"Content-Length and Transfer-Encoding", 400, REQUEST,
     FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {"Content-Length and Transfer-Encoding", 400, REQUEST,
     FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n")},
    {"more than one Content-Length", 400, REQUEST, FIELDS("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {"more than one Content-Length", 400, REQUEST, FIELDS("Content-Length: 5\r\ncontent-length: 6\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length:\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length: +5\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length: -5\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length: 0x5\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length: 5, 5\r\n")},
    {"Content-Length is not one number", 400, REQUEST, FIELDS("Content-Length: 5 5\r\n")},
    {"Content-Length too large", 400, REQUEST, FIELDS("Content-Length: 9223372036854775808\r\n")},
    {"Content-Length too large", 400, REQUEST, FIELDS("Content-Length: 18446744073709551617\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding:\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: xchunked\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: ,chunked\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: chunked,\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: chunked, chunked\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: chunked, identity\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: identity\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: \"chunked\"\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST, FIELDS("Transfer-Encoding: chunked;q=1\r\n")},
    {"Transfer-Encoding is not chunked", 400, REQUEST,
     FIELDS("Transfer-Encoding: \x0b"
            "chunked\r\n")},
    {"more than one Transfer-Encoding", 400, REQUEST,
     FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")},
    {"a transfer coding other than chunked", 501, REQUEST, FIELDS("Transfer-Encoding: gzip, chunked\r\n")},
    {"Transfer-Encoding in HTTP/1.0", 400, REQUEST, SLICE_LIT("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")},

    /* connection */
    {"Connection is not a list of tokens", 400, REQUEST, FIELDS("Connection: close; now\r\n")},
    {"Connection is not a list of tokens", 400, REQUEST, FIELDS("Connection: keep alive\r\n")},
    {"unknown expectation", 417, REQUEST, FIELDS("Expect: 200-ok\r\n")},
    {"unknown expectation", 417, REQUEST, FIELDS("Expect: 100-continue, x\r\n")},
    {"unknown expectation", 417, REQUEST, FIELDS("Expect:\r\n")},
    {"Upgrade with a body", 400, REQUEST, FIELDS("Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n")},
    {"Upgrade with a body", 400, REQUEST,
     FIELDS("Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n")},
    {"CONNECT with a body", 400, REQUEST,
     SLICE_LIT("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 1\r\n\r\n")},
    {"CONNECT with a body", 400, REQUEST,
     SLICE_LIT("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\n\r\n")},

    /* chunks */
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("0x5\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS(" 5\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("5 \r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("5 ;a\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("-1\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS(";a\r\n")},
    {"chunk size is not 1 to 16 hex digits", 400, BODY, CHUNKS("00000000000000001\r\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("5\nabcde\r\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("5;a\nabcde\r\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("5;a=\"b\nc\"\r\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("5\r\nabcde\n0\r\n\r\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("0\n\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("0\r\n\n")},
    {"bare LF in a chunked body", 400, BODY, CHUNKS("0\r\nA: b\n\r\n")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("5\rX\nabcde\r\n")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("5;\rx\r\n")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("5;a\rb\r\n")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("5\r\nabcde\r0\r\n\r\n")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("0\r\n\rX")},
    {"bare CR in a chunked body", 400, BODY, CHUNKS("0\r\nA: b\rc\r\n\r\n")},
    {"chunk longer than its size", 400, BODY, CHUNKS("2\r\nabc\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;a=\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5; a\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;a b\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;=a\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;a=\"b\"c\r\n")},
    {"malformed chunk extension", 400, BODY, CHUNKS("5;a=\"b\0\"\r\n")},
    {"malformed trailer", 400, BODY, CHUNKS("0\r\nno colon\r\n\r\n")},
    {"malformed trailer", 400, BODY, CHUNKS("0\r\nA : b\r\n\r\n")},
    {"malformed trailer", 400, BODY, CHUNKS("0\r\n: b\r\n\r\n")},
    {"malformed trailer", 400, BODY, CHUNKS("0\r\nA: b\r\n c\r\n\r\n")},
    {"malformed trailer", 400, BODY, CHUNKS("0\r\nA: b\0\r\n\r\n")},
    {"too long extensions and trailers", 400, BODY, CHUNKS("5;" A4096 "\r\nabcde\r\n")},
    {"too long extensions and trailers", 400, BODY, CHUNKS("0\r\nA: " A4096 "\r\n\r\n")},

    /* responses */
    {"not a status line", 502, RESPONSE, SLICE_LIT("ICY 200 OK\r\n\r\n")},
    {"not a status line", 502, RESPONSE, SLICE_LIT("HTTP/1.1\r\n\r\n")},
    {"not a status line", 502, RESPONSE, SLICE_LIT("HTTP/1.1  200 OK\r\n\r\n")},
    {"not a status line", 502, RESPONSE, SLICE_LIT("HTTP/1.1\t200 OK\r\n\r\n")},
    {"not a status line", 502, RESPONSE, SLICE_LIT("\r\nHTTP/1.1 200 OK\r\n\r\n")},
    {"not a status line", 502, RESPONSE, SLICE_LIT("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"status is not 100 to 599", 502, RESPONSE, SLICE_LIT("HTTP/1.1 099 Low\r\n\r\n")},
    {"status is not 100 to 599", 502, RESPONSE, SLICE_LIT("HTTP/1.1 600 High\r\n\r\n")},
    {"status is not 100 to 599", 502, RESPONSE, SLICE_LIT("HTTP/1.1 2x0 OK\r\n\r\n")},
    {"status is not 100 to 599", 502, RESPONSE, SLICE_LIT("HTTP/1.1 2000 OK\r\n\r\n")},
    {"status is not 100 to 599", 502, RESPONSE, SLICE_LIT("HTTP/1.1 20 OK\r\n\r\n")},
    {"response of another version", 502, RESPONSE, SLICE_LIT("HTTP/1.2 200 OK\r\n\r\n")},
    {"response of another version", 502, RESPONSE, SLICE_LIT("HTTP/2.0 200 OK\r\n\r\n")},
    {"bad line end or field in a response", 502, RESPONSE, SLICE_LIT("HTTP/1.1 200 OK\nA: b\n\n")},
    {"bad line end or field in a response", 502, RESPONSE, ANSWER("A: b\n")},
    {"bad line end or field in a response", 502, RESPONSE, ANSWER("A: b\r\n c\r\n")},
    {"bad line end or field in a response", 502, RESPONSE, ANSWER("A : b\r\n")},
    {"bad line end or field in a response", 502, RESPONSE, ANSWER("A: \0\r\n")},
    {"bad framing in a response", 502, RESPONSE, ANSWER("Content-Length: 5\r\nContent-Length: 5\r\n")},
    {"bad framing in a response", 502, RESPONSE, ANSWER("Content-Length: five\r\n")},
    {"bad framing in a response", 502, RESPONSE, ANSWER("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n")},
    {"bad framing in a response", 502, RESPONSE, ANSWER("Transfer-Encoding: gzip, chunked\r\n")},
    {"bad framing in a response", 502, RESPONSE, ANSWER("Transfer-Encoding: identity\r\n")},
    {"bad framing in a response", 502, RESPONSE, SLICE_LIT("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")},
    {"response head too large", 502, RESPONSE, ANSWER("A: " A256 A64 "\r\n")},
    {"response head too large", 502, RESPONSE,
     ANSWER("A: 1\r\nA: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\nA: 6\r\nA: 7\r\nA: 8\r\nA: 9\r\n")},
};

/* Small ones, so that the samples can be. */
static const struct http1_limits limits = {.head_bytes = 300, .target_bytes = 64, .n_fields = 8};

/* Parses the sample from memory of exactly its size. 0 when it was accepted. */
static unsigned refused_with(const struct sample *sample, struct http1_fault *ret_fault)
{
    char *copy = slice_dup(sample->bytes);
    expect_true(copy != NULL);
    copy = realloc(copy, sample->bytes.len);
    struct slice bytes = slice_from(copy, sample->bytes.len);
    struct http_fields fields;
    int r = 0;
    if (sample->kind == BODY) {
        struct http1_body body;
        struct slice data;
        size_t consumed;
        enum http1_body_step step;
        http1_body_init(&body, HTTP_BODY_CHUNKED, 0);
        do {
            step = http1_body_step(&body, bytes, &data, &consumed, &fields, ret_fault);
            bytes = step == HTTP1_BODY_DATA ? slice_skip(bytes, consumed) : bytes;
        } while (step == HTTP1_BODY_DATA);
        r = step == HTTP1_BODY_BAD ? -1 : 0;
    } else {
        size_t end = http1_head_end(bytes, 0);
        expect_int(end, bytes.len);
        struct http_request request;
        struct http_response response;
        r = sample->kind == REQUEST
                ? http1_parse_request(bytes, &limits, &fields, &request, ret_fault)
                : http1_parse_response(bytes, &limits, HTTP_METHOD_GET, &fields, &response, ret_fault);
    }
    free(copy);
    return r < 0 ? ret_fault->status : 0;
}

static void each_sample_is_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct http1_fault fault = {.text = "accepted"};
        unsigned status = refused_with(&samples[i], &fault);
        if (status != samples[i].status)
            test_fail(__FILE__, __LINE__, "%s (sample %zu): %u (%s), expected %u", samples[i].row, i, status,
                      fault.text, samples[i].status);
    }
}

/* docs/http1.md, for the case, which has no argument. */
static const char *document;

/* The cell of a table's row, counted from 0; empty when there is none. */
static struct slice cell_of(struct slice line, unsigned n)
{
    struct slice cell = SLICE_LIT("");
    line = slice_split(line, '|', &cell);
    for (unsigned i = 0; i <= n && line.len > 0; i++)
        line = slice_split(line, '|', &cell);
    return slice_trim(cell);
}

/* Ticks off the samples of the row; gives how many there are. */
static size_t tick_off(struct slice row, uint64_t status, bool *is_documented)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        if (!slice_equal_str(row, samples[i].row))
            continue;
        expect_int(status, samples[i].status);
        is_documented[i] = true;
        n++;
    }
    return n;
}

static void document_has_the_same_rows(void)
{
    bool is_documented[ARRAY_LEN(samples)] = {false};
    char line[512];
    FILE *file = fopen(document, "r");
    expect_true(file != NULL);
    while (fgets(line, sizeof(line), file)) {
        struct slice text = slice_from_str(line);
        uint64_t status;
        if (text.ptr[0] != '|' || slice_parse_u64(cell_of(text, 1), &status) < 0)
            continue;
        struct slice row = cell_of(text, 0);
        if (tick_off(row, status, is_documented) == 0)
            test_fail(__FILE__, __LINE__, "no sample for the row: %.*s", SLICE_ARG(row));
    }
    fclose(file);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        if (!is_documented[i])
            test_fail(__FILE__, __LINE__, "no row for the sample: %s", samples[i].row);
}

static const struct test_case cases[] = {
    {"each sample is refused with its status", each_sample_is_refused},
    {"docs/http1.md has the same rows", document_has_the_same_rows},
};

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DOCUMENT\n", argv[0]);
        return EXIT_FAILURE;
    }
    document = argv[1];
    return test_main(cases, ARRAY_LEN(cases), 1, argv);
}
