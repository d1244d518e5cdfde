/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of one thread: descriptors, timers, tasks for the end of the turn, and mail from other threads.
 *
 * One turn: wait for events (not past the next timer) -> receive what the inbox has room for, if they are many -> call
 * on_ready of each ready source -> fire due timers -> deliver mail -> run deferred tasks -> send what is in the outbox.
 * Everything that lives on a loop is touched only by its thread, but for loop_post.
 *
 * Descriptors are registered once, edge-triggered, for IN, OUT and RDHUP; readiness is remembered by the source (see
 * stream.h), so no epoll_ctl is paid per request.
 *
 * With an RCU domain, the loop is a reader that is online from the end of the wait to the end of the turn: what a
 * callback reads with rcu_read is good until its turn ends, and a waiting loop holds up nobody.
 *
 * The system below is behind struct loop_system: the real one (epoll.h) is epoll and CLOCK_MONOTONIC, the simulated one
 * (tests/support/sim.h) has a virtual clock and streams of its own, so that time-outs are tested without sleeping.
 */
#pragma once

#include "base/list.h"
#include "base/rcu.h"
#include "base/slab.h"
#include "base/slice.h"
#include "base/time.h"
#include "io/backlog.h"
#include "io/inbox.h"
#include "io/mailbox.h"
#include "io/outbox.h"
#include "io/wheel.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct loop;
struct loop_source;

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as epoll reported them. May remove and free any source. */
typedef void (*loop_ready_fn)(struct loop_source *source, uint32_t events);

struct loop_source {
    int fd;
    bool reads_ahead;      /* the source's to set: it is a socket, and takes a letter in on_ready if there is one */
    unsigned short letter; /* its number (inbox.h), from before the turn's first on_ready until its own; 0: none */
    loop_ready_fn on_ready;
};

/* What a stream registers for: once, for all its life. */
#define LOOP_STREAM_EVENTS (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)

/* Work for the end of the current turn; embedded in its object. */
struct loop_task;
typedef void (*loop_task_fn)(struct loop_task *task);
struct loop_task {
    struct list link; /* linked while deferred */
    loop_task_fn run;
};

/* The system as the loop sees it. `ctx` is the object that the maker of the loop passed. */
struct loop_system {
    nsec_t (*now)(void *ctx);                                   /* monotonic */
    nsec_t (*wall_now)(void *ctx);                              /* since 1970 */
    int (*add)(void *ctx, int fd, uint32_t events, void *data); /* 0 or -errno */
    void (*remove)(void *ctx, int fd);
    /* Waits at most timeout_ns (NSEC_NEVER: for ever) and fills events; count, or -errno. Being interrupted gives 0. */
    int (*wait)(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns);
    void (*wake)(void *ctx); /* ends the running or the next wait; any thread */
    void (*free)(void *ctx); /* with the loop */
};

/* rcu may be NULL. 0, -ENOMEM, or the -errno of epoll_create or eventfd. */
int loop_new(struct rcu_domain *rcu, struct loop **ret_loop);
/* On another system, whose ctx belongs to the loop from then on, on failure too. 0 or -ENOMEM. */
int loop_new_on(const struct loop_system *system, void *ctx, struct rcu_domain *rcu, struct loop **ret_loop);
/* All sources, timers, tasks, mail and streams must be gone. */
void loop_free(struct loop *loop);

/* The time at the start of this turn: what deadlines are computed from. Costs nothing. */
nsec_t loop_now(const struct loop *loop);

/* Wall-clock time since 1970, for what people read and what must survive a restart. */
nsec_t loop_wall_now(struct loop *loop);

/*
 * The moment up to which this loop has read and handled all that its descriptors had to give; any thread may ask. It
 * moves at the end of each turn, so a loop that sleeps must be sent mail, twice, to bring it up to now: the first turn
 * reads the clock, the second proves that what had come before then is read.
 */
nsec_t loop_read_until(const struct loop *loop);

/* The text of an HTTP Date header, 29 bytes, made once a second at most. Valid until the next call. */
struct slice loop_http_date(struct loop *loop);

/*
 * The thread-shared read buffer: valid inside one callback, never kept. It has LOOP_READ_HEADROOM_BYTES in front, for
 * the few bytes that came before and belong to what is read.
 */
#define LOOP_READ_BUFFER_BYTES   (256 * 1024)
#define LOOP_READ_HEADROOM_BYTES (4 * 1024)
char *loop_read_buffer(struct loop *loop);

/* The pool for the kernel's streams of this loop (tcp.h): an idle connection costs this much and no more. */
#define LOOP_STREAM_BYTES 64
struct slab *loop_stream_slab(struct loop *loop);

/* What was received ahead in this turn. */
struct inbox *loop_inbox(struct loop *loop);

/* What leaves at the end of this turn; NULL: the turn has so few events that whatever is sent is sent at once. */
struct outbox *loop_outbox(struct loop *loop);

/* What its connections keep in memory for slow peers; without a bound until somebody sets one. */
struct backlog *loop_backlog(struct loop *loop);

/* 0, or the -errno of epoll_ctl. */
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);
/* Takes the source off the loop, pending events of this turn included. The caller closes the descriptor afterwards. */
void loop_remove(struct loop *loop, struct loop_source *source);

/* See wheel.h. */
void loop_arm(struct loop *loop, struct timer *timer, nsec_t deadline_ns);
void loop_cancel(struct loop *loop, struct timer *timer);

void loop_task_init(struct loop_task *task, loop_task_fn run);
/*
 * Runs the task once, after the mail of this turn; from inside a task: in the next turn. Harmless when deferred
 * already.
 */
void loop_defer(struct loop *loop, struct loop_task *task);
/* Harmless when it is not deferred. */
void loop_undefer(struct loop_task *task);

/* From any thread: hands over mail, which the loop's thread delivers in order; one wake-up per burst. */
void loop_post(struct loop *loop, struct mail *mail);

/* One turn; waits at most max_wait_ns. 0, or -errno when the system's wait failed for good. */
int loop_turn(struct loop *loop, nsec_t max_wait_ns);

/* The end of a turn by itself: delivers mail and runs tasks, no events and no timers. For starting and stopping. */
void loop_settle(struct loop *loop);

/* Turns until loop_stop is called (from the loop's thread; from others, post mail that calls it). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
