/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers that are the same for everybody are static, so that /livez costs what the server costs.
 */
#include "fronts/ops/ops.h"

#include "base/util.h"
#include "fronts/access.h"
#include "fronts/etcd_version.h"
#include "fronts/ops/ops_status.h"
#include "fronts/source_view.h"
#include "fronts/system_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct ops {
    struct metrics *metrics;
    const struct system_view *system;
    const struct source_views *sources;
    struct talkers *talkers;
    const struct access *access;
};

static const struct header text_headers[] = {
    {SLICE_LIT("content-type"), SLICE_LIT("text/plain; charset=utf-8")},
};

static const struct header json_headers[] = {
    {SLICE_LIT("content-type"), SLICE_LIT("application/json")},
};

static const struct header metrics_headers[] = {
    {SLICE_LIT("content-type"), SLICE_LIT("text/plain; version=0.0.4; charset=utf-8")},
};

static void on_livez(void *instance, struct exchange *exchange)
{
    (void)instance;
    exchange_respond(exchange, 200, text_headers, ARRAY_LEN(text_headers), SLICE_LIT("ok\n"));
}

static void on_readyz(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    const char *reason = ops->system->not_ready(ops->system->ctx);
    if (reason)
        exchange_respond_text(exchange, 503, "not ready: %s\n", reason);
    else
        exchange_respond(exchange, 200, text_headers, ARRAY_LEN(text_headers), SLICE_LIT("ok\n"));
}

static void on_health(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    const char *reason = ops->system->not_ready(ops->system->ctx);
    char body[256];
    int n = snprintf(body, sizeof(body), "{\"health\":\"%s\",\"reason\":\"%s\"}", reason ? "false" : "true",
                     reason ? reason : "");
    exchange_respond(exchange, reason ? 503 : 200, json_headers, ARRAY_LEN(json_headers),
                     (struct slice){body, (size_t)n});
}

static void on_version(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    char body[192];
    int n = snprintf(body, sizeof(body),
                     "{\"version\":\"%s\",\"etcdserver\":\"" ETCD_VERSION "\",\"etcdcluster\":\"" ETCD_VERSION
                     "\",\"storage\":\"" ETCD_STORAGE_VERSION "\"}",
                     ops->system->facts->version);
    exchange_respond(exchange, 200, json_headers, ARRAY_LEN(json_headers), (struct slice){body, (size_t)n});
}

/* Answers with what was gathered in a buf, or with 503 when there was no memory for it; the buf is freed. */
static void respond_buf(struct exchange *exchange, const struct header *headers, struct buf *body)
{
    if (buf_error(body) < 0)
        exchange_respond_text(exchange, 503, "out of memory\n");
    else
        exchange_respond(exchange, 200, headers, 1, buf_slice(body));
    buf_deinit(body);
}

static void on_metrics(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    struct buf body = {0};
    metrics_render(ops->metrics, &body);
    respond_buf(exchange, metrics_headers, &body);
}

static void on_status(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    struct buf body = {0};
    ops_write_status(ops->system, ops->sources, &body);
    respond_buf(exchange, json_headers, &body);
}

/* Where everybody calls from is shown to root only, once there are users. */
static void on_clients(void *instance, struct exchange *exchange)
{
    const struct ops *ops = instance;
    unsigned refused = access_check(ops->access, exchange, ACCESS_ADMIN, (struct slice){0}, (struct slice){0});
    struct buf body = {0};
    if (refused) {
        exchange_respond_text(exchange, refused, "%s\n", access_text(refused));
        return;
    }
    ops_write_clients(ops->talkers, time_now(), &body);
    respond_buf(exchange, json_headers, &body);
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    struct ops *ops = malloc(sizeof(*ops));
    if (!ops)
        return -ENOMEM;
    *ops = (struct ops){env->metrics, env->system, env->sources, env->talkers, env->access};
    *ret_instance = ops;
    return 0;
}

static void destroy(void *instance)
{
    free(instance);
}

static const struct front_path paths[] = {
    {SLICE_LIT("/livez"), FRONT_EXACT, FRONT_GET, on_livez},
    {SLICE_LIT("/readyz"), FRONT_EXACT, FRONT_GET, on_readyz},
    {SLICE_LIT("/health"), FRONT_EXACT, FRONT_GET, on_health},
    {SLICE_LIT("/version"), FRONT_EXACT, FRONT_GET, on_version},
    {SLICE_LIT("/metrics"), FRONT_EXACT, FRONT_GET, on_metrics},
    {SLICE_LIT("/api/v1/status"), FRONT_EXACT, FRONT_GET, on_status},
    {SLICE_LIT("/api/v1/clients"), FRONT_EXACT, FRONT_GET, on_clients},
};

const struct front ops_front = {
    .name = "ops",
    .speaks = "health, version, metrics and status",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .destroy = destroy,
};
