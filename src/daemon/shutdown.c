/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events only record what happened and call tick, which looks at all of it and moves the state.
 */
#include "daemon/shutdown.h"

#include "base/assert.h"

static void tick(struct shutdown *shutdown);

static void on_timer(struct timer *timer)
{
    tick(container_of(timer, struct shutdown, timer));
}

static void on_stations(void *ctx, enum stations_event event)
{
    struct shutdown *shutdown = ctx;
    if (event == STATIONS_HALTED)
        endpoints_stop(shutdown->endpoints);
    else
        shutdown->drained = true;
    tick(shutdown);
}

static void leave(struct shutdown *shutdown)
{
    shutdown->state = SHUTDOWN_LEAVING;
    system_set_not_ready(shutdown->system, "shutting down");
}

static void drain(struct shutdown *shutdown)
{
    shutdown->state = SHUTDOWN_DRAINING;
    loop_arm(shutdown->loop, &shutdown->timer, loop_now(shutdown->loop) + shutdown->timeout_ns);
    stations_drain(shutdown->stations, on_stations, shutdown);
    fronts_stop(shutdown->fronts);
}

static void end(struct shutdown *shutdown)
{
    shutdown->state = SHUTDOWN_ENDED;
    loop_cancel(shutdown->loop, &shutdown->timer);
    if (shutdown->drained)
        log_info(shutdown->log, "drained: every request has been answered");
    else
        log_warn(shutdown->log, "not drained in time: what still ran was cut off",
                 log_int("connections", stations_n_connections(shutdown->stations)));
    loop_stop(shutdown->loop);
}

static void tick(struct shutdown *shutdown)
{
    bool due = shutdown->hurry || !timer_is_armed(&shutdown->timer);
    if (shutdown->state == SHUTDOWN_LEAVING && due) {
        drain(shutdown);
        due = shutdown->hurry;
    }
    if (shutdown->state == SHUTDOWN_DRAINING && (shutdown->drained || due))
        end(shutdown);
}

void shutdown_init(struct shutdown *shutdown, struct loop *loop, struct endpoints *endpoints, struct stations *stations,
                   struct fronts *fronts, struct system *system, struct log *log)
{
    *shutdown = (struct shutdown){
        .loop = loop,
        .endpoints = endpoints,
        .stations = stations,
        .fronts = fronts,
        .system = system,
        .log = log,
    };
    timer_init(&shutdown->timer, on_timer);
}

void shutdown_ask(struct shutdown *shutdown, nsec_t delay_ns, nsec_t timeout_ns)
{
    if (shutdown->state == SHUTDOWN_RUNNING) {
        leave(shutdown);
        shutdown->timeout_ns = timeout_ns;
        if (delay_ns > 0)
            loop_arm(shutdown->loop, &shutdown->timer, loop_now(shutdown->loop) + delay_ns);
    } else {
        shutdown->hurry = true;
    }
    tick(shutdown);
}
