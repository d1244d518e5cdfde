/* SPDX-License-Identifier: Apache-2.0 */
/* The planner's memory: it bears each failing allocation, and keeps nothing of what was and is no more. */
#include "support/fake_store.h"
#include "support/fault_alloc.h"
#include "support/planner_kit.h"
#include "support/sim.h"
#include "support/test.h"

#include <malloc.h>
#include <stdio.h>

#define S  NSEC_PER_SEC
#define MS NSEC_PER_MSEC

static int make_and_free(void *arg)
{
    struct planner_kit *kit = arg;
    const struct planner_options options = {.curator = kit->registry.curator,
                                            .rcu = &kit->registry.rcu,
                                            .n_workers = PLANNER_KIT_WORKERS,
                                            .settings = &kit->settings};
    struct planner *planner;
    int r = planner_new_on(&options, kit->registry.loop, kit->resolver, &planner);
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
    struct planner_kit *kit = planner_kit_new();
    static const struct slice routes[] = {{"/x/ service=web hash=address", 28}};
    kit->settings.routes = routes;
    kit->settings.n_routes = 1;
    planner_kit_put(kit, "web", "a", PLANNER_KIT_SAYS("gateway.route", "/r/"));
    planner_kit_put_named(kit, "b");
    planner_kit_settle(kit);
    expect_true(fault_alloc_sweep(make_and_free, kit) > 20);
    planner_kit_free(kit);
}

static void without_memory_it_catches_up_later(void)
{
    uint64_t seed = test_seed();
    struct planner_kit *kit = planner_kit_new();
    planner_kit_begin(kit);
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned n = 0; n < 10; n++)
            planner_kit_change_any(kit, &seed);
        sim_run_for(kit->registry.sim, 0);
        fault_alloc_arm(1 + test_random(&seed) % 60);
        htab_for_each (node, &kit->planner->entries) {
            struct entry *entry = container_of(node, struct entry, node);
            (void)entry_make(entry);
            break;
        }
        (void)planner_publish(kit->planner);
        (void)fault_alloc_disarm();
    }
    sim_run_for(kit->registry.sim, 10 * S);
    planner_kit_expect_same(kit);
    planner_kit_free(kit);
}

static size_t allocated(void)
{
    return mallinfo2().uordblks;
}

/* A service is made anew again and again; one object more with each would be megabytes. */
static void memory_is_flat_over_many_publications(void)
{
    struct planner_kit *kit = planner_kit_new();
    planner_kit_put(kit, "web", "a", "");
    planner_kit_put(kit, "web", "b", PLANNER_KIT_SAYS("gateway.balance", "hash"));
    planner_kit_settle(kit);
    planner_kit_begin(kit);
    struct entry *entry;
    expect_int(entry_get(kit->planner, SLICE_LIT("web"), &entry), 0);
    size_t before = 0;
    for (unsigned i = 0; i < 100100; i++) {
        if (i == 100)
            before = allocated();
        entry->is_forced = i % 2;
        expect_int(entry_make(entry), 0);
        if (i % 100 == 99)
            sim_run_for(kit->registry.sim, MS);
    }
    while (rcu_reclaim(&kit->registry.rcu))
        continue;
    size_t after = allocated();
    if (after > before + 65536) /* what lies ready in the allocator counts too */
        test_fail(__FILE__, __LINE__, "%zu bytes more after 100,000 publications", after - before);
    planner_kit_free(kit);
}

/* A route to a name that nobody has comes, and takes the place of the one before. */
static void reroute(struct planner_kit *kit, unsigned number)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "/to%u/ service=to%u", number, number);
    const struct slice route = slice_from_str(text);
    kit->settings.routes = &route;
    kit->settings.n_routes = 1;
    expect_int(planner_set_settings(kit->planner, &kit->settings, NULL), 0);
    planner_kit_settle(kit);
    kit->settings.n_routes = 0;
}

/* A service of a new name comes with a route, changes and goes. */
static void come_and_go(struct planner_kit *kit, unsigned number)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "new%u", number);
    if (number % 200 == 0)
        reroute(kit, number);
    planner_kit_put(kit, name, "a", PLANNER_KIT_SAYS("gateway.route", "/"));
    planner_kit_put(kit, name, "b", "");
    sim_run_for(kit->registry.sim, 3 * MS);
    planner_kit_put(kit, name, "b", "\"weight\": 3");
    sim_run_for(kit->registry.sim, 3 * MS);
    planner_kit_put(kit, name, "a", PLANNER_KIT_SAYS("gateway.balance", "hash"));
    sim_run_for(kit->registry.sim, 3 * MS);
    planner_kit_drop(kit, name, "a");
    planner_kit_drop(kit, name, "b");
    (void)fake_store_compact(kit->registry.store, fake_store_put(kit->registry.store, "other", "key"));
    sim_run_for(kit->registry.sim, 3 * MS);
}

/* All that was there of services is forgotten; what is left is the same after any number of them. */
static size_t allocated_at_rest(struct planner_kit *kit)
{
    sim_run_for(kit->registry.sim, 2 * 3600 * S);
    planner_kit_put(kit, "web", "a", ""); /* the catalogue forgets when it is stepped */
    sim_run_for(kit->registry.sim, 5 * S);
    expect_int(kit->planner->entries.len, 2); /* one of them is routed to */
    expect_true(list_is_empty(&kit->planner->leaving));
    expect_true(list_is_empty(&kit->planner->sayers));
    while (rcu_reclaim(&kit->registry.rcu))
        continue;
    return allocated();
}

static void memory_is_flat_while_services_and_routes_come_and_go(void)
{
    struct planner_kit *kit = planner_kit_new();
    const unsigned n_rounds = test_rounds(5600); /* the catalogue's last changes are full before */
    unsigned number = 1;
    planner_kit_begin(kit);
    for (unsigned i = 0; i < n_rounds; i++)
        come_and_go(kit, number++);
    size_t before = allocated_at_rest(kit);
    const struct planner_counts then = planner_counts(kit->planner);
    for (unsigned i = 0; i < n_rounds; i++)
        come_and_go(kit, number++);
    size_t after = allocated_at_rest(kit);
    const struct planner_counts now = planner_counts(kit->planner);
    expect_true(now.n_services - then.n_services >= 4 * n_rounds);
    expect_true(now.n_plans - then.n_plans >= n_rounds);
    expect_true(now.n_changes - then.n_changes >= 6 * n_rounds);
    if (after > before + 131072)
        test_fail(__FILE__, __LINE__, "%zu bytes more after %u services", after - before, n_rounds);
    planner_kit_free(kit);
}

static const struct test_case cases[] = {
    {"each allocation may fail at the start", each_allocation_may_fail_at_the_start},
    {"without memory it catches up later", without_memory_it_catches_up_later},
    {"memory is flat over many publications", memory_is_flat_over_many_publications},
    {"memory is flat while services and routes come and go", memory_is_flat_while_services_and_routes_come_and_go},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
