/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/reload.h"

#include "base/util.h"
#include "daemon/config_keys.h"
#include "daemon/gateway_config.h"
#include "daemon/server_options.h"

/* Gives the fresh config the old values of what cannot change, so that the next reload says so again. */
static void keep_fixed(const struct reload *reload, struct config *old, struct config *fresh)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        const struct config_key *key = &config_keys[i];
        if (config_value_equal(old, fresh, key))
            continue;
        if (key->reloadable) {
            log_info(reload->log, "setting changed", log_text("key", key->path));
        } else {
            log_warn(reload->log, "setting changed, but needs a restart", log_text("key", key->path));
            config_swap(old, fresh, key);
        }
    }
}

static int apply_gateway(const struct reload *reload, const struct config *fresh, struct err *err)
{
    struct gateway_config *settings CLEANUP(gateway_config_freep) = NULL;
    if (!reload->planner)
        return 0;
    int r = gateway_config_new(fresh, &settings, err);
    if (r == 0)
        r = gateway_open_log(reload->gateway, gateway_config_settings(settings), err);
    return r < 0 ? r : planner_set_settings(reload->planner, gateway_config_settings(settings), err);
}

static int apply(const struct reload *reload, const struct config *fresh, struct err *err)
{
    struct listener_tls tls CLEANUP(listener_tls_deinit) = {0};
    struct http_server_options servers[ENDPOINT_KINDS_];
    int r = server_options_load_tls(fresh, &tls, err);
    if (r < 0)
        return r;
    r = apply_gateway(reload, fresh, err);
    if (r < 0)
        return r;
    server_options_fill(fresh, &tls, servers);
    r = stations_set_options(reload->stations, servers);
    if (r < 0)
        return err_set_errno(err, r, "cannot tell the workers");
    endpoints_describe(reload->endpoints, fresh);
    log_set_level(reload->log, (enum log_level)fresh->log.level);
    return 0;
}

void reload_config(const struct reload *reload, struct config **config)
{
    struct err err = {""};
    struct config *fresh CLEANUP(config_freep) = NULL;
    int r = config_load(reload->arguments, reload->environment, &fresh, &err);
    if (r == 0)
        r = apply(reload, fresh, &err);
    if (r < 0) {
        log_error(reload->log, "configuration not reloaded, the old one stays in force", log_text("reason", err.text));
        return;
    }
    keep_fixed(reload, *config, fresh);
    config_free(*config);
    *config = TAKE(fresh);
    log_info(reload->log, "configuration reloaded");
}
