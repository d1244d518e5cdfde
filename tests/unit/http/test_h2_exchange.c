/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges over HTTP/2 as front ends and clients see them, when nobody does anything wrong. */
#include "support/h2_kit.h"
#include "support/test.h"

static void answers_a_request(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hello");
    kit_run(kit);
    struct kit_answer *answer = kit_answer(kit, id);
    expect_int(answer->status, 200);
    expect_str(answer->body, "hello\n");
    expect_str(answer->fields, "date: Sun, 06 Nov 1994 08:49:37 GMT\ncontent-length: 6\n"
                               "content-type: text/plain; charset=utf-8\n");
    expect_true(answer->is_ended);
    expect_true(answer->is_closed);
    expect_int(answer->code, NGHTTP2_NO_ERROR);
    expect_int(kit->n_sends, 1);
    expect_trace(kit, "request");
    kit_free(kit);
}

static void answers_head_without_body(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "HEAD", "/hello", false, NULL);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 200);
    expect_true(strstr(kit_answer(kit, id)->fields, "content-length: 6\n") != NULL);
    expect_int(kit_answer(kit, id)->n_body, 0);
    expect_true(kit_answer(kit, id)->is_closed);
    kit_free(kit);
}

static void sends_many_answers_at_once(void)
{
    struct kit *kit = kit_ready();
    for (int i = 0; i < 20; i++)
        (void)kit_get(kit, "/hello");
    kit_run(kit);
    for (int32_t id = 1; id < 40; id += 2)
        expect_str(kit_answer(kit, id)->body, "hello\n");
    expect_int(kit->n_sends, 1);
    kit_free(kit);
}

static void takes_a_body_in_pieces(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/echo", true, NULL);
    kit_data(kit, id, SLICE_LIT("abc"), false);
    expect_str(kit_answer(kit, id)->body, "abc");
    kit_data(kit, id, SLICE_LIT("defg"), true);
    expect_str(kit_answer(kit, id)->body, "abcdefg");
    expect_str(kit_answer(kit, id)->trailers, "x-end: yes\n");
    expect_true(kit_answer(kit, id)->is_closed);
    expect_trace(kit, "request echo:3 echo:4 close:done");
    kit_free(kit);
}

static void collects_a_body(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/collect", true, NULL);
    kit_data(kit, id, SLICE_LIT("one "), false);
    kit_data(kit, id, SLICE_LIT("two"), true);
    expect_str(kit_answer(kit, id)->body, "one two");
    expect_trace(kit, "request whole:7 close:done");
    kit_free(kit);
}

static void request_trailers_end_the_body(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/collect", true, NULL);
    kit_data(kit, id, SLICE_LIT("body"), false);
    kit_trailers(kit, id, (const char *const[]){"x-checksum", "1", NULL});
    expect_str(kit_answer(kit, id)->body, "body");
    kit_free(kit);
}

static void continues_when_expected(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/collect", true, (const char *const[]){"expect", "100-continue", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_continues, 1);
    expect_int(kit_answer(kit, id)->status, 0);
    kit_data(kit, id, SLICE_LIT("now"), true);
    expect_int(kit_answer(kit, id)->status, 200);
    expect_str(kit_answer(kit, id)->body, "now");

    id = kit_request(kit, "POST", "/hello", true, (const char *const[]){"expect", "100-continue", NULL});
    kit_run(kit); /* who is answered at once is not asked for the body */
    expect_int(kit_answer(kit, id)->n_continues, 0);
    expect_int(kit_answer(kit, id)->status, 200);

    id = kit_request(kit, "POST", "/collect", true, (const char *const[]){"expect", "tea", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 417);
    kit_free(kit);
}

static void note_trailers(struct exchange *exchange, const struct http_fields *trailers)
{
    for (unsigned i = 0; i < trailers->n; i++)
        kit_note(exchange->state, "%.*s=%.*s", SLICE_ARG(trailers->items[i].name), SLICE_ARG(trailers->items[i].value));
}

static void note_end(struct exchange *exchange)
{
    kit_note(exchange->state, "end");
}

static void note_close(struct exchange *exchange, enum exchange_end end)
{
    kit_note(exchange->state, "close:%s", kit_end_name(end));
}

/* Holds the exchange, to be answered by the test. */
static void serve_relay(struct kit *kit, struct exchange *exchange)
{
    static const struct exchange_app app = {.on_end = note_end, .on_close = note_close, .on_trailers = note_trailers};
    exchange->app = &app;
    exchange->state = kit;
    exchange_hold_continue(exchange);
    kit->held[0] = exchange;
}

static void fields_of_http_1_are_carried(void)
{
    static struct http_fields fields;
    struct http_response response;
    struct http1_fault fault;
    const struct http1_limits limits = {.head_bytes = 1000, .target_bytes = 100, .n_fields = 100};
    struct slice head = SLICE_LIT("HTTP/1.1 200 Yes\r\nX-Upper:  Value \r\nConnection: x-upper\r\nUpgrade: chat\r\n"
                                  "Date: today\r\nTransfer-Encoding: chunked\r\nGone: 1\r\n\r\n");
    expect_int(http1_parse_response(head, &limits, HTTP_METHOD_GET, &fields, &response, &fault), 0);
    struct header_carry carry = {.fields = &fields};
    header_carry_drop(&carry, 5);

    struct kit *kit = kit_new(NULL, NULL);
    kit->serve = serve_relay;
    static const char *const expecting[] = {"expect", "100-continue", NULL};
    int32_t id = kit_request(kit, "POST", "/", true, expecting);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_continues, 0);
    exchange_inform(kit->held[0], 100, NULL, NULL, 0);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_continues, 1);
    static const char *const trailers[] = {"x-sum", "5", "x-forwarded-for", "evil", "x-more", "6", NULL};
    kit_data(kit, id, SLICE_LIT("hello"), false);
    kit_trailers(kit, id, trailers);
    expect_trace(kit, "x-sum=5 x-more=6 end");

    const struct header sum = {SLICE_LIT("X-Sum"), SLICE_LIT("1")};
    expect_int(exchange_begin_carry(kit->held[0], 200, &carry, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(kit->held[0], SLICE_LIT("abc")), 0);
    exchange_end(kit->held[0], &sum, 1);
    kit_run(kit);
    /* Behind a 100 the kit tells trailers among the fields. */
    expect_str(kit_answer(kit, id)->fields, "x-upper: Value\ndate: today\nx-sum: 1\n");
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void trailers_wait_for_a_body_that_is_paused(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    kit->serve = serve_relay;
    static const char *const trailers[] = {"x-sum", "5", NULL};
    int32_t id = kit_request(kit, "POST", "/", true, NULL);
    kit_run(kit);
    exchange_pause(kit->held[0], true);
    kit_data(kit, id, SLICE_LIT("hello"), false);
    kit_trailers(kit, id, trailers);
    expect_trace(kit, "");
    exchange_pause(kit->held[0], false);
    kit_run(kit);
    expect_trace(kit, "x-sum=5 end");
    kit_free(kit);
}

static void answers_later_at_any_time(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    expect_trace(kit, "request end");
    expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(kit->held[0], SLICE_LIT("tick ")), 0);
    kit->n_sends = 0;
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "tick ");
    expect_int(kit->n_sends, 1);

    expect_int(exchange_write(kit->held[0], SLICE_LIT("ti")), 0);
    expect_int(exchange_write(kit->held[0], SLICE_LIT("ck ")), 0);
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "tick tick ");
    expect_int(kit->n_sends, 2);

    exchange_end(kit->held[0], NULL, 0);
    kit_run(kit);
    expect_true(kit_answer(kit, id)->is_closed);
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void an_early_answer_lets_the_body_end(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/hello", true, NULL);
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "hello\n");
    expect_false(kit_answer(kit, id)->is_closed);
    kit_data(kit, id, SLICE_LIT("abc"), true);
    expect_true(kit_answer(kit, id)->is_closed);
    expect_int(kit->n_resets, 0);
    kit_free(kit);
}

static void an_early_answer_ends_a_body_that_does_not(void)
{
    static char bytes[100 * 1000];
    struct http_server_options options;
    struct kit *kit = kit_ready();
    http_server_options_init(&options);
    int32_t id = kit_request(kit, "POST", "/hello", true, NULL);
    for (unsigned i = 1; i * sizeof(bytes) < options.body_drain_bytes; i++)
        kit_data(kit, id, slice_from(bytes, sizeof(bytes)), false);
    expect_false(kit_answer(kit, id)->is_closed);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), false); /* too much */
    expect_true(kit_answer(kit, id)->is_closed);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_NO_ERROR);
    expect_int(kit->n_resets, 1);

    id = kit_request(kit, "POST", "/hello", true, NULL);
    kit_run_for(kit, options.linger_ns - NSEC_PER_SEC / 10);
    expect_false(kit_answer(kit, id)->is_closed);
    kit_run_for(kit, NSEC_PER_SEC / 5); /* too long */
    expect_true(kit_answer(kit, id)->is_closed);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_NO_ERROR);
    expect_int(kit->n_resets, 2);
    kit_free(kit);
}

static void a_reset_aborts_the_exchange(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    kit_reset(kit, id);
    kit_run(kit);
    expect_trace(kit, "request end close:aborted");
    expect_int(http_server_n_connections(kit->server), 1);
    kit_free(kit);
}

static void giving_up_resets_the_stream(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    exchange_abort(kit->held[0]);
    expect_trace(kit, "request end"); /* never from inside the call */
    kit_run(kit);
    expect_trace(kit, "close:aborted");
    expect_int(kit_answer(kit, id)->code, NGHTTP2_INTERNAL_ERROR);

    id = kit_get(kit, "/hold"); /* less than was promised */
    kit_run(kit);
    expect_int(exchange_begin(kit->held[1], 200, NULL, 0, 10), 0);
    expect_int(exchange_write(kit->held[1], SLICE_LIT("123")), 0);
    exchange_end(kit->held[1], NULL, 0);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_INTERNAL_ERROR);
    expect_trace(kit, "request end close:aborted");
    kit_free(kit);
}

static void values_cannot_carry_controls(void)
{
    static const struct header headers[] = {
        {SLICE_LIT("x-one"), SLICE_LIT(" a\r\nb\0c ")},
        {SLICE_LIT("x-two"), SLICE_LIT("fine")},
    };
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    exchange_respond(kit->held[0], 200, headers, 2, SLICE_LIT(""));
    kit_run(kit);
    expect_true(strstr(kit_answer(kit, id)->fields, "x-one: a  b c\nx-two: fine\n") != NULL);
    expect_true(kit_answer(kit, id)->is_closed);
    kit_free(kit);
}

static void the_network_may_cut_anywhere(void)
{
    struct kit *kit;
    const struct sim_options bytewise = {.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE};
    kit = kit_new(NULL, &bytewise);
    int32_t id = kit_request(kit, "POST", "/echo", true, NULL);
    kit_data(kit, id, SLICE_LIT("byte by byte"), true);
    expect_str(kit_answer(kit, id)->body, "byte by byte");
    expect_str(kit_answer(kit, id)->trailers, "x-end: yes\n");
    expect_true(kit_answer(kit, id)->is_closed);
    kit_free(kit);
}

static void a_stopping_server_says_so(void)
{
    struct kit *kit = kit_ready();
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    http_server_free(kit->server);
    kit->server = NULL;
    expect_trace(kit, "request end close:shutdown");
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"a request is answered in one send", answers_a_request},
    {"HEAD is answered without a body", answers_head_without_body},
    {"the answers to a burst of requests leave together", sends_many_answers_at_once},
    {"a body comes in pieces and so may the answer", takes_a_body_in_pieces},
    {"a body is collected", collects_a_body},
    {"trailers of a request end its body", request_trailers_end_the_body},
    {"100 (Continue) is sent to who expects it, and only when the body is wanted", continues_when_expected},
    {"an answer may come later and in pieces, sent once a turn", answers_later_at_any_time},
    {"an early answer lets the body end", an_early_answer_lets_the_body_end},
    {"an early answer ends a body that does not", an_early_answer_ends_a_body_that_does_not},
    {"a reset by the client aborts the exchange", a_reset_aborts_the_exchange},
    {"an exchange that is given up is reset", giving_up_resets_the_stream},
    {"values of fields cannot carry controls", values_cannot_carry_controls},
    {"everything works byte by byte", the_network_may_cut_anywhere},
    {"a server that stops ends its exchanges", a_stopping_server_says_so},
    {"fields of HTTP/1 are carried", fields_of_http_1_are_carried},
    {"trailers wait for a body that is paused", trailers_wait_for_a_body_that_is_paused},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
