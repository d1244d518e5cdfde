/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/endpoints.h"

#include "base/assert.h"
#include "daemon/config_keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct listen_options listen_options = {.backlog = 4096, .unix_mode = 0660};

static const char *protocols_of(enum endpoint_kind kind, const struct config *config)
{
    const struct config_tls *tls = kind >= ENDPOINT_GATEWAY ? &config->gateway.tls : &config->tls;
    if (kind == ENDPOINT_REGISTRY_UNIX || tls->cert.n == 0)
        return "HTTP/1.1, HTTP/2";
    return tls->plain ? "HTTP/1.1, HTTP/2, with and without TLS" : "HTTP/1.1, HTTP/2, with TLS";
}

void endpoints_describe(struct endpoints *endpoints, const struct config *config)
{
    for (unsigned i = 0; i < endpoints->n; i++)
        endpoints->shown[i].protocols = protocols_of(endpoints->items[i].kind, config);
}

static enum endpoint_kind kind_at(enum endpoint_kind kind, const struct addr *addr)
{
    if (kind == ENDPOINT_REGISTRY)
        return addr->any.sa_family == AF_UNIX ? ENDPOINT_REGISTRY_UNIX : kind;
    return addr_is_loopback(addr) ? ENDPOINT_GATEWAY_LOCAL : kind;
}

/* Opens the addresses of one list; `kind` is that of its TCP addresses. */
static int open_list(struct endpoints *endpoints, const struct config *config, const struct config_list *list,
                     const char *path, enum endpoint_kind kind, unsigned n_workers, struct err *err)
{
    for (unsigned i = 0; i < list->n; i++) {
        struct endpoint *endpoint = &endpoints->items[endpoints->n];
        struct addr addr;
        int r = addr_parse(slice_from_str(list->items[i]), &addr, err);
        ASSERT(r == 0); /* the configuration has checked it */
        endpoint->kind = kind_at(kind, &addr);
        r = listener_open(&addr, n_workers, &listen_options, &endpoint->listener, err);
        if (r < 0) {
            char where[128];
            config_where(config, config_key_find(slice_from_str(path)), where, sizeof(where));
            return err_wrap(err, r, "%s", where);
        }
        struct system_listener *shown = &endpoints->shown[endpoints->n++];
        shown->role = kind == ENDPOINT_GATEWAY ? "gateway" : "registry";
        (void)addr_format(listener_addr(endpoint->listener), shown->address);
    }
    return 0;
}

static int open_all(struct endpoints *endpoints, const struct config *config, unsigned n_workers, struct err *err)
{
    int r = 0;
    if (config->role != ROLE_GATEWAY)
        r = open_list(endpoints, config, &config->listen, "listen", ENDPOINT_REGISTRY, n_workers, err);
    if (r == 0 && config->role != ROLE_REGISTRY)
        r = open_list(endpoints, config, &config->gateway.listen, "gateway.listen", ENDPOINT_GATEWAY, n_workers, err);
    if (r == 0)
        endpoints_describe(endpoints, config);
    return r;
}

int endpoints_open(const struct config *config, unsigned n_workers, struct endpoints **ret_endpoints, struct err *err)
{
    struct endpoints *endpoints = calloc(1, sizeof(*endpoints));
    if (!endpoints)
        return -ENOMEM;
    size_t n_max = config->listen.n + config->gateway.listen.n;
    endpoints->items = calloc(n_max, sizeof(*endpoints->items));
    endpoints->shown = calloc(n_max, sizeof(*endpoints->shown));
    int r = endpoints->items && endpoints->shown ? open_all(endpoints, config, n_workers, err) : -ENOMEM;
    if (r < 0) {
        endpoints_close(endpoints);
        return r;
    }
    *ret_endpoints = endpoints;
    return 0;
}

void endpoints_stop(struct endpoints *endpoints)
{
    for (unsigned i = 0; i < endpoints->n; i++) {
        listener_close(endpoints->items[i].listener);
        endpoints->items[i].listener = NULL;
    }
}

void endpoints_close(struct endpoints *endpoints)
{
    if (!endpoints)
        return;
    endpoints_stop(endpoints);
    free(endpoints->items);
    free(endpoints->shown);
    free(endpoints);
}

bool endpoints_have(const struct endpoints *endpoints, enum endpoint_kind kind)
{
    for (unsigned i = 0; i < endpoints->n; i++) {
        if (endpoints->items[i].kind == kind)
            return true;
    }
    return false;
}

void endpoints_list_exposed(const struct endpoints *endpoints, char *ret_text, size_t size)
{
    size_t len = 0;
    ret_text[0] = '\0';
    for (unsigned i = 0; i < endpoints->n && len < size; i++) {
        const struct endpoint *endpoint = &endpoints->items[i];
        if (endpoint->kind == ENDPOINT_REGISTRY && !addr_is_loopback(listener_addr(endpoint->listener)))
            len +=
                (size_t)snprintf(ret_text + len, size - len, "%s%s", len > 0 ? ", " : "", endpoints->shown[i].address);
    }
}
