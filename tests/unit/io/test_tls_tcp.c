/* SPDX-License-Identifier: Apache-2.0 */
/* TLS on the kernel's sockets, with the command line's OpenSSL on the other end, and from many threads at once. */
#include "io/tcp.h"
#include "support/certs.h"
#include "support/sockets.h"
#include "support/test.h"
#include "support/tls_link.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_THREADS   4
#define N_ROUNDS    10
#define TURN_MAX_NS (10 * NSEC_PER_SEC)

struct fixture {
    struct certs *certs;
    struct tls_config *server, *client;
};

static void fixture_init(struct fixture *fixture)
{
    struct certs *certs = certs_new(1);
    struct tls_identity identity = certs_issue(certs, &(struct cert_options){.names = "DNS:a.test, IP:127.0.0.1"});
    *fixture = (struct fixture){
        .certs = certs,
        .server = tls_server_of(&(struct tls_options){.identities = &identity, .n_identities = 1}),
        .client = tls_client_of(&(struct tls_options){.ca_file = certs_ca_file(certs), .peer_check = TLS_PEER_REQUIRE}),
    };
}

static void fixture_deinit(struct fixture *fixture)
{
    tls_config_unref(fixture->server);
    tls_config_unref(fixture->client);
    certs_free(fixture->certs);
}

/* Takes the next connection; it has come already or is about to. */
static void accept_on(struct loop *loop, int listen_fd, struct tls_config *config, struct tls_end *end)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    expect_true(fd >= 0);
    struct stream *lower;
    expect_int(tcp_adopt(loop, fd, tls_end_on_event, end, &lower), 0);
    expect_int(tls_accept(lower, config, (struct slice){.ptr = NULL}, tls_end_on_event, end, &end->stream), 0);
}

static bool is_over(const struct tls_end *end)
{
    return end->error != 0 || (end->is_at_end && end->has_ended);
}

static void carries_megabytes_over_tcp(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    struct loop *loop;
    struct addr addr;
    expect_int(loop_new(NULL, &loop), 0);
    int listen_fd = listen_on_loopback(1, &addr);

    size_t n_bytes = (size_t)8 * 1024 * 1024;
    char *bytes = malloc(n_bytes);
    expect_true(bytes);
    uint64_t seed = test_seed();
    for (size_t i = 0; i < n_bytes; i++)
        bytes[i] = (char)test_random(&seed);
    struct slice all = slice_from(bytes, n_bytes);
    struct tls_end client = {.to_send = all, .ends_when_sent = true};
    struct tls_end server = {.to_send = all, .ends_when_sent = true};
    struct stream *lower;
    expect_int(tcp_connect(loop, &addr, loop_now(loop) + TURN_MAX_NS, tls_end_on_event, &client, &lower), 0);
    expect_int(tls_connect(lower, fixture.client, "127.0.0.1", tls_end_on_event, &client, &client.stream), 0);
    accept_on(loop, listen_fd, fixture.server, &server);
    while (!is_over(&client) || !is_over(&server))
        expect_int(loop_turn(loop, TURN_MAX_NS), 0);
    expect_int(client.error, 0);
    expect_int(server.error, 0);
    expect_true(slice_equal(buf_slice(&client.received), all));
    expect_true(slice_equal(buf_slice(&server.received), all));

    tls_end_deinit(&client);
    tls_end_deinit(&server);
    free(bytes);
    close(listen_fd);
    loop_free(loop);
    fixture_deinit(&fixture);
}

/* Starts `openssl s_client` with pipes on its input and output. */
static pid_t start_s_client(const struct addr *addr, const char *ca_file, int *ret_input, int *ret_output)
{
    int input[2], output[2];
    expect_int(pipe2(input, O_CLOEXEC), 0);
    expect_int(pipe2(output, O_CLOEXEC), 0);
    char target[ADDR_TEXT_MAX];
    (void)addr_format(addr, target);
    pid_t pid = fork();
    expect_true(pid >= 0);
    if (pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(output[1], STDOUT_FILENO);
        execlp("openssl", "openssl", "s_client", "-connect", target, "-quiet", "-verify_quiet", "-verify_return_error",
               "-verify_hostname", "a.test", "-servername", "a.test", "-CAfile", ca_file, "-no_ign_eof", (char *)NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    *ret_input = input[1];
    *ret_output = output[0];
    return pid;
}

static void talks_to_the_openssl_program(void)
{
    if (system("openssl version >/dev/null 2>&1") != 0)
        test_skip("there is no openssl program");
    struct fixture fixture;
    fixture_init(&fixture);
    struct loop *loop;
    struct addr addr;
    expect_int(loop_new(NULL, &loop), 0);
    int listen_fd = listen_on_loopback(1, &addr);
    int input, output;
    pid_t pid = start_s_client(&addr, certs_ca_file(fixture.certs), &input, &output);
    expect_int(write(input, "hello\n", 6), 6);

    struct tls_end server = {.stream = NULL};
    accept_on(loop, listen_fd, fixture.server, &server);
    while (server.error == 0 && server.received.len < 6)
        expect_int(loop_turn(loop, TURN_MAX_NS), 0);
    expect_bytes(buf_slice(&server.received), SLICE_LIT("hello\n"));
    server.to_send = SLICE_LIT("and hello to you");
    server.ends_when_sent = true;
    tls_end_tick(&server);
    while (!is_over(&server))
        expect_int(loop_turn(loop, TURN_MAX_NS), 0);

    char answer[64];
    ssize_t n = read(output, answer, sizeof(answer));
    expect_bytes(slice_from(answer, n > 0 ? (size_t)n : 0), SLICE_LIT("and hello to you"));
    close(input);
    close(output);
    int status;
    expect_int(waitpid(pid, &status, 0), pid);
    expect_int(status, 0);
    tls_end_deinit(&server);
    close(listen_fd);
    loop_free(loop);
    fixture_deinit(&fixture);
}

/* Connections on a loop of this thread, with configs that all threads share. */
static void *run_thread(void *arg)
{
    struct fixture *fixture = arg;
    for (int i = 0; i < N_ROUNDS; i++) {
        struct tls_config *server = tls_config_ref(fixture->server);
        struct tls_link link;
        expect_int(tls_link_init(&link, &(struct tls_link_options){.client = fixture->client, .server = server}), 0);
        tls_config_unref(server);
        link.client.to_send = SLICE_LIT("hello");
        link.client.ends_when_sent = link.server.ends_when_sent = true;
        tls_link_run(&link);
        expect_bytes(buf_slice(&link.server.received), SLICE_LIT("hello"));
        expect_true(is_over(&link.client) && is_over(&link.server));
        expect_int(link.client.error + link.server.error, 0);
        tls_link_deinit(&link);
    }
    tls_config_unref(fixture->server);
    tls_config_unref(fixture->client);
    return NULL;
}

static void shares_configs_among_threads(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    pthread_t threads[N_THREADS];
    for (size_t i = 0; i < N_THREADS; i++) {
        tls_config_ref(fixture.server);
        tls_config_ref(fixture.client);
        expect_int(pthread_create(&threads[i], NULL, run_thread, &fixture), 0);
    }
    /* As at a reload: whoever made the config may drop it first. */
    tls_config_unref(fixture.server);
    tls_config_unref(fixture.client);
    for (size_t i = 0; i < N_THREADS; i++)
        expect_int(pthread_join(threads[i], NULL), 0);
    certs_free(fixture.certs);
}

static const struct test_case cases[] = {
    {"megabytes get through a TCP connection both ways", carries_megabytes_over_tcp},
    {"the openssl program is understood", talks_to_the_openssl_program},
    {"threads share configs", shares_configs_among_threads},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
