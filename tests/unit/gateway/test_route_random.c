/* SPDX-License-Identifier: Apache-2.0 */
/* route_find on random routes and requests, compared with the plainest way to choose among routes. */
#include "support/route_kit.h"
#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

/* A random choice of few words, so that routes and requests meet. */
static void make_path(uint64_t *random, char text[64], const char *const *words, unsigned n_words)
{
    size_t len = 0;
    for (uint64_t left = test_random(random) % 4; left > 0; left--)
        len += (size_t)snprintf(text + len, 64 - len, "/%s", words[test_random(random) % n_words]);
    if (len == 0 || test_random(random) % 4 == 0)
        snprintf(text + len, 64 - len, "/");
}

static const char *const hosts[] = {"", "a.b", "b", "x.a.b", "*.b", "*.a.b", "c"};
static const char *const elements[] = {"v1", "v2", "s1", "x"};

static void make_route(struct route_kit *kit, uint64_t *random)
{
    char text[256], path[64];
    static const char *const methods[] = {"", " method=GET", " method=GET|POST", " method=POST"};
    static const char *const headers[] = {"", "", " header=k:1", " header=k:2"};
    make_path(random, path, elements, ARRAY_LEN(elements));
    bool is_metadata = test_random(random) % 2;
    unsigned service = (unsigned)(test_random(random) % kit->n_services);
    char named[32] = "";
    if (!is_metadata)
        snprintf(named, sizeof(named), " service=s%u", service);
    snprintf(text, sizeof(text), "%s%s%s%s%s%s", hosts[test_random(random) % ARRAY_LEN(hosts)], path, named,
             methods[test_random(random) % 4], headers[test_random(random) % 4],
             test_random(random) % 2 ? " strip" : "");
    route_kit_add(kit, text, is_metadata ? kit->cells[service] : NULL);
}

static bool host_fits(const struct route *route, struct slice host)
{
    if (route->host.len == 0)
        return true;
    if (!route->is_wildcard)
        return slice_equal(route->host, host);
    return host.len > route->host.len + 1 && host.ptr[host.len - route->host.len - 1] == '.' &&
           slice_equal(slice_skip(host, host.len - route->host.len), route->host);
}

static bool path_fits(const struct route *route, struct slice path)
{
    return slice_starts_with(path, route->prefix) &&
           (path.len == route->prefix.len || path.ptr[route->prefix.len] == '/');
}

static bool conditions_fit(const struct route *route, const struct http_request *request)
{
    if (route->methods && !(route->methods >> request->method & 1))
        return false;
    if (route->header_name.len == 0)
        return true;
    const struct http_field *field = http_fields_get_name(request->fields, route->header_name);
    return field && slice_equal(field->value, route->header_value);
}

static unsigned n_conditions(const struct route *route)
{
    return (route->methods != 0) + (route->header_name.len > 0);
}

/* Whether a goes before b, which was written earlier. */
static bool is_better(const struct route *a, const struct route *b)
{
    long ranks[][2] = {
        {a->host.len > 0 && !a->is_wildcard, b->host.len > 0 && !b->is_wildcard},
        {(long)a->host.len, (long)b->host.len},
        {(long)a->prefix.len, (long)b->prefix.len},
        {n_conditions(a), n_conditions(b)},
        {a->is_configured, b->is_configured},
    };
    for (size_t i = 0; i < ARRAY_LEN(ranks); i++)
        if (ranks[i][0] != ranks[i][1])
            return ranks[i][0] > ranks[i][1];
    return false;
}

/* What route_find should say; paths are normal ones. */
static const struct plan_cell *choose(struct route_kit *kit, const struct http_request *request, bool is_local,
                                      const struct route **ret_route)
{
    const struct route *best = NULL;
    for (unsigned i = 0; i < kit->n_routes; i++) {
        const struct route *route = &kit->routes[i];
        const struct plan_service *service = atomic_load(&route->cell->current);
        if (host_fits(route, request->authority) && path_fits(route, request->path) && conditions_fit(route, request) &&
            (is_local || route->is_configured || service->is_exposed) && (!best || is_better(route, best)))
            best = route;
    }
    *ret_route = best;
    if (best)
        return best->cell;
    struct slice name;
    slice_split(slice_skip(request->path, 1), '/', &name);
    const struct plan_cell *cell = plan_find(&kit->plan, name);
    const struct plan_service *service = cell ? atomic_load(&cell->current) : NULL;
    return service && (is_local || service->is_exposed) ? cell : kit->plan.default_cell;
}

static void compare(struct route_kit *kit, uint64_t *random)
{
    char path[64];
    static const char *const asked[] = {"a.b", "b", "x.a.b", "y.x.a.b", "c", "z"};
    static const char *const values[] = {"1", "2"};
    make_path(random, path, elements, ARRAY_LEN(elements));
    struct http_request request = route_kit_request(kit, test_random(random) % 2 ? HTTP_METHOD_GET : HTTP_METHOD_POST,
                                                    asked[test_random(random) % ARRAY_LEN(asked)], path);
    kit->fields.n = 0;
    if (test_random(random) % 2)
        route_kit_header(kit, "K", values[test_random(random) % 2]);
    bool is_local = test_random(random) % 2;
    const struct route *route;
    const struct plan_cell *cell = choose(kit, &request, is_local, &route);
    struct route_match match;
    route_find(&kit->plan, &request, is_local, &match);
    expect_int(match.outcome == ROUTE_FOUND, cell != NULL);
    if (!cell)
        return;
    expect_true(match.cell == cell);
    expect_bytes(match.route ? match.route->text : SLICE_LIT(""), route ? route->text : SLICE_LIT(""));
    size_t n_stripped = route && route->policy.strip ? route->prefix.len : 0;
    struct slice rest = slice_skip(request.target, n_stripped);
    expect_bytes(match.target, rest);
    expect_int(match.needs_slash, rest.len == 0);
}

static void random_routes_agree_with_the_plain_way(void)
{
    uint64_t random = test_seed();
    for (unsigned round = 0; round < 500; round++) {
        struct route_kit *kit = calloc(1, sizeof(*kit));
        expect_true(kit != NULL);
        route_kit_service(kit, "s0", false);
        route_kit_service(kit, "s1", test_random(&random) % 2);
        route_kit_service(kit, "s2", true);
        if (test_random(&random) % 2)
            kit->plan.default_cell = kit->cells[0];
        for (uint64_t n = test_random(&random) % 40; n > 0; n--)
            make_route(kit, &random);
        route_kit_build(kit);
        for (unsigned i = 0; i < 200; i++)
            compare(kit, &random);
        route_kit_deinit(kit);
        free(kit);
    }
}

static const struct test_case cases[] = {
    {"random routes agree with the plain way", random_routes_agree_with_the_plain_way},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
