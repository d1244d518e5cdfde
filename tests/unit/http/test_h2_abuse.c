/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that cost more than they are worth, and those that only look like it. */
#include "http/h2_guard.h"
#include "support/h2_kit.h"
#include "support/test.h"

#include <errno.h>

/* The connection was ended for abuse. */
static void expect_calmed(struct kit *kit)
{
    kit_run(kit);
    expect_int(kit->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
    expect_true(kit->is_closed);
    kit_free(kit);
}

/* Runs `offend` until the server has had enough, at most n times. */
static void offend_until_calmed(void (*offend)(struct kit *kit, unsigned i), unsigned n)
{
    struct kit *kit = kit_ready();
    unsigned i = 0;
    for (; i < n && kit->n_goaways == 0; i++) {
        offend(kit, i);
        if (i % 16 == 0)
            kit_run(kit);
    }
    kit_run(kit);
    expect_true(i < n);
    expect_calmed(kit);
}

static void reset_rapidly(struct kit *kit, unsigned i)
{
    (void)i;
    kit_reset(kit, kit_get(kit, "/hold"));
}

static void rapid_resets(void)
{
    offend_until_calmed(reset_rapidly, 1000);
}

/* MadeYouReset: the client has us reset streams whose work has begun. */
static void provoke_reset(struct kit *kit, unsigned i)
{
    (void)i;
    int32_t id = kit_get(kit, "/hold");
    kit_frame(kit, NGHTTP2_WINDOW_UPDATE, 0, id, SLICE_LIT("\x7f\xff\xff\xff")); /* overflows */
}

static void provoked_resets(void)
{
    offend_until_calmed(provoke_reset, 1000);
}

static void send_ping(struct kit *kit, unsigned i)
{
    (void)i;
    kit_frame(kit, NGHTTP2_PING, 0, 0, SLICE_LIT("12345678"));
}

static void pings(void)
{
    offend_until_calmed(send_ping, 10000);
}

static void send_settings(struct kit *kit, unsigned i)
{
    (void)i;
    expect_int(nghttp2_submit_settings(kit->client, NGHTTP2_FLAG_NONE, NULL, 0), 0);
    kit_run(kit);
}

static void settings(void)
{
    offend_until_calmed(send_settings, 1000);
}

static void send_window_update(struct kit *kit, unsigned i)
{
    (void)i;
    kit_frame(kit, NGHTTP2_WINDOW_UPDATE, 0, 0, SLICE_LIT("\0\0\0\1"));
}

static void window_updates(void)
{
    offend_until_calmed(send_window_update, 100000);
}

static void send_priority(struct kit *kit, unsigned i)
{
    kit_frame(kit, NGHTTP2_PRIORITY, 0, (int32_t)(2 * i + 101), SLICE_LIT("\0\0\0\0\20"));
}

static void priorities(void)
{
    offend_until_calmed(send_priority, 100000);
}

static void send_empty_data(struct kit *kit, unsigned i)
{
    int32_t id = i == 0 ? kit_request(kit, "POST", "/hold", true, NULL) : 1;
    kit_frame(kit, NGHTTP2_DATA, 0, id, SLICE_LIT(""));
}

static void empty_data(void)
{
    offend_until_calmed(send_empty_data, 10000);
}

static void send_unknown(struct kit *kit, unsigned i)
{
    (void)i;
    kit_frame(kit, 0xee, 0, 0, SLICE_LIT(""));
}

static void unknown_frames(void)
{
    offend_until_calmed(send_unknown, 100000);
}

static void acknowledge(struct kit *kit, unsigned i)
{
    (void)i;
    kit_frame(kit, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, SLICE_LIT(""));
}

static void acknowledgements(void)
{
    offend_until_calmed(acknowledge, 100000);
}

static void reset_again(struct kit *kit, unsigned i)
{
    int32_t id = i == 0 ? kit_get(kit, "/hello") : 1;
    if (i == 0)
        kit_run(kit);
    kit_frame(kit, NGHTTP2_RST_STREAM, 0, id, SLICE_LIT("\0\0\0\10"));
}

static void resets_of_what_is_gone(void)
{
    offend_until_calmed(reset_again, 100000);
}

/* Each window goes through all streams, and one frame has room for thousands. */
static void windows_in_one_frame(void)
{
    enum { WINDOWS = 1000 };
    static char payload[6 * WINDOWS];
    struct kit *kit = kit_ready();
    for (size_t i = 0; i < WINDOWS; i++)
        memcpy(payload + 6 * i, i % 2 ? "\0\4\0\0\1\0" : "\0\4\0\0\2\0", 6);
    kit_frame(kit, NGHTTP2_SETTINGS, 0, 0, slice_from(payload, sizeof(payload)));
    expect_calmed(kit);
}

/* However much there is to read, the loop gets to its other work. */
static void a_flood_leaves_room_for_others(void)
{
    enum { FRAMES = 512 };
    static char payload[16 * 1024];
    struct kit *kit;
    const struct sim_options wide = {.to_a.window_bytes = 16 << 20, .to_b.window_bytes = 16 << 20};
    kit = kit_new(NULL, &wide);
    kit_run(kit);
    for (unsigned i = 0; i < FRAMES; i++)
        kit_frame(kit, 0xee, 0, 0, slice_from(payload, sizeof(payload)));
    expect_int(kit->error, 0);
    expect_int(loop_turn(kit->loop, 0), 0);
    expect_true(kit->near->bits & STREAM_READABLE);
    kit_expect_alive(kit);
    kit_free(kit);
}

/* The same where each byte of a body is a frame. */
static void a_flood_of_small_frames_leaves_room_for_others(void)
{
    enum { FRAMES = 100000 };
    struct kit *kit;
    const struct sim_options wide = {.to_a.window_bytes = 16 << 20, .to_b.window_bytes = 16 << 20};
    kit = kit_new(NULL, &wide);
    int32_t id = kit_request(kit, "POST", "/collect", true, NULL);
    kit_run(kit);
    for (unsigned i = 0; i < FRAMES; i++)
        kit_frame(kit, NGHTTP2_DATA, 0, id, SLICE_LIT("x"));
    expect_int(kit->error, 0);
    expect_int(loop_turn(kit->loop, 0), 0);
    expect_true(kit->near->bits & STREAM_READABLE);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void endless_header_block(void)
{
    static char fragment[16 * 1024];
    struct kit *kit = kit_ready();
    memset(fragment, 0x82, sizeof(fragment)); /* :method: GET, in one byte, again and again */
    kit_frame(kit, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, slice_from(fragment, 16));
    for (int i = 0; i < 100 && !kit->is_closed; i++) {
        kit_frame(kit, NGHTTP2_CONTINUATION, 0, 1, slice_from(fragment, sizeof(fragment)));
        sim_run_for(kit->sim, 0);
        kit->is_closed = kit->far->bits & (STREAM_PEER_DONE | STREAM_FAILED);
    }
    expect_true(kit->is_closed);
    expect_trace(kit, "");
    kit_free(kit);
}

static void too_many_streams(void)
{
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    options.h2_max_streams = 3;
    kit = kit_new(&options, NULL);
    for (int i = 0; i < 4; i++)
        (void)kit_get(kit, "/hold"); /* before the client has heard of the limit */
    kit_run(kit);
    expect_int(kit_answer(kit, 7)->code, NGHTTP2_REFUSED_STREAM);
    expect_trace(kit, "request end request end request end");
    exchange_respond_text(kit->held[0], 200, "one\n");
    kit_run(kit);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void a_limit_holds_as_it_was_told(void)
{
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    options.h2_max_streams = 3;
    kit = kit_new(&options, NULL);
    kit_run(kit);
    options.h2_max_streams = 1;
    http_server_set_options(kit->server, &options); /* for connections to come */
    for (int i = 0; i < 3; i++)
        (void)kit_get(kit, "/hold");
    kit_run(kit);
    expect_int(kit->n_held, 3);
    kit_free(kit);
}

/* Resets are no way round the limit: within one burst the streams still count. */
static void resets_do_not_free_streams_at_once(void)
{
    struct http_server_options options;
    struct kit *kit;
    http_server_options_init(&options);
    options.h2_max_streams = 10;
    kit = kit_new(&options, NULL);
    for (int i = 0; i < 30; i++)
        kit_reset(kit, kit_get(kit, "/hold"));
    kit_run(kit);
    expect_int(kit->n_held, 10);
    kit_free(kit);
}

static void a_peer_that_never_reads(void)
{
    struct kit *kit;
    const struct sim_options narrow = {.to_a.window_bytes = 1000, .to_b.window_bytes = 1000};
    kit = kit_new(NULL, &narrow);
    kit_run(kit);
    kit->is_deaf = true;
    (void)kit_get(kit, "/100000");
    kit_run(kit);
    for (unsigned i = 0; i < 5000 && kit->error == 0; i++)
        send_ping(kit, i);
    expect_int(kit->error, -EAGAIN); /* the server has stopped reading, long before its patience ended */
    kit_run_for(kit, 60 * NSEC_PER_SEC);
    expect_int(http_server_n_connections(kit->server), 0);
    kit_free(kit);
}

/* --- those that are welcome --- */

static void cancelling_now_and_then_is_fine(void)
{
    struct kit *kit = kit_ready();
    for (int i = 0; i < 1000; i++) {
        int32_t id = kit_get(kit, "/hold");
        kit_run_for(kit, 2 * NSEC_PER_SEC);
        kit_reset(kit, id);
        kit_run(kit);
    }
    kit_expect_alive(kit);
    kit_free(kit);
}

static void measuring_with_each_message_is_fine(void)
{
    struct kit *kit = kit_ready();
    (void)kit_get(kit, "/hold");
    kit_run(kit);
    expect_int(exchange_begin(kit->held[0], 200, NULL, 0, EXCHANGE_LENGTH_UNKNOWN), 0);
    for (unsigned i = 0; i < 20000; i++) {
        expect_int(exchange_write(kit->held[0], SLICE_LIT("event")), 0);
        send_ping(kit, i);
        send_window_update(kit, i);
        kit_run(kit);
    }
    expect_int(kit->n_acks, 20000);
    kit_expect_alive(kit);
    kit_free(kit);
}

static void a_slow_pinger_is_fine(void)
{
    struct kit *kit = kit_ready();
    for (unsigned i = 0; i < 5000; i++) {
        send_ping(kit, i);
        kit_run_for(kit, NSEC_PER_SEC / 100);
    }
    kit_expect_alive(kit);
    kit_free(kit);
}

/* --- the account itself --- */

static void the_account_refills_with_time_only_to_the_brim(void)
{
    struct h2_guard guard;
    nsec_t now = 5 * NSEC_PER_SEC;
    h2_guard_init(&guard, now);
    unsigned n = 0;
    while (h2_guard_charge(&guard, H2_PEER_RESET, now))
        n++;
    expect_int(n, 200);
    now += NSEC_PER_SEC;
    for (n = 0; h2_guard_charge(&guard, H2_PEER_RESET, now);)
        n++;
    expect_int(n, 20);
    now += 3600 * NSEC_PER_SEC;
    for (n = 0; h2_guard_charge(&guard, H2_PEER_RESET, now);)
        n++;
    expect_int(n, 200);
}

static const struct test_case cases[] = {
    {"rapid resets end the connection", rapid_resets},
    {"resets that are provoked end the connection", provoked_resets},
    {"a flood of PING ends the connection", pings},
    {"a flood of SETTINGS ends the connection", settings},
    {"a flood of WINDOW_UPDATE ends the connection", window_updates},
    {"a flood of PRIORITY ends the connection", priorities},
    {"a flood of empty DATA ends the connection", empty_data},
    {"a flood of unknown frames ends the connection", unknown_frames},
    {"a flood of acknowledgements ends the connection", acknowledgements},
    {"a flood of resets for a stream that is gone ends the connection", resets_of_what_is_gone},
    {"thousands of windows in one frame end the connection", windows_in_one_frame},
    {"a flood leaves room for others", a_flood_leaves_room_for_others},
    {"a flood of small frames leaves room for others", a_flood_of_small_frames_leaves_room_for_others},
    {"a header block without end ends the connection", endless_header_block},
    {"more streams than allowed are refused", too_many_streams},
    {"a connection keeps the limit that it was told", a_limit_holds_as_it_was_told},
    {"resets are no way round the number of streams", resets_do_not_free_streams_at_once},
    {"a peer that never reads is not read from, and dropped", a_peer_that_never_reads},
    {"cancelling now and then is fine", cancelling_now_and_then_is_fine},
    {"measuring with each message is fine", measuring_with_each_message_is_fine},
    {"a hundred pings a second are fine", a_slow_pinger_is_fine},
    {"the account refills with time, to the brim", the_account_refills_with_time_only_to_the_brim},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
