/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/access_line.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <stdlib.h>

struct bench {
    struct http_fields fields;
    struct http_request request;
    struct peer client;
    struct access_clock clock;
    struct access_line line;
    struct buf room, whole;
    struct slice caller;
    struct access_outcome outcome;
};

#define FIRST_SECOND (1795286439 * NSEC_PER_SEC) /* 2026-11-21T18:40:39Z */

static struct bench *bench_new(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    bench->client = (struct peer){AF_INET, 1234, {192, 0, 2, 1}};
    bench->request = (struct http_request){
        .version_major = 1,
        .version_minor = 1,
        .method_text = SLICE_LIT("GET"),
        .target = SLICE_LIT("/a?b=c"),
        .authority = SLICE_LIT("example.com"),
        .fields = &bench->fields,
    };
    bench->outcome = (struct access_outcome){
        .id = SLICE_LIT("00aa"),
        .service = SLICE_LIT("web"),
        .instance = SLICE_LIT("i1"),
        .status = 200,
        .n_attempts = 1,
        .n_received = 3,
        .n_sent = 45,
        .first_byte_us = 6,
        .took_us = 7,
    };
    return bench;
}

static void bench_free(struct bench *bench)
{
    buf_deinit(&bench->line.text);
    buf_deinit(&bench->room);
    buf_deinit(&bench->whole);
    free(bench);
}

static void add_field(struct bench *bench, enum http_field_id id, struct slice value)
{
    bench->fields.items[bench->fields.n++] = (struct http_field){.id = id, .value = value};
}

static int write_line(struct bench *bench, enum access_log_format format, nsec_t at_ns)
{
    struct slice pieces[3];
    const struct access_request request = {&bench->request, &bench->client, bench->caller, at_ns};
    access_line_deinit(&bench->line);
    access_line_begin(&bench->line, format, &bench->clock, &request);
    int r = access_line_end(&bench->line, &bench->outcome, &bench->room, pieces);
    buf_reset(&bench->whole);
    for (unsigned i = 0; r == 0 && i < 3; i++)
        r = buf_append(&bench->whole, pieces[i]);
    return r;
}

static void expect_line(struct bench *bench, enum access_log_format format, const char *expected)
{
    expect_int(write_line(bench, format, FIRST_SECOND + 5 * NSEC_PER_MSEC), 0);
    expect_slice(buf_slice(&bench->whole), expected);
}

static void the_combined_format_is_that_of_others(void)
{
    struct bench *bench = bench_new();
    expect_line(bench, ACCESS_LOG_COMBINED,
                "192.0.2.1 - - [21/Nov/2026:18:40:39 +0000] \"GET /a?b=c HTTP/1.1\" 200 45 \"-\" \"-\"\n");
    add_field(bench, HTTP_FIELD_REFERER, SLICE_LIT("http://x/"));
    add_field(bench, HTTP_FIELD_USER_AGENT, SLICE_LIT("me 1.0"));
    bench->caller = SLICE_LIT("robot one");
    expect_line(bench, ACCESS_LOG_COMBINED,
                "192.0.2.1 - robot\\x20one [21/Nov/2026:18:40:39 +0000] \"GET /a?b=c HTTP/1.1\" 200 45 \"http://x/\" "
                "\"me 1.0\"\n");
    bench->outcome.status = 0;
    bench->caller = (struct slice){0};
    bench->client = (struct peer){.family = AF_UNIX};
    bench->fields.n = 0;
    expect_line(bench, ACCESS_LOG_COMBINED,
                "unix: - - [21/Nov/2026:18:40:39 +0000] \"GET /a?b=c HTTP/1.1\" 499 45 \"-\" \"-\"\n");
    bench_free(bench);
}

static void json_says_more(void)
{
    struct bench *bench = bench_new();
    expect_line(bench, ACCESS_LOG_JSON,
                "{\"time\":\"2026-11-21T18:40:39.005Z\",\"client\":\"192.0.2.1\",\"method\":\"GET\","
                "\"host\":\"example.com\",\"target\":\"/a?b=c\",\"http\":\"1.1\",\"status\":200,"
                "\"received_bytes\":3,\"sent_bytes\":45,\"first_byte_us\":6,\"took_us\":7,\"attempts\":1,"
                "\"id\":\"00aa\",\"service\":\"web\",\"instance\":\"i1\"}\n");
    add_field(bench, HTTP_FIELD_USER_AGENT, SLICE_LIT("a\"\n"));
    bench->outcome.cause = CAUSE_TERMINATED;
    bench->outcome.status = 502;
    bench->caller = SLICE_LIT("robot");
    expect_line(bench, ACCESS_LOG_JSON,
                "{\"time\":\"2026-11-21T18:40:39.005Z\",\"client\":\"192.0.2.1\",\"certificate\":\"robot\","
                "\"method\":\"GET\",\"host\":\"example.com\",\"target\":\"/a?b=c\",\"http\":\"1.1\","
                "\"user_agent\":\"a\\\"\\n\",\"status\":502,\"received_bytes\":3,\"sent_bytes\":45,"
                "\"first_byte_us\":6,\"took_us\":7,\"attempts\":1,\"id\":\"00aa\",\"service\":\"web\","
                "\"instance\":\"i1\",\"cause\":\"TERMINATED\"}\n");
    bench_free(bench);
}

static void any_byte_stays_within_its_field(void)
{
    struct bench *bench = bench_new();
    char bytes[256];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)i;
    add_field(bench, HTTP_FIELD_USER_AGENT, slice_from(bytes, sizeof(bytes)));
    add_field(bench, HTTP_FIELD_REFERER, slice_from(bytes, sizeof(bytes)));
    bench->request.target = slice_from(bytes, sizeof(bytes));
    for (unsigned format = ACCESS_LOG_COMBINED; format <= ACCESS_LOG_JSON; format++) {
        expect_int(write_line(bench, format, FIRST_SECOND), 0);
        struct slice line = buf_slice(&bench->whole);
        expect_int(slice_find(line, '\n'), line.len - 1);
        for (size_t i = 0; i + 1 < line.len; i++)
            expect_true((unsigned char)line.ptr[i] >= ' ');
    }
    bench_free(bench);
}

static void long_texts_are_cut(void)
{
    struct bench *bench = bench_new();
    static char text[100000];
    memset(text, 'x', sizeof(text));
    add_field(bench, HTTP_FIELD_USER_AGENT, slice_from(text, sizeof(text)));
    bench->request.target = slice_from(text, sizeof(text));
    expect_int(write_line(bench, ACCESS_LOG_COMBINED, FIRST_SECOND), 0);
    expect_true(bench->whole.len < ACCESS_TARGET_MAX + ACCESS_FIELD_MAX + 200);
    bench_free(bench);
}

static void the_date_is_told_anew_each_second(void)
{
    struct bench *bench = bench_new();
    expect_int(write_line(bench, ACCESS_LOG_COMBINED, FIRST_SECOND), 0);
    expect_int(write_line(bench, ACCESS_LOG_COMBINED, FIRST_SECOND + 21 * NSEC_PER_SEC), 0);
    expect_slice(slice_from(bench->whole.ptr, 43), "192.0.2.1 - - [21/Nov/2026:18:41:00 +0000] ");
    bench_free(bench);
}

static int write_both(void *arg)
{
    struct bench *bench = arg;
    buf_deinit(&bench->line.text);
    buf_deinit(&bench->room);
    buf_deinit(&bench->whole);
    int r = write_line(bench, ACCESS_LOG_JSON, FIRST_SECOND);
    return r < 0 ? r : write_line(bench, ACCESS_LOG_COMBINED, FIRST_SECOND);
}

static void any_allocation_may_fail(void)
{
    struct bench *bench = bench_new();
    expect_true(fault_alloc_sweep(write_both, bench) > 2);
    bench_free(bench);
}

static const struct test_case cases[] = {
    {"the combined format is that of others", the_combined_format_is_that_of_others},
    {"JSON says more", json_says_more},
    {"any byte stays within its field", any_byte_stays_within_its_field},
    {"long texts are cut", long_texts_are_cut},
    {"the date is told anew each second", the_date_is_told_anew_each_second},
    {"any allocation may fail", any_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
