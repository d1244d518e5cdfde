/* SPDX-License-Identifier: Apache-2.0 */
#include "io/udp.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <unistd.h>

static struct addr parse(const char *text)
{
    struct addr addr;
    expect_int(addr_parse(slice_from_str(text), &addr, NULL), 0);
    return addr;
}

/* Sends every datagram back. */
struct echo {
    struct loop *loop;
    struct udp_socket *socket;
    int n;
    struct udp_path last;
};

static void send_back(void *ctx, struct udp_socket *socket, struct slice bytes, const struct udp_path *path)
{
    struct echo *echo = ctx;
    echo->n++;
    echo->last = *path;
    expect_int(udp_send(socket, path, bytes), 0);
}

static void echo_start(struct echo *echo, const char *text)
{
    struct addr addr = parse(text);
    struct err err;
    *echo = (struct echo){0};
    expect_int(loop_new(NULL, &echo->loop), 0);
    if (udp_open(echo->loop, &addr, false, send_back, echo, &echo->socket, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
}

static void echo_stop(struct echo *echo)
{
    udp_close(echo->socket);
    loop_free(echo->loop);
}

static in_port_t port_of(const struct addr *addr)
{
    return addr->any.sa_family == AF_INET6 ? addr->v6.sin6_port : addr->v4.sin_port;
}

/* A client connected to one address: it hears answers from no other. */
static int connect_client(const char *text, in_port_t port)
{
    struct addr addr = parse(text);
    if (addr.any.sa_family == AF_INET6)
        addr.v6.sin6_port = port;
    else
        addr.v4.sin_port = port;
    int fd = socket(addr.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_true(fd >= 0);
    expect_int(connect(fd, &addr.any, addr.len), 0);
    return fd;
}

static void expect_echo(struct echo *echo, int client, struct slice bytes)
{
    char answer[UDP_BYTES_MAX];
    expect_int(send(client, bytes.ptr, bytes.len, 0), (ssize_t)bytes.len);
    int n = echo->n;
    while (echo->n == n)
        loop_turn(echo->loop, NSEC_NEVER);
    ssize_t len = recv(client, answer, sizeof(answer), 0);
    expect_true(len >= 0);
    expect_bytes(slice_from(answer, (size_t)len), bytes);
}

static void datagrams_go_both_ways(void)
{
    static char longest[UDP_BYTES_MAX];
    struct echo echo;
    echo_start(&echo, "127.0.0.1:0");
    int client = connect_client("127.0.0.1:0", port_of(udp_addr(echo.socket)));
    expect_echo(&echo, client, SLICE_LIT("hello"));
    expect_echo(&echo, client, SLICE_LIT(""));
    expect_echo(&echo, client, slice_from(longest, sizeof(longest)));
    struct addr mine = {.len = sizeof(mine.v4)};
    expect_int(getsockname(client, &mine.any, &mine.len), 0);
    expect_true(addr_equal(&echo.last.peer, &mine));
    close(client);
    echo_stop(&echo);
}

static void answers_come_from_the_address_that_was_asked(void)
{
    static const char *const servers[] = {"0.0.0.0:0", ":0"};
    for (size_t i = 0; i < ARRAY_LEN(servers); i++) {
        struct echo echo;
        echo_start(&echo, servers[i]);
        int client = connect_client("127.0.0.9:0", port_of(udp_addr(echo.socket)));
        expect_echo(&echo, client, SLICE_LIT("to the ninth"));
        close(client);
        echo_stop(&echo);
    }
}

static void too_long_ones_are_dropped(void)
{
    static char too_long[UDP_BYTES_MAX + 1];
    struct echo echo;
    echo_start(&echo, "127.0.0.1:0");
    int client = connect_client("127.0.0.1:0", port_of(udp_addr(echo.socket)));
    expect_int(send(client, too_long, sizeof(too_long), 0), sizeof(too_long));
    expect_echo(&echo, client, SLICE_LIT("next"));
    expect_int(echo.n, 1);
    close(client);
    echo_stop(&echo);
}

static void a_burst_takes_turns(void)
{
    enum { N = 100 };
    struct echo echo;
    echo_start(&echo, "127.0.0.1:0");
    int client = connect_client("127.0.0.1:0", port_of(udp_addr(echo.socket)));
    for (int i = 0; i < N; i++)
        expect_int(send(client, "x", 1, 0), 1);
    loop_turn(echo.loop, NSEC_NEVER);
    expect_true(echo.n > 1 && echo.n < N);
    while (echo.n < N)
        loop_turn(echo.loop, NSEC_NEVER);
    close(client);
    echo_stop(&echo);
}

static void a_client_that_is_gone_does_no_harm(void)
{
    struct echo echo;
    echo_start(&echo, "127.0.0.1:0");
    int gone = connect_client("127.0.0.1:0", port_of(udp_addr(echo.socket)));
    expect_int(send(gone, "x", 1, 0), 1);
    close(gone); /* the answer will be refused */
    while (echo.n < 1)
        loop_turn(echo.loop, NSEC_NEVER);
    int client = connect_client("127.0.0.1:0", port_of(udp_addr(echo.socket)));
    expect_echo(&echo, client, SLICE_LIT("still here"));
    close(client);
    echo_stop(&echo);
}

static void a_port_in_use_is_refused_unless_shared(void)
{
    struct echo echo;
    echo_start(&echo, "127.0.0.1:0");
    struct udp_socket *second;
    struct err err = {""};
    expect_int(udp_open(echo.loop, udp_addr(echo.socket), false, send_back, &echo, &second, &err), -EADDRINUSE);
    expect_true(strstr(err.text, "127.0.0.1"));
    echo_stop(&echo);

    struct addr addr = parse("127.0.0.1:0");
    struct udp_socket *first;
    expect_int(loop_new(NULL, &echo.loop), 0);
    expect_int(udp_open(echo.loop, &addr, true, send_back, &echo, &first, NULL), 0);
    expect_int(udp_open(echo.loop, udp_addr(first), true, send_back, &echo, &second, NULL), 0);
    udp_close(first);
    udp_close(second);
    loop_free(echo.loop);
}

static int open_socket(void *arg)
{
    (void)arg;
    struct addr addr = parse("127.0.0.1:0");
    struct loop *loop;
    int r = loop_new(NULL, &loop);
    if (r < 0)
        return r;
    struct udp_socket *socket = NULL;
    r = udp_open(loop, &addr, false, send_back, NULL, &socket, NULL);
    udp_close(socket);
    loop_free(loop);
    return r;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(open_socket, NULL) >= 4);
}

static const struct test_case cases[] = {
    {"datagrams go both ways", datagrams_go_both_ways},
    {"answers come from the address that was asked", answers_come_from_the_address_that_was_asked},
    {"datagrams that are too long are dropped", too_long_ones_are_dropped},
    {"a burst is taken in batches", a_burst_takes_turns},
    {"a client that is gone does no harm", a_client_that_is_gone_does_no_harm},
    {"a port in use is refused unless it is shared", a_port_in_use_is_refused_unless_shared},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
