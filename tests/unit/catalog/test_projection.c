/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projection: which keys are instances, by our own format, by rules and by the built-in one.
 */
#include "catalog/projection.h"

#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* "service id address", or "none", for a key and its value. */
static void expect_projected(const char *rule_text, struct store_kv kv, const char *expected)
{
    struct projection_rule rule;
    struct projection *projection;
    struct projected projected;
    struct arena arena = {0};
    struct err err = {""};
    char text[512] = "none";
    if (rule_text && projection_parse_rule(slice_from_str(rule_text), &rule, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    if (projection_new(&rule, rule_text ? 1 : 0, !rule_text, &projection, &err) < 0)
        test_fail(__FILE__, __LINE__, "%s", err.text);
    int r = projection_apply(projection, &kv, &arena, &projected);
    if (r == 0)
        snprintf(text, sizeof(text), "%.*s %.*s %.*s", SLICE_ARG(projected.service), SLICE_ARG(projected.id),
                 SLICE_ARG(projected.record.address));
    else
        expect_int(r, PROJECTION_NONE);
    expect_str(text, expected);
    arena_deinit(&arena);
    projection_free(projection);
}

static struct store_kv leased(const char *key, const char *value)
{
    return (struct store_kv){slice_from_str(key), slice_from_str(value), 2, 2, 1, 7};
}

static struct store_kv lasting(const char *key, const char *value)
{
    return (struct store_kv){slice_from_str(key), slice_from_str(value), 2, 2, 1, 0};
}

static void our_own_keys_are_instances(void)
{
    expect_projected(NULL, lasting("/muster/services/web/w1", "{\"address\":\"http@h:80\"}"), "web w1 http@h:80");
    expect_projected(NULL, leased("/muster/services/web/a%2Fb", "{\"address\":\"any\"}"), "web a/b any");
    expect_projected(NULL, leased("/muster/services/web/w1", "10.0.0.7:80"), "none");
    expect_projected(NULL, leased("/muster/services/web", "{\"address\":\"http@h:80\"}"), "none");
    expect_projected(NULL, leased("/muster/other/web/w1", "10.0.0.7:80"), "none");
}

static void leased_addresses_are_instances(void)
{
    expect_projected(NULL, leased("server/001", "127.0.0.1:1212"), "server 001 127.0.0.1:1212");
    expect_projected(NULL, leased("/server/001", " 127.0.0.1:1212\n"), "server 001 127.0.0.1:1212");
    expect_projected(NULL, leased("/a/b/001", "http://web.example/"), "a/b 001 http://web.example/");
    expect_projected(NULL, leased("log/1", "tcp@log:9000"), "log 1 tcp@log:9000");
    expect_projected(NULL, leased("greeter/10.0.0.7:1", "{\"Op\":0,\"Addr\":\"10.0.0.7:1\",\"Metadata\":null}"),
                     "greeter 10.0.0.7:1 10.0.0.7:1");
}

static void other_keys_are_none(void)
{
    expect_projected(NULL, lasting("server/001", "127.0.0.1:1212"), "none"); /* no lease */
    expect_projected(NULL, leased("server", "127.0.0.1:1212"), "none");
    expect_projected(NULL, leased("/001", "127.0.0.1:1212"), "none");
    expect_projected(NULL, leased("server/", "127.0.0.1:1212"), "none");
    expect_projected(NULL, leased("election/7", "leader:7"), "none"); /* not plainly an address */
    expect_projected(NULL, leased("lock/7", ""), "none");
    expect_projected(NULL, leased("server/001", "{\"addr\":1}"), "none");
    expect_projected(NULL, leased("server/001", "{\"Addr\":"), "none");
}

static void rules_name_keys_and_values(void)
{
    expect_projected("/{service}/{id}", lasting("/web/1", "db:1"), "web 1 db:1");
    expect_projected("/{service}/{id}", lasting("/web/1/2", "db:1"), "none");
    expect_projected("/{service}/{id}", lasting("/web/", "db:1"), "none");
    expect_projected("/{service}/{id} lease", lasting("/web/1", "db:1"), "none");
    expect_projected("/{service}/{id} lease", leased("/web/1", "db:1"), "web 1 db:1");
    expect_projected("/b/{service}/nodes/{id*}", lasting("/b/web/nodes/1/2", "h:1"), "web 1/2 h:1");
    expect_projected("/b/{service}/nodes/{id*}", lasting("/b/web/node/1", "h:1"), "none");
    expect_projected("server/{id} service=web", lasting("server/1", "h:1"), "web 1 h:1");
    expect_projected("s/{id} service=web value=address", lasting("s/1", "{\"Addr\":\"h:1\"}"), "none");
    expect_projected("s/{id} service=web value=naming", lasting("s/1", "{\"Addr\":\"h:1\"}"), "web 1 h:1");
    expect_projected("s/{id} service=web value=naming", lasting("s/1", "{\"address\":\"h:1\"}"), "none");
    expect_projected("s/{id} service=web value=record", lasting("s/1", "{\"address\":\"h:1\"}"), "web 1 h:1");
    expect_projected("s/{id} service=web", lasting("s/1", "{\"address\":\"h:1\"}"), "web 1 h:1");
    expect_projected("/muster/{service}/{id}", lasting("/muster/web/1", "h:1"), "none");
}

static void bad_rules_are_refused_with_words(void)
{
    static const struct {
        const char *rule, *words;
    } rows[] = {
        {"/{service}", "the pattern \"/{service}\": expected one {id} in the pattern"},
        {"/{id}", "the pattern \"/{id}\": expected one {service} in the pattern, or service=NAME, but not both"},
        {"/{service}/{id} service=a", "the pattern \"/{service}/{id}\": expected one {service} in the pattern, or "
                                      "service=NAME, but not both"},
        {"/{name}/{id}", "the pattern \"/{name}/{id}\": {name}: expected {service}, {id}, {service*} or {id*}"},
        {"/{service/{id}", "the pattern \"/{service/{id}\": {service/{id}: expected {service}, {id}, {service*} or "
                           "{id*}"},
        {"/{service", "the pattern \"/{service\": a '{' is not closed"},
        {"/{service*}/{id}", "the pattern \"/{service*}/{id}\": nothing can follow a name with a '*'"},
        {"/{service}-{id}",
         "the pattern \"/{service}-{id}\": a name takes a whole path element: expected '/' behind it"},
        {"/a{service}/{id}",
         "the pattern \"/a{service}/{id}\": a name takes a whole path element: expected '/' before it"},
        {"a value=yaml", "value=yaml: expected any, address, naming or record"},
        {"a b", "b: expected service=NAME, value=KIND or lease"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct projection_rule rule;
        struct projection *projection;
        struct err err = {""};
        int r = projection_parse_rule(slice_from_str(rows[i].rule), &rule, &err);
        if (r == 0)
            r = projection_new(&rule, 1, false, &projection, &err);
        expect_int(r, -EINVAL);
        expect_str(err.text, rows[i].words);
    }
}

static void metadata_of_naming_is_kept(void)
{
    struct projection *projection;
    struct projected projected;
    struct arena arena = {0};
    struct store_kv kv = leased("s/1", "{\"Addr\":\"10.0.0.7:1\",\"Metadata\":{\"zone\":\"a\",\"n\":1,\"b\":\"c\"}}");
    expect_int(projection_new(NULL, 0, true, &projection, NULL), 0);
    expect_int(projection_apply(projection, &kv, &arena, &projected), 0);
    expect_int(instance_details(&projected.record)->n_metadata, 2);
    expect_slice(instance_details(&projected.record)->metadata[0].name, "zone");
    expect_slice(instance_details(&projected.record)->metadata[1].value, "c");
    expect_slice(projected.record.origin, "etcd");
    arena_deinit(&arena);
    projection_free(projection);
}

static const struct test_case cases[] = {
    {"our own keys are instances, with or without a lease", our_own_keys_are_instances},
    {"keys with a lease and plainly an address are instances", leased_addresses_are_instances},
    {"other keys are none", other_keys_are_none},
    {"rules name keys and values", rules_name_keys_and_values},
    {"bad rules are refused with words", bad_rules_are_refused_with_words},
    {"metadata of etcd's naming is kept", metadata_of_naming_is_kept},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
