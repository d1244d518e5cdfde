/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls of the request path themselves: in a process of several threads the C library's are points at which a
 * thread could be cancelled, which none of ours ever is, and keep books about that with two locked instructions each.
 */
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline ssize_t sys_recv(int fd, void *ret_bytes, size_t len)
{
    return syscall(SYS_recvfrom, fd, ret_bytes, len, 0, NULL, NULL);
}

static inline ssize_t sys_send(int fd, const void *bytes, size_t len)
{
    return syscall(SYS_sendto, fd, bytes, len, MSG_NOSIGNAL, NULL, 0);
}
