/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The planner with a store and a curator on one simulated loop; one case has all of them on threads of their own, and
 * readers on others.
 */
#include "gateway/pick.h"
#include "gateway/route.h"
#include "support/keeper_kit.h"
#include "support/planner_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

/* ------------------------------------------------------------------------------------------------ following */

static void what_is_there_at_the_start_is_old(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_put(kit, "web", "a", "");
    planner_kit_settle(kit);
    kit->settings.policy.balance = BALANCE_LEAST;
    planner_kit_begin(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 1);
    expect_int(planner_kit_service(kit, "web")->policy.balance, BALANCE_LEAST);
    expect_int(planner_kit_runtime(kit, "web", "a")->since_ns, RUNTIME_LONG_AGO);
    planner_kit_put(kit, "web", "b", "");
    planner_kit_settle(kit);
    expect_true(planner_kit_runtime(kit, "web", "b")->since_ns > 0);
    expect_false(planner_kit_service(kit, "nobody"));
    planner_kit_free(kit);
}

static void changes_are_followed(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    expect_false(planner_kit_cell(kit, "web"));
    planner_kit_put(kit, "web", "a", "");
    planner_kit_put(kit, "web", "b", "");
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 2);
    struct runtime *runtime = runtime_ref(planner_kit_runtime(kit, "web", "a"));
    planner_kit_put(kit, "web", "a", "\"weight\": 3");
    planner_kit_settle(kit);
    expect_true(planner_kit_runtime(kit, "web", "a") == runtime);
    expect_int(planner_kit_service(kit, "web")->offered.weight, 4);
    planner_kit_drop(kit, "web", "a");
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 1);
    expect_true(runtime_has(runtime, RUNTIME_GONE));
    runtime_unref(runtime);
    planner_kit_drop(kit, "web", "b");
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 0);
    expect_true(planner_kit_service(kit, "web")->emptied_ms > 0);
    planner_kit_free(kit);
}

static void a_service_is_made_at_most_once_in_a_millisecond(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    kit->listener.n_waiting = 1;
    for (unsigned i = 0; i < 1000; i++) {
        planner_kit_put(kit, "web", "a", i % 2 ? "\"weight\": 2" : "");
        sim_run_for(kit->registry.sim, MS / 10);
    }
    expect_true(kit->n_news >= 50 && kit->n_news <= 110); /* in 100 ms */
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.weight, 2);
    planner_kit_free(kit);
}

static void who_waits_is_told(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    planner_kit_put(kit, "web", "a", "");
    planner_kit_settle(kit);
    expect_int(kit->n_news, 0);
    kit->listener.n_waiting = 1;
    planner_kit_put(kit, "web", "a", "\"weight\": 2");
    planner_kit_settle(kit);
    expect_int(kit->n_news, 1);
    planner_kit_free(kit);
}

static void after_a_gap_all_is_compared(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    planner_kit_put(kit, "web", "a", "");
    planner_kit_put(kit, "gone", "a", "");
    planner_kit_settle(kit);
    pursuit_stop(&kit->planner->pursuit);
    planner_kit_put(kit, "web", "b", "");
    planner_kit_put(kit, "new", "a", "");
    planner_kit_drop(kit, "gone", "a");
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 1);
    expect_int(
        pursuit_start(&kit->planner->pursuit, kit->planner->pursuit.events, kit->registry.curator, kit->registry.loop),
        0);
    kit->planner->pursuit.is_behind = true;
    pursuit_catch_up(&kit->planner->pursuit);
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 2);
    expect_int(planner_kit_service(kit, "new")->offered.n, 1);
    expect_int(planner_kit_service(kit, "gone")->offered.n, 0);
    planner_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ cells */

static void a_service_that_is_forgotten_leaves_when_nobody_holds_it(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    planner_kit_put(kit, "web", "a", "");
    planner_kit_settle(kit);
    struct plan_cell *cell = planner_kit_cell(kit, "web");
    plan_hold(cell, 1);
    planner_kit_drop(kit, "web", "a");
    sim_run_for(kit->registry.sim, 2 * 3600 * S);
    planner_kit_put(kit, "other", "a", ""); /* the catalogue forgets when it is stepped */
    sim_run_for(kit->registry.sim, 5 * S);
    expect_false(planner_kit_cell(kit, "web"));
    expect_false(list_is_empty(&kit->planner->leaving));
    expect_slice(cell->name, "web");
    plan_drop(cell, 1);
    sim_run_for(kit->registry.sim, 5 * S);
    expect_true(list_is_empty(&kit->planner->leaving));
    planner_kit_put(kit, "web", "a", "");
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->offered.n, 1);
    planner_kit_free(kit);
}

static void the_table_of_services_grows(void)
{
    struct planner_kit *kit = planner_kit_new();
    char name[32];
    planner_kit_begin(kit);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        planner_kit_put(kit, name, "a", "");
        if (i % 100 == 0)
            planner_kit_settle(kit);
    }
    planner_kit_settle(kit);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        expect_int(planner_kit_service(kit, name)->offered.n, 1);
    }
    planner_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ routes */

static const char *routed_to(const struct planner_kit *kit, const char *path)
{
    static char name[64];
    struct route_match match;
    const struct http_request request = {
        .authority = SLICE_LIT("example.com"), .path = slice_from_str(path), .target = slice_from_str(path)};
    route_find(planner_plan(kit->planner), &request, true, &match);
    struct slice found = match.outcome == ROUTE_FOUND ? match.cell->name : SLICE_LIT("");
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(found));
    return name;
}

static void routes_come_and_go_with_who_says_them(void)
{
    struct planner_kit *kit = planner_kit_new();
    static const struct slice routes[] = {{"/x/ service=orders", 18}};
    kit->settings.routes = routes;
    kit->settings.n_routes = 1;
    planner_kit_begin(kit);
    expect_str(routed_to(kit, "/x/1"), "orders"); /* which nobody has registered */
    expect_false(planner_kit_service(kit, "orders"));
    planner_kit_put(kit, "web", "a", PLANNER_KIT_SAYS("gateway.route.one", "/w/"));
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/w/1"), "web");
    const struct plan *plan = planner_plan(kit->planner);
    planner_kit_put(kit, "web", "a", PLANNER_KIT_SAYS("gateway.route.one", "/w/") ", \"weight\": 3");
    planner_kit_settle(kit);
    expect_true(planner_plan(kit->planner) == plan);
    planner_kit_put(kit, "web", "a", PLANNER_KIT_SAYS("gateway.route.one", "no path"));
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/w/1"), "");

    kit->settings.n_routes = 0;
    kit->settings.default_service = SLICE_LIT("web");
    expect_int(planner_set_settings(kit->planner, &kit->settings, NULL), 0);
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/x/1"), "web");
    sim_run_for(kit->registry.sim, 5 * S);
    expect_false(planner_kit_cell(kit, "orders"));
    expect_true(list_is_empty(&kit->planner->leaving));
    planner_kit_free(kit);
}

static void routes_wait_for_who_said_them_and_yield_meanwhile(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    planner_kit_put(kit, "blue", "a", PLANNER_KIT_SAYS("gateway.route", "/shop"));
    planner_kit_settle(kit);
    planner_kit_drop(kit, "blue", "a");
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/shop/1"), "blue"); /* 503, and not for others to take or for caches to forget */
    planner_kit_put(kit, "green", "a", PLANNER_KIT_SAYS("gateway.route", "/shop"));
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/shop/1"), "green");
    planner_kit_put(kit, "blue", "a", PLANNER_KIT_SAYS("gateway.route", "/shop"));
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/shop/1"), "blue");
    planner_kit_drop(kit, "blue", "a");
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/shop/1"), "green");

    planner_kit_drop(kit, "green", "a");
    sim_run_for(kit->registry.sim, 2 * 3600 * S);
    planner_kit_put(kit, "other", "a", ""); /* the catalogue forgets when it is stepped */
    sim_run_for(kit->registry.sim, 5 * S);
    expect_str(routed_to(kit, "/shop/1"), "");
    expect_false(planner_kit_cell(kit, "green"));
    planner_kit_free(kit);
}

static void a_bad_route_of_the_configuration_is_refused(void)
{
    struct planner_kit *kit = planner_kit_new();
    static const struct slice routes[] = {{"no path", 7}};
    struct err err;
    planner_kit_begin(kit);
    const struct plan *plan = planner_plan(kit->planner);
    kit->settings.routes = routes;
    kit->settings.n_routes = 1;
    expect_int(planner_set_settings(kit->planner, &kit->settings, &err), -EINVAL);
    expect_true(err.text[0] != '\0');
    planner_kit_settle(kit);
    expect_true(planner_plan(kit->planner) == plan);
    planner_kit_free(kit);
}

static void settings_reach_all_services(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    planner_kit_put(kit, "web", "a", "\"zone\": \"z1\"");
    planner_kit_put(kit, "web", "b", "\"zone\": \"z2\"");
    planner_kit_settle(kit);
    struct runtime *runtime = planner_kit_runtime(kit, "web", "a");
    kit->settings.zone = SLICE_LIT("z2");
    kit->settings.policy.balance = BALANCE_ROUND_ROBIN;
    expect_int(planner_set_settings(kit->planner, &kit->settings, NULL), 0);
    planner_kit_settle(kit);
    expect_int(planner_kit_service(kit, "web")->near.n, 1);
    expect_int(planner_kit_service(kit, "web")->policy.balance, BALANCE_ROUND_ROBIN);
    expect_slice(planner_plan(kit->planner)->settings.zone, "z2");
    expect_true(planner_kit_runtime(kit, "web", "a") == runtime);
    planner_kit_free(kit);
}

static void who_is_hashed_by_a_route_has_points(void)
{
    struct planner_kit *kit = planner_kit_new();
    static const struct slice routes[] = {{"/x/ service=web hash=address", 28}};
    planner_kit_put(kit, "web", "a", "");
    planner_kit_settle(kit);
    kit->settings.routes = routes;
    kit->settings.n_routes = 1;
    planner_kit_begin(kit);
    planner_kit_settle(kit);
    expect_true(planner_kit_service(kit, "web")->offered.points);
    kit->settings.n_routes = 0;
    expect_int(planner_set_settings(kit->planner, &kit->settings, NULL), 0);
    planner_kit_settle(kit);
    planner_kit_put(kit, "web", "b", "");
    planner_kit_settle(kit);
    expect_false(planner_kit_service(kit, "web")->offered.points);
    planner_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ names */

/* Until "web" is asked there. Answers come from the resolver's thread, in no time of the simulated clock. */
static void await_address(struct planner_kit *kit, const char *address)
{
    char text[ADDR_TEXT_MAX];
    for (bool is_there = false; !is_there; (void)sched_yield()) {
        planner_kit_settle(kit);
        const struct runtime *runtime = planner_kit_runtime(kit, "web", "a");
        is_there = runtime && runtime->addr.any.sa_family == AF_INET &&
                   slice_equal(addr_format(&runtime->addr, text), slice_from_str(address));
    }
}

static void names_are_resolved_and_looked_up_again(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    kit->host_number = 1;
    planner_kit_put_named(kit, "a");
    planner_kit_put_named(kit, "b");
    await_address(kit, "10.0.0.1:8080");
    expect_int(planner_kit_service(kit, "web")->offered.n, 2);
    struct runtime *runtime = runtime_ref(planner_kit_runtime(kit, "web", "a"));

    kit->host_number = 2;
    sim_run_for(kit->registry.sim, 2 * HOSTS_REFRESH_NS);
    await_address(kit, "10.0.0.2:8080");
    expect_true(runtime_has(runtime, RUNTIME_GONE));
    expect_int(planner_kit_service(kit, "web")->offered.n, 2);

    kit->host_number = 0; /* the last one stays */
    sim_run_for(kit->registry.sim, 2 * HOSTS_REFRESH_NS);
    unsigned n = kit->n_lookups;
    while (kit->n_lookups < n + 2)
        sim_run_for(kit->registry.sim, HOSTS_REFRESH_NS);
    expect_int(planner_kit_service(kit, "web")->offered.n, 2);

    planner_kit_drop(kit, "web", "a");
    planner_kit_drop(kit, "web", "b");
    planner_kit_settle(kit);
    while (kit->planner->hosts.by_name.len > 0)
        sim_run_for(kit->registry.sim, HOSTS_REFRESH_NS);
    runtime_unref(runtime);
    planner_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ any changes */

static void any_changes_end_in_what_the_directory_has(void)
{
    uint64_t seed = test_seed();
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned n = (unsigned)(test_random(&seed) % 30); n > 0; n--)
            planner_kit_change_any(kit, &seed);
        if (test_random(&seed) % 50 == 0) {
            planner_kit_end(kit);
            planner_kit_begin(kit);
        }
        sim_run_for(kit->registry.sim, (nsec_t)(test_random(&seed) % 3) * MS);
        if (round % 10 == 0) {
            planner_kit_settle(kit);
            planner_kit_expect_same(kit);
        }
    }
    planner_kit_free(kit);
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
    struct reader readers[PLANNER_KIT_WORKERS];
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
        .curator = curator, .rcu = &kit.rcu, .n_workers = PLANNER_KIT_WORKERS, .settings = &settings};
    expect_int(planner_new(&planner_options, &planner, NULL), 0);
    expect_int(planner_start(planner, NULL), 0);
    for (unsigned i = 0; i < PLANNER_KIT_WORKERS; i++) {
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
    for (unsigned i = 0; i < PLANNER_KIT_WORKERS; i++)
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

static void words_of_so_many_that_have_gone_hold_on(void)
{
    struct planner_kit *kit = planner_kit_new();
    char name[16], path[16], says[64];
    planner_kit_begin(kit);
    for (unsigned i = 0; i < PLANNER_WORDS_MAX + 2; i++) {
        (void)snprintf(name, sizeof(name), "gone%u", i);
        (void)snprintf(says, sizeof(says), PLANNER_KIT_SAYS("gateway.route", "/r%u"), i);
        planner_kit_put(kit, name, "a", says);
        planner_kit_settle(kit);
        planner_kit_drop(kit, name, "a");
        planner_kit_settle(kit);
    }
    for (unsigned i = 0; i < PLANNER_WORDS_MAX + 2; i++) {
        (void)snprintf(name, sizeof(name), "gone%u", i);
        (void)snprintf(path, sizeof(path), "/r%u/", i);
        expect_str(routed_to(kit, path), i < 2 ? "" : name);
    }
    expect_true(planner_kit_service(kit, "gone0"));
    expect_false(planner_kit_service(kit, "gone0")->voice);
    planner_kit_put(kit, "gone0", "a", PLANNER_KIT_SAYS("gateway.route", "/r0"));
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/r0/"), "gone0");
    planner_kit_drop(kit, "gone0", "a");
    planner_kit_settle(kit);
    expect_str(routed_to(kit, "/r0/"), "gone0");
    expect_str(routed_to(kit, "/r2/"), "");
    planner_kit_free(kit);
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
    {"routes wait for who said them, and yield meanwhile", routes_wait_for_who_said_them_and_yield_meanwhile},
    {"words of so many that have gone hold on", words_of_so_many_that_have_gone_hold_on},
    {"a bad route of the configuration is refused", a_bad_route_of_the_configuration_is_refused},
    {"settings reach all services", settings_reach_all_services},
    {"who is hashed by a route has points", who_is_hashed_by_a_route_has_points},
    {"names are resolved and looked up again", names_are_resolved_and_looked_up_again},
    {"any changes end in what the directory has", any_changes_end_in_what_the_directory_has},
    {"readers and planner run side by side", readers_and_planner_run_side_by_side},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
