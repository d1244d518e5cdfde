/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the system view says is looked at by each call. A watch looks again once a second: readiness changes when the
 * process starts and stops, and those who watch it are few.
 */
#include "fronts/grpc_health/grpc_health.h"

#include "fronts/grpc_health/health.pb-c.h"
#include "fronts/system_view.h"
#include "http/grpc.h"
#include "io/loop.h"
#include "wire/protobuf.h"

#include <errno.h>
#include <stdlib.h>

#define WATCH_INTERVAL_NS (1 * NSEC_PER_SEC)

/* Far more than any service's name has. */
#define REQUEST_BYTES_MAX 4096

typedef Grpc__Health__V1__HealthCheckRequest request_t;
typedef Grpc__Health__V1__HealthCheckResponse response_t;
typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus status_t;

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

/* One watching client. */
struct watch {
    struct grpc_call *call;
    struct timer timer;
    status_t sent;
};

/* The server as a whole has the empty name; there is no other. */
static status_t find_status(const struct system_view *system, const char *service)
{
    if (service[0] != '\0')
        return STATUS(SERVICE_UNKNOWN);
    return system->not_ready(system->ctx) ? STATUS(NOT_SERVING) : STATUS(SERVING);
}

/* The request's service, freed with protobuf_free. NULL: the call was finished. */
static request_t *read_request(struct grpc_call *call, struct slice message)
{
    ProtobufCMessage *request;
    int r = protobuf_unpack(&grpc__health__v1__health_check_request__descriptor, message, &request);
    if (r == 0)
        return (request_t *)request;
    if (r == -ENOMEM)
        grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
    else
        grpc_finish(call, GRPC_INTERNAL, "the message is no grpc.health.v1.HealthCheckRequest");
    return NULL;
}

typedef int (*send_fn)(struct grpc_call *call, struct slice message);

static int reply(struct grpc_call *call, struct slice message)
{
    grpc_reply(call, message);
    return 0;
}

static void send_status(struct grpc_call *call, status_t status, send_fn send)
{
    response_t response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    CLEANUP(buf_deinit) struct buf bytes = {0};
    response.status = status;
    if (protobuf_pack(&response.base, &bytes) < 0)
        grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
    else
        (void)send(call, buf_slice(&bytes)); /* a broken call is closed, a full one has the newest it can take */
}

static void check(struct grpc_call *call, struct slice message)
{
    request_t *request = read_request(call, message);
    if (!request)
        return;
    status_t status = find_status(call->ctx, request->service);
    protobuf_free(&request->base);
    if (status == STATUS(SERVICE_UNKNOWN))
        grpc_finish(call, GRPC_NOT_FOUND, "no such service; \"\" is the server as a whole");
    else
        send_status(call, status, reply);
}

static void watch_again(struct timer *timer)
{
    struct watch *watch = container_of(timer, struct watch, timer);
    struct loop *loop = exchange_loop(watch->call->exchange);
    status_t status = find_status(watch->call->ctx, "");
    loop_arm(loop, timer, loop_now(loop) + WATCH_INTERVAL_NS);
    if (status != watch->sent) {
        watch->sent = status;
        send_status(watch->call, status, grpc_send);
    }
}

static void watch_begin(struct grpc_call *call, struct slice message)
{
    request_t *request = read_request(call, message);
    if (!request)
        return;
    status_t status = find_status(call->ctx, request->service);
    protobuf_free(&request->base);
    struct watch *watch = malloc(sizeof(*watch));
    if (!watch) {
        grpc_finish(call, GRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    *watch = (struct watch){.call = call, .sent = status};
    timer_init(&watch->timer, watch_again);
    call->state = watch;
    if (status != STATUS(SERVICE_UNKNOWN)) {
        struct loop *loop = exchange_loop(call->exchange);
        loop_arm(loop, &watch->timer, loop_now(loop) + WATCH_INTERVAL_NS);
    }
    send_status(call, status, grpc_send);
}

static void watch_end(struct grpc_call *call, enum exchange_end end)
{
    struct watch *watch = call->state;
    (void)end;
    if (watch)
        loop_cancel(exchange_loop(call->exchange), &watch->timer);
    free(watch);
}

static const struct grpc_method methods[] = {
    {.path = SLICE_LIT("/grpc.health.v1.Health/Check"), .on_message = check},
    {
        .path = SLICE_LIT("/grpc.health.v1.Health/Watch"),
        .server_streams = true,
        .on_message = watch_begin,
        .on_close = watch_end,
    },
};

static const struct grpc_service service = {methods, ARRAY_LEN(methods), .max_message_bytes = REQUEST_BYTES_MAX};

/* There is nothing to keep but the view, which is thus the instance; the calls only read it. */
static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    *ret_instance = (void *)(uintptr_t)env->system;
    return 0;
}

static void destroy(void *instance)
{
    (void)instance;
}

static void on_request(void *instance, struct exchange *exchange)
{
    grpc_serve(&service, instance, exchange);
}

static const struct front_path paths[] = {
    {SLICE_LIT("/grpc.health.v1.Health/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
};

const struct front grpc_health_front = {
    .name = "grpc_health",
    .speaks = "health over gRPC (grpc.health.v1)",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .destroy = destroy,
};
