/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses without blocking a loop: a few threads run the system's resolver (so /etc/hosts and nsswitch hold)
 * and mail the answer back. Addresses given as text are answered without a thread, also by mail to keep one order.
 *
 * Requests are owned by the caller until `done` is called, on the loop that asked, in a later turn or later in this
 * one. Waiting requests are bounded; beyond the bound resolver_submit fails with -EBUSY.
 */
#pragma once

#include "io/addr.h"
#include "io/loop.h"

#define RESOLVER_MAX_ADDRS 16
#define RESOLVER_NAME_MAX  256

struct resolver;
struct resolver_thread;
struct resolve_request;
typedef void (*resolve_fn)(struct resolve_request *request);

struct resolve_request {
    /* the caller's */
    struct loop *loop;
    char name[RESOLVER_NAME_MAX]; /* a name, or the text of an IPv4 or IPv6 address */
    uint16_t port;
    resolve_fn done; /* may free the request */
    /* the answer */
    int result; /* 0; -ENOENT no such name, -EAGAIN try later, -ECANCELED, -ENOMEM, -EIO the resolver failed */
    unsigned n_addrs;
    struct addr addrs[RESOLVER_MAX_ADDRS];
    /* the resolver's */
    struct mail mail;
    struct list link;               /* while it waits */
    struct resolver_thread *thread; /* that works on it */
};

/*
 * lookup: NULL for the system's getaddrinfo; tests give their own. It runs on the resolver's threads, writes at most
 * `max` addresses, and returns 0 or what becomes the request's result.
 */
typedef int (*resolve_lookup_fn)(void *ctx, const char *name, uint16_t port, struct addr *ret_addrs, unsigned max,
                                 unsigned *ret_n);

/* 0, -ENOMEM, or the -errno of pthread_create. */
int resolver_new(unsigned n_threads, unsigned max_waiting, resolve_lookup_fn lookup, void *ctx,
                 struct resolver **ret_resolver);
/* No request may be open. Waits for lookups that were cancelled but still run: nothing can interrupt them. */
void resolver_free(struct resolver *resolver);

/* On the thread of request->loop, as resolver_cancel. 0 or -EBUSY. */
int resolver_submit(struct resolver *resolver, struct resolve_request *request);

/*
 * `done` comes with -ECANCELED, by mail, without waiting for the lookup. Harmless when the answer is on its way: it is
 * in the loop's mail then.
 */
void resolver_cancel(struct resolver *resolver, struct resolve_request *request);
