/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the daemon listens on, opened at once at start-up. Main thread; workers only read.
 */
#pragma once

#include "daemon/config.h"
#include "fronts/system_view.h"
#include "io/listener.h"

/* What is spoken on a listener, which decides which HTTP server of a worker its connections go to. */
enum endpoint_kind {
    ENDPOINT_REGISTRY,
    ENDPOINT_REGISTRY_UNIX, /* without TLS in any case: the permissions of the socket's file guard it */
    ENDPOINT_GATEWAY,       /* which other machines may reach */
    ENDPOINT_GATEWAY_LOCAL, /* loopback and Unix sockets: every service is served there */
    ENDPOINT_KINDS_
};

struct endpoint {
    enum endpoint_kind kind;
    struct listener *listener; /* NULL once stopped */
};

struct endpoints {
    unsigned n;
    struct endpoint *items;
    struct system_listener *shown; /* as told to people, in the same order */
};

/*
 * One socket per worker and address. 0; -errno (-EADDRINUSE above all) with the key and the address in err; -ENOMEM.
 */
int endpoints_open(const struct config *config, unsigned n_workers, struct endpoints **ret_endpoints, struct err *err);

/* Listens no more; what is known of the endpoints stays. No worker may be accepting. */
void endpoints_stop(struct endpoints *endpoints);

/* NULL is fine. */
void endpoints_close(struct endpoints *endpoints);

/* Sets again what is shown of the protocols, after a reload. */
void endpoints_describe(struct endpoints *endpoints, const struct config *config);

bool endpoints_have(const struct endpoints *endpoints, enum endpoint_kind kind);

/*
 * Appends to `text` the addresses of registry listeners that other machines may reach, separated by commas; an empty
 * text when there are none.
 */
void endpoints_list_exposed(const struct endpoints *endpoints, char *ret_text, size_t size);
