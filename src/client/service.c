/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handles of services: following one, a fixed list, how old a copy is, waiting for instances, choosing one.
 */
#include "base/util.h"
#include "client/cache.h"
#include "client/follow.h"
#include "client/target.h"

#include <limits.h>
#include <stdlib.h>

#define STATIC_INSTANCES_MAX 4096

static int follow_new_service(struct muster_client *client, const char *name, struct cache **ret_cache)
{
    if (!client->follow)
        client->follow = follow_new(client);
    struct cache *cache = client->follow ? cache_new(name) : NULL;
    if (!cache)
        return MUSTER_OUT_OF_MEMORY;
    follow_add(client->follow, cache);
    *ret_cache = cache;
    return MUSTER_OK;
}

static int follow_service(struct muster_client *client, const char *name, struct muster_service **ret_service)
{
    client->error = client->options_error;
    if (client->options_result != MUSTER_OK)
        return client->options_result;
    struct cache *cache = client->follow ? follow_find(client->follow, name) : NULL;
    if (!cache && follow_new_service(client, name, &cache) != MUSTER_OK)
        return client_fail_memory(client);
    *ret_service = cache_new_handle(cache, client);
    if (*ret_service)
        return MUSTER_OK;
    if (list_is_empty(&cache->handles)) {
        follow_remove(client->follow, cache);
        cache_free(cache);
    }
    return client_fail_memory(client);
}

int muster_follow(struct muster_client *client, const char *service, struct muster_service **ret_service)
{
    if (client_misses(client, "ret_service", ret_service != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_service = NULL;
    if (client_misses_service(client, service))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    int result = follow_service(client, service, ret_service);
    client_unlock(client);
    return result;
}

/* ------------------------------------------------------------------------------------------------ fixed lists */

/* As a registry would have told it. */
static json_t *describe(const char *service, struct slice text, const struct target *target)
{
    return json_pack("{s:s, s:s%, s:s%, s:s, s:s, s:i, s:s, s:b}", "service", service, "id", text.ptr, text.len,
                     "address", text.ptr, text.len, "protocol", target->protocol, "host", target->host, "port",
                     (int)target->port, "status", "up", "offered", 1);
}

static int add_static(struct muster_client *client, struct cache *cache, struct slice text)
{
    struct target target;
    if (cache->members.len == STATIC_INSTANCES_MAX)
        return client_fail(client, MUSTER_BAD_OPTIONS, "more than %d addresses", STATIC_INSTANCES_MAX);
    if (target_parse(text, &target, &client->error) < 0)
        return MUSTER_BAD_OPTIONS;
    json_t *tree = describe(cache->name, text, &target);
    int r = tree ? cache_put(cache, tree) : -1;
    json_decref(tree);
    return r < 0 ? client_fail_memory(client) : MUSTER_OK;
}

static int make_static(struct muster_client *client, const char *addresses, struct cache *cache,
                       struct muster_service **ret_service)
{
    int result = MUSTER_OK;
    struct slice rest = slice_from_str(addresses);
    while (result == MUSTER_OK && !slice_is_empty(rest)) {
        struct slice item;
        rest = slice_split(rest, ',', &item);
        result = add_static(client, cache, slice_trim(item));
    }
    if (result == MUSTER_OK && cache->members.len == 0)
        result = client_fail(client, MUSTER_BAD_OPTIONS, "the list of addresses is empty");
    if (result != MUSTER_OK)
        return result;
    *ret_service = cache_new_handle(cache, client);
    return *ret_service ? MUSTER_OK : client_fail_memory(client);
}

int muster_service_static(struct muster_client *client, const char *service, const char *addresses,
                          struct muster_service **ret_service)
{
    if (client_misses(client, "ret_service", ret_service != NULL))
        return MUSTER_BAD_OPTIONS;
    *ret_service = NULL;
    if (client_misses_service(client, service) || client_misses(client, "addresses", addresses != NULL))
        return MUSTER_BAD_OPTIONS;
    client_lock(client);
    client->error.text[0] = '\0';
    struct cache *cache = cache_new(service);
    if (cache)
        cache->is_static = cache->is_known = true;
    int result = cache ? make_static(client, addresses, cache, ret_service) : client_fail_memory(client);
    if (result != MUSTER_OK)
        cache_free(cache);
    client_unlock(client);
    return result;
}

/* ------------------------------------------------------------------------------------------------ age and waiting */

int64_t muster_service_age_ms(struct muster_service *service)
{
    if (!service)
        return -1;
    struct muster_client *client = service->client;
    client_lock(client);
    nsec_t confirmed_ns = service->cache->is_static ? 0 : follow_confirmed_ns(client->follow);
    bool is_known = service->cache->is_known && confirmed_ns >= 0;
    bool is_static = service->cache->is_static;
    client_unlock(client);
    return is_static ? 0 : is_known ? (time_now() - confirmed_ns) / NSEC_PER_MSEC : -1;
}

/* MUSTER_OK: it goes on. */
static int look_at_wait(const struct muster_service *service, unsigned min, nsec_t deadline_ns)
{
    struct muster_client *client = service->client;
    if (service->is_freed)
        return client_fail(client, MUSTER_STOPPED, "the service was freed meanwhile");
    if (time_now() >= deadline_ns)
        return client_fail(client, MUSTER_TIMED_OUT, "\"%s\" has %u instances that are offered, not %u",
                           service->cache->name, service->cache->n_offered, min);
    return client_refuse_in_callback(client, "wait");
}

int muster_service_wait(struct muster_service *service, unsigned min, unsigned timeout_ms)
{
    if (!service)
        return MUSTER_BAD_OPTIONS;
    nsec_t deadline_ns = time_now() + timeout_ms * NSEC_PER_MSEC;
    struct muster_client *client = cache_begin_waiting(service);
    int result = MUSTER_OK;
    while (service->is_freed || !service->cache->is_known || service->cache->n_offered < min) {
        result = look_at_wait(service, min, deadline_ns);
        if (result != MUSTER_OK)
            break;
        (void)driver_wait(&client->driver, deadline_ns);
    }
    cache_end_waiting(service);
    return result;
}

/* ------------------------------------------------------------------------------------------------ choosing */

static size_t choose_random(struct muster_client *client, const struct cache *cache,
                            const struct muster_instances *candidates)
{
    if (cache->is_even || cache->total_weight == 0)
        return (size_t)random_below(&client->random, candidates->n);
    uint64_t point = random_below(&client->random, cache->total_weight);
    size_t i = 0;
    while (point >= candidates->items[i]->weight)
        point -= candidates->items[i++]->weight;
    return i;
}

static struct load *load_of(const struct muster_instance *instance)
{
    return container_of((uintptr_t)instance, struct known, shown)->load;
}

/* a/weight < b/weight; one of weight 0 comes last. */
static bool is_less_loaded(const struct muster_instance *a, const struct muster_instance *b)
{
    uint64_t load_a = atomic_load(&load_of(a)->n_in_use) + UINT64_C(1);
    uint64_t load_b = atomic_load(&load_of(b)->n_in_use) + UINT64_C(1);
    return a->weight > 0 && (b->weight == 0 || load_a * b->weight < load_b * a->weight);
}

/* Begins elsewhere each time, so that those that are alike take turns. */
static size_t choose_least(const struct muster_instances *candidates, uint64_t turn)
{
    size_t best = (size_t)(turn % candidates->n);
    for (size_t i = 1; i < candidates->n; i++) {
        size_t at = (size_t)((turn + i) % candidates->n);
        if (is_less_loaded(candidates->items[at], candidates->items[best]))
            best = at;
    }
    return best;
}

static size_t choose(struct muster_client *client, struct cache *cache, const struct muster_instances *candidates,
                     enum muster_policy policy)
{
    if (policy == MUSTER_RANDOM)
        return choose_random(client, cache, candidates);
    uint64_t turn = cache->turn++;
    return policy == MUSTER_LEAST ? choose_least(candidates, turn) : (size_t)(turn % candidates->n);
}

int muster_service_select(struct muster_service *service, enum muster_policy policy,
                          const struct muster_instance **ret_instance)
{
    if (!service || client_misses(service->client, "ret_instance", ret_instance != NULL))
        return MUSTER_BAD_OPTIONS;
    struct muster_client *client = service->client;
    int result = MUSTER_OK;
    *ret_instance = NULL;
    client_lock(client);
    client->error.text[0] = '\0';
    const struct muster_instances *candidates = cache_candidates(service->cache);
    if ((unsigned)policy > MUSTER_LEAST) {
        result = client_fail(client, MUSTER_BAD_OPTIONS, "policy: %d is none of enum muster_policy", (int)policy);
    } else if (!candidates) {
        result = client_fail_memory(client);
    } else if (candidates->n == 0) {
        result = client_fail(client, MUSTER_NOT_FOUND, "\"%s\" has no instance that may be used", service->cache->name);
    } else {
        const struct muster_instance *chosen = candidates->items[choose(client, service->cache, candidates, policy)];
        known_ref(container_of((uintptr_t)chosen, struct known, shown));
        atomic_fetch_add(&load_of(chosen)->n_in_use, 1);
        *ret_instance = chosen;
    }
    client_unlock(client);
    return result;
}
