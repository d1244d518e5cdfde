/* SPDX-License-Identifier: Apache-2.0 */
/* route_find by tables of requests. */
#include "support/route_kit.h"
#include "support/test.h"

#include <stdio.h>

static struct route_match find(struct route_kit *kit, enum http_method method, const char *host, const char *target,
                               bool is_local)
{
    struct http_request request = route_kit_request(kit, method, host, target);
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

static void expect_service(struct route_kit *kit, const char *host, const char *target, const char *service)
{
    struct route_match match = find(kit, HTTP_METHOD_GET, host, target, true);
    expect_str(describe(&match, false), service);
}

static void expect_target(struct route_kit *kit, const char *target, const char *passed_on)
{
    struct route_match match = find(kit, HTTP_METHOD_GET, "any", target, true);
    expect_str(describe(&match, true), passed_on);
}

static void the_first_element_is_a_service(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "shop", false);
    route_kit_service(&kit, "my shop/ä", false);
    route_kit_service(&kit, "caf\xc3\xa9 bar", false);
    route_kit_build(&kit);
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
    route_kit_deinit(&kit);
}

static void a_service_that_is_only_routed_to_has_no_path_of_its_own(void)
{
    struct route_kit kit = {0};
    struct plan_cell *cell = route_kit_service(&kit, "gone", false);
    atomic_store(&cell->current, NULL);
    route_kit_add(&kit, "/v1 service=gone timeout=9s", NULL);
    route_kit_build(&kit);
    kit.plan.settings.policy.retry = RETRY_NONE;
    expect_service(&kit, "any", "/gone", "none");
    struct route_match match = find(&kit, HTTP_METHOD_GET, "any", "/v1", true);
    expect_str(describe(&match, false), "gone");
    expect_int(match.policy.retry, RETRY_NONE);
    expect_int(match.policy.timeout_ns, 9 * NSEC_PER_SEC);
    route_kit_deinit(&kit);
}

static void what_nobody_claims_goes_to_the_default(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "shop", false);
    kit.plan.default_cell = route_kit_service(&kit, "web", false);
    kit.services[1]->policy.strip = true;
    route_kit_build(&kit);
    expect_target(&kit, "/shop/a", "shop /shop/a");
    expect_target(&kit, "/a/b?c", "web /a/b?c");
    expect_target(&kit, "/", "web /");
    expect_target(&kit, "/web/b", "web /b");
    expect_target(&kit, "/a/../..", "bad path");
    struct route_match match = find(&kit, HTTP_METHOD_GET, "any", "/x", false);
    expect_str(describe(&match, false), "web");
    route_kit_deinit(&kit);
}

static void the_more_exact_route_wins(void)
{
    struct route_kit kit = {0};
    const char *const names[] = {"any", "any-v1", "wild", "deep", "exact", "exact-v1", "cond", "staff", "put"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        route_kit_service(&kit, names[i], false);
    route_kit_add(&kit, "/ service=any", NULL);
    route_kit_add(&kit, "/v1 service=any-v1", NULL);
    route_kit_add(&kit, "*.example.com/ service=wild", NULL);
    route_kit_add(&kit, "*.deep.example.com/ service=deep", NULL);
    route_kit_add(&kit, "api.example.com/a service=exact", NULL);
    route_kit_add(&kit, "api.example.com/a/v1 service=exact-v1", NULL);
    route_kit_add(&kit, "api.example.com/c service=cond", NULL);
    route_kit_add(&kit, "api.example.com/c service=put method=PUT", NULL);
    route_kit_add(&kit, "api.example.com/c service=staff method=PUT|GET header=X-Staff:yes", NULL);
    route_kit_build(&kit);
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
    route_kit_header(&kit, "x-staff", "no");
    expect_service(&kit, "api.example.com", "/c", "cond");
    route_kit_header(&kit, "x-STAFF", "yes");
    expect_service(&kit, "api.example.com", "/c", "staff");
    route_kit_deinit(&kit);
}

static void of_equals_the_configured_and_then_the_first_wins(void)
{
    struct route_kit kit = {0};
    struct plan_cell *meta = route_kit_service(&kit, "meta", false);
    route_kit_service(&kit, "one", false);
    route_kit_service(&kit, "two", false);
    route_kit_add(&kit, "/a", meta);
    route_kit_add(&kit, "/a method=GET", meta);
    route_kit_add(&kit, "/a service=one", NULL);
    route_kit_add(&kit, "/a service=two", NULL);
    route_kit_build(&kit);
    expect_service(&kit, "any", "/a", "meta");
    struct route_match match = find(&kit, HTTP_METHOD_POST, "any", "/a", true);
    expect_str(describe(&match, false), "one");
    route_kit_deinit(&kit);
}

/* No 405: a route says which service answers, not what can be done there. */
static void a_method_that_no_route_has_is_not_found(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "shop", false);
    route_kit_add(&kit, "/api service=shop method=GET", NULL);
    route_kit_build(&kit);
    struct route_match match = find(&kit, HTTP_METHOD_DELETE, "any", "/api", true);
    expect_str(describe(&match, false), "none");
    match = find(&kit, HTTP_METHOD_OTHER, "any", "/api", true);
    expect_str(describe(&match, false), "none");
    route_kit_deinit(&kit);
}

static void others_see_only_what_is_exposed(void)
{
    struct route_kit kit = {0};
    struct plan_cell *inner = route_kit_service(&kit, "inner", false), *outer = route_kit_service(&kit, "outer", true);
    route_kit_add(&kit, "/configured service=inner", NULL);
    route_kit_add(&kit, "/own", inner);
    route_kit_add(&kit, "/", outer);
    route_kit_build(&kit);
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
    route_kit_deinit(&kit);
}

static void what_is_not_exposed_is_told_apart_from_nothing(void)
{
    struct route_kit kit = {0};
    struct plan_cell *inner = route_kit_service(&kit, "inner", false);
    route_kit_service(&kit, "outer", true);
    route_kit_add(&kit, "/own", inner);
    route_kit_build(&kit);
    static const struct {
        const char *path, *remote;
    } samples[] = {{"/own", "not exposed"}, {"/inner/x", "not exposed"}, {"/outer/x", "outer"}, {"/x", "none"}};
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct route_match match = find(&kit, HTTP_METHOD_GET, "any", samples[i].path, false);
        expect_str(describe(&match, false), samples[i].remote);
    }
    route_kit_deinit(&kit);
}

static void the_prefix_is_stripped_off_the_bytes_that_came(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "api", false);
    route_kit_service(&kit, "shop", false);
    kit.services[1]->policy.strip = true;
    route_kit_add(&kit, "/v1/api service=api strip", NULL);
    route_kit_add(&kit, "/keep service=shop strip=false", NULL);
    route_kit_build(&kit);
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
    route_kit_deinit(&kit);
}

static void absolute_targets_are_passed_on_in_origin_form(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "shop", false);
    kit.plan.default_cell = kit.cells[0];
    route_kit_add(&kit, "/v1 service=shop strip", NULL);
    route_kit_build(&kit);
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
        struct http_request request = route_kit_request(&kit, HTTP_METHOD_GET, "h", samples[i].target);
        struct slice rest = slice_skip(request.target, samples[i].n_before);
        request.query = slice_split(rest, '?', &request.path);
        if (request.path.len == 0)
            request.path = SLICE_LIT("/");
        struct route_match match;
        route_find(&kit.plan, &request, true, &match);
        expect_str(describe(&match, true), samples[i].passed_on);
    }
    route_kit_deinit(&kit);
}

static void an_asterisk_is_for_options(void)
{
    struct route_kit kit = {0};
    route_kit_service(&kit, "host", false);
    route_kit_service(&kit, "rest", false);
    kit.plan.default_cell = kit.cells[1];
    route_kit_add(&kit, "a.example.com/ service=host strip", NULL);
    route_kit_add(&kit, "/x service=host", NULL);
    route_kit_build(&kit);
    struct route_match match = find(&kit, HTTP_METHOD_OPTIONS, "a.example.com", "*", true);
    expect_str(describe(&match, true), "host *");
    match = find(&kit, HTTP_METHOD_OPTIONS, "b.example.com", "*", true);
    expect_str(describe(&match, true), "rest *");
    match = find(&kit, HTTP_METHOD_GET, "a.example.com", "*", true);
    expect_str(describe(&match, true), "bad path");
    expect_str(match.fault, "the path does not begin with /");
    match = find(&kit, HTTP_METHOD_CONNECT, "a.example.com:80", "", true);
    expect_str(describe(&match, true), "bad path");
    route_kit_deinit(&kit);
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
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
