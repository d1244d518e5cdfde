/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact paths are in a hash table, open-addressed and at most half full. Prefixes are few: an array sorted by falling
 * length, of which the first that fits is the longest.
 */
#include "fronts/router.h"

#include "base/assert.h"
#include "base/util.h"
#include "http/grpc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct route {
    const struct front_path *path; /* NULL: a free slot of the table */
    const struct front *front;
    void *instance;
};

struct router {
    struct route *exact; /* n_slots of them, a power of two */
    size_t n_slots, n_exact;
    size_t longest; /* of the exact paths: what is longer need not be hashed */
    struct route *prefixes;
    size_t n_prefixes;
};

/* FNV-1a: the paths are our own, so nobody can choose them to collide; what a client sends only looks one up. */
static size_t path_hash(struct slice path)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < path.len; i++)
        hash = (hash ^ (unsigned char)path.ptr[i]) * 0x100000001b3;
    return (size_t)(hash ^ (hash >> 32));
}

/* The slot that has the path, or the free one where it would go. */
static struct route *find_slot(struct route *slots, size_t n_slots, struct slice path)
{
    for (size_t i = path_hash(path);; i++) {
        struct route *slot = &slots[i & (n_slots - 1)];
        if (!slot->path || slice_equal(slot->path->path, path))
            return slot;
    }
}

static const struct route *find_route(const struct router *router, struct slice path)
{
    if (path.len <= router->longest) {
        const struct route *slot = find_slot(router->exact, router->n_slots, path);
        if (slot->path)
            return slot;
    }
    for (size_t i = 0; i < router->n_prefixes; i++) {
        if (slice_starts_with(path, router->prefixes[i].path->path))
            return &router->prefixes[i];
    }
    return NULL;
}

static int grow_exact(struct router *router)
{
    size_t n_slots = router->n_slots ? router->n_slots * 2 : 32;
    struct route *slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return -ENOMEM;
    for (size_t i = 0; i < router->n_slots; i++) {
        if (router->exact[i].path)
            *find_slot(slots, n_slots, router->exact[i].path->path) = router->exact[i];
    }
    free(router->exact);
    router->exact = slots;
    router->n_slots = n_slots;
    return 0;
}

static int fail_claimed(const struct route *other, const struct route *route, struct err *err)
{
    return err_set(err, -EEXIST, "front ends %s and %s both claim %.*s", other->front->name, route->front->name,
                   SLICE_ARG(route->path->path));
}

static int add_exact(struct router *router, const struct route *route, struct err *err)
{
    if (router->n_exact >= router->n_slots / 2) {
        int r = grow_exact(router);
        if (r < 0)
            return r;
    }
    struct route *slot = find_slot(router->exact, router->n_slots, route->path->path);
    if (slot->path)
        return fail_claimed(slot, route, err);
    *slot = *route;
    router->n_exact++;
    router->longest = max_size(router->longest, route->path->path.len);
    return 0;
}

static int add_prefix(struct router *router, const struct route *route, struct err *err)
{
    struct slice path = route->path->path;
    size_t at = 0;
    for (; at < router->n_prefixes && router->prefixes[at].path->path.len >= path.len; at++) {
        if (slice_equal(router->prefixes[at].path->path, path))
            return fail_claimed(&router->prefixes[at], route, err);
    }
    struct route *prefixes = realloc(router->prefixes, (router->n_prefixes + 1) * sizeof(*prefixes));
    if (!prefixes)
        return -ENOMEM;
    memmove(prefixes + at + 1, prefixes + at, (router->n_prefixes - at) * sizeof(*prefixes));
    prefixes[at] = *route;
    router->prefixes = prefixes;
    router->n_prefixes++;
    return 0;
}

int router_new(struct router **ret_router)
{
    struct router *router = calloc(1, sizeof(*router));
    if (!router)
        return -ENOMEM;
    *ret_router = router;
    return 0;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    free(router->exact);
    free(router->prefixes);
    free(router);
}

int router_add(struct router *router, const struct front *front, void *instance, struct err *err)
{
    for (unsigned i = 0; i < front->n_paths; i++) {
        const struct route route = {&front->paths[i], front, instance};
        struct slice path = route.path->path;
        ASSERT(path.len > 0 && path.ptr[0] == '/' && route.path->methods != 0);
        ASSERT(route.path->match == FRONT_EXACT || path.ptr[path.len - 1] == '/');
        int r = route.path->match == FRONT_EXACT ? add_exact(router, &route, err) : add_prefix(router, &route, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Paths are cut to this in error texts. */
#define SHOWN_BYTES_MAX 256

static struct slice shown(struct slice text)
{
    return (struct slice){text.ptr, min_size(text.len, SHOWN_BYTES_MAX)};
}

static void respond_not_found(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    if (grpc_refuse_unclaimed(exchange))
        return;
    exchange_respond_text(exchange, 404, "nothing here answers %.*s %.*s\n", SLICE_ARG(shown(request->method_text)),
                          SLICE_ARG(shown(request->path)));
}

static void respond_bad_method(struct exchange *exchange, unsigned methods)
{
    const struct http_request *request = exchange->request;
    char allow[128] = "";
    size_t len = 0;
    for (unsigned method = 0; method < 8 * sizeof(methods); method++) {
        if (methods & FRONT_METHOD(method))
            len += (size_t)snprintf(allow + len, sizeof(allow) - len, "%s%s", len ? ", " : "",
                                    http_method_name((enum http_method)method));
    }
    char body[SHOWN_BYTES_MAX * 2 + sizeof(allow) + 32];
    int n = snprintf(body, sizeof(body), "%.*s does not take %.*s; it takes %s\n", SLICE_ARG(shown(request->path)),
                     SLICE_ARG(shown(request->method_text)), allow);
    const struct header headers[] = {
        {SLICE_LIT("allow"), {allow, len}},
        {SLICE_LIT("content-type"), SLICE_LIT("text/plain; charset=utf-8")},
    };
    exchange_respond(exchange, 405, headers, ARRAY_LEN(headers), (struct slice){body, (size_t)n});
}

static void on_request(void *ctx, struct exchange *exchange)
{
    const struct router *router = ctx;
    const struct route *route = find_route(router, exchange->request->path);
    if (!route)
        respond_not_found(exchange);
    else if (!(route->path->methods & FRONT_METHOD(exchange->request->method)))
        respond_bad_method(exchange, route->path->methods);
    else
        route->path->on_request(route->instance, exchange);
}

struct exchange_handler router_handler(struct router *router)
{
    return (struct exchange_handler){on_request, router};
}
