/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated system: a loop whose clock is virtual, and pairs of connected streams that behave as told. With it a
 * time-out of an hour takes no time, every run is the same, and what a network does once in a million times is a line
 * of a test.
 *
 *     struct sim *sim;
 *     struct loop *loop;
 *     expect_int(sim_new(NULL, &sim, &loop), 0);
 *     struct stream *client, *server;
 *     expect_int(sim_pair(sim, &(struct sim_options){.to_b.pieces = SIM_BYTEWISE}, &client, &server), 0);
 *     server->on_event = on_event;             the object under test takes its end over; the other end
 *     server->owner = &object;                 is played by the test, with stream_send and stream_recv
 *     stream_send(client, SLICE_LIT("GET / HTTP/1.1\r\n"));
 *     sim_run_for(sim, 0);                     all that can happen now: 16 events of one byte each
 *     sim_run_for(sim, 30 * NSEC_PER_SEC);     … and all that happens in half a minute
 *
 * The two ends are alike, each a full stream (stream.h) with the readiness rules of a kernel socket: bits are raised by
 * the loop, cleared by short reads and writes. An end whose on_event is not set only collects its bits. A peer that
 * never reads is one on which the test does not call stream_recv: when the window is full, the other side's sends are
 * refused. Closing follows TCP: with everything read, the peer sees an end; with bytes unread or still on their way, it
 * sees a reset, and what was on its way to it is lost.
 *
 * A descriptor of the kernel's that only waits for bytes (EPOLLIN), such as one of inotify, may be added to the loop,
 * too: it is looked at in each turn. What the test did itself has happened by then.
 */
#pragma once

#include "io/loop.h"
#include "io/stream.h"

struct sim;

/* One direction of a pair. All zero: a fast and faultless network with a window of SIM_WINDOW_BYTES. */
struct sim_way {
    size_t window_bytes; /* at most so many are taken from the sender and not yet received */
    const size_t
        *pieces;       /* sizes in which bytes arrive, each in a turn of its own; ends with 0; the last is repeated */
    nsec_t delay_ns;   /* before each piece */
    uint64_t reset_at; /* once this many bytes have arrived, both ends are reset */
};

#define SIM_WINDOW_BYTES ((size_t)64 * 1024)
#define SIM_BYTEWISE     ((const size_t[]){1, 0})

/* All zero: the pair is connected from the start. */
struct sim_options {
    struct sim_way to_a, to_b;
    nsec_t connect_ns; /* end a is connecting for so long … */
    int connect_error; /* … and then fails with this negative errno */
};

/*
 * A loop on a simulated system. The sim lives as long as the loop: free with loop_free, when all ends are closed.
 * 0 or -ENOMEM.
 */
int sim_new(struct rcu_domain *rcu, struct sim **ret_sim, struct loop **ret_loop);

/* Two connected streams; options may be NULL. Set on_event and owner afterwards. 0 or -ENOMEM. */
int sim_pair(struct sim *sim, const struct sim_options *options, struct stream **ret_a, struct stream **ret_b);

/* The same, as the function by which a pool connects needs it: its end has an owner, the far one is the test's. */
int sim_connect(struct sim *sim, const struct sim_options *options, stream_event_fn on_event, void *owner,
                struct stream **ret_stream, struct stream **ret_far);

/*
 * Turns the loop until the virtual clock is `duration_ns` further and nothing is left to happen at that moment. 0: all
 * that can happen now. The clock jumps from one event or timer to the next. (Turning the loop by itself works too; a
 * wait in which nothing can ever happen fails the test.)
 */
void sim_run_for(struct sim *sim, nsec_t duration_ns);

/* The process stands still: time passes, and nothing is done in it. */
void sim_skip(struct sim *sim, nsec_t duration_ns);

/* The virtual monotonic clock; the wall clock runs with it and began at Sun, 06 Nov 1994 08:49:37 GMT. */
nsec_t sim_now(const struct sim *sim);

/* The connection breaks: both ends find -ECONNRESET; what arrived before is still received first. */
void sim_reset(struct stream *stream);

/* Bytes that the peer sent and this end has not received, on their way or arrived. */
size_t sim_unread(struct stream *stream);
