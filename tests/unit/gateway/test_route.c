/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/route.h"

#include "gateway/policy.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static void parse_good(const char *text, bool is_metadata, struct arena *arena, struct route *ret_route)
{
    struct err err = {""};
    int r = route_parse(slice_from_str(text), is_metadata, arena, ret_route, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
}

static void all_parts_are_read(void)
{
    struct arena arena = {0};
    struct route route;
    parse_good(
        "\t API.Example.com/v1/%61dmin/  service=orders  method=GET|HEAD header=X-Staff:yes:no strip timeout=5s ",
        false, &arena, &route);
    expect_slice(route.text, "API.Example.com/v1/%61dmin/  service=orders  method=GET|HEAD header=X-Staff:yes:no strip "
                             "timeout=5s");
    expect_slice(route.host, "api.example.com");
    expect_false(route.is_wildcard);
    expect_slice(route.prefix, "/v1/admin");
    expect_slice(route.service, "orders");
    expect_int(route.methods, 1 << HTTP_METHOD_GET | 1 << HTTP_METHOD_HEAD);
    expect_slice(route.header_name, "X-Staff");
    expect_slice(route.header_value, "yes:no");
    expect_int(route.policy_set, POLICY_STRIP | POLICY_TIMEOUT);
    expect_true(route.policy.strip);
    expect_int(route.policy.timeout_ns, 5 * NSEC_PER_SEC);
    expect_true(route.is_configured);
    expect_true(route.cell == NULL);
    arena_deinit(&arena);
}

static void little_is_enough(void)
{
    struct arena arena = {0};
    struct route route;
    parse_good("*.example.com/", true, &arena, &route);
    expect_slice(route.host, "example.com");
    expect_true(route.is_wildcard);
    expect_slice(route.prefix, "");
    expect_slice(route.service, "");
    expect_false(route.is_configured);
    parse_good("/ service=a", false, &arena, &route);
    expect_slice(route.host, "");
    expect_false(route.is_wildcard);
    parse_good("/a//./b/../c/ service=a", false, &arena, &route);
    expect_slice(route.prefix, "/a/c");
    arena_deinit(&arena);
}

static void what_is_wrong_is_told(void)
{
    static const struct {
        const char *text, *said;
    } samples[] = {
        {"", "is empty; expected [HOST]/PREFIX and words"},
        {"orders service=orders", "\"orders\" is not valid; expected [HOST]/PREFIX, a path at least"},
        {"/v1", "leads nowhere; expected service=NAME"},
        {"/v1 service=", "service: \"\" is not valid; expected the name of a service"},
        {"/v1 service=a service=b", "service is given twice"},
        {"/v1 service=a method=GET method=PUT", "method is given twice"},
        {"/v1 service=a header=a:b header=c:d", "header is given twice"},
        {"a.b:80/ service=a",
         "\"a.b:80\" is not valid; expected a host name without port, or \"*.\" and a name, or none "
         "for any"},
        {"*/ service=a",
         "\"*\" is not valid; expected a host name without port, or \"*.\" and a name, or none for any"},
        {"a..b/ service=a",
         "\"a..b\" is not valid; expected a host name without port, or \"*.\" and a name, or none for "
         "any"},
        {"a.b./ service=a",
         "\"a.b.\" is not valid; expected a host name without port, or \"*.\" and a name, or none for "
         "any"},
        {"/v1/* service=a", "\"/v1/*\" is not valid; expected a prefix without \"*\": it covers what is below it"},
        {"/v1?a service=a", "\"/v1?a\" is not valid; expected a path without a query"},
        {"/a%2fb service=a", "\"/a%2fb\" is not valid: the path has an encoded slash, a backslash or a NUL"},
        {"/../a service=a", "\"/../a\" is not valid: the path climbs above its root"},
        {"/v1 service=a method=get", "method: \"get\" is not valid; expected methods such as GET or GET|HEAD"},
        {"/v1 service=a header=x-staff", "header: \"x-staff\" is not valid; expected NAME:VALUE"},
        {"/v1 service=a timeout=5", "timeout: \"5\" is not valid; expected a duration such as 500ms or 5s, from 1ms to "
                                    "24h"},
        {"/v1 service=a timout=5s", "\"timout\" is no word of a route, did you mean \"timeout\"?"},
        {"/v1 service=a colour=red", "\"colour\" is no word of a route"},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct arena arena = {0};
        struct route route;
        struct err err = {""};
        int r = route_parse(slice_from_str(samples[i].text), false, &arena, &route, &err);
        expect_str(err.text, samples[i].said);
        expect_int(r, -EINVAL);
        arena_deinit(&arena);
    }
}

static void metadata_names_no_service(void)
{
    struct arena arena = {0};
    struct route route;
    struct err err = {""};
    expect_int(route_parse(SLICE_LIT("/v1 service=a"), true, &arena, &route, &err), -EINVAL);
    expect_str(err.text, "service is not for metadata: the route leads to the service that has it");
    arena_deinit(&arena);
}

static int parse_and_build(void *arg)
{
    (void)arg;
    CLEANUP(arena_deinit) struct arena arena = {0};
    struct route routes[2];
    struct route_table *table;
    int r = route_parse(SLICE_LIT("a.example.com/x/y service=s header=a:b sticky=c"), false, &arena, &routes[0], NULL);
    if (r == 0)
        r = route_parse(SLICE_LIT("*.example.com/x service=s"), false, &arena, &routes[1], NULL);
    if (r == 0)
        r = route_table_new(routes, 2, &table);
    if (r == 0)
        route_table_free(table);
    return r;
}

static void each_failing_allocation_is_reported(void)
{
    expect_true(fault_alloc_sweep(parse_and_build, NULL) > 2);
}

static const struct test_case cases[] = {
    {"all parts of a route are read", all_parts_are_read},
    {"little is enough", little_is_enough},
    {"what is wrong is told", what_is_wrong_is_told},
    {"a route of metadata names no service", metadata_names_no_service},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
