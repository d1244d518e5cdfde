/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service as the gateway plans it, without a catalogue or a planner: instances are put into a directory by hand, and
 * plan_kit_make makes the service of them, from the version before.
 *
 *     struct plan_kit kit;
 *     plan_kit_init(&kit);
 *     plan_kit_put(&kit, &(struct plan_kit_instance){.id = "a", .weight = 1});
 *     const struct plan_service *service = plan_kit_make(&kit);
 *     plan_kit_slot(&kit, "a", 0)->n_in_flight = 3;
 *     plan_kit_deinit(&kit);
 */
#pragma once

#include "catalog/directory_write.h"
#include "gateway/service.h"

#define PLAN_KIT_WORKERS 2

struct plan_kit {
    struct rcu_domain rcu;
    struct sim *sim;
    struct loop *loop;
    struct resolver *resolver;
    struct directory *directory;
    struct hosts hosts;
    struct gateway_settings settings;
    struct settings_copy *copy;
    struct plan_cell *cell;
    const struct plan_service *service; /* the present version; NULL: none yet */
    struct err fault;
    nsec_t since_ns;
    bool has_points, is_forced;
    uint64_t n_hosts_changes;
};

/* What is not said: weight 0, incarnation 1, address 10.0.0.1:80, of no zone, up. */
struct plan_kit_instance {
    const char *id;
    unsigned weight;
    uint64_t incarnation;
    const char *address, *zone;
    uint32_t reasons;
    int64_t registered_ms;
    const struct instance_pair *metadata;
    unsigned n_metadata;
};

void plan_kit_init(struct plan_kit *kit);
void plan_kit_deinit(struct plan_kit *kit);

void plan_kit_put(struct plan_kit *kit, const struct plan_kit_instance *one);
void plan_kit_remove(struct plan_kit *kit, const char *id);
/* n instances "i0000", … of weight 1. */
void plan_kit_put_many(struct plan_kit *kit, unsigned n);

/* kit->settings are taken over by the next version. */
void plan_kit_set_settings(struct plan_kit *kit);
/* NULL: there was no memory. Publishes what was put. */
const struct plan_service *plan_kit_make(struct plan_kit *kit);

/* Must be there. */
const struct target *plan_kit_target(const struct plan_kit *kit, const char *id);
struct runtime_slot *plan_kit_slot(const struct plan_kit *kit, const char *id, unsigned worker);
