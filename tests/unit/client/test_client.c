/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmuster against a server that says what the test wants, over a Unix socket. TLS is tested against the real server
 * (tests/scenario/cli.py).
 */
#include "muster.h"

#include "base/buf.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STATUS                                                                                                         \
    "{\"version\":\"1.2.3\",\"role\":\"all\",\"pid\":42,\"uptime_ms\":1234,\"ready\":false,"                           \
    "\"not_ready\":\"starting\",\"memory_bytes\":5000000,\"listeners\":[{\"role\":\"registry\","                       \
    "\"address\":\"127.0.0.1:2379\",\"protocols\":\"HTTP/1.1\"}],\"workers\":[{\"connections\":10},"                   \
    "{\"connections\":11}],\"new\":[]}"

/* Takes connections, waits on each for the end of a request and says `answer`. */
struct far_end {
    struct slice answer;
    bool keep_open; /* says nothing more, but does not close */
    char address[128];
    int listen_fd;
    pthread_t thread;
    char request[1024]; /* of the last connection */
};

static void serve_one(struct far_end *far, int fd)
{
    size_t len = 0;
    while (len + 1 < sizeof(far->request)) {
        ssize_t n = recv(fd, far->request + len, sizeof(far->request) - 1 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        far->request[len] = '\0';
        if (strstr(far->request, "\r\n\r\n"))
            break;
    }
    (void)send(fd, far->answer.ptr, far->answer.len, MSG_NOSIGNAL);
    if (far->keep_open) /* until the client gives up */
        (void)recv(fd, &len, 1, 0);
    close(fd);
}

static void *serve(void *arg)
{
    struct far_end *far = arg;
    for (int fd; (fd = accept(far->listen_fd, NULL, NULL)) >= 0;)
        serve_one(far, fd);
    return NULL;
}

static void far_end_start(struct far_end *far)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "muster-test-%ld", (long)getpid());
    snprintf(far->address, sizeof(far->address), "unix:@%s", address.sun_path + 1);
    far->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    expect_int(bind(far->listen_fd, (const struct sockaddr *)(const void *)&address, len), 0);
    expect_int(listen(far->listen_fd, 16), 0);
    expect_int(pthread_create(&far->thread, NULL, serve, far), 0);
}

static void far_end_stop(struct far_end *far)
{
    shutdown(far->listen_fd, SHUT_RDWR);
    pthread_join(far->thread, NULL);
    close(far->listen_fd);
}

static struct muster_client *make_client(const char *addresses)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    options.addresses = addresses;
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    return client;
}

static void the_status_is_read(void)
{
    struct far_end far = {.answer = SLICE_LIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                              "5\r\n{\"ver\r\n"
                                              "118\r\nsion\":\"1.2.3\",\"role\":\"all\",\"pid\":42,\"uptime_ms\":1234,"
                                              "\"ready\":false,\"not_ready\":\"starting\",\"memory_bytes\":5000000,"
                                              "\"listeners\":[{\"role\":\"registry\",\"address\":\"127.0.0.1:2379\","
                                              "\"protocols\":\"HTTP/1.1\"}],\"workers\":[{\"connections\":10},"
                                              "{\"connections\":11}],\"new\":\"unknown members are fine\"}"
                                              "\r\n0\r\n\r\n")};
    far_end_start(&far);
    struct muster_client *client = make_client(far.address);
    struct muster_status *status;
    int result = muster_get_status(client, &status);
    expect_str(muster_error(client), "");
    expect_int(result, MUSTER_OK);
    expect_str(status->version, "1.2.3");
    expect_str(status->role, "all");
    expect_int(status->pid, 42);
    expect_int(status->uptime_ms, 1234);
    expect_int(status->ready, 0);
    expect_str(status->not_ready, "starting");
    expect_int(status->memory_bytes, 5000000);
    expect_int(status->n_listeners, 1);
    expect_str(status->listeners[0].role, "registry");
    expect_str(status->listeners[0].address, "127.0.0.1:2379");
    expect_str(status->listeners[0].protocols, "HTTP/1.1");
    expect_int(status->n_workers, 2);
    expect_int(status->workers[1].n_connections, 11);
    muster_status_free(status);
    muster_client_free(client);
    far_end_stop(&far);
    expect_true(strncmp(far.request, "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n", 46) == 0);
}

static const struct {
    const char *words, *answer;
    int result;
} answers[] = {
    {"nothing", "", MUSTER_BAD_ANSWER},
    {"half a head", "HTTP/1.1 200 OK\r\nContent-Le", MUSTER_BAD_ANSWER},
    {"no HTTP", "220 ready\r\n\r\n", MUSTER_BAD_ANSWER},
    {"another status", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}", MUSTER_BAD_ANSWER},
    {"half a body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", MUSTER_BAD_ANSWER},
    {"half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{}", MUSTER_BAD_ANSWER},
    {"a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{}", MUSTER_BAD_ANSWER},
    {"no JSON", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", MUSTER_BAD_ANSWER},
    {"no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", MUSTER_BAD_ANSWER},
    {"other JSON", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", MUSTER_BAD_ANSWER},
    {"empty JSON", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", MUSTER_BAD_ANSWER},
    {"a body that ends with the connection", "HTTP/1.1 200 OK\r\n\r\n" STATUS, MUSTER_OK},
    {"an early hint before it", "HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" STATUS, MUSTER_OK},
};

static void each_answer_has_its_result(void)
{
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        struct far_end far = {.answer = slice_from_str(answers[i].answer)};
        struct muster_status *status;
        far_end_start(&far);
        struct muster_client *client = make_client(far.address);
        int result = muster_get_status(client, &status);
        if (result != answers[i].result)
            test_fail(__FILE__, __LINE__, "%s: %d, %s", answers[i].words, result, muster_error(client));
        expect_int(status != NULL, result == MUSTER_OK);
        expect_int(*muster_error(client) != '\0', result != MUSTER_OK);
        muster_status_free(status);
        muster_client_free(client);
        far_end_stop(&far);
    }
}

static void heads_and_bodies_have_limits(void)
{
    static char answer[2 * 1024 * 1024];
    struct muster_status *status;
    int n = snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\n\r\n");
    for (int in_body = 0; in_body < 2; in_body++) {
        size_t start = in_body ? (size_t)n : strlen("HTTP/1.1 200 OK\r\nA: ");
        memcpy(answer, in_body ? "HTTP/1.1 200 OK\r\n\r\n" : "HTTP/1.1 200 OK\r\nA: ", start);
        memset(answer + start, ' ', sizeof(answer) - start);
        struct far_end far = {.answer = {answer, sizeof(answer)}};
        far_end_start(&far);
        struct muster_client *client = make_client(far.address);
        expect_int(muster_get_status(client, &status), MUSTER_BAD_ANSWER);
        expect_true(strstr(muster_error(client), in_body ? "longer than" : "head") != NULL);
        muster_client_free(client);
        far_end_stop(&far);
    }
}

static void silence_is_timed_out(void)
{
    struct far_end far = {.answer = SLICE_LIT("HTTP/1.1 200 OK\r\n"), .keep_open = true};
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    struct muster_status *status;
    far_end_start(&far);
    options.addresses = far.address;
    options.timeout_ms = 20;
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_TIMED_OUT);
    expect_true(strstr(muster_error(client), "timed out") != NULL);
    muster_client_free(client);
    far_end_stop(&far);
}

static void all_addresses_are_named_when_none_is_reached(void)
{
    struct muster_client *client = make_client("unix:/nonexistent/a, unix:/nonexistent/b");
    struct muster_status *status;
    expect_int(muster_get_status(client, &status), MUSTER_UNREACHABLE);
    expect_str(muster_error(client), "unix:/nonexistent/a: cannot connect: No such file or directory; "
                                     "unix:/nonexistent/b: cannot connect: No such file or directory");
    muster_client_free(client);
}

static void the_next_address_is_tried(void)
{
    struct far_end far = {.answer = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n" STATUS)};
    char addresses[192];
    struct muster_status *status;
    far_end_start(&far);
    snprintf(addresses, sizeof(addresses), "unix:/nonexistent/a,%s", far.address);
    struct muster_client *client = make_client(addresses);
    expect_int(muster_get_status(client, &status), MUSTER_OK);
    expect_str(muster_error(client), "");
    muster_status_free(status);
    muster_client_free(client);
    far_end_stop(&far);
}

static void bad_options_are_told_by_the_call(void)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client = make_client("http://a b");
    struct muster_status *status;
    expect_int(muster_get_status(client, &status), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(client),
               "address \"http://a b\": expected HOST or HOST:PORT, with an IPv6 address in brackets");
    muster_client_free(client);
    client = make_client("");
    expect_int(muster_get_status(client, &status), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(client), "the list of addresses is empty");
    muster_client_free(client);
    options.version = 99;
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_BAD_OPTIONS);
    expect_str(muster_error(client), "muster_options.version is 99; this library knows up to 2");
    muster_client_free(client);
}

static void the_environment_is_asked(void)
{
    struct muster_client *client;
    struct muster_status *status;
    setenv("MUSTER_ADDR", "unix:/nonexistent/e", 1);
    expect_int(muster_client_new(NULL, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_UNREACHABLE);
    expect_str(muster_error(client), "unix:/nonexistent/e: cannot connect: No such file or directory");
    muster_client_free(client);
}

/* An answer with this body, whose length is left to the end of the connection. */
static struct muster_client *begin_answer(struct far_end *far, const char *answer)
{
    *far = (struct far_end){.answer = slice_from_str(answer)};
    far_end_start(far);
    return make_client(far->address);
}

static void end_answer(struct far_end *far, struct muster_client *client)
{
    muster_client_free(client);
    far_end_stop(far);
}

static void reasons_are_read(void)
{
    struct far_end far;
    struct muster_why *why;
    struct muster_client *client = begin_answer(
        &far,
        "HTTP/1.1 200 OK\r\n\r\n{\"exists\":true,\"notes\":[{\"what\":\"expired\",\"revision\":5,\"wall_ms\":7,"
        "\"lease\":\"1f\",\"silence_ms\":9,\"key\":\"a/8=\",\"actor\":\"\",\"cause\":\"c\"},{\"what\":\"changed\","
        "\"revision\":6,\"wall_ms\":8,\"lease\":\"\",\"silence_ms\":0,\"key\":\"bA==\",\"actor\":\"a\",\"cause\":\"\"}]"
        "}");
    expect_int(muster_store_why_key(client, "k/\xff", 3, &why), MUSTER_OK);
    expect_int(why->exists, 1);
    expect_int(why->n_notes, 2);
    expect_str(why->notes[0].what, "expired");
    expect_int(why->notes[0].revision, 5);
    expect_int(why->notes[0].wall_ms, 7);
    expect_str(why->notes[0].lease, "1f");
    expect_int(why->notes[0].silence_ms, 9);
    expect_int(why->notes[0].key_len, 2);
    expect_int(memcmp(why->notes[0].key, "k\xff", 2), 0);
    expect_int(memcmp(why->notes[1].key, "l", 1), 0);
    expect_str(why->notes[1].actor, "a");
    muster_why_free(why);
    end_answer(&far, client);
    expect_true(strncmp(far.request, "GET /api/v1/store/why?key=k%2F%FF HTTP/1.1\r\n", 44) == 0);

    client = begin_answer(&far, "HTTP/1.1 200 OK\r\n\r\n{\"exists\":true,\"notes\":[{}]}");
    expect_int(muster_store_why_lease(client, "1f", &why), MUSTER_BAD_ANSWER);
    expect_true(why == NULL);
    end_answer(&far, client);
    expect_true(strncmp(far.request, "GET /api/v1/store/why?lease=1f HTTP/1.1\r\n", 41) == 0);
}

static void refusals_are_told_in_the_servers_words(void)
{
    struct far_end far;
    int64_t revision = 0;
    struct muster_client *client = begin_answer(&far, "HTTP/1.1 400 Bad Request\r\n\r\nit has not come yet\n");
    expect_int(muster_store_compact(client, 17, &revision), MUSTER_REFUSED);
    expect_str(muster_error(client), "it has not come yet");
    end_answer(&far, client);
    expect_true(strncmp(far.request, "POST /api/v1/store/compaction?revision=17 HTTP/1.1\r\n", 52) == 0);
    client = begin_answer(&far, "HTTP/1.1 200 OK\r\n\r\n{\"revision\":9,\"compacted_revision\":7}");
    expect_int(muster_store_compact(client, 0, &revision), MUSTER_OK);
    expect_int(revision, 7);
    end_answer(&far, client);
}

static int keep_piece(void *ctx, const void *bytes, size_t len)
{
    return buf_append(ctx, slice_from(bytes, len));
}

static void copies_come_in_pieces(void)
{
    struct far_end far;
    struct buf copy = {0};
    struct muster_client *client = begin_answer(&far, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmuster-s!");
    expect_int(muster_store_snapshot(client, keep_piece, &copy), MUSTER_OK);
    expect_slice(buf_slice(&copy), "muster-s!");
    end_answer(&far, client);
    client = begin_answer(&far, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nmuster-s!");
    expect_int(muster_store_snapshot(client, keep_piece, &copy), MUSTER_BAD_ANSWER); /* cut */
    end_answer(&far, client);
    buf_deinit(&copy);
    copy.limit = 4;
    client = begin_answer(&far, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmuster-s!");
    expect_int(muster_store_snapshot(client, keep_piece, &copy), MUSTER_STOPPED);
    end_answer(&far, client);
    client = begin_answer(&far, "HTTP/1.1 503 Service Unavailable\r\n\r\ntoo many copies are being read\n");
    expect_int(muster_store_snapshot(client, keep_piece, &copy), MUSTER_REFUSED);
    expect_str(muster_error(client), "too many copies are being read");
    end_answer(&far, client);
    buf_deinit(&copy);
}

static void a_token_is_sent_along(void)
{
    struct far_end far = {.answer = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n" STATUS)};
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    struct muster_status *status;
    far_end_start(&far);
    options.addresses = far.address;
    options.token = "root.1234";
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_OK);
    muster_status_free(status);
    muster_client_free(client);
    expect_true(strstr(far.request, "\r\nAuthorization: root.1234\r\n") != NULL);
    options.token = "a\r\nb: c";
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_BAD_OPTIONS);
    muster_client_free(client);
    options.version = 1; /* of a program that knows of no token */
    expect_int(muster_client_new(&options, &client), MUSTER_OK);
    expect_int(muster_get_status(client, &status), MUSTER_OK);
    muster_status_free(status);
    end_answer(&far, client);
    expect_true(strstr(far.request, "Authorization") == NULL);
}

static void nothing_is_fine_to_free(void)
{
    muster_why_free(NULL);
    muster_status_free(NULL);
    muster_client_free(NULL);
}

static int ask_once(void *address)
{
    struct muster_options options = MUSTER_OPTIONS_INIT;
    struct muster_client *client;
    struct muster_status *status;
    options.addresses = address;
    options.ca_file = "unused";
    if (muster_client_new(&options, &client) != MUSTER_OK) {
        expect_true(client == NULL);
        return -ENOMEM;
    }
    int result = muster_get_status(client, &status);
    expect_int(*muster_error(client) != '\0', result != MUSTER_OK);
    muster_status_free(status);
    muster_client_free(client);
    expect_true(result == MUSTER_OK || result == MUSTER_OUT_OF_MEMORY);
    return result == MUSTER_OK ? 0 : -ENOMEM;
}

static void running_out_of_memory_is_a_result(void)
{
    struct far_end far = {.answer = SLICE_LIT("HTTP/1.1 200 OK\r\n\r\n" STATUS)};
    far_end_start(&far);
    expect_true(fault_alloc_sweep(ask_once, far.address) >= 7);
    far_end_stop(&far);
}

static const struct test_case cases[] = {
    {"reasons are read", reasons_are_read},
    {"refusals are told in the server's words", refusals_are_told_in_the_servers_words},
    {"copies come in pieces", copies_come_in_pieces},
    {"a token is sent along", a_token_is_sent_along},
    {"the status is read from an answer in chunks", the_status_is_read},
    {"each answer has its result", each_answer_has_its_result},
    {"heads and bodies have limits", heads_and_bodies_have_limits},
    {"silence is timed out", silence_is_timed_out},
    {"all addresses are named when none is reached", all_addresses_are_named_when_none_is_reached},
    {"the next address is tried", the_next_address_is_tried},
    {"bad options are told by the call", bad_options_are_told_by_the_call},
    {"the environment is asked for the address", the_environment_is_asked},
    {"nothing is fine to free", nothing_is_fine_to_free},
    {"running out of memory is a result", running_out_of_memory_is_a_result},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
