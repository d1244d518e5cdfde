/* SPDX-License-Identifier: Apache-2.0 */
#include "support/planner_kit.h"

#include "gateway/voice.h"
#include "support/fake_store.h"
#include "support/sim.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int lookup(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max, unsigned *ret_n)
{
    struct planner_kit *kit = ctx;
    char text[32];
    (void)name, (void)max;
    kit->n_lookups++;
    unsigned number = kit->host_number;
    if (number == 0)
        return -ENOENT;
    (void)snprintf(text, sizeof(text), "10.0.0.%u:%u", number, port);
    *ret_n = 1;
    return addr_parse(slice_from_str(text), &ret_addrs[0], NULL);
}

static void on_news(struct planner_listener *listener)
{
    container_of(listener, struct planner_kit, listener)->n_news++;
}

struct planner_kit *planner_kit_new(void)
{
    struct planner_kit *kit = calloc(1, sizeof(*kit));
    expect_true(kit);
    registry_kit_init(&kit->registry, false);
    expect_int(resolver_new(1, 1000, lookup, kit, &kit->resolver), 0);
    return kit;
}

void planner_kit_begin(struct planner_kit *kit)
{
    const struct planner_options options = {.curator = kit->registry.curator,
                                            .rcu = &kit->registry.rcu,
                                            .n_workers = PLANNER_KIT_WORKERS,
                                            .settings = &kit->settings};
    expect_int(planner_new_on(&options, kit->registry.loop, kit->resolver, &kit->planner), 0);
    kit->listener.loop = kit->registry.loop;
    kit->listener.on_news = on_news;
    planner_listen(kit->planner, &kit->listener);
    expect_int(planner_begin(kit->planner), 0);
    sim_run_for(kit->registry.sim, 0);
}

void planner_kit_end(struct planner_kit *kit)
{
    planner_end(kit->planner);
    sim_run_for(kit->registry.sim, 0);
    planner_unlisten(&kit->listener);
    planner_free(TAKE(kit->planner));
}

void planner_kit_free(struct planner_kit *kit)
{
    if (kit->planner)
        planner_kit_end(kit);
    resolver_free(kit->resolver);
    registry_kit_deinit(&kit->registry);
    free(kit);
}

void planner_kit_put(struct planner_kit *kit, const char *service, const char *id, const char *more)
{
    char key[128], value[512];
    (void)snprintf(key, sizeof(key), "/muster/services/%s/%s", service, id);
    (void)snprintf(value, sizeof(value), "{\"address\": \"10.0.0.1:80\"%s%s}", more[0] ? ", " : "", more);
    (void)fake_store_put(kit->registry.store, key, value);
}

void planner_kit_put_named(struct planner_kit *kit, const char *id)
{
    char key[64];
    (void)snprintf(key, sizeof(key), "/muster/services/web/%s", id);
    (void)fake_store_put(kit->registry.store, key, "{\"address\": \"some.host:8080\"}");
}

void planner_kit_drop(struct planner_kit *kit, const char *service, const char *id)
{
    char key[128];
    (void)snprintf(key, sizeof(key), "/muster/services/%s/%s", service, id);
    (void)fake_store_delete(kit->registry.store, key);
}

/* The curator looks at the commits of others once a millisecond. */
void planner_kit_settle(struct planner_kit *kit)
{
    sim_run_for(kit->registry.sim, 20 * NSEC_PER_MSEC);
}

struct plan_cell *planner_kit_cell(const struct planner_kit *kit, const char *name)
{
    return plan_find(planner_plan(kit->planner), slice_from_str(name));
}

const struct plan_service *planner_kit_service(const struct planner_kit *kit, const char *name)
{
    const struct plan_cell *cell = planner_kit_cell(kit, name);
    return cell ? rcu_read(&cell->current) : NULL;
}

struct runtime *planner_kit_runtime(const struct planner_kit *kit, const char *name, const char *id)
{
    const struct plan_service *service = planner_kit_service(kit, name);
    const struct target *target = service ? plan_find_target(service, slice_from_str(id)) : NULL;
    return target ? target->runtime : NULL;
}

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

/* A key that is written again as it was makes another instance, of which no change is told. */
static bool compare_service(void *ctx, const struct directory_service *service)
{
    struct planner_kit *kit = ctx;
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", SLICE_ARG(directory_name(service)));
    const struct plan_service *planned = planner_kit_service(kit, name);
    expect_true(planned);
    expect_int(n_of(planned), service->n_instances);
    struct plan_cursor at = {.service = planned};
    const struct instance *instance;
    for (struct directory_cursor of = {.service = service}; (instance = directory_next(&of));)
        expect_true(is_same(plan_next(&at), instance));
    return true;
}

void planner_kit_change_any(struct planner_kit *kit, uint64_t *seed)
{
    char service[16], id[16];
    (void)snprintf(service, sizeof(service), "s%u", (unsigned)(test_random(seed) % 20));
    (void)snprintf(id, sizeof(id), "i%u", (unsigned)(test_random(seed) % 100));
    static const char *const records[] = {"",
                                          "\"weight\": 5",
                                          "\"weight\": 0",
                                          PLANNER_KIT_SAYS("gateway.balance", "hash"),
                                          PLANNER_KIT_SAYS("gateway.route", "/r/"),
                                          PLANNER_KIT_SAYS("gateway.what", "ever")};
    if (test_random(seed) % 3 == 0)
        planner_kit_drop(kit, service, id);
    else
        planner_kit_put(kit, service, id, records[test_random(seed) % ARRAY_LEN(records)]);
}

void planner_kit_expect_same(struct planner_kit *kit)
{
    directory_each(kit->planner->directory, compare_service, kit);
}
