/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: renewal, expiry by arrival, their race, their keys; virtual time throughout. */
#include "store/local/lease.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MS    NSEC_PER_MSEC
#define START (1000 * NSEC_PER_SEC)

static struct rcu_domain rcu;

static struct lease_table *table_new(void)
{
    struct lease_table *table;
    rcu_init(&rcu);
    expect_int(lease_table_new(&rcu, START, &table), 0);
    return table;
}

static void table_free(struct lease_table *table)
{
    lease_table_free(table);
    rcu_deinit(&rcu);
}

static struct lease *granted(struct lease_table *table, int64_t id, int64_t ttl_ms, nsec_t now_ns)
{
    struct lease *lease;
    expect_int(lease_grant(table, id, ttl_ms, now_ns, &lease), STORE_OK);
    lease_show(lease, now_ns);
    return lease;
}

static void remove_dead(struct lease_table *table, struct lease **dead, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        lease_remove(table, dead[i]);
}

static void a_lease_lives_while_it_is_renewed(void)
{
    struct lease_table *table = table_new();
    granted(table, 7, 1000, START);
    struct lease *dead[4];
    nsec_t now = START;
    for (int i = 0; i < 20; i++) {
        now += 900 * MS;
        expect_int(lease_expire(table, now, now, dead, 4), 0);
        expect_int(lease_touch(table, 7, now), 1000);
    }
    expect_int(lease_expire(table, now + 999 * MS, now + 999 * MS, dead, 4), 0);
    expect_int(lease_left_ms(lease_find(table, 7), now + 400 * MS), 600);
    expect_int(lease_expire(table, now + 1002 * MS, now + 1002 * MS, dead, 4), 1);
    expect_int(lease_id(dead[0]), 7);
    expect_int(lease_silence_ms(dead[0], now + 1002 * MS), 1002);
    expect_int(lease_touch(table, 7, now + 1003 * MS), 0);
    expect_true(lease_find(table, 7) == NULL);
    remove_dead(table, dead, 1);
    table_free(table);
}

static void a_heartbeat_that_arrived_in_time_is_not_too_late(void)
{
    struct lease_table *table = table_new();
    granted(table, 1, 1000, START);
    struct lease *dead[4];
    /* The process was stopped for a minute: the workers have read only up to half a second after the grant. */
    nsec_t now = START + 60 * NSEC_PER_SEC;
    expect_int(lease_expire(table, now, START + 500 * MS, dead, 4), 0);
    expect_true(lease_next(table) <= now);
    expect_int(lease_touch(table, 1, now), 1000);
    expect_int(lease_expire(table, now, now, dead, 4), 0);
    expect_int(lease_expire(table, now + 1100 * MS, now + 1100 * MS, dead, 4), 1);
    remove_dead(table, dead, 1);
    table_free(table);
}

static void a_grant_is_dead_to_heartbeats_until_it_is_shown(void)
{
    struct lease_table *table = table_new();
    struct lease *lease, *dead[4];
    expect_int(lease_grant(table, 5, 1000, START, &lease), STORE_OK);
    expect_int(lease_touch(table, 5, START), 0);
    expect_int(lease_expire(table, START + 5000 * MS, START + 5000 * MS, dead, 4), 0);
    lease_show(lease, START + 5000 * MS);
    expect_int(lease_touch(table, 5, START + 5000 * MS), 1000);
    expect_int(lease_expire(table, START + 7000 * MS, START + 7000 * MS, dead, 4), 1);
    remove_dead(table, dead, 1);

    expect_int(lease_grant(table, 6, 1000, START, &lease), STORE_OK);
    expect_true(lease_kill(lease));
    expect_false(lease_kill(lease));
    lease_show(lease, START); /* revoked before it was durable: stays dead */
    expect_int(lease_touch(table, 6, START), 0);
    lease_remove(table, lease);
    table_free(table);
}

static void ids_are_unique_and_given_ones_are_honoured(void)
{
    struct lease_table *table = table_new();
    struct lease *lease;
    granted(table, 42, 1000, START);
    expect_int(lease_grant(table, 42, 1000, START, &lease), STORE_LEASE_EXISTS);
    expect_int(lease_grant(table, 0, STORE_LEASE_TTL_MAX_MS + 1, START, &lease), STORE_TTL_TOO_LARGE);
    for (int i = 0; i < 1000; i++) {
        lease = granted(table, 0, 10000, START);
        expect_true(lease_id(lease) > 0);
        expect_int((uint32_t)lease_id(lease), 10);
    }
    expect_int(lease_table_size(table), 1001);
    table_free(table);
}

static struct version *version_named(const char *key)
{
    struct version *version = version_new(&(struct store_kv){.key = slice_from_str(key), .version = 1});
    expect_true(version != NULL);
    return version;
}

static void keys_come_in_order(void)
{
    struct lease_table *table = table_new();
    struct lease *a = granted(table, 1, 1000, START), *b = granted(table, 2, 1000, START);
    const char *names[] = {"z", "m", "n", "mm"};
    struct version *versions[4];
    for (int i = 0; i < 4; i++) {
        versions[i] = version_named(names[i]);
        lease_attach(i == 2 ? b : a, versions[i]);
    }
    lease_detach(versions[0]);
    lease_detach(versions[0]);
    struct slice *keys;
    size_t n;
    expect_int(lease_keys(a, &keys, &n), 0);
    expect_int(n, 2);
    expect_slice(keys[0], "m");
    expect_slice(keys[1], "mm");
    free(keys);
    for (int i = 0; i < 4; i++) {
        lease_detach(versions[i]);
        free(versions[i]);
    }
    table_free(table);
}

/* A hundred thousand leases of one moment leave in batches, none is forgotten. */
static void a_hundred_thousand_expire(void)
{
    struct lease_table *table = table_new();
    for (int i = 1; i <= 100000; i++)
        granted(table, i, 5000, START);
    nsec_t now = START + 5002 * MS;
    struct lease *dead[256];
    unsigned n, n_dead = 0;
    while ((n = lease_expire(table, now, now, dead, 256)) > 0) {
        remove_dead(table, dead, n);
        n_dead += n;
    }
    expect_int(n_dead, 100000);
    expect_int(lease_table_size(table), 0);
    expect_int(lease_next(table), NSEC_NEVER);
    table_free(table);
}

/* -------- renewal against expiry, on threads */

struct race {
    struct lease_table *table;
    _Atomic nsec_t now;
    _Atomic int64_t answered_until; /* the deadline that the last answered renewal gave */
    _Atomic bool stop;
};

static void *renew_on_and_on(void *arg)
{
    struct race *race = arg;
    struct rcu_reader reader;
    rcu_register(&rcu, &reader);
    rcu_online(&reader);
    while (!atomic_load(&race->stop)) {
        nsec_t now = atomic_load(&race->now);
        if (lease_touch(race->table, 1, now) > 0)
            atomic_store(&race->answered_until, now + 1 * MS);
        rcu_quiescent(&reader);
    }
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return NULL;
}

static void an_answered_renewal_is_never_followed_by_an_expiry_it_should_have_prevented(void)
{
    struct race race = {.table = table_new()};
    atomic_store(&race.now, START);
    pthread_t thread;
    expect_int(pthread_create(&thread, NULL, renew_on_and_on, &race), 0);
    nsec_t now = START;
    for (int i = 0; i < 3000; i++) {
        struct lease *lease = granted(race.table, 1, 1, now), *dead[1];
        expect_true(lease != NULL);
        for (;;) {
            now += MS / 2;
            atomic_store(&race.now, now);
            if (lease_expire(race.table, now, now, dead, 1) == 1) {
                expect_true(atomic_load(&race.answered_until) < now);
                break;
            }
        }
        lease_remove(race.table, dead[0]);
        rcu_reclaim(&rcu);
    }
    atomic_store(&race.stop, true);
    pthread_join(thread, NULL);
    table_free(race.table);
}

static int scenario_out_of_memory(void *arg)
{
    (void)arg;
    struct lease_table *table;
    rcu_init(&rcu);
    int result = lease_table_new(&rcu, START, &table);
    if (result == 0) {
        struct lease *lease;
        for (int i = 1; result == 0 && i < 100; i++) {
            result = lease_grant(table, i, 1000, START, &lease);
        }
        lease_table_free(table);
    }
    rcu_deinit(&rcu);
    return result;
}

static void out_of_memory_is_an_error(void)
{
    expect_true(fault_alloc_sweep(scenario_out_of_memory, NULL) > 100);
}

static const struct test_case cases[] = {
    {"a lease lives while it is renewed", a_lease_lives_while_it_is_renewed},
    {"a heartbeat that arrived in time is not too late after a stall",
     a_heartbeat_that_arrived_in_time_is_not_too_late},
    {"a grant is dead to heartbeats until it is shown", a_grant_is_dead_to_heartbeats_until_it_is_shown},
    {"ids are unique, given ones are honoured", ids_are_unique_and_given_ones_are_honoured},
    {"the keys of a lease come in order", keys_come_in_order},
    {"etcd#9360: a hundred thousand leases of one moment expire in batches", a_hundred_thousand_expire},
    {"an answered renewal is never followed by an expiry it should have prevented",
     an_answered_renewal_is_never_followed_by_an_expiry_it_should_have_prevented},
    {"out of memory is an error", out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
