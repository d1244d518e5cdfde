/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of one and of all, against peers in threads that take one connection after the other. */
#include "muster.h"

#include "base/buf.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_LINE   "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"sum\": 3}}"
#define OK_ANSWER "HTTP/1.1 200 OK\r\n\r\n" OK_LINE

/* Says `answer` to each request; NULL: nothing, until the caller goes. */
struct far_end {
    const char *answer;
    int listen_fd;
    unsigned port;
    pthread_t thread;
    unsigned n_requests;
    char request[1024]; /* the last one */
};

static void serve_one(struct far_end *far, int fd)
{
    size_t len = 0;
    for (ssize_t n; !strchr(far->request, '}') && len + 1 < sizeof(far->request); len += (size_t)n) {
        n = recv(fd, far->request + len, sizeof(far->request) - 1 - len, 0);
        if (n <= 0)
            return;
        far->request[len + (size_t)n] = '\0';
    }
    far->n_requests++;
    if (far->answer)
        (void)send(fd, far->answer, strlen(far->answer), MSG_NOSIGNAL);
    else
        (void)recv(fd, &len, 1, 0);
}

static void *serve(void *arg)
{
    struct far_end *far = arg;
    for (int fd; (fd = accept(far->listen_fd, NULL, NULL)) >= 0;) {
        far->request[0] = '\0';
        serve_one(far, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static unsigned listen_somewhere(int *ret_fd)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_int(bind(*ret_fd, (const struct sockaddr *)(const void *)&address, len), 0);
    expect_int(getsockname(*ret_fd, (struct sockaddr *)(void *)&address, &len), 0);
    return ntohs(address.sin_port);
}

static void far_end_start(struct far_end *far, const char *answer)
{
    *far = (struct far_end){.answer = answer};
    far->port = listen_somewhere(&far->listen_fd);
    expect_int(listen(far->listen_fd, 16), 0);
    expect_int(pthread_create(&far->thread, NULL, serve, far), 0);
}

static void far_end_stop(struct far_end *far)
{
    shutdown(far->listen_fd, SHUT_RDWR);
    pthread_join(far->thread, NULL);
    close(far->listen_fd);
}

/* A client with a fixed list: the peers' ports behind the scheme. */
struct near_end {
    struct muster_client *client;
    struct muster_service *service;
};

static struct near_end near_end_start(const char *scheme, const unsigned *ports, size_t n_ports)
{
    struct near_end near_end;
    char list[512];
    size_t len = 0;
    for (size_t i = 0; i < n_ports; i++)
        len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s127.0.0.1:%u", i > 0 ? "," : "", scheme, ports[i]);
    expect_int(muster_client_new(NULL, &near_end.client), MUSTER_OK);
    expect_int(muster_service_static(near_end.client, "sums", list, &near_end.service), MUSTER_OK);
    return near_end;
}

static void near_end_stop(struct near_end near_end)
{
    muster_service_free(near_end.service);
    muster_client_free(near_end.client);
}

static void one_is_called_by_http(void)
{
    static const char *const schemes[] = {"http@", "", "http://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct far_end far;
        struct muster_reply *reply;
        far_end_start(&far, OK_ANSWER);
        struct near_end near_end = near_end_start(schemes[i], &far.port, 1);
        int result = muster_call(near_end.service, "sum", "[1,\n 2]", NULL, &reply);
        expect_str(muster_error(near_end.client), "");
        expect_int(result, MUSTER_OK);
        expect_int(reply->result, MUSTER_OK);
        expect_str(reply->json, "{\"sum\":3}");
        expect_int(reply->instance->port, far.port);
        near_end_stop(near_end);
        muster_reply_free(reply);
        far_end_stop(&far);
        expect_true(strncmp(far.request, "POST /rpc HTTP/1.1\r\n", 20) == 0);
        expect_true(
            strstr(far.request, "\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sum\",\"params\":[1,2]}\n"));
    }
}

static void one_is_called_by_a_line(void)
{
    struct far_end far;
    struct muster_reply *reply;
    far_end_start(&far, OK_LINE "\n");
    struct near_end near_end = near_end_start("tcp@", &far.port, 1);
    expect_int(muster_call(near_end.service, "sum", NULL, NULL, &reply), MUSTER_OK);
    expect_str(reply->json, "{\"sum\":3}");
    muster_reply_free(reply);
    near_end_stop(near_end);
    far_end_stop(&far);
    expect_str(far.request, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sum\"}\n");
}

static const struct {
    const char *answer;
    int result;
    const char *words;
} answers[] = {
    {"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-7,\"message\":\"no\"}}\n", MUSTER_REMOTE_ERROR, "no"},
    {"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-7,\"message\":\"no\"}}\n", MUSTER_REMOTE_ERROR, "no"},
    {"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":1}\n", MUSTER_BAD_ANSWER, "another request"},
    {"{\"jsonrpc\":\"2.0\",\"id\":1}\n", MUSTER_BAD_ANSWER, "neither"},
    {"SSH-2.0\n", MUSTER_BAD_ANSWER, "no JSON-RPC reply"},
    {OK_LINE, MUSTER_BAD_ANSWER, "closed before a whole line"},
};

static void each_reply_has_its_result(void)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct far_end far;
        struct muster_reply *reply;
        far_end_start(&far, answers[i].answer);
        struct near_end near_end = near_end_start("tcp@", &far.port, 1);
        expect_int(muster_call(near_end.service, "sum", NULL, NULL, &reply), answers[i].result);
        if (!strstr(muster_error(near_end.client), answers[i].words))
            test_fail(__FILE__, __LINE__, "%s: %s", answers[i].answer, muster_error(near_end.client));
        expect_int(reply != NULL, answers[i].result == MUSTER_REMOTE_ERROR);
        if (reply) {
            expect_int(reply->result, MUSTER_REMOTE_ERROR);
            expect_int(reply->error_code, -7);
            expect_str(reply->error, "no");
        }
        muster_reply_free(reply);
        near_end_stop(near_end);
        far_end_stop(&far);
    }
}

static void who_takes_no_connection_is_passed_over(void)
{
    struct far_end far;
    int nobody_fd;
    far_end_start(&far, OK_ANSWER);
    const unsigned ports[] = {listen_somewhere(&nobody_fd), far.port}; /* bound, and nobody listens */
    struct near_end near_end = near_end_start("", ports, 2);
    for (int i = 0; i < 4; i++) {
        struct muster_reply *reply;
        expect_int(muster_call(near_end.service, "sum", NULL, NULL, &reply), MUSTER_OK);
        expect_int(reply->instance->port, far.port);
        muster_reply_free(reply);
    }
    near_end_stop(near_end);
    far_end_stop(&far);
    close(nobody_fd);
    expect_int(far.n_requests, 4);
}

static void who_was_lost_in_the_middle_is_passed_over_only_if_told(void)
{
    struct far_end lost, well;
    struct muster_call_options options = MUSTER_CALL_INIT;
    unsigned n_ok = 0;
    far_end_start(&lost, "");
    far_end_start(&well, OK_ANSWER);
    const unsigned ports[] = {lost.port, well.port};
    struct near_end near_end = near_end_start("", ports, 2);
    for (int i = 0; i < 8; i++) {
        struct muster_reply *reply;
        options.repeatable = i < 4;
        int result = muster_call(near_end.service, "sum", NULL, &options, &reply);
        n_ok += result == MUSTER_OK;
        expect_true(result == MUSTER_OK || (!options.repeatable && result == MUSTER_BAD_ANSWER));
        muster_reply_free(reply);
    }
    near_end_stop(near_end);
    far_end_stop(&lost);
    far_end_stop(&well);
    expect_int(n_ok, 6);
}

static void who_takes_no_connection_is_named_as_listed(void)
{
    static const char *const schemes[] = {"tcp@", "http@", ""}, *const named[] = {"tcp@", "http://", "http://"};
    int nobody_fd;
    const unsigned port = listen_somewhere(&nobody_fd); /* bound, and nobody listens */
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct muster_reply *reply;
        char expected[128];
        struct near_end near_end = near_end_start(schemes[i], &port, 1);
        expect_int(muster_call(near_end.service, "sum", NULL, NULL, &reply), MUSTER_UNREACHABLE);
        snprintf(expected, sizeof(expected), "%s127.0.0.1:%u: cannot connect: Connection refused", named[i], port);
        expect_str(muster_error(near_end.client), expected);
        near_end_stop(near_end);
    }
    close(nobody_fd);
}

static void a_call_has_a_deadline(void)
{
    struct far_end far;
    struct muster_call_options options = MUSTER_CALL_INIT;
    struct muster_reply *reply;
    far_end_start(&far, NULL);
    struct near_end near_end = near_end_start("", &far.port, 1);
    options.timeout_ms = 30;
    expect_int(muster_call(near_end.service, "sum", NULL, &options, &reply), MUSTER_TIMED_OUT);
    expect_true(reply == NULL);
    near_end_stop(near_end);
    far_end_stop(&far);
}

static void a_long_reply_is_not_taken(void)
{
    struct far_end far;
    struct muster_call_options options = MUSTER_CALL_INIT;
    struct muster_reply *reply;
    far_end_start(&far, OK_ANSWER);
    struct near_end near_end = near_end_start("", &far.port, 1);
    options.reply_bytes = 10;
    expect_int(muster_call(near_end.service, "sum", NULL, &options, &reply), MUSTER_BAD_ANSWER);
    expect_true(strstr(muster_error(near_end.client), "longer than 10 bytes") != NULL);
    near_end_stop(near_end);
    far_end_stop(&far);
}

static void what_is_wrong_with_a_question_is_told(void)
{
    static const unsigned port = 1;
    struct muster_call_options options = MUSTER_CALL_INIT;
    struct muster_reply *reply;
    struct near_end near_end = near_end_start("", &port, 1);
    expect_int(muster_call(near_end.service, "", NULL, NULL, &reply), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(near_end.client), "a method has a name of 1 to 256 bytes");
    expect_int(muster_call(near_end.service, "m", "7", NULL, &reply), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(near_end.client), "params: expected a JSON object or array");
    expect_int(muster_call(near_end.service, "m", "[1],[2]", NULL, &reply), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(near_end.client), "params: expected one JSON value");
    options.path = "rpc";
    expect_int(muster_call(near_end.service, "m", NULL, &options, &reply), MUSTER_BAD_OPTIONS);
    options.version = 9;
    expect_int(muster_call(near_end.service, "m", NULL, &options, &reply), MUSTER_BAD_OPTIONS);
    near_end_stop(near_end);
    near_end = near_end_start("grpc@", &port, 1);
    expect_int(muster_call(near_end.service, "m", NULL, NULL, &reply), MUSTER_UNREACHABLE);
    expect_true(strstr(muster_error(near_end.client), "nobody speaks JSON-RPC there") != NULL);
    near_end_stop(near_end);
}

static void all_are_called(void)
{
    struct far_end fars[3];
    struct muster_replies *replies;
    unsigned ports[3];
    for (size_t i = 0; i < 3; i++) {
        far_end_start(&fars[i], OK_ANSWER);
        ports[i] = fars[i].port;
    }
    struct near_end near_end = near_end_start("http@", ports, 3);
    expect_int(muster_broadcast(near_end.service, "sum", NULL, NULL, &replies), MUSTER_OK);
    near_end_stop(near_end);
    expect_int(replies->n, 3);
    for (size_t i = 0; i < 3; i++) {
        far_end_stop(&fars[i]);
        expect_int(fars[i].n_requests, 1);
        expect_str(replies->items[i].json, "{\"sum\":3}");
    }
    muster_replies_free(replies);
}

static void the_first_error_cancels_the_rest(void)
{
    struct far_end slow, bad;
    struct muster_replies *replies;
    far_end_start(&slow, NULL);
    far_end_start(&bad,
                  "HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":5,\"message\":\"no\"}}");
    const unsigned ports[] = {slow.port, bad.port};
    struct near_end near_end = near_end_start("", ports, 2);
    expect_int(muster_broadcast(near_end.service, "m", NULL, NULL, &replies), MUSTER_REMOTE_ERROR);
    expect_true(strstr(muster_error(near_end.client), ": no") != NULL);
    expect_true(replies == NULL);
    near_end_stop(near_end);
    far_end_stop(&slow); /* ends only because its caller has gone */
    far_end_stop(&bad);
}

static void all_replies_are_gathered_if_told(void)
{
    struct far_end slow, well;
    struct muster_call_options options = MUSTER_CALL_INIT;
    struct muster_replies *replies;
    unsigned n_ok = 0;
    far_end_start(&slow, NULL);
    far_end_start(&well, OK_ANSWER);
    const unsigned ports[] = {slow.port, well.port};
    struct near_end near_end = near_end_start("", ports, 2);
    options.all_replies = 1;
    /* Longer each time, until the machine is quick enough for the one that answers. */
    for (options.timeout_ms = 100; n_ok == 0 && options.timeout_ms < 60000; options.timeout_ms *= 4) {
        expect_int(muster_broadcast(near_end.service, "m", NULL, &options, &replies), MUSTER_OK);
        expect_int(replies->n, 2);
        for (size_t i = 0; i < 2; i++) {
            n_ok += replies->items[i].result == MUSTER_OK;
            if (replies->items[i].instance->port == slow.port)
                expect_int(replies->items[i].result, MUSTER_TIMED_OUT);
        }
        muster_replies_free(replies);
    }
    expect_int(n_ok, 1);
    near_end_stop(near_end);
    far_end_stop(&slow);
    far_end_stop(&well);
}

static void call_in_callback(void *ctx, struct muster_service *service)
{
    struct muster_reply *reply;
    *(int *)ctx = muster_call(service, "m", NULL, NULL, &reply);
}

static void a_callback_cannot_call(void)
{
    static const unsigned port = 1;
    int result = MUSTER_OK;
    struct near_end near_end = near_end_start("", &port, 1);
    muster_service_notify(near_end.service, call_in_callback, &result);
    muster_process(near_end.client);
    expect_int(result, MUSTER_IN_CALLBACK);
    near_end_stop(near_end);
}

struct started {
    struct muster_service *service;
    struct muster_pending *pending[2];
    unsigned n_over;
};

/* The first one's end starts the second, which a callback may. */
static void on_over(void *ctx, struct muster_pending *pending)
{
    struct started *started = ctx;
    const struct muster_reply *reply = muster_pending_reply(pending);
    expect_int(reply->result, MUSTER_OK);
    expect_str(reply->json, "{\"sum\":3}");
    muster_pending_free(pending);
    if (started->n_over++ == 0)
        expect_int(muster_call_start(started->service, "m", NULL, NULL, on_over, started, &started->pending[1]),
                   MUSTER_OK);
}

static void calls_go_on_in_the_programs_loop(void)
{
    struct far_end far, slow;
    struct muster_pending *cancelled;
    far_end_start(&far, OK_ANSWER);
    far_end_start(&slow, NULL);
    struct near_end near_end = near_end_start("", &far.port, 1), other = near_end_start("", &slow.port, 1);
    struct started started = {.service = near_end.service};
    expect_int(muster_call_start(near_end.service, "m", NULL, NULL, on_over, &started, &started.pending[0]), MUSTER_OK);
    expect_true(muster_pending_reply(started.pending[0]) == NULL);
    while (started.n_over < 2)
        muster_wait(near_end.client, -1);
    expect_int(muster_call_start(other.service, "m", NULL, NULL, on_over, &started, &cancelled), MUSTER_OK);
    muster_process(other.client);
    muster_pending_free(cancelled);
    near_end_stop(near_end);
    near_end_stop(other);
    far_end_stop(&far);
    far_end_stop(&slow);
    expect_int(started.n_over, 2);
    expect_int(far.n_requests, 2);
}

static int call_once(void *arg)
{
    struct near_end *near_end = arg;
    struct muster_reply *reply;
    struct muster_replies *replies;
    int result = muster_call(near_end->service, "sum", "[1]", NULL, &reply);
    muster_reply_free(reply);
    if (result == MUSTER_OK)
        result = muster_broadcast(near_end->service, "sum", NULL, NULL, &replies);
    if (result == MUSTER_OK)
        muster_replies_free(replies);
    expect_true(result == MUSTER_OK || result == MUSTER_OUT_OF_MEMORY);
    return result == MUSTER_OK ? 0 : -ENOMEM;
}

static void running_out_of_memory_is_an_error(void)
{
    struct far_end far;
    far_end_start(&far, OK_LINE "\n");
    struct near_end near_end = near_end_start("tcp@", &far.port, 1);
    expect_true(fault_alloc_sweep(call_once, &near_end) > 10);
    near_end_stop(near_end);
    far_end_stop(&far);
}

static const struct test_case cases[] = {
    {"one is called by HTTP", one_is_called_by_http},
    {"one is called by a line", one_is_called_by_a_line},
    {"each reply has its result", each_reply_has_its_result},
    {"who takes no connection is passed over", who_takes_no_connection_is_passed_over},
    {"who was lost in the middle is passed over only if told", who_was_lost_in_the_middle_is_passed_over_only_if_told},
    {"who takes no connection is named as listed", who_takes_no_connection_is_named_as_listed},
    {"a call has a deadline", a_call_has_a_deadline},
    {"a long reply is not taken", a_long_reply_is_not_taken},
    {"what is wrong with a question is told", what_is_wrong_with_a_question_is_told},
    {"all are called", all_are_called},
    {"the first error cancels the rest", the_first_error_cancels_the_rest},
    {"all replies are gathered if told", all_replies_are_gathered_if_told},
    {"a callback cannot call", a_callback_cannot_call},
    {"calls go on in the program's loop", calls_go_on_in_the_programs_loop},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
