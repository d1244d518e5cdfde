/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets, one per worker on the same address (SO_REUSEPORT), so that accepting needs no lock and no shared
 * wake-up. Connections are taken off them by acceptors (acceptor.h).
 *
 * SO_REUSEPORT would silently let a second process share the port: listener_open proves that the address is free.
 * Unix sockets have no SO_REUSEPORT: there all workers share one socket. A stale Unix socket file that nobody listens
 * on is replaced; one that somebody listens on is -EADDRINUSE.
 */
#pragma once

#include "base/err.h"
#include "io/addr.h"

struct listen_options {
    int backlog;
    unsigned unix_mode; /* permissions of a Unix socket's file */
};

/* A set of n sockets bound to one address. Owned by the thread that opened it. */
struct listener;

/*
 * The unspecified IPv6 address takes IPv4 too, and is the unspecified IPv4 address where there is no IPv6.
 * 0, or with the reason in err: -EADDRINUSE, -ENOMEM, the -errno of socket, bind, listen or chmod.
 */
int listener_open(const struct addr *addr, unsigned n, const struct listen_options *options,
                  struct listener **ret_listener, struct err *err);
void listener_close(struct listener *listener); /* removes the Unix socket's file; acceptors must be stopped */

/* The address really bound (the port chosen for ":0"). */
const struct addr *listener_addr(const struct listener *listener);
/* One of the n; of a Unix socket always the same. */
int listener_fd(const struct listener *listener, unsigned index);
