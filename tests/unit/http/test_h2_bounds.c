/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer can make us keep, by much said with little and by answers that it does not take, has bounds. */
#include "support/h2_kit.h"
#include "support/test.h"

enum { BOMB_FIELDS = 99, BOMB_PAIRS = 2 * BOMB_FIELDS + 1 };

/* 99 times the same long field are a hundred bytes on the wire, and a third of a megabyte when unfolded. */
static void make_bomb(const char *pairs[BOMB_PAIRS])
{
    static char value[2900];
    memset(value, 'v', sizeof(value) - 1);
    for (size_t i = 0; i < BOMB_FIELDS; i++) {
        pairs[2 * i] = "b";
        pairs[2 * i + 1] = value;
    }
    pairs[2 * BOMB_FIELDS] = NULL;
}

static void a_bomb_is_refused(void)
{
    const char *pairs[BOMB_PAIRS];
    struct kit *kit = kit_ready();
    make_bomb(pairs);
    int32_t id = kit_request(kit, "GET", "/hold", false, pairs);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->status, 431);
    expect_trace(kit, "");
    kit_expect_alive(kit);
    kit_free(kit);
}

/* The same behind a body: trailers are kept until what is in front of them is taken. */
static void a_bomb_in_trailers_is_refused(void)
{
    const char *pairs[BOMB_PAIRS];
    struct kit *kit = kit_ready();
    make_bomb(pairs);
    int32_t id = kit_request(kit, "POST", "/pause", true, NULL);
    kit_data(kit, id, SLICE_LIT("held back"), false);
    kit_trailers(kit, id, pairs);
    kit_run(kit);
    expect_int(kit_answer(kit, id)->code, NGHTTP2_ENHANCE_YOUR_CALM);
    expect_trace(kit, "request close:aborted");
    kit_expect_alive(kit);
    kit_free(kit);
}

static void windows_that_stay_closed_refuse_new_streams(void)
{
    struct kit *kit = kit_ready();
    kit->is_stingy = true;
    for (int i = 0; i < 20; i++) {
        (void)kit_get(kit, "/1000000");
        kit_run(kit);
    }
    unsigned n_refused = 0;
    for (int32_t id = 1; id < 40; id += 2)
        n_refused += kit_answer(kit, id)->code == NGHTTP2_REFUSED_STREAM;
    expect_true(n_refused >= 14 && n_refused <= 16); /* 4 MB may wait */
    kit_free(kit);
}

static void put_window(struct kit *kit, int32_t id)
{
    kit_frame(kit, NGHTTP2_WINDOW_UPDATE, 0, id, SLICE_LIT("\0\20\0\0"));
}

/* What waits is bounded for all streams together, and each writer goes on when the peer takes it. */
static void many_streams_with_closed_windows_share_one_account(void)
{
    enum { STREAMS = 60, PIECES_MAX = 64 };
    static char piece[16 * 1024];
    struct kit *kit = kit_ready();
    kit->is_stingy = true;
    for (int i = 0; i < STREAMS; i++)
        (void)kit_get(kit, "/hold");
    kit_run(kit);
    unsigned n_pieces = 0;
    for (unsigned i = 0; i < STREAMS; i++) {
        expect_int(exchange_begin(kit->held[i], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
        for (unsigned n = 0; n < PIECES_MAX; n++) {
            n_pieces++;
            if (exchange_write(kit->held[i], slice_from(piece, sizeof(piece))) == EXCHANGE_FULL)
                break;
        }
    }
    expect_true(n_pieces <= 5 * 1024 * 1024 / sizeof(piece)); /* 4 MB, the last of each stream, a window */
    kit->trace[0] = '\0';
    for (int i = 0; i < 8; i++)
        put_window(kit, 0);
    for (int32_t id = 1; id < 2 * STREAMS; id += 2)
        put_window(kit, id);
    kit_run(kit);
    unsigned n_drains = 0;
    for (const char *at = kit->trace; (at = strstr(at, "drain")); at++)
        n_drains++;
    expect_int(n_drains, STREAMS);
    kit_free(kit);
}

/* A small answer is there at once, and its writer cannot be held back: many of them end when all is full. */
static void answers_that_nobody_takes_are_dropped_when_all_is_full(void)
{
    enum { STREAMS = 60, BOUND_BYTES = 64 * 1024 };
    static char body[12 * 1024];
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    options.unsent_bytes = BOUND_BYTES;
    options.send_high_bytes = 32 * 1024;
    options.send_low_bytes = 8 * 1024;
    kit = kit_new(&options, NULL);
    kit->is_stingy = true;
    for (int i = 0; i < STREAMS; i++)
        (void)kit_get(kit, "/hold");
    kit_run(kit);
    for (unsigned i = 0; i < STREAMS; i++)
        exchange_respond(kit->held[i], 200, NULL, 0, slice_from(body, sizeof(body)));
    kit_run(kit);
    expect_true(loop_backlog(kit->loop)->n_bytes < 3 * BOUND_BYTES);
    expect_int(kit_answer(kit, 2 * STREAMS - 1)->code, NGHTTP2_ENHANCE_YOUR_CALM);
    expect_int(nghttp2_submit_window_update(kit->client, NGHTTP2_FLAG_NONE, 0, 1024 * 1024), 0);
    kit_run(kit);
    expect_true(kit_answer(kit, 11)->is_ended); /* one that was kept */
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"a small block that unfolds to a large one is refused", a_bomb_is_refused},
    {"a small block behind a body that unfolds to a large one is refused", a_bomb_in_trailers_is_refused},
    {"a peer that opens no windows gets no new streams", windows_that_stay_closed_refuse_new_streams},
    {"many streams with closed windows share one account", many_streams_with_closed_windows_share_one_account},
    {"answers that nobody takes are dropped when all is full", answers_that_nobody_takes_are_dropped_when_all_is_full},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
