/* SPDX-License-Identifier: Apache-2.0 */
#include "support/sockets.h"

#include "support/test.h"

#include <unistd.h>

int listen_on_loopback(int backlog, struct addr *ret_addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_true(fd >= 0);
    expect_int(addr_parse(SLICE_LIT("127.0.0.1:0"), ret_addr, NULL), 0);
    expect_int(bind(fd, &ret_addr->any, ret_addr->len), 0);
    expect_int(listen(fd, backlog), 0);
    expect_int(getsockname(fd, &ret_addr->any, &ret_addr->len), 0);
    return fd;
}

int connect_to(const struct addr *addr)
{
    int fd = socket(addr->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_true(fd >= 0);
    expect_int(connect(fd, &addr->any, addr->len), 0);
    return fd;
}

void tcp_pair(int ret_fds[2])
{
    struct addr addr;
    int listen_fd = listen_on_loopback(1, &addr);
    ret_fds[1] = connect_to(&addr);
    ret_fds[0] = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    expect_true(ret_fds[0] >= 0);
    close(listen_fd);
}

void reset_on_close(int fd)
{
    expect_int(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)), 0);
}
