/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells front ends about itself. Read-only; any thread may ask, at any time.
 */
#pragma once

#include "base/time.h"
#include "io/addr.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct system_listener {
    const char *role; /* "registry", "gateway" */
    char address[ADDR_TEXT_MAX];
    _Atomic(const char *) protocols; /* for people: "HTTP/1.1, HTTP/2"; static; changes when TLS does */
};

/* What does not change while the daemon runs, but for the protocols. */
struct system_facts {
    const char *version;
    const char *role;
    pid_t pid;
    unsigned n_listeners;
    const struct system_listener *listeners;
    unsigned n_workers;
};

struct system_view {
    const struct system_facts *facts;
    void *ctx;
    nsec_t (*uptime)(void *ctx);
    /* NULL when ready; else a static text that says why not, in plain words without quotes. */
    const char *(*not_ready)(void *ctx);
    unsigned (*n_connections)(void *ctx, unsigned worker);
    uint64_t (*memory_bytes)(void *ctx); /* resident */
};
