/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way out: what happens from the first SIGTERM to the end of the main loop. Main thread.
 *
 *     RUNNING -> LEAVING    asked to stop: /readyz says no, all else goes on for drain.delay
 *     LEAVING -> DRAINING   the delay is over: no new connections and requests; listeners close; calls
 *                           that would last for ever are ended
 *     DRAINING -> ENDED     no connection is left, or drain.timeout is over, or somebody is in a hurry
 *
 * Being asked a second time is being in a hurry: no delay, and no waiting for requests.
 */
#pragma once

#include "base/log.h"
#include "daemon/fronts.h"
#include "daemon/stations.h"
#include "daemon/system.h"

enum shutdown_state { SHUTDOWN_RUNNING, SHUTDOWN_LEAVING, SHUTDOWN_DRAINING, SHUTDOWN_ENDED };

struct shutdown {
    struct loop *loop;
    struct endpoints *endpoints;
    struct stations *stations;
    struct fronts *fronts;
    struct system *system;
    struct log *log;
    enum shutdown_state state;
    struct timer timer;
    nsec_t timeout_ns;
    bool drained, hurry;
};

void shutdown_init(struct shutdown *shutdown, struct loop *loop, struct endpoints *endpoints, struct stations *stations,
                   struct fronts *fronts, struct system *system, struct log *log);

/* The first call begins, the second hurries, later ones do nothing. Ends with loop_stop. */
void shutdown_ask(struct shutdown *shutdown, nsec_t delay_ns, nsec_t timeout_ns);
