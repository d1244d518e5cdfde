/* SPDX-License-Identifier: Apache-2.0 */
/* The copy of a service, without any server. */
#include "client/cache.h"

#include "support/fault_alloc.h"
#include "support/test.h"

#include <errno.h>

static json_t *instance(const char *id, const char *status)
{
    bool is_up = strcmp(status, "up") == 0;
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:i}", "service", "web", "id", id, "address", id, "status", status,
                     "offered", is_up, "last_resort", strcmp(status, "suspect") == 0, "weight", 1);
}

static void put(struct cache *cache, const char *id, const char *status)
{
    json_t *tree = instance(id, status);
    expect_int(cache_put(cache, tree), 0);
    json_decref(tree);
}

/* "a b c": ids in their order. */
static void expect_ids(const struct muster_instances *list, const char *expected)
{
    struct buf ids = {0};
    for (size_t i = 0; i < list->n; i++)
        buf_printf(&ids, "%s%s", i > 0 ? " " : "", list->items[i]->id);
    expect_slice(buf_slice(&ids), expected);
    buf_deinit(&ids);
}

static void changes_are_seen(void)
{
    struct cache *cache = cache_new("web");
    put(cache, "b", "up");
    put(cache, "a", "up");
    expect_ids(cache_list(cache), "a b");
    put(cache, "a", "draining");
    expect_ids(cache_list(cache), "a b");
    expect_str(cache_list(cache)->items[0]->status, "draining");
    cache_remove(cache, "b");
    cache_remove(cache, "nobody");
    expect_ids(cache_list(cache), "a");
    cache_free(cache);
}

static void a_list_outlives_the_change(void)
{
    struct cache *cache = cache_new("web");
    put(cache, "a", "up");
    struct muster_instances *list = known_list_ref(cache_list(cache));
    cache_remove(cache, "a");
    expect_ids(list, "a");
    expect_ids(cache_list(cache), "");
    cache_free(cache);
    expect_ids(list, "a");
    muster_instances_free(list);
}

static void those_of_last_resort_come_last(void)
{
    struct cache *cache = cache_new("web");
    put(cache, "a", "up");
    put(cache, "b", "suspect");
    put(cache, "c", "failing");
    expect_ids(cache_candidates(cache), "a");
    put(cache, "a", "failing");
    expect_ids(cache_candidates(cache), "b");
    cache_remove(cache, "b");
    expect_ids(cache_candidates(cache), "");
    cache_free(cache);
}

static void a_registry_without_its_data_empties_nothing_at_once(void)
{
    struct cache *cache = cache_new("web");
    put(cache, "a", "up");
    put(cache, "b", "up");
    expect_int(cache_replace(cache, NULL, false), 0);
    expect_int(cache->n_offered, 0);
    expect_ids(cache_candidates(cache), "a b");
    expect_int(cache_replace(cache, NULL, false), 0); /* and again */
    expect_ids(cache_candidates(cache), "a b");
    put(cache, "b", "up"); /* it has registered again */
    expect_ids(cache_candidates(cache), "b");
    expect_ids(cache_list(cache), "a b");
    cache_drop_doubtful(cache);
    expect_ids(cache_list(cache), "b");
    cache_free(cache);
}

static void a_snapshot_replaces(void)
{
    struct cache *cache = cache_new("web");
    json_t *list = json_pack("[o, o]", instance("b", "up"), instance("c", "up"));
    put(cache, "a", "up");
    expect_int(cache_replace(cache, list, true), 0);
    expect_ids(cache_list(cache), "b c");
    json_decref(list);
    cache_free(cache);
}

static void what_is_no_instance_is_refused(void)
{
    struct cache *cache = cache_new("web");
    json_t *tree = json_pack("{s:s}", "id", "a");
    expect_int(cache_put(cache, tree), -EINVAL);
    json_object_del(tree, "id");
    expect_int(cache_put(cache, tree), -EINVAL);
    json_decref(tree);
    expect_ids(cache_list(cache), "");
    cache_free(cache);
}

static int use(void *arg)
{
    json_t *tree = arg;
    struct cache *cache = cache_new("web");
    if (!cache)
        return -ENOMEM;
    int r = cache_put(cache, tree);
    if (r == 0)
        r = cache_put(cache, tree);
    if (r == 0 && (!cache_list(cache) || !cache_candidates(cache)))
        r = -ENOMEM;
    if (r == 0)
        r = cache_replace(cache, NULL, false);
    cache_free(cache);
    return r;
}

static void running_out_of_memory_is_an_error(void)
{
    json_t *tree = instance("a", "up");
    expect_true(fault_alloc_sweep(use, tree) > 5);
    json_decref(tree);
}

static const struct test_case cases[] = {
    {"changes are seen", changes_are_seen},
    {"a list outlives the change and the copy", a_list_outlives_the_change},
    {"those of last resort come last, withheld ones never", those_of_last_resort_come_last},
    {"nacos#1873: a registry without its data empties nothing at once",
     a_registry_without_its_data_empties_nothing_at_once},
    {"a snapshot replaces", a_snapshot_replaces},
    {"what is no instance is refused", what_is_no_instance_is_refused},
    {"running out of memory is an error", running_out_of_memory_is_an_error},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
