/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a proxy on epoll can do, for bench/gateway: gateway_relay PORT INSTANCE_PORT...
 *
 * Takes bytes from one socket to another and knows nothing of HTTP; each client gets a connection of its own, to one
 * instance after the other. What it costs is the kernel's, and no proxy on sockets gets much below it.
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, EVENTS_PER_TURN = 256, INPUT_BYTES = 256 * 1024 };

struct pair;

struct side {
    int fd;
    struct pair *pair;
    struct side *other;
    bool is_ended; /* has sent its last byte */
    char *held;    /* what it did not take yet; its other side is not read meanwhile */
    size_t n_held;
};

struct pair {
    struct side sides[2];
    struct pair *next_over; /* freed after the events that may still name it */
    bool is_over;
};

struct relay {
    int epoll_fd, listen_fd;
    int n_instances, turn;
    uint16_t *instances;
    struct pair *over;
    char input[INPUT_BYTES];
};

static void watch(struct relay *relay, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    if (epoll_ctl(relay->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        err(1, "epoll_ctl");
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void end(struct relay *relay, struct pair *pair)
{
    if (pair->is_over)
        return;
    for (int i = 0; i < 2; i++) {
        close(pair->sides[i].fd);
        free(pair->sides[i].held);
    }
    pair->is_over = true;
    pair->next_over = relay->over;
    relay->over = pair;
}

/* False: there is nothing more to do, for now or for good. */
static bool hand_over(struct relay *relay, struct side *to, const char *bytes, size_t len)
{
    ssize_t n = send(to->fd, bytes, len, MSG_NOSIGNAL);
    if (n == (ssize_t)len)
        return true;
    if (n < 0 && errno != EAGAIN) {
        end(relay, to->pair);
        return false;
    }
    size_t n_sent = n < 0 ? 0 : (size_t)n;
    char *held = malloc(len - n_sent);
    if (!held)
        err(1, "bytes that wait");
    memcpy(held, bytes + n_sent, len - n_sent);
    free(to->held);
    to->held = held;
    to->n_held = len - n_sent;
    return false;
}

static void take(struct relay *relay, struct side *from)
{
    while (!from->pair->is_over && !from->is_ended && !from->other->held) {
        ssize_t n = recv(from->fd, relay->input, INPUT_BYTES, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            end(relay, from->pair);
        } else if (n == 0) {
            from->is_ended = true;
            (void)shutdown(from->other->fd, SHUT_WR);
            if (from->other->is_ended)
                end(relay, from->pair);
        } else if (!hand_over(relay, from->other, relay->input, (size_t)n) || n < INPUT_BYTES) {
            return;
        }
    }
}

static void on_event(struct relay *relay, struct side *side, uint32_t events)
{
    if (side->pair->is_over)
        return;
    if (events & EPOLLOUT && side->held) {
        char *held = side->held;
        side->held = NULL;
        bool is_taken = hand_over(relay, side, held, side->n_held);
        free(held);
        if (is_taken)
            take(relay, side->other);
    }
    /* After a short read there is nothing more, unless the other end has closed. */
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        take(relay, side);
    if (events & EPOLLRDHUP)
        take(relay, side);
}

static void accept_all(struct relay *relay)
{
    int fd;
    while ((fd = accept4(relay->listen_fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct sockaddr_in instance = loopback(relay->instances[relay->turn++ % relay->n_instances]);
        struct pair *pair = calloc(1, sizeof(*pair));
        int other = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (!pair || other < 0 || setsockopt(other, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
            (connect(other, (struct sockaddr *)&instance, sizeof(instance)) < 0 && errno != EINPROGRESS))
            err(1, "a connection to an instance");
        int fds[2] = {fd, other};
        for (int i = 0; i < 2; i++) {
            pair->sides[i] = (struct side){.fd = fds[i], .pair = pair, .other = &pair->sides[1 - i]};
            watch(relay, fds[i], EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &pair->sides[i]);
        }
    }
}

static void free_over(struct relay *relay)
{
    while (relay->over) {
        struct pair *pair = relay->over;
        relay->over = pair->next_over;
        free(pair);
    }
}

static void open_relay(struct relay *relay, int n_ports, char **ports)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    struct sockaddr_in addr = loopback((uint16_t)strtoul(ports[0], NULL, 10));
    relay->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    relay->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (relay->epoll_fd < 0 || relay->listen_fd < 0 ||
        setsockopt(relay->listen_fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
        setsockopt(relay->listen_fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)) < 0 ||
        bind(relay->listen_fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
        listen(relay->listen_fd, BACKLOG) < 0)
        err(1, "cannot listen on port %s", ports[0]);
    relay->n_instances = n_ports - 1;
    relay->instances = calloc((size_t)relay->n_instances, sizeof(relay->instances[0]));
    if (!relay->instances)
        err(1, "instances");
    for (int i = 0; i < relay->n_instances; i++)
        relay->instances[i] = (uint16_t)strtoul(ports[i + 1], NULL, 10);
    watch(relay, relay->listen_fd, EPOLLIN, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        errx(2, "usage: gateway_relay PORT INSTANCE_PORT...");
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        err(1, "relay");
    open_relay(relay, argc - 1, argv + 1);
    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        int n = epoll_wait(relay->epoll_fd, events, EVENTS_PER_TURN, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                on_event(relay, events[i].data.ptr, events[i].events);
            else
                accept_all(relay);
        }
        free_over(relay);
    }
}
