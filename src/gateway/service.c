/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both versions are in order of id and in chunks, so making one from the other is a walk along both. A chunk that holds
 * the same instances as one of the directory's is shared, which is found by comparing pointers: the old version has
 * references to its instances, so that no other one can be where they are. Where chunks differ, targets are matched by
 * id one by one.
 *
 * A runtime is kept as long as its instance has the same incarnation and the same address. Of those not kept each is
 * marked gone, even when there is no memory for the new version: that it is gone is true all the same.
 */
#include "gateway/service.h"

#include "gateway/chunk.h"
#include "gateway/tier.h"
#include "gateway/voice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How an instance is reached. */
struct reach {
    struct addr addr;
    struct host *host; /* a reference */
    bool is_addressable, is_tls;
};

/* The walk along the old version. */
struct walk {
    const struct service_maker *maker;
    const struct service_order *order;
    struct plan_cursor at; /* service NULL: there is none */
};

/* ------------------------------------------------------------------------------------------------ addresses */

static bool parse_ip(struct slice host, uint16_t port, struct addr *ret_addr)
{
    char text[ADDR_TEXT_MAX];
    bool is_v6 = slice_find(host, ':') < host.len;
    int n = snprintf(text, sizeof(text), is_v6 ? "[%.*s]:%u" : "%.*s:%u", SLICE_ARG(host), port);
    return n > 0 && (size_t)n < sizeof(text) && addr_parse(slice_from(text, (size_t)n), ret_addr, NULL) == 0;
}

/* "unix@/PATH" or "unix:///PATH". */
static bool parse_unix(const struct instance_record *record, struct addr *ret_addr)
{
    char text[ADDR_TEXT_MAX];
    size_t at = slice_find(record->address, '/');
    if (!slice_equal_nocase(record->protocol, SLICE_LIT("unix")) || at == record->address.len)
        return false;
    struct slice path = slice_skip(record->address, at);
    if (slice_starts_with(path, SLICE_LIT("///")))
        path = slice_skip(path, 2);
    int n = snprintf(text, sizeof(text), "unix:%.*s", SLICE_ARG(path));
    return (size_t)n < sizeof(text) && addr_parse(slice_from(text, (size_t)n), ret_addr, NULL) == 0;
}

/* 0 or -ENOMEM. */
static int find_reach(const struct service_maker *maker, const struct instance_record *record, struct reach *ret_reach)
{
    struct reach reach = {.is_tls = slice_equal_nocase(record->protocol, SLICE_LIT("https"))};
    if (record->host.len == 0) {
        reach.is_addressable = parse_unix(record, &reach.addr);
    } else if (record->port == 0) {
        reach.is_addressable = false;
    } else if (parse_ip(record->host, record->port, &reach.addr)) {
        reach.is_addressable = maker->settings->settings.odd_addresses || !addr_is_odd(&reach.addr);
    } else {
        int r = hosts_get(maker->hosts, record->host, &reach.host);
        if (r == -ENOMEM)
            return r;
        reach.is_addressable = r == 0 && host_address(reach.host, record->port, &reach.addr);
    }
    *ret_reach = reach;
    return 0;
}

static bool has_reach(const struct runtime *runtime, const struct reach *reach)
{
    return runtime->is_addressable == reach->is_addressable && runtime->is_tls == reach->is_tls &&
           (!reach->is_addressable || addr_equal(&runtime->addr, &reach->addr));
}

/* ------------------------------------------------------------------------------------------------ targets */

static unsigned places_of(const struct service_maker *maker, const struct instance *instance, const struct reach *reach)
{
    const struct gateway_settings *settings = &maker->settings->settings;
    if (!reach->is_addressable || instance->record.weight == 0 || (reach->is_tls && !settings->tls))
        return 0;
    enum instance_offer offer = instance_offer(instance);
    if (offer == INSTANCE_LAST_RESORT)
        return TARGET_RESORT;
    if (offer == INSTANCE_WITHHELD)
        return 0;
    bool is_near = settings->zone.len == 0 || slice_equal(settings->zone, instance_details(&instance->record)->zone);
    return TARGET_OFFERED | (is_near ? TARGET_NEAR : 0);
}

static int make_runtime(const struct service_maker *maker, const struct instance *instance, const struct reach *reach,
                        struct runtime **ret_runtime)
{
    const struct runtime_model model = {
        .service = instance->service,
        .id = instance->id,
        .host = instance->record.host,
        .incarnation = instance->incarnation,
        .addr = reach->addr,
        .is_tls = reach->is_tls,
        .is_addressable = reach->is_addressable,
        .since_ns = NSEC_NEVER,
    };
    return runtime_new(&model, maker->n_workers, maker->rcu, ret_runtime);
}

/* The target of an instance that had `former`, NULL: none. */
static int make_target(const struct service_maker *maker, const struct instance *instance, const struct target *former,
                       struct target **ret_target)
{
    struct reach reach;
    struct runtime *runtime = NULL;
    int r = find_reach(maker, &instance->record, &reach);
    if (r < 0)
        return r;
    bool is_kept =
        former && former->runtime->incarnation == instance->incarnation && has_reach(former->runtime, &reach);
    if (is_kept)
        runtime = runtime_ref(former->runtime);
    else if (former)
        runtime_set(former->runtime, RUNTIME_GONE);
    if (!runtime)
        r = make_runtime(maker, instance, &reach, &runtime);
    unsigned places = places_of(maker, instance, &reach);
    if (r == 0)
        r = target_new(instance, runtime, reach.host, places, ret_target);
    if (r < 0) {
        runtime_unref(runtime);
        host_unref(reach.host);
        return r;
    }
    if (places != 0 && atomic_load_explicit(&runtime->since_ns, memory_order_relaxed) == NSEC_NEVER)
        atomic_store_explicit(&runtime->since_ns, maker->since_ns, memory_order_relaxed);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ chunks */

static const struct plan_chunk *old_chunk(const struct walk *walk)
{
    const struct plan_service *old = walk->order->old;
    return old && walk->at.chunk < old->n_chunks ? old->chunks[walk->at.chunk] : NULL;
}

/* Where the walk is; NULL: at the end. */
static const struct target *old_target(struct walk *walk)
{
    const struct plan_chunk *chunk = old_chunk(walk);
    if (chunk && walk->at.index == chunk->n) {
        walk->at.chunk++;
        walk->at.index = 0;
        chunk = old_chunk(walk);
    }
    return chunk ? chunk->targets[walk->at.index] : NULL;
}

/* The former target of that id, NULL: none; those before it are gone. */
static const struct target *walk_to(struct walk *walk, struct slice id)
{
    const struct target *target;
    while ((target = old_target(walk))) {
        struct slice own = target->instance->id;
        int order = memcmp(own.ptr, id.ptr, min_size(own.len, id.len));
        if (order > 0 || (order == 0 && own.len > id.len))
            return NULL;
        if (order == 0 && own.len == id.len)
            return target;
        runtime_set(target->runtime, RUNTIME_GONE);
        walk->at.index++;
    }
    return NULL;
}

/* Whether none of its names leads elsewhere by now. */
static bool is_fresh(const struct walk *walk, struct plan_chunk *chunk)
{
    uint64_t version = walk->maker->hosts->version;
    if (!chunk->has_names || chunk->hosts_seen == version)
        return true;
    for (unsigned i = 0; i < chunk->n; i++) {
        const struct host *host = chunk->targets[i]->host;
        if (host && host_changed(host) > chunk->hosts_seen)
            return false;
    }
    chunk->hosts_seen = version;
    return true;
}

/* The old chunk at which the walk is, if it can stand for this one of the directory's; NULL: none. */
static struct plan_chunk *same_chunk(struct walk *walk, const struct directory_chunk *from)
{
    (void)old_target(walk); /* on to the next chunk, when one has ended */
    const struct plan_chunk *chunk = old_chunk(walk);
    if (walk->order->is_forced || !chunk || walk->at.index != 0 || chunk->n != from->n ||
        memcmp(chunk->instances, from->instances, from->n * sizeof(from->instances[0])) != 0)
        return NULL;
    struct plan_chunk *shared = walk->order->old->chunks[walk->at.chunk];
    return is_fresh(walk, shared) ? shared : NULL;
}

static int make_chunk(struct walk *walk, const struct directory_chunk *from, struct plan_chunk **ret_chunk)
{
    struct target *targets[DIRECTORY_CHUNK];
    unsigned n = 0;
    int r = 0;
    uint64_t version = walk->maker->hosts->version;
    ASSERT(from->n > 0 && from->n <= DIRECTORY_CHUNK);
    while (r == 0 && n < from->n) {
        const struct instance *instance = from->instances[n];
        const struct target *former = walk_to(walk, instance->id);
        bool is_same = former && former->instance == instance && !former->host && !walk->order->is_forced;
        if (is_same)
            targets[n] = target_ref(former);
        else
            r = make_target(walk->maker, instance, former, &targets[n]);
        n += r == 0;
        walk->at.index += former != NULL;
    }
    if (r == 0)
        r = chunk_new(targets, n, ret_chunk);
    if (r < 0) {
        while (n > 0)
            target_unref(targets[--n]);
        return r;
    }
    (*ret_chunk)->hosts_seen = version;
    return 0;
}

static int make_chunks(struct walk *walk, struct plan_service *service)
{
    const struct directory_service *from = walk->order->from;
    for (unsigned i = 0; i < from->n_chunks; i++) {
        struct plan_chunk *chunk = same_chunk(walk, from->chunks[i]);
        if (!chunk) {
            (void)walk_to(walk, from->chunks[i]->instances[0]->id);
            chunk = same_chunk(walk, from->chunks[i]);
        }
        int r = 0;
        if (chunk) {
            chunk_ref(chunk);
            walk->at.chunk++;
        } else {
            r = make_chunk(walk, from->chunks[i], &chunk);
        }
        if (r < 0)
            return r;
        service->chunks[service->n_chunks++] = chunk;
    }
    for (const struct target *target; (target = old_target(walk)); walk->at.index++)
        runtime_set(target->runtime, RUNTIME_GONE);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ the service */

/* What the last instance said holds on after it: who comes during a restart waits for it, as he would have met it. */
static void read_voice(struct plan_service *service, const struct service_order *order, struct err *fault)
{
    for (unsigned i = 0; i < service->n_chunks; i++)
        service->voice = voice_later(service->voice, service->chunks[i]->voice);
    if (service->n_chunks == 0 && order->old && !order->forgets_words)
        service->voice = order->old->voice;
    if (service->voice)
        (void)instance_ref(service->voice);
    service->policy = service->settings->settings.policy;
    voice_read(service->voice, &service->policy, &service->is_exposed, fault);
}

static int make_tiers(struct plan_service *service, const struct service_order *order)
{
    const struct plan_service *old = order->old;
    struct tier_plan plan = {
        .place = PLACE_OFFERED,
        .has_points = order->has_points || service->policy.balance == BALANCE_HASH,
        .old = old,
        .old_tier = old ? &old->offered : NULL,
    };
    int r = tier_init(&service->offered, service, &plan);
    if (r < 0)
        return r;
    plan.place = PLACE_RESORT;
    plan.old_tier = old ? &old->resort : NULL;
    r = tier_init(&service->resort, service, &plan);
    if (r < 0)
        return r;
    unsigned n_near = 0;
    for (unsigned i = 0; i < service->n_chunks; i++)
        n_near += service->chunks[i]->at[PLACE_NEAR].n;
    if (n_near == 0 || n_near == service->offered.n) {
        service->near = service->offered;
        return 0;
    }
    plan.place = PLACE_NEAR;
    plan.old_tier = old && old->near.targets != old->offered.targets ? &old->near : NULL;
    plan.old = plan.old_tier ? old : NULL;
    return tier_init(&service->near, service, &plan);
}

int service_make(const struct service_maker *maker, const struct service_order *order,
                 struct plan_service **ret_service, struct err *fault)
{
    const struct directory_service *from = order->from;
    struct plan_service *service = malloc(sizeof(*service) + from->n_chunks * sizeof(service->chunks[0]));
    if (!service)
        return -ENOMEM;
    *service = (struct plan_service){
        .cell = order->cell,
        .generation = from->generation,
        .emptied_ms = from->emptied_ms,
        .settings = settings_copy_ref(maker->settings),
    };
    struct walk walk = {.maker = maker, .order = order};
    int r = make_chunks(&walk, service);
    if (r == 0) {
        read_voice(service, order, fault);
        r = make_tiers(service, order);
    }
    if (r < 0) {
        service_free(service);
        return r;
    }
    service->n_withheld = from->n_instances - service->offered.n - service->resort.n;
    *ret_service = service;
    return 0;
}

void service_free(struct plan_service *service)
{
    if (!service)
        return;
    if (service->near.targets != service->offered.targets)
        tier_deinit(&service->near);
    tier_deinit(&service->offered);
    tier_deinit(&service->resort);
    for (unsigned i = 0; i < service->n_chunks; i++)
        chunk_unref(service->chunks[i]);
    instance_unref(service->voice);
    settings_copy_unref(service->settings);
    free(service);
}

static void service_retired(struct rcu_node *node)
{
    service_free(container_of(node, struct plan_service, retired));
}

void service_retire(struct plan_service *service, struct rcu_domain *rcu)
{
    rcu_retire(rcu, &service->retired, service_retired);
}
