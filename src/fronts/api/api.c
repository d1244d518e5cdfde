/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router knows two paths of this front end; which resource is meant is found in the table below. So 404 and 405 are
 * problems like all other errors, and an answer to a wrong path or parameter can say what there is.
 */
#include "fronts/api/api.h"

#include "base/assert.h"
#include "base/random.h"
#include "fronts/api/api_impl.h"
#include "wire/uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define GET    FRONT_GET
#define STREAM FRONT_METHOD(HTTP_METHOD_GET) /* which HEAD would hold open for nothing */
#define PUT    FRONT_METHOD(HTTP_METHOD_PUT)
#define POST   FRONT_METHOD(HTTP_METHOD_POST)
#define DELETE FRONT_METHOD(HTTP_METHOD_DELETE)

#define PARAMS(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

#define SERVICE  "/api/v1/services/{service}"
#define INSTANCE SERVICE "/instances/{instance}"

/* One operation. Rows of one path stand together. */
struct row {
    const char *path;
    unsigned methods;
    void (*handler)(struct api_call *call);
    const char *const *params; /* as api_query_read has them */
};

static const struct row rows[] = {
    {"/api/v1/services", GET, api_list_services, PARAMS("prefix", "after", "limit")},
    {SERVICE, GET, api_show_service, PARAMS("offered", "at")},
    {SERVICE "/drain", PUT, api_put_drain, PARAMS()},
    {SERVICE "/drain", DELETE, api_delete_drain, PARAMS()},
    {SERVICE "/holders", GET, api_holders, PARAMS()},
    {SERVICE "/maintenance", PUT, api_put_maintenance, PARAMS()},
    {SERVICE "/maintenance", DELETE, api_delete_maintenance, PARAMS()},
    {INSTANCE, GET, api_show_instance, PARAMS()},
    {INSTANCE, PUT, api_put_instance, PARAMS()},
    {INSTANCE, DELETE, api_delete_instance, PARAMS()},
    {INSTANCE "/renew", POST, api_renew_instance, PARAMS()},
    {INSTANCE "/check", POST, api_check_instance, PARAMS()},
    {INSTANCE "/drain", PUT, api_put_drain, PARAMS()},
    {INSTANCE "/drain", DELETE, api_delete_drain, PARAMS()},
    {INSTANCE "/holders", GET, api_holders, PARAMS()},
    {INSTANCE "/maintenance", PUT, api_put_maintenance, PARAMS()},
    {INSTANCE "/maintenance", DELETE, api_delete_maintenance, PARAMS()},
    {"/api/v1/watch", STREAM, api_watch, PARAMS("*service", "prefix", "after")},
    {"/api/v1/wait", STREAM, api_wait, PARAMS("*service", "min", "timeout_ms")},
    {"/api/v1/timeline", GET, api_timeline, PARAMS("service", "instance", "since_ms", "limit")},
    {"/api/v1/graph", GET, api_graph, PARAMS()},
    {"/api/v1/explain", GET, api_explain, PARAMS("service", "instance")},
    {"/api/v1/requests", GET, api_requests, PARAMS("id", "service", "status", "since_ms", "limit")},
    {"/api/v1/traffic", GET, api_traffic, PARAMS("service")},
    {"/sd/prometheus", GET, api_prometheus, PARAMS("*service")},
};

/* ------------------------------------------------------------------------------------------------ finding the row */

/* Decodes a part of the path. Nothing decodes to nothing, so an empty one names nobody. */
static bool decode_part(struct api_call *call, struct slice part, struct slice *ret_text)
{
    struct buf text = {.limit = CATALOG_ID_MAX * 3};
    bool is_good =
        part.len > 0 && uri_decode(part, &text) == 0 && arena_copy(&call->arena, buf_slice(&text), ret_text) == 0;
    buf_deinit(&text);
    return is_good;
}

/* Whether the path has this form; the names in it then are the call's. */
static bool fits(struct api_call *call, struct slice path, struct slice pattern)
{
    call->service = call->id = (struct slice){0};
    if (path.ptr[path.len - 1] == '/')
        return false;
    for (struct slice have, want; path.len > 0 || pattern.len > 0;) {
        bool is_longer = path.len > 0 && pattern.len > 0;
        path = slice_split(path, '/', &have);
        pattern = slice_split(pattern, '/', &want);
        if (!is_longer)
            return false;
        if (slice_equal_str(want, "{service}") || slice_equal_str(want, "{instance}")) {
            if (!decode_part(call, have, want.ptr[1] == 's' ? &call->service : &call->id))
                return false;
        } else if (!slice_equal(have, want)) {
            return false;
        }
    }
    return true;
}

static void refuse_path(struct exchange *exchange)
{
    const char *paths[ARRAY_LEN(rows) + 1] = {NULL};
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        if (i == 0 || strcmp(rows[i].path, rows[i - 1].path) != 0)
            paths[n++] = rows[i].path;
    struct api_problem problem = {.status = 404, .name = "unknown-path", .expected = paths};
    (void)err_set(&problem.detail, 0, "nothing here answers this path");
    api_problem_respond(exchange, &problem);
}

static void refuse_method(struct exchange *exchange, const char *path)
{
    const char *names[16] = {NULL};
    unsigned methods = 0, n = 0;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        methods |= strcmp(rows[i].path, path) == 0 ? rows[i].methods : 0;
    for (unsigned method = 0; method < 8 * sizeof(methods); method++)
        if (methods & FRONT_METHOD(method))
            names[n++] = http_method_name((enum http_method)method);
    struct api_problem problem = {.status = 405, .expected = names};
    (void)err_set(&problem.detail, 0, "%s does not take this method", path);
    api_problem_respond(exchange, &problem);
}

/* ------------------------------------------------------------------------------------------------ dispatch */

static void dispatch(struct api_call *call)
{
    const struct http_request *request = call->exchange->request;
    const struct row *found = NULL;
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        bool is_same = i > 0 && strcmp(rows[i].path, rows[i - 1].path) == 0;
        if (is_same ? found != NULL : fits(call, request->path, slice_from_str(rows[i].path)))
            found = &rows[i];
        else if (found)
            break;
        if (found && (found->methods & FRONT_METHOD(request->method))) {
            if (api_query_read(call, found->params))
                found->handler(call);
            return;
        }
    }
    if (found)
        refuse_method(call->exchange, found->path);
    else
        refuse_path(call->exchange);
}

static void on_request(void *instance, struct exchange *exchange)
{
    struct api *api = instance;
    _Alignas(max_align_t) char scratch[2048];
    struct api_call call = {.api = api, .exchange = exchange};
    if (!api->curator) {
        api_refuse(exchange, 503, NULL, "this process keeps no registry");
        return;
    }
    call.worker = api_worker_of(api, exchange_loop(exchange));
    if (!call.worker) {
        api_refuse_memory(exchange);
        return;
    }
    arena_lend(&call.arena, scratch, sizeof(scratch));
    dispatch(&call);
    arena_deinit(&call.arena);
}

/* ------------------------------------------------------------------------------------------------ the instance */

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    struct api *api = calloc(1, sizeof(*api));
    if (!api)
        return -ENOMEM;
    api->curator = env->curator;
    api->store = env->store;
    api->access = env->access;
    api->gateway = env->gateway;
    pthread_mutex_init(&api->holders.lock, NULL);
    for (unsigned i = 0; i < ARRAY_LEN(api->holders.all); i++)
        list_init(&api->holders.all[i]);
    *ret_instance = api;
    return 0;
}

static void stop(void *instance)
{
    struct api *api = instance;
    atomic_store(&api->is_stopping, true);
    for (struct api_worker *worker = atomic_load(&api->workers); worker; worker = worker->next)
        loop_post(worker->loop, &worker->stop_mail);
}

static void destroy(void *instance)
{
    struct api *api = instance;
    struct api_worker *worker = atomic_load(&api->workers);
    while (worker) {
        struct api_worker *next = worker->next;
        api_worker_free(worker);
        worker = next;
    }
    pthread_mutex_destroy(&api->holders.lock);
    free(api);
}

/* Others' methods are refused here, in this protocol's words. */
#define ALL_METHODS ((1U << (HTTP_METHOD_CONNECT + 1)) - 1)

static const struct front_path paths[] = {
    {SLICE_LIT("/api/v1/"), FRONT_PREFIX, ALL_METHODS, on_request},
    {SLICE_LIT("/sd/prometheus"), FRONT_EXACT, ALL_METHODS, on_request},
};

const struct front api_front = {
    .name = "api",
    .speaks = "the catalogue as JSON, its changes as Server-Sent Events, targets for Prometheus",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
