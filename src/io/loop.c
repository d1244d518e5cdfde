/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop reads the clock once per turn, after the wait: a deadline is late by no more than the work of one turn.
 *
 * Invariants:
 *  1. events[i_event .. n_events) are of sources that are on the loop: loop_remove blanks what it takes off, so a
 *     callback may free any source.
 *  2. The loop sleeps only after mailbox_sleep found no mail and with no task deferred.
 *  3. `tasks` is spliced off before it is run: each turn runs a bounded number of tasks.
 */
#include "io/loop.h"

#include "base/assert.h"
#include "io/epoll.h"
#include "wire/http_date.h"

#include <errno.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>

/* Per turn: enough to make the system call cheap, few enough to keep each connection's wait short. */
enum { EVENTS_PER_TURN = 256, TIMERS_PER_TURN = 1024 };

/* From so many events on, a turn receives before its first is worked on, and sends when it is over. */
enum { EVENTS_OF_BUSY_TURN = 4 };

struct loop {
    const struct loop_system *system;
    void *system_ctx;
    nsec_t now_ns;
    _Atomic nsec_t read_until_ns;
    bool has_rcu, is_stopping;
    bool is_busy; /* the turn is */
    struct rcu_reader reader;
    struct mailbox mailbox;
    struct list tasks;
    struct slab streams;
    struct backlog backlog;
    size_t n_sources;
    nsec_t date_until_ns; /* when `date` is old */
    char date[HTTP_DATE_BYTES];
    char *read_memory;
    struct inbox *inbox;
    struct outbox *outbox;
    int i_event, n_events;
    struct epoll_event events[EVENTS_PER_TURN];
    struct wheel wheel;
};

int loop_new(struct rcu_domain *rcu, struct loop **ret_loop)
{
    struct epoll_system *system;
    int r = epoll_system_new(&system);
    return r < 0 ? r : loop_new_on(&epoll_system_ops, system, rcu, ret_loop);
}

int loop_new_on(const struct loop_system *system, void *ctx, struct rcu_domain *rcu, struct loop **ret_loop)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    char *read_memory = malloc(LOOP_READ_HEADROOM_BYTES + LOOP_READ_BUFFER_BYTES);
    struct inbox *inbox = malloc(sizeof(*inbox)); /* both have no memory but a page, until a turn is busy */
    struct outbox *outbox = malloc(sizeof(*outbox));
    if (!loop || !read_memory || !inbox || !outbox) {
        free(outbox);
        free(inbox);
        free(read_memory);
        free(loop);
        system->free(ctx);
        return -ENOMEM;
    }
    loop->system = system;
    loop->system_ctx = ctx;
    loop->read_memory = read_memory;
    loop->inbox = inbox;
    inbox_init(inbox);
    loop->outbox = outbox;
    outbox_init(outbox);
    loop->backlog.n_bytes_max = SIZE_MAX;
    loop->now_ns = system->now(ctx);
    loop->date_until_ns = loop->now_ns;
    mailbox_init(&loop->mailbox);
    list_init(&loop->tasks);
    slab_init(&loop->streams, LOOP_STREAM_BYTES, alignof(max_align_t));
    wheel_init(&loop->wheel, loop->now_ns);
    if (rcu) {
        rcu_register(rcu, &loop->reader);
        loop->has_rcu = true;
    }
    *ret_loop = loop;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    ASSERT(loop->n_sources == 0 && loop->backlog.n_bytes == 0);
    ASSERT(loop->wheel.n_armed == 0);
    ASSERT(list_is_empty(&loop->tasks));
    ASSERT(mailbox_sleep(&loop->mailbox)); /* no mail is left */
    if (loop->has_rcu)
        rcu_unregister(&loop->reader);
    slab_deinit(&loop->streams);
    loop->system->free(loop->system_ctx);
    free(loop->outbox);
    free(loop->inbox);
    free(loop->read_memory);
    free(loop);
}

nsec_t loop_now(const struct loop *loop)
{
    return loop->now_ns;
}

nsec_t loop_wall_now(struct loop *loop)
{
    return loop->system->wall_now(loop->system_ctx);
}

nsec_t loop_read_until(const struct loop *loop)
{
    return atomic_load_explicit(&loop->read_until_ns, memory_order_acquire);
}

char *loop_read_buffer(struct loop *loop)
{
    return loop->read_memory + LOOP_READ_HEADROOM_BYTES;
}

struct inbox *loop_inbox(struct loop *loop)
{
    return loop->inbox;
}

struct outbox *loop_outbox(struct loop *loop)
{
    return loop->is_busy ? loop->outbox : NULL;
}

struct slab *loop_stream_slab(struct loop *loop)
{
    return &loop->streams;
}

struct backlog *loop_backlog(struct loop *loop)
{
    return &loop->backlog;
}

struct slice loop_http_date(struct loop *loop)
{
    if (loop->now_ns >= loop->date_until_ns) {
        nsec_t wall = loop->system->wall_now(loop->system_ctx);
        http_date_format(wall / NSEC_PER_SEC, loop->date);
        loop->date_until_ns = loop->now_ns + NSEC_PER_SEC - wall % NSEC_PER_SEC;
    }
    return slice_from(loop->date, HTTP_DATE_BYTES);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    ASSERT(source->fd >= 0 && source->on_ready);
    int r = loop->system->add(loop->system_ctx, source->fd, events, source);
    if (r == 0)
        loop->n_sources++;
    return r;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    ASSERT(loop->n_sources > 0);
    loop->system->remove(loop->system_ctx, source->fd);
    loop->n_sources--;
    for (int i = loop->i_event; i < loop->n_events; i++)
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
    if (source->letter)
        inbox_letter(loop->inbox, source->letter)->is_there = false;
}

void loop_arm(struct loop *loop, struct timer *timer, nsec_t deadline_ns)
{
    wheel_arm(&loop->wheel, timer, deadline_ns);
}

void loop_cancel(struct loop *loop, struct timer *timer)
{
    wheel_cancel(&loop->wheel, timer);
}

void loop_task_init(struct loop_task *task, loop_task_fn run)
{
    list_init(&task->link);
    task->run = run;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->tasks, &task->link);
}

void loop_undefer(struct loop_task *task)
{
    list_remove(&task->link);
}

void loop_post(struct loop *loop, struct mail *mail)
{
    if (mailbox_post(&loop->mailbox, mail))
        loop->system->wake(loop->system_ctx);
}

/* How long this turn may sleep. */
static nsec_t time_to_wait(struct loop *loop, nsec_t max_wait_ns)
{
    if (!list_is_empty(&loop->tasks) || !mailbox_sleep(&loop->mailbox))
        return 0;
    nsec_t next = wheel_next(&loop->wheel);
    if (next == NSEC_NEVER)
        return max_wait_ns;
    nsec_t until_next = next > loop->now_ns ? next - loop->now_ns : 0;
    return until_next < max_wait_ns ? until_next : max_wait_ns;
}

/* Not for who has an end or an error to tell with it: what belongs together is read together. */
static void receive_ahead(struct loop *loop)
{
    const uint32_t asked = EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR;
    for (int i = 0; i < loop->n_events; i++) {
        struct loop_source *source = loop->events[i].data.ptr;
        if (source->reads_ahead && (loop->events[i].events & asked) == EPOLLIN)
            source->letter = inbox_receive(loop->inbox, source->fd);
    }
}

static void dispatch_events(struct loop *loop)
{
    while (loop->i_event < loop->n_events) {
        struct epoll_event *event = &loop->events[loop->i_event++];
        struct loop_source *source = event->data.ptr;
        if (source)
            source->on_ready(source, event->events);
    }
    loop->i_event = loop->n_events = 0;
    inbox_clear(loop->inbox);
}

static void run_tasks(struct loop *loop)
{
    struct list tasks;
    list_init(&tasks);
    list_splice_back(&tasks, &loop->tasks);
    for (struct list *link; (link = list_pop_front(&tasks));) {
        struct loop_task *task = container_of(link, struct loop_task, link);
        task->run(task);
    }
}

static void begin_work(struct loop *loop)
{
    loop->now_ns = loop->system->now(loop->system_ctx);
    if (loop->has_rcu)
        rcu_online(&loop->reader);
}

static void finish_work(struct loop *loop)
{
    (void)mailbox_deliver(&loop->mailbox);
    run_tasks(loop);
    outbox_send(loop->outbox);
    loop->is_busy = false;
    if (loop->has_rcu)
        rcu_offline(&loop->reader);
}

int loop_turn(struct loop *loop, nsec_t max_wait_ns)
{
    nsec_t before_wait_ns = loop->now_ns;
    nsec_t wait_ns = time_to_wait(loop, max_wait_ns);
    int n = loop->system->wait(loop->system_ctx, loop->events, EVENTS_PER_TURN, wait_ns);
    if (n < 0)
        return n;
    loop->n_events = n;
    loop->is_busy = n >= EVENTS_OF_BUSY_TURN;
    begin_work(loop);
    if (loop->is_busy && !backlog_is_pressed(&loop->backlog))
        receive_ahead(loop);
    dispatch_events(loop);
    (void)wheel_advance(&loop->wheel, loop->now_ns, TIMERS_PER_TURN);
    finish_work(loop);
    /* What had arrived before the wait was among these events, unless there were more than fit or work is put off. */
    if (n < EVENTS_PER_TURN && list_is_empty(&loop->tasks))
        atomic_store_explicit(&loop->read_until_ns, before_wait_ns, memory_order_release);
    return 0;
}

void loop_settle(struct loop *loop)
{
    begin_work(loop);
    finish_work(loop);
}

int loop_run(struct loop *loop)
{
    int r = 0;
    while (r == 0 && !loop->is_stopping)
        r = loop_turn(loop, NSEC_NEVER);
    loop->is_stopping = false;
    return r;
}

void loop_stop(struct loop *loop)
{
    loop->is_stopping = true;
}
