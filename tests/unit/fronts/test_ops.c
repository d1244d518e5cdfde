/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/ops/ops.h"

#include "fronts/router.h"
#include "fronts/source_view.h"
#include "fronts/system_view.h"

#include "support/fake_exchange.h"
#include "support/test.h"

#include <stdio.h>

static nsec_t uptime(void *ctx)
{
    (void)ctx;
    return 1234567 * NSEC_PER_USEC;
}

static const char *not_ready(void *ctx)
{
    return *(const char **)ctx;
}

static unsigned n_connections(void *ctx, unsigned worker)
{
    (void)ctx;
    return 10 + worker;
}

static uint64_t memory_bytes(void *ctx)
{
    (void)ctx;
    return 5000000;
}

static void get_source(void *ctx, struct source_state *ret_state)
{
    *ret_state = (struct source_state){
        .name = "docker",
        .place = SLICE_LIT("unix:///s"),
        .state = "waiting",
        .success_ms = 1000,
        .next_ms = 2000,
        .n_instances = 3,
        .n_drifts = 4,
    };
    (void)snprintf(ret_state->trouble, sizeof(ret_state->trouble), "%s", *(const char **)ctx);
}

struct fixture {
    const char *reason;
    struct system_listener listeners[2];
    struct system_facts facts;
    struct system_view view;
    const char *trouble;
    struct source_view source;
    struct source_views sources;
    struct metrics *metrics;
    struct talkers *talkers;
    void *instance;
    struct router *router;
    struct fake_exchange fake;
};

static void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){
        .listeners = {{"registry", "127.0.0.1:2379", "HTTP/1.1, HTTP/2"}, {"gateway", "unix:/run/\"m\"", "HTTP/1.1"}},
        .facts = {"1.2.3", "all", 42, 2, fixture->listeners, 2},
        .trouble = "no such socket",
        .source = {&fixture->trouble, get_source},
        .sources = {1, &fixture->source},
        .view = {&fixture->facts, &fixture->reason, uptime, not_ready, n_connections, memory_bytes},
    };
    expect_int(metrics_new(1, &fixture->metrics), 0);
    expect_int(talkers_new(1, &fixture->talkers), 0);
    const struct front_env env = {
        .metrics = fixture->metrics,
        .system = &fixture->view,
        .sources = &fixture->sources,
        .talkers = fixture->talkers,
    };
    expect_int(ops_front.create(&env, &fixture->instance, NULL), 0);
    expect_int(router_new(&fixture->router), 0);
    expect_int(router_add(fixture->router, &ops_front, fixture->instance, NULL), 0);
}

static void fixture_deinit(struct fixture *fixture)
{
    fake_exchange_deinit(&fixture->fake);
    router_free(fixture->router);
    ops_front.destroy(fixture->instance);
    metrics_free(fixture->metrics);
    talkers_free(fixture->talkers);
}

static void expect_get(struct fixture *fixture, const char *path, unsigned status, const char *type, const char *body)
{
    const struct exchange_handler handler = router_handler(fixture->router);
    fake_exchange_ask(&fixture->fake, &handler, HTTP_METHOD_GET, path);
    expect_int(fixture->fake.n_answers, 1);
    expect_int(fixture->fake.status, status);
    expect_slice(fake_exchange_header(&fixture->fake, "content-type"), type);
    expect_slice(buf_slice(&fixture->fake.body), body);
}

#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

static void health_is_told_in_each_dialect(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_get(&fixture, "/livez", 200, TEXT, "ok\n");
    expect_get(&fixture, "/readyz", 200, TEXT, "ok\n");
    expect_get(&fixture, "/health", 200, JSON, "{\"health\":\"true\",\"reason\":\"\"}");
    fixture.reason = "shutting down";
    expect_get(&fixture, "/livez", 200, TEXT, "ok\n");
    expect_get(&fixture, "/readyz", 503, TEXT, "not ready: shutting down\n");
    expect_get(&fixture, "/health", 503, JSON, "{\"health\":\"false\",\"reason\":\"shutting down\"}");
    fixture_deinit(&fixture);
}

static void version_is_told(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    expect_get(&fixture, "/version", 200, JSON,
               "{\"version\":\"1.2.3\",\"etcdserver\":\"3.6.0\",\"etcdcluster\":\"3.6.0\",\"storage\":\"3.6.0\"}");
    fixture_deinit(&fixture);
}

static void metrics_are_rendered(void)
{
    struct fixture fixture;
    struct metrics_gauge gauge;
    const struct metrics_desc desc = {.name = "muster_things", .help = "Things."};
    fixture_init(&fixture);
    expect_int(metrics_register_gauge(fixture.metrics, &desc, &gauge), 0);
    metrics_gauge_add(&gauge, 0, 3);
    expect_get(&fixture, "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8",
               "# HELP muster_things Things.\n# TYPE muster_things gauge\nmuster_things 3\n");
    fixture_deinit(&fixture);
}

static void status_is_json(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    fixture.reason = "starting";
    expect_get(
        &fixture, "/api/v1/status", 200, JSON,
        "{\"version\":\"1.2.3\",\"role\":\"all\",\"pid\":42,\"uptime_ms\":1234,\"ready\":false,"
        "\"not_ready\":\"starting\",\"memory_bytes\":5000000,"
        "\"listeners\":[{\"role\":\"registry\",\"address\":\"127.0.0.1:2379\",\"protocols\":\"HTTP/1.1, HTTP/2\"},"
        "{\"role\":\"gateway\",\"address\":\"unix:/run/\\\"m\\\"\",\"protocols\":\"HTTP/1.1\"}],"
        "\"workers\":[{\"connections\":10},{\"connections\":11}],"
        "\"sources\":[{\"name\":\"docker\",\"place\":\"unix:///s\",\"state\":\"waiting\","
        "\"trouble\":\"no such socket\",\"last_success_ms\":1000,\"next_try_ms\":2000,\"instances\":3,\"drifts\":4}]}");
    fixture_deinit(&fixture);
}

static void who_talks_is_told(void)
{
    struct fixture fixture;
    const struct peer peer = {.family = AF_INET, .port = 4711, .ip = {10, 0, 0, 7}}, local = {.family = AF_UNIX};
    fixture_init(&fixture);
    expect_get(&fixture, "/api/v1/clients", 200, JSON, "{\"clients\":[]}");
    talkers_count(fixture.talkers, 0, &local, 1, 5, time_now());
    talkers_count(fixture.talkers, 0, &peer, 2, 300, time_now());
    const struct exchange_handler handler = router_handler(fixture.router);
    fake_exchange_ask(&fixture.fake, &handler, HTTP_METHOD_GET, "/api/v1/clients");
    struct slice body = buf_slice(&fixture.fake.body);
    expect_true(slice_starts_with(body, SLICE_LIT("{\"clients\":[{\"address\":\"10.0.0.7\",\"requests_per_minute\":")));
    const struct slice rest = SLICE_LIT("\"requests\":2,\"bytes\":300},{\"address\":\"unix\",");
    expect_true(memmem(body.ptr, body.len, rest.ptr, rest.len) != NULL);
    fixture_deinit(&fixture);
}

static void only_reading_is_allowed(void)
{
    struct fixture fixture;
    fixture_init(&fixture);
    for (unsigned i = 0; i < ops_front.n_paths; i++) {
        const struct exchange_handler handler = router_handler(fixture.router);
        fake_exchange_ask(&fixture.fake, &handler, HTTP_METHOD_POST, ops_front.paths[i].path.ptr);
        expect_int(fixture.fake.status, 405);
        expect_slice(fake_exchange_header(&fixture.fake, "allow"), "GET, HEAD");
    }
    fixture_deinit(&fixture);
}

static const struct test_case cases[] = {
    {"health is told in each dialect", health_is_told_in_each_dialect},
    {"the version is told", version_is_told},
    {"metrics are rendered", metrics_are_rendered},
    {"the status is JSON", status_is_json},
    {"who talks is told", who_talks_is_told},
    {"only reading is allowed", only_reading_is_allowed},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
