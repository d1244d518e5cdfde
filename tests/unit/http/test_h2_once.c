/* SPDX-License-Identifier: Apache-2.0 */
/* One request by HTTP/2, to a server that is played frame by frame. */
#include "base/buf.h"
#include "http/h2_once.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"
#include "wire/h2.h"

#include <errno.h>
#include <stdio.h>

#define STATUS_200 "\x88"
#define STATUS_100                                                                                                     \
    "\x08\x03"                                                                                                         \
    "100"
#define GRPC_STATUS                                                                                                    \
    "\x00\x0b"                                                                                                         \
    "grpc-status"                                                                                                      \
    "\x01"                                                                                                             \
    "0"
#define UPPER_CASE                                                                                                     \
    "\x00\x01"                                                                                                         \
    "A"                                                                                                                \
    "\x01"                                                                                                             \
    "0"
#define CONNECTION                                                                                                     \
    "\x00\x0a"                                                                                                         \
    "connection"                                                                                                       \
    "\x05"                                                                                                             \
    "close"
#define END   H2_FLAG_END_STREAM
#define WHOLE H2_FLAG_END_HEADERS

struct frame {
    uint8_t type, flags;
    int32_t id;
    struct slice payload;
};

#define FRAME(type, flags, id, payload)                                                                                \
    {                                                                                                                  \
        H2_FRAME_##type, (flags), (id), SLICE_LIT(payload)                                                             \
    }
#define SETTINGS FRAME(SETTINGS, 0, 0, "")

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct stream *near, *far;
    struct h2_once *once;
    struct buf heard;
    char fields[256], body[256];
    const char *fault;
    unsigned status;
    int n_done, result;
};

static void on_field(void *owner, struct slice name, struct slice value)
{
    struct kit *kit = owner;
    size_t at = strlen(kit->fields);
    (void)snprintf(kit->fields + at, sizeof(kit->fields) - at, "%.*s=%.*s ", SLICE_ARG(name), SLICE_ARG(value));
}

static void on_body(void *owner, struct slice bytes)
{
    struct kit *kit = owner;
    size_t at = strlen(kit->body);
    (void)snprintf(kit->body + at, sizeof(kit->body) - at, "%.*s", SLICE_ARG(bytes));
}

static void on_done(void *owner, int result, unsigned status, const char *fault)
{
    struct kit *kit = owner;
    kit->n_done++;
    kit->result = result;
    kit->status = status;
    kit->fault = fault ? fault : "";
    h2_once_free(TAKE(kit->once));
}

static const struct h2_once_events events = {on_field, on_body, on_done};

static int start(struct kit *kit)
{
    const struct header headers[] = {{SLICE_LIT("te"), SLICE_LIT("trailers")}};
    const struct h2_once_request request = {
        .method = SLICE_LIT("POST"),
        .scheme = SLICE_LIT("http"),
        .authority = SLICE_LIT("a:1"),
        .target = SLICE_LIT("/x"),
        .headers = headers,
        .n_headers = 1,
        .body = SLICE_LIT("body"),
    };
    return h2_once_start(TAKE(kit->near), &request, &events, kit, &kit->once);
}

static void kit_init(struct kit *kit, const struct sim_options *network)
{
    *kit = (struct kit){0};
    expect_int(sim_new(NULL, &kit->sim, &kit->loop), 0);
    expect_int(sim_pair(kit->sim, network, &kit->near, &kit->far), 0);
}

static void kit_deinit(struct kit *kit)
{
    h2_once_free(kit->once);
    stream_close(kit->near);
    stream_close(kit->far);
    buf_deinit(&kit->heard);
    loop_free(kit->loop);
}

static void hear(struct kit *kit)
{
    char bytes[4096];
    ssize_t n;
    sim_run_for(kit->sim, 0);
    while ((n = stream_recv(kit->far, bytes, sizeof(bytes))) > 0) {
        expect_int(buf_append(&kit->heard, slice_from(bytes, (size_t)n)), 0);
        sim_run_for(kit->sim, 0);
    }
}

static void say(struct kit *kit, const struct frame *frame)
{
    char head[H2_FRAME_HEAD_BYTES];
    h2_frame_write(
        head, &(struct h2_frame){
                  .len = (uint32_t)frame->payload.len, .type = frame->type, .flags = frame->flags, .id = frame->id});
    (void)stream_send(kit->far, slice_from(head, sizeof(head)));
    (void)stream_send(kit->far, frame->payload);
    hear(kit);
}

static void play(struct kit *kit, const struct frame *frames, size_t n)
{
    expect_int(start(kit), 0);
    hear(kit);
    for (size_t i = 0; i < n; i++) {
        expect_int(kit->n_done, 0);
        say(kit, &frames[i]);
    }
}

/* ------------------------------------------------------------------------------------------------ what is sent */

static void expect_last_heard(const struct kit *kit, struct slice expected)
{
    expect_true(kit->heard.len >= expected.len);
    expect_true(slice_equal(slice_skip(buf_slice(&kit->heard), kit->heard.len - expected.len), expected));
}

static void what_is_sent(void)
{
    struct kit kit;
    kit_init(&kit, NULL);
    expect_int(start(&kit), 0);
    expect_true(!h2_once_was_sent(kit.once));
    hear(&kit);
    expect_true(h2_once_was_sent(kit.once));
    expect_true(slice_starts_with(buf_slice(&kit.heard), SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
                                                                   "\0\0\6\4\0\0\0\0\0\0\2\0\0\0\0")));
    expect_last_heard(&kit, SLICE_LIT("\0\0\4\0\1\0\0\0\1body"));
    kit_deinit(&kit);
}

static void what_is_asked_is_acknowledged(void)
{
    const struct frame frames[] = {SETTINGS, FRAME(PING, 0, 0, "12345678"), FRAME(SETTINGS, H2_FLAG_ACK, 0, ""),
                                   FRAME(PING, H2_FLAG_ACK, 0, "12345678")};
    struct kit kit;
    kit_init(&kit, NULL);
    play(&kit, frames, ARRAY_LEN(frames));
    expect_last_heard(&kit, SLICE_LIT("body"
                                      "\0\0\0\4\1\0\0\0\0"
                                      "\0\0\x8\6\1\0\0\0\0"
                                      "12345678"));
    kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ answers */

static const struct frame unary[] = {
    SETTINGS,
    FRAME(WINDOW_UPDATE, 0, 0, "\0\0\0\1"),
    FRAME(HEADERS, WHOLE, 1, STATUS_100),
    FRAME(HEADERS, WHOLE | H2_FLAG_PADDED | H2_FLAG_PRIORITY, 1,
          "\2"
          "\0\0\0\0\0" STATUS_200 "xx"),
    {99, 0, 7, SLICE_LIT("whatever")},
    FRAME(PRIORITY, 0, 3, "12345"),
    FRAME(DATA, 0, 1, "he"),
    FRAME(GOAWAY, 0, 0, "\0\0\0\1\0\0\0\0 you are the last"),
    FRAME(DATA, H2_FLAG_PADDED, 1,
          "\1"
          "llo"
          "x"),
    FRAME(HEADERS, END, 1,
          "\x00\x0b"
          "grpc-"),
    FRAME(CONTINUATION, WHOLE, 1,
          "status"
          "\x01"
          "0"),
};

static void expect_hello(const struct kit *kit)
{
    expect_int(kit->n_done, 1);
    expect_int(kit->result, 0);
    expect_int(kit->status, 200);
    expect_str(kit->fields, "grpc-status=0 ");
    expect_str(kit->body, "hello");
}

static void an_answer_with_all_there_is(void)
{
    struct kit kit;
    kit_init(&kit, NULL);
    play(&kit, unary, ARRAY_LEN(unary));
    expect_hello(&kit);
    kit_deinit(&kit);
    kit_init(&kit, &(struct sim_options){.to_a.pieces = SIM_BYTEWISE, .to_b.pieces = SIM_BYTEWISE, .connect_ns = 0});
    play(&kit, unary, ARRAY_LEN(unary));
    expect_hello(&kit);
    kit_deinit(&kit);
}

static void an_answer_of_trailers_only(void)
{
    const struct frame frames[] = {SETTINGS, FRAME(HEADERS, END | WHOLE, 1, STATUS_200 GRPC_STATUS)};
    struct kit kit;
    kit_init(&kit, NULL);
    play(&kit, frames, ARRAY_LEN(frames));
    expect_int(kit.result, 0);
    expect_str(kit.fields, "grpc-status=0 ");
    kit_deinit(&kit);
}

static void an_answer_that_was_there_before_the_question(void)
{
    struct kit kit;
    kit_init(&kit, NULL);
    for (size_t i = 0; i < ARRAY_LEN(unary); i++)
        say(&kit, &unary[i]);
    expect_int(start(&kit), 0);
    hear(&kit);
    expect_hello(&kit);
    kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ refusals */

struct refusal {
    const char *fault; /* "": the connection is reset */
    struct frame frames[4];
};

static const struct refusal refusals[] = {
    {"the answer is not HTTP/2", {{'T', 'P', '/' << 24, SLICE_LIT("1.1 400")}}},
    {"the answer is not HTTP/2", {FRAME(SETTINGS, H2_FLAG_ACK, 0, "")}},
    {"the answer is not HTTP/2", {FRAME(HEADERS, WHOLE | END, 1, STATUS_200)}},
    {"a frame of a wrong length", {FRAME(SETTINGS, 0, 0, "12345")}},
    {"a frame of a wrong length", {SETTINGS, FRAME(SETTINGS, H2_FLAG_ACK, 0, "\0\4\0\0\0\0")}},
    {"a frame of a wrong length", {SETTINGS, FRAME(PING, 0, 0, "1234567")}},
    {"a frame of a wrong length", {SETTINGS, FRAME(GOAWAY, 0, 0, "1234567")}},
    {"a frame of a wrong length", {SETTINGS, FRAME(RST_STREAM, 0, 1, "12345")}},
    {"a setting that no server may have", {FRAME(SETTINGS, 0, 0, "\0\2\0\0\0\1")}},
    {"a setting that no server may have", {FRAME(SETTINGS, 0, 0, "\0\4\x80\0\0\0")}},
    {"a setting that no server may have", {FRAME(SETTINGS, 0, 0, "\0\5\0\0\x3f\xff")}},
    {"a step of a window that is none", {SETTINGS, FRAME(WINDOW_UPDATE, 0, 1, "\0\0\0\0")}},
    {"a frame that may not come there", {SETTINGS, FRAME(PUSH_PROMISE, WHOLE, 1, "\0\0\0\2" STATUS_200)}},
    {"a frame that may not come there", {SETTINGS, FRAME(CONTINUATION, WHOLE, 1, STATUS_200)}},
    {"a frame that may not come there", {SETTINGS, FRAME(HEADERS, WHOLE, 3, STATUS_200)}},
    {"a frame that may not come there", {SETTINGS, FRAME(PING, 0, 1, "12345678")}},
    {"a frame that may not come there", {SETTINGS, FRAME(HEADERS, 0, 1, STATUS_200), FRAME(PING, 0, 0, "12345678")}},
    {"a body in front of its head", {SETTINGS, FRAME(DATA, 0, 1, "x")}},
    {"a frame whose padding is longer than itself",
     {SETTINGS, FRAME(HEADERS, WHOLE | H2_FLAG_PADDED, 1,
                      "\2"
                      "x")}},
    {"a frame whose padding is longer than itself", {SETTINGS, FRAME(HEADERS, WHOLE | H2_FLAG_PADDED, 1, "")}},
    {"a frame whose padding is longer than itself",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200), FRAME(DATA, H2_FLAG_PADDED, 1, "\1")}},
    {"the answer has no :status", {SETTINGS, FRAME(HEADERS, WHOLE, 1, GRPC_STATUS)}},
    {"the answer's :status is no status",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1,
                      "\x08\x03"
                      "2x0")}},
    {"the answer's :status is no status",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1,
                      "\x08\x04"
                      "0200")}},
    {"a pseudo-field of the answer is not where it may be",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200 STATUS_200)}},
    {"a pseudo-field of the answer is not where it may be",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1, GRPC_STATUS STATUS_200)}},
    {"a pseudo-field of the answer is not where it may be",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200), FRAME(HEADERS, WHOLE | END, 1, STATUS_200)}},
    {"a pseudo-field of the answer is not where it may be", {SETTINGS, FRAME(HEADERS, WHOLE, 1, "\x82")}},
    {"a field of the answer is not valid in HTTP/2", {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200 UPPER_CASE)}},
    {"a field of the answer is not valid in HTTP/2", {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200 CONNECTION)}},
    {"the answer's fields cannot be unpacked", {SETTINGS, FRAME(HEADERS, WHOLE, 1, "\xff")}},
    {"an interim answer that ends the call", {SETTINGS, FRAME(HEADERS, WHOLE | END, 1, STATUS_100)}},
    {"trailers that are not the end of the answer",
     {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200), FRAME(HEADERS, WHOLE, 1, GRPC_STATUS)}},
    {"", {SETTINGS, FRAME(RST_STREAM, 0, 1, "\0\0\0\7")}},
    {"", {SETTINGS, FRAME(GOAWAY, 0, 0, "\0\0\0\0\0\0\0\0")}},
};

static size_t count(const struct refusal *refusal)
{
    size_t n = 0;
    while (n < ARRAY_LEN(refusal->frames) && refusal->frames[n].payload.ptr)
        n++;
    return n;
}

static void what_is_not_as_it_should_be(void)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        struct kit kit;
        kit_init(&kit, NULL);
        play(&kit, refusals[i].frames, count(&refusals[i]));
        expect_int(kit.n_done, 1);
        expect_str(kit.fault, refusals[i].fault);
        expect_int(kit.result, refusals[i].fault[0] ? -EBADMSG : -ECONNRESET);
        expect_int(kit.status, 0);
        kit_deinit(&kit);
    }
}

/* ------------------------------------------------------------------------------------------------ limits */

static char zeros[H2_FRAME_BYTES_MAX + 1];

static void repeat(struct kit *kit, const struct frame *first, size_t n_first, const struct frame *again)
{
    kit_init(kit, &(struct sim_options){.to_a.window_bytes = 1 << 20});
    play(kit, first, n_first);
    for (int i = 0; i < 100000 && kit->n_done == 0; i++)
        say(kit, again);
    expect_int(kit->n_done, 1);
    expect_int(kit->result, -EBADMSG);
}

static void what_a_server_can_say_is_bounded(void)
{
    const struct frame head[] = {SETTINGS, FRAME(HEADERS, WHOLE, 1, STATUS_200)};
    const struct frame long_head[] = {SETTINGS, FRAME(HEADERS, 0, 1, STATUS_200)};
    const struct slice full = slice_from(zeros, H2_FRAME_BYTES_MAX);
    struct kit kit;

    repeat(&kit, head, 2, &(struct frame){H2_FRAME_DATA, 0, 1, full});
    expect_str(kit.fault, "more of a body than the window allows");
    kit_deinit(&kit);
    repeat(&kit, long_head, 2, &(struct frame){H2_FRAME_CONTINUATION, 0, 1, full});
    expect_str(kit.fault, "the answer's fields are too large");
    kit_deinit(&kit);
    repeat(&kit, head, 2, &(struct frame){99, 0, 0, full});
    expect_str(kit.fault, "the server says too much");
    kit_deinit(&kit);
    repeat(&kit, head, 2, &(struct frame)FRAME(PING, 0, 0, "12345678"));
    expect_str(kit.fault, "the server says too much");
    kit_deinit(&kit);
    repeat(&kit, head, 2, &(struct frame){99, 0, 0, slice_from(zeros, sizeof(zeros))});
    expect_str(kit.fault, "a frame that is too long");
    kit_deinit(&kit);
}

/* ------------------------------------------------------------------------------------------------ ends */

static void a_server_that_goes_away(void)
{
    for (size_t n = 0; n < ARRAY_LEN(unary); n++) {
        for (int is_reset = 0; is_reset < 2; is_reset++) {
            struct kit kit;
            kit_init(&kit, NULL);
            play(&kit, unary, n);
            if (is_reset)
                sim_reset(kit.far);
            else
                stream_close(TAKE(kit.far));
            sim_run_for(kit.sim, 0);
            expect_int(kit.n_done, 1);
            expect_int(kit.result, -ECONNRESET);
            kit_deinit(&kit);
        }
    }
}

static void a_connection_that_is_refused(void)
{
    struct kit kit;
    kit_init(&kit, &(struct sim_options){.connect_ns = 5, .connect_error = -ECONNREFUSED});
    expect_int(start(&kit), 0);
    sim_run_for(kit.sim, 4);
    expect_int(kit.n_done, 0);
    sim_run_for(kit.sim, 10);
    expect_int(kit.n_done, 1);
    expect_int(kit.result, -ECONNREFUSED);
    kit_deinit(&kit);
}

static void it_may_be_given_up_at_any_time(void)
{
    for (size_t n = 0; n < ARRAY_LEN(unary); n++) {
        struct kit kit;
        kit_init(&kit, NULL);
        play(&kit, unary, n);
        h2_once_free(TAKE(kit.once));
        sim_run_for(kit.sim, NSEC_PER_SEC);
        expect_int(kit.n_done, 0);
        kit_deinit(&kit);
    }
}

static void each_allocation_may_fail(void)
{
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct kit kit;
        kit_init(&kit, NULL);
        for (size_t i = 0; i < ARRAY_LEN(unary); i++)
            say(&kit, &unary[i]);
        fault_alloc_arm(n);
        int r = start(&kit);
        if (r == 0)
            sim_run_for(kit.sim, 0);
        has_failed = fault_alloc_disarm();
        if (r == 0 && !has_failed)
            expect_hello(&kit);
        else
            expect_int(r < 0 ? r : kit.result, -ENOMEM);
        kit_deinit(&kit);
    }
}

static const struct test_case cases[] = {
    {"what is sent", what_is_sent},
    {"what is asked is acknowledged", what_is_asked_is_acknowledged},
    {"an answer with all there is, in any pieces", an_answer_with_all_there_is},
    {"an answer of trailers only", an_answer_of_trailers_only},
    {"an answer that was there before the question", an_answer_that_was_there_before_the_question},
    {"what is not as it should be", what_is_not_as_it_should_be},
    {"what a server can say is bounded", what_a_server_can_say_is_bounded},
    {"a server that goes away", a_server_that_goes_away},
    {"a connection that is refused", a_connection_that_is_refused},
    {"it may be given up at any time", it_may_be_given_up_at_any_time},
    {"each allocation may fail", each_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
