/* SPDX-License-Identifier: Apache-2.0 */
/* What ends an HTTP/2 connection or a stream by time, and how a server stops serving one. */
#include "support/h2_kit.h"
#include "support/test.h"

static struct http_server_options defaults(void)
{
    struct http_server_options options;
    http_server_options_init(&options);
    return options;
}

static struct kit *make_kit(const struct sim_options *network)
{
    struct http_server_options options = defaults();
    struct kit *kit = kit_new(&options, network);
    kit_run(kit);
    return kit;
}

static void idle_connections_are_closed(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hello");
    kit_run(kit);
    kit_run_for(kit, defaults().idle_timeout_ns - NSEC_PER_SEC);
    expect_false(kit->is_closed);
    kit_run_for(kit, 2 * NSEC_PER_SEC);
    expect_int(kit->n_goaways, 1);
    expect_int(kit->goaway_code, NGHTTP2_NO_ERROR);
    expect_true(kit->is_closed);
    kit_run_for(kit, defaults().linger_ns + NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

static void the_preface_must_come_in_time(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    kit_raw(kit, SLICE_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    sim_run_for(kit->sim, defaults().head_timeout_ns + defaults().linger_ns + NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

static void a_header_block_must_end_in_time(void)
{
    struct kit *kit = make_kit(NULL);
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, SLICE_LIT("\x82\x86"));
    kit_run_for(kit, defaults().head_timeout_ns - NSEC_PER_SEC);
    expect_false(kit->is_closed);
    kit_run_for(kit, 2 * NSEC_PER_SEC);
    expect_true(kit->is_closed);
    expect_trace(kit, "");
    kit_free(kit);
}

static void a_body_must_go_on(void)
{
    struct kit *kit = make_kit(NULL);
    int32_t id = kit_request(kit, "POST", "/hold", true, NULL);
    static char piece[4000];
    for (int i = 0; i < 3; i++) {
        kit_data(kit, id, slice_from(piece, sizeof(piece)), false);
        kit_run_for(kit, defaults().body_timeout_ns - NSEC_PER_SEC);
    }
    expect_trace(kit, "request body:4000 body:4000 body:4000");
    kit_run_for(kit, 2 * NSEC_PER_SEC);
    expect_trace(kit, "close:timeout");
    expect_int(kit_answer(kit, id)->code, NGHTTP2_CANCEL);
    expect_false(kit->is_closed);
    kit_free(kit);
}

static void an_answer_must_be_taken(void)
{
    struct kit *kit = make_kit(NULL);
    kit->is_stingy = true;
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    static char bytes[100000];
    expect_int(exchange_write(kit->held[0], slice_from(bytes, sizeof(bytes))), 0);
    kit_run_for(kit, defaults().send_timeout_ns - NSEC_PER_SEC);
    expect_trace(kit, "request end");
    kit_run_for(kit, 2 * NSEC_PER_SEC);
    expect_trace(kit, "close:timeout");
    kit_free(kit);
}

static void a_body_that_drips_ends(void)
{
    struct kit *kit = make_kit(NULL);
    int32_t id = kit_request(kit, "POST", "/hold", true, NULL);
    int n = 0;
    for (; n < 100 && !kit_answer(kit, id)->is_closed; n++) {
        kit_data(kit, id, SLICE_LIT("x"), false);
        kit_run_for(kit, NSEC_PER_SEC);
    }
    expect_true(n >= 29 && n <= 32);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_CANCEL);
    kit_free(kit);
}

static void an_answer_that_is_sipped_ends(void)
{
    static char bytes[100000];
    for (unsigned i = 0; i < 2; i++) {
        struct kit *kit = make_kit(NULL);
        kit->is_stingy = true;
        int32_t id = kit_get(kit, "/hold");
        kit_run(kit);
        if (i > 0)
            exchange_set_idle_timeout(kit->held[0], NSEC_NEVER); /* a watch may wait */
        expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
        expect_int(exchange_write(kit->held[0], slice_from(bytes, sizeof(bytes))), 0);
        int n = 0;
        for (; n < 100 && !kit_answer(kit, id)->is_closed; n++) {
            expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, id, 1), 0);
            expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, 0, 1), 0);
            kit_run_for(kit, NSEC_PER_SEC);
        }
        expect_true(i == 0 ? n >= 29 && n <= 32 : n == 100);
        kit_free(kit);
    }
}

static void a_front_end_must_answer_unless_it_says_otherwise(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hold");
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    exchange_set_idle_timeout(kit->held[1], NSEC_NEVER);
    kit_run_for(kit, defaults().answer_timeout_ns + NSEC_PER_SEC);
    expect_trace(kit, "request end request end close:timeout");
    for (int i = 0; i < 360; i++)
        kit_run_for(kit, 10 * NSEC_PER_SEC); /* the client answers our pings */
    expect_true(kit->n_pings > 10);
    exchange_respond_text(kit->held[1], 200, "at last\n");
    kit_run(kit);
    expect_str(kit_answer(kit, 3)->body, "at last\n");
    kit_free(kit);
}

static void a_silent_peer_is_asked_and_then_dropped(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    exchange_set_idle_timeout(kit->held[0], NSEC_NEVER);
    kit->is_deaf = true; /* as if the machine were gone */
    kit_run_for(kit, defaults().idle_timeout_ns + NSEC_PER_SEC);
    expect_trace(kit, "request end");
    kit_run_for(kit, defaults().send_timeout_ns);
    expect_trace(kit, "close:aborted");
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

/* --- draining --- */

static void note_drained(void *ctx)
{
    *(bool *)ctx = true;
}

static void drains_in_two_steps(void)
{
    struct kit *kit = make_kit(NULL);
    bool is_drained = false;
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    http_server_drain(kit->server, note_drained, &is_drained);
    sim_run_for(kit->sim, 0);
    int32_t id = kit_get(kit, "/hello"); /* the client has not read the first GOAWAY yet */
    kit_run(kit);
    expect_int(kit->n_goaways, 2);
    expect_int(kit->goaway_last_id, id);
    expect_int(kit->goaway_code, NGHTTP2_NO_ERROR);
    expect_int(kit_answer(kit, id)->status, 200);
    expect_false(kit->is_closed);

    exchange_respond_text(kit->held[0], 200, "the last\n");
    kit_run(kit);
    expect_str(kit_answer(kit, 1)->body, "the last\n");
    expect_true(kit->is_closed);
    stream_close(TAKE(kit->far));
    sim_run_for(kit->sim, 0);
    expect_true(is_drained);
    kit_free(kit);
}

static void drains_an_idle_connection(void)
{
    struct kit *kit = make_kit(NULL);
    bool is_drained = false;
    http_server_drain(kit->server, note_drained, &is_drained);
    kit_run(kit);
    expect_int(kit->n_goaways, 1); /* a client without streams does not listen after that */
    expect_true(kit->is_closed);
    kit_run_for(kit, defaults().linger_ns + NSEC_PER_SEC);
    expect_true(is_drained);
    kit_free(kit);
}

static void a_drain_does_not_wait_for_a_silent_peer(void)
{
    struct kit *kit = make_kit(NULL);
    bool is_drained = false;
    kit->is_deaf = true;
    http_server_drain(kit->server, note_drained, &is_drained);
    kit_run_for(kit, 2 * NSEC_PER_SEC + defaults().linger_ns);
    expect_true(is_drained);
    kit_free(kit);
}

/* --- ends of the connection --- */

static void a_broken_connection_aborts_all(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hold");
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    sim_reset(kit->far);
    sim_run_for(kit->sim, 0);
    expect_trace(kit, "request end request end close:aborted close:aborted");
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

static void a_client_that_leaves_aborts_all(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    stream_close(TAKE(kit->far));
    sim_run_for(kit->sim, NSEC_PER_SEC);
    expect_trace(kit, "request end close:aborted");
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

static void a_client_that_ends_its_side_is_answered_at_once_or_never(void)
{
    struct kit *kit = make_kit(NULL);
    (void)kit_get(kit, "/hold");
    int32_t id = kit_get(kit, "/hello");
    expect_int(stream_shutdown(kit->far), 0);
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "hello\n");
    expect_true(kit->is_closed);
    expect_trace(kit, "request end request close:aborted");
    kit_free(kit);
}

static void a_client_that_says_goodbye_gets_its_answers(void)
{
    struct kit *kit = make_kit(NULL);
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    expect_int(nghttp2_submit_goaway(kit->client, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, NULL, 0), 0);
    kit_run(kit);
    expect_false(kit->is_closed);
    exchange_respond_text(kit->held[0], 200, "bye\n");
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "bye\n");
    expect_true(kit->is_closed);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"an idle connection is closed", idle_connections_are_closed},
    {"the preface must be followed by frames in time", the_preface_must_come_in_time},
    {"a header block must end in time", a_header_block_must_end_in_time},
    {"a body must go on", a_body_must_go_on},
    {"an answer must be taken", an_answer_must_be_taken},
    {"a body that drips in ends", a_body_that_drips_ends},
    {"an answer that is taken byte by byte ends, unless it is a watch's", an_answer_that_is_sipped_ends},
    {"a front end must answer in time unless it says otherwise", a_front_end_must_answer_unless_it_says_otherwise},
    {"a silent peer is asked whether it lives, and then dropped", a_silent_peer_is_asked_and_then_dropped},
    {"a drain serves what is on its way", drains_in_two_steps},
    {"a drain closes an idle connection", drains_an_idle_connection},
    {"a drain does not wait for a silent peer", a_drain_does_not_wait_for_a_silent_peer},
    {"a broken connection aborts its exchanges", a_broken_connection_aborts_all},
    {"a client that leaves aborts its exchanges", a_client_that_leaves_aborts_all},
    {"a client that ends its side is answered at once or never",
     a_client_that_ends_its_side_is_answered_at_once_or_never},
    {"a client that says goodbye still gets its answers", a_client_that_says_goodbye_gets_its_answers},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
