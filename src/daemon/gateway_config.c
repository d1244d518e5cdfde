/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that are a language of their own (routes, what to hash by, ranges of addresses) are read by those who use
 * them; here they are only named with their place.
 */
#include "daemon/gateway_config.h"

#include "base/util.h"
#include "catalog/instance.h"
#include "daemon/config_keys.h"
#include "gateway/policy.h"
#include "gateway/route.h"
#include "io/addr_range.h"
#include "wire/http.h"

#include <errno.h>
#include <stdlib.h>

struct gateway_config {
    struct gateway_settings settings;
    struct slice *routes;
    struct addr_range *trusted;
};

static int fail_at(const struct config *config, const char *path, int r, struct err *err)
{
    char where[128];
    config_where(config, config_key_find(slice_from_str(path)), where, sizeof(where));
    return err_wrap(err, r, "%s", where);
}

static int fail_with(const struct config *config, const char *path, const char *text, struct err *err)
{
    return fail_at(config, path, err_set(err, -EINVAL, "%s", text), err);
}

static int fill_policy(const struct config *config, struct policy *policy, struct err *err)
{
    unsigned set = 0;
    int r = policy_set(policy, &set, SLICE_LIT("hash"), slice_from_str(config->gateway.hash), err);
    if (r < 0)
        return fail_at(config, "gateway.hash", r, err);
    if (*config->gateway.sticky)
        r = policy_set(policy, &set, SLICE_LIT("sticky"), slice_from_str(config->gateway.sticky), err);
    if (r < 0)
        return fail_at(config, "gateway.sticky", r, err);
    policy->balance = (enum balance)config->gateway.balance;
    policy->retry = (enum retry_contract)config->gateway.retry;
    policy->hedge = config->gateway.hedge;
    policy->timeout_ns = config->gateway.timeout;
    policy->slow_start_ns = config->gateway.slow_start;
    policy->n_in_flight_max = config->gateway.max_in_flight;
    policy->n_queued_max = config->gateway.queue;
    policy->body_bytes_max = config->gateway.max_body;
    return 0;
}

static int check_route(struct slice text, struct err *err)
{
    struct arena arena = {0};
    struct route route;
    int r = route_parse(text, false, &arena, &route, err);
    arena_deinit(&arena);
    return r;
}

static int fill_routes(const struct config *config, struct gateway_config *filled, struct err *err)
{
    const struct config_list *list = &config->gateway.routes;
    filled->routes = calloc(list->n + 1, sizeof(*filled->routes));
    if (!filled->routes)
        return -ENOMEM;
    for (unsigned i = 0; i < list->n; i++) {
        filled->routes[i] = slice_from_str(list->items[i]);
        int r = check_route(filled->routes[i], err);
        if (r == -EINVAL)
            return fail_at(config, "gateway.routes", err_wrap(err, r, "\"%s\"", list->items[i]), err);
        if (r < 0)
            return r;
    }
    filled->settings.routes = filled->routes;
    filled->settings.n_routes = list->n;
    return 0;
}

static int fill_trusted(const struct config *config, struct gateway_config *filled, struct err *err)
{
    const struct config_list *list = &config->gateway.trusted;
    filled->trusted = calloc(list->n + 1, sizeof(*filled->trusted));
    if (!filled->trusted)
        return -ENOMEM;
    for (unsigned i = 0; i < list->n; i++) {
        int r = addr_range_parse(slice_from_str(list->items[i]), &filled->trusted[i], err);
        if (r < 0)
            return fail_at(config, "gateway.trusted", r, err);
    }
    filled->settings.trusted = filled->trusted;
    filled->settings.n_trusted = list->n;
    return 0;
}

static int fill_names(const struct config *config, struct gateway_settings *settings, struct err *err)
{
    settings->default_service = slice_from_str(config->gateway.default_service);
    settings->name = slice_from_str(config->gateway.name);
    settings->zone = slice_from_str(config->gateway.zone);
    settings->access_log = (enum access_log_format)config->gateway.access_log;
    settings->access_log_path = config->gateway.access_log_file;
    if (settings->default_service.len > CATALOG_NAME_MAX)
        return fail_with(config, "gateway.default_service", "is longer than the name of a service can be", err);
    if (!http_is_token(settings->name) || settings->name.len > GATEWAY_NAME_MAX)
        return fail_with(config, "gateway.name", "is not valid; expected one word of up to 64 characters", err);
    if (*config->gateway.instance_key && !*config->gateway.instance_cert)
        return fail_with(config, "gateway.instance_key", "expected gateway.instance_cert to be set, too", err);
    return 0;
}

static void fill_numbers(const struct config *config, struct gateway_settings *settings)
{
    settings->expose_all = config->gateway.expose_all;
    settings->odd_addresses = config->gateway.odd_addresses;
    settings->connect_timeout_ns = config->gateway.connect_timeout;
    settings->first_byte_timeout_ns = config->gateway.first_byte_timeout;
    settings->body_timeout_ns = config->gateway.body_timeout;
    settings->idle_timeout_ns = config->gateway.idle_timeout;
    settings->tunnel_timeout_ns = config->gateway.tunnel_timeout;
    settings->park_ns = config->gateway.park;
    settings->park_since_ns = config->gateway.park_since;
    settings->n_parked_max = config->gateway.parked;
    settings->retry_percent = config->gateway.retry_percent;
    settings->retry_floor = config->gateway.retry_floor;
    settings->stall_min_ns = config->gateway.stall_min;
    settings->stall_factor = config->gateway.stall_factor;
    settings->prove = config->gateway.prove;
    settings->eject_failures = config->gateway.eject_failures;
    settings->eject_ns = config->gateway.eject_time;
    settings->n_records = config->gateway.records;
    settings->client_rate = config->gateway.client_rate;
    settings->client_burst = config->gateway.client_burst;
    settings->client_connections = config->gateway.client_connections;
}

static int fill(const struct config *config, struct gateway_config *filled, struct err *err)
{
    fill_numbers(config, &filled->settings);
    int r = fill_names(config, &filled->settings, err);
    if (r == 0)
        r = fill_policy(config, &filled->settings.policy, err);
    if (r == 0)
        r = fill_routes(config, filled, err);
    return r < 0 ? r : fill_trusted(config, filled, err);
}

static int load_tls(const struct config *config, struct tls_config **ret_tls, struct err *err)
{
    static const char *const alpn[] = {"http/1.1", NULL};
    const char *cert = config->gateway.instance_cert, *key = config->gateway.instance_key;
    const struct tls_identity identity = {cert, *key ? key : cert};
    const struct tls_options options = {
        .identities = &identity,
        .n_identities = *cert ? 1 : 0,
        .ca_file = *config->gateway.instance_ca ? config->gateway.instance_ca : NULL,
        .peer_check = config->gateway.instance_verify ? TLS_PEER_REQUIRE : TLS_PEER_IGNORE,
        .alpn = alpn,
    };
    int r = tls_config_new_client(&options, ret_tls, err);
    return r < 0 ? fail_at(config, *cert ? "gateway.instance_cert" : "gateway.instance_ca", r, err) : 0;
}

int gateway_config_new(const struct config *config, struct gateway_config **ret_settings, struct err *err)
{
    struct gateway_config *filled CLEANUP(gateway_config_freep) = calloc(1, sizeof(*filled));
    int r = filled ? fill(config, filled, err) : -ENOMEM;
    if (r == 0)
        r = load_tls(config, &filled->settings.tls, err);
    if (r == 0)
        *ret_settings = TAKE(filled);
    return r;
}

int gateway_config_check(const struct config *config, struct err *err)
{
    struct gateway_config *filled CLEANUP(gateway_config_freep) = calloc(1, sizeof(*filled));
    return filled ? fill(config, filled, err) : -ENOMEM;
}

void gateway_config_free(struct gateway_config *settings)
{
    if (!settings)
        return;
    (void)tls_config_unref(settings->settings.tls);
    free(settings->routes);
    free(settings->trusted);
    free(settings);
}

void gateway_config_freep(struct gateway_config **settings)
{
    gateway_config_free(*settings);
}

const struct gateway_settings *gateway_config_settings(const struct gateway_config *settings)
{
    return &settings->settings;
}
