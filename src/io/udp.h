/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A UDP socket on a loop: datagrams in batches (recvmmsg), answers sent from the address that was asked.
 */
#pragma once

#include "base/err.h"
#include "io/addr.h"
#include "io/loop.h"

struct udp_socket;

/* `bytes` are valid during the call; answer with udp_send inside it or later. */
typedef void (*udp_fn)(void *ctx, struct udp_socket *socket, struct slice bytes, const struct addr *from);

/* reuse_port: one socket per worker on the same address. Proving the address free is the caller's (see listener.h). */
int udp_open(struct loop *loop, const struct addr *addr, bool reuse_port, udp_fn on_datagram, void *ctx,
             struct udp_socket **ret_socket, struct err *err);
void udp_close(struct udp_socket *socket);
const struct addr *udp_addr(const struct udp_socket *socket);

/* Best effort: a full send buffer drops the datagram and returns -EAGAIN. */
int udp_send(struct udp_socket *socket, const struct addr *to, struct slice bytes);
