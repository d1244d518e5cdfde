/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table has a reference to each host, and so has each target of the plan, old ones included. A host that only the
 * table refers to when its time has come is forgotten; one that outlives the table goes with its last target.
 */
#include "gateway/hosts.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

struct host {
    struct htab_node node;
    _Atomic uint32_t refs;
    struct hosts *hosts;
    struct timer timer;    /* armed, or a lookup is under way */
    struct lookup *lookup; /* NULL: none is */
    bool has_addr, has_failed;
    uint64_t changed;
    struct addr addr;
    unsigned name_len;
    char name[];
};

/* Apart, since it is large. */
struct lookup {
    struct resolve_request request;
    struct host *host;
};

bool addr_is_odd(const struct addr *addr)
{
    struct peer peer;
    peer_from_addr(addr, &peer);
    if (peer.family == AF_INET)
        return addr_is_unspecified(addr) || (peer.ip[0] == 169 && peer.ip[1] == 254) || peer.ip[0] >= 224 ||
               peer.ip[0] == 0;
    if (peer.family == AF_INET6)
        return addr_is_unspecified(addr) || peer.ip[0] == 0xff || (peer.ip[0] == 0xfe && (peer.ip[1] & 0xc0) == 0x80);
    return false;
}

int hosts_init(struct hosts *hosts)
{
    hosts->version = 1;
    int r = random_system(&hosts->key, sizeof(hosts->key));
    return r < 0 ? r : random_init_system(&hosts->random);
}

/* ------------------------------------------------------------------------------------------------ one host */

void host_unref(struct host *host)
{
    if (host && atomic_fetch_sub_explicit(&host->refs, 1, memory_order_acq_rel) == 1)
        free(host);
}

bool host_address(const struct host *host, uint16_t port, struct addr *ret_addr)
{
    if (!host->has_addr)
        return false;
    *ret_addr = host->addr;
    if (ret_addr->any.sa_family == AF_INET)
        ret_addr->v4.sin_port = htons(port);
    else
        ret_addr->v6.sin6_port = htons(port);
    return true;
}

uint64_t host_changed(const struct host *host)
{
    return host->changed;
}

static void forget(struct host *host)
{
    htab_remove(&host->hosts->by_name, &host->node);
    loop_cancel(host->hosts->loop, &host->timer);
    host_unref(host);
}

/* Not all at the same moment, since many names come together. */
static void ask_again(struct host *host, nsec_t after_ns)
{
    struct hosts *hosts = host->hosts;
    nsec_t later_ns = (nsec_t)random_below(&hosts->random, (uint64_t)after_ns / 4);
    loop_arm(hosts->loop, &host->timer, loop_now(hosts->loop) + after_ns + later_ns);
}

static void on_answer(struct resolve_request *request);

static void ask(struct host *host)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (lookup) {
        lookup->host = host;
        lookup->request.loop = host->hosts->loop;
        lookup->request.done = on_answer;
        memcpy(lookup->request.name, host->name, host->name_len);
    }
    if (lookup && resolver_submit(host->hosts->resolver, &lookup->request) == 0) {
        host->lookup = lookup;
        return;
    }
    free(lookup); /* too many at once, or no memory */
    ask_again(host, HOSTS_RETRY_NS);
}

static void on_time(struct timer *timer)
{
    struct host *host = container_of(timer, struct host, timer);
    if (atomic_load_explicit(&host->refs, memory_order_acquire) == 1)
        forget(host);
    else
        ask(host);
}

/* The address that it has if that is still one of its own, else the first that may be used. */
static const struct addr *choose(const struct host *host, const struct resolve_request *answer)
{
    const struct addr *first = NULL;
    for (unsigned i = 0; i < answer->n_addrs; i++) {
        const struct addr *addr = &answer->addrs[i];
        if (addr_is_odd(addr) && !host->hosts->odd_addresses)
            continue;
        if (host->has_addr && addr_equal(addr, &host->addr))
            return addr;
        first = first ? first : addr;
    }
    return first;
}

static void set_addr(struct host *host, const struct addr *addr)
{
    struct hosts *hosts = host->hosts;
    bool is_same = addr ? host->has_addr && addr_equal(addr, &host->addr) : !host->has_addr;
    if (is_same)
        return;
    host->has_addr = addr != NULL;
    if (addr)
        host->addr = *addr;
    host->changed = ++hosts->version;
    hosts->on_change(hosts);
}

static void on_answer(struct resolve_request *request)
{
    struct lookup *lookup = container_of(request, struct lookup, request);
    struct host *host = lookup->host;
    struct hosts *hosts = host->hosts;
    host->lookup = NULL;
    if (!hosts->is_closed) {
        bool has_failed = request->result < 0;
        if (has_failed && !host->has_failed)
            log_warn(hosts->log, "host of an instance cannot be resolved", log_text("host", request->name),
                     log_text("error", request->result == -ENOENT ? "no such name" : strerror(-request->result)));
        host->has_failed = has_failed;
        ask_again(host, has_failed ? HOSTS_RETRY_NS : HOSTS_REFRESH_NS);
        if (!has_failed)
            set_addr(host, choose(host, request));
    }
    free(lookup);
}

/* ------------------------------------------------------------------------------------------------ all of them */

static int add(struct hosts *hosts, struct slice name, uint64_t hash, struct host **ret_host)
{
    struct host *host = calloc(1, sizeof(*host) + name.len);
    if (!host)
        return -ENOMEM;
    int r = htab_insert(&hosts->by_name, &host->node, hash);
    if (r < 0) {
        free(host);
        return r;
    }
    atomic_init(&host->refs, 1);
    host->hosts = hosts;
    host->name_len = (unsigned)name.len;
    memcpy(host->name, name.ptr, name.len);
    timer_init(&host->timer, on_time);
    ask(host);
    *ret_host = host;
    return 0;
}

int hosts_get(struct hosts *hosts, struct slice name, struct host **ret_host)
{
    if (name.len == 0 || name.len >= RESOLVER_NAME_MAX || memchr(name.ptr, 0, name.len))
        return -EINVAL;
    uint64_t hash = hash_bytes(&hosts->key, name);
    struct host *host = NULL;
    htab_for_each_match (node, &hosts->by_name, hash) {
        struct host *one = container_of(node, struct host, node);
        if (slice_equal(name, slice_from(one->name, one->name_len)))
            host = one;
    }
    int r = host ? 0 : add(hosts, name, hash, &host);
    if (r < 0)
        return r;
    atomic_fetch_add_explicit(&host->refs, 1, memory_order_relaxed);
    *ret_host = host;
    return 0;
}

void hosts_refresh(struct hosts *hosts)
{
    htab_for_each (node, &hosts->by_name) {
        struct host *host = container_of(node, struct host, node);
        if (!host->lookup)
            loop_arm(hosts->loop, &host->timer, loop_now(hosts->loop));
    }
}

void hosts_close(struct hosts *hosts)
{
    hosts->is_closed = true;
    htab_for_each (node, &hosts->by_name) {
        struct host *host = container_of(node, struct host, node);
        loop_cancel(hosts->loop, &host->timer);
        if (host->lookup)
            resolver_cancel(hosts->resolver, &host->lookup->request);
    }
}

void hosts_deinit(struct hosts *hosts)
{
    htab_for_each (node, &hosts->by_name) {
        struct host *host = container_of(node, struct host, node);
        ASSERT(!host->lookup);
        forget(host);
    }
    htab_deinit(&hosts->by_name);
}
