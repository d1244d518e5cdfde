/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A planner and the registry that it follows, on one loop in virtual time. It may be begun and ended again and again.
 *
 *     struct planner_kit *kit = planner_kit_new();
 *     planner_kit_begin(kit);
 *     planner_kit_put(kit, "web", "a", "\"weight\": 3");
 *     planner_kit_settle(kit);
 *     expect_int(planner_kit_service(kit, "web")->offered.weight, 3);
 *     planner_kit_free(kit);
 */
#pragma once

#include "gateway/planner_priv.h"
#include "support/registry_kit.h"

#define PLANNER_KIT_WORKERS 2

struct planner_kit {
    struct registry_kit registry;
    struct resolver *resolver;
    struct gateway_settings settings; /* for the next beginning */
    struct planner *planner;          /* NULL: not begun */
    struct planner_listener listener;
    unsigned n_news;
    /* what names lead to; read by the resolver's thread */
    _Atomic unsigned host_number; /* the last part of its address; 0: there is no such name */
    _Atomic unsigned n_lookups;
};

/* With an empty store, not begun. */
struct planner_kit *planner_kit_new(void);
void planner_kit_free(struct planner_kit *kit);
void planner_kit_begin(struct planner_kit *kit);
void planner_kit_end(struct planner_kit *kit);
/* Until what was changed is in the plan. */
void planner_kit_settle(struct planner_kit *kit);

/* `more`: further members of the record. Nothing of it is seen before the loop turns. */
void planner_kit_put(struct planner_kit *kit, const char *service, const char *id, const char *more);
/* Of "web", at a name. */
void planner_kit_put_named(struct planner_kit *kit, const char *id);
void planner_kit_drop(struct planner_kit *kit, const char *service, const char *id);
/* The member of a record with one pair of metadata. */
#define PLANNER_KIT_SAYS(key, value) "\"metadata\": {\"" key "\": \"" value "\"}"

/* NULL: not there. */
struct plan_cell *planner_kit_cell(const struct planner_kit *kit, const char *name);
const struct plan_service *planner_kit_service(const struct planner_kit *kit, const char *name);
struct runtime *planner_kit_runtime(const struct planner_kit *kit, const char *name, const char *id);

/* Puts or drops an instance, at random. */
void planner_kit_change_any(struct planner_kit *kit, uint64_t *seed);
/* Expects that the plan has what the directory has. */
void planner_kit_expect_same(struct planner_kit *kit);
