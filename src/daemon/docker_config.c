/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/docker_config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define PORT_PLAIN 2375
#define PORT_TLS   2376

/* "" when it is not set. */
static const char *variable(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return *environment + len + 1;
    return "";
}

/* ------------------------------------------------------------------------------------------------ TLS */

/* The setting, or else the file of that name in DOCKER_CERT_PATH; "" when there is neither. */
static const char *choose_file(const char *setting, const char *folder, const char *name, char room[PATH_MAX])
{
    if (*setting)
        return setting;
    int n = *folder ? snprintf(room, PATH_MAX, "%s/%s", folder, name) : 0;
    return n > 0 && n < PATH_MAX ? room : "";
}

/* *ret_tls stays NULL when nothing asks for TLS. */
static int make_tls(const struct config *config, char *const *environment, struct tls_config **ret_tls, struct err *err)
{
    char rooms[3][PATH_MAX];
    bool by_environment = *variable(environment, "DOCKER_TLS_VERIFY") != '\0';
    const char *folder = by_environment ? variable(environment, "DOCKER_CERT_PATH") : "";
    const char *ca = choose_file(config->sources.docker.tls_ca, folder, "ca.pem", rooms[0]);
    const char *cert = choose_file(config->sources.docker.tls_cert, folder, "cert.pem", rooms[1]);
    const char *key = choose_file(config->sources.docker.tls_key, folder, "key.pem", rooms[2]);
    const struct tls_identity identity = {.cert_file = cert, .key_file = *key ? key : cert};
    const struct tls_options options = {
        .identities = &identity,
        .n_identities = *cert ? 1 : 0,
        .ca_file = *ca ? ca : NULL,
        .peer_check = TLS_PEER_REQUIRE,
    };
    if (!*ca && !*cert && !by_environment)
        return 0;
    int r = tls_config_new_client(&options, ret_tls, err);
    return r < 0 ? err_wrap(err, r, "sources.docker.tls") : 0;
}

/* ------------------------------------------------------------------------------------------------ where */

/* "[V6]:PORT" without its brackets. */
static void unbracket(struct docker_options *options)
{
    struct slice host = options->host;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        options->host = slice_from(host.ptr + 1, host.len - 2);
}

/* HOST or HOST:PORT. */
static int set_tcp(struct slice text, bool is_tls, struct docker_options *options)
{
    uint64_t port = is_tls ? PORT_TLS : PORT_PLAIN;
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':' && text.ptr[colon - 1] != ']')
        colon--;
    bool has_port = colon > 0 && text.ptr[colon - 1] == ':';
    if (has_port && slice_parse_u64(slice_skip(text, colon), &port) < 0)
        return -EINVAL;
    options->host = slice_from(text.ptr, has_port ? colon - 1 : text.len);
    options->port = (uint16_t)port;
    unbracket(options);
    return options->host.len > 0 && port > 0 && port <= UINT16_MAX ? 0 : -EINVAL;
}

/* Paths may begin with several slashes, so unix:///PATH is taken as it is. */
static int set_host(const struct config *config, char *const *environment, bool is_tls, struct docker_options *options,
                    struct err *err)
{
    const char *text = config->sources.docker.host;
    const char *origin = *text ? "sources.docker.host" : "DOCKER_HOST";
    if (!*text)
        text = variable(environment, "DOCKER_HOST");
    struct slice host = slice_from_str(text);
    int r = 0;
    if (slice_starts_with(host, SLICE_LIT("unix:/")))
        options->host = host;
    else if (slice_starts_with(host, SLICE_LIT("tcp://")))
        r = set_tcp(slice_skip(host, strlen("tcp://")), is_tls, options);
    else if (host.len > 0)
        r = -EINVAL;
    if (r < 0)
        return err_set(err, r, "%s: \"%s\" is not valid; expected unix:///PATH or tcp://HOST:PORT", origin, text);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ rules */

static int fill_rules(const struct config *config, struct docker_config *made)
{
    struct docker_rules *rules = &made->options.rules;
    const struct config_list *images = &config->sources.docker.images;
    made->images = calloc(images->n + 1, sizeof(made->images[0]));
    if (!made->images)
        return -ENOMEM;
    for (unsigned i = 0; i < images->n; i++)
        made->images[i] = slice_from_str(images->items[i]);
    rules->images = made->images;
    rules->n_images = images->n;
    rules->is_opt_in = config->sources.docker.opt_in;
    rules->label = slice_from_str(config->sources.docker.label);
    rules->network = slice_from_str(config->sources.docker.network);
    rules->address = (enum docker_address)config->sources.docker.address;
    rules->is_remote = !slice_starts_with(made->options.host, SLICE_LIT("unix:"));
    if (*config->sources.docker.host_address)
        rules->host = slice_from_str(config->sources.docker.host_address);
    else if (rules->is_remote)
        rules->host = made->options.host;
    return 0;
}

int docker_config_make(const struct config *config, char *const *environment, struct docker_config *ret_made,
                       struct err *err)
{
    struct docker_config made = {.tls = NULL};
    struct docker_options *options = &made.options;
    docker_options_init(options);
    options->mode = (enum docker_mode)config->sources.docker.mode;
    options->list_every_ns = config->sources.docker.list_interval;
    options->poll_every_ns = config->sources.docker.poll_interval;
    options->stop_ns = config->sources.docker.stop_timeout;
    int r = make_tls(config, environment, &made.tls, err);
    if (r == 0)
        r = set_host(config, environment, made.tls != NULL, options, err);
    if (r == 0)
        r = fill_rules(config, &made);
    bool is_path = slice_starts_with(options->host, SLICE_LIT("unix:"));
    options->tls = is_path ? NULL : made.tls; /* on a socket its permissions say who may connect */
    if (r < 0)
        docker_config_deinit(&made);
    else
        *ret_made = made;
    return r;
}

void docker_config_deinit(struct docker_config *made)
{
    made->tls = tls_config_unref(made->tls);
    free(made->images);
    made->images = NULL;
}
