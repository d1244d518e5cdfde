/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue's frame: making, stepping, publishing, reading. What the events do is in the files that catalog_priv.h
 * lists.
 *
 * Invariants, between steps:
 *  1. The directory's drafts show exactly the roster's entries that are PRESENT or HELD.
 *  2. An entry is PRESENT exactly if a key of the store stands for its name; of several keys, the oldest.
 *  3. Each change that was told has the next revision and one note in the updates.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

/* For so long a service is known that has no instance any more. */
#define SERVICE_KNOWN_MS ((int64_t)60 * 60 * 1000)

void catalog_options_init(struct catalog_options *options)
{
    *options = (struct catalog_options){
        .loss_min = 3,
        .loss_percent = 50,
        .loss_window_ns = 5 * NSEC_PER_SEC,
        .hold_max_ns = 300 * NSEC_PER_SEC,
        .flap_half_life_ns = 60 * NSEC_PER_SEC,
        .flap_suppress = 400,
        .flap_reuse = 150,
        .suspicion_ns = 10 * NSEC_PER_SEC,
    };
}

static int init_parts(struct catalog *catalog, struct rcu_domain *rcu, int64_t first_revision)
{
    int r = roster_init(&catalog->roster, time_entry_fired, orders_timer_fired, loss_timer_fired);
    if (r == 0)
        r = directory_new(rcu, &catalog->directory);
    if (r == 0)
        r = changes_new(rcu, first_revision, &catalog->changes);
    return r;
}

int catalog_new(const struct catalog_options *options, struct rcu_domain *rcu, int64_t first_revision,
                struct catalog **ret_catalog)
{
    ASSERT(options->projection);
    ASSERT(options->flap_suppress == 0 || options->flap_reuse < options->flap_suppress);
    struct catalog *catalog = calloc(1, sizeof(*catalog));
    if (!catalog)
        return -ENOMEM;
    catalog->options = *options;
    catalog->flap_rules = (struct flap_rules){
        .half_life_ns = options->flap_half_life_ns,
        .suppress = options->flap_suppress,
        .reuse = options->flap_reuse,
    };
    catalog->loss_rules = (struct loss_rules){
        .min = options->loss_min,
        .percent = options->loss_percent,
        .window_ns = options->loss_window_ns,
    };
    catalog->incarnation = (uint64_t)first_revision;
    int r = init_parts(catalog, rcu, first_revision);
    if (r < 0) {
        catalog_free(catalog);
        return r;
    }
    *ret_catalog = catalog;
    return 0;
}

void catalog_free(struct catalog *catalog)
{
    if (!catalog)
        return;
    roster_deinit(&catalog->roster);
    changes_free(catalog->changes);
    directory_free(catalog->directory);
    free(catalog);
}

/* ------------------------------------------------------------------------------------------------ the writer */

static int step(struct catalog *catalog, const struct catalog_event *event)
{
    switch (event->type) {
    case CATALOG_KEY:
        return keys_step(catalog, event);
    case CATALOG_DRAIN:
    case CATALOG_MAINTAIN:
        return orders_step(catalog, event);
    case CATALOG_CHECK:
    case CATALOG_PROBE:
    case CATALOG_SUSPECT:
    case CATALOG_SESSION:
    case CATALOG_SOURCE:
    case CATALOG_REFUSED:
        return reports_step(catalog, event);
    case CATALOG_TIME:
        return time_step(catalog);
    }
    ASSERT(!"an event type");
}

int catalog_step(struct catalog *catalog, const struct catalog_event *event, const struct catalog_time *time,
                 struct catalog_updates *updates)
{
    if (!catalog->has_stepped)
        wheel_init(&catalog->roster.wheel, time->now_ns);
    catalog->has_stepped = true;
    catalog->time = time;
    catalog->wall_ms = time->wall_ms;
    catalog->updates = updates;
    int r = step(catalog, event);
    catalog->time = NULL;
    catalog->updates = NULL;
    return r;
}

void catalog_publish(struct catalog *catalog, int64_t passed)
{
    directory_forget(catalog->directory, catalog->wall_ms - SERVICE_KNOWN_MS);
    directory_publish(catalog->directory);
    changes_publish(catalog->changes); /* after the directory: who knows of a change finds it there */
    atomic_store_explicit(&catalog->passed, passed, memory_order_release);
}

nsec_t catalog_deadline(const struct catalog *catalog)
{
    return list_is_empty(&catalog->roster.work) ? wheel_next(&catalog->roster.wheel) : 0;
}

void catalog_each_waiting(const struct catalog *catalog, bool (*fn)(void *ctx, const struct instance *instance),
                          void *ctx)
{
    htab_for_each (node, &catalog->roster.claims) {
        const struct instance *instance = instance_ref(container_of(node, struct roster_claim, by_key)->instance);
        bool goes_on = fn(ctx, instance);
        instance_unref(instance);
        if (!goes_on)
            return;
    }
}

/* ------------------------------------------------------------------------------------------------ readers */

const struct directory *catalog_directory(const struct catalog *catalog)
{
    return catalog->directory;
}

int64_t catalog_revision(const struct catalog *catalog)
{
    return changes_published(catalog->changes);
}

int64_t catalog_passed(const struct catalog *catalog)
{
    return atomic_load_explicit(&catalog->passed, memory_order_acquire);
}

const struct catalog_change *catalog_change(const struct catalog *catalog, int64_t revision)
{
    return changes_get(catalog->changes, revision);
}

int64_t catalog_oldest_change(const struct catalog *catalog)
{
    return changes_oldest(catalog->changes);
}
