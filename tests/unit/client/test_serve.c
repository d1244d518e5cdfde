/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service that is run without a registry, and its callers. With a registry: tests/scenario/examples.py.
 */
#include "muster.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct stage;

/* A service in the test's thread, and a thread that does something with it, which then has it stopped. */
struct stage {
    struct muster_client *client;
    struct muster_server *server;
    void (*play)(struct stage *stage);
    pthread_t thread;
    struct muster_request *kept; /* by keep() */
    int pipe[2];                 /* a byte for each request that is kept */
    unsigned n_ready;
};

static void echo(void *ctx, struct muster_request *request)
{
    (void)ctx;
    expect_int(muster_request_reply(request, muster_request_params(request)), MUSTER_OK);
}

static void refuse(void *ctx, struct muster_request *request)
{
    (void)ctx;
    expect_int(muster_request_fail(request, -7, "not today"), MUSTER_OK);
}

static void say_nonsense(void *ctx, struct muster_request *request)
{
    (void)ctx;
    expect_int(muster_request_reply(request, "{"), MUSTER_BAD_OPTIONS);
}

/* Answered by another thread. */
static void keep(void *ctx, struct muster_request *request)
{
    struct stage *stage = ctx;
    stage->kept = request;
    expect_int(write(stage->pipe[1], "x", 1), 1);
}

static void stop(void *ctx, struct muster_request *request)
{
    (void)ctx;
    muster_server_stop(muster_request_server(request));
    expect_int(muster_request_reply(request, "\"bye\""), MUSTER_OK);
}

static const struct muster_method methods[] = {
    {"echo", echo}, {"refuse", refuse}, {"say_nonsense", say_nonsense}, {"keep", keep}, {"stop", stop}};

static void *run_play(void *arg)
{
    struct stage *stage = arg;
    stage->play(stage);
    return NULL;
}

static void on_ready(void *ctx, struct muster_server *server)
{
    struct stage *stage = ctx;
    stage->server = server;
    stage->n_ready++;
    expect_int(pthread_create(&stage->thread, NULL, run_play, stage), 0);
}

static struct muster_serve_options options_of(struct stage *stage)
{
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    options.methods = methods;
    options.n_methods = ARRAY_LEN(methods);
    options.on_ready = on_ready;
    options.ctx = stage;
    return options;
}

static void run(void (*play)(struct stage *stage), const struct muster_serve_options *changed)
{
    struct stage stage = {.play = play};
    struct muster_serve_options options = options_of(&stage);
    if (changed) {
        options.listen_lines = changed->listen_lines;
        options.slow_ms = changed->slow_ms;
        options.drain_ms = changed->drain_ms;
        options.max_connections = changed->max_connections;
        options.max_bytes = changed->max_bytes;
    }
    expect_int(pipe(stage.pipe), 0);
    expect_int(muster_client_new(NULL, &stage.client), MUSTER_OK);
    int result = muster_serve(stage.client, &options);
    expect_str(muster_error(stage.client), "");
    expect_int(result, MUSTER_OK);
    expect_int(stage.n_ready, 1);
    pthread_join(stage.thread, NULL);
    if (stage.kept && changed && changed->drain_ms == 1) /* later than the server: harmless */
        expect_int(muster_request_reply(stage.kept, "1"), MUSTER_OK);
    muster_client_free(stage.client);
    close(stage.pipe[0]);
    close(stage.pipe[1]);
}

/* Calls the server that is at the address; gives the result, and the reply's JSON or error. */
static int call(const char *address, const char *method, const char *params, char ret_text[256])
{
    struct muster_call_options options = MUSTER_CALL_INIT;
    struct muster_client *client;
    struct muster_service *service;
    struct muster_reply *reply;
    options.timeout_ms = 60000;
    expect_int(muster_client_new(NULL, &client), MUSTER_OK);
    expect_int(muster_service_static(client, "it", address, &service), MUSTER_OK);
    int result = muster_call(service, method, params, &options, &reply);
    snprintf(ret_text, 256, "%s",
             reply ? reply->result == MUSTER_OK ? reply->json : reply->error : muster_error(client));
    muster_reply_free(reply);
    muster_service_free(service);
    muster_client_free(client);
    return result;
}

static void expect_call(const char *address, const char *method, int result, const char *text)
{
    char said[256];
    int r = call(address, method, "{\"a\": 1}", said);
    expect_str(said, text);
    expect_int(r, result);
}

static int connect_to_port(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_int(connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to)), 0);
    return fd;
}

static void play_calls(struct stage *stage)
{
    char lines[200];
    const char *http = muster_server_address(stage->server);
    snprintf(lines, sizeof(lines), "tcp@%s", muster_server_lines_address(stage->server));
    const char *const addresses[] = {http, lines};
    for (size_t i = 0; i < 2; i++) {
        expect_call(addresses[i], "echo", MUSTER_OK, "{\"a\":1}");
        expect_call(addresses[i], "refuse", MUSTER_REMOTE_ERROR, "not today");
        expect_call(addresses[i], "say_nonsense", MUSTER_REMOTE_ERROR, "the method gave no JSON, or too much of it");
        expect_call(addresses[i], "other", MUSTER_REMOTE_ERROR, "there is no such method");
    }
    expect_call(http, "stop", MUSTER_OK, "\"bye\"");
}

static void requests_are_carried_out(void)
{
    struct muster_serve_options options = {.listen_lines = "127.0.0.1:0"};
    run(play_calls, &options);
}

static void play_unix(struct stage *stage)
{
    char lines[200];
    snprintf(lines, sizeof(lines), "unix@%s", muster_server_lines_address(stage->server) + strlen("unix:"));
    expect_call(lines, "echo", MUSTER_OK, "{\"a\":1}");
    expect_call(lines, "stop", MUSTER_OK, "\"bye\"");
}

static void a_unix_socket_is_removed_at_the_end(void)
{
    char path[64], address[80];
    snprintf(path, sizeof(path), "/tmp/muster-test-%ld.sock", (long)getpid());
    snprintf(address, sizeof(address), "unix:%s", path);
    struct muster_serve_options options = {.listen_lines = address};
    run(play_unix, &options);
    expect_true(access(path, F_OK) != 0);
    FILE *left = fopen(path, "w"); /* no socket: not ours to remove */
    fclose(left);
    struct stage stage = {0};
    struct muster_serve_options bad = options_of(&stage);
    bad.listen_lines = address;
    expect_int(muster_client_new(NULL, &stage.client), MUSTER_OK);
    expect_int(muster_serve(stage.client, &bad), MUSTER_BAD_OPTIONS);
    expect_true(strstr(muster_error(stage.client), "Address already in use") != NULL);
    muster_client_free(stage.client);
    unlink(path);
}

static void play_slow(struct stage *stage)
{
    const char *http = muster_server_address(stage->server);
    char bytes[256];
    int silent = connect_to_port(http), begun = connect_to_port(http);
    expect_int(send(begun, "POST /rpc HT", 12, MSG_NOSIGNAL), 12);
    expect_int(recv(silent, bytes, sizeof(bytes), 0), 0);
    expect_int(recv(begun, bytes, sizeof(bytes), 0) <= 0, 1);
    close(silent);
    close(begun);
    muster_server_stop(stage->server);
}

static void slow_clients_are_cut(void)
{
    struct muster_serve_options options = {.slow_ms = 50};
    run(play_slow, &options);
}

static void play_crowd(struct stage *stage)
{
    const char *http = muster_server_address(stage->server);
    static const char beat[] = "GET /heart-beat HTTP/1.1\r\nHost: x\r\n\r\n";
    int fds[8];
    char byte;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = connect_to_port(http);
        expect_int(send(fds[i], beat, strlen(beat), MSG_NOSIGNAL), strlen(beat));
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) { /* each has its turn, although none goes by itself */
        expect_int(recv(fds[i], &byte, 1, 0), 1);
        expect_int(byte, 'H');
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    muster_server_stop(stage->server);
}

static void connections_beyond_the_limit_wait(void)
{
    struct muster_serve_options options = {.max_connections = 2};
    run(play_crowd, &options);
}

static void *call_keep(void *arg)
{
    expect_call(arg, "keep", MUSTER_OK, "\"kept\"");
    return NULL;
}

static void play_drain(struct stage *stage)
{
    char address[200], byte;
    pthread_t caller;
    snprintf(address, sizeof(address), "%s", muster_server_address(stage->server));
    expect_int(pthread_create(&caller, NULL, call_keep, address), 0);
    expect_int(read(stage->pipe[0], &byte, 1), 1);
    kill(getpid(), SIGTERM);
    while (true) { /* until it listens no more */
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
        int r = connect(fd, (const struct sockaddr *)(const void *)&to, sizeof(to));
        close(fd);
        if (r < 0)
            break;
    }
    expect_int(muster_request_reply(stage->kept, "\"kept\""), MUSTER_OK);
    pthread_join(caller, NULL);
}

/* SIGTERM is blocked in all threads of the case before it has any. */
static void what_was_begun_is_finished_after_a_signal(void)
{
    sigset_t signals, after;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    run(play_drain, &(struct muster_serve_options){.drain_ms = 60000});
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    expect_int(sigismember(&after, SIGTERM), 1); /* as it was */
    expect_int(sigismember(&after, SIGINT), 0);
}

static void play_leave(struct stage *stage)
{
    char byte;
    static const char request[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"keep\"}";
    char head[200];
    int n = snprintf(head, sizeof(head), "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(request), request);
    int fd = connect_to_port(muster_server_address(stage->server));
    expect_int(send(fd, head, (size_t)n, MSG_NOSIGNAL), n);
    expect_int(read(stage->pipe[0], &byte, 1), 1);
    muster_server_stop(stage->server); /* after 1 ms it does not wait for the answer any more */
    expect_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void an_answer_after_the_end_is_harmless(void)
{
    struct muster_serve_options options = {.drain_ms = 1};
    run(play_leave, &options);
}

static void what_cannot_be_listened_on_is_told(void)
{
    static const char *const bad[][2] = {
        {"nonsense", "cannot listen on \"nonsense\": expected HOST:PORT"},
        {"127.0.0.1:99999999", "cannot listen on \"127.0.0.1:99999999\": expected HOST:PORT"},
        {"192.0.2.1:0", "cannot listen on \"192.0.2.1:0\": bind: Cannot assign requested address"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct stage stage = {0};
        struct muster_serve_options options = options_of(&stage);
        options.listen = bad[i][0];
        expect_int(muster_client_new(NULL, &stage.client), MUSTER_OK);
        expect_int(muster_serve(stage.client, &options), MUSTER_BAD_OPTIONS);
        expect_str(muster_error(stage.client), bad[i][1]);
        muster_client_free(stage.client);
    }
}

static void stop_at_once(void *ctx, struct muster_server *server)
{
    (void)ctx;
    muster_server_stop(server);
}

static int serve_once(void *arg)
{
    struct muster_serve_options options = MUSTER_SERVE_INIT;
    struct muster_client *client;
    (void)arg;
    options.on_ready = stop_at_once;
    if (muster_client_new(NULL, &client) != MUSTER_OK)
        return -ENOMEM;
    int result = muster_serve(client, &options);
    muster_client_free(client);
    expect_true(result == MUSTER_OK || result == MUSTER_OUT_OF_MEMORY);
    return result == MUSTER_OK ? 0 : -ENOMEM;
}

static void running_out_of_memory_is_an_error(void)
{
    expect_true(fault_alloc_sweep(serve_once, NULL) >= 2);
}

static const struct test_case cases[] = {
    {"requests are carried out", requests_are_carried_out},
    {"a unix socket is removed at the end, and a file of somebody else never", a_unix_socket_is_removed_at_the_end},
    {"slow clients are cut", slow_clients_are_cut},
    {"connections beyond the limit wait", connections_beyond_the_limit_wait},
    {"what was begun is finished after a signal", what_was_begun_is_finished_after_a_signal},
    {"an answer after the end is harmless", an_answer_after_the_end_is_harmless},
    {"what cannot be listened on is told", what_cannot_be_listened_on_is_told},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
