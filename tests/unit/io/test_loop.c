/* SPDX-License-Identifier: Apache-2.0 */
#include "io/loop.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* A system that does nothing and counts. */
struct idle_system {
    nsec_t now_ns, wall_ns;
    nsec_t waited_ns; /* what the last wait was allowed */
    int wait_result;
    int n_wakes, n_wall_reads;
    void (*during_wait)(void *arg);
    void *arg;
};

static nsec_t idle_now(void *ctx)
{
    struct idle_system *idle = ctx;
    return idle->now_ns;
}

static nsec_t idle_wall_now(void *ctx)
{
    struct idle_system *idle = ctx;
    idle->n_wall_reads++;
    return idle->wall_ns;
}

static int idle_wait(void *ctx, struct epoll_event *events, int max_events, nsec_t timeout_ns)
{
    struct idle_system *idle = ctx;
    (void)events;
    (void)max_events;
    idle->waited_ns = timeout_ns;
    if (idle->during_wait)
        idle->during_wait(idle->arg);
    return idle->wait_result;
}

static void idle_wake(void *ctx)
{
    struct idle_system *idle = ctx;
    idle->n_wakes++;
}

static void idle_free(void *ctx)
{
    (void)ctx;
}

static const struct loop_system idle_ops = {
    .now = idle_now, .wall_now = idle_wall_now, .wait = idle_wait, .wake = idle_wake, .free = idle_free};

static struct loop *loop_on(struct idle_system *idle)
{
    struct loop *loop;
    expect_int(loop_new_on(&idle_ops, idle, NULL, &loop), 0);
    return loop;
}

static struct loop *real_loop(void)
{
    struct loop *loop;
    expect_int(loop_new(NULL, &loop), 0);
    return loop;
}

/* Something of each kind that notes when it came. */
struct item {
    struct timer timer;
    struct mail mail;
    struct loop_task task;
    struct loop *loop;
    char *notes; /* 't', 'm', 'd' are appended */
    bool defers_again;
};

static void note(struct item *item, char c)
{
    size_t len = strlen(item->notes);
    item->notes[len] = c;
    item->notes[len + 1] = 0;
}

static void note_timer(struct timer *timer)
{
    note(container_of(timer, struct item, timer), 't');
}

static void note_mail(struct mail *mail)
{
    note(container_of(mail, struct item, mail), 'm');
}

static void note_task(struct loop_task *task)
{
    struct item *item = container_of(task, struct item, task);
    note(item, 'd');
    if (item->defers_again)
        loop_defer(item->loop, task);
}

static void item_init(struct item *item, struct loop *loop, char *notes)
{
    *item = (struct item){.mail.deliver = note_mail, .loop = loop};
    item->notes = notes;
    timer_init(&item->timer, note_timer);
    loop_task_init(&item->task, note_task);
}

static void a_turn_has_its_order(void)
{
    struct idle_system idle = {.now_ns = 5};
    struct loop *loop = loop_on(&idle);
    char notes[16] = "";
    struct item item;
    item_init(&item, loop, notes);
    loop_defer(loop, &item.task);
    loop_defer(loop, &item.task); /* runs once */
    loop_post(loop, &item.mail);
    loop_arm(loop, &item.timer, 0);
    expect_int(loop_turn(loop, NSEC_NEVER), 0);
    expect_str(notes, "tmd");
    expect_int(idle.waited_ns, 0);
    expect_int(loop_turn(loop, NSEC_NEVER), 0);
    expect_str(notes, "tmd");
    expect_int(idle.waited_ns, NSEC_NEVER);
    loop_free(loop);
}

static void sleeps_until_the_next_timer(void)
{
    struct idle_system idle = {.now_ns = 1000 * NSEC_PER_MSEC};
    struct loop *loop = loop_on(&idle);
    char notes[16] = "";
    struct item item;
    item_init(&item, loop, notes);
    loop_arm(loop, &item.timer, 1030 * NSEC_PER_MSEC);
    loop_turn(loop, NSEC_NEVER);
    expect_true(idle.waited_ns > 0 && idle.waited_ns <= 30 * NSEC_PER_MSEC);
    loop_turn(loop, 7);
    expect_int(idle.waited_ns, 7);
    idle.now_ns = 1040 * NSEC_PER_MSEC;
    loop_turn(loop, NSEC_NEVER);
    expect_str(notes, "t");
    expect_int(loop_now(loop), 1040 * NSEC_PER_MSEC);
    loop_free(loop);
}

static void a_task_deferred_by_a_task_waits_a_turn(void)
{
    struct idle_system idle = {0};
    struct loop *loop = loop_on(&idle);
    char notes[16] = "";
    struct item item;
    item_init(&item, loop, notes);
    item.defers_again = true;
    loop_defer(loop, &item.task);
    loop_turn(loop, NSEC_NEVER);
    expect_str(notes, "d");
    loop_turn(loop, NSEC_NEVER);
    expect_str(notes, "dd");
    expect_int(idle.waited_ns, 0);
    loop_undefer(&item.task);
    loop_undefer(&item.task);
    loop_turn(loop, NSEC_NEVER);
    expect_str(notes, "dd");
    loop_free(loop);
}

static void post_three(void *arg)
{
    struct item *items = arg;
    for (int i = 0; i < 3; i++)
        loop_post(items[i].loop, &items[i].mail);
}

static void a_burst_of_mail_wakes_once(void)
{
    struct idle_system idle = {0};
    struct loop *loop = loop_on(&idle);
    char notes[16] = "";
    struct item items[3];
    for (int i = 0; i < 3; i++)
        item_init(&items[i], loop, notes);
    post_three(items);
    expect_int(idle.n_wakes, 0); /* awake, it will look before it sleeps */
    loop_turn(loop, NSEC_NEVER);
    expect_int(idle.waited_ns, 0);
    expect_str(notes, "mmm");

    idle.during_wait = post_three;
    idle.arg = items;
    loop_turn(loop, NSEC_NEVER);
    expect_int(idle.waited_ns, NSEC_NEVER);
    expect_int(idle.n_wakes, 1);
    expect_str(notes, "mmmmmm");
    loop_free(loop);
}

static void a_burst_of_timers_is_spread_over_turns(void)
{
    enum { N = 5000 };
    struct idle_system idle = {.now_ns = 1};
    struct loop *loop = loop_on(&idle);
    static char notes[N + 1];
    static struct item items[N];
    for (int i = 0; i < N; i++) {
        item_init(&items[i], loop, notes);
        loop_arm(loop, &items[i].timer, NSEC_PER_MSEC);
    }
    idle.now_ns = NSEC_PER_MSEC;
    loop_turn(loop, NSEC_NEVER);
    expect_true(strlen(notes) > 0 && strlen(notes) < N);
    for (int turns = 1; strlen(notes) < N; turns++) {
        loop_turn(loop, NSEC_NEVER);
        expect_int(idle.waited_ns, 0);
        expect_true(turns < 100);
    }
    loop_free(loop);
}

static void the_date_is_made_once_a_second(void)
{
    struct idle_system idle = {.now_ns = 3 * NSEC_PER_SEC, .wall_ns = 784111777 * NSEC_PER_SEC + 900 * NSEC_PER_MSEC};
    struct loop *loop = loop_on(&idle);
    expect_slice(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:37 GMT");
    idle.now_ns += 99 * NSEC_PER_MSEC;
    loop_turn(loop, 0);
    expect_slice(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:37 GMT");
    expect_int(idle.n_wall_reads, 1);
    idle.now_ns += 1 * NSEC_PER_MSEC;
    idle.wall_ns += 100 * NSEC_PER_MSEC;
    loop_turn(loop, 0);
    expect_slice(loop_http_date(loop), "Sun, 06 Nov 1994 08:49:38 GMT");
    expect_int(idle.n_wall_reads, 2);

    idle.now_ns += 3600 * NSEC_PER_SEC;
    idle.wall_ns = 1709251199 * NSEC_PER_SEC;
    loop_turn(loop, 0);
    expect_slice(loop_http_date(loop), "Thu, 29 Feb 2024 23:59:59 GMT");
    loop_free(loop);
}

static void a_failing_system_ends_the_run(void)
{
    struct idle_system idle = {.wait_result = -EBADF};
    struct loop *loop = loop_on(&idle);
    expect_int(loop_run(loop), -EBADF);
    loop_free(loop);
}

/* With a real system. */

struct noisy {
    struct loop_source source;
    struct loop *loop;
    struct noisy *other; /* freed by the one that comes first … */
    struct noisy **left; /* … which then says here who it is */
    int peer_fd;
    uint32_t events;
    int *n_ready;
};

static struct noisy *noisy_new(struct loop *loop, loop_ready_fn on_ready, int *n_ready)
{
    int fds[2];
    expect_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    struct noisy *noisy = malloc(sizeof(*noisy));
    *noisy = (struct noisy){.source = {.fd = fds[0], .on_ready = on_ready}, .loop = loop, .peer_fd = fds[1]};
    noisy->n_ready = n_ready;
    expect_int(loop_add(loop, &noisy->source, LOOP_STREAM_EVENTS), 0);
    return noisy;
}

static void noisy_free(struct noisy *noisy)
{
    loop_remove(noisy->loop, &noisy->source);
    close(noisy->source.fd);
    close(noisy->peer_fd);
    free(noisy);
}

static void note_events(struct loop_source *source, uint32_t events)
{
    struct noisy *noisy = container_of(source, struct noisy, source);
    noisy->events |= events;
    ++*noisy->n_ready;
    if (noisy->other) {
        noisy_free(TAKE(noisy->other));
        *noisy->left = noisy;
    }
}

static void edges_come_once(void)
{
    struct loop *loop = real_loop();
    int n_ready = 0;
    struct noisy *noisy = noisy_new(loop, note_events, &n_ready);
    loop_turn(loop, NSEC_NEVER);
    expect_int(noisy->events, EPOLLOUT);
    expect_int(write(noisy->peer_fd, "x", 1), 1);
    loop_turn(loop, NSEC_NEVER);
    expect_true(noisy->events & EPOLLIN);
    expect_int(n_ready, 2);
    loop_turn(loop, 0); /* the byte is still there, but is no news */
    expect_int(n_ready, 2);
    expect_int(shutdown(noisy->peer_fd, SHUT_WR), 0);
    loop_turn(loop, NSEC_NEVER);
    expect_true(noisy->events & EPOLLRDHUP);
    noisy_free(noisy);
    loop_free(loop);
}

static void removed_sources_hear_nothing_more(void)
{
    struct loop *loop = real_loop();
    int n_ready = 0;
    struct noisy *a = noisy_new(loop, note_events, &n_ready);
    struct noisy *b = noisy_new(loop, note_events, &n_ready);
    struct noisy *left = NULL;
    a->other = b;
    b->other = a;
    a->left = b->left = &left;
    loop_turn(loop, NSEC_NEVER); /* both are ready in one batch; the first frees the second */
    expect_int(n_ready, 1);
    noisy_free(left);
    loop_free(loop);
}

struct stopper {
    struct mail mail;
    struct loop *loop;
};

static void stop_loop(struct mail *mail)
{
    loop_stop(container_of(mail, struct stopper, mail)->loop);
}

static void *post_stop(void *arg)
{
    struct stopper *stopper = arg;
    loop_post(stopper->loop, &stopper->mail);
    return NULL;
}

static void mail_from_another_thread_wakes_it(void)
{
    struct loop *loop = real_loop();
    for (int i = 0; i < 200; i++) {
        struct stopper stopper = {.mail.deliver = stop_loop, .loop = loop};
        pthread_t thread;
        expect_int(pthread_create(&thread, NULL, post_stop, &stopper), 0);
        expect_int(loop_run(loop), 0);
        pthread_join(thread, NULL);
    }
    loop_free(loop);
}

static void timers_fire_in_real_time(void)
{
    struct loop *loop = real_loop();
    char notes[16] = "";
    struct item item;
    item_init(&item, loop, notes);
    nsec_t deadline = loop_now(loop) + 2 * NSEC_PER_MSEC;
    loop_arm(loop, &item.timer, deadline);
    int n_turns = 0;
    for (; !notes[0]; n_turns++)
        loop_turn(loop, NSEC_NEVER);
    expect_true(loop_now(loop) >= deadline);
    expect_true(n_turns <= 3);
    loop_free(loop);
}

/* RCU: what a callback reads is good until its turn ends. */

struct shared {
    struct rcu_node rcu;
    struct mail mail;
    struct rcu_domain *domain;
    bool is_freed;
};

static void free_shared(struct rcu_node *node)
{
    container_of(node, struct shared, rcu)->is_freed = true;
}

static void retire_while_reading(struct mail *mail)
{
    struct shared *shared = container_of(mail, struct shared, mail);
    rcu_retire(shared->domain, &shared->rcu, free_shared);
    for (int i = 0; i < 5; i++)
        rcu_reclaim(shared->domain);
    expect_false(shared->is_freed);
}

static void what_a_turn_reads_is_good_until_its_end(void)
{
    struct rcu_domain domain;
    rcu_init(&domain);
    struct loop *loop;
    expect_int(loop_new(&domain, &loop), 0);
    struct shared shared = {.mail.deliver = retire_while_reading, .domain = &domain};
    loop_post(loop, &shared.mail);
    loop_turn(loop, NSEC_NEVER);
    for (int i = 0; i < 5; i++)
        rcu_reclaim(&domain);
    expect_true(shared.is_freed);
    loop_free(loop);
    rcu_deinit(&domain);
}

static int make_loop(void *arg)
{
    (void)arg;
    struct loop *loop;
    int r = loop_new(NULL, &loop);
    if (r == 0)
        loop_free(loop);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(make_loop, NULL) >= 3);
}

static void is_freed_only_when_nothing_is_left(void *arg)
{
    loop_free(arg);
}

static void a_forgotten_source_is_found(void)
{
    struct loop *loop = real_loop();
    int n_ready = 0;
    struct noisy *noisy = noisy_new(loop, note_events, &n_ready);
    expect_abort(is_freed_only_when_nothing_is_left, loop);
    noisy_free(noisy);
    loop_free(loop);
}

static const struct test_case cases[] = {
    {"a turn fires timers, delivers mail, runs tasks, in this order", a_turn_has_its_order},
    {"the loop sleeps until the next timer and no longer", sleeps_until_the_next_timer},
    {"a task deferred by a task waits for the next turn", a_task_deferred_by_a_task_waits_a_turn},
    {"a burst of mail wakes the loop once, and not at all while it is awake", a_burst_of_mail_wakes_once},
    {"a burst of timers is spread over turns", a_burst_of_timers_is_spread_over_turns},
    {"the HTTP date is made once a second", the_date_is_made_once_a_second},
    {"a system that fails ends the run", a_failing_system_ends_the_run},
    {"readiness is reported once per edge", edges_come_once},
    {"a source removed in a batch of events hears nothing more", removed_sources_hear_nothing_more},
    {"mail from another thread wakes a sleeping loop", mail_from_another_thread_wakes_it},
    {"timers fire in real time", timers_fire_in_real_time},
    {"what a turn reads by RCU is good until its end", what_a_turn_reads_is_good_until_its_end},
    {"a source left on a freed loop is found", a_forgotten_source_is_found},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
