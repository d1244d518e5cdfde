/* SPDX-License-Identifier: Apache-2.0 */
#include "io/listener.h"

#include "support/fault_alloc.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct listen_options options = {.backlog = 100, .unix_mode = 0600};

static struct addr parse(const char *text)
{
    struct addr addr;
    expect_int(addr_parse(slice_from_str(text), &addr, NULL), 0);
    return addr;
}

static struct listener *open_on(const char *text, unsigned n)
{
    struct listener *listener;
    struct err err;
    struct addr addr = parse(text);
    if (listener_open(&addr, n, &options, &listener, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    return listener;
}

static void expect_in_use(const struct addr *addr, unsigned n)
{
    struct listener *second;
    struct err err = {""};
    expect_int(listener_open(addr, n, &options, &second, &err), -EADDRINUSE);
    expect_true(strstr(err.text, "in use"));
}

static void sockets_share_one_address(void)
{
    enum { N = 3, CONNECTIONS = 200 };
    struct listener *listener = open_on("127.0.0.1:0", N);
    expect_true(ntohs(listener_addr(listener)->v4.sin_port) != 0);

    int n_accepted[N] = {0}, clients[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++)
        clients[i] = connect_to(listener_addr(listener));
    for (unsigned k = 0; k < N; k++)
        for (int fd; (fd = accept4(listener_fd(listener, k), NULL, NULL, SOCK_NONBLOCK)) >= 0; n_accepted[k]++) {
            int nodelay = 0;
            expect_int(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &(socklen_t){sizeof(nodelay)}), 0);
            expect_true(nodelay); /* inherited */
            close(fd);
        }
    int n_total = 0;
    for (int k = 0; k < N; k++) {
        expect_true(n_accepted[k] > 0);
        n_total += n_accepted[k];
    }
    expect_int(n_total, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        close(clients[i]);
    listener_close(listener);
}

static void a_port_in_use_is_found(void)
{
    struct listener *listener = open_on("127.0.0.1:0", 2);
    struct addr addr = *listener_addr(listener);
    expect_in_use(&addr, 1);
    expect_in_use(&addr, 2);
    struct addr all = addr;
    all.v4.sin_addr.s_addr = INADDR_ANY;
    expect_in_use(&all, 2);
    listener_close(listener);

    struct listener *again;
    expect_int(listener_open(&addr, 2, &options, &again, NULL), 0);
    listener_close(again);
}

static void one_that_shares_its_port_is_found_too(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct addr addr = parse("127.0.0.1:0");
    expect_int(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1}, sizeof(int)), 0);
    expect_int(bind(fd, &addr.any, addr.len), 0);
    expect_int(listen(fd, 5), 0);
    expect_int(getsockname(fd, &addr.any, &addr.len), 0);
    expect_in_use(&addr, 2);
    close(fd);
}

/* What a child process would answer: the errno of opening the address, as exit code. */
static int open_in_child(const struct addr *addr, unsigned n)
{
    pid_t pid = fork();
    expect_true(pid >= 0);
    if (pid == 0) {
        struct listener *listener;
        _exit(-listener_open(addr, n, &options, &listener, NULL));
    }
    int status;
    expect_int(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -1000;
}

static void another_process_finds_it_in_use(void)
{
    struct listener *listener = open_on("127.0.0.1:0", 2);
    struct addr addr = *listener_addr(listener);
    expect_int(open_in_child(&addr, 2), -EADDRINUSE);
    listener_close(listener);
    expect_int(open_in_child(&addr, 2), 0);
}

static void connections_that_linger_do_not_hold_the_port(void)
{
    struct listener *listener = open_on("127.0.0.1:0", 2);
    struct addr addr = *listener_addr(listener);
    int client = connect_to(&addr);
    struct pollfd polls[2] = {{listener_fd(listener, 0), POLLIN, 0}, {listener_fd(listener, 1), POLLIN, 0}};
    expect_int(poll(polls, 2, -1), 1);
    int fd = accept4(polls[polls[0].revents ? 0 : 1].fd, NULL, NULL, SOCK_CLOEXEC);
    expect_true(fd >= 0);
    close(fd); /* closed by the server first: the port is in TIME_WAIT */
    close(client);
    listener_close(listener);
    struct listener *again;
    expect_int(listener_open(&addr, 2, &options, &again, NULL), 0);
    listener_close(again);
}

static void all_interfaces_take_ipv4(void)
{
    struct listener *listener = open_on(":0", 1);
    const struct addr *bound = listener_addr(listener);
    struct addr v4 = parse("127.0.0.1:0");
    v4.v4.sin_port = bound->any.sa_family == AF_INET6 ? bound->v6.sin6_port : bound->v4.sin_port;
    int client = connect_to(&v4);
    struct addr from = {.len = sizeof(from.v6)};
    int fd = accept4(listener_fd(listener, 0), &from.any, &from.len, SOCK_CLOEXEC);
    expect_true(fd >= 0);
    struct peer peer;
    peer_from_addr(&from, &peer);
    expect_int(peer.family, AF_INET);
    close(fd);
    close(client);
    listener_close(listener);
}

static void a_foreign_address_is_refused_with_a_reason(void)
{
    struct addr addr = parse("192.0.2.1:1");
    struct listener *listener;
    struct err err = {""};
    expect_int(listener_open(&addr, 1, &options, &listener, &err), -EADDRNOTAVAIL);
    expect_true(strstr(err.text, "192.0.2.1:1"));
}

/* Unix sockets. */

struct folder {
    char path[64], socket_text[128];
};

static void folder_make(struct folder *folder)
{
    snprintf(folder->path, sizeof(folder->path), "/tmp/muster-test-XXXXXX");
    expect_true(mkdtemp(folder->path));
    snprintf(folder->socket_text, sizeof(folder->socket_text), "unix:%s/socket", folder->path);
}

static void unix_sockets_are_shared_and_private(void)
{
    struct folder folder;
    folder_make(&folder);
    struct listener *listener = open_on(folder.socket_text, 4);
    expect_int(listener_fd(listener, 3), listener_fd(listener, 0));
    struct stat info;
    expect_int(stat(folder.socket_text + 5, &info), 0);
    expect_int(info.st_mode & 0777, 0600);

    struct addr addr = parse(folder.socket_text);
    expect_in_use(&addr, 1);
    int client = connect_to(&addr);
    close(client);
    listener_close(listener);
    expect_int(rmdir(folder.path), 0); /* the file is gone */
}

static void a_stale_unix_socket_is_replaced(void)
{
    struct folder folder;
    folder_make(&folder);
    struct addr addr = parse(folder.socket_text);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    expect_int(bind(fd, &addr.any, addr.len), 0);
    close(fd); /* as a process that was killed leaves it */
    struct listener *listener = open_on(folder.socket_text, 1);
    close(connect_to(&addr));
    listener_close(listener);
    expect_int(rmdir(folder.path), 0);
}

static void a_file_that_is_no_socket_is_left_alone(void)
{
    struct folder folder;
    folder_make(&folder);
    FILE *file = fopen(folder.socket_text + 5, "w");
    expect_true(file);
    fclose(file);
    struct addr addr = parse(folder.socket_text);
    expect_in_use(&addr, 1);
    expect_int(unlink(folder.socket_text + 5), 0);
    expect_int(rmdir(folder.path), 0);
}

static int open_both_kinds(void *arg)
{
    char name[64];
    const char *const texts[] = {"127.0.0.1:0", name};
    snprintf(name, sizeof(name), "unix:@muster-test-listener-%d", (int)getpid());
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct addr addr = parse(texts[i]);
        struct listener *listener;
        int r = listener_open(&addr, 2, &options, &listener, NULL);
        if (r < 0)
            return r;
        listener_close(listener);
    }
    return 0;
}

static void survives_failing_allocations(void)
{
    expect_int(fault_alloc_sweep(open_both_kinds, NULL), 2);
}

static const struct test_case cases[] = {
    {"the sockets of a listener share its address, its connections and TCP_NODELAY", sockets_share_one_address},
    {"a port in use is found", a_port_in_use_is_found},
    {"a port in use by one that would share it is found too", one_that_shares_its_port_is_found_too},
    {"another process finds the port in use", another_process_finds_it_in_use},
    {"old connections do not hold the port", connections_that_linger_do_not_hold_the_port},
    {"all interfaces take IPv4 too", all_interfaces_take_ipv4},
    {"an address of another machine is refused with a reason", a_foreign_address_is_refused_with_a_reason},
    {"a Unix socket is shared by the workers, has its mode, and leaves no file", unix_sockets_are_shared_and_private},
    {"a stale Unix socket is replaced", a_stale_unix_socket_is_replaced},
    {"a file that is no socket is left alone", a_file_that_is_no_socket_is_left_alone},
    {"out of memory is reported and leaks nothing", survives_failing_allocations},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
