/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A catalogue in virtual time, with a store that is a table: keys are written, deleted and expire, time passes, and
 * what the catalogue wants done is done, as the curator would do it.
 *
 *     struct catalog_kit kit;
 *     catalog_kit_init(&kit, NULL);
 *     kit_register(&kit, "web", "1", "10.0.0.1:80");
 *     kit_pass(&kit, 3 * NSEC_PER_SEC);
 *     kit_expire(&kit, "web", "1");
 *     expect_str(kit_last(&kit), "5 expired web/1 after 3000 ms");
 *     catalog_kit_deinit(&kit);
 *
 * After each call the catalogue is published, and it has been checked that its changes and notes agree: one of each for
 * each revision. Every change is a line of `trace`.
 */
#pragma once

#include "base/buf.h"
#include "catalog/catalog.h"

struct kit_key {
    char *key, *value;
    int64_t create_revision, mod_revision, version, lease;
};

struct catalog_kit {
    struct rcu_domain rcu;
    struct catalog *catalog;
    struct projection *projection;
    struct catalog_time time;
    struct catalog_updates updates;
    int64_t store_revision;
    struct kit_key *keys; /* in no order */
    size_t n_keys, cap_keys;
    int64_t seen;       /* the last revision that was checked */
    struct buf trace;   /* of all changes */
    size_t last;        /* where the last line of it begins */
    unsigned n_deleted; /* keys that the catalogue had deleted */
    unsigned n_ended;   /* orders whose end it asked for */
    bool is_read_only;  /* the store refuses what the catalogue wants */
    bool is_disturbed;  /* each step is first tried with its 1st, 2nd, 3rd … allocation failing */
    size_t n_failed;    /* allocations that were failed so */
};

/* options NULL: the defaults. Without a projection among them: the built-in one. */
void catalog_kit_init(struct catalog_kit *kit, const struct catalog_options *options);
void catalog_kit_deinit(struct catalog_kit *kit);

/* -------- the store */

/* Writes any key. */
void kit_put(struct catalog_kit *kit, const char *key_text, const char *value, int64_t lease, const char *actor);
/* The record {"address": …} or, when it begins with a brace, that one, under the native key. */
void kit_register(struct catalog_kit *kit, const char *service, const char *id, const char *record);
void kit_register_by(struct catalog_kit *kit, const char *service, const char *id, const char *record,
                     const char *actor);
/* Deletes a key, if it is there, for that reason (enum store_note_kind). */
void kit_delete(struct catalog_kit *kit, const char *key_text, unsigned why, const char *actor, const char *cause);
void kit_deregister(struct catalog_kit *kit, const char *service, const char *id, const char *actor);
/* After 3 s of silence. */
void kit_expire(struct catalog_kit *kit, const char *service, const char *id);
bool kit_has_key(const struct catalog_kit *kit, const char *service, const char *id);

/* -------- reports and orders */

/* CATALOG_CHECK, PROBE, SUSPECT, SESSION, SOURCE; evidence is also the actor's words. */
void kit_report(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
                bool is_good, const char *evidence);
void kit_session_broke(struct catalog_kit *kit, const char *service, const char *id, nsec_t grace_ns);
/* CATALOG_DRAIN, CATALOG_MAINTAIN; id "": the service; until_ms 0: without end. */
void kit_order(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
               const char *owner, const char *reason, int64_t until_ms);
void kit_withdraw(struct catalog_kit *kit, enum catalog_event_type type, const char *service, const char *id,
                  const char *actor);

/* -------- time */

/* Time passes, deadline by deadline; by 0: what is due now. */
void kit_pass(struct catalog_kit *kit, nsec_t by_ns);

/* One event, as it is; nothing is carried out, published or checked. 0, or -ENOMEM when the caller has it so. */
int kit_step(struct catalog_kit *kit, const struct catalog_event *event);
/* … that is done here. */
void kit_settle(struct catalog_kit *kit);
/* A new catalogue reads the store as it is, with revisions above those that were given. */
void kit_restart(struct catalog_kit *kit);

/* -------- what readers see */

/* NULL: not there. */
const struct instance *kit_find(const struct catalog_kit *kit, const char *service, const char *id);
/* "up", "draining failing", "gone": all reasons in order of weight; good until the next call. */
const char *kit_reasons(struct catalog_kit *kit, const char *service, const char *id);
unsigned kit_count(const struct catalog_kit *kit, const char *service);
/* The last line of the trace. */
const char *kit_last(struct catalog_kit *kit);
/* How many lines of it contain these words. */
unsigned kit_trace_count(struct catalog_kit *kit, const char *words);
