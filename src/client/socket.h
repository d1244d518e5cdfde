/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of a connection that the kernel knows: a non-blocking socket, used as if it blocked until a deadline.
 */
#pragma once

#include "base/err.h"
#include "base/slice.h"
#include "base/time.h"
#include "client/address.h"

#include <sys/types.h>

/* The descriptor, or -errno: of the last address that the name stands for, when none of them took the connection. */
int socket_connect(const struct address *address, nsec_t deadline_ns, struct err *err);

/* All of it: 0, -ETIMEDOUT, -errno. */
int socket_send(int fd, struct slice bytes, nsec_t deadline_ns);

/* What is there, waiting for it: bytes, 0 at the end, -ETIMEDOUT, -errno. */
ssize_t socket_recv(int fd, void *ret_bytes, size_t len, nsec_t deadline_ns);
