/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated system itself: what other tests rely on. */
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>

/* Reads all there is at each event, and remembers it. */
struct reader {
    struct stream *stream;
    char text[256];
    size_t len;
    int n_events;
    ssize_t last; /* what the last stream_recv gave */
    unsigned bits;
    nsec_t at_ns; /* of the last event */
};

static void read_all(struct stream *stream, unsigned new_bits)
{
    struct reader *reader = stream->owner;
    reader->n_events++;
    reader->bits |= new_bits;
    reader->at_ns = loop_now(stream->loop);
    while (stream->bits & STREAM_READABLE) {
        reader->last = stream_recv(stream, reader->text + reader->len, sizeof(reader->text) - reader->len);
        if (reader->last <= 0)
            break;
        reader->len += (size_t)reader->last;
    }
}

static void reader_start(struct reader *reader, struct stream *stream)
{
    *reader = (struct reader){.stream = stream};
    stream->owner = reader;
    stream->on_event = read_all;
}

#define expect_read(reader, expected) expect_slice(slice_from((reader)->text, (reader)->len), expected)

struct world {
    struct sim *sim;
    struct loop *loop;
    struct stream *a, *b;
    struct reader reader; /* on b */
};

static struct world world_new(const struct sim_options *options)
{
    struct world world;
    expect_int(sim_new(NULL, &world.sim, &world.loop), 0);
    expect_int(sim_pair(world.sim, options, &world.a, &world.b), 0);
    return world;
}

static void world_free(struct world *world)
{
    stream_close(world->a);
    stream_close(world->b);
    loop_free(world->loop);
}

static void carries_bytes_at_once(void)
{
    struct world world = world_new(NULL);
    reader_start(&world.reader, world.b);
    expect_int(stream_send(world.a, SLICE_LIT("hello")), 5);
    expect_int(world.reader.n_events, 0);
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "hello");
    expect_int(world.reader.n_events, 1);
    expect_int(stream_recv(world.b, world.reader.text, 1), -EAGAIN);
    world_free(&world);
}

static void delivers_in_pieces(void)
{
    struct world world = world_new(&(struct sim_options){.to_b.pieces = (const size_t[]){3, 1, 0}});
    reader_start(&world.reader, world.b);
    stream_send(world.a, SLICE_LIT("abcdef"));
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "abcdef");
    expect_int(world.reader.n_events, 4); /* abc d e f */
    world_free(&world);
}

static void delays_each_piece(void)
{
    struct world world =
        world_new(&(struct sim_options){.to_b = {.pieces = SIM_BYTEWISE, .delay_ns = 10 * NSEC_PER_SEC}});
    reader_start(&world.reader, world.b);
    nsec_t begin = sim_now(world.sim);
    stream_send(world.a, SLICE_LIT("abc"));
    sim_run_for(world.sim, 20 * NSEC_PER_SEC - 1);
    expect_read(&world.reader, "a");
    sim_run_for(world.sim, 1);
    expect_read(&world.reader, "ab");
    sim_run_for(world.sim, 3600 * NSEC_PER_SEC);
    expect_read(&world.reader, "abc");
    expect_int(world.reader.at_ns - begin, 30 * NSEC_PER_SEC);
    expect_int(sim_now(world.sim) - begin, 3620 * NSEC_PER_SEC);
    world_free(&world);
}

static void refuses_what_exceeds_the_window(void)
{
    struct world world = world_new(&(struct sim_options){.to_b.window_bytes = 4});
    expect_int(stream_send(world.a, SLICE_LIT("abcdef")), 4);
    expect_int(world.a->bits & STREAM_WRITABLE, 0);
    expect_int(stream_send(world.a, SLICE_LIT("ef")), -EAGAIN);
    sim_run_for(world.sim, 3600 * NSEC_PER_SEC); /* the peer never reads */
    expect_int(world.a->bits & STREAM_WRITABLE, 0);

    reader_start(&world.reader, world.b);
    read_all(world.b, 0);
    sim_run_for(world.sim, 0);
    expect_true(world.a->bits & STREAM_WRITABLE);
    expect_int(stream_send(world.a, SLICE_LIT("ef")), 2);
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "abcdef");
    world_free(&world);
}

static void half_closes(void)
{
    struct world world = world_new(NULL);
    reader_start(&world.reader, world.b);
    stream_send(world.a, SLICE_LIT("bye"));
    expect_int(stream_shutdown(world.a), 0);
    expect_int(stream_send(world.a, SLICE_LIT("more")), -EPIPE);
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "bye");
    expect_int(world.reader.last, 0);
    expect_true(world.reader.bits & STREAM_PEER_DONE);

    expect_int(stream_send(world.b, SLICE_LIT("answer")), 6);
    sim_run_for(world.sim, 0);
    char text[16];
    expect_int(stream_recv(world.a, text, sizeof(text)), 6);
    world_free(&world);
}

static void resets_after_the_nth_byte(void)
{
    struct world world = world_new(&(struct sim_options){.to_b = {.pieces = SIM_BYTEWISE, .reset_at = 2}});
    reader_start(&world.reader, world.b);
    stream_send(world.a, SLICE_LIT("abcdef"));
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "ab");
    expect_int(world.reader.last, -ECONNRESET);
    expect_int(world.b->error, -ECONNRESET);
    expect_int(stream_send(world.a, SLICE_LIT("x")), -ECONNRESET);
    world_free(&world);
}

static void close_with_unread_bytes_resets(void)
{
    struct world world = world_new(NULL);
    reader_start(&world.reader, world.b);
    stream_send(world.b, SLICE_LIT("never read"));
    stream_send(world.a, SLICE_LIT("lost on the way"));
    stream_close(TAKE(world.a));
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "");
    expect_int(world.reader.last, -ECONNRESET);
    world_free(&world);
}

static void close_with_all_read_ends(void)
{
    struct world world = world_new(NULL);
    reader_start(&world.reader, world.b);
    stream_send(world.a, SLICE_LIT("last words"));
    stream_close(TAKE(world.a));
    sim_run_for(world.sim, 0);
    expect_read(&world.reader, "last words");
    expect_int(world.reader.last, 0);
    expect_int(stream_send(world.b, SLICE_LIT("x")), -EPIPE);
    world_free(&world);
}

static void connects_late_or_not_at_all(void)
{
    struct world world = world_new(&(struct sim_options){.connect_ns = NSEC_PER_SEC});
    reader_start(&world.reader, world.a);
    expect_int(stream_send(world.a, SLICE_LIT("x")), -EAGAIN);
    sim_run_for(world.sim, NSEC_PER_SEC - 1);
    expect_int(world.reader.bits, 0);
    sim_run_for(world.sim, 1);
    expect_int(world.reader.bits, STREAM_OPEN | STREAM_WRITABLE);
    world_free(&world);

    world = world_new(&(struct sim_options){.connect_ns = NSEC_PER_SEC, .connect_error = -ECONNREFUSED});
    reader_start(&world.reader, world.a);
    sim_run_for(world.sim, NSEC_PER_SEC);
    expect_true(world.reader.bits & STREAM_FAILED);
    expect_int(world.a->error, -ECONNREFUSED);
    world_free(&world);
}

static int make_pair(void *arg)
{
    (void)arg;
    struct sim *sim;
    struct loop *loop;
    int r = sim_new(NULL, &sim, &loop);
    if (r < 0)
        return r;
    struct stream *a, *b;
    r = sim_pair(sim, NULL, &a, &b);
    if (r == 0) {
        stream_close(a);
        stream_close(b);
    }
    loop_free(loop);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(make_pair, NULL) >= 4);
}

static const struct test_case cases[] = {
    {"bytes arrive in the next turn, all at once", carries_bytes_at_once},
    {"bytes arrive in pieces of the given sizes", delivers_in_pieces},
    {"each piece is delayed, in virtual time", delays_each_piece},
    {"what exceeds the window is refused until the peer reads", refuses_what_exceeds_the_window},
    {"after a half-close the other direction still works", half_closes},
    {"the connection is reset after the n-th byte", resets_after_the_nth_byte},
    {"closing with unread bytes resets the peer", close_with_unread_bytes_resets},
    {"closing with everything read ends the peer's stream", close_with_all_read_ends},
    {"a connection comes late, or fails", connects_late_or_not_at_all},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
