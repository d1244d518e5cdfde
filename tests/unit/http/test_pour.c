/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large bodies through kernel pipes, over real sockets: the client and the server are played by the test, between them
 * is a relay.
 */
#include "http/pour.h"
#include "support/relay_kit.h"
#include "support/sockets.h"
#include "support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GET "GET /x HTTP/1.1\r\nhost: x\r\n\r\n"

enum { BODY_BYTES = 5 * 1000 * 1000, TURN_NS = NSEC_PER_MSEC / 5 };

/* More than the sockets and the pipe between two ends can hold: the body again and again. */
#define HUGE_BYTES ((size_t)20 * BODY_BYTES)

struct kit {
    struct loop *loop;
    struct http_server *server;
    struct relay_kit relay;
    int listener, client, instance;
    char *body;
    size_t n_sent, n_received;
};

static void set_non_blocking(int fd)
{
    expect_int(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
}

static void turn(struct kit *kit)
{
    expect_int(loop_turn(kit->loop, TURN_NS), 0);
}

static void client_connect(struct kit *kit)
{
    int fds[2];
    tcp_pair(fds);
    kit->client = fds[1];
    set_non_blocking(kit->client);
    http_server_accept(kit->server, fds[0], &(struct peer){.family = AF_INET});
}

static struct kit *kit_new(void)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    struct pool_options options;
    struct http_server_options server_options;
    struct addr addr;
    expect_true(kit != NULL);
    signal(SIGPIPE, SIG_IGN);
    kit->body = malloc(BODY_BYTES);
    expect_true(kit->body != NULL);
    for (size_t i = 0; i < BODY_BYTES; i++)
        kit->body[i] = (char)(i * 7 + i / 1009);
    expect_int(loop_new(NULL, &kit->loop), 0);
    kit->listener = listen_on_loopback(8, &addr);
    pool_options_init(&options);
    relay_kit_init(&kit->relay, kit->loop, &options, &addr);
    http_server_options_init(&server_options);
    expect_int(http_server_new(kit->loop, &server_options, &kit->relay.handler, NULL, 0, &kit->server), 0);
    kit->instance = -1;
    client_connect(kit);
    return kit;
}

static void kit_free(struct kit *kit)
{
    (void)close(kit->client);
    http_server_free(kit->server);
    relay_kit_deinit(&kit->relay);
    (void)close(kit->instance);
    (void)close(kit->listener);
    loop_free(kit->loop);
    free(kit->body);
    free(kit);
}

static void say(int fd, const char *text)
{
    expect_int(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Turns the loop until bytes have come, and gives them as text. */
static const char *hear(struct kit *kit, int fd, char *room, size_t cap)
{
    ssize_t n;
    while ((n = recv(fd, room, cap - 1, MSG_DONTWAIT)) < 0 && errno == EAGAIN)
        turn(kit);
    expect_true(n >= 0);
    room[n] = '\0';
    return room;
}

/* The request arrives at the instance, which answers with the head of a body of this length. */
static void begin(struct kit *kit, size_t length)
{
    char room[1000];
    kit->n_sent = kit->n_received = 0;
    say(kit->client, GET);
    while (kit->instance < 0) {
        turn(kit);
        kit->instance = accept4(kit->listener, NULL, NULL, SOCK_NONBLOCK);
    }
    expect_str(hear(kit, kit->instance, room, sizeof(room)), GET);
    (void)snprintf(room, sizeof(room), "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: %zu\r\n\r\n", length);
    say(kit->instance, room);
}

static void send_some(struct kit *kit, size_t upto)
{
    size_t at = kit->n_sent % BODY_BYTES;
    size_t len = min_size(upto - kit->n_sent, BODY_BYTES - at);
    ssize_t n = send(kit->instance, kit->body + at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    kit->n_sent += n > 0 ? (size_t)n : 0;
}

/* The body as the client gets it, behind the head. */
static void receive_some(struct kit *kit)
{
    static char room[256 * 1024];
    size_t at = kit->n_received % BODY_BYTES;
    ssize_t n = recv(kit->client, room, min_size(sizeof(room), BODY_BYTES - at), MSG_DONTWAIT);
    if (n <= 0)
        return;
    expect_true(memcmp(room, kit->body + at, (size_t)n) == 0);
    kit->n_received += (size_t)n;
}

static void receive_head(struct kit *kit, size_t length)
{
    char expected[200], room[200];
    int n =
        snprintf(expected, sizeof(expected), "HTTP/1.1 200 OK\r\nDate: today\r\ncontent-length: %zu\r\n\r\n", length);
    while (recv(kit->client, room, (size_t)n, MSG_DONTWAIT | MSG_PEEK) < n)
        turn(kit);
    expect_int(recv(kit->client, room, (size_t)n, 0), n);
    expect_bytes(slice_from(room, (size_t)n), slice_from(expected, (size_t)n));
}

static void pass(struct kit *kit, size_t length)
{
    begin(kit, length);
    receive_head(kit, length);
    while (kit->n_received < length) {
        send_some(kit, length);
        turn(kit);
        receive_some(kit);
    }
}

static void bodies_arrive_and_both_connections_are_used_again(void)
{
    static const size_t lengths[] = {BODY_BYTES, 0, POUR_BYTES_MIN, 100, POUR_BYTES_MIN - 1, 1234567};
    struct kit *kit = kit_new();
    uint64_t n_all = 0;
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        pass(kit, lengths[i]);
        n_all += lengths[i];
        while (kit->relay.n_running > 0)
            turn(kit);
        expect_int(kit->relay.n_done, i + 1);
        expect_int(kit->relay.n_body_bytes, n_all);
    }
    expect_int(kit->relay.n_poured, 3);
    struct pool_stats stats;
    pool_get_stats(kit->relay.pool, &stats);
    expect_int(stats.n_opened, 1);
    expect_int(stats.n_reused, ARRAY_LEN(lengths) - 1);
    kit_free(kit);
}

static void a_client_that_does_not_read_holds_the_server_back(void)
{
    struct kit *kit = kit_new();
    size_t n_before, n_still = 0;
    begin(kit, HUGE_BYTES);
    receive_head(kit, HUGE_BYTES);
    while (n_still < 50) {
        n_before = kit->n_sent;
        send_some(kit, HUGE_BYTES);
        turn(kit);
        n_still = kit->n_sent == n_before ? n_still + 1 : 0;
    }
    expect_true(kit->n_sent < HUGE_BYTES);
    expect_int(kit->relay.n_running, 1);
    while (kit->n_received < HUGE_BYTES) {
        send_some(kit, HUGE_BYTES);
        turn(kit);
        receive_some(kit);
    }
    while (kit->relay.n_running > 0)
        turn(kit);
    expect_int(kit->relay.n_done, 1);
    kit_free(kit);
}

static void a_client_that_goes_ends_it(void)
{
    struct kit *kit = kit_new();
    begin(kit, BODY_BYTES);
    receive_head(kit, BODY_BYTES);
    send_some(kit, BODY_BYTES / 2);
    turn(kit);
    expect_int(kit->relay.n_poured, 1);
    reset_on_close(kit->client);
    (void)close(kit->client);
    while (kit->relay.n_running > 0)
        turn(kit);
    expect_int(kit->relay.n_done, 0);
    struct pool_stats stats;
    pool_get_stats(kit->relay.pool, &stats);
    expect_int(stats.n_open, 0);
    kit->client = -1;
    kit_free(kit);
}

static void a_server_that_breaks_off_is_not_taken_for_an_end(void)
{
    struct kit *kit = kit_new();
    begin(kit, BODY_BYTES);
    receive_head(kit, BODY_BYTES);
    while (kit->n_sent < BODY_BYTES / 2) {
        send_some(kit, BODY_BYTES / 2);
        turn(kit);
        receive_some(kit);
    }
    (void)close(kit->instance);
    kit->instance = -1;
    while (kit->relay.n_running > 0)
        turn(kit);
    expect_int(kit->relay.n_failed, 1);
    ssize_t n;
    while ((n = recv(kit->client, kit->body, BODY_BYTES, MSG_DONTWAIT)) > 0)
        kit->n_received += (size_t)n;
    expect_true(kit->n_received <= kit->n_sent && kit->n_received < BODY_BYTES);
    expect_true(n == 0 || errno == ECONNRESET);
    kit_free(kit);
}

static void a_shutdown_ends_it(void)
{
    struct kit *kit = kit_new();
    begin(kit, BODY_BYTES);
    receive_head(kit, BODY_BYTES);
    send_some(kit, BODY_BYTES / 2);
    turn(kit);
    http_server_free(TAKE(kit->server));
    expect_int(kit->relay.n_running, 0);
    kit_free(kit);
}

static void tunnels_carry_much_too(void)
{
    static const char ask[] = "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n";
    struct kit *kit = kit_new();
    char room[1000];
    say(kit->client, ask);
    while (kit->instance < 0) {
        turn(kit);
        kit->instance = accept4(kit->listener, NULL, NULL, SOCK_NONBLOCK);
    }
    expect_str(hear(kit, kit->instance, room, sizeof(room)),
               "GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n");
    say(kit->instance, answer);
    expect_str(hear(kit, kit->client, room, sizeof(room)), answer);
    while (kit->n_received < BODY_BYTES) {
        send_some(kit, BODY_BYTES);
        turn(kit);
        receive_some(kit);
    }
    say(kit->client, "thanks");
    expect_str(hear(kit, kit->instance, room, sizeof(room)), "thanks");
    expect_int(kit->relay.tunnelled.to_client, BODY_BYTES);
    expect_int(kit->relay.tunnelled.to_other, 6);
    expect_int(shutdown(kit->instance, SHUT_WR), 0);
    expect_str(hear(kit, kit->client, room, sizeof(room)), "");
    expect_int(shutdown(kit->client, SHUT_WR), 0);
    while (kit->relay.n_running > 0)
        turn(kit);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"bodies arrive, and both connections are used again", bodies_arrive_and_both_connections_are_used_again},
    {"a client that does not read holds the server back", a_client_that_does_not_read_holds_the_server_back},
    {"a client that goes ends it", a_client_that_goes_ends_it},
    {"a server that breaks off is not taken for an end", a_server_that_breaks_off_is_not_taken_for_an_end},
    {"a shutdown ends it", a_shutdown_ends_it},
    {"tunnels carry much, too", tunnels_carry_much_too},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
