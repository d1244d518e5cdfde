/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much is under way over HTTP/2, either way: what windows allow, what a front end or a client that takes nothing
 * holds back, and what is held of all that when memory is short (io/backlog.h).
 */
#include "support/h2_kit.h"
#include "support/test.h"

#include <errno.h>

static void pauses_its_client(void)
{
    static char bytes[200 * 1024];
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), true); /* fits into the stream's window */
    expect_int(kit->error, 0);
    expect_trace(kit, "request");
    exchange_pause(kit->held[0], false);
    kit_run(kit);
    expect_trace(kit, "body:204800 end");
    exchange_respond_text(kit->held[0], 200, "taken\n");
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "taken\n");
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void a_paused_exchange_gets_no_more_than_its_window(void)
{
    static char bytes[300 * 1024];
    struct kit *kit = kit_ready();
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), true);
    expect_int(kit->error, -ENOBUFS);
    kit_free(kit);
}

static void open_windows(struct kit *kit, int32_t id)
{
    expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, id, 1000000), 0);
    expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, 0, 1000000), 0);
    kit_run(kit);
}

static void holds_writers_back(void)
{
    static char bytes[512 * 1024];
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    kit->is_stingy = true;
    expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    expect_int(exchange_write(kit->held[0], slice_from(bytes, 1000)), 0);
    expect_int(exchange_write(kit->held[0], slice_from(bytes, sizeof(bytes))), EXCHANGE_FULL);
    kit_run(kit);
    expect_trace(kit, "request end"); /* the client's window is closed: no room yet */
    expect_int(kit_answer(kit, id)->n_body, 65535);

    kit->is_stingy = false;
    open_windows(kit, id);
    expect_trace(kit, "drain");
    expect_int(kit_answer(kit, id)->n_body, 1000 + sizeof(bytes));
    exchange_end(kit->held[0], NULL, 0);
    kit_run(kit);
    expect_trace(kit, "close:done");
    kit_free(kit);
}

static void large_answers_go_by_windows(void)
{
    struct kit *kit = kit_ready();
    int32_t id = kit_get(kit, "/3000000");
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_body, 3000000);
    expect_true(kit_answer(kit, id)->is_closed);
    kit_free(kit);
}

static void a_small_socket_buffer_is_enough(void)
{
    struct kit *kit;
    const struct sim_options narrow = {.to_a.window_bytes = 700, .to_b.window_bytes = 700};
    kit = kit_new(NULL, &narrow);
    int32_t id = kit_get(kit, "/200000");
    kit_run(kit);
    expect_int(kit_answer(kit, id)->n_body, 200000);
    expect_true(kit_answer(kit, id)->is_closed);
    kit_free(kit);
}

/* -- under pressure -- */

static struct kit *make_pressed_kit(void)
{
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    options.unsent_bytes = 1; /* whatever is kept is too much */
    kit = kit_new(&options, NULL);
    kit_run(kit);
    return kit;
}

static void when_all_is_full_little_is_held(void)
{
    static char bytes[200 * 1024];
    struct kit *kit = make_pressed_kit();
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, slice_from(bytes, 10000), false);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes) - 10000), true);
    expect_true(loop_backlog(kit->loop)->n_bytes <= 8 * BACKLOG_LITTLE_BYTES);
    expect_trace(kit, "request");
    exchange_pause(kit->held[0], false);
    kit_run(kit);
    exchange_respond_text(kit->held[0], 200, "taken\n");
    kit_run(kit);
    expect_str(kit_answer(kit, id)->body, "taken\n");
    expect_int(loop_backlog(kit->loop)->n_bytes, 0);
    kit_free(kit);
}

/* Answers, in pieces, until the client should take some first. Gives the bytes. */
static size_t write_until_full(struct kit *kit)
{
    static char piece[4000];
    size_t n = sizeof(piece);
    kit->is_stingy = true;
    expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    for (; exchange_write(kit->held[0], slice_from(piece, sizeof(piece))) == 0; n += sizeof(piece))
        kit_run(kit);
    kit->is_stingy = false;
    return n;
}

/* The front end takes no more of the body until the client has taken more of the answer. */
static void under_pressure_windows_are_still_opened(void)
{
    static char bytes[200 * 1024];
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    kit = kit_new(&options, NULL);
    struct backlog *backlog = loop_backlog(kit->loop);
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_run(kit);
    backlog_note(backlog, 0, options.unsent_bytes + 1); /* somebody else's */
    size_t n = write_until_full(kit);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), false);
    expect_true(kit_answer(kit, id)->n_body < n);
    open_windows(kit, id);
    expect_int(kit_answer(kit, id)->n_body, n);
    expect_trace(kit, "request drain");
    backlog_note(backlog, options.unsent_bytes + 1, 0);
    kit_free(kit);
}

/* Nobody says when others have been taken from: it looks. */
static void who_had_to_wait_is_read_on(void)
{
    const struct sim_options wide = {.to_a.window_bytes = 16 << 20, .to_b.window_bytes = 16 << 20};
    static char bytes[200 * 1024];
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    kit = kit_new(&options, &wide);
    struct backlog *backlog = loop_backlog(kit->loop);
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_run(kit);
    size_t n = write_until_full(kit);
    backlog_note(backlog, 0, 2 * options.unsent_bytes + 2);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), false);
    open_windows(kit, id);
    expect_true(kit_answer(kit, id)->n_body < n);
    backlog_note(backlog, 2 * options.unsent_bytes + 2, 0);
    expect_int(kit->error, 0);
    kit_run_for(kit, NSEC_PER_SEC);
    expect_int(kit_answer(kit, id)->n_body, n);
    kit_free(kit);
}

/* What the client may still send on the connection. */
static int32_t window_of(struct kit *kit)
{
    return nghttp2_session_get_remote_window_size(kit->client);
}

static void under_pressure_windows_are_narrow(void)
{
    static char bytes[40 * 1024];
    enum { NARROW = 64 * 1024, WIDE = 1024 * 1024 };
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    kit = kit_new(&options, NULL);
    struct backlog *backlog = loop_backlog(kit->loop);
    backlog_note(backlog, 0, options.unsent_bytes + 1);
    kit_run(kit);
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, slice_from(bytes, sizeof(bytes)), false);
    expect_true(window_of(kit) <= NARROW - (int32_t)sizeof(bytes));
    exchange_pause(kit->held[0], false);
    for (int i = 0; i < 20; i++) {
        kit_run(kit);
        expect_true(window_of(kit) > NARROW / 4 && window_of(kit) <= NARROW);
        kit_data(kit, id, slice_from(bytes, 10 * 1024), false);
    }
    backlog_note(backlog, options.unsent_bytes + 1, 0);
    kit_data(kit, id, slice_from(bytes, 10 * 1024), false);
    expect_true(window_of(kit) > WIDE / 2);
    kit_free(kit);
}

static void under_pressure_writers_are_held_back_sooner(void)
{
    struct kit *kit = make_pressed_kit();
    int32_t id = kit_get(kit, "/hold");
    kit_run(kit);
    size_t n = write_until_full(kit);
    expect_true(n < 65535 + BACKLOG_LITTLE_BYTES + 5000);
    expect_true(loop_backlog(kit->loop)->n_bytes < 3 * BACKLOG_LITTLE_BYTES);
    open_windows(kit, id);
    expect_trace(kit, "request end drain");
    expect_int(kit_answer(kit, id)->n_body, n);
    expect_int(loop_backlog(kit->loop)->n_bytes, 0);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"a paused exchange holds its body back", pauses_its_client},
    {"a paused exchange is sent no more than its window", a_paused_exchange_gets_no_more_than_its_window},
    {"a writer is held back by the client's window and told when there is room", holds_writers_back},
    {"a large answer goes by the client's windows", large_answers_go_by_windows},
    {"everything works through a narrow socket", a_small_socket_buffer_is_enough},
    {"when all is full little of a paused exchange's body is held", when_all_is_full_little_is_held},
    {"under pressure windows are still opened, though bodies wait", under_pressure_windows_are_still_opened},
    {"who had to wait while all was full is read on", who_had_to_wait_is_read_on},
    {"under pressure windows are narrow, and wide again behind it", under_pressure_windows_are_narrow},
    {"under pressure writers are held back sooner", under_pressure_writers_are_held_back_sooner},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
