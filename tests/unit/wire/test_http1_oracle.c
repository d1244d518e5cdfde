/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our HTTP/1 parser against llhttp: on good messages, and on what random changes make of them. Whatever we accept,
 * llhttp must read in the same way.
 */
#include "support/http1_oracle.h"
#include "support/test.h"
#include "wire/http1.h"

#include <stdio.h>

#define MESSAGE(text) SLICE_LIT(text)

static const struct slice requests[] = {
    MESSAGE("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n"),
    MESSAGE("\r\nPOST /a/b?c=d&e=%2F HTTP/1.1\r\nHost: example.com:8080\r\nContent-Length: 11\r\n"
            "Content-Type: application/json\r\n\r\nhello worldGET"),
    MESSAGE("PUT http://example.com/x HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n"
            "5\r\nhello\r\n1;a=b;c=\"d e\"\r\nx\r\n000\r\nA: b\r\n\r\nGET"),
    MESSAGE("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
    MESSAGE("OPTIONS * HTTP/1.0\r\nConnection: Keep-Alive\r\nX-Empty:\r\nX-Bytes: \xc3\xa4 \t \xff\r\n\r\n"),
    MESSAGE("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n\x16\x03\x01"),
    MESSAGE(
        "DELETE /services HTTP/1.1\r\nhost:a\r\nconnection:close\r\nexpect:100-continue\r\ncontent-length:2\r\n\r\n{}"),
};

static const struct slice responses[] = {
    MESSAGE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhelloHTTP/1.1"),
    MESSAGE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\nHTTP"),
    MESSAGE("HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
    MESSAGE("HTTP/1.1 204 No Content\r\nDate: Sat, 14 Mar 2026 09:26:53 GMT\r\n\r\n"),
    MESSAGE("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi"),
    MESSAGE("HTTP/1.1 500 \r\nConnection: close\r\n\r\nuntil the end"),
    MESSAGE("HTTP/1.1 304\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n"),
};

static const enum http_method methods[] = {HTTP_METHOD_GET, HTTP_METHOD_HEAD, HTTP_METHOD_CONNECT};

static void check_request(struct slice bytes)
{
    const char *difference = http1_oracle_request(bytes);
    if (difference)
        test_fail(__FILE__, __LINE__, "%s\n%.*s", difference, SLICE_ARG(bytes));
}

static void check_response(struct slice bytes)
{
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const char *difference = http1_oracle_response(bytes, methods[i]);
        if (difference)
            test_fail(__FILE__, __LINE__, "to %s: %s\n%.*s", http_method_name(methods[i]), difference,
                      SLICE_ARG(bytes));
    }
}

static void good_messages_are_read_alike(void)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        for (size_t len = 0; len <= requests[i].len; len++)
            check_request(slice_from(requests[i].ptr, len));
    for (size_t i = 0; i < ARRAY_LEN(responses); i++)
        for (size_t len = 0; len <= responses[i].len; len++)
            check_response(slice_from(responses[i].ptr, len));
}

/* What breaks parsers, and single bytes. */
static struct slice random_piece(uint64_t *random)
{
    static const struct slice pieces[] = {
        SLICE_LIT("\r"),
        SLICE_LIT("\n"),
        SLICE_LIT("\r\n"),
        SLICE_LIT("\r\n\r\n"),
        SLICE_LIT(" "),
        SLICE_LIT("\t"),
        SLICE_LIT(":"),
        SLICE_LIT(","),
        SLICE_LIT(";"),
        SLICE_LIT("="),
        SLICE_LIT("\""),
        SLICE_LIT("\\"),
        SLICE_LIT("0"),
        SLICE_LIT("1"),
        SLICE_LIT("a"),
        SLICE_LIT("\0"),
        SLICE_LIT("\x7f"),
        SLICE_LIT("\x80"),
        SLICE_LIT("#"),
        SLICE_LIT("close"),
        SLICE_LIT("keep-alive"),
        SLICE_LIT("upgrade"),
        SLICE_LIT("chunked"),
        SLICE_LIT("Content-Length: 1\r\n"),
        SLICE_LIT("Transfer-Encoding: chunked\r\n"),
        SLICE_LIT("Connection: x\r\n"),
        SLICE_LIT("HTTP/1.0"),
        SLICE_LIT("http://"),
        SLICE_LIT("Upgrade: h2c\r\n"),
        SLICE_LIT("Host: b\r\n"),
    };
    return pieces[test_random(random) % ARRAY_LEN(pieces)];
}

/* Replaces, inserts or deletes a few bytes. Gives the new length. */
static size_t mutate(char *text, size_t len, size_t room, uint64_t *random)
{
    for (unsigned n = 1 + (unsigned)(test_random(random) % 3); n > 0; n--) {
        size_t at = test_random(random) % (len + 1);
        size_t cut = test_random(random) % 3;
        cut = min_size(cut, len - at);
        struct slice piece = test_random(random) % 4 ? random_piece(random) : SLICE_LIT("");
        if (len - cut + piece.len > room)
            break;
        memmove(text + at + piece.len, text + at + cut, len - at - cut);
        memcpy(text + at, piece.ptr, piece.len);
        len = len - cut + piece.len;
    }
    return len;
}

static bool is_accepted(struct slice bytes)
{
    static const struct http1_limits limits = {.head_bytes = 4096, .target_bytes = 4096, .n_fields = 100};
    struct http_fields fields;
    struct http_request request;
    struct http1_fault fault;
    size_t end = http1_head_end(bytes, 0);
    return end > 0 && http1_parse_request(slice_from(bytes.ptr, end), &limits, &fields, &request, &fault) == 0;
}

static void changed_messages_are_read_alike(void)
{
    uint64_t random = test_seed();
    unsigned n_accepted = 0;
    for (unsigned round = 0; round < 60000; round++) {
        char text[1024];
        bool is_response = round % 2;
        struct slice sample = is_response ? responses[test_random(&random) % ARRAY_LEN(responses)]
                                          : requests[test_random(&random) % ARRAY_LEN(requests)];
        memcpy(text, sample.ptr, sample.len);
        struct slice bytes = slice_from(text, mutate(text, sample.len, sizeof(text), &random));
        if (is_response)
            check_response(bytes);
        else
            check_request(bytes);
        n_accepted += !is_response && is_accepted(bytes);
    }
    /* The changes are small enough to leave messages that both have to read. */
    printf("# %u changed requests were accepted\n", n_accepted);
    expect_true(n_accepted > 1000);
}

static const struct test_case cases[] = {
    {"each prefix of a good message is read as llhttp reads it", good_messages_are_read_alike},
    {"a changed message that is accepted is read as llhttp reads it", changed_messages_are_read_alike},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
