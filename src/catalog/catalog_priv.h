/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the catalogue share.
 *
 *     catalog_keys.c     keys -> instances; incarnations; conflicts
 *     catalog_claims.c   several keys for one name
 *     catalog_loss.c     keys that went: evidence of death, mass losses, what is held and released
 *     catalog_orders.c   drain and maintenance, of one instance or a service
 *     catalog_reports.c  checks, probes, suspicions, sessions, sources
 *     catalog_ttl.c      checks that pass as long as somebody says so
 *     catalog_time.c     deadlines, and work that is too much for one step
 *     catalog_edit.c     the one place where an instance changes: directory, change and note, all or nothing
 *
 * A step: at most one edit made for its event (two where a key changes its name), everything that may fail first. What
 * an event means for many instances (the drain of a service, a mass loss) is put down as work of the service and done
 * by the next steps in time, one edit after the other.
 */
#pragma once

#include "catalog/catalog.h"
#include "catalog/changes.h"
#include "catalog/directory_write.h"
#include "catalog/roster.h"
#include "catalog/updates.h"

struct catalog {
    struct catalog_options options;
    struct flap_rules flap_rules;
    struct loss_rules loss_rules;
    struct roster roster;
    struct directory *directory;
    struct changes *changes;
    uint64_t incarnation; /* the last one given */
    bool has_stepped;
    int64_t wall_ms; /* of the last step */
    _Atomic int64_t passed;
    /* of the running step */
    const struct catalog_time *time;
    struct catalog_updates *updates;
    int failure; /* of a timer's work */
};

#define REASON_BIT(reason) (1U << INSTANCE_REASON_##reason)

static inline bool entry_is_shown(const struct roster_entry *entry)
{
    return entry->state == ROSTER_PRESENT || entry->state == ROSTER_HELD;
}

/* -------- catalog_edit.c */

/* Why an instance changes, for its timeline. */
struct edit {
    enum timeline_kind kind;
    struct slice actor, evidence;
    int64_t silence_ms;
    bool is_quiet; /* nobody is told: no change, no note, no revision */
};

/*
 * Shows the model under the entry's name, in that state (PRESENT or HELD), which the entry then has. Its revision and
 * the time of its status are set here. 0, or -ENOMEM: then nothing has changed.
 */
int edit_show(struct catalog *catalog, struct roster_entry *entry, enum roster_state state,
              const struct instance *model, const struct edit *edit);
/* Takes the entry's instance out. LOST: the entry keeps it. */
int edit_hide(struct catalog *catalog, struct roster_entry *entry, enum roster_state state, const struct edit *edit);
/* The same instance with these reasons. */
int edit_reasons(struct catalog *catalog, struct roster_entry *entry, uint32_t reasons, const struct edit *edit);

/* -------- catalog_keys.c */

int keys_step(struct catalog *catalog, const struct catalog_event *event);
/* Whether it has the better claim to a name that both have. */
bool keys_is_older(const struct instance *a, const struct instance *b);
/* Shows another incarnation in the place of the entry's; its key is linked already. */
int keys_replace(struct catalog *catalog, struct roster_entry *entry, const struct instance *successor,
                 const struct edit *edit);

/* -------- catalog_claims.c: as steps, 0 or -ENOMEM without effect */

/* The key that stood for the name went; another one takes over. There is one. */
int claims_take_over(struct catalog *catalog, struct roster_entry *entry, const struct edit *edit);
/* A key claims the name; the one that is shown has the better right. */
int claims_wait(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                const struct edit *edit);
/* … it has the better right itself, and the one that is shown has to wait. */
int claims_displace(struct catalog *catalog, struct roster_entry *entry, const struct instance *model,
                    const struct edit *edit);

/* -------- catalog_loss.c */

/* The key of a PRESENT entry went; `is_explained`: with evidence of death, or somebody's will. */
int loss_key_gone(struct catalog *catalog, struct roster_entry *entry, const struct edit *edit, bool is_explained);
/* A HELD one is let go. */
int loss_release(struct catalog *catalog, struct roster_entry *entry, struct slice actor, struct slice evidence);
/* It lives, though its key is gone: it may be held for longer. */
void loss_keep(struct catalog *catalog, struct roster_entry *entry);
/* It is back: it counts as lost no more. */
void loss_is_back(struct catalog *catalog, struct roster_entry *entry);
/* Brings back, as HELD, one of those lost earlier in the window of a mass loss. 1: done, 0: there is none, -ENOMEM. */
int loss_bring_back(struct catalog *catalog, struct roster_service *service);
/* The oldest loss has left the window. */
void loss_timer_fired(struct timer *timer);

/* -------- catalog_orders.c */

int orders_step(struct catalog *catalog, const struct catalog_event *event);
/* What is ordered for an instance of that name, written into the model, whose orders are then *ret_orders. */
void orders_apply(const struct roster_entry *entry, struct instance *model, struct instance_orders *ret_orders);
/* One entry of the service hears of its orders. 1: done, 0: all have heard, -ENOMEM. */
int orders_tell_next(struct catalog *catalog, struct roster_service *service);
void orders_timer_fired(struct timer *timer);

/* -------- catalog_reports.c */

int reports_step(struct catalog *catalog, const struct catalog_event *event);

/* -------- catalog_ttl.c */

/* Before the model is shown: 0 or -ENOMEM. What follows cannot fail then. */
int ttl_prepare(struct catalog *catalog, struct roster_entry *entry, const struct instance *model);
/* The instance of the entry is there now, or passes: its time begins anew. Harmless when its check is another one. */
void ttl_begin(struct catalog *catalog, struct roster_entry *entry);
/* It fails: nothing is waited for. */
void ttl_end(struct catalog *catalog, struct roster_entry *entry);
/* The same instance has another record, with another check perhaps. */
void ttl_adjust(struct catalog *catalog, struct roster_entry *entry);
/* Its time is over. 0 or -ENOMEM. */
int ttl_due(struct catalog *catalog, struct roster_entry *entry);

/* -------- catalog_time.c */

int time_step(struct catalog *catalog);
/* Has work done for the service by the next steps in time. */
void time_add_work(struct catalog *catalog, struct roster_service *service);
/* The instance of the entry, which has care, has gone once more, or has been seen to fail. */
void time_count_departure(struct catalog *catalog, struct roster_entry *entry);
/* Sets the deadline at which the penalty crosses a threshold. */
void time_watch_penalty(struct catalog *catalog, struct roster_entry *entry);
/* Nothing of what was known about the instance holds any more: another one, or none, is there now. */
void time_forget_troubles(struct catalog *catalog, struct roster_entry *entry);
void time_entry_fired(struct timer *timer);
