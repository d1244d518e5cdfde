/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool over simulated streams: the servers at the other ends are HTTP servers of our own, so that client and server
 * meet here too.
 */
#include "http/pool.h"
#include "http/server.h"
#include "support/fault_alloc.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdlib.h>

enum { USERS_MAX = 8 };

struct kit;

/* Somebody who makes one call after another. */
struct user {
    struct kit *kit;
    struct pool_wait wait;
    struct client_call call;
    int n_done, n_reused, result;
    unsigned status;
    size_t n_body;
};

struct kit {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct pool *pool;
    struct exchange *later; /* the request of /later that is not answered yet */
    int n_connects;         /* attempts so far */
    int connect_error;      /* what they come to */
    nsec_t connect_ns;      /* and when */
    struct sim_way to_client;
    struct stream *silent[4]; /* ends that are not given to the server */
    bool server_is_silent;
    struct user users[USERS_MAX];
};

/* connect has no context of its own: a case has one kit, and a process of its own. */
static struct kit *the_kit;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    struct kit *kit = the_kit;
    struct sim_options network = {
        .connect_ns = kit->connect_ns ? kit->connect_ns : 1,
        .connect_error = kit->connect_error,
        .to_a = kit->to_client,
    };
    struct stream *end;
    expect_true(loop == kit->loop && deadline_ns == NSEC_NEVER && addr->len > 0);
    int r = sim_connect(kit->sim, &network, on_event, owner, ret_stream, &end);
    if (r < 0)
        return r;
    if (kit->server_is_silent || kit->connect_error || kit->connect_ns)
        kit->silent[kit->n_connects % 4] = end;
    else
        http_server_adopt(kit->server, end, &(struct peer){.family = AF_INET});
    kit->n_connects++;
    return 0;
}

static void later_close(struct exchange *exchange, enum exchange_end end)
{
    struct kit *kit = exchange->state;
    (void)end;
    kit->later = NULL;
}

static void on_request(void *ctx, struct exchange *exchange)
{
    static const struct exchange_app app = {.on_close = later_close};
    static const struct header close = {SLICE_LIT("connection"), SLICE_LIT("close")};
    struct kit *kit = ctx;
    struct slice path = exchange->request->path;
    if (slice_equal_str(path, "/later")) {
        exchange->app = &app;
        exchange->state = kit;
        kit->later = exchange;
    } else {
        exchange_respond(exchange, 200, &close, slice_equal_str(path, "/close"), SLICE_LIT("hello\n"));
    }
}

static int kit_try_new(const struct pool_options *options, struct kit **ret_kit)
{
    struct pool_options defaults;
    pool_options_init(&defaults);
    struct pool_options pool_options = options ? *options : defaults;
    pool_options.connect = connect_sim;
    struct http_server_options server_options;
    http_server_options_init(&server_options);
    struct kit *kit = calloc(1, sizeof(*kit));
    if (!kit)
        return -ENOMEM;
    the_kit = kit;
    int r = sim_new(NULL, &kit->sim, &kit->loop);
    if (r == 0)
        r = http_server_new(kit->loop, &server_options, &(struct exchange_handler){on_request, kit}, NULL, 0,
                            &kit->server);
    if (r == 0)
        r = pool_new(kit->loop, &pool_options, &kit->pool);
    for (int i = 0; i < USERS_MAX; i++)
        kit->users[i].kit = kit;
    *ret_kit = kit;
    return r;
}

static struct kit *kit_new(const struct pool_options *options)
{
    struct kit *kit;
    expect_int(kit_try_new(options, &kit), 0);
    return kit;
}

static void kit_free(struct kit *kit)
{
    if (!kit)
        return;
    pool_free(kit->pool);
    http_server_free(kit->server);
    for (size_t i = 0; i < ARRAY_LEN(kit->silent); i++)
        stream_close(kit->silent[i]);
    if (kit->loop)
        loop_free(kit->loop);
    free(kit);
}

static void on_head(struct client_call *call, const struct http_response *response)
{
    container_of(call, struct user, call)->status = response->status;
}

static void on_body(struct client_call *call, struct slice bytes)
{
    container_of(call, struct user, call)->n_body += bytes.len;
}

static void on_done(struct client_call *call, int result)
{
    struct user *user = container_of(call, struct user, call);
    user->n_done++;
    user->n_reused += call->reused;
    user->result = result;
}

static const struct client_events events = {.on_head = on_head, .on_body = on_body, .on_done = on_done};

static void start(struct user *user, struct client_connection *connection)
{
    user->call.events = &events;
    client_call_start(connection, &user->call,
                      &(struct client_request){
                          .method = SLICE_LIT("GET"),
                          .target = slice_from_str(user->n_body == SIZE_MAX ? "/later" : "/hello"),
                          .authority = SLICE_LIT("x"),
                      });
}

static void on_ready(struct pool_wait *wait, int result, struct client_connection *connection)
{
    struct user *user = container_of(wait, struct user, wait);
    if (connection) {
        start(user, connection);
    } else {
        user->n_done++;
        user->result = result;
    }
}

static struct pool_key key_of(unsigned port)
{
    struct pool_key key = {0};
    addr_from_ip(&(struct peer){.family = AF_INET, .port = (uint16_t)port, .ip = {10, 0, 0, 1}}, &key.addr);
    return key;
}

/* Gives what pool_get gave. */
static int call(struct user *user, unsigned port)
{
    struct pool_key key = key_of(port);
    struct client_connection *connection;
    user->wait.on_ready = on_ready;
    int r = pool_get(user->kit->pool, &key, &user->wait, &connection);
    if (r == 0)
        start(user, connection);
    return r;
}

/* The same, for a request that is answered when the test says so. */
static int call_later(struct user *user, unsigned port)
{
    user->n_body = SIZE_MAX;
    int r = call(user, port);
    sim_run_for(user->kit->sim, NSEC_PER_MSEC);
    user->n_body = 0;
    return r;
}

static struct pool_stats stats_of(const struct kit *kit)
{
    struct pool_stats stats;
    pool_get_stats(kit->pool, &stats);
    return stats;
}

static void settle(struct kit *kit)
{
    sim_run_for(kit->sim, NSEC_PER_MSEC);
}

static void connections_are_kept_by_place(void)
{
    struct kit *kit = kit_new(NULL);
    struct user *user = &kit->users[0];
    expect_int(call(user, 80), POOL_WAIT);
    settle(kit);
    expect_int(user->n_done, 1);
    expect_int(user->result, 0);
    expect_int(user->status, 200);
    expect_int(user->n_body, 6);
    expect_int(call(user, 80), 0);
    settle(kit);
    expect_int(user->n_reused, 1);
    expect_int(call(user, 81), POOL_WAIT);
    settle(kit);
    expect_int(user->n_done, 3);
    expect_int(user->n_reused, 1);
    struct pool_stats stats = stats_of(kit);
    expect_int(stats.n_opened, 2);
    expect_int(stats.n_reused, 1);
    expect_int(stats.n_idle, 2);
    kit_free(kit);
}

static void the_one_used_last_is_given_first(void)
{
    struct kit *kit = kit_new(NULL);
    call_later(&kit->users[0], 80);
    struct exchange *first = kit->later;
    call_later(&kit->users[1], 80);
    struct exchange *second = kit->later;
    exchange_respond(first, 200, NULL, 0, (struct slice){0});
    settle(kit);
    struct client_connection *connection;
    struct pool_key key = key_of(80);
    exchange_respond(second, 200, NULL, 0, (struct slice){0});
    settle(kit);
    expect_int(stats_of(kit).n_idle, 2);
    expect_int(pool_get(kit->pool, &key, &kit->users[2].wait, &connection), 0);
    struct client_connection *last = connection;
    start(&kit->users[2], connection);
    settle(kit);
    expect_int(pool_get(kit->pool, &key, &kit->users[2].wait, &connection), 0);
    expect_true(connection == last);
    start(&kit->users[2], connection);
    settle(kit);
    kit_free(kit);
}

static void idle_connections_end(void)
{
    struct kit *kit = kit_new(NULL);
    struct pool_options options;
    pool_options_init(&options);
    call(&kit->users[0], 80);
    settle(kit);
    sim_run_for(kit->sim, options.client.idle_timeout_ns);
    expect_int(stats_of(kit).n_idle_expired, 1);
    expect_int(stats_of(kit).n_open, 0);

    call(&kit->users[0], 80);
    settle(kit);
    http_server_free(TAKE(kit->server));
    settle(kit);
    expect_int(stats_of(kit).n_idle_closed, 1);
    expect_int(stats_of(kit).n_open, 0);

    kit->server_is_silent = true;
    call(&kit->users[0], 80);
    settle(kit);
    (void)stream_send(kit->silent[2], SLICE_LIT("HTTP/1.1 204 No Content\r\n\r\n"));
    settle(kit);
    (void)stream_send(kit->silent[2], SLICE_LIT("HTTP/1.1 204 No Content\r\n\r\n"));
    settle(kit);
    expect_int(stats_of(kit).n_idle_unasked, 1);
    expect_int(stats_of(kit).n_open, 0);
    kit_free(kit);
}

static void not_too_many_are_kept(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_idle_per_key_max = 2;
    options.n_idle_max = 3;
    struct kit *kit = kit_new(&options);
    for (unsigned i = 0; i < 6; i++)
        call(&kit->users[i], 80 + i % 2);
    settle(kit);
    expect_int(stats_of(kit).n_opened, 6);
    expect_int(stats_of(kit).n_idle, 3);
    expect_int(stats_of(kit).n_open, 3);
    expect_int(stats_of(kit).n_idle_expired, 3);
    kit_free(kit);
}

static void waits_are_served_in_order_within_the_limit(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    options.n_waits_per_key_max = 2;
    struct kit *kit = kit_new(&options);
    call_later(&kit->users[0], 80);
    expect_int(call(&kit->users[1], 80), POOL_WAIT);
    expect_int(call(&kit->users[2], 80), POOL_WAIT);
    expect_int(call(&kit->users[3], 80), -EBUSY);
    expect_int(call(&kit->users[4], 81), POOL_WAIT);
    settle(kit);
    expect_int(kit->users[1].n_done, 0);
    expect_int(kit->users[4].n_done, 1);

    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    settle(kit);
    expect_int(kit->users[1].n_reused, 1);
    expect_int(kit->users[2].n_reused, 1);
    expect_int(stats_of(kit).n_opened, 2);

    /* When the connection is spent, another is opened for who waits. */
    call_later(&kit->users[0], 80);
    expect_int(call(&kit->users[1], 80), POOL_WAIT);
    client_call_cancel(&kit->users[0].call);
    settle(kit);
    expect_int(kit->users[1].n_done, 2);
    expect_int(kit->users[1].n_reused, 1);
    kit_free(kit);
}

static void waiting_ends(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    struct kit *kit = kit_new(&options);
    call_later(&kit->users[0], 80);
    expect_int(call(&kit->users[1], 80), POOL_WAIT);
    expect_int(call(&kit->users[2], 80), POOL_WAIT);
    pool_cancel(&kit->users[2].wait);
    pool_cancel(&kit->users[2].wait);
    sim_run_for(kit->sim, options.wait_timeout_ns - NSEC_PER_MSEC);
    expect_int(kit->users[1].n_done, 0);
    sim_run_for(kit->sim, 2 * NSEC_PER_MSEC);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].result, -ETIMEDOUT);
    expect_int(kit->users[2].n_done, 0);
    client_call_cancel(&kit->users[0].call);
    kit_free(kit);
}

static void a_failed_attempt_fails_who_waits_longest(void)
{
    struct kit *kit = kit_new(NULL);
    kit->connect_ns = 5 * NSEC_PER_MSEC;
    kit->connect_error = -ECONNREFUSED;
    expect_int(call(&kit->users[0], 80), POOL_WAIT);
    expect_int(call(&kit->users[1], 80), POOL_WAIT);
    sim_run_for(kit->sim, 6 * NSEC_PER_MSEC);
    expect_int(kit->users[0].result, -ECONNREFUSED);
    expect_int(kit->users[1].result, -ECONNREFUSED);
    expect_int(stats_of(kit).n_connect_failed, 2);
    expect_int(stats_of(kit).n_open, 0);
    kit_free(kit);
}

static void an_attempt_has_its_time(void)
{
    struct kit *kit = kit_new(NULL);
    struct pool_options options;
    pool_options_init(&options);
    kit->connect_ns = 3600 * NSEC_PER_SEC;
    expect_int(call(&kit->users[0], 80), POOL_WAIT);
    sim_run_for(kit->sim, options.connect_timeout_ns + NSEC_PER_MSEC);
    expect_int(kit->users[0].result, -ETIMEDOUT);
    expect_int(stats_of(kit).n_open, 0);

    /* An attempt that nobody waits for any more goes on, and is ended with the pool. */
    expect_int(call(&kit->users[0], 80), POOL_WAIT);
    pool_cancel(&kit->users[0].wait);
    expect_int(stats_of(kit).n_open, 1);
    kit_free(kit);
}

static int calls_or_fail(void *arg)
{
    (void)arg;
    struct kit *kit;
    int r = kit_try_new(NULL, &kit);
    if (r == 0) {
        for (unsigned i = 0; r == 0 && i < 3; i++) {
            r = call(&kit->users[i % 2], 80);
            settle(kit);
            r = r < 0 ? -ENOMEM : kit->users[i % 2].result;
        }
        if (r == -ECONNRESET || r == -EPIPE) /* the server had no memory for the connection */
            r = -ENOMEM;
    }
    kit_free(kit);
    return r;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(calls_or_fail, NULL) > 8);
}

/* -- a place that somebody owns -- */

struct closed {
    int n_seen, n_promised;
    nsec_t seen_ns, promised_ns;
};

static void on_closed(void *ctx, nsec_t idle_ns, bool is_promise)
{
    struct closed *closed = ctx;
    *(is_promise ? &closed->n_promised : &closed->n_seen) += 1;
    *(is_promise ? &closed->promised_ns : &closed->seen_ns) = idle_ns;
}

/* Gives what pool_place_get gave. */
static int place_call(struct user *user, struct pool_place *place, nsec_t idle_max_ns)
{
    struct client_connection *connection;
    const struct pool_want want = {.idle_max_ns = idle_max_ns};
    user->wait.on_ready = on_ready;
    int r = pool_place_get(place, &want, &user->wait, &connection);
    if (r == 0)
        start(user, connection);
    settle(user->kit);
    return r;
}

static struct pool_place *place_of(struct kit *kit)
{
    struct pool_key key = key_of(80);
    struct pool_place *place;
    expect_int(pool_place_new(kit->pool, &key, &place), 0);
    return place;
}

static void who_wants_a_young_connection_gets_no_old_one(void)
{
    struct kit *kit = kit_new(NULL);
    struct pool_place *place = place_of(kit);
    struct user *user = &kit->users[0];
    expect_int(place_call(user, place, NSEC_NEVER), POOL_WAIT);
    expect_int(place_call(user, place, NSEC_NEVER), 0);
    expect_int(user->n_reused, 1);
    expect_int(place_call(user, place, 0), POOL_WAIT);
    expect_int(user->n_reused, 1);
    expect_int(stats_of(kit).n_opened, 2);
    sim_run_for(kit->sim, 5 * NSEC_PER_SEC);
    expect_int(place_call(user, place, 4 * NSEC_PER_SEC), POOL_WAIT);
    expect_int(place_call(user, place, 4 * NSEC_PER_SEC), 0);
    expect_int(user->n_reused, 2);
    expect_true(user->call.idle_ns > 0 && user->call.idle_ns <= 2 * NSEC_PER_MSEC);
    sim_run_for(kit->sim, 5 * NSEC_PER_SEC);
    expect_int(place_call(user, place, 6 * NSEC_PER_SEC), 0);
    expect_true(user->call.idle_ns >= 5 * NSEC_PER_SEC && user->call.idle_ns <= 6 * NSEC_PER_SEC);
    expect_true(user->call.sent_whole);
    expect_int(user->n_done, 6);

    /* Others do not get these connections. */
    expect_int(call(user, 80), POOL_WAIT);
    settle(kit);
    pool_place_free(place);
    expect_int(stats_of(kit).n_open, 1);
    kit_free(kit);
}

static void one_that_comes_back_is_not_given_to_who_waits_for_a_new_one(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    struct kit *kit = kit_new(&options);
    struct pool_place *place = place_of(kit);
    kit->users[0].n_body = SIZE_MAX;
    expect_int(place_call(&kit->users[0], place, NSEC_NEVER), POOL_WAIT);
    kit->users[0].n_body = 0;
    expect_int(place_call(&kit->users[1], place, 0), POOL_WAIT);
    expect_int(stats_of(kit).n_open, 1);
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    settle(kit);
    settle(kit);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].n_reused, 0);
    expect_int(stats_of(kit).n_opened, 2);
    pool_place_free(place);
    kit_free(kit);
}

static void the_owner_learns_how_long_idle_connections_live(void)
{
    struct closed closed = {0};
    struct kit *kit = kit_new(NULL);
    struct pool_place *place = place_of(kit);
    pool_place_on_closed(place, on_closed, &closed);
    kit->server_is_silent = true;
    (void)place_call(&kit->users[0], place, NSEC_NEVER);
    (void)stream_send(kit->silent[0], SLICE_LIT("HTTP/1.1 200 OK\r\nkeep-alive: max=9, Timeout=5\r\n"
                                                "content-length: 0\r\n\r\n"));
    settle(kit);
    expect_int(kit->users[0].n_done, 1);
    expect_int(closed.n_promised, 1);
    expect_int(closed.promised_ns, 5 * NSEC_PER_SEC);
    sim_run_for(kit->sim, 3 * NSEC_PER_SEC);
    char room[1000];
    expect_true(stream_recv(kit->silent[0], room, sizeof(room)) > 0);
    expect_int(stream_shutdown(kit->silent[0]), 0);
    settle(kit);
    expect_int(closed.n_seen, 1);
    expect_true(closed.seen_ns >= 3 * NSEC_PER_SEC && closed.seen_ns <= 3 * NSEC_PER_SEC + 5 * NSEC_PER_MSEC);
    expect_int(stats_of(kit).n_open, 0);
    pool_place_free(place);
    kit_free(kit);
}

static void a_freed_place_lets_calls_finish(void)
{
    struct kit *kit = kit_new(NULL);
    struct pool_place *place = place_of(kit);
    (void)place_call(&kit->users[0], place, NSEC_NEVER);
    kit->users[1].n_body = SIZE_MAX;
    (void)place_call(&kit->users[1], place, 0);
    kit->users[1].n_body = 0;
    expect_int(stats_of(kit).n_open, 2);
    pool_place_free(place);
    expect_int(stats_of(kit).n_open, 1);
    expect_int(stats_of(kit).n_idle, 0);
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    settle(kit);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].result, 0);
    expect_int(stats_of(kit).n_open, 0);

    /* One that nobody has used, or that is just being opened. */
    place = place_of(kit);
    pool_place_free(place);
    place = place_of(kit);
    struct client_connection *connection;
    expect_int(pool_place_get(place, NULL, &kit->users[2].wait, &connection), POOL_WAIT);
    pool_cancel(&kit->users[2].wait);
    pool_place_free(place);
    expect_int(stats_of(kit).n_open, 0);
    pool_place_free(NULL);
    kit_free(kit);
}

static const struct test_case cases[] = {
    {"connections are kept by place", connections_are_kept_by_place},
    {"the one used last is given first", the_one_used_last_is_given_first},
    {"idle connections end", idle_connections_end},
    {"not too many are kept", not_too_many_are_kept},
    {"waits are served in order, within the limit", waits_are_served_in_order_within_the_limit},
    {"waiting ends", waiting_ends},
    {"a failed attempt fails the one who waits longest", a_failed_attempt_fails_who_waits_longest},
    {"an attempt has its time", an_attempt_has_its_time},
    {"any allocation may fail", any_allocation_may_fail},
    {"who wants a young connection gets no old one", who_wants_a_young_connection_gets_no_old_one},
    {"one that comes back is not given to who waits for a new one",
     one_that_comes_back_is_not_given_to_who_waits_for_a_new_one},
    {"the owner learns how long idle connections live", the_owner_learns_how_long_idle_connections_live},
    {"a freed place lets calls finish", a_freed_place_lets_calls_finish},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
