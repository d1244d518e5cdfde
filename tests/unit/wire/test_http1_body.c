/* SPDX-License-Identifier: Apache-2.0 */
#include "support/test.h"
#include "wire/http1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* What came out of a body that was fed in pieces. */
struct taken {
    char data[256];
    size_t len;
    size_t consumed;
    char trailers[256]; /* "name: value\n", one after the other */
    enum http1_body_step last;
};

static void note_trailers(struct taken *taken, const struct http_fields *trailers)
{
    size_t len = strlen(taken->trailers);
    for (unsigned i = 0; i < trailers->n; i++) {
        const struct http_field *field = &trailers->items[i];
        len += (size_t)snprintf(taken->trailers + len, sizeof(taken->trailers) - len, "%.*s: %.*s\n",
                                SLICE_ARG(field->name), SLICE_ARG(field->value));
        expect_true(len < sizeof(taken->trailers));
    }
}

/* Feeds what was not consumed of bytes[0, to), from memory of exactly that size. */
static void feed(struct http1_body *body, struct slice bytes, size_t to, struct taken *taken)
{
    static struct http_fields trailers;
    size_t from = taken->consumed;
    char *copy = malloc(to - from + (from == to));
    expect_true(copy != NULL);
    memcpy(copy, bytes.ptr + from, to - from);
    struct slice rest = slice_from(copy, to - from);
    do {
        struct slice data;
        size_t consumed = 0;
        struct http1_fault fault = {0};
        taken->last = http1_body_step(body, rest, &data, &consumed, &trailers, &fault);
        if (taken->last == HTTP1_BODY_DATA) {
            expect_true(data.len > 0 && data.ptr + data.len == rest.ptr + consumed);
            memcpy(taken->data + taken->len, data.ptr, data.len);
            taken->len += data.len;
        } else if (taken->last == HTTP1_BODY_TRAILERS) {
            note_trailers(taken, &trailers);
        } else if (taken->last == HTTP1_BODY_BAD) {
            expect_int(fault.status, 400);
            expect_true(fault.text[0] != '\0');
        } else if (taken->last == HTTP1_BODY_MORE) {
            expect_true(rest.len - consumed <= HTTP1_OVERHEAD_MAX);
        }
        rest = slice_skip(rest, consumed);
        taken->consumed += consumed;
    } while (taken->last == HTTP1_BODY_DATA || taken->last == HTTP1_BODY_TRAILERS);
    free(copy);
}

/* The same outcome wherever the bytes are split in three. */
static void expect_trailers(enum http_framing framing, uint64_t length, struct slice bytes, const char *data,
                            size_t consumed, enum http1_body_step last, const char *trailers)
{
    for (size_t first = 0; first <= bytes.len; first++) {
        for (size_t second = first; second <= bytes.len; second++) {
            struct http1_body body;
            struct taken taken = {.len = 0};
            http1_body_init(&body, framing, length);
            feed(&body, bytes, first, &taken);
            if (taken.last == HTTP1_BODY_MORE)
                feed(&body, bytes, second, &taken);
            if (taken.last == HTTP1_BODY_MORE)
                feed(&body, bytes, bytes.len, &taken);
            expect_int(taken.last, last);
            expect_slice(slice_from(taken.data, taken.len), data);
            expect_str(taken.trailers, trailers);
            if (last != HTTP1_BODY_BAD)
                expect_int(taken.consumed, consumed);
            expect_int(http1_body_close(&body),
                       last == HTTP1_BODY_END || framing == HTTP_BODY_STREAM ? 0 : -ECONNRESET);
        }
    }
}

static void expect_body(enum http_framing framing, uint64_t length, struct slice bytes, const char *data,
                        size_t consumed, enum http1_body_step last)
{
    expect_trailers(framing, length, bytes, data, consumed, last, "");
}

static void no_body_ends_at_once(void)
{
    expect_body(HTTP_BODY_NONE, 0, SLICE_LIT("GET / "), "", 0, HTTP1_BODY_END);
    expect_body(HTTP_BODY_LENGTH, 0, SLICE_LIT("GET / "), "", 0, HTTP1_BODY_END);
}

static void length_is_counted(void)
{
    expect_body(HTTP_BODY_LENGTH, 5, SLICE_LIT("abcdeGET /"), "abcde", 5, HTTP1_BODY_END);
    expect_body(HTTP_BODY_LENGTH, 5, SLICE_LIT("abcd"), "abcd", 4, HTTP1_BODY_MORE);
    expect_body(HTTP_BODY_LENGTH, UINT64_MAX, SLICE_LIT("abcd"), "abcd", 4, HTTP1_BODY_MORE);
}

static void stream_takes_all(void)
{
    expect_body(HTTP_BODY_STREAM, 0, SLICE_LIT("abc\r\n\r\n"), "abc\r\n\r\n", 7, HTTP1_BODY_MORE);
}

static void chunks_are_joined(void)
{
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("3\r\nabc\r\n000a\r\n0123456789\r\n0\r\n\r\nGET"), "abc0123456789", 31,
                HTTP1_BODY_END);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("000000000000000B\r\n\r\n0\r\n\r\n\r\n..\r\n00\r\n\r\n"),
                "\r\n0\r\n\r\n\r\n..", 37, HTTP1_BODY_END);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("ffffffffffffffff\r\nabc"), "abc", 21, HTTP1_BODY_MORE);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("3\r\nabc\r\n0\r\n"), "abc", 11, HTTP1_BODY_MORE);
}

static void extensions_are_dropped(void)
{
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("1;a\r\nx\r\n1;a=b;c=\"d \\\" e\";f\r\ny\r\n0;z\r\n\r\n"), "xy", 38,
                HTTP1_BODY_END);
}

static void trailers_are_told(void)
{
    expect_trailers(HTTP_BODY_CHUNKED, 0, SLICE_LIT("1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nGET"), "x", 21, HTTP1_BODY_END,
                    "A: b\nC: \n");
}

static void trailers_that_do_not_belong_there_are_left_out(void)
{
    expect_trailers(HTTP_BODY_CHUNKED, 0,
                    SLICE_LIT("0\r\nContent-Length: 7\r\nA: b\r\nHost: x\r\nWWW-Authenticate: y\r\n\r\n"), "", 60,
                    HTTP1_BODY_END, "A: b\n");
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\nGET"), "", 31, HTTP1_BODY_END);
}

static void bad_chunks_are_bad_wherever_they_are_split(void)
{
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("3\r\nabc\r\n0x1\r\n"), "abc", 0, HTTP1_BODY_BAD);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("3\r\nabcd\r\n"), "abc", 0, HTTP1_BODY_BAD);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("1;a\rb\r\n"), "", 0, HTTP1_BODY_BAD);
    expect_body(HTTP_BODY_CHUNKED, 0, SLICE_LIT("0\r\nA: b\n\r\n"), "", 0, HTTP1_BODY_BAD);
}

/* What n copies of `unit` behind `head` come to. */
static enum http1_body_step feed_many(struct slice head, struct slice unit, size_t n)
{
    size_t len = head.len + n * unit.len;
    char *bytes = malloc(len);
    expect_true(bytes != NULL);
    memcpy(bytes, head.ptr, head.len);
    for (size_t i = 0; i < n; i++)
        memcpy(bytes + head.len + i * unit.len, unit.ptr, unit.len);
    struct http1_body body;
    struct taken taken = {.last = HTTP1_BODY_MORE};
    http1_body_init(&body, HTTP_BODY_CHUNKED, 0);
    for (size_t to = head.len; to <= len && taken.last == HTTP1_BODY_MORE; to += unit.len) {
        taken.len = 0;
        feed(&body, slice_from(bytes, len), to, &taken);
    }
    free(bytes);
    return taken.last;
}

static void extensions_and_trailers_are_limited(void)
{
    struct slice chunk = SLICE_LIT("1;1234567\r\nx\r\n"); /* 8 bytes of extension, counted up to and with its CR */
    expect_int(feed_many(SLICE_LIT(""), chunk, HTTP1_OVERHEAD_MAX / 8), HTTP1_BODY_MORE);
    expect_int(feed_many(SLICE_LIT(""), chunk, HTTP1_OVERHEAD_MAX / 8 + 1), HTTP1_BODY_BAD);
    struct slice line = SLICE_LIT("A: 345\r\n");
    expect_int(feed_many(SLICE_LIT("0\r\n"), line, HTTP1_OVERHEAD_MAX / 8), HTTP1_BODY_MORE);
    expect_int(feed_many(SLICE_LIT("0\r\n"), line, HTTP1_OVERHEAD_MAX / 8 + 1), HTTP1_BODY_BAD);
}

static void state_is_small(void)
{
    expect_true(sizeof(struct http1_body) <= 24);
}

static const struct test_case cases[] = {
    {"what has no body ends at once", no_body_ends_at_once},
    {"a length is counted, wherever the bytes are split", length_is_counted},
    {"a body until close takes all", stream_takes_all},
    {"chunks are joined, wherever the bytes are split", chunks_are_joined},
    {"chunk extensions are dropped", extensions_are_dropped},
    {"trailers are told", trailers_are_told},
    {"trailers that do not belong there are left out", trailers_that_do_not_belong_there_are_left_out},
    {"bad chunks are bad wherever they are split", bad_chunks_are_bad_wherever_they_are_split},
    {"extensions and trailers are limited", extensions_and_trailers_are_limited},
    {"the state fits into a connection", state_is_small},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
