/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets, one per worker on the same address (SO_REUSEPORT), so that accepting needs no lock and no shared
 * wake-up; and acceptors, which take connections off one of them on a worker's loop.
 *
 * SO_REUSEPORT would silently let a second process share the port: listen_open first proves that the address is free.
 * Unix sockets have no SO_REUSEPORT: there all workers share one socket. A stale Unix socket file that nobody listens
 * on is replaced; one that somebody listens on is -EADDRINUSE.
 */
#pragma once

#include "base/err.h"
#include "io/addr.h"
#include "io/loop.h"

struct listen_options {
    int backlog;
    unsigned unix_mode; /* permissions of a Unix socket's file */
};

/* A set of n sockets bound to one address. Owned by the thread that opened it. */
struct listener;

int listener_open(const struct addr *addr, unsigned n, const struct listen_options *options,
                  struct listener **ret_listener, struct err *err);
void listener_close(struct listener *listener); /* removes the Unix socket's file; acceptors must be stopped */

/* The address really bound (the port chosen for ":0"). */
const struct addr *listener_addr(const struct listener *listener);
unsigned listener_size(const struct listener *listener);
int listener_fd(const struct listener *listener, unsigned index);

/* Takes the connections of one socket. The new descriptor is non-blocking, close-on-exec, TCP_NODELAY. */
typedef void (*accept_fn)(void *ctx, int fd, const struct peer *peer);

struct acceptor;

/*
 * on_accept owns the descriptor. At most a bounded number of connections are taken per turn. When the process or the
 * system runs out of descriptors, a spare one is used to accept and close (the client sees a closed connection instead
 * of silence), accepting pauses for a short time, and n_refused counts; other connections are unharmed.
 */
int acceptor_new(struct loop *loop, int listen_fd, accept_fn on_accept, void *ctx, struct acceptor **ret_acceptor);
void acceptor_free(struct acceptor *acceptor);
uint64_t acceptor_n_refused(const struct acceptor *acceptor);
