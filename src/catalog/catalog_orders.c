/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain and maintenance. An order is kept under its name, of an instance or of a whole service, whether anybody is
 * registered under it or not: it survives re-registration and restarts, and ends when it is withdrawn or its time is
 * over. An instance's own order goes before its service's.
 *
 * An order of a service reaches its instances one by one, as work of the service: all of them are moved to `unseen` at
 * once and then told in turn. Who registers meanwhile obeys it from the start.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>

/* The wall clock is looked at this often at least: it may be set, and goes on while the machine sleeps. */
#define LOOK_AGAIN_NS (60 * NSEC_PER_SEC)

static const struct instance_order *terms_for(const struct roster_entry *entry, enum order_type type)
{
    const struct instance_order *own = order_terms(roster_care(entry)->orders[type]);
    return own ? own : order_terms(entry->service->orders[type]);
}

/* `orders`: what are the model's from now on. */
static void set_terms(struct instance *model, struct instance_orders *orders, enum order_type type,
                      const struct instance_order *terms)
{
    const uint32_t bit = type == ORDER_DRAIN ? REASON_BIT(DRAINING) : REASON_BIT(MAINTENANCE);
    *(type == ORDER_DRAIN ? &orders->drain : &orders->maintenance) = terms;
    model->orders = orders;
    model->reasons = terms ? model->reasons | bit : model->reasons & ~bit;
}

void orders_apply(const struct roster_entry *entry, struct instance *model, struct instance_orders *ret_orders)
{
    for (enum order_type type = 0; type < ORDER_TYPES; type++)
        set_terms(model, ret_orders, type, terms_for(entry, type));
}

/* Sees to it that the entry's instance obeys what is ordered. `by`: the order, or withdrawal, that is new. */
static int obey(struct catalog *catalog, struct roster_entry *entry, enum order_type type, const struct order *by)
{
    static const enum timeline_kind begins[] = {TIMELINE_DRAINING, TIMELINE_MAINTENANCE};
    static const enum timeline_kind ends[] = {TIMELINE_DRAIN_ENDED, TIMELINE_MAINTENANCE_ENDED};
    if (!entry_is_shown(entry))
        return 0;
    const struct instance *instance = entry->instance;
    const struct instance_order *terms = terms_for(entry, type);
    struct instance_orders orders = *instance_orders(instance);
    if (order_terms_equal(terms, type == ORDER_DRAIN ? orders.drain : orders.maintenance))
        return 0;
    struct instance model = instance_model(instance);
    set_terms(&model, &orders, type, terms);
    const struct edit edit = {
        .kind = terms ? begins[type] : ends[type],
        .actor = by->actor,
        .evidence = terms ? terms->reason : by->evidence,
        .is_quiet = by->is_initial,
    };
    return edit_show(catalog, entry, entry->state, &model, &edit);
}

/* ------------------------------------------------------------------------------------------------ putting in place */

static void arm(struct catalog *catalog, struct order *order)
{
    if (order->terms.since_ms == 0 || order->terms.until_ms == 0)
        return;
    int64_t left_ms = order->terms.until_ms - catalog->time->wall_ms;
    nsec_t wait_ns = LOOK_AGAIN_NS;
    if (left_ms < LOOK_AGAIN_NS / NSEC_PER_MSEC)
        wait_ns = left_ms > 0 ? left_ms * NSEC_PER_MSEC : 0;
    wheel_arm(&catalog->roster.wheel, &order->timer, catalog->time->now_ns + wait_ns);
}

/* Takes the order over when it returns 0; a withdrawal is not kept. */
static int put_for_instance(struct catalog *catalog, struct roster_entry *entry, struct order *order)
{
    const enum order_type type = order->type;
    struct order **place = &entry->care->orders[type];
    struct order *former = *place;
    *place = order;
    int r = obey(catalog, entry, type, order);
    *place = former;
    if (r < 0)
        return r;
    bool is_withdrawn = !order_terms(order);
    roster_set_order(&catalog->roster, entry->service, entry, type, is_withdrawn ? NULL : order);
    if (is_withdrawn)
        order_free(order);
    else
        arm(catalog, order);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

/* A withdrawal stays until all have heard who it was. Never fails. */
static void put_for_service(struct catalog *catalog, struct roster_service *service, struct order *order)
{
    roster_set_order(&catalog->roster, service, NULL, order->type, order);
    arm(catalog, order);
    list_splice_back(&service->unseen, &service->shown);
    time_add_work(catalog, service);
}

int orders_tell_next(struct catalog *catalog, struct roster_service *service)
{
    if (list_is_empty(&service->unseen))
        return 0;
    struct roster_entry *entry = container_of(service->unseen.next, struct roster_entry, link);
    for (enum order_type type = 0; type < ORDER_TYPES; type++) {
        int r = service->orders[type] ? obey(catalog, entry, type, service->orders[type]) : 0;
        if (r < 0)
            return r;
    }
    list_remove(&entry->link);
    list_push_back(&service->shown, &entry->link);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ given */

static int give_instance(struct catalog *catalog, struct slice service, struct slice id, struct order *order)
{
    struct roster *roster = &catalog->roster;
    struct roster_entry *entry =
        order_terms(order) ? roster_entry(roster, service, id) : roster_find(roster, service, id);
    if (!entry && order_terms(order))
        return -ENOMEM;
    if (!entry || order_terms_equal(order_terms(roster_care(entry)->orders[order->type]), order_terms(order))) {
        order_free(order);
        return 0;
    }
    int r = roster_need_care(roster, entry) ? put_for_instance(catalog, entry, order) : -ENOMEM;
    if (r < 0)
        roster_tidy(roster, entry);
    return r;
}

static int give_service(struct catalog *catalog, struct slice name, struct order *order)
{
    struct roster *roster = &catalog->roster;
    struct roster_service *service =
        order_terms(order) ? roster_service(roster, name) : roster_find_service(roster, name);
    if (!service && order_terms(order))
        return -ENOMEM;
    if (!service || order_terms_equal(order_terms(service->orders[order->type]), order_terms(order)))
        order_free(order);
    else
        put_for_service(catalog, service, order);
    return 0;
}

/* Takes the order over when it returns 0. */
static int give(struct catalog *catalog, struct slice service, struct slice id, struct order *order)
{
    return id.len ? give_instance(catalog, service, id, order) : give_service(catalog, service, order);
}

int orders_step(struct catalog *catalog, const struct catalog_event *event)
{
    const struct instance_order *terms = &event->order.order;
    struct order *order;
    int r = order_new(event->type == CATALOG_DRAIN ? ORDER_DRAIN : ORDER_MAINTENANCE, terms,
                      updates_cut(event->order.actor), updates_cut(terms->reason), &order);
    if (r < 0)
        return r;
    order->is_initial = event->order.is_initial;
    r = give(catalog, event->order.service, event->order.id, order);
    if (r < 0)
        order_free(order);
    return r;
}

/* ------------------------------------------------------------------------------------------------ over */

/* Its time is over: the document goes, and with it what it was for. */
static int end(struct catalog *catalog, const struct order *order)
{
    const struct slice service = roster_service_name(order->service);
    const struct slice id = order->entry ? roster_id(order->entry) : (struct slice){0};
    const struct slice words = SLICE_LIT("its time is over");
    const struct catalog_write write = {
        .type = order->type == ORDER_DRAIN ? CATALOG_END_DRAIN : CATALOG_END_MAINTENANCE,
        .service = service,
        .id = id,
        .cause = words,
    };
    struct order *withdrawal;
    int r = order_new(order->type, &(struct instance_order){0}, (struct slice){0}, words, &withdrawal);
    if (r < 0)
        return r;
    r = updates_prepare_write(catalog->updates, &write);
    if (r == 0)
        r = give(catalog, service, id, withdrawal);
    if (r < 0) {
        order_free(withdrawal);
        return r;
    }
    updates_commit_write(catalog->updates);
    return 0;
}

void orders_timer_fired(struct timer *timer)
{
    struct order *order = container_of(timer, struct order, timer);
    struct catalog *catalog = container_of(order->service->roster, struct catalog, roster);
    if (order->terms.until_ms > catalog->time->wall_ms) {
        arm(catalog, order);
        return;
    }
    catalog->failure = end(catalog, order);
    if (catalog->failure < 0)
        arm(catalog, order);
}
