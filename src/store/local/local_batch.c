/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches on their way to disk: closed by the keeper, turned into one record and written by the log thread, published.
 *
 * A batch refers to commits in memory instead of copying them. They stay: what a later batch throws away is freed only
 * after that batch's root was published, which is after this one was written.
 */
#include "base/assert.h"
#include "store/local/local_priv.h"

#include <errno.h>
#include <stdlib.h>

/* A longer record's memory is not kept for the next one. */
#define RECORD_BYTES_KEPT (32 * 1024 * 1024)

struct local_batch *local_seal(struct local *local)
{
    struct local_batch *batch = local->batch;
    if (!batch)
        return NULL;
    bool has_changed = batch->first_step || batch->wants_root;
    struct store_root *docs_root;
    if (docs_seal(local->docs, &docs_root) < 0)
        return NULL;
    if (docs_root) /* else it may have one from a seal that failed below */
        batch->docs_root = docs_root;
    if (has_changed && mvcc_seal(local->mvcc, &batch->root) < 0)
        return NULL;
    local->batch = NULL;
    batch->end_bytes = local->applied_bytes;
    return batch;
}

/* ------------------------------------------------------------------------------------------------ notes */

typedef void (*note_fn)(void *ctx, const struct store_note *note);

static void give_note(struct store_note note, note_fn fn, void *ctx)
{
    note.actor.len = min_size(note.actor.len, STORE_NOTE_TEXT_MAX);
    note.cause.len = min_size(note.cause.len, STORE_NOTE_TEXT_MAX);
    fn(ctx, &note);
}

/* Why the keys are gone that a commit deleted. */
static void removal_notes(const struct store_commit *commit, note_fn fn, void *ctx)
{
    struct store_note note = {0};
    for (unsigned i = 0; i < commit->n_events; i++) {
        const struct store_kv *kv = commit->events[i].kv;
        if (kv->version != 0)
            continue;
        if (note.revision == 0)
            store_commit_why(commit, &note);
        if (note.kind == STORE_NOTE_CHANGED)
            note.kind = STORE_NOTE_DELETED;
        note.subject = kv->key;
        give_note(note, fn, ctx);
    }
}

/* What a request wants remembered. */
static void asked_notes(const struct batch_step *step, note_fn fn, void *ctx)
{
    for (unsigned i = 0; i < step->n_notes; i++) {
        struct store_note note = step->notes[i];
        note.revision = note.revision ? note.revision : step->revision;
        note.wall_ms = note.wall_ms ? note.wall_ms : step->wall_ms;
        give_note(note, fn, ctx);
    }
}

/* The notes that a step leaves: first written to the log with it, then, when it is published, remembered. */
static void step_notes(const struct batch_step *step, note_fn fn, void *ctx)
{
    if (step->type == STEP_COMMIT)
        removal_notes(step->commit, fn, ctx);
    else if (step->type == STEP_GONE)
        give_note(step->why, fn, ctx);
    else if (step->type == STEP_NOTES)
        asked_notes(step, fn, ctx);
}

/* ------------------------------------------------------------------------------------------------ the record */

static void write_note(void *ctx, const struct store_note *note)
{
    record_write(ctx, &(struct record_entry){.type = RECORD_NOTE, .note = *note});
}

static void write_commit(struct buf *record, const struct store_commit *commit)
{
    record_write(record, &(struct record_entry){
                             .type = RECORD_COMMIT,
                             .commit = {.revision = commit->revision, .wall_ms = commit->wall_ms},
                         });
    for (unsigned i = 0; i < commit->n_events; i++) {
        const struct store_kv *kv = commit->events[i].kv;
        record_write(record, &(struct record_entry){.type = kv->version ? RECORD_PUT : RECORD_DELETE, .kv = *kv});
    }
}

static void write_step(struct buf *record, const struct batch_step *step)
{
    switch (step->type) {
    case STEP_COMMIT:
        write_commit(record, step->commit);
        break;
    case STEP_GRANT:
        record_write(record, &(struct record_entry){.type = RECORD_LEASE,
                                                    .lease = {.id = step->lease_id, .ttl_ms = step->ttl_ms}});
        break;
    case STEP_GONE:
        record_write(record, &(struct record_entry){.type = RECORD_LEASE_GONE, .lease = {.id = step->lease_id}});
        break;
    case STEP_LEFT:
        record_write(record, &(struct record_entry){.type = RECORD_LEASE_LEFT,
                                                    .lease = {.id = step->lease_id, .left_ms = step->left_ms}});
        break;
    case STEP_COMPACT:
        record_write(record,
                     &(struct record_entry){.type = RECORD_COMPACT, .compact_revision = step->compact_revision});
        break;
    case STEP_DOC:
        record_write(record, &(struct record_entry){.type = step->doc->version ? RECORD_DOC : RECORD_DOC_GONE,
                                                    .kv = *step->doc});
        break;
    case STEP_NOTES:
        break; /* they are all of it */
    }
    step_notes(step, write_note, record);
}

int local_write(struct local *local, struct local_batch *batch, struct err *err)
{
    if (local_refusal(local) == STORE_READ_ONLY)
        return err_set(err, -EROFS, "the store is read-only after a failed write");
    if (!batch->first_step)
        return 0;

    buf_reset(&local->record);
    for (const struct batch_step *step = batch->first_step; step; step = step->next)
        write_step(&local->record, step);
    if (buf_error(&local->record) < 0)
        return err_set(err, buf_error(&local->record), "no memory to write a batch to the log");

    struct iovec iov = {local->record.ptr, local->record.len};
    int result = wal_append(local->wal, &iov, 1, err);
    if (result < 0) {
        local_refuse(local, result == -ENOSPC ? STORE_NO_SPACE : STORE_READ_ONLY);
        return result;
    }
    atomic_fetch_add_explicit(&local->logged_bytes, local->record.len, memory_order_relaxed);
    local->written_bytes = batch->end_bytes;
    if (local->record.cap > RECORD_BYTES_KEPT)
        buf_deinit(&local->record);
    return 0;
}

nsec_t local_sync_relaxed(struct local *local, nsec_t now_ns)
{
    if (wal_is_durable(local->wal))
        return NSEC_NEVER;
    if (wal_sync_if_due(local->wal, now_ns, NULL) == -EROFS)
        local_refuse(local, STORE_READ_ONLY);
    bool is_over = wal_is_durable(local->wal) || local_refusal(local) == STORE_READ_ONLY;
    return is_over ? NSEC_NEVER : now_ns + local->options.wal.relaxed_ms * NSEC_PER_MSEC;
}

/* ------------------------------------------------------------------------------------------------ publishing */

static void keep_note(void *ctx, const struct store_note *note)
{
    notes_add(ctx, note);
}

bool local_publish(struct local *local, struct local_batch *batch, nsec_t now_ns)
{
    bool has_commits = false;
    for (const struct batch_step *step = batch->first_step; step; step = step->next) {
        has_commits = has_commits || step->type == STEP_COMMIT;
        step_notes(step, keep_note, local->notes);
        if (step->type == STEP_GRANT)
            lease_show(step->lease, now_ns);
    }
    if (batch->docs_root)
        docs_publish(local->docs, batch->docs_root);
    if (batch->root)
        mvcc_publish(local->mvcc, batch->root);
    return has_commits;
}

struct store_request *local_batch_free(struct local_batch *batch)
{
    struct store_request *requests = batch->first_request;
    arena_deinit(&batch->arena);
    free(batch);
    return requests;
}
