/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/server_options.h"

#include "daemon/config_keys.h"

#include <errno.h>
#include <stdlib.h>

static enum tls_peer_check peer_check(const struct config_tls *tls)
{
    switch ((enum config_client_auth)tls->client_auth) {
    case CLIENT_AUTH_OPTIONAL:
        return TLS_PEER_OPTIONAL;
    case CLIENT_AUTH_REQUIRE:
        return TLS_PEER_REQUIRE;
    case CLIENT_AUTH_NONE:
        break;
    }
    return TLS_PEER_IGNORE;
}

static int load(const struct config_tls *tls, struct tls_config **ret_tls, struct err *err)
{
    static const char *const alpn[] = {"h2", "http/1.1", NULL};
    if (tls->cert.n == 0) {
        *ret_tls = NULL;
        return 0;
    }
    struct tls_identity *identities = calloc(tls->cert.n, sizeof(*identities));
    if (!identities)
        return -ENOMEM;
    for (unsigned i = 0; i < tls->cert.n; i++) {
        identities[i].cert_file = tls->cert.items[i];
        identities[i].key_file = tls->key.n > 0 ? tls->key.items[i] : tls->cert.items[i];
    }
    const struct tls_options options = {
        .identities = identities,
        .n_identities = tls->cert.n,
        .ca_file = *tls->ca ? tls->ca : NULL,
        .peer_check = peer_check(tls),
        .alpn = alpn,
    };
    int r = tls_config_new_server(&options, ret_tls, err);
    free(identities);
    return r;
}

static int load_at(const struct config *config, const struct config_tls *tls, const char *path,
                   struct tls_config **ret_tls, struct err *err)
{
    int r = load(tls, ret_tls, err);
    if (r < 0) {
        char where[128];
        config_where(config, config_key_find(slice_from_str(path)), where, sizeof(where));
        return err_wrap(err, r, "%s", where);
    }
    return 0;
}

int server_options_load_tls(const struct config *config, struct listener_tls *ret_tls, struct err *err)
{
    struct listener_tls tls = {0};
    int r = load_at(config, &config->tls, "tls.cert", &tls.registry, err);
    if (r == 0)
        r = load_at(config, &config->gateway.tls, "gateway.tls.cert", &tls.gateway, err);
    if (r < 0) {
        listener_tls_deinit(&tls);
        return r;
    }
    *ret_tls = tls;
    return 0;
}

void listener_tls_deinit(struct listener_tls *tls)
{
    tls->registry = tls_config_unref(tls->registry);
    tls->gateway = tls_config_unref(tls->gateway);
}

void server_options_fill(const struct config *config, const struct listener_tls *tls,
                         struct http_server_options ret_options[ENDPOINT_KINDS_])
{
    struct http_server_options plain;
    http_server_options_init(&plain);
    plain.limits.head_bytes = config->http.head_bytes;
    plain.limits.target_bytes = config->http.target_bytes;
    plain.limits.n_fields = config->http.fields;
    plain.head_timeout_ns = config->http.head_timeout;
    plain.body_timeout_ns = config->http.body_timeout;
    plain.idle_timeout_ns = config->http.idle_timeout;
    plain.answer_timeout_ns = config->http.answer_timeout;
    plain.send_timeout_ns = config->http.send_timeout;
    plain.rate_min_bytes = config->http.rate_min;
    plain.linger_ns = config->http.linger;
    plain.body_drain_bytes = config->http.body_drain_bytes;
    plain.send_high_bytes = config->http.send_buffer_bytes;
    plain.send_low_bytes = config->http.send_buffer_bytes / 4;
    plain.unsent_bytes = config->http.unsent_bytes;
    plain.h2_max_streams = config->http.streams;
    plain.n_connections_max = config->http.worker_connections;
    plain.tls = NULL;
    plain.plain_allowed = true;
    for (unsigned kind = 0; kind < ENDPOINT_KINDS_; kind++)
        ret_options[kind] = plain;
    ret_options[ENDPOINT_REGISTRY].tls = tls->registry;
    ret_options[ENDPOINT_REGISTRY].plain_allowed = !tls->registry || config->tls.plain;
    for (unsigned kind = ENDPOINT_GATEWAY; kind < ENDPOINT_KINDS_; kind++) {
        ret_options[kind].h2_max_streams = config->gateway.streams;
        ret_options[kind].tls = tls->gateway;
        ret_options[kind].plain_allowed = !tls->gateway || config->gateway.tls.plain;
    }
}
