/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner with a store and a curator on one simulated loop; one case has all of them on threads of their own, and
 * readers on others.
 */
#include "gateway/planner_priv.h"

#include "gateway/pick.h"
#include "gateway/route.h"
#include "gateway/voice.h"
#include "keeper/curator_priv.h"
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/keeper_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

enum { N_WORKERS = 2 };

struct bench {
    struct rcu_domain rcu;
    struct sim *sim;
    struct loop *loop;
    struct store *store;
    struct projection *projection;
    struct curator *curator;
    struct resolver *resolver;
    struct gateway_settings settings;
    struct planner *planner;
    bool is_begun;
    struct planner_listener listener;
    unsigned n_news;
    /* what names lead to; read by the resolver's thread */
    _Atomic unsigned host_number; /* the last part of its address; 0: there is no such name */
    _Atomic unsigned n_lookups;
};

static int lookup(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n)
{
    struct bench *bench = ctx;
    char text[32];
    (void)name, (void)max;
    bench->n_lookups++;
    unsigned number = bench->host_number;
    if (number == 0)
        return -ENOENT;
    (void)snprintf(text, sizeof(text), "10.0.0.%u:%u", number, port);
    *ret_n = 1;
    return addr_parse(slice_from_str(text), &ret_addrs[0], NULL);
}

static void on_news(struct planner_listener *listener)
{
    container_of(listener, struct bench, listener)->n_news++;
}

static struct bench *bench_new(void)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct curator_options options = {.min_ttl_ms = 1000};
    expect_true(bench);
    rcu_init(&bench->rcu);
    expect_int(sim_new(&bench->rcu, &bench->sim, &bench->loop), 0);
    expect_int(fake_store_new(bench->loop, &bench->rcu, &bench->store), 0);
    expect_int(projection_new(NULL, 0, true, &bench->projection, NULL), 0);
    catalog_options_init(&options.catalog);
    options.store = bench->store;
    options.rcu = &bench->rcu;
    options.catalog.projection = bench->projection;
    options.catalog.flap_suppress = 0;
    options.catalog.loss_min = UINT32_MAX; /* nothing is held */
    expect_int(curator_new_on(&options, bench->loop, &bench->curator), 0);
    curator_begin(bench->curator);
    expect_int(resolver_new(1, 1000, lookup, bench, &bench->resolver), 0);
    return bench;
}

static void begin(struct bench *bench)
{
    const struct planner_options options = {
        .curator = bench->curator, .rcu = &bench->rcu, .n_workers = N_WORKERS, .settings = &bench->settings};
    expect_int(planner_new_on(&options, bench->loop, bench->resolver, &bench->planner), 0);
    bench->listener.loop = bench->loop;
    bench->listener.on_news = on_news;
    planner_listen(bench->planner, &bench->listener);
    expect_int(planner_begin(bench->planner), 0);
    sim_run_for(bench->sim, 0);
}

static void end(struct bench *bench)
{
    planner_end(bench->planner);
    sim_run_for(bench->sim, 0);
    planner_unlisten(&bench->listener);
    planner_free(TAKE(bench->planner));
}

static void bench_free(struct bench *bench)
{
    if (bench->planner)
        end(bench);
    curator_end(bench->curator);
    curator_free(bench->curator);
    sim_run_for(bench->sim, 0);
    resolver_free(bench->resolver);
    projection_free(bench->projection);
    fake_store_free(bench->store);
    loop_free(bench->loop);
    rcu_deinit(&bench->rcu);
    free(bench);
}

/* `more`: further members of the record. Nothing of it is seen before the loop turns. */
static void put(struct bench *bench, const char *service, const char *id, const char *more)
{
    char key[128], value[512];
    (void)snprintf(key, sizeof(key), "/muster/services/%s/%s", service, id);
    (void)snprintf(value, sizeof(value), "{\"address\": \"10.0.0.1:80\"%s%s}", more[0] ? ", " : "", more);
    (void)fake_store_put(bench->store, key, value);
}

static void drop(struct bench *bench, const char *service, const char *id)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "/muster/services/%s/%s", service, id);
    (void)fake_store_delete(bench->store, key);
}

/* The curator looks at the commits of others once a millisecond. */
static void settle(struct bench *bench)
{
    sim_run_for(bench->sim, 20 * MS);
}

static struct plan_cell *cell_of(const struct bench *bench, const char *name)
{
    return plan_find(planner_plan(bench->planner), slice_from_str(name));
}

static const struct plan_service *service_of(const struct bench *bench, const char *name)
{
    const struct plan_cell *cell = cell_of(bench, name);
    return cell ? rcu_read(&cell->current) : NULL;
}

/* NULL: not there. */
static struct runtime *runtime_of(const struct bench *bench, const char *name, const char *id)
{
    const struct plan_service *service = service_of(bench, name);
    const struct target *target = service ? plan_find_target(service, slice_from_str(id)) : NULL;
    return target ? target->runtime : NULL;
}

/* ------------------------------------------------------------------------------------------------ following */

static void what_is_there_at_the_start_is_old(void)
{
    struct bench *bench = bench_new();
    put(bench, "web", "a", "");
    settle(bench);
    bench->settings.policy.balance = BALANCE_LEAST;
    begin(bench);
    expect_int(service_of(bench, "web")->offered.n, 1);
    expect_int(service_of(bench, "web")->policy.balance, BALANCE_LEAST);
    expect_int(runtime_of(bench, "web", "a")->since_ns, RUNTIME_LONG_AGO);
    put(bench, "web", "b", "");
    settle(bench);
    expect_true(runtime_of(bench, "web", "b")->since_ns > 0);
    expect_false(service_of(bench, "nobody"));
    bench_free(bench);
}

static void changes_are_followed(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    expect_false(cell_of(bench, "web"));
    put(bench, "web", "a", "");
    put(bench, "web", "b", "");
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 2);
    struct runtime *runtime = runtime_ref(runtime_of(bench, "web", "a"));
    put(bench, "web", "a", "\"weight\": 3");
    settle(bench);
    expect_true(runtime_of(bench, "web", "a") == runtime);
    expect_int(service_of(bench, "web")->offered.weight, 4);
    drop(bench, "web", "a");
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 1);
    expect_true(runtime_has(runtime, RUNTIME_GONE));
    runtime_unref(runtime);
    drop(bench, "web", "b");
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 0);
    expect_true(service_of(bench, "web")->emptied_ms > 0);
    bench_free(bench);
}

static void a_service_is_made_at_most_once_in_a_millisecond(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    bench->listener.n_waiting = 1;
    for (unsigned i = 0; i < 1000; i++) {
        put(bench, "web", "a", i % 2 ? "\"weight\": 2" : "");
        sim_run_for(bench->sim, MS / 10);
    }
    expect_true(bench->n_news >= 50 && bench->n_news <= 110); /* in 100 ms */
    settle(bench);
    expect_int(service_of(bench, "web")->offered.weight, 2);
    bench_free(bench);
}

static void who_waits_is_told(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    put(bench, "web", "a", "");
    settle(bench);
    expect_int(bench->n_news, 0);
    bench->listener.n_waiting = 1;
    put(bench, "web", "a", "\"weight\": 2");
    settle(bench);
    expect_int(bench->n_news, 1);
    bench_free(bench);
}

static void after_a_gap_all_is_compared(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    put(bench, "web", "a", "");
    put(bench, "gone", "a", "");
    settle(bench);
    pursuit_stop(&bench->planner->pursuit);
    put(bench, "web", "b", "");
    put(bench, "new", "a", "");
    drop(bench, "gone", "a");
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 1);
    expect_int(pursuit_start(&bench->planner->pursuit, bench->planner->pursuit.events, bench->curator, bench->loop), 0);
    bench->planner->pursuit.is_behind = true;
    pursuit_catch_up(&bench->planner->pursuit);
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 2);
    expect_int(service_of(bench, "new")->offered.n, 1);
    expect_int(service_of(bench, "gone")->offered.n, 0);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ cells */

static void a_service_that_is_forgotten_leaves_when_nobody_holds_it(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    put(bench, "web", "a", "");
    settle(bench);
    struct plan_cell *cell = cell_of(bench, "web");
    plan_hold(cell, 1);
    drop(bench, "web", "a");
    sim_run_for(bench->sim, 2 * 3600 * S);
    put(bench, "other", "a", ""); /* the catalogue forgets when it is stepped */
    sim_run_for(bench->sim, 5 * S);
    expect_false(cell_of(bench, "web"));
    expect_false(list_is_empty(&bench->planner->leaving));
    expect_slice(cell->name, "web");
    plan_drop(cell, 1);
    sim_run_for(bench->sim, 5 * S);
    expect_true(list_is_empty(&bench->planner->leaving));
    put(bench, "web", "a", "");
    settle(bench);
    expect_int(service_of(bench, "web")->offered.n, 1);
    bench_free(bench);
}

static void the_table_of_services_grows(void)
{
    struct bench *bench = bench_new();
    char name[32];
    begin(bench);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        put(bench, name, "a", "");
        if (i % 100 == 0)
            settle(bench);
    }
    settle(bench);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        expect_int(service_of(bench, name)->offered.n, 1);
    }
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ routes */

static const char *routed_to(const struct bench *bench, const char *path)
{
    static char name[64];
    struct route_match match;
    const struct http_request request = {
        .authority = SLICE_LIT("example.com"), .path = slice_from_str(path), .target = slice_from_str(path)};
    route_find(planner_plan(bench->planner), &request, true, &match);
    struct slice found = match.outcome == ROUTE_FOUND ? match.cell->name : SLICE_LIT("");
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(found));
    return name;
}

#define SAYS(key, value) "\"metadata\": {\"" key "\": \"" value "\"}"

static void routes_come_and_go_with_who_says_them(void)
{
    struct bench *bench = bench_new();
    static const struct slice routes[] = {{"/x/ service=orders", 18}};
    bench->settings.routes = routes;
    bench->settings.n_routes = 1;
    begin(bench);
    expect_str(routed_to(bench, "/x/1"), "orders"); /* which nobody has registered */
    expect_false(service_of(bench, "orders"));
    put(bench, "web", "a", SAYS("gateway.route.one", "/w/"));
    settle(bench);
    expect_str(routed_to(bench, "/w/1"), "web");
    const struct plan *plan = planner_plan(bench->planner);
    put(bench, "web", "a", SAYS("gateway.route.one", "/w/") ", \"weight\": 3");
    settle(bench);
    expect_true(planner_plan(bench->planner) == plan);
    put(bench, "web", "a", SAYS("gateway.route.one", "no path"));
    settle(bench);
    expect_str(routed_to(bench, "/w/1"), "");

    bench->settings.n_routes = 0;
    bench->settings.default_service = SLICE_LIT("web");
    expect_int(planner_set_settings(bench->planner, &bench->settings, NULL), 0);
    settle(bench);
    expect_str(routed_to(bench, "/x/1"), "web");
    sim_run_for(bench->sim, 5 * S);
    expect_false(cell_of(bench, "orders"));
    expect_true(list_is_empty(&bench->planner->leaving));
    bench_free(bench);
}

static void a_bad_route_of_the_configuration_is_refused(void)
{
    struct bench *bench = bench_new();
    static const struct slice routes[] = {{"no path", 7}};
    struct err err;
    begin(bench);
    const struct plan *plan = planner_plan(bench->planner);
    bench->settings.routes = routes;
    bench->settings.n_routes = 1;
    expect_int(planner_set_settings(bench->planner, &bench->settings, &err), -EINVAL);
    expect_true(err.text[0] != '\0');
    settle(bench);
    expect_true(planner_plan(bench->planner) == plan);
    bench_free(bench);
}

static void settings_reach_all_services(void)
{
    struct bench *bench = bench_new();
    begin(bench);
    put(bench, "web", "a", "\"zone\": \"z1\"");
    put(bench, "web", "b", "\"zone\": \"z2\"");
    settle(bench);
    struct runtime *runtime = runtime_of(bench, "web", "a");
    bench->settings.zone = SLICE_LIT("z2");
    bench->settings.policy.balance = BALANCE_ROUND_ROBIN;
    expect_int(planner_set_settings(bench->planner, &bench->settings, NULL), 0);
    settle(bench);
    expect_int(service_of(bench, "web")->near.n, 1);
    expect_int(service_of(bench, "web")->policy.balance, BALANCE_ROUND_ROBIN);
    expect_slice(planner_plan(bench->planner)->settings.zone, "z2");
    expect_true(runtime_of(bench, "web", "a") == runtime);
    bench_free(bench);
}

static void who_is_hashed_by_a_route_has_points(void)
{
    struct bench *bench = bench_new();
    static const struct slice routes[] = {{"/x/ service=web hash=address", 28}};
    put(bench, "web", "a", "");
    settle(bench);
    bench->settings.routes = routes;
    bench->settings.n_routes = 1;
    begin(bench);
    settle(bench);
    expect_true(service_of(bench, "web")->offered.points);
    bench->settings.n_routes = 0;
    expect_int(planner_set_settings(bench->planner, &bench->settings, NULL), 0);
    settle(bench);
    put(bench, "web", "b", "");
    settle(bench);
    expect_false(service_of(bench, "web")->offered.points);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ names */

/* Answers come from the resolver's thread, in no time of the simulated clock. */
static void await_lookups(struct bench *bench, unsigned n)
{
    while (bench->n_lookups < n)
        (void)sched_yield();
    unsigned version = (unsigned)bench->planner->hosts.version;
    for (unsigned i = 0; i < 100000 && bench->planner->hosts.version == version; i++) {
        sim_run_for(bench->sim, 0);
        (void)sched_yield();
    }
    settle(bench);
}

static void put_named(struct bench *bench, const char *id)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "/muster/services/web/%s", id);
    (void)fake_store_put(bench->store, key, "{\"address\": \"some.host:8080\"}");
}

static void names_are_resolved_and_looked_up_again(void)
{
    struct bench *bench = bench_new();
    char text[ADDR_TEXT_MAX];
    begin(bench);
    bench->host_number = 1;
    put_named(bench, "a");
    put_named(bench, "b");
    settle(bench);
    await_lookups(bench, 1);
    expect_int(service_of(bench, "web")->offered.n, 2);
    struct runtime *runtime = runtime_ref(runtime_of(bench, "web", "a"));
    expect_slice(addr_format(&runtime->addr, text), "10.0.0.1:8080");

    bench->host_number = 2;
    sim_run_for(bench->sim, 2 * HOSTS_REFRESH_NS);
    await_lookups(bench, 2);
    expect_true(runtime_has(runtime, RUNTIME_GONE));
    expect_slice(addr_format(&runtime_of(bench, "web", "a")->addr, text), "10.0.0.2:8080");
    expect_int(service_of(bench, "web")->offered.n, 2);

    bench->host_number = 0; /* the last one stays */
    sim_run_for(bench->sim, 2 * HOSTS_REFRESH_NS);
    unsigned n = bench->n_lookups;
    while (bench->n_lookups < n + 2)
        sim_run_for(bench->sim, HOSTS_REFRESH_NS);
    expect_int(service_of(bench, "web")->offered.n, 2);

    drop(bench, "web", "a");
    drop(bench, "web", "b");
    settle(bench);
    while (bench->planner->hosts.by_name.len > 0)
        sim_run_for(bench->sim, HOSTS_REFRESH_NS);
    runtime_unref(runtime);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ any changes */

static unsigned n_of(const struct plan_service *service)
{
    return service ? service->offered.n + service->resort.n + service->n_withheld : 0;
}

static bool is_same(const struct target *target, const struct instance *instance)
{
    return slice_equal(target->instance->id, instance->id) && target->weight == instance->record.weight &&
           target->instance->incarnation == instance->incarnation && target->instance->reasons == instance->reasons &&
           voice_is(target->instance) == voice_is(instance) && voice_same_routes(target->instance, instance);
}

/*
 * That the plan has what the directory has. A key that is written again as it was makes another instance, of which no
 * change is told.
 */
static bool compare_service(void *ctx, const struct directory_service *service)
{
    struct bench *bench = ctx;
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(directory_name(service)));
    const struct plan_service *planned = service_of(bench, name);
    expect_true(planned);
    expect_int(n_of(planned), service->n_instances);
    struct plan_cursor at = {.service = planned};
    const struct instance *instance;
    for (struct directory_cursor of = {.service = service}; (instance = directory_next(&of));)
        expect_true(is_same(plan_next(&at), instance));
    return true;
}

static void change_any(struct bench *bench, uint64_t *seed)
{
    char service[16], id[16];
    (void)snprintf(service, sizeof(service), "s%u", (unsigned)(test_random(seed) % 20));
    (void)snprintf(id, sizeof(id), "i%u", (unsigned)(test_random(seed) % 100));
    static const char *const records[] = {"",
                                          "\"weight\": 5",
                                          "\"weight\": 0",
                                          SAYS("gateway.balance", "hash"),
                                          SAYS("gateway.route", "/r/"),
                                          SAYS("gateway.what", "ever")};
    if (test_random(seed) % 3 == 0)
        drop(bench, service, id);
    else
        put(bench, service, id, records[test_random(seed) % ARRAY_LEN(records)]);
}

static void any_changes_end_in_what_the_directory_has(void)
{
    uint64_t seed = test_seed();
    struct bench *bench = bench_new();
    begin(bench);
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned n = (unsigned)(test_random(&seed) % 30); n > 0; n--)
            change_any(bench, &seed);
        if (test_random(&seed) % 50 == 0) {
            end(bench);
            begin(bench);
        }
        sim_run_for(bench->sim, (nsec_t)(test_random(&seed) % 3) * MS);
        if (round % 10 == 0) {
            settle(bench);
            directory_each(bench->planner->directory, compare_service, bench);
        }
    }
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ memory */

static int make_and_free(void *arg)
{
    struct bench *bench = arg;
    const struct planner_options options = {
        .curator = bench->curator, .rcu = &bench->rcu, .n_workers = N_WORKERS, .settings = &bench->settings};
    struct planner *planner;
    int r = planner_new_on(&options, bench->loop, bench->resolver, &planner);
    if (r < 0)
        return r;
    r = planner_begin(planner);
    if (r == 0)
        planner_end(planner);
    planner_free(planner);
    return r;
}

static void each_allocation_may_fail_at_the_start(void)
{
    struct bench *bench = bench_new();
    static const struct slice routes[] = {{"/x/ service=web hash=address", 28}};
    bench->settings.routes = routes;
    bench->settings.n_routes = 1;
    put(bench, "web", "a", SAYS("gateway.route", "/r/"));
    put_named(bench, "b");
    settle(bench);
    expect_true(fault_alloc_sweep(make_and_free, bench) > 20);
    bench_free(bench);
}

static void without_memory_it_catches_up_later(void)
{
    uint64_t seed = test_seed();
    struct bench *bench = bench_new();
    begin(bench);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned n = 0; n < 10; n++)
            change_any(bench, &seed);
        sim_run_for(bench->sim, 0);
        fault_alloc_arm(1 + test_random(&seed) % 60);
        htab_for_each (node, &bench->planner->entries) {
            struct entry *entry = container_of(node, struct entry, node);
            (void)entry_make(entry);
            break;
        }
        (void)planner_publish(bench->planner);
        (void)fault_alloc_disarm();
    }
    sim_run_for(bench->sim, 10 * S);
    directory_each(bench->planner->directory, compare_service, bench);
    bench_free(bench);
}

static size_t allocated(void)
{
    return mallinfo2().uordblks;
}

/* A service is made anew again and again; one object more with each would be megabytes. */
static void memory_is_flat_over_many_publications(void)
{
    struct bench *bench = bench_new();
    put(bench, "web", "a", "");
    put(bench, "web", "b", SAYS("gateway.balance", "hash"));
    settle(bench);
    begin(bench);
    struct entry *entry;
    expect_int(entry_get(bench->planner, SLICE_LIT("web"), &entry), 0);
    size_t before = 0;
    for (unsigned i = 0; i < 100100; i++) {
        if (i == 100)
            before = allocated();
        entry->is_forced = i % 2;
        expect_int(entry_make(entry), 0);
        if (i % 100 == 99)
            sim_run_for(bench->sim, MS);
    }
    while (rcu_reclaim(&bench->rcu))
        continue;
    size_t after = allocated();
    if (after > before + 65536) /* what lies ready in the allocator counts too */
        test_fail(__FILE__, __LINE__, "%zu bytes more after 100,000 publications", after - before);
    bench_free(bench);
}

/* A route to a name that nobody has comes, and takes the place of the one before. */
static void reroute(struct bench *bench, unsigned number)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "/to%u/ service=to%u", number, number);
    const struct slice route = slice_from_str(text);
    bench->settings.routes = &route;
    bench->settings.n_routes = 1;
    expect_int(planner_set_settings(bench->planner, &bench->settings, NULL), 0);
    settle(bench);
    bench->settings.n_routes = 0;
}

/* A service of a new name comes with a route, changes and goes. */
static void come_and_go(struct bench *bench, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "new%u", number);
    if (number % 200 == 0)
        reroute(bench, number);
    put(bench, name, "a", SAYS("gateway.route", "/"));
    put(bench, name, "b", "");
    sim_run_for(bench->sim, 3 * MS);
    put(bench, name, "b", "\"weight\": 3");
    sim_run_for(bench->sim, 3 * MS);
    put(bench, name, "a", SAYS("gateway.balance", "hash"));
    sim_run_for(bench->sim, 3 * MS);
    drop(bench, name, "a");
    drop(bench, name, "b");
    (void)fake_store_compact(bench->store, fake_store_put(bench->store, "other", "key"));
    sim_run_for(bench->sim, 3 * MS);
}

/* All that was there of services is forgotten; what is left is the same after any number of them. */
static size_t allocated_at_rest(struct bench *bench)
{
    sim_run_for(bench->sim, 2 * 3600 * S);
    put(bench, "web", "a", ""); /* the catalogue forgets when it is stepped */
    sim_run_for(bench->sim, 5 * S);
    expect_int(bench->planner->entries.len, 2); /* one of them is routed to */
    expect_true(list_is_empty(&bench->planner->leaving));
    expect_true(list_is_empty(&bench->planner->sayers));
    while (rcu_reclaim(&bench->rcu))
        continue;
    return allocated();
}

static void memory_is_flat_while_services_and_routes_come_and_go(void)
{
    struct bench *bench = bench_new();
    const unsigned n_rounds = test_rounds(5600); /* the catalogue's last changes are full before */
    unsigned number = 1;
    begin(bench);
    for (unsigned i = 0; i < n_rounds; i++)
        come_and_go(bench, number++);
    size_t before = allocated_at_rest(bench);
    const struct planner_counts then = planner_counts(bench->planner);
    for (unsigned i = 0; i < n_rounds; i++)
        come_and_go(bench, number++);
    size_t after = allocated_at_rest(bench);
    const struct planner_counts now = planner_counts(bench->planner);
    expect_true(now.n_services - then.n_services >= 4 * n_rounds);
    expect_true(now.n_plans - then.n_plans >= n_rounds);
    expect_true(now.n_changes - then.n_changes >= 6 * n_rounds);
    if (after > before + 131072)
        test_fail(__FILE__, __LINE__, "%zu bytes more after %u services", after - before, n_rounds);
    bench_free(bench);
}

/* ------------------------------------------------------------------------------------------------ threads */

struct reader {
    pthread_t thread;
    struct rcu_domain *rcu;
    struct planner *planner;
    unsigned worker;
    _Atomic bool *is_over;
    uint64_t n_picked, n_seen;
};

static void read_once(struct reader *reader, struct random *random)
{
    struct pick_request request = {.balance = (enum balance)(reader->n_seen % 5), .worker = reader->worker};
    struct pick_result result;
    struct plan_cell *cell = plan_find(planner_plan(reader->planner), SLICE_LIT("web"));
    const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
    reader->n_seen++;
    request.has_key = true;
    request.key = reader->n_seen;
    request.slow_start_ns = S;
    if (!service)
        return;
    pick(service, &request, random, &result);
    if (!result.target)
        return;
    struct runtime_slot *slot = runtime_slot(result.target->runtime, reader->worker);
    expect_true(slot);
    atomic_fetch_add_explicit(&slot->n_requests, 1, memory_order_relaxed);
    atomic_store_explicit(&slot->latency_us, 100, memory_order_relaxed);
    reader->n_picked++;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    struct rcu_reader rcu;
    struct random random;
    random_init(&random, reader->worker);
    rcu_register(reader->rcu, &rcu);
    rcu_online(&rcu);
    while (!atomic_load(reader->is_over)) {
        read_once(reader, &random);
        rcu_quiescent(&rcu);
    }
    rcu_offline(&rcu);
    rcu_unregister(&rcu);
    return NULL;
}

static bool has_caught_up(struct planner *planner, struct rcu_domain *rcu, const struct directory *directory)
{
    struct rcu_reader reader;
    rcu_register(rcu, &reader);
    rcu_online(&reader);
    const struct directory_service *from = directory_find(directory, SLICE_LIT("web"));
    const struct plan_cell *cell = plan_find(planner_plan(planner), SLICE_LIT("web"));
    const struct plan_service *service = cell ? rcu_read(&cell->current) : NULL;
    bool result = from && service && service->offered.n == 7 &&
                  ntohs(service->offered.targets[6]->runtime->addr.v4.sin_port) == 799;
    rcu_offline(&reader);
    rcu_unregister(&reader);
    return result;
}

static void readers_and_planner_run_side_by_side(void)
{
    struct keeper_kit kit;
    struct projection *projection;
    struct curator *curator;
    struct planner *planner;
    struct reader readers[N_WORKERS];
    _Atomic bool is_over = false;
    keeper_kit_init(&kit);
    expect_int(projection_new(NULL, 0, true, &projection, NULL), 0);
    struct curator_options options = {.store = kit.store, .rcu = &kit.rcu, .min_ttl_ms = 1000};
    catalog_options_init(&options.catalog);
    options.catalog.projection = projection;
    options.catalog.flap_suppress = 0;
    expect_int(curator_new(&options, &curator), 0);
    expect_int(curator_start(curator, NULL), 0);
    const struct gateway_settings settings = {.policy = {.balance = BALANCE_HASH}};
    const struct planner_options planner_options = {
        .curator = curator, .rcu = &kit.rcu, .n_workers = N_WORKERS, .settings = &settings};
    expect_int(planner_new(&planner_options, &planner, NULL), 0);
    expect_int(planner_start(planner, NULL), 0);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        readers[i] = (struct reader){.rcu = &kit.rcu, .planner = planner, .worker = i, .is_over = &is_over};
        expect_int(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
    }
    for (unsigned i = 0; i < 700; i++) {
        char key[64], value[64];
        (void)snprintf(key, sizeof(key), "/muster/services/web/i%u", i % 7);
        (void)snprintf(value, sizeof(value), "{\"address\":\"10.0.0.1:%u\"}", 100 + i);
        (void)keeper_kit_put(&kit, key, value, 0);
        if (i == 300)
            expect_int(planner_set_settings(planner, &settings, NULL), 0);
    }
    while (!has_caught_up(planner, &kit.rcu, catalog_directory(curator_catalog(curator))))
        (void)sched_yield();
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < N_WORKERS; i++)
        expect_int(pthread_join(readers[i].thread, NULL), 0);
    planner_stop(planner);
    planner_free(planner);
    curator_stop(curator);
    keeper_stop(kit.keeper);
    loop_settle(kit.loop);
    curator_free(curator);
    projection_free(projection);
    keeper_kit_deinit(&kit);
}

static const struct test_case cases[] = {
    {"what is there at the start is old", what_is_there_at_the_start_is_old},
    {"changes are followed", changes_are_followed},
    {"a service is made at most once in a millisecond", a_service_is_made_at_most_once_in_a_millisecond},
    {"who waits is told", who_waits_is_told},
    {"after a gap all is compared", after_a_gap_all_is_compared},
    {"a service that is forgotten leaves when nobody holds it",
     a_service_that_is_forgotten_leaves_when_nobody_holds_it},
    {"the table of services grows", the_table_of_services_grows},
    {"routes come and go with who says them", routes_come_and_go_with_who_says_them},
    {"a bad route of the configuration is refused", a_bad_route_of_the_configuration_is_refused},
    {"settings reach all services", settings_reach_all_services},
    {"who is hashed by a route has points", who_is_hashed_by_a_route_has_points},
    {"names are resolved and looked up again", names_are_resolved_and_looked_up_again},
    {"any changes end in what the directory has", any_changes_end_in_what_the_directory_has},
    {"each allocation may fail at the start", each_allocation_may_fail_at_the_start},
    {"without memory it catches up later", without_memory_it_catches_up_later},
    {"memory is flat over many publications", memory_is_flat_over_many_publications},
    {"memory is flat while services and routes come and go", memory_is_flat_while_services_and_routes_come_and_go},
    {"readers and planner run side by side", readers_and_planner_run_side_by_side},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
