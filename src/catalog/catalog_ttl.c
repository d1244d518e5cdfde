/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TTL checks: the instance passes as long as somebody reports that it does, each time for its interval.
 *
 *     registered         STARTING; its time begins
 *     reported passing   well; its time begins anew
 *     its time is over   FAILING "no report for 10500 ms", until a report passes
 *     reported failing   FAILING; no time runs
 *
 * That no report has come says something about the instance only when we have listened all the while. When this process
 * was stopped, reports may lie in sockets that nobody has read yet. So a time that is over is looked at twice, and the
 * second look counts only when it comes on time itself: whoever has reported is heard in between.
 */
#include "catalog/catalog_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>

/* Between the looks. */
#define LAST_CALL_NS (500 * NSEC_PER_MSEC)

/* NULL: its check is another one, or none. */
static const struct instance_check *ttl_check(const struct instance *instance)
{
    const struct instance_check *check = instance_details(&instance->record)->check;
    return check && check->type == INSTANCE_CHECK_TTL ? check : NULL;
}

static nsec_t interval_ns(const struct instance_check *check)
{
    return check->interval_ms * NSEC_PER_MSEC;
}

int ttl_prepare(struct catalog *catalog, struct roster_entry *entry, const struct instance *model)
{
    if (!ttl_check(model))
        return 0;
    return roster_need_care(&catalog->roster, entry) ? 0 : -ENOMEM;
}

void ttl_begin(struct catalog *catalog, struct roster_entry *entry)
{
    const struct instance_check *check = ttl_check(entry->instance);
    if (!check)
        return;
    entry->care->heard_ns = catalog->time->now_ns;
    roster_set_deadline(&catalog->roster, entry, ROSTER_REPORT, catalog->time->now_ns + interval_ns(check));
}

void ttl_end(struct catalog *catalog, struct roster_entry *entry)
{
    roster_set_deadline(&catalog->roster, entry, ROSTER_REPORT, 0);
}

void ttl_adjust(struct catalog *catalog, struct roster_entry *entry)
{
    const struct instance_check *check = ttl_check(entry->instance);
    if (!check)
        ttl_end(catalog, entry);
    else if (entry->care->deadlines[ROSTER_REPORT] != 0)
        roster_set_deadline(&catalog->roster, entry, ROSTER_REPORT, entry->care->heard_ns + interval_ns(check));
    else if (!INSTANCE_HAS(entry->instance, FAILING))
        ttl_begin(catalog, entry);
}

static int fail(struct catalog *catalog, struct roster_entry *entry)
{
    char words[64];
    nsec_t silence_ns = catalog->time->now_ns - entry->care->heard_ns;
    int n = snprintf(words, sizeof(words), "no report for %lld ms", (long long)(silence_ns / NSEC_PER_MSEC));
    ASSERT(n > 0 && (size_t)n < sizeof(words));
    const struct catalog_event event = {
        .type = CATALOG_CHECK,
        .report =
            {
                .service = roster_service_name(entry->service),
                .id = roster_id(entry),
                .evidence = slice_from(words, (size_t)n),
            },
    };
    return reports_step(catalog, &event);
}

int ttl_due(struct catalog *catalog, struct roster_entry *entry)
{
    const nsec_t now_ns = catalog->time->now_ns;
    const nsec_t due_ns = entry->care->deadlines[ROSTER_REPORT];
    if (entry->state != ROSTER_PRESENT) { /* held: it is looked at */
        ttl_end(catalog, entry);
        return 0;
    }
    const struct instance_check *check = ttl_check(entry->instance);
    ASSERT(check);
    bool is_first_look = due_ns < entry->care->heard_ns + interval_ns(check) + LAST_CALL_NS;
    if (is_first_look || now_ns > due_ns + LAST_CALL_NS) {
        roster_set_deadline(&catalog->roster, entry, ROSTER_REPORT, now_ns + LAST_CALL_NS);
        return 0;
    }
    roster_set_deadline(&catalog->roster, entry, ROSTER_REPORT, due_ns); /* stays due, should that fail */
    return fail(catalog, entry);
}
