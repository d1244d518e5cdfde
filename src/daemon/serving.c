/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/serving.h"

static int start_part(void *ctx, unsigned worker, struct loop *loop)
{
    const struct serving *serving = ctx;
    return serving->gateway ? gateway_start_worker(serving->gateway, worker, loop) : 0;
}

static void stop_part(void *ctx, unsigned worker)
{
    const struct serving *serving = ctx;
    if (serving->gateway)
        gateway_stop_worker(serving->gateway, worker);
}

/* A gateway without a registry in its process has nothing to go by. */
static void refuse_request(void *ctx, struct exchange *exchange)
{
    (void)ctx;
    exchange_respond_text(exchange, 503, "this process keeps no registry to go by (its role is \"gateway\")\n");
}

static struct exchange_handler handler_of(void *ctx, unsigned worker, enum endpoint_kind kind)
{
    const struct serving *serving = ctx;
    if (kind == ENDPOINT_REGISTRY || kind == ENDPOINT_REGISTRY_UNIX)
        return router_handler(fronts_router(serving->fronts));
    if (!serving->gateway)
        return (struct exchange_handler){refuse_request, NULL};
    return gateway_handler(serving->gateway, worker, kind == ENDPOINT_GATEWAY_LOCAL);
}

static bool make_room(void *ctx, unsigned worker)
{
    const struct serving *serving = ctx;
    return serving->gateway && gateway_make_room(serving->gateway, worker);
}

static bool is_counted(const struct serving *serving, enum endpoint_kind kind)
{
    return serving->gateway && (kind == ENDPOINT_GATEWAY || kind == ENDPOINT_GATEWAY_LOCAL);
}

static bool enter(void *ctx, enum endpoint_kind kind, const struct peer *peer)
{
    const struct serving *serving = ctx;
    return !is_counted(serving, kind) || gateway_enter(serving->gateway, peer);
}

static void leave(void *ctx, enum endpoint_kind kind, const struct peer *peer)
{
    const struct serving *serving = ctx;
    if (is_counted(serving, kind))
        gateway_leave(serving->gateway, peer);
}

void serving_fill(struct serving *serving, struct stations_options *options)
{
    static const struct stations_part part = {start_part, stop_part};
    options->part = &part;
    options->handler = handler_of;
    options->make_room = make_room;
    options->enter = enter;
    options->leave = leave;
    options->ctx = serving;
}
