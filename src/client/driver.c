/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that are due are put on a list, then taken off one by one: so each may free itself and any other. Those are few
 * (a stream, a registration each, calls), so the next moment is found by looking at all.
 */
#include "client/driver.h"

#include "client/conn.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 64

static int init_locks(struct driver *driver)
{
    pthread_mutexattr_t mutex_attr;
    pthread_condattr_t cond_attr;
    if (pthread_mutexattr_init(&mutex_attr) != 0)
        return -ENOMEM;
    pthread_mutexattr_settype(&mutex_attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&driver->lock, &mutex_attr);
    pthread_mutexattr_destroy(&mutex_attr);
    if (pthread_condattr_init(&cond_attr) != 0)
        return -ENOMEM;
    pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
    pthread_cond_init(&driver->turned, &cond_attr);
    pthread_condattr_destroy(&cond_attr);
    return 0;
}

int driver_init(struct driver *driver)
{
    list_init(&driver->tasks);
    list_init(&driver->ready);
    driver->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    driver->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (driver->epoll_fd < 0 || driver->event_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(driver->epoll_fd, EPOLL_CTL_ADD, driver->event_fd, &event) < 0)
        return -errno;
    return init_locks(driver);
}

void driver_deinit(struct driver *driver)
{
    ASSERT(!driver->has_thread && list_is_empty(&driver->tasks));
    if (driver->epoll_fd >= 0)
        close(driver->epoll_fd);
    if (driver->event_fd >= 0)
        close(driver->event_fd);
    pthread_cond_destroy(&driver->turned);
    pthread_mutex_destroy(&driver->lock);
}

void driver_lock(struct driver *driver)
{
    pthread_mutex_lock(&driver->lock);
}

void driver_unlock(struct driver *driver)
{
    pthread_mutex_unlock(&driver->lock);
}

/* ------------------------------------------------------------------------------------------------ turning */

nsec_t driver_wake_ns(struct driver *driver)
{
    nsec_t wake_ns = list_is_empty(&driver->ready) ? NSEC_NEVER : 0;
    list_for_each (node, &driver->tasks) {
        const struct task *task = container_of(node, struct task, all);
        if (task->wake_ns < wake_ns)
            wake_ns = task->wake_ns;
    }
    return wake_ns;
}

static void make_ready(struct driver *driver, struct task *task)
{
    if (!list_is_linked(&task->ready))
        list_push_back(&driver->ready, &task->ready);
}

static void collect_events(struct driver *driver)
{
    struct epoll_event events[EVENTS_PER_TURN];
    int n = epoll_wait(driver->epoll_fd, events, EVENTS_PER_TURN, 0);
    for (int i = 0; i < n; i++) {
        uint64_t count;
        if (events[i].data.ptr)
            make_ready(driver, events[i].data.ptr);
        else
            (void)!read(driver->event_fd, &count, sizeof(count));
    }
}

static void collect_due(struct driver *driver)
{
    nsec_t now_ns = time_now();
    list_for_each (node, &driver->tasks) {
        struct task *task = container_of(node, struct task, all);
        if (task->wake_ns > now_ns)
            continue;
        task->wake_ns = NSEC_NEVER;
        make_ready(driver, task);
    }
}

void driver_turn(struct driver *driver)
{
    if (driver->is_turning)
        return; /* a callback asks for what is being done */
    driver->is_turning = true;
    collect_events(driver);
    collect_due(driver);
    /* What is posted meanwhile waits for the next turn. */
    struct list due;
    list_init(&due);
    list_splice_back(&due, &driver->ready);
    for (struct list *node; (node = list_pop_front(&due));) {
        struct task *task = container_of(node, struct task, ready);
        task->on_ready(task);
    }
    driver->is_turning = false;
}

static int milliseconds_until(nsec_t moment_ns)
{
    nsec_t left_ns = moment_ns == NSEC_NEVER ? NSEC_NEVER : moment_ns - time_now();
    if (left_ns <= 0)
        return 0;
    nsec_t left_ms = left_ns / NSEC_PER_MSEC + 1;
    return moment_ns == NSEC_NEVER ? -1 : left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static int wait_for_thread(struct driver *driver, nsec_t deadline_ns)
{
    struct timespec until = {.tv_sec = deadline_ns / NSEC_PER_SEC, .tv_nsec = deadline_ns % NSEC_PER_SEC};
    int error = deadline_ns == NSEC_NEVER ? pthread_cond_wait(&driver->turned, &driver->lock)
                                          : pthread_cond_timedwait(&driver->turned, &driver->lock, &until);
    return -error;
}

int driver_wait(struct driver *driver, nsec_t deadline_ns)
{
    if (driver->has_thread)
        return wait_for_thread(driver, deadline_ns);
    nsec_t wake_ns = driver_wake_ns(driver);
    struct pollfd poll_fd = {.fd = driver->epoll_fd, .events = POLLIN};
    int n = poll(&poll_fd, 1, milliseconds_until(wake_ns < deadline_ns ? wake_ns : deadline_ns));
    int error = n < 0 ? -errno : 0;
    bool is_late = n == 0 && wake_ns > deadline_ns;
    driver_turn(driver);
    return is_late ? -ETIMEDOUT : error;
}

int driver_run_until(struct driver *driver, const bool *done)
{
    if (driver->is_turning)
        return -EDEADLK;
    while (!*done)
        (void)driver_wait(driver, NSEC_NEVER);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the thread */

/* The thread must look again at what it waits for. */
static void wake_thread(struct driver *driver)
{
    const uint64_t one = 1;
    if (driver->has_thread && !driver->is_turning)
        (void)!write(driver->event_fd, &one, sizeof(one));
}

static void *run_thread(void *arg)
{
    struct driver *driver = arg;
    driver_lock(driver);
    while (!driver->is_stopping) {
        int timeout_ms = milliseconds_until(driver_wake_ns(driver));
        struct pollfd poll_fd = {.fd = driver->epoll_fd, .events = POLLIN};
        driver_unlock(driver);
        (void)poll(&poll_fd, 1, timeout_ms);
        driver_lock(driver);
        driver_turn(driver);
        pthread_cond_broadcast(&driver->turned);
    }
    driver_unlock(driver);
    return NULL;
}

int driver_start(struct driver *driver)
{
    sigset_t all, before;
    driver->is_stopping = false;
    driver->has_thread = true;
    /* Signals are for the program's own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&driver->thread, NULL, run_thread, driver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0)
        driver->has_thread = false;
    return -error;
}

void driver_stop(struct driver *driver)
{
    driver_lock(driver);
    driver->is_stopping = true;
    wake_thread(driver);
    driver_unlock(driver);
    pthread_join(driver->thread, NULL);
    driver_lock(driver);
    driver->has_thread = false;
    pthread_cond_broadcast(&driver->turned); /* who waited for the thread turns by himself from now on */
    driver_unlock(driver);
}

/* ------------------------------------------------------------------------------------------------ tasks */

void task_init(struct task *task, struct driver *driver, void (*on_ready)(struct task *task))
{
    *task = (struct task){.wake_ns = NSEC_NEVER, .fd = -1, .on_ready = on_ready};
    list_init(&task->all);
    list_init(&task->ready);
    list_push_back(&driver->tasks, &task->all);
}

void task_deinit(struct task *task, struct driver *driver)
{
    if (!task->on_ready)
        return;
    (void)task_watch(task, driver, -1, 0);
    list_remove(&task->ready);
    list_remove(&task->all);
    task->on_ready = NULL;
}

int task_watch(struct task *task, struct driver *driver, int fd, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = task};
    if (fd == task->fd && events == task->events)
        return 0;
    if (task->fd >= 0 && fd != task->fd)
        (void)epoll_ctl(driver->epoll_fd, EPOLL_CTL_DEL, task->fd, &event);
    /* What was closed is out of the set, whatever the task remembers. */
    if (fd >= 0 && epoll_ctl(driver->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 &&
        (errno != ENOENT || epoll_ctl(driver->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)) {
        task->fd = -1;
        return -errno;
    }
    task->fd = fd;
    task->events = events;
    return 0;
}

void task_wake_at(struct task *task, struct driver *driver, nsec_t wake_ns)
{
    task->wake_ns = wake_ns;
    wake_thread(driver);
}

void task_post(struct task *task, struct driver *driver)
{
    make_ready(driver, task);
    wake_thread(driver);
}
