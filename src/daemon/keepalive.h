/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slow timer of the main thread: asks the workers for a sign of life and passes it on to the service manager's
 * watchdog, and has the log write the counts of repeats.
 */
#pragma once

#include "base/log.h"
#include "daemon/notify.h"
#include "daemon/stations.h"

struct keepalive {
    struct loop *loop; /* NULL: not started */
    struct stations *stations;
    const struct notify *notify;
    struct log *log;
    nsec_t interval_ns;
    bool has_watchdog;
    struct timer timer;
};

void keepalive_start(struct keepalive *keepalive, struct loop *loop, struct stations *stations,
                     const struct notify *notify, struct log *log);
void keepalive_stop(struct keepalive *keepalive);
