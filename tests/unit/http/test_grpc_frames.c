/* SPDX-License-Identifier: Apache-2.0 */
#include "http/grpc_frames.h"
#include "http/grpc_status.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

/* Appends a message as it goes over the wire. */
static void put(struct buf *flow, struct slice message)
{
    char prefix[GRPC_PREFIX_BYTES];
    grpc_frames_prefix(message.len, prefix);
    expect_int(buf_append(flow, slice_from(prefix, sizeof(prefix))), 0);
    expect_int(buf_append(flow, message), 0);
}

static void whole_messages_are_given_where_they_lie(void)
{
    struct grpc_frames frames;
    struct buf flow = {0};
    struct slice message;
    grpc_frames_init(&frames, 100);
    put(&flow, SLICE_LIT("one"));
    put(&flow, SLICE_LIT(""));
    put(&flow, SLICE_LIT("three"));
    struct slice bytes = buf_slice(&flow);
    expect_int(grpc_frames_next(&frames, &bytes, &message), GRPC_FRAMES_MESSAGE);
    expect_slice(message, "one");
    expect_true(message.ptr == flow.ptr + GRPC_PREFIX_BYTES);
    expect_int(grpc_frames_next(&frames, &bytes, &message), GRPC_FRAMES_MESSAGE);
    expect_slice(message, "");
    expect_int(grpc_frames_next(&frames, &bytes, &message), GRPC_FRAMES_MESSAGE);
    expect_slice(message, "three");
    expect_int(grpc_frames_next(&frames, &bytes, &message), GRPC_FRAMES_MORE);
    expect_true(grpc_frames_is_empty(&frames));
    expect_true(!frames.held.ptr);
    grpc_frames_deinit(&frames);
    buf_deinit(&flow);
}

/* Cut into pieces of any size, the same messages come out. */
static void messages_may_be_cut_anywhere(void)
{
    static const char *const texts[] = {"a", "", "two words", "a somewhat longer message than the others", "z"};
    struct buf flow = {0};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        put(&flow, slice_from_str(texts[i]));
    for (size_t piece = 1; piece <= flow.len; piece++) {
        struct grpc_frames frames;
        size_t n = 0;
        grpc_frames_init(&frames, 100);
        for (size_t at = 0; at < flow.len; at += piece) {
            struct slice message, bytes = slice_from(flow.ptr + at, min_size(piece, flow.len - at));
            while (grpc_frames_next(&frames, &bytes, &message) == GRPC_FRAMES_MESSAGE)
                expect_slice(message, texts[n++]);
            expect_int(bytes.len, 0);
        }
        expect_int(n, ARRAY_LEN(texts));
        expect_true(grpc_frames_is_empty(&frames));
        grpc_frames_deinit(&frames);
    }
    buf_deinit(&flow);
}

static void held_messages_come_first(void)
{
    struct grpc_frames frames;
    struct buf flow = {0};
    struct slice message;
    unsigned n = 0;
    grpc_frames_init(&frames, 100);
    for (int i = 0; i < 10000; i++)
        put(&flow, SLICE_LIT("x"));
    expect_int(grpc_frames_hold(&frames, buf_slice(&flow)), 0);
    struct slice bytes = buf_slice(&flow);
    while (grpc_frames_next(&frames, &bytes, &message) == GRPC_FRAMES_MESSAGE)
        n++;
    expect_int(n, 20000);
    expect_true(frames.held.cap <= 1024);
    grpc_frames_deinit(&frames);
    buf_deinit(&flow);
}

static int next_of(struct slice bytes)
{
    struct grpc_frames frames;
    struct slice message;
    grpc_frames_init(&frames, 100);
    int r = grpc_frames_next(&frames, &bytes, &message);
    grpc_frames_deinit(&frames);
    return r;
}

static void bad_flows_are_refused(void)
{
    expect_int(next_of(SLICE_LIT("\0\0\0\0\145")), -EMSGSIZE); /* before its bytes are there */
    expect_int(next_of(SLICE_LIT("\0\377\377\377\377")), -EMSGSIZE);
    expect_int(next_of(SLICE_LIT("\1\0\0\0\1x")), -EPROTONOSUPPORT);
    expect_int(next_of(SLICE_LIT("\2\0\0\0\1x")), -EBADMSG);
    expect_int(next_of(SLICE_LIT("\0\0\0\0\144")), GRPC_FRAMES_MORE);
}

static int cut_message(void *arg)
{
    struct grpc_frames frames;
    struct slice message, bytes = SLICE_LIT("\0\0\0\0\3ab");
    (void)arg;
    grpc_frames_init(&frames, 100);
    int r = grpc_frames_next(&frames, &bytes, &message);
    if (r == GRPC_FRAMES_MORE) {
        bytes = SLICE_LIT("c");
        r = grpc_frames_next(&frames, &bytes, &message);
        expect_int(r, GRPC_FRAMES_MESSAGE);
        expect_slice(message, "abc");
        r = 0;
    }
    grpc_frames_deinit(&frames);
    return r;
}

static void memory_may_run_out(void)
{
    expect_int(fault_alloc_sweep(cut_message, NULL), 1);
}

static void timeouts_are_parsed(void)
{
    nsec_t t;
    expect_int(grpc_timeout_parse(SLICE_LIT("1H"), &t), 0);
    expect_int(t, 3600 * NSEC_PER_SEC);
    expect_int(grpc_timeout_parse(SLICE_LIT("2M"), &t), 0);
    expect_int(t, 120 * NSEC_PER_SEC);
    expect_int(grpc_timeout_parse(SLICE_LIT("3S"), &t), 0);
    expect_int(t, 3 * NSEC_PER_SEC);
    expect_int(grpc_timeout_parse(SLICE_LIT("4m"), &t), 0);
    expect_int(t, 4 * NSEC_PER_MSEC);
    expect_int(grpc_timeout_parse(SLICE_LIT("5u"), &t), 0);
    expect_int(t, 5 * NSEC_PER_USEC);
    expect_int(grpc_timeout_parse(SLICE_LIT("99999999n"), &t), 0);
    expect_int(t, 99999999);
    expect_int(grpc_timeout_parse(SLICE_LIT("99999999H"), &t), 0);
    expect_int(t, NSEC_NEVER);
    static const char *const bad[] = {"", "S", "1", "1s", "-1S", "+1S", " 1S", "1 S", "1.5S", "123456789S", "S1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        expect_int(grpc_timeout_parse(slice_from_str(bad[i]), &t), -EINVAL);
}

static void texts_are_encoded(void)
{
    struct buf buf = {0};
    expect_int(grpc_message_encode(SLICE_LIT("100% gr\303\274n\n"), &buf), 0);
    expect_slice(buf_slice(&buf), "100%25 gr%C3%BCn%0A");
    buf_deinit(&buf);
}

static void statuses_have_names(void)
{
    expect_str(grpc_status_name(GRPC_OK), "OK");
    expect_str(grpc_status_name(GRPC_UNAUTHENTICATED), "UNAUTHENTICATED");
    expect_str(grpc_status_name((enum grpc_status)17), "");
}

static const struct test_case cases[] = {
    {"whole messages are given where they lie, without memory", whole_messages_are_given_where_they_lie},
    {"messages may be cut anywhere", messages_may_be_cut_anywhere},
    {"messages that were held come first, in linear time", held_messages_come_first},
    {"too long, compressed and senseless messages are refused", bad_flows_are_refused},
    {"memory may run out", memory_may_run_out},
    {"grpc-timeout is parsed", timeouts_are_parsed},
    {"grpc-message is encoded", texts_are_encoded},
    {"every status has its name", statuses_have_names},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
