/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan of a few services and routes to them, made by hand, without a planner.
 *
 *     struct route_kit kit = {0};
 *     route_kit_service(&kit, "shop", false);
 *     route_kit_add(&kit, "/v1 service=shop", NULL);
 *     route_kit_build(&kit);
 *     struct http_request request = route_kit_request(&kit, HTTP_METHOD_GET, "host", "/v1/x");
 *     route_find(&kit.plan, &request, true, &match);
 *     route_kit_deinit(&kit);
 */
#pragma once

#include "gateway/route.h"

enum { ROUTE_KIT_SERVICES = 16 };

/* All zero at first. */
struct route_kit {
    struct plan plan;
    struct plan_cells *table;
    struct arena arena;
    unsigned n_services;
    struct plan_cell *cells[ROUTE_KIT_SERVICES]; /* the table's */
    struct plan_service *services[ROUTE_KIT_SERVICES];
    unsigned n_routes;
    struct route routes[64];
    struct http_fields fields; /* of requests */
};

struct plan_cell *route_kit_service(struct route_kit *kit, const char *name, bool is_exposed);
/* `owner`: whose metadata it is from; NULL: from the configuration. */
void route_kit_add(struct route_kit *kit, const char *text, struct plan_cell *owner);
/* With all routes there are. */
void route_kit_build(struct route_kit *kit);
void route_kit_deinit(struct route_kit *kit);

/* A request as a parser leaves it; `target` is in origin form. */
struct http_request route_kit_request(struct route_kit *kit, enum http_method method, const char *host,
                                      const char *target);
/* Adds a field to all of them. */
void route_kit_header(struct route_kit *kit, const char *name, const char *value);
