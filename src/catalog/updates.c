/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A note or a write is first placed behind those that are there, which may fail, and counted once the change that it
 * belongs to is made, which may not.
 */
#include "catalog/updates.h"

#include "base/array.h"
#include "base/assert.h"
#include "base/utf8.h"
#include "catalog/instance_record.h"

#include <errno.h>
#include <stdlib.h>

void catalog_updates_deinit(struct catalog_updates *updates)
{
    arena_deinit(&updates->arena);
    free(updates->notes);
    free(updates->writes);
    *updates = (struct catalog_updates){0};
}

void catalog_updates_reset(struct catalog_updates *updates)
{
    arena_deinit(&updates->arena);
    updates->n_notes = updates->n_writes = 0;
}

struct slice updates_cut(struct slice text)
{
    if (text.len <= UPDATES_TEXT_MAX)
        return text;
    size_t len = UPDATES_TEXT_MAX;
    while (len > UPDATES_TEXT_MAX - 4 && (text.ptr[len] & 0xc0) == 0x80) /* in the middle of a character */
        len--;
    return slice_from(text.ptr, len);
}

/* "service/instance", written as in a key. */
static int copy_subject(struct arena *arena, const struct instance *instance, struct slice *ret_subject)
{
    struct buf key = {0};
    instance_record_key(&key, instance->service, instance->id);
    int r = buf_error(&key);
    if (r == 0)
        r = arena_copy(arena, slice_skip(buf_slice(&key), INSTANCE_RECORD_PREFIX.len), ret_subject);
    buf_deinit(&key);
    return r;
}

/* Behind those that are there, not yet one of them. Its texts are copied, but for the subject. */
static int place_note(struct catalog_updates *updates, const struct store_note *note)
{
    struct store_note *notes = array_grow(updates->notes, updates->n_notes, &updates->cap_notes, sizeof(*notes));
    struct store_note copy = *note;
    if (!notes)
        return -ENOMEM;
    updates->notes = notes;
    int r = arena_copy(&updates->arena, note->actor, &copy.actor);
    if (r == 0)
        r = arena_copy(&updates->arena, note->cause, &copy.cause);
    if (r == 0)
        updates->notes[updates->n_notes] = copy;
    return r;
}

int updates_add_note(struct catalog_updates *updates, const struct store_note *note)
{
    struct store_note copy = *note;
    int r = arena_copy(&updates->arena, note->subject, &copy.subject);
    if (r == 0)
        r = place_note(updates, &copy);
    if (r == 0)
        updates_commit_note(updates);
    return r;
}

int updates_prepare_note(struct catalog_updates *updates, const struct catalog_change *change)
{
    const struct instance *instance = change->after ? change->after : change->before;
    struct store_note note = {
        .kind = change->kind,
        .revision = change->revision,
        .wall_ms = change->wall_ms,
        .lease = instance->lease,
        .silence_ms = change->silence_ms,
        .actor = change->actor,
        .cause = change->evidence,
    };
    int r = copy_subject(&updates->arena, instance, &note.subject);
    return r == 0 ? place_note(updates, &note) : r;
}

void updates_commit_note(struct catalog_updates *updates)
{
    ASSERT(updates->n_notes < updates->cap_notes);
    updates->n_notes++;
}

int updates_prepare_write(struct catalog_updates *updates, const struct catalog_write *write)
{
    struct catalog_write *writes =
        array_grow(updates->writes, updates->n_writes, &updates->cap_writes, sizeof(*writes));
    if (!writes)
        return -ENOMEM;
    updates->writes = writes;
    struct catalog_write copy = *write;
    int r = arena_copy(&updates->arena, write->key, &copy.key);
    if (r == 0)
        r = arena_copy(&updates->arena, write->service, &copy.service);
    if (r == 0)
        r = arena_copy(&updates->arena, write->id, &copy.id);
    if (r == 0)
        r = arena_copy(&updates->arena, write->cause, &copy.cause);
    if (r == 0)
        updates->writes[updates->n_writes] = copy;
    return r;
}

void updates_commit_write(struct catalog_updates *updates)
{
    ASSERT(updates->n_writes < updates->cap_writes);
    updates->n_writes++;
}
