/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the store as it is: at the start, and when commits were compacted before they were seen. In the latter case
 * the keys that are there are stepped as if they were written anew, which changes nothing where nothing has changed,
 * and instances whose keys are gone depart; so nobody sees an instance leave that has not left.
 */
#include "base/assert.h"
#include "keeper/curator_priv.h"

#include <errno.h>

struct loading {
    struct curator *curator;
    struct store_view view;
    bool is_initial;
    int result;
};

static bool load_order(void *ctx, struct slice name, struct slice value, int64_t version)
{
    struct loading *loading = ctx;
    struct arena arena = {0};
    struct catalog_event event;
    (void)version;
    int r = curator_order_read(name, value, &arena, &event);
    if (r == 0) {
        event.order.is_initial = true;
        r = curator_step(loading->curator, &event);
    } else if (r == -EINVAL) {
        log_warn(loading->curator->log, "a document that should be an order is none", log_str("name", name));
        r = 0;
    }
    arena_deinit(&arena);
    loading->result = r;
    return r == 0;
}

int curator_load_orders(struct curator *curator)
{
    struct loading loading = {.curator = curator};
    int r = store_docs(curator->store, curator_order_prefix(CATALOG_DRAIN), load_order, &loading);
    if (r == 0 && loading.result == 0)
        r = store_docs(curator->store, curator_order_prefix(CATALOG_MAINTAIN), load_order, &loading);
    return r < 0 ? r : loading.result;
}

/* When a revision was made. One that is forgotten is at least as old as the oldest that is known. */
static int64_t wall_of(const struct loading *loading, int64_t revision)
{
    const struct store_view *view = &loading->view;
    if (revision <= view->compacted)
        revision = view->compacted + 1;
    const struct store_commit *commit = store_commit(loading->curator->store, view, revision);
    return commit ? commit->wall_ms : 0;
}

static bool load_key(void *ctx, const struct store_kv *kv)
{
    struct loading *loading = ctx;
    const struct catalog_event event = {
        .type = CATALOG_KEY,
        .key = {.kv = kv,
                .why = {.revision = kv->mod_revision, .wall_ms = wall_of(loading, kv->create_revision)},
                .is_initial = loading->is_initial},
    };
    loading->result = curator_step(loading->curator, &event);
    return loading->result == 0;
}

static bool see_key(void *ctx, const struct store_kv *kv)
{
    (void)kv;
    *(bool *)ctx = true;
    return true;
}

static bool is_there(const struct loading *loading, struct slice key)
{
    bool was_seen = false;
    struct store_range_result result;
    int r = store_range(loading->curator->store, &loading->view, &(struct store_range){.key = key}, see_key, &was_seen,
                        &result);
    return r != 0 || was_seen;
}

/* What is gone from the store departs. */
static bool depart_missing(void *ctx, const struct instance *instance)
{
    struct loading *loading = ctx;
    if (INSTANCE_HAS(instance, HELD) || is_there(loading, instance->key))
        return true;
    const struct store_kv gone = {.key = instance->key, .mod_revision = loading->view.revision};
    const struct catalog_event event = {
        .type = CATALOG_KEY,
        .key = {.kv = &gone, .why = {.cause = SLICE_LIT("gone when the store was read anew")}},
    };
    loading->result = curator_step(loading->curator, &event);
    return loading->result == 0;
}

static bool depart_missing_of(void *ctx, const struct directory_service *service)
{
    struct directory_cursor at = {.service = service};
    for (const struct instance *instance; (instance = directory_next(&at));)
        if (!depart_missing(ctx, instance))
            return false;
    return true;
}

/*
 * First the keys that only waited for a name, so that none of them takes one over; then the instances of the directory
 * as it was published before.
 */
static void depart_all_missing(struct loading *loading)
{
    const struct catalog *catalog = loading->curator->catalog;
    catalog_each_waiting(catalog, depart_missing, loading);
    if (loading->result == 0)
        directory_each(catalog_directory(catalog), depart_missing_of, loading);
}

int curator_load_keys(struct curator *curator, bool is_initial)
{
    struct loading loading = {.curator = curator, .is_initial = is_initial};
    struct store_range_result result;
    const struct store_range all = {.key = {"", 1}, .end = {"", 1}};
    store_view(curator->store, false, &loading.view);
    int r = store_range(curator->store, &loading.view, &all, load_key, &loading, &result);
    ASSERT(r <= 0); /* the present is always there */
    if (r == 0 && loading.result == 0 && !is_initial)
        depart_all_missing(&loading);
    if (r < 0 || loading.result < 0)
        return r < 0 ? r : loading.result;
    curator->passed = loading.view.revision;
    curator->n_events_passed = 0;
    curator->has_lost = false;
    return 0;
}
