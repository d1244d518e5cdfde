/* SPDX-License-Identifier: Apache-2.0 */
#include "support/plan_kit.h"

#include "catalog/instance_record.h"
#include "gateway/cells.h"
#include "support/addrs.h"
#include "support/sim.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define SERVICE SLICE_LIT("web")

static void on_hosts_change(struct hosts *hosts)
{
    container_of(hosts, struct plan_kit, hosts)->n_hosts_changes++;
}

void plan_kit_init(struct plan_kit *kit)
{
    static const struct hash_key key = {1, 2};
    *kit = (struct plan_kit){.since_ns = RUNTIME_LONG_AGO};
    rcu_init(&kit->rcu);
    expect_int(sim_new(&kit->rcu, &kit->sim, &kit->loop), 0);
    expect_int(resolver_new(1, 100, no_lookup, NULL, &kit->resolver), 0);
    expect_int(directory_new(&kit->rcu, &kit->directory), 0);
    kit->hosts.loop = kit->loop;
    kit->hosts.resolver = kit->resolver;
    kit->hosts.on_change = on_hosts_change;
    expect_int(hosts_init(&kit->hosts), 0);
    expect_int(cell_new(&key, SERVICE, PLAN_KIT_WORKERS, &kit->cell), 0);
    plan_kit_set_settings(kit);
}

void plan_kit_deinit(struct plan_kit *kit)
{
    service_free((struct plan_service *)(uintptr_t)kit->service);
    settings_copy_unref(kit->copy);
    directory_free(kit->directory);
    hosts_close(&kit->hosts);
    sim_run_for(kit->sim, 0);
    hosts_deinit(&kit->hosts);
    resolver_free(kit->resolver);
    cell_free(kit->cell);
    loop_free(kit->loop);
    rcu_deinit(&kit->rcu);
}

void plan_kit_set_settings(struct plan_kit *kit)
{
    settings_copy_unref(kit->copy);
    expect_int(settings_copy_new(&kit->settings, &kit->copy), 0);
    kit->is_forced = true;
}

void plan_kit_put(struct plan_kit *kit, const struct plan_kit_instance *one)
{
    const struct instance_details details = {
        .zone = slice_from_str(one->zone ? one->zone : ""),
        .metadata = one->metadata,
        .n_metadata = (uint16_t)one->n_metadata,
    };
    struct instance model = {
        .service = SERVICE,
        .id = slice_from_str(one->id),
        .key = slice_from_str(one->id),
        .reasons = one->reasons,
        .incarnation = one->incarnation ? one->incarnation : 1,
        .registered_ms = one->registered_ms,
        .record = {.weight = (uint16_t)one->weight, .details = &details},
    };
    struct instance *instance;
    (void)instance_record_set_address(&model.record, slice_from_str(one->address ? one->address : "10.0.0.1:80"));
    expect_int(instance_new(&model, &instance), 0);
    expect_int(directory_put(kit->directory, instance, &(struct directory_stamp){1, 1}), 0);
    instance_unref(instance);
}

void plan_kit_remove(struct plan_kit *kit, const char *id)
{
    directory_publish(kit->directory);
    const struct instance *instance = directory_look_up(kit->directory, SERVICE, slice_from_str(id));
    expect_true(instance);
    expect_int(directory_remove(kit->directory, instance, &(struct directory_stamp){1, 1}), 0);
}

void plan_kit_put_many(struct plan_kit *kit, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "i%04u", i);
        plan_kit_put(kit, &(struct plan_kit_instance){.id = id, .weight = 1});
    }
}

const struct plan_service *plan_kit_make(struct plan_kit *kit)
{
    directory_publish(kit->directory);
    const struct service_maker maker = {
        .settings = kit->copy,
        .hosts = &kit->hosts,
        .rcu = &kit->rcu,
        .n_workers = PLAN_KIT_WORKERS,
        .since_ns = kit->since_ns,
    };
    const struct service_order order = {
        .cell = kit->cell,
        .from = directory_find(kit->directory, SERVICE),
        .old = kit->service,
        .is_forced = kit->is_forced,
        .has_points = kit->has_points,
    };
    struct plan_service *service;
    if (service_make(&maker, &order, &service, &kit->fault) < 0)
        return NULL;
    if (kit->service)
        service_retire((struct plan_service *)(uintptr_t)kit->service, &kit->rcu);
    while (rcu_reclaim(&kit->rcu))
        continue;
    kit->is_forced = false;
    kit->service = service;
    return service;
}

const struct target *plan_kit_target(const struct plan_kit *kit, const char *id)
{
    const struct target *target = plan_find_target(kit->service, slice_from_str(id));
    expect_true(target);
    return target;
}

struct runtime_slot *plan_kit_slot(const struct plan_kit *kit, const char *id, unsigned worker)
{
    struct runtime_slot *slot = runtime_slot(plan_kit_target(kit, id)->runtime, worker);
    expect_true(slot);
    return slot;
}
