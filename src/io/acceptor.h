/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the connections of one listening socket, on one loop.
 */
#pragma once

#include "io/addr.h"
#include "io/loop.h"

/*
 * The new descriptor, owned by the callee, is non-blocking, close-on-exec and, from a listener.h socket, TCP_NODELAY.
 */
typedef void (*accept_fn)(void *ctx, int fd, const struct peer *peer);

struct acceptor;

/*
 * At most a bounded number of connections are taken per turn. When the process or the system runs out of descriptors, a
 * spare one is used to accept and close (the client sees a closed connection instead of silence), and accepting pauses
 * for a short time; other connections are unharmed. Some of what the process may have is not given to clients:
 * descriptors.h.
 *
 * The listening socket stays the caller's. 0, -ENOMEM, or the -errno of open or epoll_ctl.
 */
int acceptor_new(struct loop *loop, int listen_fd, accept_fn on_accept, void *ctx, struct acceptor **ret_acceptor);
void acceptor_free(struct acceptor *acceptor); /* not from inside on_accept; accepts NULL */

/*
 * Has fn told, with the acceptor's ctx, whenever descriptors have run out: the error (-EMFILE, -ENFILE) and how many
 * connections were closed for that.
 */
typedef void (*accept_shortage_fn)(void *ctx, int error, unsigned n_refused);
void acceptor_on_shortage(struct acceptor *acceptor, accept_shortage_fn fn);

/* Has fn asked, with the acceptor's ctx, for a descriptor when none is left for a client. True: one was freed. */
typedef bool (*accept_need_fn)(void *ctx);
void acceptor_on_need(struct acceptor *acceptor, accept_need_fn fn);

/* Its clients are DESCRIPTOR_OF_SERVICE: they get in when others are too many. */
void acceptor_prefer(struct acceptor *acceptor);
