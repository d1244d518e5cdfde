/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The four sources are applied in order of their rank, weakest first, so that the last one that says something wins.
 */
#include "daemon/config.h"

#include "base/suggest.h"
#include "base/util.h"
#include "daemon/catalog_config.h"
#include "daemon/config_file.h"
#include "daemon/config_keys.h"
#include "daemon/gateway_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* config_set with the place and the key in front of what was wrong. */
static int set(struct config *config, const struct config_key *key, const char *text, struct config_origin origin,
               struct err *err)
{
    int r = config_set(config, key, slice_from_str(text), origin, err);
    if (r == 0)
        return 0;
    struct config_origin *last = &config->origins[key - config_keys];
    *last = origin;
    char where[128];
    config_where(config, key, where, sizeof(where));
    return err_wrap(err, r, "%s", where);
}

static int apply_defaults(struct config *config, struct err *err)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        int r = set(config, &config_keys[i], config_keys[i].fallback, (struct config_origin){ORIGIN_DEFAULT, 0}, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The value of a variable; NULL when it is not there or empty. */
static const char *find_variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return (*environment)[len + 1] ? *environment + len + 1 : NULL;
    }
    return NULL;
}

static int apply_environment(struct config *config, char *const *environment, struct err *err)
{
    for (unsigned i = 0; i < n_config_keys; i++) {
        char name[CONFIG_VARIABLE_MAX];
        config_key_variable(&config_keys[i], name);
        const char *value = find_variable(environment, name);
        if (!value)
            continue;
        int r = set(config, &config_keys[i], value, (struct config_origin){ORIGIN_ENVIRONMENT, 0}, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int apply_arguments(struct config *config, const struct arguments *arguments, bool flags, struct err *err)
{
    struct config_origin origin = {flags ? ORIGIN_FLAG : ORIGIN_SET, 0};
    for (unsigned i = 0; i < arguments->n_settings; i++) {
        const struct argument *argument = &arguments->settings[i];
        if (argument->is_flag != flags)
            continue;
        int r = set(config, argument->key, argument->value, origin, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Fails in the name of one key. */
static int fail_at(const struct config *config, const char *path, const char *text, struct err *err)
{
    char where[128];
    config_where(config, config_key_find(slice_from_str(path)), where, sizeof(where));
    return err_set(err, -EINVAL, "%s: %s", where, text);
}

/* What no single value shows. */
static int check_rules(const struct config *config, struct err *err)
{
    struct projection *projection;
    struct err rule_err = {""};
    int r = catalog_config_projection(config, &projection, &rule_err);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return fail_at(config, "catalog.rules", rule_err.text, err);
    projection_free(projection);
    return 0;
}

/* The keys of one kind of listeners: "tls.cert" and the like, or "gateway.tls.cert". */
static int check_tls(const struct config *config, const struct config_tls *tls, const char *owner, struct err *err)
{
    char path[32], text[96];
    if (tls->key.n > 0 && tls->key.n != tls->cert.n) {
        snprintf(path, sizeof(path), "%stls.key", owner);
        snprintf(text, sizeof(text), "expected as many files as %stls.cert has, or none", owner);
        return fail_at(config, path, text, err);
    }
    if (tls->client_auth == CLIENT_AUTH_NONE || (tls->cert.n > 0 && *tls->ca))
        return 0;
    snprintf(path, sizeof(path), "%stls.client_auth", owner);
    if (tls->cert.n == 0)
        snprintf(text, sizeof(text), "needs TLS; expected %stls.cert to be set, too", owner);
    else
        snprintf(text, sizeof(text), "expected %stls.ca to name the authorities that clients come from", owner);
    return fail_at(config, path, text, err);
}

static int check_together(const struct config *config, struct err *err)
{
    bool has_registry = config->role != ROLE_GATEWAY && config->listen.n > 0;
    bool has_gateway = config->role != ROLE_REGISTRY && config->gateway.listen.n > 0;
    if (!has_registry && !has_gateway)
        return fail_at(config, "role", "with this role no listener is left to open", err);
    if (config->http.target_bytes > config->http.head_bytes)
        return fail_at(config, "http.target_bytes", "is more than http.head_bytes", err);
    if (config->catalog.flap_suppress > 0 && config->catalog.flap_reuse >= config->catalog.flap_suppress)
        return fail_at(config, "catalog.flap_reuse", "expected less than catalog.flap_suppress", err);
    int r = check_tls(config, &config->tls, "", err);
    if (r == 0)
        r = check_tls(config, &config->gateway.tls, "gateway.", err);
    if (r == 0)
        r = check_rules(config, err);
    return r < 0 ? r : gateway_config_check(config, err);
}

static int load(struct config *config, const struct arguments *arguments, char *const *environment, struct err *err)
{
    const char *file = arguments->config_file;
    if (!file)
        file = find_variable(environment, "MUSTER_CONFIG");
    int r = apply_defaults(config, err);
    if (r == 0 && file)
        r = config_read_file(config, file, err);
    if (r == 0)
        r = apply_environment(config, environment, err);
    if (r == 0)
        r = apply_arguments(config, arguments, false, err);
    if (r == 0)
        r = apply_arguments(config, arguments, true, err);
    return r < 0 ? r : check_together(config, err);
}

int config_load(const struct arguments *arguments, char *const *environment, struct config **ret_config,
                struct err *err)
{
    struct config *config CLEANUP(config_freep) = calloc(1, sizeof(*config));
    int r = config ? load(config, arguments, environment, err) : -ENOMEM;
    if (r == -ENOMEM)
        return err_set(err, r, "out of memory");
    if (r < 0)
        return r;
    *ret_config = TAKE(config);
    return 0;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (unsigned i = 0; i < n_config_keys; i++)
        config_clear(config, &config_keys[i]);
    free(config->file);
    free(config);
}

void config_freep(struct config **config)
{
    config_free(*config);
}

#define VARIABLE_PREFIX "MUSTER_"

/* Whether a variable, given without its prefix, is a setting; if not, which one it may have meant. */
static bool is_known_variable(struct slice name, char *ret_meant, size_t size)
{
    static const char *const others[] = {"ADDR", "CONFIG"};
    char names[CONFIG_KEYS_MAX][CONFIG_VARIABLE_MAX];
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        suggest_offer(&suggest, others[i]);
    for (unsigned i = 0; i < n_config_keys; i++) {
        config_key_variable(&config_keys[i], names[i]);
        suggest_offer(&suggest, names[i] + strlen(VARIABLE_PREFIX));
    }
    const char *near = suggest_best(&suggest);
    snprintf(ret_meant, size, "%s%s", near ? VARIABLE_PREFIX : "", near ? near : "");
    return suggest.distance == 0;
}

const char *config_misspelt_variable(char *const *environment, size_t *index, char *ret_meant, size_t size)
{
    for (; environment[*index]; (*index)++) {
        struct slice name;
        (void)slice_split(slice_from_str(environment[*index]), '=', &name);
        if (!slice_starts_with(name, SLICE_LIT(VARIABLE_PREFIX)))
            continue;
        if (!is_known_variable(slice_skip(name, strlen(VARIABLE_PREFIX)), ret_meant, size) && *ret_meant)
            return environment[(*index)++];
    }
    return NULL;
}
