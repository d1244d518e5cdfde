/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of one thread: descriptors, timers, tasks for the end of the turn, and mail from other threads.
 *
 * One turn: wait for events (not past the next timer) -> call on_ready of each ready source -> fire due timers ->
 * deliver mail -> run deferred tasks -> announce quiescence (RCU). Everything that lives on a loop is touched only by
 * its thread, but for loop_post and loop_wake.
 *
 * Descriptors are registered once, edge-triggered, for IN, OUT and RDHUP; readiness is remembered by the source (see
 * stream.h), so no epoll_ctl is paid per request.
 *
 * The system below is behind struct loop_system: the real one is epoll and CLOCK_MONOTONIC, the simulated one
 * (tests/support/sim.h) has a virtual clock and streams of its own, so that time-outs are tested without sleeping.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/rcu.h"
#include "base/slice.h"
#include "base/time.h"
#include "io/mailbox.h"
#include "io/wheel.h"

#include <stdbool.h>
#include <sys/epoll.h>

struct loop;
struct loop_source;

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as epoll reported them. May remove and free any source. */
typedef void (*loop_ready_fn)(struct loop_source *source, uint32_t events);

struct loop_source {
    int fd;
    loop_ready_fn on_ready;
};

/* Work for the end of the current turn; embedded in its object. Deferring twice runs it once. */
struct loop_task;
typedef void (*loop_task_fn)(struct loop_task *task);
struct loop_task {
    struct list link;
    loop_task_fn run;
};

/* The system as the loop sees it. `ctx` is the object that the maker of the loop passed. */
struct loop_system {
    nsec_t (*now)(void *ctx);
    int (*add)(void *ctx, int fd, uint32_t events, void *data);    /* 0 or -errno */
    void (*remove)(void *ctx, int fd);
    /* Waits at most timeout_ns (NSEC_NEVER: for ever) and fills events; count, or -errno. -EINTR is not an error. */
    int (*wait)(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns);
};

#define LOOP_READ_BUFFER_BYTES (256 * 1024)
#define LOOP_READ_HEADROOM_BYTES (4 * 1024)

struct loop *loop_new(struct rcu_domain *rcu /* may be NULL */, int *ret_errno);
struct loop *loop_new_on(const struct loop_system *system, void *ctx, struct rcu_domain *rcu, int *ret_errno);
void loop_free(struct loop *loop); /* all sources must be removed */

/* The time at the start of this turn: what deadlines are computed from. Costs nothing. */
nsec_t loop_now(const struct loop *loop);

/* Wall-clock seconds and the text of an HTTP Date header, refreshed once a second at most. */
struct slice loop_http_date(struct loop *loop);

/*
 * The thread-shared read buffer: valid inside one callback, never kept. It has LOOP_READ_HEADROOM_BYTES in front, into
 * which a rewritten head may be placed so that head and body leave in one send.
 */
char *loop_read_buffer(struct loop *loop);

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
/* Takes the source off the loop, pending events of this turn included. The caller closes the descriptor afterwards. */
void loop_remove(struct loop *loop, struct loop_source *source);

void loop_arm(struct loop *loop, struct timer *timer, nsec_t deadline_ns);
void loop_cancel(struct loop *loop, struct timer *timer);

void loop_defer(struct loop *loop, struct loop_task *task);
void loop_undefer(struct loop *loop, struct loop_task *task);

/* From any thread: hands over mail, which the loop's thread delivers in order; one wake-up per burst. */
void loop_post(struct loop *loop, struct mail *mail);

/* One turn; waits at most max_wait_ns. 0 or -errno when the system's wait failed for good. */
int loop_turn(struct loop *loop, nsec_t max_wait_ns);

/* Turns until loop_stop is called (from the loop's thread; from others, post mail that calls it). */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
