/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection on which the protocol was switched: the client is played by the test, and so is the other side.
 */
#include "support/sim_http.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ASK    "GET /later HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n"
#define ANSWER "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n"

enum { IDLE_S = 100 };

struct kit {
    struct sim_http *http;
    struct stream *far; /* the end of the other stream that the test plays */
    struct tunnel_result result;
    char heard[64 * 1024];
};

static const char *hear(struct kit *kit)
{
    size_t len = 0;
    for (;;) {
        sim_run_for(kit->http->sim, 0);
        ssize_t n = stream_recv(kit->far, kit->heard + len, sizeof(kit->heard) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    kit->heard[len] = '\0';
    return kit->heard;
}

static void switch_over(struct kit *kit, const struct sim_options *network, struct slice early)
{
    const struct header upgrade = {SLICE_LIT("upgrade"), SLICE_LIT("chat")};
    struct tunnel tunnel = {.early = early, .idle_timeout_ns = IDLE_S * NSEC_PER_SEC, .result = &kit->result};
    expect_int(sim_pair(kit->http->sim, network, &tunnel.other, &kit->far), 0);
    expect_int(exchange_switch(kit->http->exchange, NULL, &upgrade, 1, &tunnel), 0);
    sim_http_wait(kit->http, 0);
}

static struct kit *kit_new(const struct sim_options *client_network, const struct sim_options *network)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit != NULL);
    kit->http = sim_http_new(NULL, client_network);
    sim_http_say(kit->http, ASK);
    expect_str(sim_http_calls(kit->http), "request GET /later\nend\n");
    switch_over(kit, network, (struct slice){0});
    expect_str(sim_http_hear(kit->http), ANSWER);
    sim_http_forget(kit->http);
    return kit;
}

static void kit_free(struct kit *kit)
{
    stream_close(kit->far);
    sim_http_free(kit->http);
    free(kit);
}

static void expect_counts(const struct kit *kit, uint64_t to_client, uint64_t to_other)
{
    expect_int(kit->result.to_client, to_client);
    expect_int(kit->result.to_other, to_other);
}

static void bytes_go_both_ways_and_so_do_ends(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    sim_http_say(kit->http, "ping");
    expect_str(hear(kit), "ping");
    expect_int(stream_send(kit->far, SLICE_LIT("pong!")), 5);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_hear(kit->http), "pong!");
    sim_http_forget(kit->http);

    sim_http_end(kit->http);
    expect_str(hear(kit), "");
    expect_int(stream_recv(kit->far, kit->heard, 1), 0);
    expect_int(stream_send(kit->far, SLICE_LIT("late")), 4);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_hear(kit->http), "late");
    expect_str(sim_http_calls(kit->http), "");
    expect_int(stream_shutdown(kit->far), 0);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_hear(kit->http), "late");
    expect_true(kit->http->ended);
    expect_str(sim_http_calls(kit->http), "close done\n");
    expect_counts(kit, 9, 4);
    expect_int(http_server_n_connections(kit->http->server), 0);
    kit_free(kit);
}

static void the_other_side_may_end_first(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    expect_int(stream_shutdown(kit->far), 0);
    sim_http_wait(kit->http, 0);
    (void)sim_http_hear(kit->http);
    expect_true(kit->http->ended);
    sim_http_say(kit->http, "still here");
    expect_str(hear(kit), "still here");
    sim_http_end(kit->http);
    expect_str(sim_http_calls(kit->http), "close done\n");
    kit_free(kit);
}

static void what_came_early_goes_first(void)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit != NULL);
    kit->http = sim_http_new(NULL, NULL);
    sim_http_say(kit->http, ASK "behind the request");
    switch_over(kit, NULL, SLICE_LIT("behind the answer"));
    expect_str(sim_http_hear(kit->http), ANSWER "behind the answer");
    expect_str(hear(kit), "behind the request");
    expect_counts(kit, 17, 18);
    kit_free(kit);
}

static void fields_are_carried_but_not_those_of_the_connection(void)
{
    static struct http_fields fields;
    struct http_response response;
    struct http1_fault fault;
    const struct http1_limits limits = {.head_bytes = 1000, .target_bytes = 100, .n_fields = 100};
    struct slice head = SLICE_LIT("HTTP/1.1 101 Yes\r\nUpgrade: chat\r\nConnection: upgrade\r\nX-Two: 2\r\nGone: 1\r\n"
                                  "Keep-Alive: timeout=5\r\nSec-WebSocket-Accept: abc\r\n\r\n");
    expect_int(http1_parse_response(head, &limits, HTTP_METHOD_GET, &fields, &response, &fault), 0);
    expect_int(response.idle_timeout_s, 5);
    struct header_carry carry = {.fields = &fields};
    header_carry_drop(&carry, 3);

    struct kit kit = {.http = sim_http_new(NULL, NULL)};
    struct tunnel tunnel = {.idle_timeout_ns = NSEC_PER_SEC, .result = &kit.result};
    sim_http_say(kit.http, ASK);
    expect_int(sim_pair(kit.http->sim, NULL, &tunnel.other, &kit.far), 0);
    expect_int(exchange_switch(kit.http->exchange, &carry, NULL, 0, &tunnel), 0);
    sim_http_wait(kit.http, 0);
    expect_str(sim_http_hear(kit.http), "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nUpgrade: chat\r\n"
                                        "X-Two: 2\r\nSec-WebSocket-Accept: abc\r\n\r\n");
    stream_close(kit.far);
    sim_http_free(kit.http);
}

static void who_does_not_read_holds_the_other_side_back(void)
{
    static const char zeros[16 * 1024];
    struct kit *kit = kit_new(NULL, NULL);
    size_t n_taken = 0;
    for (int i = 0; i < 1000; i++) {
        ssize_t n = stream_send(kit->far, slice_from(zeros, sizeof(zeros)));
        n_taken += n > 0 ? (size_t)n : 0;
        sim_run_for(kit->http->sim, 0);
    }
    expect_true(n_taken <= 3 * SIM_WINDOW_BYTES); /* two windows and what the tunnel holds */
    sim_http_say(kit->http, "the other way is free");
    expect_str(hear(kit), "the other way is free");

    while (kit->http->heard.len < n_taken) {
        size_t before = kit->http->heard.len;
        (void)sim_http_hear(kit->http);
        sim_run_for(kit->http->sim, 0);
        expect_true(kit->http->heard.len > before);
    }
    expect_counts(kit, n_taken, 21);
    kit_free(kit);
}

static void silence_ends_it(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    sim_http_wait(kit->http, (IDLE_S - 1) * NSEC_PER_SEC);
    sim_http_say(kit->http, "a sign of life");
    sim_http_wait(kit->http, (IDLE_S - 1) * NSEC_PER_SEC);
    expect_str(sim_http_calls(kit->http), "");
    sim_http_wait(kit->http, 2 * NSEC_PER_SEC);
    expect_str(sim_http_calls(kit->http), "close timeout\n");
    expect_str(hear(kit), "a sign of life");
    kit_free(kit);
}

static void a_side_that_breaks_ends_it(void)
{
    struct kit *kit = kit_new(NULL, NULL);
    sim_reset(kit->far);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_calls(kit->http), "close aborted\n");
    (void)sim_http_hear(kit->http);
    expect_true(kit->http->ended || kit->http->error < 0);
    kit_free(kit);

    kit = kit_new(NULL, NULL);
    sim_reset(kit->http->client);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_calls(kit->http), "close aborted\n");
    expect_true(stream_recv(kit->far, kit->heard, 1) != -EAGAIN);
    kit_free(kit);

    kit = kit_new(NULL, NULL);
    exchange_abort(kit->http->exchange);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_calls(kit->http), "close aborted\n");
    kit_free(kit);
}

/* A client that reads slowly gets all that had been taken for him; then both sides end. */
static void it_may_be_ended_from_within(void)
{
    enum { BYTES = 30000 };
    static const char zeros[BYTES];
    const struct sim_options network = {.to_a.window_bytes = 1000, .to_b.window_bytes = 1000};
    struct kit *kit = kit_new(&network, NULL);
    sim_http_say(kit->http, "good");
    expect_int(stream_send(kit->far, slice_from(zeros, BYTES)), BYTES);
    sim_http_wait(kit->http, 0);
    expect_counts(kit, BYTES, 4);
    exchange_end(kit->http->exchange, NULL, 0);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_calls(kit->http), "close done\n");
    expect_str(hear(kit), "good");
    expect_int(stream_recv(kit->far, kit->heard, 1), 0);
    while (!kit->http->ended) {
        (void)sim_http_hear(kit->http);
        sim_http_wait(kit->http, 0);
    }
    expect_int(kit->http->heard.len, BYTES);
    sim_http_end(kit->http);
    sim_http_wait(kit->http, 0);
    expect_int(http_server_n_connections(kit->http->server), 0);
    kit_free(kit);
}

static void it_may_be_ended_as_soon_as_it_began(void)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    const struct header upgrade = {SLICE_LIT("upgrade"), SLICE_LIT("chat")};
    struct tunnel tunnel = {.early = SLICE_LIT("behind the answer"), .idle_timeout_ns = NSEC_PER_SEC};
    expect_true(kit != NULL);
    tunnel.result = &kit->result;
    kit->http = sim_http_new(NULL, NULL);
    sim_http_say(kit->http, ASK "behind the request");
    expect_int(sim_pair(kit->http->sim, NULL, &tunnel.other, &kit->far), 0);
    expect_int(exchange_switch(kit->http->exchange, NULL, &upgrade, 1, &tunnel), 0);
    exchange_end(kit->http->exchange, NULL, 0);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_hear(kit->http), ANSWER "behind the answer");
    expect_true(kit->http->ended);
    expect_str(hear(kit), "behind the request");
    expect_int(stream_recv(kit->far, kit->heard, 1), 0);
    kit_free(kit);
}

/* Neither side reads: what does not fit any more is lost, and nobody is waited for. */
static void ending_it_waits_for_nobody(void)
{
    static const char zeros[16 * 1024];
    struct kit *kit = kit_new(NULL, NULL);
    for (int i = 0; i < 100; i++) {
        (void)stream_send(kit->far, slice_from(zeros, sizeof(zeros)));
        (void)stream_send(kit->http->client, slice_from(zeros, sizeof(zeros)));
        sim_run_for(kit->http->sim, 0);
    }
    exchange_end(kit->http->exchange, NULL, 0);
    sim_http_wait(kit->http, 0);
    expect_str(sim_http_calls(kit->http), "close done\n");
    ssize_t n;
    do {
        n = stream_recv(kit->far, kit->heard, sizeof(kit->heard));
        sim_run_for(kit->http->sim, 0);
    } while (n > 0);
    expect_true(n != -EAGAIN);
    sim_http_wait(kit->http, 60 * NSEC_PER_SEC); /* a client that does not even read that */
    expect_int(http_server_n_connections(kit->http->server), 0);
    kit_free(kit);
}

static void count_drained(void *ctx)
{
    ++*(int *)ctx;
}

static void a_drain_waits_for_it(void)
{
    int n_drained = 0;
    struct kit *kit = kit_new(NULL, NULL);
    http_server_drain(kit->http->server, count_drained, &n_drained);
    sim_http_wait(kit->http, NSEC_PER_SEC);
    expect_int(n_drained, 0);
    expect_int(http_server_n_connections(kit->http->server), 1);
    sim_http_say(kit->http, "on");
    expect_str(hear(kit), "on");
    http_server_free(TAKE(kit->http->server));
    expect_str(sim_http_calls(kit->http), "close shutdown\n");
    sim_run_for(kit->http->sim, 0);
    expect_int(stream_recv(kit->far, kit->heard, 1), 0);
    kit_free(kit);
}

/* One direction of a random round. */
struct flow {
    struct stream *from, *to;
    size_t n_sent, n_received, n_all;
};

static char byte_at(size_t i)
{
    return (char)(i * 31 + i / 251);
}

static void send_some(struct flow *flow, size_t n)
{
    char bytes[8192];
    n = min_size(min_size(n, sizeof(bytes)), flow->n_all - flow->n_sent);
    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_at(flow->n_sent + i);
    ssize_t sent = n > 0 ? stream_send(flow->from, slice_from(bytes, n)) : 0;
    if (sent > 0)
        flow->n_sent += (size_t)sent;
    if (n > 0 && flow->n_sent == flow->n_all)
        expect_int(stream_shutdown(flow->from), 0);
}

static void receive_some(struct flow *flow, size_t n)
{
    char bytes[8192];
    ssize_t received = stream_recv(flow->to, bytes, 1 + min_size(n, sizeof(bytes) - 1));
    for (ssize_t i = 0; i < received; i++)
        expect_int(bytes[i], byte_at(flow->n_received++));
}

static void play(uint64_t seed)
{
    size_t pieces[] = {1 + test_random(&seed) % 5000, 1 + test_random(&seed) % 50, 3000, 0};
    struct sim_options network = {
        .to_a = {.window_bytes = 500 + test_random(&seed) % 9000, .pieces = pieces},
        .to_b = {.window_bytes = 500 + test_random(&seed) % 90000, .pieces = pieces},
    };
    struct kit *kit = kit_new(&network, &network);
    struct flow flows[] = {
        {.from = kit->http->client, .to = kit->far, .n_all = 1 + test_random(&seed) % 200000},
        {.from = kit->far, .to = kit->http->client, .n_all = 1 + test_random(&seed) % 200000},
    };
    while (flows[0].n_received < flows[0].n_all || flows[1].n_received < flows[1].n_all) {
        struct flow *flow = &flows[test_random(&seed) % 2];
        if (test_random(&seed) % 2)
            send_some(flow, test_random(&seed) % 10000);
        else
            receive_some(flow, test_random(&seed) % 10000);
        sim_run_for(kit->http->sim, 0);
    }
    sim_run_for(kit->http->sim, 0);
    expect_str(sim_http_calls(kit->http), "close done\n");
    expect_counts(kit, flows[1].n_all, flows[0].n_all);
    kit_free(kit);
}

static void what_goes_in_comes_out(void)
{
    uint64_t seed = test_seed();
    for (int i = 0; i < 20; i++)
        play(test_random(&seed));
}

static const struct test_case cases[] = {
    {"bytes go both ways, and so do ends", bytes_go_both_ways_and_so_do_ends},
    {"the other side may end first", the_other_side_may_end_first},
    {"what came early goes first", what_came_early_goes_first},
    {"fields are carried, but not those of the connection", fields_are_carried_but_not_those_of_the_connection},
    {"who does not read holds the other side back", who_does_not_read_holds_the_other_side_back},
    {"silence ends it", silence_ends_it},
    {"a side that breaks ends it", a_side_that_breaks_ends_it},
    {"it may be ended from within", it_may_be_ended_from_within},
    {"it may be ended as soon as it began", it_may_be_ended_as_soon_as_it_began},
    {"ending it waits for nobody", ending_it_waits_for_nobody},
    {"a drain waits for it", a_drain_waits_for_it},
    {"what goes in comes out", what_goes_in_comes_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
