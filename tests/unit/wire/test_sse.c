/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/sse.h"

#include "support/test.h"

#include <errno.h>

static int write_event(void *ctx, const struct sse_event *event)
{
    return buf_printf(ctx, "%.*s|%.*s|%.*s;", SLICE_ARG(event->type), SLICE_ARG(event->id), SLICE_ARG(event->data));
}

static int refuse_event(void *ctx, const struct sse_event *event)
{
    (void)ctx;
    (void)event;
    return -ECANCELED;
}

/* What is read from the text, whole and byte by byte. */
static void expect_events(const char *text, const char *expected)
{
    struct buf whole = {0}, bytewise = {0};
    struct sse_parser parser;
    sse_parser_init(&parser, 1024);
    expect_int(sse_parser_take(&parser, slice_from_str(text), write_event, &whole), 0);
    sse_parser_deinit(&parser);
    sse_parser_init(&parser, 1024);
    for (const char *c = text; *c; c++)
        expect_int(sse_parser_take(&parser, slice_from(c, 1), write_event, &bytewise), 0);
    sse_parser_deinit(&parser);
    expect_slice(buf_slice(&whole), expected);
    expect_slice(buf_slice(&bytewise), expected);
    buf_deinit(&whole);
    buf_deinit(&bytewise);
}

static void fields_make_an_event(void)
{
    expect_events("event: change\nid: 7\ndata: {}\n\n", "change|7|{};");
    expect_events("data:x\n\ndata\n\n", "message||x;message||;");
}

static void lines_end_in_three_ways(void)
{
    expect_events("data: a\r\n\r\ndata: b\r\rdata: c\n\n", "message||a;message||b;message||c;");
}

static void data_lines_are_joined(void)
{
    expect_events("data: a\ndata:  b\n\n", "message||a\n b;");
}

static void what_has_no_data_is_no_event(void)
{
    expect_events("\n:\n\nevent: x\n\nid: 3\n\ndata: 1\n\n", "message||1;");
}

static void comments_and_unknown_fields_are_passed_over(void)
{
    expect_events(": hello\nretry: 5\nfoo: bar\ndata: 1\n\ndata: not ended", "message||1;");
}

static void a_byte_order_mark_is_passed_over(void)
{
    expect_events("\xEF\xBB\xBF"
                  "data: 1\n\n",
                  "message||1;");
}

static void an_event_that_is_too_long_ends_the_stream(void)
{
    struct sse_parser parser;
    struct buf out = {0};
    int r = 0;
    sse_parser_init(&parser, 64);
    for (int i = 0; i < 100 && r == 0; i++)
        r = sse_parser_take(&parser, SLICE_LIT("data: 1234\n"), write_event, &out);
    expect_int(r, -EMSGSIZE);
    sse_parser_deinit(&parser);
    r = 0;
    sse_parser_init(&parser, 64);
    for (int i = 0; i < 100 && r == 0; i++)
        r = sse_parser_take(&parser, SLICE_LIT("1234"), write_event, &out);
    expect_int(r, -EMSGSIZE);
    sse_parser_deinit(&parser);
    buf_deinit(&out);
}

static void the_reader_may_end_the_stream(void)
{
    struct sse_parser parser;
    sse_parser_init(&parser, 64);
    expect_int(sse_parser_take(&parser, SLICE_LIT("data: 1\n\n"), refuse_event, NULL), -ECANCELED);
    sse_parser_deinit(&parser);
}

static const struct test_case cases[] = {
    {"fields make an event", fields_make_an_event},
    {"lines end in three ways, wherever they are cut", lines_end_in_three_ways},
    {"lines of data are joined", data_lines_are_joined},
    {"what has no data is no event", what_has_no_data_is_no_event},
    {"comments and unknown fields are passed over", comments_and_unknown_fields_are_passed_over},
    {"a byte order mark is passed over", a_byte_order_mark_is_passed_over},
    {"an event that is too long ends the stream", an_event_that_is_too_long_ends_the_stream},
    {"the reader may end the stream", the_reader_may_end_the_stream},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
