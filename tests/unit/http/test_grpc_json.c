/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of gRPC for clients that speak JSON. */
#include "http/grpc_json.h"

#include "support/fault_alloc.h"
#include "support/h2_kit.h"
#include "support/sample.pb-c.h"
#include "support/test.h"

#include <errno.h>

/* --- a service: what it is given and gives are messages --- */

static void echo_message(struct grpc_call *call, struct slice message)
{
    grpc_reply(call, message);
}

static void refuse_message(struct grpc_call *call, struct slice message)
{
    (void)message;
    grpc_finish(call, GRPC_NOT_FOUND, "no \"such\" thing");
}

static void repeat_message(struct grpc_call *call, struct slice message)
{
    (void)grpc_send(call, message);
}

static void repeat_end(struct grpc_call *call)
{
    grpc_finish(call, GRPC_OK, NULL);
}

static void hold_open(struct grpc_call *call)
{
    struct kit *kit = call->ctx;
    kit->call = call;
}

static void hold_message(struct grpc_call *call, struct slice message)
{
    kit_note(call->ctx, "message:%zu", message.len);
}

static void hold_end(struct grpc_call *call)
{
    kit_note(call->ctx, "end");
}

static void hold_close(struct grpc_call *call, enum exchange_end end)
{
    kit_note(call->ctx, "close:%s", kit_end_name(end));
}

static void garble_message(struct grpc_call *call, struct slice message)
{
    (void)message;
    grpc_reply(call, SLICE_LIT("\x08"));
}

#define HOLD    .on_open = hold_open, .on_message = hold_message, .on_end = hold_end, .on_close = hold_close
#define STREAMS .client_streams = true, .server_streams = true

static const struct grpc_method methods[] = {
    {.path = SLICE_LIT("/test.T/Echo"), .on_message = echo_message},
    {.path = SLICE_LIT("/test.T/Refuse"), .on_message = refuse_message},
    {.path = SLICE_LIT("/test.T/Garble"), .on_message = garble_message},
    {.path = SLICE_LIT("/test.T/Repeat"), STREAMS, .on_message = repeat_message, .on_end = repeat_end},
    {.path = SLICE_LIT("/test.T/Hold"), HOLD},
    {.path = SLICE_LIT("/test.T/Chat"), STREAMS, HOLD},
};

static const struct grpc_service methods_service = {methods, ARRAY_LEN(methods), .max_message_bytes = 50};

#define ROUTE(path, name)                                                                                              \
    {                                                                                                                  \
        SLICE_LIT(path), SLICE_LIT("/test.T/" name), &sample__sample__descriptor, &sample__sample__descriptor          \
    }

static const struct grpc_json_route routes[] = {
    ROUTE("echo", "Echo"), ROUTE("refuse", "Refuse"), ROUTE("garble", "Garble"),     ROUTE("repeat", "Repeat"),
    ROUTE("hold", "Hold"), ROUTE("chat", "Chat"),     ROUTE("later", "NotThereYet"),
};

static const struct grpc_json_service service = {&methods_service, routes, ARRAY_LEN(routes)};

static void serve(struct kit *kit, struct exchange *exchange)
{
    grpc_json_serve(&service, kit, slice_skip(exchange->request->path, 1), exchange);
}

/* --- its client --- */

static struct kit *make_kit(void)
{
    struct kit *kit = kit_ready();
    kit->serve = serve;
    return kit;
}

static int32_t begin_with(struct kit *kit, const char *path, const char *name, const char *value)
{
    return kit_request(kit, "POST", path, true, (const char *const[]){name, value, NULL});
}

static int32_t begin(struct kit *kit, const char *path)
{
    return begin_with(kit, path, NULL, NULL);
}

static void say(struct kit *kit, int32_t id, const char *text, bool is_last)
{
    kit_data(kit, id, slice_from_str(text), is_last);
}

static struct kit_answer *ask(struct kit *kit, const char *path, const char *text)
{
    int32_t id = begin(kit, path);
    say(kit, id, text, true);
    return kit_answer(kit, id);
}

#define expect_answer(answer, expected_status, expected_body)                                                          \
    do {                                                                                                               \
        expect_int((answer)->status, expected_status);                                                                 \
        expect_slice(slice_from((answer)->body, (answer)->n_body), expected_body);                                     \
        expect_true((answer)->is_ended);                                                                               \
        expect_true(strstr((answer)->fields, "content-type: application/json\n") != NULL);                             \
    } while (0)

#define ERROR(text, code) "{\"error\":\"" text "\",\"message\":\"" text "\",\"code\":" code ",\"details\":[]}"

/* --- what is promised --- */

static void answers_a_call(void)
{
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/echo", "{\"i64\":5,\"someText\":\"x\"}"), 200, "{\"i64\":\"5\",\"some_text\":\"x\"}");
    kit_free(kit);
}

static void an_empty_body_is_an_empty_message(void)
{
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/echo", ""), 200, "{}");
    expect_answer(ask(kit, "/echo", " \n"), 200, "{}");
    kit_free(kit);
}

static void what_follows_the_message_is_ignored(void)
{
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/echo", "{\"i64\":5} trailing } {"), 200, "{\"i64\":\"5\"}");
    kit_free(kit);
}

static void pieces_make_no_difference(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin(kit, "/echo");
    const char *text = " {\"i64\":5,\"some_text\":\"}\\\"\"}";
    for (const char *at = text; *at; at++)
        kit_data(kit, id, slice_from(at, 1), at[1] == '\0');
    expect_answer(kit_answer(kit, id), 200, "{\"i64\":\"5\",\"some_text\":\"}\\\"\"}");
    kit_free(kit);
}

static void errors_have_a_status_of_http_and_words(void)
{
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/refuse", "{}"), 404, ERROR("no \\\"such\\\" thing", "5"));
    expect_answer(ask(kit, "/echo", "{\"i64\":[]}"), 400, ERROR("i64: expected an integer of 64 bits", "3"));
    expect_answer(ask(kit, "/echo", "{\"i64\":"), 400,
                  ERROR("line 1, column 7: unexpected token near end of file", "3"));
    expect_answer(ask(kit, "/echo", "5"), 400, ERROR("line 1, column 1: '[' or '{' expected near '5'", "3"));
    expect_answer(ask(kit, "/nothing", "{}"), 404, ERROR("Not Found", "5"));
    expect_answer(ask(kit, "/later", "{}"), 501, ERROR("unknown method", "12"));
    expect_answer(ask(kit, "/garble", "{}"), 500, ERROR("the answer could not be written", "13"));
    kit_free(kit);
}

static void messages_that_are_too_long_are_refused(void)
{
    static const char text[] = ERROR("the message is longer than the 50 bytes that are taken here", "8");
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/echo", "{\"some_text\":\"0123456789012345678901234567890123456789012345678\"}"), 429,
                  text);
    /* However long a client goes on, no more than twice the limit is gathered. */
    int32_t id = begin(kit, "/echo");
    say(kit, id, "{\"some_text\":\"", false);
    for (int i = 0; i < 20 && !kit_answer(kit, id)->is_ended; i++)
        say(kit, id, "0123456789", false);
    expect_answer(kit_answer(kit, id), 429, text);
    kit_free(kit);
}

static void streams_are_lines(void)
{
    struct kit *kit = make_kit();
    expect_answer(ask(kit, "/repeat", "{\"i64\":1}\n{\"i64\":2}{}"), 200,
                  "{\"result\":{\"i64\":\"1\"}}\n{\"result\":{\"i64\":\"2\"}}\n{\"result\":{}}\n");
    expect_answer(ask(kit, "/repeat", ""), 200, "");
    kit_free(kit);
}

static void a_stream_answers_before_the_client_has_ended(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin(kit, "/chat");
    say(kit, id, "{\"i64\":1}{\"i64\"", false);
    expect_trace(kit, "message:2");
    expect_int(grpc_send(kit->call, SLICE_LIT("\x08\x01")), 0);
    kit_run(kit);
    expect_slice(slice_from(kit_answer(kit, id)->body, kit_answer(kit, id)->n_body), "{\"result\":{\"i64\":\"1\"}}\n");
    for (int i = 0; i < 10; i++)
        kit_run_for(kit, 20 * NSEC_PER_SEC); /* longer than any default */
    say(kit, id, ":2} ", true);
    expect_trace(kit, "message:2 end");
    expect_false(kit_answer(kit, id)->is_ended);
    grpc_finish(kit->call, GRPC_UNAVAILABLE, "stopped");
    kit_run(kit);
    expect_answer(kit_answer(kit, id), 200,
                  "{\"result\":{\"i64\":\"1\"}}\n{\"error\":{\"message\":\"stopped\",\"code\":14,\"details\":[]}}\n");
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void a_stream_that_never_began_has_a_status(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin(kit, "/chat");
    say(kit, id, "{}", false);
    grpc_finish(kit->call, GRPC_UNAVAILABLE, "stopped");
    kit_run(kit);
    expect_answer(kit_answer(kit, id), 503, ERROR("stopped", "14"));
    expect_answer(ask(kit, "/chat", "{} nonsense"), 400,
                  ERROR("line 1, column 9: '[' or '{' expected near 'nonsense'", "3"));
    kit_free(kit);
}

static void a_paused_call_takes_no_messages(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin(kit, "/chat");
    kit_run(kit);
    grpc_pause(kit->call, true);
    say(kit, id, "{\"i64\":1}{\"i64\":2}", true);
    expect_trace(kit, "");
    grpc_pause(kit->call, false);
    kit_run(kit);
    expect_trace(kit, "message:2 message:2 end");
    grpc_finish(kit->call, GRPC_OK, NULL);
    kit_run(kit);
    kit_free(kit);
}

static void a_client_that_goes_away_closes_its_call(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin(kit, "/hold");
    say(kit, id, "{}", true);
    expect_trace(kit, "message:0");
    kit_reset(kit, id);
    kit_run(kit);
    expect_trace(kit, "close:aborted");
    kit_free(kit);
}

static void a_deadline_holds(void)
{
    struct kit *kit = make_kit();
    int32_t id = begin_with(kit, "/hold", "grpc-timeout", "2S");
    say(kit, id, "{}", true);
    kit_run_for(kit, 3 * NSEC_PER_SEC);
    expect_answer(kit_answer(kit, id), 504, ERROR("context deadline exceeded", "4"));
    id = begin_with(kit, "/hold", "grpc-timeout", "soon");
    say(kit, id, "{}", true);
    expect_answer(kit_answer(kit, id), 400, ERROR("grpc-timeout is malformed", "3"));
    kit_free(kit);
}

static int call_and_stream(void *arg)
{
    (void)arg;
    struct kit *kit;
    int r = kit_try_new(NULL, NULL, &kit);
    if (r < 0)
        return r;
    kit->serve = serve;
    kit_run(kit);
    static const char *const paths[] = {"/echo", "/repeat"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        int32_t id = begin(kit, paths[i]);
        if (id > 0)
            say(kit, id, "{\"i64\":1}", true);
    }
    r = kit->error == -ENOMEM ? -ENOMEM : 0;
    kit_free(kit);
    return r;
}

static void lack_of_memory_fails_the_call_alone(void)
{
    expect_true(fault_alloc_sweep(call_and_stream, NULL) > 20);
}

static const struct test_case cases[] = {
    {"a call is answered by JSON", answers_a_call},
    {"an empty body is the empty message", an_empty_body_is_an_empty_message},
    {"what follows the message is ignored", what_follows_the_message_is_ignored},
    {"it makes no difference in which pieces a message comes", pieces_make_no_difference},
    {"an error is a status of HTTP and words", errors_have_a_status_of_http_and_words},
    {"messages that are too long are refused", messages_that_are_too_long_are_refused},
    {"a stream of answers is a line for each", streams_are_lines},
    {"a stream answers while the client goes on", a_stream_answers_before_the_client_has_ended},
    {"a stream that never began is an error with its status", a_stream_that_never_began_has_a_status},
    {"a paused call takes no messages", a_paused_call_takes_no_messages},
    {"a client that goes away closes its call", a_client_that_goes_away_closes_its_call},
    {"the client's deadline holds", a_deadline_holds},
    {"lack of memory fails the call and nothing else", lack_of_memory_fails_the_call_alone},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
