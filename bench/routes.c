/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nanoseconds to find where a request goes, by the number of routes; requests go over all of them, in no order. Rounds
 * of all sizes are interleaved, the best one counts.
 */
#include "base/random.h"
#include "base/util.h"
#include "gateway/cells.h"
#include "gateway/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N_ROUNDS = 15, N_FINDS = 20000, N_REQUESTS = 4096, N_SERVICES = 1000 };

static void must(int r)
{
    if (r < 0)
        abort();
}

static struct plan_cell *cells[N_SERVICES];

static struct plan_cells *make_services(void)
{
    static struct plan_service services[N_SERVICES];
    static const struct hash_key key = {1, 2};
    struct plan_cells *table;
    must(cells_new(&key, N_SERVICES, &table));
    for (unsigned i = 0; i < N_SERVICES; i++) {
        char name[32];
        int n = snprintf(name, sizeof(name), "service-%u", i);
        must(cell_new(&key, slice_from(name, (size_t)n), 1, &cells[i]));
        atomic_store(&cells[i]->current, &services[i]);
        must(cells_add(table, cells[i]) ? 0 : -1);
        plan_cell_unref(cells[i]);
    }
    return table;
}

struct field {
    const char *name;
    const char *route; /* formats with a number; NULL: no routes */
    const char *host;  /* of requests, with a number, too */
    const char *target;
    unsigned n_routes;
    struct plan plan;
    struct http_request requests[N_REQUESTS];
    char texts[N_REQUESTS][160];
    double best_ns;
};

static struct http_fields no_fields;

#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are the rows below */

static void make_routes(struct field *field)
{
    struct arena arena = {0};
    struct route *routes = calloc(field->n_routes + 1, sizeof(*routes));
    must(routes ? 0 : -1);
    for (unsigned i = 0; i < field->n_routes; i++) {
        char text[160];
        snprintf(text, sizeof(text), field->route, i);
        must(route_parse(slice_from_str(text), false, &arena, &routes[i], NULL));
        routes[i].cell = cells[i % 10];
    }
    must(route_table_new(routes, field->n_routes, &field->plan.routes));
    arena_deinit(&arena);
    free(routes);
}

static void make_requests(struct field *field, struct random *random)
{
    for (unsigned i = 0; i < N_REQUESTS; i++) {
        unsigned number = (unsigned)random_below(random, field->n_routes > 0 ? field->n_routes : N_SERVICES);
        char *text = field->texts[i];
        int n = snprintf(text, 80, field->host, number);
        snprintf(text + 80, 80, field->target, number);
        struct http_request *request = &field->requests[i];
        request->method = HTTP_METHOD_GET;
        request->authority = slice_from(text, (size_t)n);
        request->target = slice_from_str(text + 80);
        request->query = slice_split(request->target, '?', &request->path);
        request->fields = &no_fields;
    }
}

static void run_round(struct field *field)
{
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (unsigned i = 0; i < N_FINDS; i++) {
        struct route_match match;
        route_find(&field->plan, &field->requests[i % N_REQUESTS], true, &match);
        if (match.outcome != ROUTE_FOUND)
            abort();
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    field->best_ns = ns / N_FINDS < field->best_ns ? ns / N_FINDS : field->best_ns;
}

#define HOST "shop.example.com"

int main(void)
{
    static struct field fields[] = {
        {.name = "/{service}/", .host = HOST, .target = "/service-%u/cart?id=1"},
        {.name = "long path",
         .host = HOST,
         .target = "/service-%u/a/path/of/some/length/as/some/programs/have/it.html"},
        {.name = "escapes", .host = HOST, .target = "/service-%u/caf%%C3%%A9/x"},
        {.name = "by host", .route = "h%u.example.com/ service=s", .host = "h%u.example.com", .target = "/cart?id=1"},
        {.name = "by prefix", .route = "/api/v%u service=s", .host = HOST, .target = "/api/v%u/cart?id=1"},
        {.name = "both",
         .route = "h%1$u.example.com/api/v%1$u service=s strip timeout=5s",
         .host = "h%u.example.com",
         .target = "/api/v%u/cart?id=1"},
        {.name = "wildcards", .route = "*.h%u.example.com/ service=s", .host = "x.h%u.example.com", .target = "/cart"},
    };
    static const unsigned sizes[] = {10, 100, 1000, 10000};
    struct random random;
    random_init(&random, 1);
    struct plan_cells *table = make_services();
    printf("%-12s %8s %8s\n", "requests", "routes", "ns");
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        unsigned n_sizes = fields[i].route ? ARRAY_LEN(sizes) : 1;
        struct field *sized = calloc(n_sizes, sizeof(*sized));
        must(sized ? 0 : -1);
        for (unsigned k = 0; k < n_sizes; k++) {
            sized[k] = fields[i];
            sized[k].n_routes = fields[i].route ? sizes[k] : 0;
            sized[k].best_ns = 1e9;
            sized[k].plan.cells = table;
            make_routes(&sized[k]);
            make_requests(&sized[k], &random);
        }
        for (unsigned round = 0; round < N_ROUNDS * n_sizes; round++)
            run_round(&sized[round % n_sizes]);
        for (unsigned k = 0; k < n_sizes; k++) {
            printf("%-12s %8u %8.0f\n", sized[k].name, sized[k].n_routes, sized[k].best_ns);
            route_table_free(sized[k].plan.routes);
        }
        free(sized);
    }
    cells_free(table);
    for (unsigned i = 0; i < N_SERVICES; i++)
        free(cells[i]);
    return EXIT_SUCCESS;
}
