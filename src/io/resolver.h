/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses without blocking a loop: a few threads run the system's resolver (so /etc/hosts and nsswitch hold)
 * and mail the answer back. Addresses given as text are answered without a thread, also by mail to keep one order.
 *
 * Requests are owned by the caller until `done` is called, on the loop that asked. Waiting requests are bounded; beyond
 * the bound resolver_submit fails with -EBUSY.
 */
#pragma once

#include "base/slice.h"
#include "io/addr.h"
#include "io/loop.h"

#define RESOLVER_MAX_ADDRS 16
#define RESOLVER_NAME_MAX 256

struct resolver;
struct resolve_request;
typedef void (*resolve_fn)(struct resolve_request *request);

struct resolve_request {
    /* the caller's */
    struct loop *loop;
    char name[RESOLVER_NAME_MAX];
    uint16_t port;
    resolve_fn done;
    /* the answer */
    int result; /* 0; -ENOENT no such name, -EAGAIN try later, -ECANCELED, … */
    unsigned n_addrs;
    struct addr addrs[RESOLVER_MAX_ADDRS];
    /* the resolver's */
    struct mail mail;
    struct list link;
    _Atomic int state;
};

/* lookup: NULL for the system's getaddrinfo; tests give their own. It runs on the resolver's threads. */
typedef int (*resolve_lookup_fn)(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max,
                                 unsigned *ret_n);
int resolver_new(unsigned n_threads, unsigned max_waiting, resolve_lookup_fn lookup, void *ctx,
                 struct resolver **ret_resolver);
void resolver_free(struct resolver *resolver); /* no request may be waiting */

int resolver_submit(struct resolver *resolver, struct resolve_request *request);
/* `done` comes with -ECANCELED, as soon as no thread works on it. */
void resolver_cancel(struct resolver *resolver, struct resolve_request *request);
