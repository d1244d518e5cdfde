/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that the daemon obeys, as events of the main thread's loop: nothing runs inside a signal handler.
 */
#pragma once

#include "base/err.h"
#include "io/loop.h"

struct signals {
    struct loop *loop; /* NULL: closed */
    struct loop_source source;
    void (*on_signal)(void *ctx, int signo);
    void *ctx;
};

/*
 * Blocks SIGTERM, SIGINT and SIGHUP in the calling thread, and thereby in the threads that it starts later, and has
 * on_signal called for each on the loop. SIGPIPE is ignored from now on. 0 or -errno with the reason in err.
 */
int signals_open(struct signals *signals, struct loop *loop, void (*on_signal)(void *ctx, int signo), void *ctx,
                 struct err *err);

/* The signals stay blocked: one that comes while the process ends must not end it in the middle. */
void signals_close(struct signals *signals);
