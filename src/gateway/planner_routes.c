/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is made anew, with all its routes, when any of them changed, when settings did, or when the table of cells was
 * full. Its services are in their cells and stay as they are.
 *
 * A service that is routed to has an entry even if the catalogue does not know it; entries keep the number of the last
 * plan that refers to them. Those that no route names any more are let go after the plan without them is published.
 *
 * What a plan costs depends on its routes, not on the number of services: those that matter to it are in two lists.
 */
#include "gateway/planner_priv.h"

#include "gateway/policy.h"
#include "gateway/route.h"
#include "gateway/voice.h"

#include <errno.h>
#include <stdlib.h>

/* The routes of the next plan. */
struct collection {
    struct planner *planner;
    struct arena arena;
    struct route *routes;
    unsigned n, capacity;
    bool has_passed_over;
};

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    route_table_free(plan->routes);
    settings_copy_unref(plan->copy);
    free(plan);
}

static void plan_retired(struct rcu_node *node)
{
    plan_free(container_of(node, struct plan, retired));
}

int planner_check_routes(const struct gateway_settings *settings, struct err *err)
{
    struct arena arena = {0};
    int r = settings->n_routes <= PLANNER_ROUTES_MAX
                ? 0
                : err_set(err, -EINVAL, "%u routes: expected at most %d", settings->n_routes, PLANNER_ROUTES_MAX);
    for (unsigned i = 0; r == 0 && i < settings->n_routes; i++) {
        struct route route;
        r = route_parse(settings->routes[i], false, &arena, &route, err);
        if (r == -ENOMEM)
            r = err_set(err, r, "out of memory");
    }
    arena_deinit(&arena);
    return r;
}

/* ------------------------------------------------------------------------------------------------ collecting */

/* Until a plan without a route to it is published. */
static void keep(struct entry *entry)
{
    if (!list_is_linked(&entry->routed_link))
        list_push_back(&entry->planner->routed, &entry->routed_link);
}

static int add_route(struct collection *all, const struct route *route, struct entry *entry)
{
    keep(entry);
    if (all->n == PLANNER_ROUTES_MAX) {
        all->has_passed_over = true;
        return 0;
    }
    if (all->n == all->capacity) {
        unsigned capacity = all->capacity ? 2 * all->capacity : 16;
        struct route *grown = realloc(all->routes, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        all->routes = grown;
        all->capacity = capacity;
    }
    all->routes[all->n] = *route;
    all->routes[all->n++].cell = entry->cell;
    uint64_t next = all->planner->plan_number + 1;
    entry->routed_in = next;
    if ((route->policy_set & POLICY_BALANCE) && route->policy.balance == BALANCE_HASH) {
        if (entry->hashed_in + 1 < next)
            entry_touch(entry);
        entry->hashed_in = next;
    }
    return 0;
}

static int add_configured(struct collection *all)
{
    const struct gateway_settings *settings = &all->planner->settings->settings;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < settings->n_routes; i++) {
        struct route route;
        struct entry *entry;
        r = route_parse(settings->routes[i], false, &all->arena, &route, NULL);
        ASSERT(r != -EINVAL); /* they were checked */
        route.is_configured = true;
        if (r == 0)
            r = entry_get(all->planner, route.service, &entry);
        if (r == 0)
            r = add_route(all, &route, entry);
    }
    return r;
}

static void tell_fault(struct entry *entry, struct slice text, const struct err *fault)
{
    struct planner *planner = entry->planner;
    uint64_t hash = hash_pair(&planner->key, text, slice_from_str(fault->text));
    if (hash != entry->route_fault_told)
        log_warn(planner->log, "a route from metadata is passed over", log_str("service", entry->cell->name),
                 log_str("route", text), log_text("why", fault->text));
    entry->route_fault_told = hash;
}

/* Those that instances of a service say; the first that cannot be understood is logged. */
static int add_said(struct collection *all, struct entry *entry)
{
    struct slice texts[VOICE_ROUTES_MAX];
    unsigned n = voice_routes(entry->voice, texts);
    bool is_told = false;
    for (unsigned i = 0; i < n; i++) {
        struct route route;
        struct err fault;
        int r = route_parse(texts[i], true, &all->arena, &route, &fault);
        if (r == -EINVAL) {
            if (!is_told)
                tell_fault(entry, texts[i], &fault);
            is_told = true;
            continue;
        }
        if (r == 0) {
            route.service = entry->cell->name;
            r = add_route(all, &route, entry);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/*
 * In an order that does not depend on the table: of routes that are alike, the first one counts. So services without
 * instances, whose routes only wait for these, are behind.
 */
static int compare_entries(const void *a, const void *b)
{
    const struct entry *one = *(struct entry *const *)a, *other = *(struct entry *const *)b;
    const struct slice x = one->cell->name, y = other->cell->name;
    if (entry_is_empty(one) != entry_is_empty(other))
        return entry_is_empty(one) ? 1 : -1;
    int order = memcmp(x.ptr, y.ptr, min_size(x.len, y.len));
    return order != 0 ? order : (x.len > y.len) - (x.len < y.len);
}

static int add_all_said(struct collection *all)
{
    size_t n_all = 0, n = 0;
    list_for_each (link, &all->planner->sayers)
        n_all++;
    struct entry **sayers = malloc((n_all + 1) * sizeof(struct entry *));
    if (!sayers)
        return -ENOMEM;
    list_for_each (link, &all->planner->sayers)
        sayers[n++] = container_of(link, struct entry, sayer_link);
    qsort(sayers, n, sizeof(struct entry *), compare_entries);
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++)
        r = add_said(all, sayers[i]);
    free(sayers);
    return r;
}

/* ------------------------------------------------------------------------------------------------ publishing */

static int make_plan(struct collection *all, struct plan **ret_plan)
{
    struct planner *planner = all->planner;
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan)
        return -ENOMEM;
    plan->copy = settings_copy_ref(planner->settings);
    plan->settings = planner->settings->settings;
    int r = 0;
    if (plan->settings.default_service.len > 0) {
        struct entry *entry;
        r = entry_get(planner, plan->settings.default_service, &entry);
        if (r == 0) {
            keep(entry);
            entry->routed_in = planner->plan_number + 1;
            plan->default_cell = entry->cell;
        }
    }
    if (r == 0)
        r = add_configured(all);
    if (r == 0)
        r = add_all_said(all);
    if (r == 0)
        r = route_table_new(all->routes, all->n, &plan->routes);
    if (r < 0) {
        plan_free(plan);
        return r;
    }
    plan->cells = planner->cells; /* by now there is a cell for each route */
    *ret_plan = plan;
    return 0;
}

static void let_go(struct planner *planner)
{
    list_for_each (link, &planner->routed) {
        struct entry *entry = container_of(link, struct entry, routed_link);
        if (entry_is_routed(entry))
            continue;
        list_remove(link);
        entry_leave_if_idle(entry);
    }
}

int planner_publish(struct planner *planner)
{
    struct collection all = {.planner = planner};
    struct plan *plan, *old = atomic_load_explicit(&planner->plan, memory_order_relaxed);
    int r = make_plan(&all, &plan);
    if (r == 0) {
        struct plan_cells *old_cells = old ? (struct plan_cells *)(uintptr_t)old->cells : NULL;
        rcu_publish(&planner->plan, plan);
        if (old)
            rcu_retire(planner->rcu, &old->retired, plan_retired);
        if (old_cells && old_cells != plan->cells)
            cells_retire(old_cells, planner->rcu);
        planner->is_stale = false;
        counter_add(&planner->plan_number, 1);
        let_go(planner);
    }
    if (all.has_passed_over)
        log_warn(planner->log, "there are too many routes, and some are passed over",
                 log_int("max", PLANNER_ROUTES_MAX));
    arena_deinit(&all.arena);
    free(all.routes);
    return r;
}
