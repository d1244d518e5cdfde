/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members hang in a table by the hash of their id. A snapshot is a round: whoever was not put in it is left over at its
 * end. Leftovers are kept a while as instances of last resort, since a registry that lost its data answers with an
 * empty service although all its instances are well and about to register again.
 */
#include "client/cache.h"

#include "base/util.h"
#include "client/follow.h"

#include <errno.h>
#include <stdlib.h>

struct member {
    struct htab_node node;
    struct known *known;
    uint64_t round;
    bool is_doubtful;
};

struct cache *cache_new(const char *name)
{
    struct cache *cache = calloc(1, sizeof(*cache));
    char *copy = slice_dup(slice_from_str(name));
    if (!cache || !copy || random_system(&cache->hash_key, sizeof(cache->hash_key)) < 0) {
        free(cache);
        free(copy);
        return NULL;
    }
    cache->name = copy;
    list_init(&cache->link);
    list_init(&cache->handles);
    return cache;
}

static void forget_derived(struct cache *cache)
{
    muster_instances_free(TAKE(cache->list));
    muster_instances_free(TAKE(cache->candidates));
}

static void changed(struct cache *cache)
{
    forget_derived(cache);
    list_for_each (node, &cache->handles) {
        struct muster_service *handle = container_of(node, struct muster_service, link);
        if (handle->fn)
            task_post(&handle->notify, &handle->client->driver);
    }
}

/* ------------------------------------------------------------------------------------------------ members */

static struct member *find(struct cache *cache, const char *id, uint64_t *ret_hash)
{
    *ret_hash = hash_bytes(&cache->hash_key, slice_from_str(id));
    htab_for_each_match (node, &cache->members, *ret_hash) {
        struct member *member = container_of(node, struct member, node);
        if (strcmp(member->known->shown.id, id) == 0)
            return member;
    }
    return NULL;
}

static void count(struct cache *cache, const struct member *member, int by)
{
    cache->n_offered += member->known->shown.offered ? (unsigned)by : 0;
    cache->n_doubtful += member->is_doubtful ? (unsigned)by : 0;
}

static void set(struct cache *cache, struct member *member, struct known *known, bool is_doubtful)
{
    count(cache, member, -1);
    known_unref(member->known);
    member->known = known;
    member->is_doubtful = is_doubtful;
    count(cache, member, 1);
}

static int add(struct cache *cache, json_t *instance, uint64_t hash)
{
    struct member *member = calloc(1, sizeof(*member));
    struct load *load = load_new();
    int r = cache->members.len < CACHE_INSTANCES_MAX ? -ENOMEM : -EINVAL;
    if (member && load && r == -ENOMEM)
        r = known_new(instance, load, &member->known);
    if (r == 0)
        r = htab_insert(&cache->members, &member->node, hash);
    load_unref(load);
    if (r < 0) {
        if (member)
            known_unref(member->known);
        free(member);
        return r;
    }
    member->round = cache->round;
    count(cache, member, 1);
    return 0;
}

/* Without telling anybody. */
static int put(struct cache *cache, json_t *instance)
{
    const char *id;
    uint64_t hash;
    struct known *known;
    if (!client_read_text(instance, "id", &id))
        return -EINVAL;
    struct member *member = find(cache, id, &hash);
    if (!member)
        return add(cache, instance, hash);
    int r = known_new(instance, member->known->load, &known);
    if (r < 0)
        return r;
    set(cache, member, known, false);
    member->round = cache->round;
    return 0;
}

static void drop(struct cache *cache, struct member *member)
{
    htab_remove(&cache->members, &member->node);
    count(cache, member, -1);
    known_unref(member->known);
    free(member);
}

int cache_put(struct cache *cache, json_t *instance)
{
    int r = put(cache, instance);
    if (r == 0)
        changed(cache);
    return r;
}

void cache_remove(struct cache *cache, const char *id)
{
    uint64_t hash;
    struct member *member = find(cache, id, &hash);
    if (!member)
        return;
    drop(cache, member);
    changed(cache);
}

static void doubt(struct cache *cache, struct member *member)
{
    struct known *doubtful = known_new_doubtful(member->known);
    if (doubtful)
        set(cache, member, doubtful, true);
    else
        drop(cache, member); /* no memory to keep what may be gone */
}

int cache_replace(struct cache *cache, const json_t *instances, bool is_certain)
{
    cache->round++;
    for (size_t i = 0; i < json_array_size(instances); i++) {
        int r = put(cache, json_array_get(instances, i));
        if (r < 0) {
            changed(cache);
            return r;
        }
    }
    htab_for_each (node, &cache->members) {
        struct member *member = container_of(node, struct member, node);
        if (member->round == cache->round || (member->is_doubtful && !is_certain))
            continue;
        if (is_certain)
            drop(cache, member);
        else
            doubt(cache, member);
    }
    cache->is_known = true;
    changed(cache);
    return 0;
}

void cache_drop_doubtful(struct cache *cache)
{
    if (cache->n_doubtful == 0)
        return;
    htab_for_each (node, &cache->members) {
        struct member *member = container_of(node, struct member, node);
        if (member->is_doubtful)
            drop(cache, member);
    }
    changed(cache);
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    ASSERT(list_is_empty(&cache->handles) && !list_is_linked(&cache->link));
    forget_derived(cache);
    htab_for_each (node, &cache->members)
        drop(cache, container_of(node, struct member, node));
    htab_deinit(&cache->members);
    free(cache->name);
    free(cache);
}

/* ------------------------------------------------------------------------------------------------ derived */

enum which { ALL, OFFERED, LAST_RESORT };

static bool belongs(const struct known *known, enum which which)
{
    return which == ALL || (which == OFFERED ? known->shown.offered : known->shown.last_resort);
}

static struct muster_instances *make_list(struct cache *cache, enum which which)
{
    struct known **items = calloc(cache->members.len + 1, sizeof(struct known *));
    size_t n = 0;
    if (!items)
        return NULL;
    htab_for_each (node, &cache->members) {
        struct known *known = container_of(node, struct member, node)->known;
        if (belongs(known, which))
            items[n++] = known;
    }
    struct muster_instances *list = known_list_new(items, n);
    free(items);
    return list;
}

struct muster_instances *cache_list(struct cache *cache)
{
    if (!cache->list)
        cache->list = make_list(cache, ALL);
    return cache->list;
}

struct muster_instances *cache_candidates(struct cache *cache)
{
    if (cache->candidates)
        return cache->candidates;
    struct muster_instances *list = make_list(cache, cache->n_offered > 0 ? OFFERED : LAST_RESORT);
    if (!list)
        return NULL;
    cache->total_weight = 0;
    cache->is_even = true;
    for (size_t i = 0; i < list->n; i++) {
        cache->total_weight += list->items[i]->weight;
        cache->is_even = cache->is_even && list->items[i]->weight == list->items[0]->weight;
    }
    return cache->candidates = list;
}

/* ------------------------------------------------------------------------------------------------ handles */

static void notify(struct task *task)
{
    struct muster_service *service = container_of(task, struct muster_service, notify);
    if (service->fn)
        service->fn(service->ctx, service);
}

struct muster_service *cache_new_handle(struct cache *cache, struct muster_client *client)
{
    struct muster_service *service = calloc(1, sizeof(*service));
    if (!service)
        return NULL;
    service->cache = cache;
    service->client = client;
    list_init(&service->link);
    list_push_back(&cache->handles, &service->link);
    task_init(&service->notify, &client->driver, notify);
    client_ref(client);
    return service;
}

struct muster_client *cache_begin_waiting(struct muster_service *service)
{
    struct muster_client *client = service->client;
    client_lock(client);
    client->error.text[0] = '\0';
    service->n_waiting++;
    return client;
}

void cache_end_waiting(struct muster_service *service)
{
    struct muster_client *client = service->client;
    bool is_last = --service->n_waiting == 0 && service->is_freed;
    client_unlock(client);
    if (!is_last)
        return;
    free(service);
    client_unref(client);
}

void muster_service_free(struct muster_service *service)
{
    if (!service)
        return;
    struct muster_client *client = cache_begin_waiting(service);
    struct cache *cache = service->cache;
    service->is_freed = true;
    task_deinit(&service->notify, &client->driver);
    list_remove(&service->link);
    if (list_is_empty(&cache->handles)) {
        if (!cache->is_static)
            follow_remove(client->follow, cache);
        cache_free(cache);
    }
    cache_end_waiting(service);
}

const char *muster_service_name(const struct muster_service *service)
{
    return service ? service->cache->name : "";
}

void muster_service_notify(struct muster_service *service, muster_service_fn fn, void *ctx)
{
    if (!service)
        return;
    client_lock(service->client);
    service->fn = fn;
    service->ctx = ctx;
    if (fn && service->cache->members.len > 0)
        task_post(&service->notify, &service->client->driver);
    client_unlock(service->client);
}

int muster_service_instances(struct muster_service *service, struct muster_instances **ret_instances)
{
    if (!service || client_misses(service->client, "ret_instances", ret_instances != NULL))
        return MUSTER_BAD_OPTIONS;
    client_lock(service->client);
    struct muster_instances *list = cache_list(service->cache);
    *ret_instances = list ? known_list_ref(list) : NULL;
    int result = list ? MUSTER_OK : client_fail_memory(service->client);
    client_unlock(service->client);
    return result;
}
