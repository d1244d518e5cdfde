/* SPDX-License-Identifier: Apache-2.0 */
/* See route_kit.h. */
#include "support/route_kit.h"

#include "gateway/cells.h"
#include "support/test.h"

#include <stdlib.h>

static const struct hash_key hash_key = {1, 2};

struct plan_cell *route_kit_service(struct route_kit *kit, const char *name, bool is_exposed)
{
    struct plan_cell *cell;
    struct plan_service *service = calloc(1, sizeof(*service));
    expect_true(service != NULL && kit->n_services < ROUTE_KIT_SERVICES);
    expect_int(cell_new(&hash_key, slice_from_str(name), 1, &cell), 0);
    service->cell = cell;
    service->is_exposed = is_exposed;
    service->policy.timeout_ns = NSEC_PER_SEC;
    atomic_store(&cell->current, service);
    if (!kit->table)
        expect_int(cells_new(&hash_key, ROUTE_KIT_SERVICES, &kit->table), 0);
    kit->plan.cells = kit->table;
    expect_true(cells_add(kit->table, cell));
    plan_cell_unref(cell);
    kit->services[kit->n_services] = service;
    return kit->cells[kit->n_services++] = cell;
}

void route_kit_add(struct route_kit *kit, const char *text, struct plan_cell *owner)
{
    struct route *route = &kit->routes[kit->n_routes++];
    struct err err = {""};
    int r = route_parse(slice_from_str(text), owner != NULL, &kit->arena, route, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    route->cell = owner ? owner : plan_find(&kit->plan, route->service);
    expect_true(route->cell != NULL);
}

void route_kit_build(struct route_kit *kit)
{
    expect_int(route_table_new(kit->routes, kit->n_routes, &kit->plan.routes), 0);
}

void route_kit_deinit(struct route_kit *kit)
{
    route_table_free(kit->plan.routes);
    arena_deinit(&kit->arena);
    cells_free(kit->table);
    for (unsigned i = 0; i < kit->n_services; i++) {
        free(kit->services[i]);
        free(kit->cells[i]);
    }
}

void route_kit_header(struct route_kit *kit, const char *name, const char *value)
{
    kit->fields.items[kit->fields.n++] =
        (struct http_field){slice_from_str(name), slice_from_str(value), HTTP_FIELD_OTHER};
}

struct http_request route_kit_request(struct route_kit *kit, enum http_method method, const char *host,
                                      const char *target)
{
    struct http_request request = {.method = method, .version_major = 1, .version_minor = 1};
    request.target = slice_from_str(target);
    request.query = slice_split(request.target, '?', &request.path);
    request.authority = slice_from_str(host);
    request.fields = &kit->fields;
    return request;
}
