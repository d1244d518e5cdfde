/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/router.h"

#include "support/fake_exchange.h"
#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void say_instance(void *instance, struct exchange *exchange)
{
    exchange_respond_text(exchange, 200, "%s", (const char *)instance);
}

static void say_prefix(void *instance, struct exchange *exchange)
{
    exchange_respond_text(exchange, 200, "under %s", (const char *)instance);
}

static void say_deep(void *instance, struct exchange *exchange)
{
    exchange_respond_text(exchange, 200, "deep under %s", (const char *)instance);
}

static const struct front_path a_paths[] = {
    {SLICE_LIT("/a"), FRONT_EXACT, FRONT_GET, say_instance},
    {SLICE_LIT("/v1/"), FRONT_PREFIX, FRONT_GET | FRONT_METHOD(HTTP_METHOD_POST), say_prefix},
};
static const struct front_path b_paths[] = {
    {SLICE_LIT("/v1/exact"), FRONT_EXACT, FRONT_METHOD(HTTP_METHOD_PUT), say_instance},
    {SLICE_LIT("/v1/deep/"), FRONT_PREFIX, FRONT_GET, say_deep},
};
static const struct front front_a = {.name = "a", .paths = a_paths, .n_paths = ARRAY_LEN(a_paths)};
static const struct front front_b = {.name = "b", .paths = b_paths, .n_paths = ARRAY_LEN(b_paths)};

static struct router *make_router(void)
{
    static char a[] = "A", b[] = "B";
    struct router *router;
    expect_int(router_new(&router), 0);
    expect_int(router_add(router, &front_a, a, NULL), 0);
    expect_int(router_add(router, &front_b, b, NULL), 0);
    return router;
}

static void expect_answer(struct router *router, enum http_method method, const char *path, unsigned status,
                          const char *body)
{
    struct fake_exchange fake = {0};
    const struct exchange_handler handler = router_handler(router);
    fake_exchange_ask(&fake, &handler, method, path);
    expect_slice(buf_slice(&fake.body), body);
    expect_int(fake.status, status);
    expect_int(fake.n_answers, 1);
    fake_exchange_deinit(&fake);
}

static void paths_find_their_front_end(void)
{
    struct router *router = make_router();
    expect_answer(router, HTTP_METHOD_GET, "/a", 200, "A");
    expect_answer(router, HTTP_METHOD_HEAD, "/a", 200, "A");
    expect_answer(router, HTTP_METHOD_GET, "/v1/", 200, "under A");
    expect_answer(router, HTTP_METHOD_POST, "/v1/x/y", 200, "under A");
    expect_answer(router, HTTP_METHOD_GET, "/v1/deep/x", 200, "deep under B");
    expect_answer(router, HTTP_METHOD_GET, "/v1/deeper", 200, "under A");
    expect_answer(router, HTTP_METHOD_PUT, "/v1/exact", 200, "B");
    router_free(router);
}

static void what_nobody_claims_is_404(void)
{
    struct router *router = make_router();
    expect_answer(router, HTTP_METHOD_GET, "/", 404, "nothing here answers GET /\n");
    expect_answer(router, HTTP_METHOD_GET, "/a/", 404, "nothing here answers GET /a/\n");
    expect_answer(router, HTTP_METHOD_GET, "/v1", 404, "nothing here answers GET /v1\n");
    expect_answer(router, HTTP_METHOD_OPTIONS, "*", 404, "nothing here answers OPTIONS *\n");
    router_free(router);
    expect_int(router_new(&router), 0); /* one without any path */
    expect_answer(router, HTTP_METHOD_GET, "/a", 404, "nothing here answers GET /a\n");
    router_free(router);
}

static void long_paths_are_cut_in_the_answer(void)
{
    struct router *router = make_router();
    char path[2000], expected[2000];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    snprintf(expected, sizeof(expected), "nothing here answers GET %.256s\n", path);
    expect_answer(router, HTTP_METHOD_GET, path, 404, expected);
    router_free(router);
}

static void other_methods_are_405_with_those_allowed(void)
{
    struct router *router = make_router();
    struct fake_exchange fake = {0};
    const struct exchange_handler handler = router_handler(router);
    fake_exchange_ask(&fake, &handler, HTTP_METHOD_DELETE, "/v1/x");
    expect_int(fake.status, 405);
    expect_slice(fake_exchange_header(&fake, "allow"), "GET, HEAD, POST");
    expect_slice(buf_slice(&fake.body), "/v1/x does not take DELETE; it takes GET, HEAD, POST\n");
    fake_exchange_ask(&fake, &handler, HTTP_METHOD_GET, "/v1/exact");
    expect_int(fake.status, 405);
    expect_slice(fake_exchange_header(&fake, "allow"), "PUT");
    fake_exchange_deinit(&fake);
    router_free(router);
}

static void two_claims_on_one_path_are_an_error(void)
{
    struct router *router = make_router();
    struct front thief = {.name = "thief", .paths = &a_paths[0], .n_paths = 1};
    struct err err = {""};
    expect_int(router_add(router, &thief, NULL, &err), -EEXIST);
    expect_str(err.text, "front ends a and thief both claim /a");
    thief.paths = &a_paths[1];
    expect_int(router_add(router, &thief, NULL, &err), -EEXIST);
    expect_str(err.text, "front ends a and thief both claim /v1/");
    router_free(router);
}

#define MANY 500

/* Adds many paths, half of them exact; gives the first failure. */
static int add_many(struct router *router, struct front_path *paths)
{
    static char texts[MANY][32];
    static char instance[] = "many";
    struct front front = {.name = "many", .paths = paths, .n_paths = MANY};
    for (size_t i = 0; i < MANY; i++) {
        int n = snprintf(texts[i], sizeof(texts[i]), i % 2 ? "/p%zu/" : "/e%zu", i);
        paths[i] =
            (struct front_path){{texts[i], (size_t)n}, i % 2 ? FRONT_PREFIX : FRONT_EXACT, FRONT_GET, say_instance};
    }
    return router_add(router, &front, instance, NULL);
}

static void many_paths_are_all_found(void)
{
    static struct front_path paths[MANY];
    struct router *router = make_router();
    expect_int(add_many(router, paths), 0);
    for (size_t i = 0; i < MANY; i++) {
        char path[64];
        snprintf(path, sizeof(path), "%s%s", paths[i].path.ptr, i % 2 ? "x" : "");
        expect_answer(router, HTTP_METHOD_GET, path, 200, "many");
    }
    router_free(router);
}

static int build(void *paths)
{
    struct router *router = NULL;
    int r = router_new(&router);
    if (r == 0)
        r = add_many(router, paths);
    router_free(router);
    return r;
}

static void running_out_of_memory_is_an_error(void)
{
    static struct front_path paths[MANY];
    expect_true(fault_alloc_sweep(build, paths) > 3);
}

static const struct test_case cases[] = {
    {"exact paths win over prefixes, longer prefixes over shorter ones", paths_find_their_front_end},
    {"what nobody claims is 404 and says what was asked for", what_nobody_claims_is_404},
    {"a long path is cut in the answer", long_paths_are_cut_in_the_answer},
    {"another method is 405 and says which are allowed", other_methods_are_405_with_those_allowed},
    {"two front ends that claim one path are an error", two_claims_on_one_path_are_an_error},
    {"many paths are all found", many_paths_are_all_found},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
