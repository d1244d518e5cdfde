/* SPDX-License-Identifier: Apache-2.0 */
#include "io/worker.h"

#include "io/acceptor.h"
#include "io/listener.h"
#include "io/tcp.h"
#include "support/fault_alloc.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static struct worker_group *group_of(unsigned n, struct rcu_domain *rcu)
{
    struct worker_group *group;
    struct err err;
    if (worker_group_new(n, rcu, &group, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    expect_int(worker_group_size(group), n);
    return group;
}

/* Hooks that count, and fail where told. */
struct record {
    pthread_t main_thread;
    int fail_at; /* index of the worker whose start fails; -1: none */
    atomic_int n_started, n_stopped;
};

static int count_start(void *ctx, struct worker *worker)
{
    struct record *record = ctx;
    expect_false(pthread_equal(pthread_self(), record->main_thread));
    if ((int)worker_index(worker) == record->fail_at)
        return -EACCES;
    record->n_started++;
    return 0;
}

static void count_stop(void *ctx, struct worker *worker)
{
    struct record *record = ctx;
    (void)worker;
    record->n_stopped++;
}

static int take_name(void *ctx, struct worker *worker)
{
    (void)ctx, (void)worker;
    return -pthread_setname_np(pthread_self(), "planet");
}

static void expect_name(void *ctx, struct worker *worker)
{
    char name[16];
    (void)worker;
    expect_int(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
    expect_str(name, "planet");
    ++*(atomic_int *)ctx;
}

/* Hundreds of times, since who starts a thread and the thread itself run side by side. */
static void a_name_that_the_hook_gives_stays(void)
{
    atomic_int n_seen = 0;
    struct worker_group *group = group_of(2, NULL);
    const struct worker_hooks hooks = {take_name, expect_name, &n_seen};
    for (int round = 1; round <= 300; round++) {
        expect_int(worker_group_start(group, &hooks, NULL), 0);
        worker_group_stop(group);
        expect_int(n_seen, 2 * round);
    }
    worker_group_free(group);
}

static void starts_and_stops_on_their_threads(void)
{
    struct record record = {.main_thread = pthread_self(), .fail_at = -1};
    struct worker_group *group = group_of(4, NULL);
    const struct worker_hooks hooks = {count_start, count_stop, &record};
    for (int round = 1; round <= 3; round++) {
        expect_int(worker_group_start(group, &hooks, NULL), 0);
        expect_int(record.n_started, 4 * round);
        worker_group_stop(group);
        expect_int(record.n_stopped, 4 * round);
    }
    worker_group_stop(group);
    worker_group_free(group);
    worker_group_free(NULL);
}

static void one_that_cannot_start_stops_all(void)
{
    struct record record = {.main_thread = pthread_self(), .fail_at = 2};
    struct worker_group *group = group_of(4, NULL);
    struct err err = {""};
    const struct worker_hooks hooks = {count_start, count_stop, &record};
    expect_int(worker_group_start(group, &hooks, &err), -EACCES);
    expect_true(strstr(err.text, "worker 2"));
    expect_int(record.n_started, 3);
    expect_int(record.n_stopped, 3);
    worker_group_free(group);
}

static int expect_signals_blocked(void *ctx, struct worker *worker)
{
    (void)ctx;
    (void)worker;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    expect_true(sigismember(&mask, SIGTERM));
    expect_true(sigismember(&mask, SIGHUP));
    return 0;
}

static void workers_take_no_signals(void)
{
    struct worker_group *group = group_of(1, NULL);
    const struct worker_hooks hooks = {.start = expect_signals_blocked};
    expect_int(worker_group_start(group, &hooks, NULL), 0);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    expect_false(sigismember(&mask, SIGTERM)); /* the main thread does */
    worker_group_stop(group);
    worker_group_free(group);
}

static void sleeping_workers_hold_up_no_grace_period(void)
{
    struct rcu_domain rcu;
    rcu_init(&rcu);
    struct worker_group *group = group_of(3, &rcu);
    const struct worker_hooks hooks = {0};
    expect_int(worker_group_start(group, &hooks, NULL), 0);
    rcu_synchronize(&rcu); /* would hang */
    worker_group_stop(group);
    worker_group_free(group);
    rcu_deinit(&rcu);
}

/* A server on all workers: each connection is answered with one byte, the index of the worker that serves it. */

enum { N_WORKERS = 3, N_CLIENTS = 300 };

struct connection {
    struct list link;
    struct stream *stream;
    struct worker *worker;
};

struct server {
    struct listener *listener;
    struct acceptor *acceptors[N_WORKERS];
    struct list connections[N_WORKERS]; /* each touched by its worker only */
    unsigned only_accepts;              /* the worker that has the listening socket */
};

static void connection_close(struct connection *connection)
{
    worker_add_connections(connection->worker, -1);
    list_remove(&connection->link);
    stream_close(connection->stream);
    free(connection);
}

static void on_event(struct stream *stream, unsigned new_bits)
{
    struct connection *connection = stream->owner;
    if (new_bits & (STREAM_PEER_DONE | STREAM_FAILED))
        connection_close(connection);
}

static void serve(void *ctx, struct worker *worker, int fd, const struct peer *peer)
{
    struct server *server = ctx;
    struct connection *connection = malloc(sizeof(*connection));
    expect_int(peer->family, AF_INET);
    connection->worker = worker;
    list_init(&connection->link);
    expect_int(tcp_adopt(worker_loop(worker), fd, on_event, connection, &connection->stream), 0);
    list_push_back(&server->connections[worker_index(worker)], &connection->link);
    char name = (char)('0' + worker_index(worker));
    expect_int(stream_send(connection->stream, slice_from(&name, 1)), 1);
}

struct accepting {
    struct server *server;
    struct worker *worker;
};

static void on_accept(void *ctx, int fd, const struct peer *peer)
{
    struct accepting *accepting = ctx;
    worker_dispatch(accepting->worker, fd, peer, serve, accepting->server);
}

static int server_start(void *ctx, struct worker *worker)
{
    struct server *server = ctx;
    unsigned index = worker_index(worker);
    list_init(&server->connections[index]);
    if (index != server->only_accepts)
        return 0;
    static struct accepting accepting;
    accepting = (struct accepting){server, worker};
    return acceptor_new(worker_loop(worker), listener_fd(server->listener, 0), on_accept, &accepting,
                        &server->acceptors[index]);
}

static void server_stop(void *ctx, struct worker *worker)
{
    struct server *server = ctx;
    unsigned index = worker_index(worker);
    acceptor_free(server->acceptors[index]);
    list_for_each (link, &server->connections[index])
        connection_close(container_of(link, struct connection, link));
}

static void connections_go_to_the_less_busy(void)
{
    struct server server = {.only_accepts = 1};
    struct addr addr;
    expect_int(addr_parse(SLICE_LIT("127.0.0.1:0"), &addr, NULL), 0);
    expect_int(listener_open(&addr, 1, &(struct listen_options){.backlog = N_CLIENTS}, &server.listener, NULL), 0);
    struct worker_group *group = group_of(N_WORKERS, NULL);
    const struct worker_hooks hooks = {server_start, server_stop, &server};
    expect_int(worker_group_start(group, &hooks, NULL), 0);

    int clients[N_CLIENTS], n_served[N_WORKERS] = {0};
    for (int i = 0; i < N_CLIENTS; i++)
        clients[i] = connect_to(listener_addr(server.listener));
    for (int i = 0; i < N_CLIENTS; i++) {
        char name;
        expect_int(read(clients[i], &name, 1), 1);
        n_served[name - '0']++;
    }
    unsigned n_total = 0;
    for (int i = 0; i < N_WORKERS; i++) {
        expect_int(worker_n_connections(worker_group_get(group, (unsigned)i)), n_served[i]);
        expect_true(n_served[i] > N_CLIENTS / N_WORKERS / 2);
        n_total += (unsigned)n_served[i];
    }
    expect_int(n_total, N_CLIENTS);
    worker_group_stop(group); /* with all connections open: the hooks close them */
    for (int i = 0; i < N_WORKERS; i++)
        expect_int(worker_n_connections(worker_group_get(group, (unsigned)i)), 0);
    for (int i = 0; i < N_CLIENTS; i++)
        close(clients[i]);
    worker_group_free(group);
    listener_close(server.listener);
}

/* Stopping while connections pour in loses and leaks none: each is served or refused, and all are closed. */
static void stops_in_the_middle_of_hand_overs(void)
{
    enum { N_ROUNDS = 10 };
    struct server server = {.only_accepts = 0};
    struct addr addr;
    expect_int(addr_parse(SLICE_LIT("127.0.0.1:0"), &addr, NULL), 0);
    /* What nobody accepted in a round still waits in the next: the queue must have room for all. */
    const struct listen_options options = {.backlog = N_ROUNDS * N_CLIENTS};
    expect_int(listener_open(&addr, 1, &options, &server.listener, NULL), 0);
    for (int round = 0; round < N_ROUNDS; round++) {
        struct worker_group *group = group_of(N_WORKERS, NULL);
        const struct worker_hooks hooks = {server_start, server_stop, &server};
        int clients[N_CLIENTS / 2];
        for (size_t i = 0; i < ARRAY_LEN(clients); i++)
            clients[i] = connect_to(listener_addr(server.listener));
        expect_int(worker_group_start(group, &hooks, NULL), 0);
        worker_group_stop(group);
        for (unsigned i = 0; i < N_WORKERS; i++)
            expect_int(worker_n_connections(worker_group_get(group, i)), 0);
        for (size_t i = 0; i < ARRAY_LEN(clients); i++)
            close(clients[i]);
        worker_group_free(group);
    }
    listener_close(server.listener);
}

struct letter {
    struct mail mail;
    bool is_delivered;
};

static void take_letter(struct mail *mail)
{
    container_of(mail, struct letter, mail)->is_delivered = true;
}

static void mail_for_workers_that_never_started_comes_back(void)
{
    struct worker_group *group = group_of(1, NULL);
    struct letter letter = {.mail.deliver = take_letter};
    loop_post(worker_loop(worker_group_get(group, 0)), &letter.mail);
    worker_group_free(group);
    expect_true(letter.is_delivered);
}

static void what_waits_for_slow_peers_is_in_the_metrics(void)
{
    CLEANUP(buf_deinit) struct buf text = {0};
    struct metrics *metrics;
    struct worker_group *group = group_of(2, NULL);
    struct backlog *backlog = loop_backlog(worker_loop(worker_group_get(group, 1)));
    expect_int(metrics_new(2, &metrics), 0);
    expect_int(worker_group_register_metrics(group, metrics), 0);
    backlog->n_bytes_max = 5000;
    backlog_note(backlog, 0, 700);
    expect_int(metrics_render(metrics, &text), 0);
    expect_true(strstr(text.ptr, "\nmuster_unsent_bytes{worker=\"0\"} 0\n") != NULL);
    expect_true(strstr(text.ptr, "\nmuster_unsent_bytes{worker=\"1\"} 700\n") != NULL);
    expect_true(strstr(text.ptr, "\nmuster_unsent_bytes_max{worker=\"1\"} 5000\n") != NULL);
    backlog_note(backlog, 700, 0);
    metrics_free(metrics);
    worker_group_free(group);
}

static int make_group(void *arg)
{
    (void)arg;
    struct worker_group *group;
    int r = worker_group_new(2, NULL, &group, NULL);
    if (r < 0)
        return r;
    worker_group_free(group);
    return 0;
}

static void survives_failing_allocations(void)
{
    expect_true(fault_alloc_sweep(make_group, NULL) >= 8);
}

static const struct test_case cases[] = {
    {"hooks run on the workers' threads, each once per start and stop", starts_and_stops_on_their_threads},
    {"a name that the hook gives stays", a_name_that_the_hook_gives_stays},
    {"one worker that cannot start stops all", one_that_cannot_start_stops_all},
    {"workers take no signals", workers_take_no_signals},
    {"sleeping workers hold up no grace period", sleeping_workers_hold_up_no_grace_period},
    {"connections go to the less busy worker", connections_go_to_the_less_busy},
    {"stopping in the middle of hand-overs leaks nothing", stops_in_the_middle_of_hand_overs},
    {"mail for workers that never started comes back", mail_for_workers_that_never_started_comes_back},
    {"what waits for slow peers is in the metrics", what_waits_for_slow_peers_is_in_the_metrics},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
