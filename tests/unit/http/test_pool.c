/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that are found by where they lead to: kept, waited for, given up. */
#include "support/fault_alloc.h"
#include "support/pool_kit.h"
#include "support/test.h"

#include <errno.h>

/* A call that is answered when the test says so. */
static void call_patiently(struct pool_user *user)
{
    user->is_patient = true;
    pool_user_call(user, 80);
    pool_kit_settle(user->kit);
}

static void connections_are_kept_by_place(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_user *user = &kit->users[0];
    expect_int(pool_user_call(user, 80), POOL_WAIT);
    pool_kit_settle(kit);
    expect_int(user->n_done, 1);
    expect_int(user->result, 0);
    expect_int(user->status, 200);
    expect_int(user->n_body, 6);
    expect_int(pool_user_call(user, 80), 0);
    pool_kit_settle(kit);
    expect_int(user->n_reused, 1);
    expect_int(pool_user_call(user, 81), POOL_WAIT);
    pool_kit_settle(kit);
    expect_int(user->n_done, 3);
    expect_int(user->n_reused, 1);
    struct pool_stats stats = pool_kit_stats(kit);
    expect_int(stats.n_opened, 2);
    expect_int(stats.n_reused, 1);
    expect_int(stats.n_idle, 2);
    pool_kit_free(kit);
}

static void the_one_used_last_is_given_first(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    call_patiently(&kit->users[0]);
    struct exchange *first = kit->later;
    call_patiently(&kit->users[1]);
    struct exchange *second = kit->later;
    exchange_respond(first, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    struct client_connection *connection;
    struct pool_key key = pool_kit_key(80);
    exchange_respond(second, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    expect_int(pool_kit_stats(kit).n_idle, 2);
    expect_int(pool_get(kit->pool, &key, &kit->users[2].wait, &connection), 0);
    struct client_connection *last = connection;
    pool_user_start(&kit->users[2], connection);
    pool_kit_settle(kit);
    expect_int(pool_get(kit->pool, &key, &kit->users[2].wait, &connection), 0);
    expect_true(connection == last);
    pool_user_start(&kit->users[2], connection);
    pool_kit_settle(kit);
    pool_kit_free(kit);
}

static void idle_connections_end(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_options options;
    pool_options_init(&options);
    pool_user_call(&kit->users[0], 80);
    pool_kit_settle(kit);
    sim_run_for(kit->sim, options.client.idle_timeout_ns);
    expect_int(pool_kit_stats(kit).n_idle_expired, 1);
    expect_int(pool_kit_stats(kit).n_open, 0);

    pool_user_call(&kit->users[0], 80);
    pool_kit_settle(kit);
    http_server_free(TAKE(kit->server));
    pool_kit_settle(kit);
    expect_int(pool_kit_stats(kit).n_idle_closed, 1);
    expect_int(pool_kit_stats(kit).n_open, 0);

    kit->server_is_silent = true;
    pool_user_call(&kit->users[0], 80);
    pool_kit_settle(kit);
    (void)stream_send(kit->silent[2], SLICE_LIT("HTTP/1.1 204 No Content\r\n\r\n"));
    pool_kit_settle(kit);
    (void)stream_send(kit->silent[2], SLICE_LIT("HTTP/1.1 204 No Content\r\n\r\n"));
    pool_kit_settle(kit);
    expect_int(pool_kit_stats(kit).n_idle_unasked, 1);
    expect_int(pool_kit_stats(kit).n_open, 0);
    pool_kit_free(kit);
}

static void not_too_many_are_kept(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_idle_per_key_max = 2;
    options.n_idle_max = 3;
    struct pool_kit *kit = pool_kit_new(&options);
    for (unsigned i = 0; i < 6; i++)
        pool_user_call(&kit->users[i], 80 + i % 2);
    pool_kit_settle(kit);
    expect_int(pool_kit_stats(kit).n_opened, 6);
    expect_int(pool_kit_stats(kit).n_idle, 3);
    expect_int(pool_kit_stats(kit).n_open, 3);
    expect_int(pool_kit_stats(kit).n_idle_expired, 3);
    pool_kit_free(kit);
}

static void waits_are_served_in_order_within_the_limit(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    options.n_waits_per_key_max = 2;
    struct pool_kit *kit = pool_kit_new(&options);
    call_patiently(&kit->users[0]);
    expect_int(pool_user_call(&kit->users[1], 80), POOL_WAIT);
    expect_int(pool_user_call(&kit->users[2], 80), POOL_WAIT);
    expect_int(pool_user_call(&kit->users[3], 80), -EBUSY);
    expect_int(pool_user_call(&kit->users[4], 81), POOL_WAIT);
    pool_kit_settle(kit);
    expect_int(kit->users[1].n_done, 0);
    expect_int(kit->users[4].n_done, 1);

    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    expect_int(kit->users[1].n_reused, 1);
    expect_int(kit->users[2].n_reused, 1);
    expect_int(pool_kit_stats(kit).n_opened, 2);

    /* When the connection is spent, another is opened for who waits. */
    call_patiently(&kit->users[0]);
    expect_int(pool_user_call(&kit->users[1], 80), POOL_WAIT);
    client_call_cancel(&kit->users[0].call);
    pool_kit_settle(kit);
    expect_int(kit->users[1].n_done, 2);
    expect_int(kit->users[1].n_reused, 1);
    pool_kit_free(kit);
}

static void waiting_ends(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_per_key_max = 1;
    struct pool_kit *kit = pool_kit_new(&options);
    call_patiently(&kit->users[0]);
    expect_int(pool_user_call(&kit->users[1], 80), POOL_WAIT);
    expect_int(pool_user_call(&kit->users[2], 80), POOL_WAIT);
    pool_cancel(&kit->users[2].wait);
    pool_cancel(&kit->users[2].wait);
    sim_run_for(kit->sim, options.wait_timeout_ns - NSEC_PER_MSEC);
    expect_int(kit->users[1].n_done, 0);
    sim_run_for(kit->sim, 2 * NSEC_PER_MSEC);
    expect_int(kit->users[1].n_done, 1);
    expect_int(kit->users[1].result, -ETIMEDOUT);
    expect_int(kit->users[2].n_done, 0);
    client_call_cancel(&kit->users[0].call);
    pool_kit_free(kit);
}

static void a_failed_attempt_fails_who_waits_longest(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    kit->connect_ns = 5 * NSEC_PER_MSEC;
    kit->connect_error = -ECONNREFUSED;
    expect_int(pool_user_call(&kit->users[0], 80), POOL_WAIT);
    expect_int(pool_user_call(&kit->users[1], 80), POOL_WAIT);
    sim_run_for(kit->sim, 6 * NSEC_PER_MSEC);
    expect_int(kit->users[0].result, -ECONNREFUSED);
    expect_int(kit->users[1].result, -ECONNREFUSED);
    expect_int(pool_kit_stats(kit).n_connect_failed, 2);
    expect_int(pool_kit_stats(kit).n_open, 0);
    pool_kit_free(kit);
}

static void an_attempt_has_its_time(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    struct pool_options options;
    pool_options_init(&options);
    kit->connect_ns = 3600 * NSEC_PER_SEC;
    expect_int(pool_user_call(&kit->users[0], 80), POOL_WAIT);
    sim_run_for(kit->sim, options.connect_timeout_ns + NSEC_PER_MSEC);
    expect_int(kit->users[0].result, -ETIMEDOUT);
    expect_int(pool_kit_stats(kit).n_open, 0);

    /* An attempt that nobody waits for any more goes on, and is ended with the pool. */
    expect_int(pool_user_call(&kit->users[0], 80), POOL_WAIT);
    pool_cancel(&kit->users[0].wait);
    expect_int(pool_kit_stats(kit).n_open, 1);
    pool_kit_free(kit);
}

static int calls_or_fail(void *arg)
{
    (void)arg;
    struct pool_kit *kit;
    int r = pool_kit_try_new(NULL, &kit);
    if (r == 0) {
        for (unsigned i = 0; r == 0 && i < 3; i++) {
            r = pool_user_call(&kit->users[i % 2], 80);
            pool_kit_settle(kit);
            r = r < 0 ? -ENOMEM : kit->users[i % 2].result;
        }
        if (r == -ECONNRESET || r == -EPIPE) /* the server had no memory for the connection */
            r = -ENOMEM;
    }
    pool_kit_free(kit);
    return r;
}

static void any_allocation_may_fail(void)
{
    expect_true(fault_alloc_sweep(calls_or_fail, NULL) > 8);
}

/* Without descriptors an idle connection gives way, wherever it leads to; one in use does not. */
static void idle_connections_give_way(void)
{
    struct pool_kit *kit = pool_kit_new(NULL);
    kit->n_open_max = 3;
    for (unsigned i = 0; i < 20; i++) {
        expect_int(pool_user_call(&kit->users[1], 81 + i % 5), POOL_WAIT);
        pool_kit_settle(kit);
        expect_int(kit->users[1].result, 0);
    }
    expect_int(pool_kit_stats(kit).n_idle, 3);
    expect_int(pool_kit_stats(kit).n_idle_expired, 17);
    call_patiently(&kit->users[0]);
    kit->n_open_max = 1;
    expect_int(pool_user_call(&kit->users[1], 90), -EMFILE);
    expect_int(pool_kit_stats(kit).n_idle, 0);
    exchange_respond(kit->later, 200, NULL, 0, (struct slice){0});
    pool_kit_settle(kit);
    expect_int(kit->users[0].result, 0);
    pool_kit_free(kit);
}

/* Of too many the one that was not used for long goes, not the one that has just been. */
static void too_many_idle_ones_are_closed_in_turn(void)
{
    struct pool_options options;
    pool_options_init(&options);
    options.n_idle_max = 4;
    struct pool_kit *kit = pool_kit_new(&options);
    for (unsigned i = 0; i < 12; i++) {
        expect_int(pool_user_call(&kit->users[0], 80 + i), POOL_WAIT);
        pool_kit_settle(kit);
        expect_int(pool_user_call(&kit->users[0], 80 + i), 0); /* it was kept */
        pool_kit_settle(kit);
        expect_true(pool_kit_stats(kit).n_idle <= 4);
    }
    expect_int(pool_kit_stats(kit).n_idle_expired, 8);
    pool_kit_free(kit);
}

static const struct test_case cases[] = {
    {"connections are kept by place", connections_are_kept_by_place},
    {"the one used last is given first", the_one_used_last_is_given_first},
    {"idle connections end", idle_connections_end},
    {"not too many are kept", not_too_many_are_kept},
    {"too many idle ones are closed in turn", too_many_idle_ones_are_closed_in_turn},
    {"without descriptors idle connections give way", idle_connections_give_way},
    {"waits are served in order, within the limit", waits_are_served_in_order_within_the_limit},
    {"waiting ends", waiting_ends},
    {"a failed attempt fails the one who waits longest", a_failed_attempt_fails_who_waits_longest},
    {"an attempt has its time", an_attempt_has_its_time},
    {"any allocation may fail", any_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
