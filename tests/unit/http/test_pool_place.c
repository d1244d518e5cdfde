/* SPDX-License-Identifier: Apache-2.0 */
/* A place of a pool that somebody owns, who asks for more than a connection. */
#include "support/pool_kit.h"
#include "support/test.h"

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
static int place_call(struct pool_user *user, struct pool_place *place, nsec_t idle_max_ns)
{
    struct client_connection *connection;
    const struct pool_want want = {.idle_max_ns = idle_max_ns};
    int r = pool_place_get(place, &want, &user->wait, &connection);
    if (r == 0)
        pool_user_start(user, connection);
    pool_kit_settle(user->kit);
    return r;
}

static struct pool_place *place_of(struct pool_kit *kit)
{
    struct pool_key key = pool_kit_key(80);
    struct pool_place *place;
    expect_int(pool_place_new(kit->pool, &key, &place), 0);
    return place;
}

static void who_wants_a_young_connection_gets_no_old_one(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_place *place = place_of(kit);
    struct pool_user *user = &kit->users[0];
    expect_int(place_call(user, place, NSEC_NEVER), POOL_WAIT);
    expect_int(place_call(user, place, NSEC_NEVER), 0);
    expect_int(user->n_reused, 1);
    expect_int(place_call(user, place, 0), POOL_WAIT);
    expect_int(user->n_reused, 1);
    expect_int(pool_kit_stats(kit).n_opened, 2);
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
    expect_int(pool_user_call(user, 80), POOL_WAIT);
    pool_kit_settle(kit);
    pool_place_free(place);
    expect_int(pool_kit_stats(kit).n_open, 1);
    pool_kit_free(kit);
}

static void a_new_one_takes_the_place_of_the_oldest(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_place *place = place_of(kit);
    kit->users[0].is_patient = true;
    expect_int(place_call(&kit->users[0], place, 0), POOL_WAIT);
    for (int i = 1; i <= 100; i++) {
        expect_int(place_call(&kit->users[1], place, 0), POOL_WAIT);
        expect_int(kit->users[1].n_done, i);
    }
    expect_int(pool_kit_stats(kit).n_opened, 101);
    expect_int(pool_kit_stats(kit).n_open, 3); /* two in use at once, and one */
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    pool_place_free(place);
    pool_kit_free(kit);
}

static void one_that_comes_back_is_not_given_to_who_waits_for_a_new_one(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    struct pool_kit *kit = pool_kit_new(&options);
    struct pool_place *place = place_of(kit);
    kit->users[0].is_patient = true;
    expect_int(place_call(&kit->users[0], place, NSEC_NEVER), POOL_WAIT);
    expect_int(place_call(&kit->users[1], place, 0), POOL_WAIT);
    expect_int(pool_kit_stats(kit).n_open, 1);
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    pool_kit_settle(kit);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].n_reused, 0);
    expect_int(pool_kit_stats(kit).n_opened, 2);
    pool_place_free(place);
    pool_kit_free(kit);
}

static void the_owner_learns_how_long_idle_connections_live(void)
{
    struct closed closed = {0};
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_place *place = place_of(kit);
    pool_place_on_closed(place, on_closed, &closed);
    kit->server_is_silent = true;
    (void)place_call(&kit->users[0], place, NSEC_NEVER);
    (void)stream_send(kit->silent[0], SLICE_LIT("HTTP/1.1 200 OK\r\nkeep-alive: max=9, Timeout=5\r\n"
                                                "content-length: 0\r\n\r\n"));
    pool_kit_settle(kit);
    expect_int(kit->users[0].n_done, 1);
    expect_int(closed.n_promised, 1);
    expect_int(closed.promised_ns, 5 * NSEC_PER_SEC);
    sim_run_for(kit->sim, 3 * NSEC_PER_SEC);
    char room[1000];
    expect_true(stream_recv(kit->silent[0], room, sizeof(room)) > 0);
    expect_int(stream_shutdown(kit->silent[0]), 0);
    pool_kit_settle(kit);
    expect_int(closed.n_seen, 1);
    expect_true(closed.seen_ns >= 3 * NSEC_PER_SEC && closed.seen_ns <= 3 * NSEC_PER_SEC + 5 * NSEC_PER_MSEC);
    expect_int(pool_kit_stats(kit).n_open, 0);
    pool_place_free(place);
    pool_kit_free(kit);
}

static void a_freed_place_lets_calls_finish(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_place *place = place_of(kit);
    kit->users[1].is_patient = true;
    (void)place_call(&kit->users[1], place, 0);
    (void)place_call(&kit->users[0], place, NSEC_NEVER);
    expect_int(pool_kit_stats(kit).n_open, 2);
    pool_place_free(place);
    expect_int(pool_kit_stats(kit).n_open, 1);
    expect_int(pool_kit_stats(kit).n_idle, 0);
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].result, 0);
    expect_int(pool_kit_stats(kit).n_open, 0);

    /* One that nobody has used, or that is just being opened. */
    place = place_of(kit);
    pool_place_free(place);
    place = place_of(kit);
    struct client_connection *connection;
    expect_int(pool_place_get(place, NULL, &kit->users[2].wait, &connection), POOL_WAIT);
    pool_cancel(&kit->users[2].wait);
    pool_place_free(place);
    expect_int(pool_kit_stats(kit).n_open, 0);
    pool_place_free(NULL);
    pool_kit_free(kit);
}

static const struct test_case cases[] = {
    {"who wants a young connection gets no old one", who_wants_a_young_connection_gets_no_old_one},
    {"a new one takes the place of the oldest", a_new_one_takes_the_place_of_the_oldest},
    {"one that comes back is not given to who waits for a new one",
     one_that_comes_back_is_not_given_to_who_waits_for_a_new_one},
    {"the owner learns how long idle connections live", the_owner_learns_how_long_idle_connections_live},
    {"a freed place lets calls finish", a_freed_place_lets_calls_finish},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
