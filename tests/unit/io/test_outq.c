/* SPDX-License-Identifier: Apache-2.0 */
#include "io/outq.h"

#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>

struct world {
    struct sim *sim;
    struct loop *loop;
    struct stream *stream, *peer;
    struct outq queue;
};

static int world_init(struct world *world, size_t window_bytes)
{
    int r = sim_new(NULL, &world->sim, &world->loop);
    if (r < 0)
        return r;
    r = sim_pair(world->sim, &(struct sim_options){.to_b.window_bytes = window_bytes}, &world->stream, &world->peer);
    if (r < 0)
        loop_free(world->loop);
    outq_init(&world->queue);
    return r;
}

static void world_deinit(struct world *world)
{
    outq_deinit(&world->queue);
    stream_close(world->stream);
    stream_close(world->peer);
    loop_free(world->loop);
}

/* Everything that has arrived at the peer. */
static size_t receive(struct world *world, char *bytes, size_t size)
{
    sim_run_for(world->sim, 0);
    size_t n = 0;
    for (ssize_t got; n < size && (got = stream_recv(world->peer, bytes + n, size - n)) > 0;)
        n += (size_t)got;
    sim_run_for(world->sim, 0);
    return n;
}

static void sends_at_once_and_owns_nothing(void)
{
    struct world world;
    char text[16];
    expect_int(world_init(&world, 16), 0);
    expect_int(outq_send(&world.queue, world.stream, SLICE_LIT("hello")), 0);
    expect_true(outq_is_empty(&world.queue));
    expect_true(!world.queue.first);
    expect_slice(slice_from(text, receive(&world, text, sizeof(text))), "hello");
    world_deinit(&world);
}

static void keeps_what_is_not_taken(void)
{
    struct world world;
    char text[64];
    expect_int(world_init(&world, 4), 0);
    const struct iovec iov[] = {{(char[]){"ab"}, 2}, {NULL, 0}, {(char[]){"cdef"}, 4}, {(char[]){"gh"}, 2}};
    expect_int(outq_sendv(&world.queue, world.stream, iov, 4), 0);
    expect_int(outq_size(&world.queue), 4);
    expect_int(outq_send(&world.queue, world.stream, SLICE_LIT("ij")), 0); /* behind what waits */
    expect_int(outq_size(&world.queue), 6);

    struct slice expected[] = {SLICE_LIT("abcd"), SLICE_LIT("efgh"), SLICE_LIT("ij")};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        expect_bytes(slice_from(text, receive(&world, text, sizeof(text))), expected[i]);
        expect_int(outq_flush(&world.queue, world.stream), 0);
    }
    expect_true(outq_is_empty(&world.queue));
    expect_true(!world.queue.first);
    world_deinit(&world);
}

/* A piece costs all of its memory until its last byte is sent. */
static void memory_counts_until_it_is_given_back(void)
{
    static char bytes[100000], text[100000];
    struct world world;
    expect_int(world_init(&world, 1000), 0);
    const struct backlog *backlog = loop_backlog(world.loop);
    expect_int(outq_send(&world.queue, world.stream, slice_from(bytes, 1000)), 0);
    expect_int(backlog->n_bytes, 0);
    expect_int(outq_send(&world.queue, world.stream, slice_from(bytes, sizeof(bytes))), 0);
    size_t n_kept = backlog->n_bytes;
    expect_true(n_kept >= sizeof(bytes) && n_kept < sizeof(bytes) + 1000);
    while (outq_size(&world.queue) > 1000) {
        expect_int(backlog->n_bytes, n_kept);
        (void)receive(&world, text, sizeof(text));
        expect_int(outq_flush(&world.queue, world.stream), 0);
    }
    (void)receive(&world, text, sizeof(text));
    expect_int(outq_flush(&world.queue, world.stream), 0);
    expect_int(backlog->n_bytes, 0);
    expect_int(outq_send(&world.queue, world.stream, slice_from(bytes, sizeof(bytes))), 0);
    outq_deinit(&world.queue);
    expect_int(backlog->n_bytes, 0);
    world_deinit(&world);
}

static void waits_for_a_stream_that_opens(void)
{
    struct world world;
    expect_int(sim_new(NULL, &world.sim, &world.loop), 0);
    expect_int(sim_pair(world.sim, &(struct sim_options){.connect_ns = 1}, &world.stream, &world.peer), 0);
    outq_init(&world.queue);
    expect_int(outq_send(&world.queue, world.stream, SLICE_LIT("early")), 0);
    expect_int(outq_size(&world.queue), 5);
    sim_run_for(world.sim, 1);
    expect_int(outq_flush(&world.queue, world.stream), 0);
    char text[16];
    expect_slice(slice_from(text, receive(&world, text, sizeof(text))), "early");
    world_deinit(&world);
}

static void tells_the_streams_failure(void)
{
    struct world world;
    expect_int(world_init(&world, 4), 0);
    expect_int(outq_send(&world.queue, world.stream, SLICE_LIT("abcdef")), 0);
    sim_reset(world.stream);
    sim_run_for(world.sim, 0);
    expect_int(outq_flush(&world.queue, world.stream), -ECONNRESET);
    outq_deinit(&world.queue);
    expect_int(outq_send(&world.queue, world.stream, SLICE_LIT("abcdef")), -ECONNRESET);
    world_deinit(&world);
}

/* Messages of random sizes through a window of random size come out as one unbroken sequence. */
static void random_messages_arrive_whole_and_in_order(void)
{
    enum { TOTAL = 2000000, MESSAGE_MAX = 20000 };
    static char message[MESSAGE_MAX], got[4096];
    uint64_t seed = test_seed();
    struct world world;
    size_t n_sent = 0, n_got = 0;
    expect_int(world_init(&world, 1 + test_random(&seed) % 10000), 0);
    while (n_got < TOTAL) {
        if (n_sent < TOTAL && outq_size(&world.queue) < 100000) {
            size_t len = test_random(&seed) % (test_random(&seed) % 2 ? 100 : MESSAGE_MAX);
            len = min_size(len, TOTAL - n_sent);
            size_t cut = len ? test_random(&seed) % len : 0;
            for (size_t i = 0; i < len; i++)
                message[i] = (char)((n_sent + i) * 7 + (n_sent + i) / 256);
            const struct iovec iov[] = {{message, cut}, {message + cut, len - cut}};
            expect_int(outq_sendv(&world.queue, world.stream, iov, 2), 0);
            n_sent += len;
        }
        size_t n = receive(&world, got, 1 + test_random(&seed) % sizeof(got));
        for (size_t i = 0; i < n; i++, n_got++)
            if (got[i] != (char)(n_got * 7 + n_got / 256))
                test_fail(__FILE__, __LINE__, "byte %zu is wrong", n_got);
        if (test_random(&seed) % 2)
            expect_int(outq_flush(&world.queue, world.stream), 0);
        expect_int(n_sent - n_got, outq_size(&world.queue) + sim_unread(world.peer));
    }
    world_deinit(&world);
}

static int queue_three_messages(void *arg)
{
    static char big[10000];
    (void)arg;
    struct world world;
    int r = world_init(&world, 4);
    if (r < 0)
        return r;
    size_t before = 0;
    for (int i = 0; r == 0 && i < 3; i++) {
        before = outq_size(&world.queue);
        r = outq_send(&world.queue, world.stream, slice_from(big, sizeof(big)));
    }
    if (r < 0)
        expect_int(outq_size(&world.queue), before); /* all or nothing */
    world_deinit(&world);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(queue_three_messages, NULL) >= 7);
}

static const struct test_case cases[] = {
    {"what the stream takes is not copied, and an empty queue owns nothing", sends_at_once_and_owns_nothing},
    {"what the stream does not take is kept and sent later, in order", keeps_what_is_not_taken},
    {"memory counts in the backlog until it is given back", memory_counts_until_it_is_given_back},
    {"what is sent before the stream is open waits", waits_for_a_stream_that_opens},
    {"the stream's failure is told", tells_the_streams_failure},
    {"random messages arrive whole and in order", random_messages_arrive_whole_and_in_order},
    {"out of memory is reported, takes nothing and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
