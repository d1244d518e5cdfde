/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route_find against plans that are made by hand: tables of requests, and random ones compared with the plainest way to
 * choose among routes.
 */
#include "gateway/cells.h"
#include "gateway/route.h"

#include "support/test.h"

#include <stdio.h>
#include <stdlib.h>

#define SERVICES_MAX 16

/* A plan of a few services. */
struct kit {
    struct plan plan;
    struct plan_cells *table;
    struct arena arena;
    unsigned n_services;
    struct plan_cell *cells[SERVICES_MAX]; /* the table's */
    struct plan_service *services[SERVICES_MAX];
    unsigned n_routes;
    struct route routes[64];
    struct http_fields fields;
};

static const struct hash_key hash_key = {1, 2};

static struct plan_cell *kit_service(struct kit *kit, const char *name, bool is_exposed)
{
    struct plan_cell *cell;
    struct plan_service *service = calloc(1, sizeof(*service));
    expect_true(service != NULL && kit->n_services < SERVICES_MAX);
    expect_int(cell_new(&hash_key, slice_from_str(name), 1, &cell), 0);
    service->cell = cell;
    service->is_exposed = is_exposed;
    service->policy.timeout_ns = NSEC_PER_SEC;
    atomic_store(&cell->current, service);
    if (!kit->table)
        expect_int(cells_new(&hash_key, SERVICES_MAX, &kit->table), 0);
    kit->plan.cells = kit->table;
    expect_true(cells_add(kit->table, cell));
    plan_cell_unref(cell);
    kit->services[kit->n_services] = service;
    return kit->cells[kit->n_services++] = cell;
}

/* `owner`: whose metadata it is from; NULL: from the configuration. */
static void kit_route(struct kit *kit, const char *text, struct plan_cell *owner)
{
    struct route *route = &kit->routes[kit->n_routes++];
    struct err err = {""};
    int r = route_parse(slice_from_str(text), owner != NULL, &kit->arena, route, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    route->cell = owner ? owner : plan_find(&kit->plan, route->service);
    expect_true(route->cell != NULL);
}

static void kit_build(struct kit *kit)
{
    expect_int(route_table_new(kit->routes, kit->n_routes, &kit->plan.routes), 0);
}

static void kit_free(struct kit *kit)
{
    route_table_free(kit->plan.routes);
    arena_deinit(&kit->arena);
    cells_free(kit->table);
    for (unsigned i = 0; i < kit->n_services; i++) {
        free(kit->services[i]);
        free(kit->cells[i]);
    }
}

static void kit_header(struct kit *kit, const char *name, const char *value)
{
    kit->fields.items[kit->fields.n++] =
        (struct http_field){slice_from_str(name), slice_from_str(value), HTTP_FIELD_OTHER};
}

/* A request as a parser leaves it; `target` is in origin form. */
static struct http_request make_request(struct kit *kit, enum http_method method, const char *host, const char *target)
{
    struct http_request request = {.method = method, .version_major = 1, .version_minor = 1};
    request.target = slice_from_str(target);
    request.query = slice_split(request.target, '?', &request.path);
    request.authority = slice_from_str(host);
    request.fields = &kit->fields;
    return request;
}

static struct route_match find(struct kit *kit, enum http_method method, const char *host, const char *target,
                               bool is_local)
{
    struct http_request request = make_request(kit, method, host, target);
    struct route_match match;
    route_find(&kit->plan, &request, is_local, &match);
    return match;
}

/* "service" or "service /target", or the outcome. */
static const char *describe(const struct route_match *match, bool with_target)
{
    static char text[512];
    static const char *const outcomes[] = {"", "none", "bad path", "not exposed"};
    if (match->outcome != ROUTE_FOUND)
        return outcomes[match->outcome];
    snprintf(text, sizeof(text), "%.*s%s%s%.*s", SLICE_ARG(match->cell->name), with_target ? " " : "",
             with_target && match->needs_slash ? "/" : "", SLICE_ARG(with_target ? match->target : SLICE_LIT("")));
    return text;
}

static void expect_service(struct kit *kit, const char *host, const char *target, const char *service)
{
    struct route_match match = find(kit, HTTP_METHOD_GET, host, target, true);
    expect_str(describe(&match, false), service);
}

static void expect_target(struct kit *kit, const char *target, const char *passed_on)
{
    struct route_match match = find(kit, HTTP_METHOD_GET, "any", target, true);
    expect_str(describe(&match, true), passed_on);
}

static void the_first_element_is_a_service(void)
{
    struct kit kit = {0};
    kit_service(&kit, "shop", false);
    kit_service(&kit, "my shop/ä", false);
    kit_service(&kit, "caf\xc3\xa9 bar", false);
    kit_build(&kit);
    expect_target(&kit, "/shop/cart?id=1", "shop /shop/cart?id=1");
    expect_target(&kit, "/shop", "shop /shop");
    expect_target(&kit, "/shop?q", "shop /shop?q");
    expect_target(&kit, "/shop/", "shop /shop/");
    expect_target(&kit, "//x/../%73hop", "shop //x/../%73hop");
    expect_target(&kit, "/caf%C3%A9%20bar/", "caf\xc3\xa9 bar /caf%C3%A9%20bar/");
    expect_target(&kit, "/", "none");
    expect_target(&kit, "/shops", "none");
    expect_target(&kit, "/Shop", "none");
    expect_target(&kit, "/my%20shop%2f%c3%a4", "bad path");
    kit_free(&kit);
}

static void a_service_that_is_only_routed_to_has_no_path_of_its_own(void)
{
    struct kit kit = {0};
    struct plan_cell *cell = kit_service(&kit, "gone", false);
    atomic_store(&cell->current, NULL);
    kit_route(&kit, "/v1 service=gone timeout=9s", NULL);
    kit_build(&kit);
    kit.plan.settings.policy.retry = RETRY_NONE;
    expect_service(&kit, "any", "/gone", "none");
    struct route_match match = find(&kit, HTTP_METHOD_GET, "any", "/v1", true);
    expect_str(describe(&match, false), "gone");
    expect_int(match.policy.retry, RETRY_NONE);
    expect_int(match.policy.timeout_ns, 9 * NSEC_PER_SEC);
    kit_free(&kit);
}

static void what_nobody_claims_goes_to_the_default(void)
{
    struct kit kit = {0};
    kit_service(&kit, "shop", false);
    kit.plan.default_cell = kit_service(&kit, "web", false);
    kit.services[1]->policy.strip = true;
    kit_build(&kit);
    expect_target(&kit, "/shop/a", "shop /shop/a");
    expect_target(&kit, "/a/b?c", "web /a/b?c");
    expect_target(&kit, "/", "web /");
    expect_target(&kit, "/web/b", "web /b");
    expect_target(&kit, "/a/../..", "bad path");
    struct route_match match = find(&kit, HTTP_METHOD_GET, "any", "/x", false);
    expect_str(describe(&match, false), "web");
    kit_free(&kit);
}

static void the_more_exact_route_wins(void)
{
    struct kit kit = {0};
    const char *const names[] = {"any", "any-v1", "wild", "deep", "exact", "exact-v1", "cond", "staff", "put"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        kit_service(&kit, names[i], false);
    kit_route(&kit, "/ service=any", NULL);
    kit_route(&kit, "/v1 service=any-v1", NULL);
    kit_route(&kit, "*.example.com/ service=wild", NULL);
    kit_route(&kit, "*.deep.example.com/ service=deep", NULL);
    kit_route(&kit, "api.example.com/a service=exact", NULL);
    kit_route(&kit, "api.example.com/a/v1 service=exact-v1", NULL);
    kit_route(&kit, "api.example.com/c service=cond", NULL);
    kit_route(&kit, "api.example.com/c service=put method=PUT", NULL);
    kit_route(&kit, "api.example.com/c service=staff method=PUT|GET header=X-Staff:yes", NULL);
    kit_build(&kit);
    expect_service(&kit, "other.org", "/", "any");
    expect_service(&kit, "other.org", "/v1/x", "any-v1");
    expect_service(&kit, "other.org", "/v12", "any");
    expect_service(&kit, "example.com", "/", "any");
    expect_service(&kit, "x.example.com", "/v1", "wild");
    expect_service(&kit, "deep.example.com", "/", "wild");
    expect_service(&kit, "y.x.deep.example.com:8080", "/", "deep");
    expect_service(&kit, "x.notexample.com", "/", "any");
    expect_service(&kit, "API.Example.COM.:443", "/a/x", "exact");
    expect_service(&kit, "api.example.com", "/a/v1", "exact-v1");
    expect_service(&kit, "api.example.com", "/b", "wild");
    expect_service(&kit, "sub.api.example.com", "/a", "wild");
    expect_service(&kit, "", "/a", "any");
    expect_service(&kit, "[::1]:80", "/a", "any");
    expect_service(&kit, "api.example.com", "/c", "cond");
    struct route_match match = find(&kit, HTTP_METHOD_PUT, "api.example.com", "/c/d", true);
    expect_str(describe(&match, false), "put");
    kit_header(&kit, "x-staff", "no");
    expect_service(&kit, "api.example.com", "/c", "cond");
    kit_header(&kit, "x-STAFF", "yes");
    expect_service(&kit, "api.example.com", "/c", "staff");
    kit_free(&kit);
}

static void of_equals_the_configured_and_then_the_first_wins(void)
{
    struct kit kit = {0};
    struct plan_cell *meta = kit_service(&kit, "meta", false);
    kit_service(&kit, "one", false);
    kit_service(&kit, "two", false);
    kit_route(&kit, "/a", meta);
    kit_route(&kit, "/a method=GET", meta);
    kit_route(&kit, "/a service=one", NULL);
    kit_route(&kit, "/a service=two", NULL);
    kit_build(&kit);
    expect_service(&kit, "any", "/a", "meta");
    struct route_match match = find(&kit, HTTP_METHOD_POST, "any", "/a", true);
    expect_str(describe(&match, false), "one");
    kit_free(&kit);
}

/* No 405: a route says which service answers, not what can be done there. */
static void a_method_that_no_route_has_is_not_found(void)
{
    struct kit kit = {0};
    kit_service(&kit, "shop", false);
    kit_route(&kit, "/api service=shop method=GET", NULL);
    kit_build(&kit);
    struct route_match match = find(&kit, HTTP_METHOD_DELETE, "any", "/api", true);
    expect_str(describe(&match, false), "none");
    match = find(&kit, HTTP_METHOD_OTHER, "any", "/api", true);
    expect_str(describe(&match, false), "none");
    kit_free(&kit);
}

static void others_see_only_what_is_exposed(void)
{
    struct kit kit = {0};
    struct plan_cell *inner = kit_service(&kit, "inner", false), *outer = kit_service(&kit, "outer", true);
    kit_route(&kit, "/configured service=inner", NULL);
    kit_route(&kit, "/own", inner);
    kit_route(&kit, "/", outer);
    kit_build(&kit);
    static const struct {
        const char *path, *local, *remote, *all;
    } samples[] = {
        {"/configured", "inner", "inner", "inner"},
        {"/own", "inner", "outer", "inner"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct route_match match = find(&kit, HTTP_METHOD_GET, "any", samples[i].path, true);
        expect_str(describe(&match, false), samples[i].local);
        match = find(&kit, HTTP_METHOD_GET, "any", samples[i].path, false);
        expect_str(describe(&match, false), samples[i].remote);
        kit.plan.settings.expose_all = true;
        match = find(&kit, HTTP_METHOD_GET, "any", samples[i].path, false);
        expect_str(describe(&match, false), samples[i].all);
        kit.plan.settings.expose_all = false;
    }
    kit_free(&kit);
}

static void what_is_not_exposed_is_told_apart_from_nothing(void)
{
    struct kit kit = {0};
    struct plan_cell *inner = kit_service(&kit, "inner", false);
    kit_service(&kit, "outer", true);
    kit_route(&kit, "/own", inner);
    kit_build(&kit);
    static const struct {
        const char *path, *remote;
    } samples[] = {{"/own", "not exposed"}, {"/inner/x", "not exposed"}, {"/outer/x", "outer"}, {"/x", "none"}};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct route_match match = find(&kit, HTTP_METHOD_GET, "any", samples[i].path, false);
        expect_str(describe(&match, false), samples[i].remote);
    }
    kit_free(&kit);
}

static void the_prefix_is_stripped_off_the_bytes_that_came(void)
{
    struct kit kit = {0};
    kit_service(&kit, "api", false);
    kit_service(&kit, "shop", false);
    kit.services[1]->policy.strip = true;
    kit_route(&kit, "/v1/api service=api strip", NULL);
    kit_route(&kit, "/keep service=shop strip=false", NULL);
    kit_build(&kit);
    expect_target(&kit, "/v1/api/x?q=1", "api /x?q=1");
    expect_target(&kit, "/v1/api", "api /");
    expect_target(&kit, "/v1/api/", "api /");
    expect_target(&kit, "/v1/api?q=1", "api /?q=1");
    expect_target(&kit, "/v1/api/?q=1", "api /?q=1");
    expect_target(&kit, "/v%31//api/caf%C3%A9", "api /caf%C3%A9");
    expect_target(&kit, "/v1/api/x/../../api/y/..?q", "api /y/..?q");
    expect_target(&kit, "/v1/api//evil.example/x", "api /evil.example/x");
    expect_target(&kit, "/v1/api//", "api /");
    expect_target(&kit, "/shop/x/y", "shop /x/y");
    expect_target(&kit, "/shop?q", "shop /?q");
    expect_target(&kit, "/keep/x", "shop /keep/x");
    kit_free(&kit);
}

static void absolute_targets_are_passed_on_in_origin_form(void)
{
    struct kit kit = {0};
    kit_service(&kit, "shop", false);
    kit.plan.default_cell = kit.cells[0];
    kit_route(&kit, "/v1 service=shop strip", NULL);
    kit_build(&kit);
    static const struct {
        const char *target;
        size_t n_before; /* the path */
        const char *passed_on;
    } samples[] = {
        {"http://h/a/b?c", 8, "shop /a/b?c"},
        {"http://h/v1?c", 8, "shop /?c"},
        {"http://h", 8, "shop /"},
        {"http://h?a=/b", 8, "shop /?a=/b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct http_request request = make_request(&kit, HTTP_METHOD_GET, "h", samples[i].target);
        struct slice rest = slice_skip(request.target, samples[i].n_before);
        request.query = slice_split(rest, '?', &request.path);
        if (request.path.len == 0)
            request.path = SLICE_LIT("/");
        struct route_match match;
        route_find(&kit.plan, &request, true, &match);
        expect_str(describe(&match, true), samples[i].passed_on);
    }
    kit_free(&kit);
}

static void an_asterisk_is_for_options(void)
{
    struct kit kit = {0};
    kit_service(&kit, "host", false);
    kit_service(&kit, "rest", false);
    kit.plan.default_cell = kit.cells[1];
    kit_route(&kit, "a.example.com/ service=host strip", NULL);
    kit_route(&kit, "/x service=host", NULL);
    kit_build(&kit);
    struct route_match match = find(&kit, HTTP_METHOD_OPTIONS, "a.example.com", "*", true);
    expect_str(describe(&match, true), "host *");
    match = find(&kit, HTTP_METHOD_OPTIONS, "b.example.com", "*", true);
    expect_str(describe(&match, true), "rest *");
    match = find(&kit, HTTP_METHOD_GET, "a.example.com", "*", true);
    expect_str(describe(&match, true), "bad path");
    expect_str(match.fault, "the path does not begin with /");
    match = find(&kit, HTTP_METHOD_CONNECT, "a.example.com:80", "", true);
    expect_str(describe(&match, true), "bad path");
    kit_free(&kit);
}

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

static void make_route(struct kit *kit, uint64_t *random)
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
    kit_route(kit, text, is_metadata ? kit->cells[service] : NULL);
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
static const struct plan_cell *choose(struct kit *kit, const struct http_request *request, bool is_local,
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

static void compare(struct kit *kit, uint64_t *random)
{
    char path[64];
    static const char *const asked[] = {"a.b", "b", "x.a.b", "y.x.a.b", "c", "z"};
    static const char *const values[] = {"1", "2"};
    make_path(random, path, elements, ARRAY_LEN(elements));
    struct http_request request = make_request(kit, test_random(random) % 2 ? HTTP_METHOD_GET : HTTP_METHOD_POST,
                                               asked[test_random(random) % ARRAY_LEN(asked)], path);
    kit->fields.n = 0;
    if (test_random(random) % 2)
        kit_header(kit, "K", values[test_random(random) % 2]);
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
        struct kit *kit = calloc(1, sizeof(*kit));
        expect_true(kit != NULL);
        kit_service(kit, "s0", false);
        kit_service(kit, "s1", test_random(&random) % 2);
        kit_service(kit, "s2", true);
        if (test_random(&random) % 2)
            kit->plan.default_cell = kit->cells[0];
        for (uint64_t n = test_random(&random) % 40; n > 0; n--)
            make_route(kit, &random);
        kit_build(kit);
        for (unsigned i = 0; i < 200; i++)
            compare(kit, &random);
        kit_free(kit);
        free(kit);
    }
}

static const struct test_case cases[] = {
    {"the first element of the path is a service", the_first_element_is_a_service},
    {"a service that is only routed to has no path of its own",
     a_service_that_is_only_routed_to_has_no_path_of_its_own},
    {"what nobody claims goes to the default service", what_nobody_claims_goes_to_the_default},
    {"the more exact route wins", the_more_exact_route_wins},
    {"of equals the configured one and then the first wins", of_equals_the_configured_and_then_the_first_wins},
    {"a method that no route has is not found", a_method_that_no_route_has_is_not_found},
    {"from beyond loopback only what is exposed is seen", others_see_only_what_is_exposed},
    {"what is not exposed is told apart from nothing", what_is_not_exposed_is_told_apart_from_nothing},
    {"the prefix is stripped off the bytes that came", the_prefix_is_stripped_off_the_bytes_that_came},
    {"absolute targets are passed on in origin form", absolute_targets_are_passed_on_in_origin_form},
    {"an asterisk is for OPTIONS", an_asterisk_is_for_options},
    {"random routes agree with the plain way", random_routes_agree_with_the_plain_way},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
