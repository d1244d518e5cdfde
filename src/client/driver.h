/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What drives a client: an epoll set that can itself be waited for, and tasks, each with at most one descriptor and one
 * moment to be woken at. Everything that a client does is a task, whoever turns the driver: the program's own loop
 * (muster_process), a call that waits (driver_run_until), or the library's thread.
 *
 * The driver's lock is the client's: whoever touches a task, or anything else of the client, holds it. It may be taken
 * again by the same thread, so that callbacks can call functions of the library.
 */
#pragma once

#include "base/list.h"
#include "base/time.h"

#include <pthread.h>

struct task {
    struct list all, ready; /* in the driver */
    nsec_t wake_ns;         /* NSEC_NEVER: not by time */
    int fd;                 /* -1: none */
    unsigned events;        /* EPOLLIN, EPOLLOUT */
    /* The descriptor is ready, the moment has come (wake_ns is NSEC_NEVER again), or task_post. May free the task. */
    void (*on_ready)(struct task *task);
};

struct driver {
    int epoll_fd;
    int event_fd; /* ends the wait of the thread */
    struct list tasks, ready;
    pthread_mutex_t lock;
    pthread_cond_t turned; /* after each turn of the thread */
    pthread_t thread;
    bool has_thread, is_stopping;
    bool is_turning; /* tasks run: under the lock, so the one who sees it is in one of their callbacks */
};

/* 0, -ENOMEM or -errno. */
int driver_init(struct driver *driver);
/* Without thread and tasks. */
void driver_deinit(struct driver *driver);

void driver_lock(struct driver *driver);
void driver_unlock(struct driver *driver);

/* What muster.h says of muster_timeout_ms, muster_process and muster_wait. */
nsec_t driver_wake_ns(struct driver *driver);
void driver_turn(struct driver *driver);

/*
 * One turn, after waiting for it until the deadline at most; with the lock held once, which is given up while waiting
 * for a thread. 0, -ETIMEDOUT, -EINTR (a signal came).
 */
int driver_wait(struct driver *driver, nsec_t deadline_ns);

/* Turns until *done. 0; -EDEADLK: called in a callback. Who sets *done has a deadline of his own. */
int driver_run_until(struct driver *driver, const bool *done);

/* 0 or -errno. Stop waits for the thread's end; without the lock. */
int driver_start(struct driver *driver);
void driver_stop(struct driver *driver);

void task_init(struct task *task, struct driver *driver, void (*on_ready)(struct task *task));
/* Harmless on one that was never initialised, or is out already. The descriptor is the task owner's to close, after. */
void task_deinit(struct task *task, struct driver *driver);

/* What to wait for; fd -1: nothing. The old descriptor must not be closed before. 0 or -errno. */
int task_watch(struct task *task, struct driver *driver, int fd, unsigned events);
void task_wake_at(struct task *task, struct driver *driver, nsec_t wake_ns);
/* As soon as the driver turns. */
void task_post(struct task *task, struct driver *driver);
