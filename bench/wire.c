/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds to take one head apart: our scanner against llhttp, which is what we would use otherwise. Both get the
 * whole head in one piece and leave behind where each name and value is. Rounds are interleaved, the best one counts.
 */
#include "wire/http1.h"

#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_ROUNDS = 40, N_HEADS_PER_ROUND = 5000 };

static const struct http1_limits limits = {.head_bytes = 65536, .target_bytes = 8192, .n_fields = HTTP_FIELDS_MAX};

struct sample {
    const char *name;
    bool is_response;
    struct slice head;
};

static const char response_229[] = "HTTP/1.1 200 OK\r\n"
                                   "Server: nginx/1.22.1\r\n"
                                   "Date: Sat, 14 Mar 2026 09:26:53 GMT\r\n"
                                   "Content-Type: application/json; charset=utf-8\r\n"
                                   "Content-Length: 128\r\n"
                                   "Connection: keep-alive\r\n"
                                   "Cache-Control: no-cache\r\n"
                                   "X-Request-Id: 3f2a9c41e0b7\r\n"
                                   "\r\n";

static const char request_374[] =
    "GET /api/v1/catalog/services/billing?zone=eu-1&limit=50 HTTP/1.1\r\n"
    "Host: registry.example.com:8080\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\r\n"
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=4f6d2c1a\r\n"
    "\r\n";

/* A browser's request with a fat cookie and a token, as gateways see them. */
static struct slice make_large_request(void)
{
    static char text[4096];
    size_t len = (size_t)snprintf(text, sizeof(text), "%.*s", (int)sizeof(request_374) - 3, request_374);
    for (unsigned i = 0; i < 8; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "X-Forwarded-Trace-%u: %064u-%032u\r\n", i, i, i);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "Authorization: Bearer %0600u\r\n", 7u);
    len += (size_t)snprintf(text + len, sizeof(text) - len, "X-Session-State: %0840u\r\n\r\n", 9u);
    return slice_from(text, len);
}

static struct http_fields fields;

static void parse_ours(const struct sample *sample)
{
    struct http_request request;
    struct http_response response;
    struct http1_fault fault;
    struct slice head = slice_from(sample->head.ptr, http1_head_end(sample->head, 0));
    int r = sample->is_response ? http1_parse_response(head, &limits, HTTP_METHOD_GET, &fields, &response, &fault)
                                : http1_parse_request(head, &limits, &fields, &request, &fault);
    if (r < 0)
        abort();
}

static struct slice target;

static int on_url(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    target = slice_from(at, length);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    fields.items[fields.n++].name = slice_from(at, length);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t length)
{
    (void)parser;
    fields.items[fields.n - 1].value = slice_from(at, length);
    return 0;
}

static void parse_llhttp(const struct sample *sample)
{
    static llhttp_settings_t settings;
    llhttp_t parser;
    settings.on_url = on_url;
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    fields.n = 0;
    llhttp_init(&parser, sample->is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    if (llhttp_execute(&parser, sample->head.ptr, sample->head.len) != HPE_OK)
        abort();
}

static double round_ns(void (*parse)(const struct sample *), const struct sample *sample)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < N_HEADS_PER_ROUND; i++)
        parse(sample);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    return ns / N_HEADS_PER_ROUND;
}

static void measure(const struct sample *sample)
{
    double ours = 1e9, llhttp = 1e9;
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        double ns = round_ns(parse_ours, sample);
        ours = ns < ours ? ns : ours;
        ns = round_ns(parse_llhttp, sample);
        llhttp = ns < llhttp ? ns : llhttp;
    }
    printf("%-10s %6zu %10.0f %10.0f %8.2f\n", sample->name, sample->head.len, ours, llhttp, ours / llhttp);
}

int main(void)
{
    const struct sample samples[] = {
        {"response", true, slice_from(response_229, sizeof(response_229) - 1)},
        {"request", false, slice_from(request_374, sizeof(request_374) - 1)},
        {"large", false, make_large_request()},
    };
    printf("%-10s %6s %10s %10s %8s\n", "head", "bytes", "muster ns", "llhttp ns", "ratio");
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        measure(&samples[i]);
    return EXIT_SUCCESS;
}
