/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of hosts that instances are registered under, and where they lead: looked up when first asked for, and
 * again every so often. An address that is still among the answers stays; when a name cannot be resolved any more, the
 * last one does. The planner's thread, but for host_unref.
 */
#pragma once

#include "base/hash.h"
#include "base/htab.h"
#include "base/log.h"
#include "base/random.h"
#include "io/resolver.h"

#define HOSTS_REFRESH_NS (30 * NSEC_PER_SEC)
#define HOSTS_RETRY_NS   (2 * NSEC_PER_SEC)

struct hosts;
struct host;

struct hosts {
    struct loop *loop;
    struct resolver *resolver;
    struct log *log;
    void (*on_change)(struct hosts *hosts); /* `version` has grown */
    bool odd_addresses;                     /* are usable */
    uint64_t version;
    struct hash_key key;
    struct random random;
    struct htab by_name;
    bool is_closed;
};

/* 0 or the -errno of getrandom. What is not set here is the owner's: loop, resolver, log, on_change, odd_addresses. */
int hosts_init(struct hosts *hosts);
/* Cancels what is under way; the loop must turn once more before hosts_deinit. */
void hosts_close(struct hosts *hosts);
void hosts_deinit(struct hosts *hosts);

/* A reference to the name, whose lookup begins now if it is new. 0 or -ENOMEM; -EINVAL: too long. */
int hosts_get(struct hosts *hosts, struct slice name, struct host **ret_host);
/* Looks all names up again, soon: which addresses may be used has changed. */
void hosts_refresh(struct hosts *hosts);

/* False: it is not known where it leads to. */
bool host_address(const struct host *host, uint16_t port, struct addr *ret_addr);
/* The hosts' version in which its address was changed last. */
uint64_t host_changed(const struct host *host);
/* Any thread; accepts NULL. */
void host_unref(struct host *host);

/* Where no instance should be: a link-local, multicast, broadcast or unspecified address. */
bool addr_is_odd(const struct addr *addr);
