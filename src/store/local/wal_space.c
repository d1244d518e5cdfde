/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments of the log and the space in them.
 *
 * A spare is made ready beside the log's work, and becomes the next segment by a rename. Where there is none yet, or
 * the disk had no room for it, the last segment is made longer a step at a time, up to segment_bytes. Segments that are
 * no longer needed become spares as they are: their old records need not be zeroed, since the salt of the next life
 * makes them worthless.
 *
 * The room told is the larger of what is left in the last segment and what the next spare holds. Records of so many
 * bytes in all do fit: those that no longer fit into the last segment begin the spare, which could hold all of them.
 *
 * Room taken ahead leaves the reserve free, so that a snapshot fits when there is no more (local_space.c). Only a
 * record that was applied already takes of it, since it cannot be refused any more.
 */
#include "base/array.h"
#include "base/assert.h"
#include "base/random.h"
#include "store/local/wal_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* A segment is made longer by a 64th of its full size, in whole pages. */
enum { STEPS = 64 };

enum { SPARE_MIN_BYTES = 8 * 1024 * 1024, SPARE_PIECE_BYTES = 512 * 1024, SPARE_SHARE = 3 };

void wal_seal(struct wal *wal)
{
    if (wal->file)
        wal->files->ops->close(wal->files->ctx, wal->file);
    wal->file = NULL;
    wal_show_room(wal);
}

static struct wal_part *last_part(const struct wal *wal)
{
    return &wal->parts[wal->n_parts - 1];
}

static uint64_t left_after(uint64_t bytes, uint64_t used)
{
    return bytes > used ? bytes - used : 0;
}

uint64_t wal_rest(const struct wal *wal)
{
    return wal->file ? left_after(last_part(wal)->bytes, wal->end + SEGMENT_END_BYTES) : 0;
}

/* What a segment begun now would have room for, besides what is to be written anew. */
static uint64_t spare_rest(const struct wal *wal)
{
    if (wal->n_spares == 0)
        return 0;
    uint64_t unsynced = wal->file ? 0 : wal->unsynced.len;
    return left_after(wal->spares[wal->n_spares - 1].bytes, SEGMENT_HEAD_BYTES + SEGMENT_END_BYTES + unsynced);
}

void wal_show_room(struct wal *wal)
{
    uint64_t rest = wal_rest(wal), spare = spare_rest(wal);
    atomic_store_explicit(&wal->room, rest > spare ? rest : spare, memory_order_release);
}

void wal_show_bytes(struct wal *wal)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < wal->n_parts; i++)
        bytes += wal->parts[i].bytes;
    atomic_store_explicit(&wal->bytes, bytes, memory_order_relaxed);
}

static uint64_t round_up(uint64_t bytes, uint64_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

uint64_t wal_step_bytes(const struct wal *wal)
{
    return round_up(wal->options.segment_bytes / STEPS, SEGMENT_PAGE_BYTES);
}

static uint64_t round_to_step(const struct wal *wal, uint64_t bytes)
{
    return round_up(bytes, wal_step_bytes(wal));
}

/* Whether the disk has so much, and `leave` beyond. One that cannot tell is asked by taking it. */
static bool has_free(const struct wal_files *files, uint64_t bytes, uint64_t leave)
{
    uint64_t free_bytes;
    if (leave == 0 || files->ops->free_bytes(files->ctx, &free_bytes) < 0)
        return true;
    return free_bytes >= leave && free_bytes - leave >= bytes;
}

static int told(const struct wal *wal, int result, uint64_t bytes, struct err *err)
{
    if (result == -ENOSPC)
        return err_set(err, result, "the disk of %s is full: the log needs %" PRIu64 " bytes more", wal->files->path,
                       bytes);
    return err_set_errno(err, result, "making room for the log in %s failed", wal->files->path);
}

/* ------------------------------------------------------------------------------------------------ room */

static int grow_last_part(struct wal *wal, uint64_t to, uint64_t leave, struct err *err)
{
    struct wal_part *part = last_part(wal);
    if (!has_free(wal->files, to - part->bytes, leave))
        return told(wal, -ENOSPC, to - part->bytes, err);
    int result = wal->files->ops->allocate(wal->files->ctx, wal->file, part->bytes, to - part->bytes);
    if (result < 0)
        return told(wal, result, to - part->bytes, err);
    part->bytes = to;
    wal_show_bytes(wal);
    return 0;
}

static int open_spare(struct wal_files *files, uint64_t id, bool create, struct wal_file **ret_file)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(id, "spare", name);
    return files->ops->open(files->ctx, name, create, ret_file);
}

static void insert_spare(struct wal *wal, size_t at, const struct wal_spare *spare)
{
    ASSERT(wal->n_spares < WAL_SPARES_MAX && at <= wal->n_spares);
    memmove(&wal->spares[at + 1], &wal->spares[at], (wal->n_spares - at) * sizeof(wal->spares[0]));
    wal->spares[at] = *spare;
    wal->n_spares++;
}

static void drop_first_spare(struct wal *wal)
{
    (void)wal_remove(wal->files, wal->spares[0].id, "spare");
    wal->n_spares--;
    memmove(wal->spares, wal->spares + 1, wal->n_spares * sizeof(wal->spares[0]));
}

/* Makes the next spare so long; without one, makes one. A spare that failed is never used. */
static int grow_spare(struct wal *wal, uint64_t to, uint64_t leave, struct err *err)
{
    bool is_new = wal->n_spares == 0;
    struct wal_spare spare = {.id = wal->next_spare_id};
    if (!is_new)
        spare = wal->spares[wal->n_spares - 1];
    if (!has_free(wal->files, to - spare.bytes, leave))
        return told(wal, -ENOSPC, to - spare.bytes, err);

    struct wal_file *file = NULL;
    int result = open_spare(wal->files, spare.id, is_new, &file);
    if (result == 0)
        result = wal->files->ops->allocate(wal->files->ctx, file, spare.bytes, to - spare.bytes);
    if (file)
        wal->files->ops->close(wal->files->ctx, file);
    bool is_bad = result < 0 && !wal_is_harmless(result);
    if (file && result < 0 && (is_new || is_bad))
        (void)wal_remove(wal->files, spare.id, "spare");
    if (is_new || is_bad)
        wal->next_spare_id++;
    if (!is_new && is_bad)
        wal->n_spares--;
    if (result < 0)
        return told(wal, result, to - spare.bytes, err);

    spare.bytes = to;
    wal->n_spares += is_new;
    wal->spares[wal->n_spares - 1] = spare;
    return 0;
}

static int prepare(struct wal *wal, uint64_t bytes, uint64_t leave, struct err *err)
{
    if (wal->is_read_only)
        return err_set(err, -EROFS, "%s", wal->why.text);
    if (wal_room(wal) >= bytes)
        return 0;

    uint64_t to = wal->end + bytes + SEGMENT_END_BYTES;
    if (wal->file && to <= wal->options.segment_bytes) {
        uint64_t steps = round_to_step(wal, to);
        steps = steps < wal->options.segment_bytes ? steps : wal->options.segment_bytes;
        int result = grow_last_part(wal, steps, leave, err);
        wal_show_room(wal);
        if (result == 0 || wal_is_harmless(result))
            return result;
        /* That failure may have swallowed another one: see wal_files.h. */
        wal_seal(wal);
    }
    uint64_t unsynced = wal->file ? 0 : wal->unsynced.len;
    to = SEGMENT_HEAD_BYTES + unsynced + bytes + SEGMENT_END_BYTES;
    int result = grow_spare(wal, round_to_step(wal, to), leave, err);
    wal_show_room(wal);
    return result;
}

int wal_prepare(struct wal *wal, uint64_t bytes, struct err *err)
{
    return prepare(wal, bytes, wal->reserve, err);
}

int wal_make_room(struct wal *wal, uint64_t bytes, struct err *err)
{
    return prepare(wal, bytes, 0, err);
}

void wal_reserve(struct wal *wal, uint64_t bytes, bool is_short)
{
    wal->reserve = bytes;
    wal->is_short = is_short;
}

/* ------------------------------------------------------------------------------------------------ spares */

/* So long the next segment should be: twice the last one, so that a log that is small takes little of the disk. */
static uint64_t wanted_spare(const struct wal *wal)
{
    uint64_t bytes = 2 * last_part(wal)->bytes;
    bytes = round_to_step(wal, bytes > SPARE_MIN_BYTES ? bytes : SPARE_MIN_BYTES);
    return bytes < wal->options.segment_bytes ? bytes : wal->options.segment_bytes;
}

bool wal_wants_spare(const struct wal *wal)
{
    if (wal->is_read_only || !wal->file)
        return false;
    return wal->n_spares == 0 || wal->spares[wal->n_spares - 1].bytes < wanted_spare(wal);
}

void wal_spare_begin(struct wal *wal, struct wal_spare_job *ret_job)
{
    *ret_job = (struct wal_spare_job){.files = wal->files, .id = wal->next_spare_id++, .bytes = wanted_spare(wal)};
    /* Large beside what there is, it would leave the batches made meanwhile without room. */
    ret_job->leave = wal->reserve ? wal->reserve + SPARE_SHARE * ret_job->bytes : 0;
}

/* A piece at a time, so that no sync of the log, on the same disk, waits for more than that. */
void wal_spare_make(struct wal_spare_job *job)
{
    struct wal_file *file;
    job->result = -ENOSPC;
    if (!has_free(job->files, job->bytes, job->leave))
        return;
    job->result = open_spare(job->files, job->id, true, &file);
    if (job->result < 0)
        return;
    for (uint64_t offset = 0; job->result == 0 && offset < job->bytes; offset += SPARE_PIECE_BYTES)
        job->result =
            job->files->ops->allocate(job->files->ctx, file, offset, min_size(SPARE_PIECE_BYTES, job->bytes - offset));
    job->files->ops->close(job->files->ctx, file);
    if (job->result < 0)
        (void)wal_remove(job->files, job->id, "spare");
}

void wal_spare_end(struct wal *wal, const struct wal_spare_job *job)
{
    if (job->result < 0)
        return;
    if (wal->n_spares == WAL_SPARES_MAX)
        drop_first_spare(wal);
    /* The room that was told is that of the spare used next: a longer one only adds to it. */
    bool is_longest = wal->n_spares == 0 || wal->spares[wal->n_spares - 1].bytes <= job->bytes;
    insert_spare(wal, is_longest ? wal->n_spares : 0, &(struct wal_spare){job->id, job->bytes});
    wal_show_room(wal);
}

uint64_t wal_spare_bytes(const struct wal *wal)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < wal->n_spares; i++)
        bytes += wal->spares[i].bytes;
    return bytes;
}

void wal_drop_spares(struct wal *wal)
{
    while (wal->n_spares > 1)
        drop_first_spare(wal);
}

/* ------------------------------------------------------------------------------------------------ segments */

int wal_add_part(struct wal *wal, const struct wal_part *part)
{
    struct wal_part *parts = array_grow(wal->parts, wal->n_parts, &wal->parts_cap, sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    wal->parts = parts;
    wal->parts[wal->n_parts++] = *part;
    return 0;
}

/*
 * Head and END, on the disk before the file gets its name: a segment with a damaged head is therefore no segment that
 * was just begun, but a damaged one.
 */
static int write_head(struct wal *wal, struct wal_file *file, const struct segment_head *head)
{
    char bytes[SEGMENT_PAGE_BYTES] = {0};
    struct segment_record end = {SEGMENT_END, .number = head->first_number, .durable_end = SEGMENT_HEAD_BYTES};
    segment_head_write(head, bytes);
    segment_record_write(segment_salt(head), &end, bytes + SEGMENT_HEAD_BYTES);
    struct iovec iov = {bytes, sizeof(bytes)};
    int result = wal->files->ops->writev(wal->files->ctx, file, 0, &iov, 1);
    return result < 0 ? result : wal->files->ops->sync(wal->files->ctx, file);
}

/* The next spare, with this head, becomes the segment of this sequence; a spare with which that fails is gone. */
static int begin_file(struct wal *wal, const struct segment_head *head, struct wal_file **ret_file)
{
    struct wal_spare *spare = &wal->spares[wal->n_spares - 1];
    struct wal_file *file;
    int result = open_spare(wal->files, spare->id, false, &file);
    if (result == -ENOMEM)
        return result;
    wal->n_spares--;
    if (result < 0)
        return result;
    result = write_head(wal, file, head);
    if (result == 0)
        result = wal_rename(wal->files, spare->id, "spare", head->sequence, "log");
    if (result < 0) {
        wal->files->ops->close(wal->files->ctx, file);
        (void)wal_remove(wal->files, spare->id, "spare");
        return result;
    }
    *ret_file = file;
    return 0;
}

/*
 * The records that were written but are not durable, from memory into a new segment. Their heads are made out for the
 * new salt in place; the old segment is out of use.
 */
static int write_unsynced_anew(struct wal *wal)
{
    for (size_t at = 0; at < wal->unsynced.len;)
        at += segment_record_move(wal->salt, SEGMENT_HEAD_BYTES, wal->unsynced.ptr + at);

    char end_bytes[SEGMENT_END_BYTES];
    struct segment_record end = {SEGMENT_END, .number = wal->next, .durable_end = SEGMENT_HEAD_BYTES};
    segment_record_write(wal->salt, &end, end_bytes);
    struct iovec iov[] = {{wal->unsynced.ptr, wal->unsynced.len}, {end_bytes, sizeof(end_bytes)}};
    int result = wal->files->ops->writev(wal->files->ctx, wal->file, SEGMENT_HEAD_BYTES, iov, 2);
    if (result == 0)
        result = wal->files->ops->sync(wal->files->ctx, wal->file);
    if (result < 0)
        return result;
    wal->end = wal->durable_end = SEGMENT_HEAD_BYTES + wal->unsynced.len;
    wal->durable_next = wal->next;
    buf_reset(&wal->unsynced);
    return 0;
}

int wal_begin_part(struct wal *wal, struct err *err)
{
    ASSERT(wal->n_spares > 0);
    /* From here on: once the new segment may be there, naming the end of this one, nothing may follow that end. */
    wal_seal(wal);
    struct wal_spare spare = wal->spares[wal->n_spares - 1];
    struct segment_head head = {
        .sequence = wal->n_parts ? last_part(wal)->sequence + 1 : 1,
        .first_number = wal->durable_next,
        .before_end = wal->n_parts ? wal->durable_end : 0,
    };
    struct wal_part part = {.sequence = head.sequence, .first_number = head.first_number, .bytes = spare.bytes};
    int result = random_system(&head.random, sizeof(head.random));
    if (result == 0)
        result = wal_add_part(wal, &part);
    if (result == 0) {
        result = begin_file(wal, &head, &wal->file);
        wal->n_parts -= result < 0;
    }
    if (result == 0) {
        wal->salt = segment_salt(&head);
        wal->end = wal->durable_end = SEGMENT_HEAD_BYTES;
        if (wal->unsynced.len > 0)
            result = write_unsynced_anew(wal);
        wal_show_bytes(wal);
    }
    if (result < 0)
        wal_seal(wal);
    wal_show_room(wal);
    return result < 0 ? err_set_errno(err, result, "beginning a new segment of the log in %s failed", wal->files->path)
                      : 0;
}

/* The oldest segment becomes a spare, or goes. */
static int recycle_first_part(struct wal *wal)
{
    struct wal_part *part = &wal->parts[0];
    int result;
    if (!wal->is_short && wal->n_spares < WAL_SPARES_MAX && part->bytes <= wal->options.segment_bytes) {
        uint64_t id = wal->next_spare_id++;
        result = wal_rename(wal->files, part->sequence, "log", id, "spare");
        if (result == 0) {
            /* In front: the spare that is used next may have been made long enough for what comes. */
            insert_spare(wal, 0, &(struct wal_spare){id, part->bytes});
        }
    } else {
        result = wal_remove(wal->files, part->sequence, "log");
    }
    if (result < 0 && result != -ENOENT)
        return result;
    wal->n_parts--;
    memmove(wal->parts, wal->parts + 1, wal->n_parts * sizeof(wal->parts[0]));
    return 0;
}

bool wal_forget_below(struct wal *wal, uint64_t number)
{
    /* The oldest first, and none after one that stays: the log has no gaps. */
    if (wal->n_parts < 2 || wal->parts[1].first_number > number || recycle_first_part(wal) < 0)
        return false;
    wal_show_room(wal);
    wal_show_bytes(wal);
    return true;
}

int wal_begin_small(struct wal *wal, struct err *err)
{
    if (wal->is_read_only)
        return err_set(err, -EROFS, "%s", wal->why.text);
    int result = wal_sync(wal, err);
    if (result < 0)
        return result;
    while (wal->n_spares > 0)
        drop_first_spare(wal);
    wal_show_room(wal);
    result = grow_spare(wal, wal_step_bytes(wal), 0, err);
    return result < 0 ? result : wal_begin_part(wal, err);
}
