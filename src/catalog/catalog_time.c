/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens by itself: deadlines of entries, the penalty of flapping, and the work of services. All of it happens in
 * CATALOG_TIME events only, a bounded piece in each, so that neither a service of 100,000 that is drained nor as many
 * deadlines in one millisecond hold up the events that come in between. While something is left, the deadline of the
 * catalogue is in the past.
 *
 * A piece for which there is no memory is put back and tried again in the next step.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"
#include "base/util.h"

#include <stdio.h>
#include <stdlib.h>

/* Pieces in one step. */
#define STEP_BUDGET 64

/* A key that we want deleted and is still there is asked for again after this. */
#define ASK_AGAIN_NS (10 * NSEC_PER_SEC)

/* A penalty that has fallen below half a departure is forgotten. */
#define PENALTY_FORGOTTEN 50

/* ------------------------------------------------------------------------------------------------ work of services */

void time_add_work(struct catalog *catalog, struct roster_service *service)
{
    if (!list_is_linked(&service->work))
        list_push_back(&catalog->roster.work, &service->work);
}

/* All have heard: what is withdrawn need not be kept any longer. */
static void end_work(struct catalog *catalog, struct roster_service *service)
{
    list_remove(&service->work);
    for (enum order_type type = 0; type < ORDER_TYPES; type++)
        if (!order_terms(service->orders[type]))
            roster_set_order(&catalog->roster, service, NULL, type, NULL);
    roster_tidy_service(&catalog->roster, service);
}

/* One piece of the work of one service, which then goes behind the others. 0 or -ENOMEM. */
static int work(struct catalog *catalog)
{
    struct roster_service *service = container_of(catalog->roster.work.next, struct roster_service, work);
    int r = loss_bring_back(catalog, service);
    if (r == 0)
        r = orders_tell_next(catalog, service);
    if (r == 0) {
        end_work(catalog, service);
    } else if (r > 0) {
        list_remove(&service->work);
        list_push_back(&catalog->roster.work, &service->work);
    }
    return r < 0 ? r : 0;
}

/* ------------------------------------------------------------------------------------------------ penalties */

static bool has_reason(const struct roster_entry *entry, enum instance_reason reason)
{
    return (entry->instance->reasons >> reason) & 1U;
}

void time_watch_penalty(struct catalog *catalog, struct roster_entry *entry)
{
    const struct flap_rules *rules = &catalog->flap_rules;
    const struct roster_care *care = roster_care(entry);
    const nsec_t now_ns = catalog->time->now_ns;
    nsec_t at_ns = 0;
    if (care->flap.penalty > 0 || care->is_flapping) {
        at_ns = flap_falls_to(&care->flap, rules, care->is_flapping ? rules->reuse : PENALTY_FORGOTTEN, now_ns);
        if (care->is_flapping && entry_is_shown(entry) && !has_reason(entry, INSTANCE_REASON_FLAPPING))
            at_ns = now_ns; /* to say so */
    }
    roster_set_deadline(&catalog->roster, entry, ROSTER_FLAP, at_ns);
}

void time_count_departure(struct catalog *catalog, struct roster_entry *entry)
{
    const struct flap_rules *rules = &catalog->flap_rules;
    struct roster_care *care = entry->care;
    if (rules->suppress == 0)
        return;
    flap_add(&care->flap, rules, catalog->time->now_ns);
    care->is_flapping |= care->flap.penalty >= rules->suppress;
    time_watch_penalty(catalog, entry);
}

/* Says that it is flapping, or no longer. */
static int tell_flapping(struct catalog *catalog, struct roster_entry *entry, bool is_flapping, uint32_t penalty)
{
    if (!entry_is_shown(entry) || has_reason(entry, INSTANCE_REASON_FLAPPING) == is_flapping)
        return 0;
    char words[64];
    int n = snprintf(words, sizeof(words), "penalty %u.%02u", penalty / 100, penalty % 100);
    ASSERT(n > 0 && (size_t)n < sizeof(words));
    const struct edit edit = {
        .kind = is_flapping ? TIMELINE_FLAPPING : TIMELINE_STEADY,
        .evidence = slice_from(words, (size_t)n),
    };
    return edit_reasons(catalog, entry, entry->instance->reasons ^ REASON_BIT(FLAPPING), &edit);
}

static int penalty_due(struct catalog *catalog, struct roster_entry *entry)
{
    const struct flap_rules *rules = &catalog->flap_rules;
    struct roster_care *care = entry->care;
    uint32_t penalty = flap_penalty(&care->flap, rules, catalog->time->now_ns);
    bool is_flapping = care->is_flapping && penalty > rules->reuse;
    int r = tell_flapping(catalog, entry, is_flapping, penalty);
    if (r < 0)
        return r;
    care->is_flapping = is_flapping;
    if (!is_flapping && penalty <= PENALTY_FORGOTTEN)
        care->flap = (struct flap){0};
    time_watch_penalty(catalog, entry);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ deadlines */

void time_forget_troubles(struct catalog *catalog, struct roster_entry *entry)
{
    struct roster_care *care = entry->care;
    if (!care)
        return;
    care->removal = 0;
    care->is_proved_dead = false;
    free(TAKE(care->trouble));
    for (enum roster_deadline which = 0; which < ROSTER_DEADLINES; which++)
        if (which != ROSTER_FLAP)
            care->deadlines[which] = 0;
    roster_set_deadline(&catalog->roster, entry, ROSTER_FLAP, care->deadlines[ROSTER_FLAP]);
}

/* Has the key of the entry deleted, for that reason. */
static int ask_removal(struct catalog *catalog, struct roster_entry *entry, enum roster_deadline which,
                       enum timeline_kind kind)
{
    const char *trouble = entry->care->trouble ? entry->care->trouble : "";
    char words[UPDATES_TEXT_MAX + 32];
    int n = snprintf(words, sizeof(words), "%s%s%s", kind == TIMELINE_CONN_LOST ? "connection lost" : "check failed",
                     trouble[0] ? ": " : "", trouble);
    ASSERT(n > 0 && (size_t)n < sizeof(words));
    const struct catalog_write write = {
        .type = CATALOG_DELETE_KEY,
        .key = entry->instance->key,
        .mod_revision = entry->instance->mod_revision,
        .cause = slice_from(words, (size_t)n),
    };
    int r = updates_prepare_write(catalog->updates, &write);
    if (r < 0)
        return r;
    updates_commit_write(catalog->updates);
    entry->care->removal = kind;
    roster_set_deadline(&catalog->roster, entry, which, catalog->time->now_ns + ASK_AGAIN_NS);
    return 0;
}

/* One that was held before the start, and nobody came: how long that is put up with, its lease says. */
static int return_due(struct catalog *catalog, struct roster_entry *entry)
{
    const struct edit edit = {.kind = TIMELINE_DISCONNECTED,
                              .evidence = SLICE_LIT("its connection has not come back since the registry was started")};
    if (entry->state == ROSTER_PRESENT) {
        int r = edit_reasons(catalog, entry, entry->instance->reasons | REASON_BIT(DISCONNECTED), &edit);
        if (r < 0)
            return r;
    }
    roster_set_deadline(&catalog->roster, entry, ROSTER_GRACE, 0);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

static int suspicion_due(struct catalog *catalog, struct roster_entry *entry)
{
    const struct edit edit = {.kind = TIMELINE_CLEARED, .evidence = SLICE_LIT("nobody has doubted it any more")};
    if (has_reason(entry, INSTANCE_REASON_SUSPECT)) {
        int r = edit_reasons(catalog, entry, entry->instance->reasons & ~REASON_BIT(SUSPECT), &edit);
        if (r < 0)
            return r;
    }
    entry->care->is_mute = false;
    roster_set_deadline(&catalog->roster, entry, ROSTER_SUSPICION, 0);
    roster_tidy(&catalog->roster, entry);
    return 0;
}

/* Each sets its deadline anew, or forgets the entry. 0, or -ENOMEM: then all is as it was. */
static int deadline_due(struct catalog *catalog, struct roster_entry *entry, enum roster_deadline which)
{
    switch (which) {
    case ROSTER_GRACE:
        return has_reason(entry, INSTANCE_REASON_DISCONNECTED) ? ask_removal(catalog, entry, which, TIMELINE_CONN_LOST)
                                                               : return_due(catalog, entry);
    case ROSTER_REPORT:
        return ttl_due(catalog, entry);
    case ROSTER_REMOVAL:
        return ask_removal(catalog, entry, which, TIMELINE_CHECK_REMOVED);
    case ROSTER_SUSPICION:
        return suspicion_due(catalog, entry);
    case ROSTER_HOLD:
        return loss_release(catalog, entry, (struct slice){0}, SLICE_LIT("nobody could look whether it lives"));
    case ROSTER_FLAP:
        return penalty_due(catalog, entry);
    case ROSTER_REFUSAL:
        roster_set_deadline(&catalog->roster, entry, which, 0);
        roster_tidy(&catalog->roster, entry);
        return 0;
    case ROSTER_DEADLINES:
        break;
    }
    ASSERT(!"a deadline");
}

/* The earliest deadline of an entry is due; when others are too, the timer fires again. */
void time_entry_fired(struct timer *timer)
{
    struct roster_care *care = container_of(timer, struct roster_care, timer);
    struct roster_entry *entry = care->entry;
    struct catalog *catalog = container_of(entry->service->roster, struct catalog, roster);
    enum roster_deadline which = 0;
    while (care->deadlines[which] != timer->deadline_ns)
        which++;
    catalog->failure = deadline_due(catalog, entry, which);
    if (catalog->failure < 0)
        roster_set_deadline(&catalog->roster, entry, which, care->deadlines[which]);
}

int time_step(struct catalog *catalog)
{
    catalog->failure = 0;
    unsigned budget = STEP_BUDGET;
    for (; budget > 0 && !list_is_empty(&catalog->roster.work); budget--) {
        int r = work(catalog);
        if (r < 0)
            return r;
    }
    while (budget > 0 && wheel_advance(&catalog->roster.wheel, catalog->time->now_ns, 1) > 0) {
        budget--;
        if (catalog->failure < 0)
            return catalog->failure;
    }
    return 0;
}
