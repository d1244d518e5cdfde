/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real sockets on the loopback interface, for tests of what only the kernel can play. Failing to get one fails the
 * test.
 */
#pragma once

#include "io/addr.h"

/* A listening TCP socket on 127.0.0.1 with a port of the kernel's choice. */
int listen_on_loopback(int backlog, struct addr *ret_addr);

/* A blocking socket connected to it. */
int connect_to(const struct addr *addr);

/* Two connected TCP sockets; the first is non-blocking. */
void tcp_pair(int ret_fds[2]);

/* Makes close send a reset. */
void reset_on_close(int fd);
