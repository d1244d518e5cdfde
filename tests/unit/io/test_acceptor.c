/* SPDX-License-Identifier: Apache-2.0 */
#include "io/acceptor.h"

#include "support/fault_alloc.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { N_SPARE = 20, N_MAX = 200 };

/* Accepts and keeps. */
struct server {
    struct loop *loop;
    int listen_fd;
    struct addr addr;
    struct acceptor *acceptor;
    int fds[N_MAX];
    int n;
    struct peer last;
    unsigned n_shortages, n_refused;
    int spare_fds[N_SPARE]; /* that it can do without */
    int n_spare;
    int error;
};

static void keep(void *ctx, int fd, const struct peer *peer)
{
    struct server *server = ctx;
    server->fds[server->n++] = fd;
    server->last = *peer;
}

static void note_shortage(void *ctx, int error, unsigned n_refused)
{
    struct server *server = ctx;
    server->n_shortages++;
    server->n_refused += n_refused;
    server->error = error;
}

static void server_start(struct server *server)
{
    *server = (struct server){.listen_fd = -1};
    expect_int(loop_new(NULL, &server->loop), 0);
    server->listen_fd = listen_on_loopback(N_MAX, &server->addr);
    expect_int(fcntl(server->listen_fd, F_SETFL, O_NONBLOCK), 0);
    expect_int(acceptor_new(server->loop, server->listen_fd, keep, server, &server->acceptor), 0);
    acceptor_on_shortage(server->acceptor, note_shortage);
}

static void server_stop(struct server *server)
{
    acceptor_free(server->acceptor);
    for (int i = 0; i < server->n; i++)
        close(server->fds[i]);
    close(server->listen_fd);
    loop_free(server->loop);
}

static void accepts_with_peer_and_flags(void)
{
    struct server server;
    server_start(&server);
    int client = connect_to(&server.addr);
    struct addr mine = {.len = sizeof(mine.v4)};
    expect_int(getsockname(client, &mine.any, &mine.len), 0);
    loop_turn(server.loop, NSEC_NEVER);
    expect_int(server.n, 1);
    expect_int(server.last.port, ntohs(mine.v4.sin_port));
    char text[ADDR_TEXT_MAX];
    expect_slice(peer_format_ip(&server.last, text), "127.0.0.1");
    expect_true(fcntl(server.fds[0], F_GETFL) & O_NONBLOCK);
    expect_true(fcntl(server.fds[0], F_GETFD) & FD_CLOEXEC);
    close(client);
    server_stop(&server);
}

static void a_burst_is_taken_in_bounded_turns(void)
{
    struct server server;
    server_start(&server);
    int clients[N_MAX];
    for (int i = 0; i < N_MAX; i++)
        clients[i] = connect_to(&server.addr);
    loop_turn(server.loop, NSEC_NEVER);
    expect_true(server.n > 0 && server.n < N_MAX);
    while (server.n < N_MAX)
        loop_turn(server.loop, NSEC_NEVER);
    for (int i = 0; i < N_MAX; i++)
        close(clients[i]);
    server_stop(&server);
}

static bool give_up_spare(void *ctx)
{
    struct server *server = ctx;
    if (server->n_spare == 0)
        return false;
    close(server->spare_fds[--server->n_spare]);
    return true;
}

/* Of descriptors, until the limit that was is set again. */
static struct rlimit limit_descriptors(rlim_t limit)
{
    struct rlimit before;
    expect_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    expect_int(setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit, before.rlim_max}), 0);
    return before;
}

static void without_descriptors_clients_are_closed_not_ignored(void)
{
    struct server server;
    server_start(&server);
    int first = connect_to(&server.addr), second = connect_to(&server.addr), third = connect_to(&server.addr);
    int next = dup(first); /* the lowest number that is free */
    close(next);
    const struct rlimit before = limit_descriptors(((rlim_t)next + 1) * 8 / 7); /* an eighth is not for clients */

    loop_turn(server.loop, NSEC_NEVER); /* room for one */
    expect_int(server.n, 1);
    expect_int(server.n_refused, 2);
    expect_int(server.error, -EMFILE);
    char c;
    expect_true(read(second, &c, 1) <= 0);
    expect_true(read(third, &c, 1) <= 0);
    expect_int(write(first, "x", 1), 1); /* the one that was taken is unharmed */
    expect_int(read(server.fds[0], &c, 1), 1);

    /* With descriptors again, accepting goes on after the pause by itself. */
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    int fourth = connect_to(&server.addr);
    while (server.n < 2)
        loop_turn(server.loop, NSEC_NEVER);
    expect_int(server.n_refused, 2);
    expect_int(server.n_shortages, 1);
    close(first);
    close(second);
    close(third);
    close(fourth);
    server_stop(&server);
}

enum { NO_MORE = 3, LIMIT = 160, N_CLIENTS = 90 };

/* More clients than there are descriptors for. How many are left when the server has found out. */
static int flood(struct server *server, int clients[N_CLIENTS])
{
    int n_left = 0, fds[LIMIT];
    for (int i = 0; i < N_CLIENTS; i++)
        clients[i] = connect_to(&server->addr);
    while (server->n_shortages == 0)
        loop_turn(server->loop, NSEC_NEVER);
    while (n_left < LIMIT && (fds[n_left] = dup(clients[0])) >= 0)
        n_left++;
    for (int i = 0; i < n_left; i++)
        close(fds[i]);
    return n_left;
}

static void some_descriptors_are_not_for_clients(void)
{
    struct server server;
    int clients[N_CLIENTS];
    const struct rlimit before = limit_descriptors(LIMIT);
    server_start(&server);
    expect_int(flood(&server, clients), LIMIT / 8);
    expect_true(server.n > 0 && server.n_refused > 0);
    expect_int(server.error, -EMFILE);

    /* A limit that is raised meanwhile counts. */
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    int last = connect_to(&server.addr), n = server.n;
    while (server.n == n)
        loop_turn(server.loop, NSEC_NEVER);
    expect_int(server.n_shortages, 1);
    close(last);
    for (int i = 0; i < N_CLIENTS; i++)
        close(clients[i]);
    server_stop(&server);
}

static void preferred_clients_have_half_of_those(void)
{
    struct server server;
    int clients[N_CLIENTS];
    const struct rlimit before = limit_descriptors(LIMIT);
    server_start(&server);
    acceptor_prefer(server.acceptor);
    expect_int(flood(&server, clients), LIMIT / 16);
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < N_CLIENTS; i++)
        close(clients[i]);
    server_stop(&server);
}

static void clients_get_what_others_can_do_without(void)
{
    struct server server;
    int clients[N_CLIENTS];
    const struct rlimit before = limit_descriptors(LIMIT);
    server_start(&server);
    acceptor_on_need(server.acceptor, give_up_spare);
    while (server.n_spare < N_SPARE)
        expect_true((server.spare_fds[server.n_spare++] = dup(server.listen_fd)) > 0);
    expect_int(flood(&server, clients), LIMIT / 8);
    expect_int(server.n_spare, 0);
    expect_true(server.n_refused > 0);
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < N_CLIENTS; i++)
        close(clients[i]);
    server_stop(&server);
}

static void may_be_freed_in_its_pause(void)
{
    struct server server;
    server_start(&server);
    int client = connect_to(&server.addr);
    const struct rlimit before = limit_descriptors(NO_MORE);
    loop_turn(server.loop, NSEC_NEVER);
    expect_int(server.n, 0);
    expect_int(server.n_shortages, 1);
    expect_int(server.n_refused, 0); /* not even the spare may be used */
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(client);
    server_stop(&server);
}

/* While there are none it looks now and then, and does not spin. */
static void rests_while_there_are_no_descriptors(void)
{
    struct server server;
    server_start(&server);
    int client = connect_to(&server.addr);
    const struct rlimit before = limit_descriptors(NO_MORE);
    unsigned n_turns = 0;
    for (; server.n_shortages < 4; n_turns++)
        loop_turn(server.loop, NSEC_NEVER);
    expect_int(server.n, 0);
    expect_true(n_turns < 100); /* a look, a pause, a look …; who spins has made thousands */
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    while (server.n < 1)
        loop_turn(server.loop, NSEC_NEVER);
    close(client);
    server_stop(&server);
}

static int make_acceptor(void *arg)
{
    const int *listen_fd = arg;
    struct loop *loop;
    int r = loop_new(NULL, &loop);
    if (r < 0)
        return r;
    struct acceptor *acceptor = NULL;
    r = acceptor_new(loop, *listen_fd, keep, NULL, &acceptor);
    acceptor_free(acceptor);
    loop_free(loop);
    return r;
}

static void survives_failing_allocations(void)
{
    struct addr addr;
    int listen_fd = listen_on_loopback(1, &addr);
    expect_true(fault_alloc_sweep(make_acceptor, &listen_fd) >= 4);
    close(listen_fd);
}

static const struct test_case cases[] = {
    {"a connection comes with its peer, non-blocking and close-on-exec", accepts_with_peer_and_flags},
    {"a burst of connections is taken in bounded turns", a_burst_is_taken_in_bounded_turns},
    {"without descriptors clients are closed, and accepting goes on later",
     without_descriptors_clients_are_closed_not_ignored},
    {"some descriptors are not for clients", some_descriptors_are_not_for_clients},
    {"preferred clients have half of those", preferred_clients_have_half_of_those},
    {"clients get what others can do without", clients_get_what_others_can_do_without},
    {"it rests while there are no descriptors", rests_while_there_are_no_descriptors},
    {"an acceptor may be freed in its pause", may_be_freed_in_its_pause},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
