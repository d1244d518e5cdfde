/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that leave at the end of a busy turn (io/outbox.h), over real sockets, to a client that does not read: what
 * the system does not take then is behind the connection's back, and must arrive all the same.
 */
#include "http/server.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET / HTTP/1.1\r\nhost: x\r\n\r\n"

enum { N = 6, BODY_BYTES = 3000 };

struct kit {
    struct loop *loop;
    struct http_server *server;
    int clients[N]; /* the first does not read */
};

static void on_request(void *ctx, struct exchange *exchange)
{
    static char body[BODY_BYTES];
    (void)ctx;
    memset(body, '=', sizeof(body));
    exchange_respond(exchange, 200, NULL, 0, slice_from(body, sizeof(body)));
}

static void turn(struct kit *kit)
{
    expect_int(loop_turn(kit->loop, NSEC_PER_MSEC), 0);
}

/* The system takes little between the two. */
static void make_small(const int fds[2])
{
    const int least = 1;
    expect_int(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &least, sizeof(least)), 0);
    expect_int(setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)), 0);
}

static struct kit *kit_new(nsec_t send_timeout_ns)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    struct http_server_options options;
    http_server_options_init(&options);
    options.send_timeout_ns = send_timeout_ns;
    expect_int(loop_new(NULL, &kit->loop), 0);
    expect_int(
        http_server_new(kit->loop, &options, &(struct exchange_handler){on_request, NULL}, NULL, 0, &kit->server), 0);
    for (unsigned i = 0; i < N; i++) {
        int fds[2];
        tcp_pair(fds);
        expect_int(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
        if (i == 0)
            make_small(fds);
        expect_int(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
        kit->clients[i] = fds[1];
        http_server_accept(kit->server, fds[0], &(struct peer){.family = AF_INET});
    }
    turn(kit);
    return kit;
}

static void kit_free(struct kit *kit)
{
    http_server_free(kit->server);
    for (unsigned i = 0; i < N; i++)
        close(kit->clients[i]);
    loop_free(kit->loop);
    free(kit);
}

struct heard {
    size_t n_answers, n_body; /* bytes */
};

/* Reads what there is; true at the end. */
static bool hear(int client, struct heard *heard)
{
    char room[1000];
    ssize_t n;
    while ((n = read(client, room, sizeof(room))) > 0)
        for (ssize_t i = 0; i < n; i++) {
            heard->n_answers += room[i] == 'K'; /* of "200 OK" */
            heard->n_body += room[i] == '=';
        }
    expect_true(n == 0 || errno == EAGAIN);
    return n == 0;
}

/* All ask, and the first does so until some of his answers has to be kept; how often he did. */
static size_t ask_until_kept(struct kit *kit)
{
    size_t n_asked = 0;
    while (loop_backlog(kit->loop)->n_bytes == 0) {
        struct heard others = {0};
        for (unsigned i = 0; i < N; i++)
            expect_int(write(kit->clients[i], GET, strlen(GET)), strlen(GET));
        n_asked++;
        turn(kit);
        for (unsigned i = 1; i < N; i++)
            (void)hear(kit->clients[i], &others);
    }
    return n_asked;
}

static void expect_all(struct kit *kit, size_t n_asked)
{
    struct heard heard = {0};
    while (!hear(kit->clients[0], &heard))
        turn(kit);
    expect_int(heard.n_answers, n_asked);
    expect_int(heard.n_body, n_asked * BODY_BYTES);
}

static void a_client_that_half_closes_gets_all(void)
{
    struct kit *kit = kit_new(3600 * NSEC_PER_SEC);
    size_t n_asked = ask_until_kept(kit);
    expect_int(shutdown(kit->clients[0], SHUT_WR), 0);
    for (int i = 0; i < 5; i++)
        turn(kit);
    expect_all(kit, n_asked);
    kit_free(kit);
}

static void draining_sees_the_last_bytes_off(void)
{
    struct kit *kit = kit_new(3600 * NSEC_PER_SEC);
    size_t n_asked = ask_until_kept(kit);
    http_server_drain(kit->server, NULL, NULL);
    turn(kit);
    expect_int(shutdown(kit->clients[0], SHUT_WR), 0);
    for (int i = 0; i < 5; i++)
        turn(kit);
    expect_all(kit, n_asked);
    kit_free(kit);
}

/* Long before an idle one would be; and those that have taken all are idle. */
static void a_client_that_takes_nothing_is_dropped_in_time(void)
{
    struct kit *kit = kit_new(50 * NSEC_PER_MSEC);
    (void)ask_until_kept(kit);
    nsec_t latest_ns = loop_now(kit->loop) + 10 * NSEC_PER_SEC;
    while (http_server_n_connections(kit->server) == N && loop_now(kit->loop) < latest_ns)
        turn(kit);
    for (int i = 0; i < 5; i++)
        turn(kit);
    expect_int(http_server_n_connections(kit->server), N - 1);
    expect_int(loop_backlog(kit->loop)->n_bytes, 0);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"a client that takes nothing of his last answer is dropped in time",
     a_client_that_takes_nothing_is_dropped_in_time},
    {"a client that half-closes gets all of his answers", a_client_that_half_closes_gets_all},
    {"draining sees the last bytes off", draining_sees_the_last_bytes_off},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
