/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: all its parts, opened in order, run, and closed in the opposite order. Main thread.
 *
 * Nothing is served before everything is open: a port or a data folder in use ends the start, not the service.
 */
#pragma once

#include "base/err.h"
#include "daemon/arguments.h"

struct daemon;

/*
 * Loads the configuration and opens what it asks for. `arguments` and `environment` must outlive the daemon: reloading
 * reads them again. 0, or -errno with one line for people in err.
 */
int daemon_open(const struct arguments *arguments, char *const *environment, struct daemon **ret_daemon,
                struct err *err);

/* Says that it is ready and serves until it is told to stop. 0, or -errno with the reason in err. */
int daemon_run(struct daemon *daemon, struct err *err);

/* NULL is fine, and so is a daemon that was opened halfway. */
void daemon_close(struct daemon *daemon);
