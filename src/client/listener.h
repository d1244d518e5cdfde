/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket as a task. Under the client's lock. */
#pragma once

#include "base/err.h"
#include "client/driver.h"

#define LISTENER_ADDRESS_MAX 160

struct listener {
    struct task task;
    struct driver *driver;
    int fd;                             /* -1: closed */
    char address[LISTENER_ADDRESS_MAX]; /* with the port that it got; "unix:/PATH" */
    bool is_paused;
    /* A connection, non-blocking, which now belongs to the callee. False: no more until listener_resume. */
    bool (*on_connection)(void *ctx, int fd);
    void *ctx;
};

/*
 * Opens a zeroed one at "HOST:PORT" or, where it may be, "unix:/PATH", whose file is removed at the end, and before
 * when nobody listens there any more. on_connection and ctx are set by the caller. 0; -EINVAL or -errno with words.
 */
int listener_open(struct listener *listener, struct driver *driver, const char *address, bool may_be_unix,
                  struct err *err);
/* Harmless on a zeroed one, or on one that is closed. */
void listener_close(struct listener *listener);

void listener_resume(struct listener *listener);

/* Takes all connections that wait, as if there was room: before it closes, which would reset them. */
void listener_take_rest(struct listener *listener);

/* Whether others can reach the host that it listens on, "0.0.0.0" being no host. */
bool listener_has_host(const struct listener *listener);
