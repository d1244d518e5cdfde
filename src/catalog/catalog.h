/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalogue: services and instances as a projection of the store's keys, with their status, its reasons, and what
 * happened to them.
 *
 * Passive and pure: events go in with their time, updates come out; it has no socket, no clock, no thread and never
 * calls back. One thread steps it (the curator, src/keeper/curator.h); any thread reads the directory it publishes.
 * The same events at the same times give the same updates, which is how it is tested: long random runs in virtual time.
 *
 *     catalog_step(catalog, &event, &now, updates)      as often as there are events
 *     catalog_publish(catalog)                          readers see the result; at the end of a burst
 *     the updates are carried out (writes submitted, notes appended, followers told), updates_reset
 *     catalog_deadline(catalog)                         when a CATALOG_TIME event is due at the latest
 *
 * What an event means for many instances (the drain of a service, a mass loss) is done by CATALOG_TIME events, a
 * bounded piece by each; until all of it is done the deadline is in the past. So step in time until it is not, then
 * publish.
 *
 * Revisions of the catalogue: one more at each change of an instance, above all revisions it ever gave (it is started
 * with the highest that the timeline remembers).
 */
#pragma once

#include "base/rcu.h"
#include "catalog/directory.h"
#include "catalog/projection.h"
#include "catalog/timeline.h"

struct catalog;

/* After the start, held instances are disconnected only when their sessions have not come back for so long. */
#define CATALOG_RETURN_NS (10 * NSEC_PER_SEC)

struct catalog_options {
    const struct projection *projection; /* required; outlives the catalogue */
    unsigned loss_min;                   /* mass loss: at least so many (3) … */
    unsigned loss_percent;               /* … and more than this share of the service (50) … */
    nsec_t loss_window_ns;               /* … within this time (5 s) without evidence of death */
    nsec_t hold_max_ns;                  /* a held instance that nobody can probe is released after this (5 min) */
    nsec_t flap_half_life_ns;            /* of the penalty (1 min) */
    unsigned flap_suppress, flap_reuse;  /* in hundredths of a departure: 400, 150. 0: no damping; else reuse is less */
    nsec_t suspicion_ns;                 /* a suspicion that is not renewed ends by itself (10 s) */
};

/* Now, by both clocks. */
struct catalog_time {
    nsec_t now_ns;
    int64_t wall_ms;
};

void catalog_options_init(struct catalog_options *options);

/* -------- events in */

enum catalog_event_type {
    CATALOG_KEY,   /* a key was written or deleted */
    CATALOG_DRAIN, /* ordered, changed, or withdrawn (order.since_ms 0); also those read from the store at the start */
    CATALOG_MAINTAIN,
    CATALOG_CHECK,   /* the verdict of an active or TTL check changed */
    CATALOG_PROBE,   /* a held or suspect instance was looked at: it lives, or is dead. A held one has no key left, so
                        that this is how it is deregistered too */
    CATALOG_SUSPECT, /* an observer doubts it, or no longer does */
    CATALOG_SESSION, /* the connection that holds it broke, or its session is back (a mere new write is no proof) */
    CATALOG_SOURCE,  /* the source says that it stopped, or started */
    CATALOG_REFUSED, /* who does not own it was turned away; told once in a while */
    CATALOG_TIME,    /* nothing but time has passed */
};

struct catalog_event {
    enum catalog_event_type type;
    union {
        struct {
            const struct store_kv *kv; /* version 0: deleted */
            struct store_note why;     /* who and why: store_commit_why */
            bool is_initial; /* read at the start: no timeline entry, no change is told; why.wall_ms says since
                                          when it is there, 0: nobody knows */
        } key;
        struct {
            struct slice service, id;
            uint64_t incarnation; /* a report for another one is dropped; 0: whichever is there */
            bool is_good;      /* CHECK, PROBE, SUSPECT, SESSION, SOURCE: it passes, lives, is cleared, back, started */
            bool is_mute;      /* SUSPECT: it takes connections and answers nothing, so that one more proves nothing */
            bool has_answered; /* PROBE: its program has answered, not merely its host taken a connection */
            nsec_t grace_ns;   /* SESSION: for so long the instance may come back */
            struct slice actor, evidence;
        } report; /* CHECK … REFUSED */
        struct {
            struct slice service, id; /* id "": the whole service */
            struct instance_order order;
            struct slice actor;
            bool is_initial;
        } order; /* DRAIN, MAINTAIN */
    };
};

/* -------- updates out */

/* What changed about one instance, for followers; immutable, kept until it is forgotten (catalog_changes). */
struct catalog_change {
    int64_t revision, wall_ms;
    enum timeline_kind kind;
    const struct instance *before, *after; /* NULL: was not, is not there. References are held */
    struct slice actor, evidence;
    int64_t silence_ms;
};

/*
 * What the caller is to write into the store. A key that is not deleted is asked for again after a while. An order that
 * has ended is over for the catalogue already; its document is what is left.
 */
struct catalog_write {
    enum { CATALOG_DELETE_KEY, CATALOG_END_DRAIN, CATALOG_END_MAINTENANCE } type;
    struct slice key; /* DELETE_KEY: if its mod revision still is this */
    int64_t mod_revision;
    struct slice service, id; /* END_…: remove the order's document */
    struct slice cause;
};

struct catalog_updates {
    struct arena arena; /* holds what the slices point to */
    struct store_note *notes;
    struct catalog_write *writes;
    unsigned n_notes, n_writes;
    size_t cap_notes, cap_writes;
};

void catalog_updates_deinit(struct catalog_updates *updates);
void catalog_updates_reset(struct catalog_updates *updates);

/* first_revision: above every revision that was ever given. 0 or -ENOMEM. */
int catalog_new(const struct catalog_options *options, struct rcu_domain *rcu, int64_t first_revision,
                struct catalog **ret_catalog);
/* No reader may be left. */
void catalog_free(struct catalog *catalog);

/*
 * 0, or -ENOMEM: then the event has had no effect and may be given again. (In time, what was done before stays done; a
 * key that says another name than before may have left the former one.)
 */
int catalog_step(struct catalog *catalog, const struct catalog_event *event, const struct catalog_time *time,
                 struct catalog_updates *updates);

/* Readers see all steps so far. Store revision `passed`: all keys up to it are contained. */
void catalog_publish(struct catalog *catalog, int64_t passed);

/* NSEC_NEVER: nothing will happen by itself. */
nsec_t catalog_deadline(const struct catalog *catalog);

/*
 * The keys that would stand for an instance whose name another key has, as it would be, in no order, until fn gives
 * false. Of all that can be stepped, fn may only have the key of the instance that it is given go.
 */
void catalog_each_waiting(const struct catalog *catalog, bool (*fn)(void *ctx, const struct instance *instance),
                          void *ctx);

/* -------- readers: any RCU reader */

const struct directory *catalog_directory(const struct catalog *catalog);
/* The catalogue's revision that is published; the store's that is contained. */
int64_t catalog_revision(const struct catalog *catalog);
int64_t catalog_passed(const struct catalog *catalog);

/*
 * The change that made `revision`; NULL when it is not published yet or forgotten (a bounded number is kept): then who
 * follows starts again from the directory. Valid until the end of the turn.
 */
const struct catalog_change *catalog_change(const struct catalog *catalog, int64_t revision);
/* The lowest revision that catalog_change still gives. */
int64_t catalog_oldest_change(const struct catalog *catalog);
