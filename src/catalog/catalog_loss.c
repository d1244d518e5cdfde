/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of an instance whose key went.
 *
 *     with evidence of death, or by somebody's will      it goes: ABSENT
 *     in silence                                         it goes at once, but is remembered for a window: LOST
 *     in silence, and it makes a mass loss               it stays: HELD; those LOST in the window come back as HELD
 *     HELD, and registered again                         PRESENT, the same incarnation if its address is the same
 *     HELD, and proved dead, or looked at by nobody      it goes: ABSENT
 *
 * An older key that stands for the same name steps in before any of this.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"
#include "base/util.h"

#include <errno.h>
#include <stdio.h>

/* So many that left the window are forgotten at a time. */
#define EXPIRE_BUDGET 64

/* What was lost with `entry` has left the window, or ended otherwise. */
static void forget_lost(struct catalog *catalog, struct roster_entry *entry)
{
    if (entry->state != ROSTER_LOST)
        return;
    roster_set(&catalog->roster, entry, ROSTER_ABSENT, NULL);
    roster_tidy(&catalog->roster, entry);
}

/* Forgets losses that have left the window, at most so many; the service may be gone after that. */
static void expire_losses(struct catalog *catalog, struct roster_service *service, unsigned budget)
{
    for (; budget > 0; budget--) {
        struct loss *loss = loss_expire(&service->losses, &catalog->loss_rules, catalog->time->now_ns);
        if (!loss)
            break;
        bool is_last = service->losses.n == 0;
        forget_lost(catalog, container_of(loss, struct roster_care, loss)->entry);
        if (is_last)
            return;
    }
    wheel_arm(&catalog->roster.wheel, &service->loss_timer, loss_next(&service->losses, &catalog->loss_rules));
}

void loss_timer_fired(struct timer *timer)
{
    struct roster_service *service = container_of(timer, struct roster_service, loss_timer);
    struct catalog *catalog = container_of(service->roster, struct catalog, roster);
    expire_losses(catalog, service, EXPIRE_BUDGET);
}

/* "3 of 4 lost within 5000 ms" */
static struct slice describe_loss(const struct catalog *catalog, const struct roster_service *service, unsigned n_there,
                                  char *room, size_t size)
{
    int n = snprintf(room, size, "%u of %u lost within %lld ms", service->losses.n, service->losses.n + n_there,
                     (long long)(catalog->loss_rules.window_ns / NSEC_PER_MSEC));
    ASSERT(n > 0 && (size_t)n < size);
    return slice_from(room, (size_t)n);
}

/* One that was lost for a moment: what it has missed. Suspicions have not been renewed meanwhile. */
static void catch_up(const struct roster_entry *entry, struct instance *model, struct instance_orders *ret_orders)
{
    orders_apply(entry, model, ret_orders);
    model->reasons &= ~(REASON_BIT(SUSPECT) | REASON_BIT(FLAPPING));
    if (entry->care->is_flapping)
        model->reasons |= REASON_BIT(FLAPPING);
}

static int hold(struct catalog *catalog, struct roster_entry *entry, unsigned n_there, struct edit edit)
{
    char room[80];
    edit.kind = TIMELINE_HELD;
    edit.evidence = describe_loss(catalog, entry->service, n_there, room, sizeof(room));
    struct instance model = instance_model(entry->instance);
    struct instance_orders orders;
    if (entry->state == ROSTER_LOST)
        catch_up(entry, &model, &orders);
    model.reasons |= REASON_BIT(HELD);
    model.lease = 0;
    int r = edit_show(catalog, entry, ROSTER_HELD, &model, &edit);
    if (r < 0)
        return r;
    loss_hold(&entry->care->loss);
    loss_keep(catalog, entry);
    return 0;
}

void loss_keep(struct catalog *catalog, struct roster_entry *entry)
{
    roster_set_deadline(&catalog->roster, entry, ROSTER_HOLD, catalog->time->now_ns + catalog->options.hold_max_ns);
}

/* Went in silence. */
static int vanish(struct catalog *catalog, struct roster_entry *entry, const struct edit *edit)
{
    struct roster_service *service = entry->service;
    const unsigned n_there = service->n_present - 1;
    while (loss_next(&service->losses, &catalog->loss_rules) <= catalog->time->now_ns)
        expire_losses(catalog, service, EXPIRE_BUDGET); /* the service stays: it has this entry */
    loss_add(&service->losses, &entry->care->loss, catalog->time->now_ns);

    bool is_mass = loss_is_mass(&service->losses, &catalog->loss_rules, n_there);
    int r = is_mass ? hold(catalog, entry, n_there, *edit) : edit_hide(catalog, entry, ROSTER_LOST, edit);
    if (r < 0) {
        loss_forget(&service->losses, &entry->care->loss);
        return r;
    }
    wheel_arm(&catalog->roster.wheel, &service->loss_timer, loss_next(&service->losses, &catalog->loss_rules));
    if (is_mass) {
        service->is_mass_loss = true;
        time_add_work(catalog, service);
    } else {
        time_count_departure(catalog, entry);
    }
    return 0;
}

int loss_key_gone(struct catalog *catalog, struct roster_entry *entry, const struct edit *edit, bool is_explained)
{
    ASSERT(entry->state == ROSTER_PRESENT);
    if (roster_care(entry)->claims)
        return claims_take_over(catalog, entry, edit);
    if (!roster_need_care(&catalog->roster, entry))
        return -ENOMEM;
    int r = is_explained ? edit_hide(catalog, entry, ROSTER_ABSENT, edit) : vanish(catalog, entry, edit);
    if (r < 0)
        return r;
    if (is_explained)
        time_count_departure(catalog, entry);
    if (entry->state != ROSTER_HELD)
        time_forget_troubles(catalog, entry);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

int loss_release(struct catalog *catalog, struct roster_entry *entry, struct slice actor, struct slice evidence)
{
    ASSERT(entry->state == ROSTER_HELD);
    const struct edit edit = {.kind = TIMELINE_RELEASED, .actor = actor, .evidence = evidence};
    int r = edit_hide(catalog, entry, ROSTER_ABSENT, &edit);
    if (r < 0)
        return r;
    loss_is_back(catalog, entry); /* there is evidence now: it counts as lost no more */
    time_count_departure(catalog, entry);
    time_forget_troubles(catalog, entry);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

void loss_is_back(struct catalog *catalog, struct roster_entry *entry)
{
    struct roster_service *service = entry->service;
    if (!entry->care || !loss_counts(&entry->care->loss))
        return;
    loss_forget(&service->losses, &entry->care->loss);
    wheel_cancel(&catalog->roster.wheel, &service->loss_timer);
    wheel_arm(&catalog->roster.wheel, &service->loss_timer, loss_next(&service->losses, &catalog->loss_rules));
}

int loss_bring_back(struct catalog *catalog, struct roster_service *service)
{
    struct loss *loss = service->is_mass_loss ? loss_first_gone(&service->losses) : NULL;
    if (!loss) {
        service->is_mass_loss = false;
        return 0;
    }
    struct roster_entry *entry = container_of(loss, struct roster_care, loss)->entry;
    int r = hold(catalog, entry, service->n_present, (struct edit){0});
    if (r < 0)
        return r;
    flap_forgive(&entry->care->flap, &catalog->flap_rules, catalog->time->now_ns);
    time_watch_penalty(catalog, entry);
    return 1;
}
