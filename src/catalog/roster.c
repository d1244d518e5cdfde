/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables by name and by key, and the timer wheel that all deadlines hang on. Nearly all instances are well, and have
 * one small object here and no timer; what more there is to remember hangs on it as its care.
 *
 * Invariants:
 *  1. A service's n_entries and n_present count its entries, and those that are PRESENT.
 *  2. An entry is on a list by `link` as its state says: PRESENT and HELD on service->shown or service->unseen, LOST on
 *     none, ABSENT on roster->penalised when it has a penalty and no orders.
 *  3. The timer of its care is armed for the earliest of the deadlines, or not at all.
 *  4. No order of what is done follows from the order of a table: the hash key is another one in each run.
 */
#include "catalog/roster.h"

#include "base/assert.h"
#include "base/random.h"
#include "base/util.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

/* Names that are remembered for their penalty only. */
#define PENALISED_MAX 65536

int roster_init(struct roster *roster, timer_fn on_entry, timer_fn on_order, timer_fn on_losses)
{
    *roster = (struct roster){.on_entry = on_entry, .on_order = on_order, .on_losses = on_losses};
    wheel_init(&roster->wheel, 0);
    list_init(&roster->work);
    list_init(&roster->penalised);
    return random_system(&roster->hash_key, sizeof(roster->hash_key));
}

static void order_discard(struct roster *roster, struct order *order)
{
    if (order)
        wheel_cancel(&roster->wheel, &order->timer);
    order_free(order);
}

static void care_free(struct roster *roster, struct roster_care *care)
{
    if (!care)
        return;
    ASSERT(!care->claims);
    loss_forget(&care->entry->service->losses, &care->loss);
    wheel_cancel(&roster->wheel, &care->timer);
    for (unsigned type = 0; type < ORDER_TYPES; type++)
        order_discard(roster, care->orders[type]);
    free(care->trouble);
    free(care);
}

static void entry_free(struct roster *roster, struct roster_entry *entry)
{
    struct roster_service *service = entry->service;
    ASSERT(service->n_entries > 0);
    if (entry->state == ROSTER_ABSENT && list_is_linked(&entry->link))
        roster->n_penalised--;
    list_remove(&entry->link);
    care_free(roster, entry->care);
    htab_remove(&roster->entries, &entry->by_name);
    roster_unlink_key(roster, entry);
    instance_unref(entry->instance);
    service->n_entries--;
    free(entry);
}

static void service_free(struct roster *roster, struct roster_service *service)
{
    ASSERT(service->n_entries == 0);
    for (unsigned type = 0; type < ORDER_TYPES; type++)
        order_discard(roster, service->orders[type]);
    wheel_cancel(&roster->wheel, &service->loss_timer);
    list_remove(&service->work);
    htab_remove(&roster->services, &service->by_name);
    free(service);
}

void roster_deinit(struct roster *roster)
{
    htab_for_each (node, &roster->claims)
        roster_drop_claim(roster, container_of(node, struct roster_claim, by_key));
    htab_for_each (node, &roster->entries)
        entry_free(roster, container_of(node, struct roster_entry, by_name));
    htab_for_each (node, &roster->services)
        service_free(roster, container_of(node, struct roster_service, by_name));
    htab_deinit(&roster->claims);
    htab_deinit(&roster->keys);
    htab_deinit(&roster->entries);
    htab_deinit(&roster->services);
}

/* ------------------------------------------------------------------------------------------------ finding */

static uint64_t hash_text(const struct roster *roster, struct slice text)
{
    return hash_bytes(&roster->hash_key, text);
}

/* Of a pair of names; that they are equal is seen by comparing. */
static uint64_t hash_names(const struct roster *roster, struct slice service, struct slice id)
{
    return hash_text(roster, service) * 0x9e3779b97f4a7c15 + hash_text(roster, id);
}

struct roster_service *roster_find_service(const struct roster *roster, struct slice name)
{
    htab_for_each_match (node, &roster->services, hash_text(roster, name)) {
        struct roster_service *service = container_of(node, struct roster_service, by_name);
        if (slice_equal(roster_service_name(service), name))
            return service;
    }
    return NULL;
}

struct roster_entry *roster_find(const struct roster *roster, struct slice service, struct slice id)
{
    htab_for_each_match (node, &roster->entries, hash_names(roster, service, id)) {
        struct roster_entry *entry = container_of(node, struct roster_entry, by_name);
        if (slice_equal(roster_id(entry), id) && slice_equal(roster_service_name(entry->service), service))
            return entry;
    }
    return NULL;
}

struct roster_entry *roster_find_key(const struct roster *roster, struct slice key)
{
    htab_for_each_match (node, &roster->keys, hash_text(roster, key)) {
        struct roster_entry *entry = container_of(node, struct roster_entry, by_key);
        if (slice_equal(entry->instance->key, key))
            return entry;
    }
    return NULL;
}

struct roster_claim *roster_find_claim(const struct roster *roster, struct slice key)
{
    htab_for_each_match (node, &roster->claims, hash_text(roster, key)) {
        struct roster_claim *claim = container_of(node, struct roster_claim, by_key);
        if (slice_equal(claim->instance->key, key))
            return claim;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ making */

struct roster_service *roster_service(struct roster *roster, struct slice name)
{
    struct roster_service *service = roster_find_service(roster, name);
    if (service)
        return service;
    service = calloc(1, sizeof(*service) + name.len);
    if (!service)
        return NULL;
    service->roster = roster;
    list_init(&service->shown);
    list_init(&service->unseen);
    list_init(&service->work);
    loss_window_init(&service->losses);
    timer_init(&service->loss_timer, roster->on_losses);
    service->name_len = (unsigned)name.len;
    memcpy(service->name, name.ptr, name.len);
    if (htab_insert(&roster->services, &service->by_name, hash_text(roster, name)) < 0) {
        free(service);
        return NULL;
    }
    return service;
}

static struct roster_entry *entry_new(struct roster *roster, struct roster_service *service, struct slice id)
{
    struct roster_entry *entry = calloc(1, offsetof(struct roster_entry, id) + id.len);
    if (!entry)
        return NULL;
    entry->service = service;
    list_init(&entry->link);
    entry->id_len = (unsigned)id.len;
    memcpy(entry->id, id.ptr, id.len);
    if (htab_insert(&roster->entries, &entry->by_name, hash_names(roster, roster_service_name(service), id)) < 0) {
        free(entry);
        return NULL;
    }
    service->n_entries++;
    return entry;
}

const struct roster_care *roster_care(const struct roster_entry *entry)
{
    static const struct roster_care none;
    return entry->care ? entry->care : &none;
}

struct roster_care *roster_need_care(struct roster *roster, struct roster_entry *entry)
{
    if (entry->care)
        return entry->care;
    struct roster_care *care = calloc(1, sizeof(*care));
    if (!care)
        return NULL;
    care->entry = entry;
    loss_init(&care->loss);
    timer_init(&care->timer, roster->on_entry);
    entry->care = care;
    return care;
}

struct roster_entry *roster_entry(struct roster *roster, struct slice service_name, struct slice id)
{
    struct roster_entry *entry = roster_find(roster, service_name, id);
    if (entry)
        return entry;
    struct roster_service *service = roster_service(roster, service_name);
    if (!service)
        return NULL;
    entry = entry_new(roster, service, id);
    if (!entry)
        roster_tidy_service(roster, service);
    return entry;
}

/* ------------------------------------------------------------------------------------------------ forgetting */

void roster_tidy_service(struct roster *roster, struct roster_service *service)
{
    for (unsigned type = 0; type < ORDER_TYPES; type++)
        if (service->orders[type])
            return;
    if (service->n_entries == 0)
        service_free(roster, service);
}

static void entry_forget(struct roster *roster, struct roster_entry *entry)
{
    struct roster_service *service = entry->service;
    entry_free(roster, entry);
    roster_tidy_service(roster, service);
}

/* The entry is there for its penalty only: it joins those, and pushes out the oldest of them when they are too many. */
static void entry_penalised(struct roster *roster, struct roster_entry *entry)
{
    if (list_is_linked(&entry->link)) {
        list_remove(&entry->link);
        roster->n_penalised--;
    }
    list_push_back(&roster->penalised, &entry->link);
    if (++roster->n_penalised > PENALISED_MAX)
        entry_forget(roster, container_of(roster->penalised.next, struct roster_entry, link));
}

static bool has_orders(const struct roster_care *care)
{
    for (unsigned type = 0; type < ORDER_TYPES; type++)
        if (care->orders[type])
            return true;
    return false;
}

static bool is_idle(const struct roster_care *care)
{
    return !care->claims && !has_orders(care) && !care->removal && !care->is_proved_dead && !care->is_flapping &&
           !care->trouble && !loss_counts(&care->loss) && care->flap.penalty == 0 && !timer_is_armed(&care->timer);
}

void roster_tidy(struct roster *roster, struct roster_entry *entry)
{
    if (entry->care && is_idle(entry->care)) {
        care_free(roster, entry->care);
        entry->care = NULL;
    }
    if (entry->state != ROSTER_ABSENT)
        return;
    if (!entry->care)
        entry_forget(roster, entry);
    else if (!has_orders(entry->care))
        entry_penalised(roster, entry);
}

/* ------------------------------------------------------------------------------------------------ changing */

int roster_link_key(struct roster *roster, struct roster_entry *entry, struct slice key)
{
    if (entry->is_keyed)
        return 0;
    int r = htab_insert(&roster->keys, &entry->by_key, hash_text(roster, key));
    if (r == 0)
        entry->is_keyed = true;
    return r;
}

void roster_unlink_key(struct roster *roster, struct roster_entry *entry)
{
    if (entry->is_keyed)
        htab_remove(&roster->keys, &entry->by_key);
    entry->is_keyed = false;
}

static bool is_shown(enum roster_state state)
{
    return state == ROSTER_PRESENT || state == ROSTER_HELD;
}

void roster_set(struct roster *roster, struct roster_entry *entry, enum roster_state state,
                const struct instance *instance)
{
    struct roster_service *service = entry->service;
    ASSERT((state == ROSTER_ABSENT) == !instance && (state != ROSTER_PRESENT || entry->is_keyed));
    if (entry->state == ROSTER_ABSENT && list_is_linked(&entry->link))
        roster->n_penalised--;
    if (!is_shown(state) || !is_shown(entry->state))
        list_remove(&entry->link);
    if (is_shown(state) && !is_shown(entry->state))
        list_push_back(&service->shown, &entry->link);
    service->n_present -= entry->state == ROSTER_PRESENT;
    service->n_present += state == ROSTER_PRESENT;
    if (state != ROSTER_PRESENT)
        roster_unlink_key(roster, entry);
    const struct instance *former = entry->instance;
    entry->state = state;
    entry->instance = instance;
    if (former != instance)
        instance_unref(former);
}

void roster_set_deadline(struct roster *roster, struct roster_entry *entry, enum roster_deadline which, nsec_t at_ns)
{
    struct roster_care *care = entry->care;
    ASSERT(care || at_ns == 0);
    if (!care)
        return;
    care->deadlines[which] = at_ns;
    nsec_t next = NSEC_NEVER;
    for (unsigned i = 0; i < ROSTER_DEADLINES; i++)
        if (care->deadlines[i] != 0 && care->deadlines[i] < next)
            next = care->deadlines[i];
    wheel_cancel(&roster->wheel, &care->timer);
    wheel_arm(&roster->wheel, &care->timer, next);
}

void roster_set_order(struct roster *roster, struct roster_service *service, struct roster_entry *entry,
                      enum order_type type, struct order *order)
{
    struct order **place = entry ? &entry->care->orders[type] : &service->orders[type];
    order_discard(roster, *place);
    *place = order;
    if (!order)
        return;
    if (entry && entry->state == ROSTER_ABSENT && list_is_linked(&entry->link)) {
        list_remove(&entry->link);
        roster->n_penalised--;
    }
    order->service = service;
    order->entry = entry;
    order->timer.on_expire = roster->on_order;
}

/* ------------------------------------------------------------------------------------------------ claims */

int roster_add_claim(struct roster *roster, struct roster_entry *entry, const struct instance *instance)
{
    struct roster_care *care = roster_need_care(roster, entry);
    struct roster_claim *claim = care ? calloc(1, sizeof(*claim)) : NULL;
    if (!claim)
        return -ENOMEM;
    if (htab_insert(&roster->claims, &claim->by_key, hash_text(roster, instance->key)) < 0) {
        free(claim);
        return -ENOMEM;
    }
    claim->entry = entry;
    claim->instance = instance;
    claim->next = care->claims;
    care->claims = claim;
    return 0;
}

void roster_drop_claim(struct roster *roster, struct roster_claim *claim)
{
    struct roster_claim **at = &claim->entry->care->claims;
    while (*at != claim)
        at = &(*at)->next;
    *at = claim->next;
    htab_remove(&roster->claims, &claim->by_key);
    instance_unref(claim->instance);
    free(claim);
}
