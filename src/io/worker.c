/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a group is a row of phases. The main thread alone moves it on (set_phase) and waits until all threads
 * have arrived at the end of the phase (await_arrivals); each thread waits for the next phase (await_phase).
 *
 *     STARTING  each thread runs its start hook
 *     RUNNING   each loop runs, until the mail that stops it; left out when a start failed
 *     STOPPING  no loop runs any more, so none sends mail: each thread delivers what is left and runs its stop hook
 *
 * Threads wait for phases offline (RCU), since loops are online only inside their turns.
 */
#include "io/worker.h"

#include "base/assert.h"
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum phase { PHASE_IDLE, PHASE_STARTING, PHASE_RUNNING, PHASE_STOPPING };

struct worker {
    struct worker_group *group;
    unsigned index;
    struct loop *loop;
    struct random random;
    pthread_t thread;
    int start_result;
    struct loop_task hook; /* runs a hook inside a turn */
    struct mail stop;
    char apart_before[64]; /* the count is read by the other workers: it shares no cache line with what they do not */
    _Atomic int n_connections;
    char apart_behind[64];
};

struct worker_group {
    pthread_mutex_t lock; /* for the phase and the arrivals */
    pthread_cond_t changed;
    enum phase phase;
    unsigned n_arrived;
    unsigned n_threads; /* that were created */
    struct worker_hooks hooks;
    unsigned n_workers;
    struct worker *workers;
};

static void set_phase(struct worker_group *group, enum phase phase)
{
    pthread_mutex_lock(&group->lock);
    group->phase = phase;
    group->n_arrived = 0;
    pthread_cond_broadcast(&group->changed);
    pthread_mutex_unlock(&group->lock);
}

static void await_arrivals(struct worker_group *group)
{
    pthread_mutex_lock(&group->lock);
    while (group->n_arrived < group->n_threads)
        pthread_cond_wait(&group->changed, &group->lock);
    pthread_mutex_unlock(&group->lock);
}

/* A thread says that it is done with `phase`, and waits for the next. */
static enum phase await_phase(struct worker_group *group, enum phase phase)
{
    pthread_mutex_lock(&group->lock);
    group->n_arrived++;
    pthread_cond_broadcast(&group->changed);
    while (group->phase == phase)
        pthread_cond_wait(&group->changed, &group->lock);
    phase = group->phase;
    pthread_mutex_unlock(&group->lock);
    return phase;
}

static void start_hook(struct loop_task *task)
{
    struct worker *worker = container_of(task, struct worker, hook);
    const struct worker_hooks *hooks = &worker->group->hooks;
    worker->start_result = hooks->start ? hooks->start(hooks->ctx, worker) : 0;
}

static void stop_hook(struct loop_task *task)
{
    struct worker *worker = container_of(task, struct worker, hook);
    const struct worker_hooks *hooks = &worker->group->hooks;
    if (worker->start_result == 0 && hooks->stop)
        hooks->stop(hooks->ctx, worker);
}

/* Waiting mail is delivered first. */
static void run_hook(struct worker *worker, loop_task_fn hook)
{
    loop_task_init(&worker->hook, hook);
    loop_defer(worker->loop, &worker->hook);
    loop_settle(worker->loop);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct worker_group *group = worker->group;
    char name[16];
    (void)snprintf(name, sizeof(name), "worker-%u", worker->index % 1000);
    (void)pthread_setname_np(pthread_self(), name); /* which the hook may change */
    run_hook(worker, start_hook);
    enum phase phase = await_phase(group, PHASE_STARTING);
    if (phase == PHASE_RUNNING) {
        int r = loop_run(worker->loop);
        ASSERT(r == 0); /* epoll_wait fails only when the program is wrong */
        phase = await_phase(group, PHASE_RUNNING);
    }
    ASSERT(phase == PHASE_STOPPING);
    run_hook(worker, stop_hook);
    loop_settle(worker->loop); /* what the hook cancelled comes back as mail */
    return NULL;
}

static void stop_loop(struct mail *mail)
{
    loop_stop(container_of(mail, struct worker, stop)->loop);
}

static int worker_init(struct worker *worker, struct worker_group *group, unsigned index, struct rcu_domain *rcu)
{
    worker->group = group;
    worker->index = index;
    worker->stop.deliver = stop_loop;
    int r = random_init_system(&worker->random);
    return r < 0 ? r : loop_new(rcu, &worker->loop);
}

static void group_freep(struct worker_group **group)
{
    worker_group_free(*group);
}

int worker_group_new(unsigned n_workers, struct rcu_domain *rcu, struct worker_group **ret_group, struct err *err)
{
    ASSERT(n_workers > 0);
    CLEANUP(group_freep) struct worker_group *group = calloc(1, sizeof(*group));
    if (!group)
        return err_set_errno(err, -ENOMEM, "cannot make workers");
    pthread_mutex_init(&group->lock, NULL);
    pthread_cond_init(&group->changed, NULL);
    group->workers = calloc(n_workers, sizeof(*group->workers));
    if (!group->workers)
        return err_set_errno(err, -ENOMEM, "cannot make workers");
    for (; group->n_workers < n_workers; group->n_workers++) {
        unsigned index = group->n_workers;
        int r = worker_init(&group->workers[index], group, index, rcu);
        if (r < 0)
            return err_set_errno(err, r, "cannot make worker %u", index);
    }
    *ret_group = TAKE(group);
    return 0;
}

void worker_group_free(struct worker_group *group)
{
    if (!group)
        return;
    ASSERT(group->phase == PHASE_IDLE);
    for (unsigned i = 0; i < group->n_workers; i++) {
        loop_settle(group->workers[i].loop); /* the mail of those that never ran */
        loop_free(group->workers[i].loop);
    }
    free(group->workers);
    pthread_cond_destroy(&group->changed);
    pthread_mutex_destroy(&group->lock);
    free(group);
}

/* Runs the rest of the phases for the threads there are. */
static void finish(struct worker_group *group)
{
    set_phase(group, PHASE_STOPPING);
    for (unsigned i = 0; i < group->n_threads; i++)
        pthread_join(group->workers[i].thread, NULL);
    group->n_threads = 0;
    group->phase = PHASE_IDLE;
}

/* All threads, or with -errno as many as could be made. */
static int create_threads(struct worker_group *group)
{
    /* Threads inherit the mask: signals are for the main thread. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    while (r == 0 && group->n_threads < group->n_workers) {
        struct worker *worker = &group->workers[group->n_threads];
        r = -pthread_create(&worker->thread, NULL, worker_main, worker);
        group->n_threads += r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int worker_group_start(struct worker_group *group, const struct worker_hooks *hooks, struct err *err)
{
    ASSERT(group->phase == PHASE_IDLE);
    group->hooks = *hooks;
    set_phase(group, PHASE_STARTING);
    int r = create_threads(group);
    await_arrivals(group);
    if (r < 0)
        err_set_errno(err, r, "cannot start a worker's thread");
    for (unsigned i = 0; r == 0 && i < group->n_workers; i++) {
        r = group->workers[i].start_result;
        if (r < 0)
            err_set_errno(err, r, "worker %u cannot start", i);
    }
    if (r < 0) {
        finish(group);
        return r;
    }
    set_phase(group, PHASE_RUNNING);
    return 0;
}

void worker_group_stop(struct worker_group *group)
{
    if (group->phase == PHASE_IDLE)
        return;
    for (unsigned i = 0; i < group->n_workers; i++)
        loop_post(group->workers[i].loop, &group->workers[i].stop);
    await_arrivals(group);
    finish(group);
}

static double count_unsent(void *ctx)
{
    return (double)backlog_bytes(ctx);
}

static double count_unsent_max(void *ctx)
{
    return (double)backlog_bytes_max(ctx);
}

static int worker_register_metrics(struct worker *worker, struct metrics *metrics)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%u", worker->index);
    const struct metrics_label label = {"worker", slice_from_str(number)};
    const struct metrics_desc unsent = {
        "muster_unsent_bytes",
        "Memory in which a worker keeps what slow peers do not take.",
        &label,
        1,
    };
    const struct metrics_desc most = {
        "muster_unsent_bytes_max",
        "The bound of muster_unsent_bytes (http.unsent_bytes), beyond which each peer gets little.",
        &label,
        1,
    };
    int r = metrics_register_gauge_fn(metrics, &unsent, count_unsent, loop_backlog(worker->loop));
    return r < 0 ? r : metrics_register_gauge_fn(metrics, &most, count_unsent_max, loop_backlog(worker->loop));
}

int worker_group_register_metrics(struct worker_group *group, struct metrics *metrics)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < group->n_workers; i++)
        r = worker_register_metrics(&group->workers[i], metrics);
    return r;
}

unsigned worker_group_size(const struct worker_group *group)
{
    return group->n_workers;
}

struct worker *worker_group_get(struct worker_group *group, unsigned index)
{
    ASSERT(index < group->n_workers);
    return &group->workers[index];
}

unsigned worker_index(const struct worker *worker)
{
    return worker->index;
}

struct loop *worker_loop(struct worker *worker)
{
    return worker->loop;
}

void worker_add_connections(struct worker *worker, int delta)
{
    (void)atomic_fetch_add_explicit(&worker->n_connections, delta, memory_order_relaxed);
}

unsigned worker_n_connections(const struct worker *worker)
{
    return (unsigned)atomic_load_explicit(&worker->n_connections, memory_order_relaxed);
}

/* A connection on its way to another worker. */
struct hand_over {
    struct mail mail;
    struct worker *to;
    int fd;
    struct peer peer;
    worker_serve_fn serve;
    void *ctx;
};

static void arrive(struct mail *mail)
{
    struct hand_over *hand_over = container_of(mail, struct hand_over, mail);
    hand_over->serve(hand_over->ctx, hand_over->to, hand_over->fd, &hand_over->peer);
    free(hand_over);
}

/* `self`, or another worker that is less busy by more than what handing over costs. */
static struct worker *pick(struct worker *self)
{
    struct worker_group *group = self->group;
    if (group->n_workers == 1)
        return self;
    unsigned step = 1 + (unsigned)random_below(&self->random, group->n_workers - 1);
    struct worker *other = &group->workers[(self->index + step) % group->n_workers];
    unsigned mine = worker_n_connections(self), others = worker_n_connections(other);
    return others + others / 8 < mine ? other : self;
}

void worker_dispatch(struct worker *self, int fd, const struct peer *peer, worker_serve_fn serve, void *ctx)
{
    struct worker *to = pick(self);
    struct hand_over *hand_over = to == self ? NULL : malloc(sizeof(*hand_over));
    if (!hand_over) { /* also when out of memory: better here than not at all */
        worker_add_connections(self, 1);
        serve(ctx, self, fd, peer);
        return;
    }
    *hand_over = (struct hand_over){{.deliver = arrive}, to, fd, *peer, serve, ctx};
    worker_add_connections(to, 1);
    loop_post(to->loop, &hand_over->mail);
}
