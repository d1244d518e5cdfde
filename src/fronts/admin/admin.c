/* SPDX-License-Identifier: Apache-2.0 */
#include "fronts/admin/admin.h"

#include "base/util.h"
#include "fronts/admin/admin_impl.h"

#include <errno.h>
#include <stdlib.h>

void admin_respond_json(struct exchange *exchange, struct buf *body)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    if (buf_error(body) < 0)
        exchange_respond_text(exchange, 503, "out of memory\n");
    else
        exchange_respond(exchange, 200, headers, ARRAY_LEN(headers), buf_slice(body));
    buf_deinit(body);
}

void admin_refuse(struct exchange *exchange, enum store_outcome outcome)
{
    switch (outcome) {
    case STORE_COMPACTED:
        exchange_respond_text(exchange, 400, "the history before that revision is forgotten already\n");
        break;
    case STORE_FUTURE_REVISION:
        exchange_respond_text(exchange, 400, "the store has not come to that revision yet\n");
        break;
    case STORE_NO_SPACE:
        exchange_respond_text(exchange, 507, "the disk is full\n");
        break;
    case STORE_READ_ONLY:
        exchange_respond_text(exchange, 503, "the store takes no changes since its disk failed: see the log\n");
        break;
    case STORE_STOPPED:
        exchange_respond_text(exchange, 503, "the server is stopping\n");
        break;
    case STORE_OUT_OF_MEMORY:
        exchange_respond_text(exchange, 503, "out of memory\n");
        break;
    default:
        exchange_respond_text(exchange, 500, "the store could not do it: see the log\n");
        break;
    }
}

/* A handler for processes that keep a store, and for who may have all of it. */
static void serve(void *instance, struct exchange *exchange, void (*handler)(struct admin *, struct exchange *))
{
    static const struct slice none;
    struct admin *admin = instance;
    unsigned status = access_check(admin->access, exchange, ACCESS_ADMIN, none, none);
    if (!admin->store)
        exchange_respond_text(exchange, 503, "this process keeps no store\n");
    else if (status != 0)
        exchange_respond_text(exchange, status, "%s\n", access_text(status));
    else
        handler(admin, exchange);
}

static void on_snapshot(void *instance, struct exchange *exchange)
{
    serve(instance, exchange, admin_on_snapshot);
}

static void on_compaction(void *instance, struct exchange *exchange)
{
    serve(instance, exchange, admin_on_compaction);
}

static void on_why(void *instance, struct exchange *exchange)
{
    serve(instance, exchange, admin_on_why);
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    struct admin *admin = calloc(1, sizeof(*admin));
    if (!admin)
        return -ENOMEM;
    admin->store = env->store;
    admin->access = env->access;
    *ret_instance = admin;
    return 0;
}

static void destroy(void *instance)
{
    free(instance);
}

static const struct front_path paths[] = {
    {SLICE_LIT("/api/v1/store/snapshot"), FRONT_EXACT, FRONT_METHOD(HTTP_METHOD_GET), on_snapshot},
    {SLICE_LIT("/api/v1/store/compaction"), FRONT_EXACT, FRONT_METHOD(HTTP_METHOD_POST), on_compaction},
    {SLICE_LIT("/api/v1/store/why"), FRONT_EXACT, FRONT_GET, on_why},
};

const struct front admin_front = {
    .name = "admin",
    .speaks = "copies, compaction and reasons of the store over HTTP",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .destroy = destroy,
};
