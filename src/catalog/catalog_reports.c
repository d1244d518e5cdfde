/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What parties found out about an instance: each sets and clears its own reason and touches no other.
 *
 *     CHECK     STARTING until the first pass, FAILING; failing for too long has the key deleted. Of a TTL check a pass
 *               is good for its interval (catalog_ttl.c)
 *     SESSION   DISCONNECTED; when its grace is over, the key is deleted. (After a start, see catalog_time.c)
 *     SOURCE    STOPPED
 *     SUSPECT   SUSPECT, which ends by itself when nobody renews it
 *     PROBE     SUSPECT, and proof for the day the key expires. Of one that is mute a connection proves nothing
 *     REFUSED   none; it is told at most once in REFUSAL_NS, whoever asks how often
 *
 * A held instance has no key left, so any bad word about it but a mere suspicion is the proof that was waited for.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>

#define REFUSAL_NS (10 * NSEC_PER_SEC)

/* Sets or clears reasons; nothing is told when that changes nothing. 1: changed, 0: as it was, -ENOMEM. */
static int change_reasons(struct catalog *catalog, struct roster_entry *entry, uint32_t set, uint32_t clear,
                          enum timeline_kind kind, const struct catalog_event *event)
{
    uint32_t reasons = (entry->instance->reasons & ~clear) | set;
    if (reasons == entry->instance->reasons)
        return 0;
    const struct edit edit = {.kind = kind, .actor = event->report.actor, .evidence = event->report.evidence};
    int r = edit_reasons(catalog, entry, reasons, &edit);
    return r < 0 ? r : 1;
}

/* As change_reasons, and remembers why, for the day the key is deleted for it. */
static int change_for_trouble(struct catalog *catalog, struct roster_entry *entry, uint32_t set,
                              enum timeline_kind kind, const struct catalog_event *event)
{
    if ((entry->instance->reasons & set) == set)
        return 0;
    char *trouble = slice_dup(updates_cut(event->report.evidence));
    int r = trouble ? change_reasons(catalog, entry, set, 0, kind, event) : -ENOMEM;
    if (r < 0) {
        free(trouble);
        return r;
    }
    free(entry->care->trouble);
    entry->care->trouble = trouble;
    return r;
}

static int check_passed(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_reasons(catalog, entry, 0, REASON_BIT(STARTING) | REASON_BIT(FAILING), TIMELINE_CHECK_PASSED, event);
    if (r < 0)
        return r;
    entry->care->is_proved_dead = false;
    if (entry->care->removal == TIMELINE_CHECK_REMOVED)
        entry->care->removal = 0;
    roster_set_deadline(&catalog->roster, entry, ROSTER_REMOVAL, 0);
    ttl_begin(catalog, entry);
    return 0;
}

static int check_failed(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_for_trouble(catalog, entry, REASON_BIT(FAILING), TIMELINE_CHECK_FAILED, event);
    if (r < 0)
        return r;
    ttl_end(catalog, entry);
    if (r == 0)
        return 0;
    const struct instance_check *check = instance_details(&entry->instance->record)->check;
    if (check && check->remove_after_ms > 0)
        roster_set_deadline(&catalog->roster, entry, ROSTER_REMOVAL,
                            catalog->time->now_ns + check->remove_after_ms * NSEC_PER_MSEC);
    time_count_departure(catalog, entry);
    return 0;
}

static int session_back(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_reasons(catalog, entry, 0, REASON_BIT(DISCONNECTED), TIMELINE_CONN_BACK, event);
    if (r < 0)
        return r;
    if (entry->care->removal == TIMELINE_CONN_LOST)
        entry->care->removal = 0;
    roster_set_deadline(&catalog->roster, entry, ROSTER_GRACE, 0);
    return 0;
}

static int session_broke(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_for_trouble(catalog, entry, REASON_BIT(DISCONNECTED), TIMELINE_DISCONNECTED, event);
    if (r <= 0)
        return r;
    roster_set_deadline(&catalog->roster, entry, ROSTER_GRACE, catalog->time->now_ns + event->report.grace_ns);
    time_count_departure(catalog, entry);
    return 0;
}

static int suspected(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_reasons(catalog, entry, REASON_BIT(SUSPECT), 0, TIMELINE_SUSPECTED, event);
    if (r < 0)
        return r;
    if (event->type == CATALOG_SUSPECT)
        entry->care->is_mute = event->report.is_mute;
    roster_set_deadline(&catalog->roster, entry, ROSTER_SUSPICION,
                        catalog->time->now_ns + catalog->options.suspicion_ns);
    return 0;
}

static int cleared(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = change_reasons(catalog, entry, 0, REASON_BIT(SUSPECT), TIMELINE_CLEARED, event);
    if (r < 0)
        return r;
    entry->care->is_mute = false;
    roster_set_deadline(&catalog->roster, entry, ROSTER_SUSPICION, 0);
    return 0;
}

static int probed(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    bool is_good = event->report.is_good;
    bool proves_nothing = is_good && entry->care->is_mute && !event->report.has_answered;
    int r = proves_nothing ? 0 : is_good ? cleared(catalog, entry, event) : suspected(catalog, entry, event);
    if (r == 0)
        entry->care->is_proved_dead = !is_good;
    return r;
}

static int source_reported(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    const uint32_t stopped = REASON_BIT(STOPPED);
    int r = event->report.is_good ? change_reasons(catalog, entry, 0, stopped, TIMELINE_STARTED, event)
                                  : change_reasons(catalog, entry, stopped, 0, TIMELINE_STOPPED, event);
    return r < 0 ? r : 0;
}

static int refused(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    const struct edit edit = {
        .kind = TIMELINE_REFUSED, .actor = event->report.actor, .evidence = event->report.evidence};
    if (entry->care->deadlines[ROSTER_REFUSAL] != 0)
        return 0;
    int r = edit_reasons(catalog, entry, entry->instance->reasons, &edit);
    if (r == 0)
        roster_set_deadline(&catalog->roster, entry, ROSTER_REFUSAL, catalog->time->now_ns + REFUSAL_NS);
    return r;
}

static int dispatch(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    const bool is_good = event->report.is_good;
    switch (event->type) {
    case CATALOG_CHECK:
        return is_good ? check_passed(catalog, entry, event) : check_failed(catalog, entry, event);
    case CATALOG_SESSION:
        return is_good ? session_back(catalog, entry, event) : session_broke(catalog, entry, event);
    case CATALOG_SUSPECT:
        return is_good ? cleared(catalog, entry, event) : suspected(catalog, entry, event);
    case CATALOG_PROBE:
        return probed(catalog, entry, event);
    case CATALOG_REFUSED:
        return refused(catalog, entry, event);
    default:
        ASSERT(event->type == CATALOG_SOURCE);
        return source_reported(catalog, entry, event);
    }
}

static int report_shown(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    int r = roster_need_care(&catalog->roster, entry) ? dispatch(catalog, entry, event) : -ENOMEM;
    if (entry->care && !(entry->instance->reasons & (REASON_BIT(FAILING) | REASON_BIT(DISCONNECTED))))
        free(TAKE(entry->care->trouble));
    roster_tidy(&catalog->roster, entry);
    return r;
}

static int report_held(struct catalog *catalog, struct roster_entry *entry, const struct catalog_event *event)
{
    if (event->type == CATALOG_SUSPECT || event->type == CATALOG_REFUSED)
        return report_shown(catalog, entry, event);
    if (!event->report.is_good)
        return loss_release(catalog, entry, event->report.actor, event->report.evidence);
    loss_keep(catalog, entry);
    return 0;
}

int reports_step(struct catalog *catalog, const struct catalog_event *event)
{
    struct roster_entry *entry = roster_find(&catalog->roster, event->report.service, event->report.id);
    if (!entry || !entry_is_shown(entry))
        return 0;
    if (event->report.incarnation != 0 && event->report.incarnation != entry->instance->incarnation)
        return 0;
    return entry->state == ROSTER_HELD ? report_held(catalog, entry, event) : report_shown(catalog, entry, event);
}
