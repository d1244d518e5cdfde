/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/gateway_config.h"

#include "daemon/config_keys.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static struct config *load_config(char *const *environment)
{
    static const struct arguments arguments = {.ready_fd = -1};
    struct config *config = NULL;
    struct err err = {""};
    int r = config_load(&arguments, environment, &config, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    return config;
}

static struct gateway_config *make_settings(const struct config *config)
{
    struct gateway_config *settings = NULL;
    struct err err = {""};
    int r = gateway_config_new(config, &settings, &err);
    expect_str(err.text, "");
    expect_int(r, 0);
    return settings;
}

/* What docs/gateway.md promises. */
static void the_defaults_are_those_of_the_documentation(void)
{
    struct config *config = load_config((char *[]){NULL});
    struct gateway_config *made = make_settings(config);
    const struct gateway_settings *settings = gateway_config_settings(made);
    expect_int(settings->policy.balance, BALANCE_P2C);
    expect_int(settings->policy.hash.source, POLICY_KEY_ADDRESS);
    expect_slice(settings->policy.sticky, "");
    expect_int(settings->policy.retry, RETRY_SAFE);
    expect_true(settings->policy.hedge);
    expect_false(settings->policy.strip);
    expect_int(settings->policy.timeout_ns, 30 * NSEC_PER_SEC);
    expect_int(settings->policy.slow_start_ns, 0);
    expect_int(settings->policy.n_in_flight_max, 0);
    expect_int(settings->policy.body_bytes_max, 0);
    expect_slice(settings->default_service, "");
    expect_slice(settings->name, "muster");
    expect_int(settings->n_routes, 0);
    expect_int(settings->n_trusted, 0);
    expect_false(settings->expose_all);
    expect_false(settings->odd_addresses);
    expect_int(settings->connect_timeout_ns, 500 * NSEC_PER_MSEC);
    expect_int(settings->park_ns, NSEC_PER_SEC);
    expect_int(settings->park_since_ns, 30 * NSEC_PER_SEC);
    expect_int(settings->retry_percent, 10);
    expect_int(settings->retry_floor, 3);
    expect_int(settings->stall_min_ns, 100 * NSEC_PER_MSEC);
    expect_int(settings->access_log, ACCESS_LOG_OFF);
    expect_str(settings->access_log_path, "-");
    expect_true(settings->tls != NULL);
    gateway_config_free(made);
    config_free(config);
}

static char *const full_environment[] = {
    (char *)(uintptr_t) "MUSTER_GATEWAY_ROUTES=/v1 service=a strip,b.c/ service=b method=GET|HEAD",
    (char *)(uintptr_t) "MUSTER_GATEWAY_TRUSTED=10.0.0.0/8, ::1",
    (char *)(uintptr_t) "MUSTER_GATEWAY_DEFAULT_SERVICE=web",
    (char *)(uintptr_t) "MUSTER_GATEWAY_BALANCE=round_robin",
    (char *)(uintptr_t) "MUSTER_GATEWAY_HASH=cookie:sid",
    (char *)(uintptr_t) "MUSTER_GATEWAY_STICKY=where",
    (char *)(uintptr_t) "MUSTER_GATEWAY_RETRY=key",
    (char *)(uintptr_t) "MUSTER_GATEWAY_MAX_BODY=10M",
    (char *)(uintptr_t) "MUSTER_GATEWAY_ACCESS_LOG=json",
    NULL,
};

static void each_setting_arrives(void)
{
    struct config *config = load_config(full_environment);
    struct gateway_config *made = make_settings(config);
    const struct gateway_settings *settings = gateway_config_settings(made);
    expect_int(settings->n_routes, 2);
    expect_slice(settings->routes[0], "/v1 service=a strip");
    expect_slice(settings->routes[1], "b.c/ service=b method=GET|HEAD");
    expect_int(settings->n_trusted, 2);
    expect_int(settings->trusted[0].n_bits, 8);
    expect_slice(settings->default_service, "web");
    expect_int(settings->policy.balance, BALANCE_ROUND_ROBIN);
    expect_int(settings->policy.hash.source, POLICY_KEY_COOKIE);
    expect_slice(settings->policy.hash.name, "sid");
    expect_slice(settings->policy.sticky, "where");
    expect_int(settings->policy.retry, RETRY_KEY);
    expect_int(settings->policy.body_bytes_max, 10 << 20);
    expect_int(settings->access_log, ACCESS_LOG_JSON);
    gateway_config_free(made);
    config_free(config);
}

static int check(void *arg)
{
    struct err err;
    return gateway_config_check(arg, &err);
}

static void each_failing_allocation_is_reported(void)
{
    struct config *config = load_config(full_environment);
    expect_true(fault_alloc_sweep(check, config) > 2);
    config_free(config);
}

static const struct test_case cases[] = {
    {"the defaults are those of the documentation", the_defaults_are_those_of_the_documentation},
    {"each setting arrives", each_setting_arrives},
    {"each failing allocation is reported", each_failing_allocation_is_reported},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
