/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's name in Via tells it from every other gateway, so that a loop is found and a chain of gateways is none:
 * it ends in digits of its own, drawn at the start.
 */
#include "gateway/gateway.h"

#include "base/seldom.h"
#include "gateway/forward.h"
#include "gateway/gateway_worker.h"
#include "gateway/guests.h"
#include "gateway/relay.h"

#include <errno.h>
#include <stdlib.h>

enum { DOOR_OPEN, DOOR_LOCAL, DOORS };

/* How often the log tells of clients with too many connections. */
#define TELL_NS (10 * NSEC_PER_SEC)

struct station {
    struct gateway_worker worker;
    struct gateway_door doors[DOORS];
};

struct gateway {
    struct gateway_options options;
    uint32_t digits; /* in its name: one that is called the same is not taken for this one in Via */
    struct hash_key key;
    struct throttle *throttle;
    struct guests *guests;
    struct seldom refusals;
    _Atomic uint64_t n_refused;
    struct access_log *access_log;
    struct station stations[];
};

static void free_parts(struct gateway *gateway)
{
    for (unsigned i = 0; i < gateway->options.n_workers; i++)
        gateway_worker_close_records(&gateway->stations[i].worker);
    access_log_free(gateway->access_log);
    guests_free(gateway->guests);
    throttle_free(gateway->throttle);
    free(gateway);
}

static int make_parts(struct gateway *gateway)
{
    const struct gateway_settings *settings = &planner_plan(gateway->options.planner)->settings;
    int r = random_system(&gateway->digits, sizeof(gateway->digits));
    if (r == 0)
        r = random_system(&gateway->key, sizeof(gateway->key));
    if (r == 0)
        r = throttle_new(&gateway->key, &gateway->throttle);
    if (r == 0)
        r = guests_new(&gateway->key, &gateway->guests);
    if (r == 0)
        r = access_log_new(gateway->options.n_workers, gateway->options.log, &gateway->access_log);
    for (unsigned i = 0; r == 0 && i < gateway->options.n_workers; i++)
        r = gateway_worker_open_records(&gateway->stations[i].worker, settings, &gateway->key);
    return r;
}

int gateway_new(const struct gateway_options *options, struct gateway **ret_gateway)
{
    struct gateway *gateway = calloc(1, sizeof(*gateway) + options->n_workers * sizeof(gateway->stations[0]));
    if (!gateway)
        return -ENOMEM;
    gateway->options = *options;
    int r = make_parts(gateway);
    if (r < 0) {
        free_parts(gateway);
        return r;
    }
    for (unsigned i = 0; i < options->n_workers; i++)
        gateway_worker_listen(&gateway->stations[i].worker, options->planner, options->loops[i]);
    *ret_gateway = gateway;
    return 0;
}

void gateway_free(struct gateway *gateway)
{
    if (!gateway)
        return;
    for (unsigned i = 0; i < gateway->options.n_workers; i++)
        gateway_worker_unlisten(&gateway->stations[i].worker);
    free_parts(gateway);
}

int gateway_start_worker(struct gateway *gateway, unsigned worker, struct loop *loop)
{
    struct station *station = &gateway->stations[worker];
    for (unsigned i = 0; i < DOORS; i++)
        station->doors[i] = (struct gateway_door){&station->worker, i == DOOR_LOCAL};
    return gateway_worker_init(&station->worker, gateway, worker, loop, gateway->digits);
}

void gateway_stop_worker(struct gateway *gateway, unsigned worker)
{
    gateway_worker_deinit(&gateway->stations[worker].worker);
}

static void on_request(void *ctx, struct exchange *exchange)
{
    const struct gateway_door *door = ctx;
    relay_take(door->worker, exchange, door->is_local);
}

struct exchange_handler gateway_handler(struct gateway *gateway, unsigned worker, bool is_local)
{
    return (struct exchange_handler){on_request, &gateway->stations[worker].doors[is_local ? DOOR_LOCAL : DOOR_OPEN]};
}

static void tell_refusal(struct gateway *gateway, const struct peer *peer, unsigned n_max)
{
    char text[ADDR_TEXT_MAX];
    (void)atomic_fetch_add_explicit(&gateway->n_refused, 1, memory_order_relaxed);
    uint64_t n = seldom_count(&gateway->refusals, time_now(), TELL_NS);
    if (n > 0)
        log_warn(gateway->options.log, "a client has too many connections: those beyond its limit are closed at once",
                 log_str("client", peer_format_ip(peer, text)), log_int("limit", n_max), log_int("closed", (int64_t)n));
}

bool gateway_make_room(struct gateway *gateway, unsigned worker)
{
    return pool_make_room(gateway->stations[worker].worker.pool);
}

bool gateway_enter(struct gateway *gateway, const struct peer *peer)
{
    const struct gateway_settings *settings = &planner_plan(gateway->options.planner)->settings;
    unsigned n_max = settings->client_connections;
    if (n_max > 0 && forward_is_trusted(settings, peer))
        n_max = 0;
    int r = guests_enter(gateway->guests, peer, n_max);
    if (r == GUESTS_FULL)
        tell_refusal(gateway, peer, n_max);
    return r == 0;
}

void gateway_leave(struct gateway *gateway, const struct peer *peer)
{
    guests_leave(gateway->guests, peer);
}

uint64_t gateway_n_refused(const struct gateway *gateway)
{
    return atomic_load_explicit(&gateway->n_refused, memory_order_relaxed);
}

int gateway_open_log(struct gateway *gateway, const struct gateway_settings *settings, struct err *err)
{
    return settings->access_log == ACCESS_LOG_OFF
               ? 0
               : access_log_open(gateway->access_log, settings->access_log_path, err);
}

struct shortage *gateway_shortage(const struct gateway *gateway)
{
    return gateway->options.shortage;
}

struct throttle *gateway_throttle(const struct gateway *gateway)
{
    return gateway->throttle;
}

struct access_log *gateway_access_log(const struct gateway *gateway)
{
    return gateway->access_log;
}

unsigned gateway_n_workers(const struct gateway *gateway)
{
    return gateway->options.n_workers;
}

const struct gateway_worker *gateway_worker_at(const struct gateway *gateway, unsigned worker)
{
    return &gateway->stations[worker].worker;
}

struct planner *gateway_planner(const struct gateway *gateway)
{
    return gateway->options.planner;
}

pool_connect_fn gateway_connect_fn(const struct gateway *gateway)
{
    return gateway->options.connect;
}

int gateway_report(const struct gateway *gateway, const struct catalog_event *event)
{
    return curator_report(gateway->options.curator, event);
}
