/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UDP socket on a loop: datagrams in batches (recvmmsg), answers sent from the address that was asked.
 */
#pragma once

#include "base/err.h"
#include "io/addr.h"
#include "io/loop.h"

struct udp_socket;

/* Where a datagram came from, and which of our addresses it was sent to: what an answer needs. Copy it to keep it. */
struct udp_path {
    struct addr peer;
    struct peer local;    /* family 0: let the kernel choose */
    unsigned local_index; /* the interface, for IPv6 link-local addresses */
};

/* Longer datagrams are dropped. */
#define UDP_BYTES_MAX 4096

/*
 * `bytes` and `path` are valid during the call; answer with udp_send inside it or later. The bytes lie in the loop's
 * read buffer, which the callee must not use, and it must not close the socket.
 */
typedef void (*udp_fn)(void *ctx, struct udp_socket *socket, struct slice bytes, const struct udp_path *path);

/*
 * reuse_port: one socket per worker on the same address. Proving the address free is the caller's (see listener.h).
 * 0, or with the reason in err: -EADDRINUSE, -ENOMEM, the -errno of socket, setsockopt, bind or epoll_ctl.
 */
int udp_open(struct loop *loop, const struct addr *addr, bool reuse_port, udp_fn on_datagram, void *ctx,
             struct udp_socket **ret_socket, struct err *err);
void udp_close(struct udp_socket *socket); /* accepts NULL */
const struct addr *udp_addr(const struct udp_socket *socket);

/* Best effort: a full send buffer drops the datagram and returns -EAGAIN; else 0 or the -errno of sendmsg. */
int udp_send(struct udp_socket *socket, const struct udp_path *path, struct slice bytes);
