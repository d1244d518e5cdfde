/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls over HTTP/2, from nghttp2's client. */
#include "http/grpc.h"
#include "http/grpc_frames.h"
#include "support/fault_alloc.h"
#include "support/h2_kit.h"
#include "support/test.h"

#include <errno.h>

/* --- a service --- */

static void upper_message(struct grpc_call *call, struct slice message)
{
    char text[64];
    size_t n = min_size(message.len, sizeof(text));
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(message.ptr[i] >= 'a' && message.ptr[i] <= 'z' ? message.ptr[i] - 32 : message.ptr[i]);
    grpc_reply(call, slice_from(text, n));
}

static void refuse_message(struct grpc_call *call, struct slice message)
{
    grpc_finishf(call, GRPC_FAILED_PRECONDITION, "not %.*s, 100%% sure", SLICE_ARG(message));
}

static void hold_open(struct grpc_call *call)
{
    struct kit *kit = call->ctx;
    kit_note(kit, "open");
    kit->call = call;
}

static void hold_message(struct grpc_call *call, struct slice message)
{
    kit_note(call->ctx, "message:%.*s", SLICE_ARG(message));
}

static void hold_end(struct grpc_call *call)
{
    kit_note(call->ctx, "end");
}

static void hold_drain(struct grpc_call *call)
{
    kit_note(call->ctx, "drain");
}

static void hold_close(struct grpc_call *call, enum exchange_end end)
{
    struct kit *kit = call->ctx;
    kit_note(kit, "close:%s", kit_end_name(end));
    kit->call = NULL;
}

static void echo_message(struct grpc_call *call, struct slice message)
{
    (void)grpc_send(call, message);
}

static void echo_end(struct grpc_call *call)
{
    grpc_finish(call, GRPC_OK, NULL);
}

#define HOLD                                                                                                           \
    .on_open = hold_open, .on_message = hold_message, .on_end = hold_end, .on_drain = hold_drain, .on_close = hold_close

static const struct grpc_method methods[] = {
    {.path = SLICE_LIT("/test.T/Upper"), .on_message = upper_message},
    {.path = SLICE_LIT("/test.T/Refuse"), .on_message = refuse_message},
    {.path = SLICE_LIT("/test.T/Hold"), HOLD},
    {.path = SLICE_LIT("/test.T/Chat"), .client_streams = true, .server_streams = true, HOLD},
    {.path = SLICE_LIT("/test.T/Echo"),
     .client_streams = true,
     .server_streams = true,
     .on_message = echo_message,
     .on_end = echo_end},
};

static const struct grpc_service service = {methods, ARRAY_LEN(methods), .max_message_bytes = 50};

static void serve(struct kit *kit, struct exchange *exchange)
{
    grpc_serve(&service, kit, exchange);
}

/* --- its client --- */

static struct kit *make_kit(void)
{
    struct kit *kit = kit_ready();
    kit->serve = serve;
    return kit;
}

static int32_t call_with(struct kit *kit, const char *path, const char *name, const char *value)
{
    return kit_request(kit, "POST", path, true,
                       (const char *const[]){"content-type", "application/grpc", "te", "trailers", name, value, NULL});
}

static int32_t call(struct kit *kit, const char *path)
{
    return call_with(kit, path, NULL, NULL);
}

static void send_message(struct kit *kit, int32_t id, const char *text, bool is_last)
{
    char bytes[256];
    size_t len = strlen(text);
    grpc_frames_prefix(len, bytes);
    memcpy(bytes + GRPC_PREFIX_BYTES, text, len);
    kit_data(kit, id, slice_from(bytes, GRPC_PREFIX_BYTES + len), is_last);
}

/* The n-th message of the answer's body. */
static struct slice answer_message(struct kit *kit, int32_t id, unsigned n)
{
    struct kit_answer *answer = kit_answer(kit, id);
    const char *at = answer->body;
    for (; n > 0; n--)
        at += GRPC_PREFIX_BYTES + (unsigned char)at[4];
    return slice_from(at + GRPC_PREFIX_BYTES, (unsigned char)at[4]);
}

/* The status came in the head alone. */
static void expect_status_only(struct kit *kit, int32_t id, const char *status)
{
    struct kit_answer *answer = kit_answer(kit, id);
    expect_int(answer->status, 200);
    expect_int(answer->n_body, 0);
    expect_true(answer->is_ended);
    expect_str(answer->trailers, "");
    const char *fields = strstr(answer->fields, "content-type: application/grpc\n");
    expect_true(fields != NULL);
    expect_str(fields + strlen("content-type: application/grpc\n"), status);
}

static void answers_a_unary_call_in_one_send(void)
{
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Upper");
    kit_run(kit);
    kit->n_sends = 0;
    send_message(kit, id, "hello", true);
    expect_slice(answer_message(kit, id, 0), "HELLO");
    expect_str(kit_answer(kit, id)->trailers, "grpc-status: 0\n");
    expect_true(strstr(kit_answer(kit, id)->fields, "content-type: application/grpc\n") != NULL);
    expect_true(kit_answer(kit, id)->is_closed);
    expect_int(kit->n_sends, 1);
    kit_free(kit);
}

static void errors_come_in_the_head_alone(void)
{
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Refuse");
    send_message(kit, id, "you", true);
    expect_status_only(kit, id, "grpc-status: 9\ngrpc-message: not you, 100%25 sure\n");

    id = call(kit, "/test.T/Nothing");
    send_message(kit, id, "you", true);
    expect_status_only(kit, id,
                       "grpc-status: 12\ngrpc-message: unknown method Nothing for service test.T\n"
                       "grpc-accept-encoding: identity\n");
    kit_free(kit);
}

static void refuse(struct kit *kit, struct exchange *exchange)
{
    (void)kit;
    if (!grpc_refuse_unclaimed(exchange))
        exchange_respond_text(exchange, 404, "nothing\n");
}

static void a_path_of_nobody_is_an_unknown_service(void)
{
    struct kit *kit = make_kit();
    kit->serve = refuse;
    int32_t id = call(kit, "/test.Nobody/Upper");
    send_message(kit, id, "you", true);
    expect_status_only(kit, id,
                       "grpc-status: 12\ngrpc-message: unknown service test.Nobody\n"
                       "grpc-accept-encoding: identity\n");
    id = call(kit, "/Upper");
    send_message(kit, id, "you", true);
    expect_status_only(kit, id,
                       "grpc-status: 12\ngrpc-message: unknown service Upper\n"
                       "grpc-accept-encoding: identity\n");
    id = kit_request(kit, "POST", "/test.Nobody/Upper", false,
                     (const char *const[]){"content-type", "application/json", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 404);
    kit_free(kit);
}

static void streams_both_ways(void)
{
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Chat");
    kit_run(kit);
    expect_trace(kit, "open");
    send_message(kit, id, "one", false);
    expect_trace(kit, "message:one");
    expect_int(grpc_send(kit->call, SLICE_LIT("first")), 0);
    expect_int(grpc_send(kit->call, SLICE_LIT("")), 0);
    kit_run(kit);
    expect_slice(answer_message(kit, id, 0), "first");
    expect_slice(answer_message(kit, id, 1), "");
    for (int i = 0; i < 10; i++)
        kit_run_for(kit, 20 * NSEC_PER_SEC); /* longer than any default */
    expect_int(grpc_send(kit->call, SLICE_LIT("later")), 0);
    send_message(kit, id, "two", true);
    expect_trace(kit, "message:two end");
    expect_slice(answer_message(kit, id, 2), "later");
    expect_false(kit_answer(kit, id)->is_ended);
    expect_int(grpc_send(kit->call, SLICE_LIT("last")), 0);
    grpc_finish(kit->call, GRPC_OK, NULL);
    kit_run(kit);
    expect_slice(answer_message(kit, id, 3), "last");
    expect_str(kit_answer(kit, id)->trailers, "grpc-status: 0\n");
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void many_messages_share_a_frame(void)
{
    struct kit *kit = make_kit();
    struct buf flow = {0};
    char prefix[GRPC_PREFIX_BYTES];
    int32_t id = call(kit, "/test.T/Echo");
    for (unsigned i = 0; i < 20; i++) {
        grpc_frames_prefix(2, prefix);
        expect_int(buf_append(&flow, slice_from(prefix, sizeof(prefix))), 0);
        expect_int(buf_printf(&flow, "%02u", i), 0);
    }
    kit_run(kit);
    kit->n_sends = 0;
    kit_data(kit, id, buf_slice(&flow), true);
    expect_int(kit->n_sends, 1);
    for (unsigned i = 0; i < 20; i++) {
        char text[3] = {(char)('0' + i / 10), (char)('0' + i % 10), '\0'};
        expect_slice(answer_message(kit, id, i), text);
    }
    expect_str(kit_answer(kit, id)->trailers, "grpc-status: 0\n");
    buf_deinit(&flow);
    kit_free(kit);
}

static void a_pause_holds_messages_back(void)
{
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Chat");
    kit_run(kit);
    grpc_pause(kit->call, true);
    send_message(kit, id, "a", false);
    send_message(kit, id, "b", false);
    send_message(kit, id, "c", true);
    expect_trace(kit, "open");
    grpc_pause(kit->call, false);
    expect_trace(kit, ""); /* never from inside the call */
    kit_run(kit);
    expect_trace(kit, "message:a message:b message:c end");
    kit_free(kit);
}

static void pause_after_message(struct grpc_call *call, struct slice message)
{
    hold_message(call, message);
    grpc_pause(call, true);
}

static const struct grpc_method stepper = {
    .path = SLICE_LIT("/test.T/Step"),
    .client_streams = true,
    .on_open = hold_open,
    .on_message = pause_after_message,
    .on_end = hold_end,
    .on_close = hold_close,
};

static void serve_stepper(struct kit *kit, struct exchange *exchange)
{
    static const struct grpc_service stepping = {&stepper, 1, .max_message_bytes = 50};
    grpc_serve(&stepping, kit, exchange);
}

static void a_pause_may_come_between_messages_of_one_frame(void)
{
    struct kit *kit = make_kit();
    kit->serve = serve_stepper;
    int32_t id = call(kit, "/test.T/Step");
    kit_data(kit, id, SLICE_LIT("\0\0\0\0\1a\0\0\0\0\1b\0\0\0\0\1c"), true);
    expect_trace(kit, "open message:a");
    grpc_pause(kit->call, false);
    kit_run(kit);
    expect_trace(kit, "message:b");
    grpc_pause(kit->call, false);
    kit_run(kit);
    expect_trace(kit, "message:c");
    grpc_pause(kit->call, false);
    kit_run(kit);
    expect_trace(kit, "end");
    kit_free(kit);
}

static void what_the_client_does_wrong_is_answered(void)
{
    static const struct {
        struct slice flow;
        const char *status;
    } wrongs[] = {
        {SLICE_LIT(""), "grpc-status: 13\ngrpc-message: the call ended without a message\n"},
        {SLICE_LIT("\0\0\0\0\5ab"), "grpc-status: 13\ngrpc-message: the call ended in the middle of a message\n"},
        {SLICE_LIT("\7\0\0\0\1a"), "grpc-status: 13\ngrpc-message: the flow of messages is broken\n"},
        {SLICE_LIT("\1\0\0\0\1a"),
         "grpc-status: 13\ngrpc-message: the message is marked as compressed, but grpc-encoding names nothing\n"},
        {SLICE_LIT("\0\0\0\0\1a\0\0\0\0\1b"),
         "grpc-status: 13\ngrpc-message: more than one message for a method that takes one\n"},
        {SLICE_LIT("\0\0\0\0\63"),
         "grpc-status: 8\ngrpc-message: the message is longer than the 50 bytes that are taken here\n"},
    };
    struct kit *kit = make_kit();
    for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
        int32_t id = call(kit, "/test.T/Hold");
        kit_data(kit, id, wrongs[i].flow, true);
        expect_status_only(kit, id, wrongs[i].status);
    }
    int32_t id = call_with(kit, "/test.T/Hold", "grpc-encoding", "gzip");
    kit_data(kit, id, SLICE_LIT("\1\0\0\0\1a"), true);
    expect_status_only(kit, id,
                       "grpc-status: 12\n"
                       "grpc-message: the message is compressed; only grpc-encoding identity is served\n"
                       "grpc-accept-encoding: identity\n");
    id = call_with(kit, "/test.T/Upper", "grpc-encoding", "gzip"); /* may be named without being used */
    send_message(kit, id, "fine", true);
    expect_slice(answer_message(kit, id, 0), "FINE");
    id = call_with(kit, "/test.T/Upper", "grpc-timeout", "soon");
    kit_run(kit);
    expect_status_only(kit, id, "grpc-status: 13\ngrpc-message: grpc-timeout is malformed\n");
    kit_free(kit);
}

static void what_is_no_grpc_gets_an_http_answer(void)
{
    struct kit *kit = make_kit();
    int32_t id = kit_request(kit, "POST", "/test.T/Upper", false, NULL);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 415);
    id = kit_request(kit, "POST", "/test.T/Upper", false,
                     (const char *const[]){"content-type", "application/json", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 415);
    id = kit_request(kit, "GET", "/test.T/Upper", false,
                     (const char *const[]){"content-type", "application/grpc", NULL});
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 405);
    id = kit_request(kit, "POST", "/test.T/Upper", true,
                     (const char *const[]){"content-type", "application/grpc", NULL});
    kit_run(kit);
    expect_true(strstr(kit_answer(kit, id)->fields, "grpc-status: 13\n") != NULL);
    id = kit_request(kit, "POST", "/test.T/Upper", true,
                     (const char *const[]){"content-type", "application/grpc+proto; x=y", "te", "trailers", NULL});
    send_message(kit, id, "ok", true);
    expect_slice(answer_message(kit, id, 0), "OK");
    kit_free(kit);
}

static void deadlines_are_kept(void)
{
    struct kit *kit = make_kit();
    int32_t id = call_with(kit, "/test.T/Hold", "grpc-timeout", "2S");
    send_message(kit, id, "x", true);
    expect_trace(kit, "open message:x");
    kit_run_for(kit, 1900 * NSEC_PER_MSEC);
    expect_trace(kit, "");
    kit_run_for(kit, 200 * NSEC_PER_MSEC);
    expect_status_only(kit, id, "grpc-status: 4\ngrpc-message: context deadline exceeded\n");
    expect_trace(kit, "close:timeout");

    id = call_with(kit, "/test.T/Hold", "grpc-timeout", "2S");
    send_message(kit, id, "x", true);
    grpc_reply(kit->call, SLICE_LIT("in time"));
    kit_run_for(kit, 3 * NSEC_PER_SEC);
    expect_slice(answer_message(kit, id, 0), "in time");
    expect_trace(kit, "open message:x close:done");
    kit_free(kit);
}

static void a_client_may_go(void)
{
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Chat");
    kit_run(kit);
    kit_reset(kit, id);
    kit_run(kit);
    expect_trace(kit, "open close:aborted");
    kit_free(kit);
}

static void a_sender_is_held_back(void)
{
    static char large[400 * 1024];
    struct kit *kit = make_kit();
    int32_t id = call(kit, "/test.T/Chat");
    kit_run(kit);
    kit->is_stingy = true;
    expect_int(grpc_send(kit->call, slice_from(large, sizeof(large))), EXCHANGE_FULL);
    kit_run(kit);
    expect_trace(kit, "open");
    kit->is_stingy = false;
    expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, id, 1000000), 0);
    expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, 0, 1000000), 0);
    kit_run(kit);
    expect_trace(kit, "drain");
    kit_free(kit);
}

static int call_unary(void *arg)
{
    struct kit *kit;
    (void)arg;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    kit->serve = serve;
    int32_t id = call_with(kit, "/test.T/Upper", "grpc-timeout", "5S");
    kit_data(kit, id, SLICE_LIT("\0\0\0\0\3a"), false);
    kit_data(kit, id, SLICE_LIT("bc"), true);
    struct kit_answer *answer = kit_answer(kit, id);
    bool is_well = strcmp(answer->trailers, "grpc-status: 0\n") == 0;
    if (!is_well && !answer->is_closed && !kit->is_closed && kit->error == 0)
        test_fail(__FILE__, __LINE__, "the client still waits");
    kit_free(kit);
    return is_well ? 0 : -ENOMEM;
}

static void memory_may_run_out(void)
{
    expect_true(fault_alloc_sweep(call_unary, NULL) > 20);
}

static const struct test_case cases[] = {
    {"a unary call is answered in one send", answers_a_unary_call_in_one_send},
    {"an error comes in the head alone", errors_come_in_the_head_alone},
    {"a path of nobody is an unknown service to gRPC, and 404 to others", a_path_of_nobody_is_an_unknown_service},
    {"messages go both ways at any time", streams_both_ways},
    {"many messages share a frame and a send", many_messages_share_a_frame},
    {"a pause holds messages back", a_pause_holds_messages_back},
    {"a pause may come between messages of one frame", a_pause_may_come_between_messages_of_one_frame},
    {"what a client does wrong is answered with its status", what_the_client_does_wrong_is_answered},
    {"what is no gRPC gets an HTTP answer", what_is_no_grpc_gets_an_http_answer},
    {"the client's deadline is kept", deadlines_are_kept},
    {"a client may go at any time", a_client_may_go},
    {"a sender is held back", a_sender_is_held_back},
    {"a call survives any failing allocation", memory_may_run_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
