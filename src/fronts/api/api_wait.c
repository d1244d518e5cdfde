/* SPDX-License-Identifier: Apache-2.0 */
/* A long poll: answered as soon as each service has enough offered instances, or when the time is over. */
#include "base/util.h"
#include "fronts/api/api_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define TIMEOUT_DEFAULT_MS 30000
#define TIMEOUT_MAX_MS     3600000
#define MIN_MAX            1000000

struct wait {
    struct api_follower follower;
    struct list link; /* of hub->waits */
    struct exchange *exchange;
    struct api *api;
    struct loop *loop;
    struct timer timer;
    uint64_t min;
    bool is_over; /* answered: on_close follows */
};

static bool is_ready(const struct wait *wait, struct slice name)
{
    const struct directory_service *service = directory_find(api_directory(wait->api), name);
    return service && service->n_offered >= wait->min;
}

static bool are_ready(const struct wait *wait)
{
    for (unsigned i = 0; i < wait->follower.n_interests; i++)
        if (!is_ready(wait, api_follower_service(&wait->follower, i)))
            return false;
    return true;
}

static void answer_if_ready(struct wait *wait)
{
    static const struct header headers[] = {{SLICE_LIT("content-type"), SLICE_LIT("application/json")}};
    char body[64];
    if (wait->is_over || !are_ready(wait))
        return;
    wait->is_over = true;
    int n = snprintf(body, sizeof(body), "{\"ready\":true,\"revision\":%lld}", (long long)api_revision(wait->api));
    exchange_respond(wait->exchange, 200, headers, ARRAY_LEN(headers), slice_from(body, (size_t)n));
}

static void on_change(struct api_follower *follower, const struct catalog_change *change)
{
    (void)change;
    answer_if_ready(container_of(follower, struct wait, follower));
}

static void on_gap(struct api_follower *follower)
{
    answer_if_ready(container_of(follower, struct wait, follower));
}

static void on_timeout(struct timer *timer)
{
    struct wait *wait = container_of(timer, struct wait, timer);
    struct slice missing[API_PARAMS_MAX];
    struct api_problem problem = {.status = 504, .name = "not-ready", .missing = missing};
    if (wait->is_over)
        return;
    wait->is_over = true;
    for (unsigned i = 0; i < wait->follower.n_interests; i++) {
        struct slice name = api_follower_service(&wait->follower, i);
        if (!is_ready(wait, name))
            missing[problem.n_missing++] = name;
    }
    (void)err_set(&problem.detail, 0, "the time is over, and not each service has %llu offered instances",
                  (unsigned long long)wait->min);
    api_problem_respond(wait->exchange, &problem);
}

static void on_close(struct exchange *exchange, enum exchange_end end)
{
    struct wait *wait = exchange->state;
    (void)end;
    loop_cancel(wait->loop, &wait->timer);
    api_hub_remove(&wait->follower);
    if (list_is_linked(&wait->link))
        list_remove(&wait->link);
    free(wait);
}

static const struct exchange_app app = {.on_close = on_close};

void api_waits_stop(struct api_hub *hub)
{
    list_for_each (link, &hub->waits) {
        struct wait *wait = container_of(link, struct wait, link);
        if (!wait->is_over)
            api_refuse(wait->exchange, 503, NULL, "the server is stopping");
        wait->is_over = true;
    }
}

static void begin(struct api_call *call, struct wait *wait, uint64_t timeout_ms)
{
    struct exchange *exchange = call->exchange;
    exchange->state = wait;
    exchange->app = &app;
    list_push_back(&call->worker->hub.waits, &wait->link);
    exchange_set_idle_timeout(exchange, NSEC_NEVER);
    loop_arm(wait->loop, &wait->timer, loop_now(wait->loop) + (nsec_t)timeout_ms * NSEC_PER_MSEC);
    answer_if_ready(wait);
}

void api_wait(struct api_call *call)
{
    struct slice *services;
    unsigned n;
    uint64_t min, timeout_ms;
    if (!api_query_u64(call, "min", 1, 1, MIN_MAX, &min) ||
        !api_query_u64(call, "timeout_ms", TIMEOUT_DEFAULT_MS, 0, TIMEOUT_MAX_MS, &timeout_ms) ||
        !api_query_services(call, &services, &n))
        return;
    if (n == 0 || atomic_load(&call->api->is_stopping)) {
        api_refuse(call->exchange, n == 0 ? 400 : 503, NULL,
                   n == 0 ? "expected the parameter \"service\", once or more" : "the server is stopping");
        return;
    }
    struct wait *wait = calloc(1, sizeof(*wait));
    if (!wait || api_hub_add(&call->worker->hub, &wait->follower, services, n, (struct slice){0}) < 0) {
        free(wait);
        api_refuse_memory(call->exchange);
        return;
    }
    wait->follower.on_change = on_change;
    wait->follower.on_gap = on_gap;
    wait->exchange = call->exchange;
    wait->api = call->api;
    wait->loop = call->worker->loop;
    wait->min = min;
    list_init(&wait->link);
    timer_init(&wait->timer, on_timeout);
    begin(call, wait, timeout_ms);
}
