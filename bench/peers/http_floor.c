/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a server on epoll can do, for bench/http: takes whatever comes for one request and sends a constant
 * answer as long as muster's. What it costs is the kernel's, and no server on sockets gets below it.
 *
 * usage: http_floor PORT
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS_PER_TURN = 256 };

static const char answer[] = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-length: 3\r\n"
                             "content-type: text/plain; charset=utf-8\r\n\r\nok\n";

static int listen_on(uint16_t port)
{
    const struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 || listen(fd, BACKLOG) < 0)
        err(1, "cannot listen on port %u", port);
    return fd;
}

static void watch(int epoll_fd, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

static void accept_all(int epoll_fd, int listen_fd)
{
    int fd;
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0)
        watch(epoll_fd, fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* Clients wait for the answer before they send more, so one read has one request and leaves nothing behind. */
static void serve(int fd, uint32_t events)
{
    static char request[32 * 1024];
    ssize_t n = recv(fd, request, sizeof(request), 0);
    if (n > 0)
        n = send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL);
    if (n == 0 || (n < 0 && errno != EAGAIN) || events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        (void)close(fd);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        errx(2, "usage: http_floor PORT");
    int listen_fd = listen_on((uint16_t)strtoul(argv[1], NULL, 10));
    int epoll_fd = epoll_create1(0);
    if (epoll_fd < 0)
        err(1, "epoll_create1");
    watch(epoll_fd, listen_fd, EPOLLIN);
    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        int n = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listen_fd)
                accept_all(epoll_fd, listen_fd);
            else
                serve(events[i].data.fd, events[i].events);
        }
    }
}
