/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client and server of ours against each other: random bodies in random pieces, with and without a length, over random
 * networks, with a user and a front end that pause as they like. What goes in must come out, and no more.
 */
#include "http/h1_client.h"
#include "http/server.h"
#include "support/sim.h"
#include "support/test.h"

enum { CALLS_PER_ROUND = 4, ROUNDS = 30, BODY_MAX = 200000 };

/* A round: one connection with a call after the other, each echoed in pieces. */
struct round {
    uint64_t seed;
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct h1_client_room room;
    struct client_connection *connection;
    struct client_call call;
    struct buf body; /* of the request */
    size_t n_written;
    bool writer_waits;
    struct buf back; /* of the response */
    struct exchange *exchange;
    bool front_pauses, user_pauses, has_length;
    int n_done;
};

static size_t below(struct round *round, size_t bound)
{
    return (size_t)(test_random(&round->seed) % bound);
}

static void front_body(struct exchange *exchange, struct slice bytes)
{
    struct round *round = exchange->state;
    if (exchange_write(exchange, bytes) == EXCHANGE_FULL || below(round, 4) == 0) {
        round->front_pauses = true;
        exchange_pause(exchange, true);
    }
}

static void front_end(struct exchange *exchange)
{
    exchange_end(exchange, NULL, 0);
}

static void front_close(struct exchange *exchange, enum exchange_end end)
{
    struct round *round = exchange->state;
    expect_int(end, EXCHANGE_DONE);
    round->exchange = NULL;
}

static void on_request(void *ctx, struct exchange *exchange)
{
    static const struct exchange_app app = {.on_body = front_body, .on_end = front_end, .on_close = front_close};
    struct round *round = ctx;
    exchange->app = &app;
    exchange->state = round;
    round->exchange = exchange;
    round->front_pauses = false;
    expect_int(exchange_begin(exchange, 200, NULL, 0, round->has_length ? round->body.len : EXCHANGE_LENGTH_UNKNOWN),
               0);
}

static void user_head(struct client_call *call, const struct http_response *response)
{
    (void)call;
    expect_int(response->status, 200);
}

static void user_body(struct client_call *call, struct slice bytes)
{
    struct round *round = container_of(call, struct round, call);
    expect_int(buf_append(&round->back, bytes), 0);
    if (below(round, 4) == 0) {
        round->user_pauses = true;
        client_call_pause(call, true);
    }
}

static void user_drain(struct client_call *call)
{
    container_of(call, struct round, call)->writer_waits = false;
}

static void user_done(struct client_call *call, int result)
{
    expect_int(result, 0);
    container_of(call, struct round, call)->n_done++;
}

static const struct client_events events = {
    .on_head = user_head, .on_body = user_body, .on_drain = user_drain, .on_done = user_done};

static void on_free(struct client_connection *connection, bool reusable)
{
    (void)connection;
    expect_true(reusable);
}

static void on_lost(struct client_connection *connection, enum client_loss loss)
{
    (void)connection;
    test_fail(__FILE__, __LINE__, "the connection was lost: %d", loss);
}

static void write_some(struct round *round)
{
    size_t n = min_size(round->body.len - round->n_written, 1 + below(round, 20000));
    if (n == 0) {
        client_call_end(&round->call, NULL, 0);
        round->n_written = SIZE_MAX;
        return;
    }
    int r = client_call_write(&round->call, slice_from(round->body.ptr + round->n_written, n));
    expect_true(r >= 0);
    round->writer_waits = r == EXCHANGE_FULL;
    round->n_written += n;
}

static void make_call(struct round *round)
{
    buf_reset(&round->body);
    buf_reset(&round->back);
    for (size_t n = below(round, BODY_MAX); n > 0; n--)
        expect_int(buf_append_char(&round->body, (char)test_random(&round->seed)), 0);
    round->has_length = below(round, 2);
    round->n_written = 0;
    round->writer_waits = round->user_pauses = false;
    int n_done = round->n_done;
    client_call_start(round->connection, &round->call,
                      &(struct client_request){
                          .method = SLICE_LIT("POST"),
                          .target = SLICE_LIT("/"),
                          .authority = SLICE_LIT("x"),
                          .streamed = true,
                          .content_length = round->has_length ? round->body.len : EXCHANGE_LENGTH_UNKNOWN,
                      });
    while (round->n_done == n_done) {
        if (round->n_written <= round->body.len && !round->writer_waits)
            write_some(round);
        sim_run_for(round->sim, below(round, 3) * NSEC_PER_MSEC);
        if (round->front_pauses && round->exchange) {
            round->front_pauses = false;
            exchange_pause(round->exchange, false);
        }
        if (round->user_pauses && round->n_done == n_done) {
            round->user_pauses = false;
            client_call_pause(&round->call, false);
        }
    }
    /* With a length the response may be complete before the user says that the request is. */
    expect_true(round->n_written == SIZE_MAX || (round->has_length && round->n_written == round->body.len));
    expect_bytes(buf_slice(&round->back), buf_slice(&round->body));
    if (round->exchange) /* paused with nothing but the end to come */
        exchange_pause(round->exchange, false);
    sim_run_for(round->sim, 0);
    expect_false(round->exchange);
}

static void play(uint64_t seed)
{
    static const struct client_owner_ops owner_ops = {on_free, on_lost};
    struct round round = {.seed = seed, .call.events = &events};
    struct http_server_options server_options;
    struct h1_client_options client_options;
    http_server_options_init(&server_options);
    h1_client_options_init(&client_options);
    server_options.send_high_bytes = client_options.send_high_bytes = 1 + below(&round, 30000);
    server_options.send_low_bytes = client_options.send_low_bytes = server_options.send_high_bytes / 2;
    struct exchange_handler handler = {on_request, &round};
    expect_int(sim_new(NULL, &round.sim, &round.loop), 0);
    expect_int(http_server_new(round.loop, &server_options, &handler, NULL, 0, &round.server), 0);
    h1_client_room_init(&round.room, round.loop, &client_options);

    size_t pieces_to[] = {1 + below(&round, 40000), 1 + below(&round, 40000), 0};
    size_t pieces_back[] = {1 + below(&round, 40000), 1 + below(&round, 40000), 0};
    struct sim_options network = {
        .to_a = {.window_bytes = 1000 + below(&round, 100000), .pieces = pieces_back},
        .to_b = {.window_bytes = 1000 + below(&round, 100000), .pieces = pieces_to},
    };
    struct stream *client, *server;
    expect_int(sim_pair(round.sim, &network, &client, &server), 0);
    http_server_adopt(round.server, server, &(struct peer){.family = AF_INET});
    expect_int(h1_client_new(&round.room, client, &owner_ops, NULL, &round.connection), 0);
    for (int i = 0; i < CALLS_PER_ROUND; i++)
        make_call(&round);

    client_connection_close(round.connection);
    http_server_free(round.server);
    loop_free(round.loop);
    h1_client_room_deinit(&round.room);
    buf_deinit(&round.body);
    buf_deinit(&round.back);
}

static void what_goes_in_comes_out(void)
{
    uint64_t seed = test_seed();
    for (int i = 0; i < ROUNDS; i++)
        play(test_random(&seed));
}

static const struct test_case cases[] = {
    {"what goes in comes out", what_goes_in_comes_out},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
