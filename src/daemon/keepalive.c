/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keepalive.h"

#define INTERVAL (5 * NSEC_PER_SEC)

static void on_alive(void *ctx)
{
    const struct keepalive *keepalive = ctx;
    if (keepalive->has_watchdog)
        notify_send(keepalive->notify, "WATCHDOG=1");
}

static void on_timer(struct timer *timer)
{
    struct keepalive *keepalive = container_of(timer, struct keepalive, timer);
    log_flush(keepalive->log);
    (void)stations_ping(keepalive->stations, on_alive, keepalive);
    loop_arm(keepalive->loop, &keepalive->timer, loop_now(keepalive->loop) + keepalive->interval_ns);
}

void keepalive_start(struct keepalive *keepalive, struct loop *loop, struct stations *stations,
                     const struct notify *notify, struct log *log)
{
    nsec_t watchdog_ns = notify_watchdog_interval();
    *keepalive = (struct keepalive){
        .loop = loop,
        .stations = stations,
        .notify = notify,
        .log = log,
        .interval_ns = INTERVAL,
        .has_watchdog = watchdog_ns > 0,
    };
    if (keepalive->has_watchdog && watchdog_ns / 2 < INTERVAL)
        keepalive->interval_ns = watchdog_ns / 2;
    timer_init(&keepalive->timer, on_timer);
    loop_arm(loop, &keepalive->timer, loop_now(loop) + keepalive->interval_ns);
}

void keepalive_stop(struct keepalive *keepalive)
{
    if (!keepalive->loop)
        return;
    loop_cancel(keepalive->loop, &keepalive->timer);
    keepalive->loop = NULL;
}
