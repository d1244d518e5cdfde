/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the service manager how the daemon is, by systemd's protocol: datagrams of NAME=VALUE lines to the socket in
 * $NOTIFY_SOCKET. Without that variable all of it does nothing. A message that cannot be sent is lost: the manager's
 * own time-outs notice.
 */
#pragma once

#include "base/time.h"
#include "base/util.h"

struct notify {
    int fd; /* -1: nobody to tell */
};

void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

void notify_send(const struct notify *notify, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* How often the manager wants to hear WATCHDOG=1 at the latest; 0: not at all. */
nsec_t notify_watchdog_interval(void);
