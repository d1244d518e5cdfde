/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the timeline does not know at the start. Its entries are written a moment behind the changes that they are
 * about, so a crash takes the last ones; and what was held is forgotten with the process. Then the timeline has
 * somebody there who is gone, or gone who is there. Each of them gets the entry that is missing, in the words of the
 * store's own note about the removed key, which is as durable as the removal, where there is one.
 *
 * Who was disconnected is so again, as if his connection broke now: he has as long to come back as those who were not.
 *
 * The notes are walked twice, so that of each subject only a hash is kept: once for what the timeline says last of
 * each, once for the names of those that it has there and that are not in the directory.
 */
#include "base/hash.h"
#include "base/htab.h"
#include "base/random.h"
#include "base/util.h"
#include "catalog/instance_record.h"
#include "catalog/timeline.h"
#include "catalog/updates.h"
#include "keeper/curator_priv.h"

#include <errno.h>

/* What is known of an instance, by the hash of its subject (64 bits under a random key: no two are taken for one). */
struct recalled {
    struct htab_node node;
    bool is_there, is_held; /* after the last entry that says so */
    bool is_disconnected;
    int64_t wall_ms;                  /* of that entry */
    const struct store_note *removal; /* of its key, the last one; NULL: none is known */
};

/* Whose session is to be told broken, when the directory is no longer walked. */
struct broken {
    struct broken *next;
    struct slice service, id;
};

struct recalling {
    struct curator *curator;
    struct broken *broken;
    struct hash_key key;
    struct htab all;
    struct arena arena;
    struct buf subject;
    unsigned n_entries;
    int result;
};

static struct recalled *find(const struct recalling *recalling, struct slice subject)
{
    struct htab_node *node = htab_match_first(&recalling->all, hash_bytes(&recalling->key, subject));
    return node ? container_of(node, struct recalled, node) : NULL;
}

static struct recalled *add(struct recalling *recalling, struct slice subject)
{
    struct recalled *recalled = arena_alloc(&recalling->arena, sizeof(*recalled));
    if (!recalled)
        return NULL;
    *recalled = (struct recalled){0};
    int r = htab_insert(&recalling->all, &recalled->node, hash_bytes(&recalling->key, subject));
    return r == 0 ? recalled : NULL;
}

/* Below the first change of this start, above all of former ones. */
static int64_t revision_of(const struct recalling *recalling)
{
    return recalling->curator->first_revision - 1;
}

static int write_entry(struct recalling *recalling, const struct store_note *note)
{
    recalling->n_entries++;
    return updates_add_note(&recalling->curator->updates, note);
}

/* ------------------------------------------------------------------------------------------------ what is told */

static bool see_entry(void *ctx, const struct store_note *note)
{
    struct recalling *recalling = ctx;
    bool is_arrival = timeline_is_arrival(note->kind);
    if (note->kind == TIMELINE_DISCONNECTED || note->kind == TIMELINE_CONN_BACK) {
        struct recalled *known = find(recalling, note->subject);
        if (known)
            known->is_disconnected = note->kind == TIMELINE_DISCONNECTED;
    }
    if (!is_arrival && !timeline_is_departure(note->kind))
        return true;
    struct recalled *recalled = find(recalling, note->subject);
    if (!recalled)
        recalled = add(recalling, note->subject);
    if (!recalled) {
        recalling->result = -ENOMEM;
        return false;
    }
    recalled->is_there = is_arrival;
    recalled->is_held = note->kind == TIMELINE_HELD;
    recalled->is_disconnected = false;
    recalled->wall_ms = note->wall_ms;
    return true;
}

/* ------------------------------------------------------------------------------------------------ who is there */

static int remember_broken(struct recalling *recalling, const struct instance *instance)
{
    struct broken *broken = arena_alloc(&recalling->arena, sizeof(*broken));
    if (!broken)
        return -ENOMEM;
    *broken = (struct broken){.next = recalling->broken};
    recalling->broken = broken;
    int r = arena_copy(&recalling->arena, instance->service, &broken->service);
    return r == 0 ? arena_copy(&recalling->arena, instance->id, &broken->id) : r;
}

static int break_sessions(struct recalling *recalling)
{
    int r = 0;
    for (const struct broken *broken = recalling->broken; r == 0 && broken; broken = broken->next) {
        const struct catalog_event event = {
            .type = CATALOG_SESSION,
            .report = {.service = broken->service,
                       .id = broken->id,
                       .grace_ns = CATALOG_RETURN_NS,
                       .evidence = SLICE_LIT("it was disconnected when the registry was started")},
        };
        r = curator_step(recalling->curator, &event);
    }
    return r;
}

static int found(struct recalling *recalling, const struct instance *instance)
{
    buf_reset(&recalling->subject);
    instance_record_name(&recalling->subject, instance->service, instance->id);
    if (buf_error(&recalling->subject) < 0)
        return -ENOMEM;
    struct slice subject = buf_slice(&recalling->subject);
    struct recalled *recalled = find(recalling, subject);
    if (!recalled)
        return 0; /* it is older than the timeline */
    htab_remove(&recalling->all, &recalled->node);
    if (recalled->is_there)
        return recalled->is_disconnected ? remember_broken(recalling, instance) : 0;
    const struct store_note entry = {
        .kind = TIMELINE_REGISTERED,
        .revision = revision_of(recalling),
        .wall_ms = instance->registered_ms,
        .subject = subject,
        .cause = SLICE_LIT("found at the start of the registry, which was not told of it"),
    };
    return write_entry(recalling, &entry);
}

static bool found_all(void *ctx, const struct directory_service *service)
{
    struct recalling *recalling = ctx;
    struct directory_cursor at = {.service = service};
    for (const struct instance *instance; recalling->result == 0 && (instance = directory_next(&at));)
        recalling->result = found(recalling, instance);
    return recalling->result == 0;
}

/* ------------------------------------------------------------------------------------------------ who is gone */

static int remember_removal(struct recalling *recalling, const struct store_note *note)
{
    bool is_ours = slice_starts_with(note->subject, INSTANCE_RECORD_PREFIX);
    struct slice subject = slice_skip(note->subject, is_ours ? INSTANCE_RECORD_PREFIX.len : 0);
    struct recalled *recalled = is_ours ? find(recalling, subject) : NULL;
    if (!recalled || note->wall_ms < recalled->wall_ms)
        return 0;
    struct store_note *removal = arena_alloc(&recalling->arena, sizeof(*removal));
    if (!removal)
        return -ENOMEM;
    *removal = *note;
    recalled->removal = removal;
    int r = arena_copy(&recalling->arena, note->actor, &removal->actor);
    return r == 0 ? arena_copy(&recalling->arena, note->cause, &removal->cause) : r;
}

static struct store_note departure(const struct recalled *recalled)
{
    const struct store_note *removal = recalled->removal;
    struct store_note entry = {.kind = TIMELINE_DEREGISTERED};
    if (recalled->is_held) {
        entry.kind = TIMELINE_RELEASED;
        entry.cause = SLICE_LIT("the registry was started anew, which knows nothing of those it held");
    } else if (!removal) {
        entry.cause = SLICE_LIT("gone at the start of the registry, which was not told of it");
    } else {
        entry.kind = removal->kind == STORE_NOTE_EXPIRED ? TIMELINE_EXPIRED : TIMELINE_DEREGISTERED;
        entry.wall_ms = removal->wall_ms;
        entry.silence_ms = removal->silence_ms;
        entry.actor = removal->actor;
        entry.cause = removal->cause;
    }
    return entry;
}

/* The removals come first. */
static bool see_gone(void *ctx, const struct store_note *note)
{
    struct recalling *recalling = ctx;
    if (note->kind < STORE_NOTE_FREE) {
        recalling->result = remember_removal(recalling, note);
        return recalling->result == 0;
    }
    struct recalled *recalled = find(recalling, note->subject);
    if (!recalled)
        return true;
    htab_remove(&recalling->all, &recalled->node);
    if (recalled->is_there) {
        struct store_note entry = departure(recalled);
        entry.subject = note->subject;
        entry.revision = revision_of(recalling);
        recalling->result = write_entry(recalling, &entry);
    }
    return recalling->result == 0;
}

/* ------------------------------------------------------------------------------------------------ all of it */

static int recall(struct recalling *recalling)
{
    struct curator *curator = recalling->curator;
    int r = random_system(&recalling->key, sizeof(recalling->key));
    if (r < 0)
        return r;
    store_notes(curator->store, see_entry, recalling);
    if (recalling->result == 0)
        directory_each(catalog_directory(curator->catalog), found_all, recalling);
    if (recalling->result == 0)
        store_notes(curator->store, see_gone, recalling);
    return recalling->result == 0 ? break_sessions(recalling) : recalling->result;
}

int curator_recall(struct curator *curator)
{
    struct recalling recalling = {.curator = curator};
    int r = recall(&recalling);
    htab_for_each (node, &recalling.all)
        htab_remove(&recalling.all, node);
    htab_deinit(&recalling.all);
    arena_deinit(&recalling.arena);
    buf_deinit(&recalling.subject);
    catalog_publish(curator->catalog, curator->passed);
    if (r == 0 && recalling.n_entries > 0)
        log_warn(curator->log, "the timeline lacked entries, which the end of the last start took along",
                 log_int("entries", recalling.n_entries));
    return r;
}
