/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health with a store, a curator and a network of one simulated loop. Whether an instance can be reached is said by its
 * port: plan[port].
 */
#include "catalog/instance_record.h"
#include "health/health_priv.h"
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/office_kit.h"
#include "support/registry_kit.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

enum plan { THERE, REFUSES, SILENT };

#define N_PORTS 65536

struct bench {
    struct registry_kit registry;
    struct errand_office office;
    struct health *health;
    bool is_started;
    uint8_t plan[N_PORTS];
    unsigned n_asked[N_PORTS];
    struct stream *ends[1024]; /* of those that were connected to, a ring */
    unsigned n_ends;
};

/* connect has no context of its own: a case has one bench, and a process of its own. */
static struct bench *the_bench;

static int connect_sim(struct loop *loop, const struct addr *addr, nsec_t deadline_ns, stream_event_fn on_event,
                       void *owner, struct stream **ret_stream)
{
    (void)loop, (void)deadline_ns;
    struct bench *bench = the_bench;
    unsigned port = ntohs(addr->v4.sin_port);
    const struct sim_options network = {
        .connect_ns = bench->plan[port] == SILENT ? 3600 * S : MS,
        .connect_error = bench->plan[port] == REFUSES ? -ECONNREFUSED : 0,
    };
    struct stream **end = &bench->ends[bench->n_ends++ % ARRAY_LEN(bench->ends)];
    stream_close(TAKE(*end));
    bench->n_asked[port]++;
    return sim_connect(bench->registry.sim, &network, on_event, owner, ret_stream, end);
}

static int start_health(struct bench *bench)
{
    int r = health_part(bench->health)->start(health_part(bench->health), &bench->office);
    bench->is_started = r == 0;
    return r;
}

static void stop_health(struct bench *bench)
{
    if (bench->is_started)
        health_part(bench->health)->stop(health_part(bench->health));
    bench->is_started = false;
    sim_run_for(bench->registry.sim, 0);
}

static struct bench *bench_new(unsigned n_at_once)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct health_options health_options;
    expect_true(bench);
    the_bench = bench;
    registry_kit_init(&bench->registry, true);
    office_kit_open(&bench->office, bench->registry.loop, connect_sim);
    health_options_init(&health_options);
    if (n_at_once > 0)
        health_options.n_at_once = n_at_once;
    expect_int(health_new_on(&health_options, bench->registry.loop, bench->registry.curator, bench->registry.log,
                             &bench->health, NULL),
               0);
    return bench;
}

static void bench_free(struct bench *bench)
{
    stop_health(bench);
    struct health_stats stats;
    health_get_stats(bench->health, &stats);
    expect_int(stats.n_running + stats.n_due + stats.n_watched, 0);
    health_free(bench->health);
    for (size_t i = 0; i < ARRAY_LEN(bench->ends); i++)
        stream_close(bench->ends[i]);
    sim_run_for(bench->registry.sim, 0);
    office_kit_close(&bench->office);
    registry_kit_deinit(&bench->registry);
    free(bench);
}

static void key_of(const char *service, unsigned port, char key[64])
{
    (void)snprintf(key, 64, "/muster/services/%s/%u", service, port);
}

#define CHECK "\"check\": {\"type\": \"tcp\", \"interval_ms\": 10000, \"to_fail\": 2, \"to_pass\": 1}"

/* An instance of that service whose id is its port; `more`: of its record. */
static void put(struct bench *bench, const char *service, unsigned port, const char *more)
{
    char key[64], value[256];
    key_of(service, port, key);
    (void)snprintf(value, sizeof(value), "{\"address\": \"10.0.0.1:%u\"%s%s}", port, more[0] ? ", " : "", more);
    (void)fake_store_put(bench->registry.store, key, value);
}

static void del(struct bench *bench, const char *service, unsigned port)
{
    char key[64];
    key_of(service, port, key);
    (void)fake_store_delete(bench->registry.store, key);
}

static const struct instance *find(struct bench *bench, const char *service, unsigned port)
{
    char id[16];
    (void)snprintf(id, sizeof(id), "%u", port);
    return registry_kit_find(&bench->registry, service, id);
}

static void expect_status(struct bench *bench, unsigned port, const char *status)
{
    const struct instance *instance = find(bench, "web", port);
    if (!instance)
        expect_str("gone", status);
    else
        expect_slice(instance_reason_text(instance_status(instance)), status);
}

static struct health_stats stats_of(const struct bench *bench)
{
    struct health_stats stats;
    health_get_stats(bench->health, &stats);
    return stats;
}

static void run(struct bench *bench, nsec_t duration_ns)
{
    sim_run_for(bench->registry.sim, duration_ns);
}

/* ------------------------------------------------------------------------------------------------ checks */

static void pass_fail_recover(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    put(bench, "web", 80, CHECK);
    run(bench, 0);
    expect_status(bench, 80, "starting");
    run(bench, 2 * MS);
    expect_status(bench, 80, "up");
    bench->plan[80] = REFUSES;
    unsigned n_asked = bench->n_asked[80];
    while (bench->n_asked[80] == n_asked)
        run(bench, 100 * MS);
    expect_status(bench, 80, "up"); /* once is no reason */
    run(bench, 11 * S);
    expect_status(bench, 80, "failing");
    bench->plan[80] = THERE;
    run(bench, 11 * S);
    expect_status(bench, 80, "up");
    del(bench, "web", 80);
    run(bench, 0);
    n_asked = bench->n_asked[80];
    run(bench, 60 * S);
    expect_int(bench->n_asked[80], n_asked);
    expect_int(stats_of(bench).n_watched, 0);
    bench_free(bench);
}

static void only_who_asks_for_it_is_checked(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    put(bench, "web", 80, "");
    put(bench, "web", 81, "\"check\": {\"type\": \"ttl\", \"interval_ms\": 10000}");
    put(bench, "web", 82, CHECK);
    run(bench, 60 * S);
    expect_int(bench->n_asked[80] + bench->n_asked[81], 0);
    expect_true(bench->n_asked[82] >= 5 && bench->n_asked[82] <= 8);
    put(bench, "web", 82, "");
    run(bench, 0);
    expect_int(stats_of(bench).n_watched, 0);
    bench_free(bench);
}

static void what_was_there_before_is_checked_within_an_interval(void)
{
    struct bench *bench = bench_new(0);
    put(bench, "web", 80, CHECK);
    run(bench, 0);
    expect_int(start_health(bench), 0);
    bench->plan[80] = REFUSES;
    run(bench, 21 * S);
    expect_status(bench, 80, "failing");
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ many */

static void a_bounded_number_runs_at_once(void)
{
    struct bench *bench = bench_new(16);
    expect_int(start_health(bench), 0);
    for (unsigned port = 1000; port < 1100; port++)
        put(bench, "web", port, CHECK);
    for (unsigned port = 1000; port < 1008; port++)
        bench->plan[port] = SILENT; /* half of the room for a second each */
    unsigned n_most = 0, n_due = 0;
    for (unsigned i = 0; i < 5000; i++) {
        run(bench, MS);
        n_most = stats_of(bench).n_running > n_most ? stats_of(bench).n_running : n_most;
        n_due = stats_of(bench).n_due > n_due ? stats_of(bench).n_due : n_due;
    }
    expect_int(n_most, 16);
    expect_true(n_due >= 50);
    for (unsigned port = 1008; port < 1100; port++)
        expect_status(bench, port, "up");
    del(bench, "web", 1050);
    bench_free(bench);
}

static void those_that_wait_may_leave(void)
{
    struct bench *bench = bench_new(1);
    expect_int(start_health(bench), 0);
    for (unsigned port = 1000; port < 1010; port++) {
        bench->plan[port] = SILENT;
        put(bench, "web", port, CHECK);
    }
    run(bench, MS);
    expect_int(stats_of(bench).n_due, 9);
    for (unsigned port = 1000; port < 1010; port++)
        del(bench, "web", port);
    run(bench, MS);
    expect_int(stats_of(bench).n_due, 0);
    expect_int(stats_of(bench).n_running, 0);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ changes */

static void another_incarnation_while_a_look_runs(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    bench->plan[80] = SILENT;
    put(bench, "web", 80, CHECK);
    run(bench, 10 * MS);
    expect_int(stats_of(bench).n_running, 1);
    bench->plan[80] = THERE;
    del(bench, "web", 80);
    put(bench, "web", 80, CHECK);
    run(bench, 10 * MS);
    expect_status(bench, 80, "up");
    expect_int(bench->n_asked[80], 2);
    expect_int(stats_of(bench).n_void + stats_of(bench).n_bad, 0); /* nobody waited for the first one */
    bench_free(bench);
}

/* The record that is being asked about is replaced, and the old one is gone. */
static void a_change_while_a_look_runs(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    bench->plan[80] = SILENT;
    put(bench, "web", 80, CHECK ", \"tags\": [\"a\"]");
    run(bench, 10 * MS);
    for (int i = 0; i < 10; i++) {
        put(bench, "web", 80, i % 2 ? CHECK ", \"tags\": [\"a\"]" : CHECK);
        run(bench, 10 * MS);
    }
    expect_int(bench->n_asked[80], 1);
    run(bench, 25 * S);
    expect_status(bench, 80, "failing");
    bench_free(bench);
}

static void changes_that_were_forgotten(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    put(bench, "web", 80, CHECK);
    run(bench, MS);
    /* More in one turn than the catalogue remembers; the first goes and the last comes in it. */
    del(bench, "web", 80);
    for (unsigned i = 0; i < 100000; i++)
        put(bench, "other", 1 + i % 100, i / 100 % 2 ? "" : "\"tags\": [\"a\"]");
    put(bench, "web", 81, CHECK);
    run(bench, 11 * S);
    expect_status(bench, 80, "gone");
    expect_status(bench, 81, "up");
    expect_int(stats_of(bench).n_watched, 1);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ trouble */

static void report_suspicion(struct bench *bench, const char *id)
{
    const struct catalog_event event = {
        .type = CATALOG_SUSPECT,
        .report = {.service = SLICE_LIT("web"), .id = slice_from_str(id), .actor = SLICE_LIT("gateway")},
    };
    expect_int(curator_report(bench->registry.curator, &event), 0);
}

static void who_is_suspected_is_looked_at_at_once(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    put(bench, "web", 80, "");
    put(bench, "web", 81, "\"check\": {\"type\": \"tcp\", \"interval_ms\": 86400000}");
    run(bench, 2 * S);
    report_suspicion(bench, "80");
    report_suspicion(bench, "81");
    run(bench, 0);
    expect_status(bench, 80, "suspect");
    run(bench, 10 * MS);
    expect_status(bench, 80, "up");
    expect_status(bench, 81, "up");
    bench->plan[80] = REFUSES;
    report_suspicion(bench, "80");
    run(bench, 60 * S);
    expect_status(bench, 80, "suspect"); /* it is not for us to remove a key */
    expect_true(bench->n_asked[80] >= 55);
    bench->plan[80] = THERE;
    run(bench, 2 * S);
    expect_status(bench, 80, "up");
    expect_int(stats_of(bench).n_watched, 1);
    bench_free(bench);
}

/* Keys on leases, which run out together. */
static void register_leased(struct bench *bench, unsigned port, const char *more)
{
    struct instance_record record;
    struct arena arena = {0};
    char id[16], json[256];
    (void)snprintf(id, sizeof(id), "%u", port);
    (void)snprintf(json, sizeof(json), "{\"address\": \"10.0.0.1:%u\"%s%s}", port, more[0] ? ", " : "", more);
    expect_int(instance_record_parse(slice_from_str(json), INSTANCE_RECORD_STRICT, &arena, &record, NULL), 0);
    struct curator_request request = {
        .type = CURATOR_REGISTER,
        .loop = bench->registry.loop,
        .done = curator_request_deinit,
        .service = SLICE_LIT("web"),
        .id = slice_from_str(id),
        .record = &record,
        .ttl_ms = 5000,
    };
    curator_submit(bench->registry.curator, &request);
    run(bench, MS);
    arena_deinit(&arena);
}

static void after_a_mass_loss_those_who_live_stay(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    for (unsigned port = 80; port < 85; port++)
        register_leased(bench, port, port == 80 ? CHECK : "");
    bench->plan[83] = REFUSES;
    bench->plan[84] = SILENT;
    run(bench, 6 * S);
    expect_int(fake_store_expire(bench->registry.store), 5);
    run(bench, 0);
    for (unsigned port = 80; port < 85; port++)
        expect_status(bench, port, "held");
    run(bench, 10 * MS);
    expect_status(bench, 83, "gone"); /* nobody is there */
    expect_status(bench, 84, "held"); /* one answer that does not come is no proof */
    run(bench, 4 * S);
    expect_status(bench, 84, "gone");
    run(bench, 3600 * S);
    for (unsigned port = 80; port < 83; port++)
        expect_status(bench, port, "held");
    bench->plan[80] = REFUSES;
    run(bench, 2 * S);
    expect_status(bench, 80, "gone");
    bench_free(bench);
}

/* Its first check passes while it is held: it must not stay "starting" for ever after. */
static void a_check_that_passes_while_held_is_told_later(void)
{
    struct bench *bench = bench_new(0);
    expect_int(start_health(bench), 0);
    for (unsigned port = 80; port < 85; port++) {
        bench->plan[port] = SILENT;
        register_leased(bench, port, "\"check\": {\"type\": \"tcp\", \"interval_ms\": 10000, \"to_fail\": 100}");
    }
    run(bench, 6 * S);
    while (stats_of(bench).n_running > 0) /* a look that goes on would be the second one in silence: bad news */
        run(bench, 50 * MS);
    expect_status(bench, 80, "starting");
    expect_int(fake_store_expire(bench->registry.store), 5);
    for (unsigned port = 80; port < 85; port++)
        bench->plan[port] = THERE;
    run(bench, 5 * S);
    expect_true(INSTANCE_HAS(find(bench, "web", 80), HELD));
    register_leased(bench, 80, "\"check\": {\"type\": \"tcp\", \"interval_ms\": 10000, \"to_fail\": 100}");
    run(bench, 11 * S);
    expect_status(bench, 80, "up");
    bench_free(bench);
}

static void a_thread_that_is_held_up_fails_nobody(void)
{
    for (nsec_t moment_ns = 0; moment_ns < 12 * S; moment_ns += test_step() * 97 * MS) {
        struct bench *bench = bench_new(0);
        expect_int(start_health(bench), 0);
        for (unsigned port = 80; port < 90; port++)
            put(bench, "web", port,
                "\"check\": {\"type\": \"tcp\", \"interval_ms\": 1000, \"timeout_ms\": 500, \"to_fail\": 1}");
        run(bench, moment_ns);
        /* Connections come about in the meantime; whatever we asked, its time is over when we come to. */
        sim_skip(bench->registry.sim, 3 * S);
        int64_t revision = catalog_revision(curator_catalog(bench->registry.curator));
        run(bench, 3 * S);
        for (unsigned port = 80; port < 90; port++)
            expect_status(bench, port, "up");
        expect_true(moment_ns < S || catalog_revision(curator_catalog(bench->registry.curator)) == revision);
        bench_free(bench);
    }
}

/* ------------------------------------------------------------------------------------------------ ends */

static void it_may_be_stopped_at_any_time(void)
{
    for (nsec_t moment_ns = 0; moment_ns < 4 * S; moment_ns += test_step() * 31 * MS) {
        struct bench *bench = bench_new(4);
        expect_int(start_health(bench), 0);
        for (unsigned port = 80; port < 100; port++) {
            bench->plan[port] = (uint8_t)(port % 3);
            put(bench, "web", port, CHECK);
        }
        run(bench, moment_ns);
        stop_health(bench);
        expect_int(stats_of(bench).n_running, 0);
        expect_int(start_health(bench), 0);
        run(bench, 10 * MS);
        bench_free(bench);
    }
}

/* Whatever there is no memory for, a while later all are looked at all the same. */
static void each_allocation_may_fail(void)
{
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
        struct bench *bench = bench_new(0);
        for (unsigned port = 80; port < 84; port++)
            put(bench, "web", port, CHECK);
        run(bench, 0);
        put(bench, "web", 84, CHECK); /* of this one the curator has not heard yet */
        fault_alloc_arm(n);
        int r = start_health(bench);
        if (r == 0)
            run(bench, 12 * S);
        has_failed = fault_alloc_disarm();
        expect_true(r == 0 || (r == -ENOMEM && has_failed));
        if (r == 0) {
            run(bench, 24 * S);
            for (unsigned port = 80; port <= 84; port++) {
                expect_status(bench, port, "up");
                expect_true(bench->n_asked[port] > 0);
            }
        }
        bench_free(bench);
    }
}

static const struct test_case cases[] = {
    {"pass, fail, recover", pass_fail_recover},
    {"only who asks for it is checked", only_who_asks_for_it_is_checked},
    {"what was there before is checked within an interval", what_was_there_before_is_checked_within_an_interval},
    {"a bounded number runs at once", a_bounded_number_runs_at_once},
    {"those that wait may leave", those_that_wait_may_leave},
    {"another incarnation while a look runs", another_incarnation_while_a_look_runs},
    {"a change while a look runs", a_change_while_a_look_runs},
    {"changes that were forgotten", changes_that_were_forgotten},
    {"who is suspected is looked at at once", who_is_suspected_is_looked_at_at_once},
    {"after a mass loss those who live stay", after_a_mass_loss_those_who_live_stay},
    {"a check that passes while held is told later", a_check_that_passes_while_held_is_told_later},
    {"a thread that is held up fails nobody", a_thread_that_is_held_up_fails_nobody},
    {"it may be stopped at any time", it_may_be_stopped_at_any_time},
    {"each allocation may fail", each_allocation_may_fail},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
