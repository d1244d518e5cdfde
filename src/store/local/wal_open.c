/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovery: finds the segments, replays their records, and judges what stands at the end.
 *
 * A segment that is followed by another one must have whole records up to the end that the other one's head names;
 * what stands behind that end was never acknowledged. The last segment is read until its END. At a place that is
 * neither record nor END the log was torn, unless a later record proves that this place was durable: then it is rot,
 * and the store must not start as if nothing had been there.
 *
 * A segment of an earlier run is never written to again, torn or not: pages of its last records may have reached the
 * disk while those before them did not, and could one day be taken for records that follow what is written now.
 */
#include "store/local/wal_priv.h"
#include "store/local/wal_reader.h"

#include <inttypes.h>
#include <stdlib.h>

/* One recovery. */
struct recovery {
    struct wal *wal;
    struct wal_reader reader;
    uint64_t *before_ends; /* as the heads of wal->parts have them */
    uint64_t from;
    wal_replay_fn on_record;
    void *ctx;
    struct err *err;

    bool has_strays; /* segments older than the run that counts */
    uint64_t torn_bytes;
};

/* ------------------------------------------------------------------------------------------------ files */

struct listing {
    struct wal *wal;
    int result;
};

static void on_name(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    struct wal *wal = listing->wal;
    uint64_t id;
    if (segment_name_parse(name, "log", &id)) {
        int result = wal_add_part(wal, &(struct wal_part){.sequence = id});
        listing->result = listing->result < 0 ? listing->result : result;
    } else if (segment_name_parse(name, "spare", &id)) {
        if (id >= wal->next_spare_id)
            wal->next_spare_id = id + 1;
        if (wal->n_spares < WAL_SPARES_MAX)
            wal->spares[wal->n_spares++] = (struct wal_spare){.id = id};
    }
}

static int compare_parts(const void *a, const void *b)
{
    uint64_t left = ((const struct wal_part *)a)->sequence, right = ((const struct wal_part *)b)->sequence;
    return (left > right) - (left < right);
}

/* Keeps the newest run of segments without a gap: older ones were being removed when the power went. */
static void keep_newest_run(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    size_t first = wal->n_parts;
    while (first > 1 && wal->parts[first - 2].sequence + 1 == wal->parts[first - 1].sequence)
        first--;
    first -= first > 0;
    recovery->has_strays = first > 0;
    wal->n_parts -= first;
    memmove(wal->parts, wal->parts + first, wal->n_parts * sizeof(wal->parts[0]));
}

static int find_files(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    struct listing listing = {.wal = wal};
    int result = wal->files->ops->list(wal->files->ctx, on_name, &listing);
    if (result == 0)
        result = listing.result;
    if (result < 0)
        return err_set_errno(recovery->err, result, "the files in %s cannot be listed", wal->files->path);
    if (wal->n_parts > 0) {
        qsort(wal->parts, wal->n_parts, sizeof(wal->parts[0]), compare_parts);
        keep_newest_run(recovery);
    }
    return 0;
}

static void remove_stray(void *ctx, const char *name)
{
    struct wal *wal = ctx;
    uint64_t sequence;
    if (segment_name_parse(name, "log", &sequence) && sequence < wal->parts[0].sequence)
        (void)wal->files->ops->remove(wal->files->ctx, name);
}

static int spare_size(struct wal *wal, struct wal_spare *spare)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(spare->id, "spare", name);
    struct wal_file *file;
    int result = wal->files->ops->open(wal->files->ctx, name, false, &file);
    if (result < 0)
        return result;
    result = wal->files->ops->size(wal->files->ctx, file, &spare->bytes);
    wal->files->ops->close(wal->files->ctx, file);
    return result;
}

/* A spare that cannot be looked at is left alone. */
static void measure_spares(struct wal *wal)
{
    size_t n = 0;
    for (size_t i = 0; i < wal->n_spares; i++) {
        if (spare_size(wal, &wal->spares[i]) < 0)
            continue;
        wal->spares[i].bytes -= wal->spares[i].bytes % SEGMENT_PAGE_BYTES;
        wal->spares[n++] = wal->spares[i];
    }
    wal->n_spares = n;
}

/* ------------------------------------------------------------------------------------------------ damage */

static int refuse(struct recovery *recovery, uint64_t sequence, uint64_t offset, const char *what)
{
    const char *path = recovery->wal->files->path;
    return err_set(recovery->err, -EBADMSG,
                   "%s/%016" PRIx64 ".log is damaged at offset %" PRIu64
                   ": %s. `muster store check --repair --data %s` keeps what is before it and cuts off the rest",
                   path, sequence, offset, what, path);
}

/* Sets aside the segments from index `first` on, the newest first, so that what is left has no gap. */
static int set_aside(struct recovery *recovery, size_t first)
{
    struct wal *wal = recovery->wal;
    while (wal->n_parts > first) {
        struct wal_part *part = &wal->parts[wal->n_parts - 1];
        int result = wal_rename(wal->files, part->sequence, "log", part->sequence, "damaged");
        if (result < 0)
            return err_set_errno(recovery->err, result, "%s/%016" PRIx64 ".log cannot be set aside", wal->files->path,
                                 part->sequence);
        recovery->torn_bytes += part->bytes;
        wal->n_parts--;
    }
    return 0;
}

/* Damage in the segment that is being read, at the reader's offset: cut off on demand, else refused. */
static int damaged(struct recovery *recovery, size_t index, const char *what)
{
    struct wal *wal = recovery->wal;
    uint64_t offset = recovery->reader.offset;
    if (!wal->options.repair)
        return refuse(recovery, wal->parts[index].sequence, offset, what);
    recovery->torn_bytes += wal->parts[index].bytes - offset;
    return set_aside(recovery, index + 1);
}

/* ------------------------------------------------------------------------------------------------ heads */

/* Reads the head of each segment. With a damaged one the log ends before it, on demand. */
static int read_heads(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    struct wal_reader *reader = &recovery->reader;
    for (size_t i = 0; i < wal->n_parts; i++) {
        uint64_t sequence = wal->parts[i].sequence;
        int result = wal_reader_open(reader, sequence);
        wal->parts[i].bytes = reader->file_bytes;
        if (result == -EBADMSG)
            return wal->options.repair ? set_aside(recovery, i)
                                       : refuse(recovery, sequence, 0, "its head is unreadable");
        if (result == -ENOTSUP)
            return err_set(recovery->err, result, "%s/%016" PRIx64 ".log was written by a newer version of muster",
                           wal->files->path, sequence);
        if (result < 0)
            return err_set_errno(recovery->err, result, "%s/%016" PRIx64 ".log cannot be read", wal->files->path,
                                 sequence);
        wal->parts[i].first_number = reader->head.first_number;
        recovery->before_ends[i] = reader->head.before_end;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ records */

/* The last segment ends here, neither with an END nor with a record. */
static int judge_end(struct recovery *recovery, size_t index)
{
    struct wal_behind behind;
    int result = wal_reader_look_behind(&recovery->reader, &behind);
    if (result < 0)
        return err_set_errno(recovery->err, result, "the log in %s cannot be read", recovery->wal->files->path);
    if (behind.was_durable)
        return damaged(recovery, index, "a later record proves that one stood there");
    recovery->torn_bytes += behind.torn_bytes;
    return 0;
}

/*
 * Reads one segment up to `end`, or when that is UINT64_MAX to its END. ret_is_cut: it ended before that, and with it
 * the log.
 */
static int replay_part(struct recovery *recovery, size_t index, uint64_t end, bool *ret_is_cut)
{
    struct wal_reader *reader = &recovery->reader;
    bool is_last = end == UINT64_MAX;
    *ret_is_cut = false;
    while (reader->offset != end) {
        struct slice payload;
        uint64_t number = reader->number;
        int found = wal_reader_next(reader, &payload);
        if (found < 0)
            return err_set_errno(recovery->err, found, "the log in %s cannot be read", recovery->wal->files->path);
        if (found == WAL_FOUND_END && is_last)
            return 0;
        if (found != WAL_FOUND_RECORD || reader->offset > end) {
            *ret_is_cut = true;
            return is_last ? judge_end(recovery, index)
                           : damaged(recovery, index, "the next segment proves that records stood there");
        }
        int result = number < recovery->from ? 0 : recovery->on_record(recovery->ctx, number, payload, recovery->err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* The index of the segment to begin with. */
static int find_first(struct recovery *recovery, size_t *ret_index)
{
    struct wal *wal = recovery->wal;
    size_t index = wal->n_parts;
    while (index > 0 && wal->parts[index - 1].first_number > recovery->from)
        index--;
    if (index == 0)
        return err_set(
            recovery->err, -EBADMSG,
            "the log in %s begins with record %" PRIu64 ", but it is needed from record %" PRIu64
            " on: segments or a newer snapshot are missing. `muster store restore` begins anew from a snapshot",
            wal->files->path, wal->parts[0].first_number, recovery->from);
    *ret_index = index - 1;
    return 0;
}

/*
 * Whoever is told of a record acts upon it, so it must be on the disk. Of all but the last segment the next one's head
 * says so; the last one's records, even its name, may be those of a process that died before its sync, or after one
 * that failed.
 */
static int open_part(struct recovery *recovery, size_t index)
{
    struct wal *wal = recovery->wal;
    int result = wal_reader_open(&recovery->reader, wal->parts[index].sequence);
    if (result == 0 && index + 1 == wal->n_parts)
        result = wal_reader_refresh(&recovery->reader);
    return result < 0 ? err_set_errno(recovery->err, result, "the log in %s cannot be read", wal->files->path) : 0;
}

static int replay(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    size_t index = 0;
    int result = find_first(recovery, &index);
    for (bool is_cut = false; result == 0 && !is_cut && index < wal->n_parts; index++) {
        bool is_last = index + 1 == wal->n_parts;
        result = open_part(recovery, index);
        if (result < 0)
            return result;
        result = replay_part(recovery, index, is_last ? UINT64_MAX : recovery->before_ends[index + 1], &is_cut);
        if (result < 0 || is_last || is_cut)
            continue;
        /* A gap in the numbers is right where a snapshot held more than a relaxed log when the power went. */
        uint64_t first = wal->parts[index + 1].first_number;
        if (first != recovery->reader.number && (first < recovery->reader.number || first > recovery->from)) {
            is_cut = true;
            result = damaged(recovery, index, "the next segment does not continue it");
        }
    }
    wal->durable_end = recovery->reader.offset;
    wal->next = wal->durable_next = recovery->reader.number;
    return result;
}

/* ------------------------------------------------------------------------------------------------ opening */

static int recover(struct recovery *recovery)
{
    struct wal *wal = recovery->wal;
    int result = find_files(recovery);
    if (result < 0)
        return result;
    measure_spares(wal);
    recovery->before_ends = calloc(wal->n_parts + 1, sizeof(uint64_t));
    if (!recovery->before_ends)
        return err_set(recovery->err, -ENOMEM, "no memory to read the log in %s", wal->files->path);
    result = read_heads(recovery);
    if (result == 0 && wal->n_parts > 0)
        result = replay(recovery);
    if (result < 0)
        return result;

    if (recovery->has_strays && wal->n_parts > 0)
        (void)wal->files->ops->list(wal->files->ctx, remove_stray, wal);
    if (wal->next < recovery->from)
        wal->next = wal->durable_next = recovery->from;
    if (!wal->options.repair || recovery->torn_bytes == 0 || wal->n_parts == 0)
        return 0;
    /* Only the head of another segment makes the cut last; there may be a spare for it already. */
    wal_show_room(wal);
    result = wal_prepare(wal, segment_record_bytes(0), recovery->err);
    return result < 0 ? result : wal_begin_part(wal, recovery->err);
}

int wal_open(struct wal_files *files, const struct wal_options *options, uint64_t from, wal_replay_fn on_record,
             void *ctx, struct wal **ret_wal, uint64_t *ret_torn_bytes, struct err *err)
{
    struct wal *wal = calloc(1, sizeof(*wal));
    if (!wal)
        return err_set(err, -ENOMEM, "no memory to open the log in %s", files->path);
    wal->files = files;
    wal->options = *options;
    if (wal->options.segment_bytes < SEGMENT_PAGE_BYTES)
        wal->options.segment_bytes = WAL_SEGMENT_BYTES;
    wal->options.segment_bytes -= wal->options.segment_bytes % SEGMENT_PAGE_BYTES;
    wal->next = wal->durable_next = 1;

    struct recovery recovery = {
        .wal = wal,
        .from = from > 1 ? from : 1,
        .on_record = on_record,
        .ctx = ctx,
        .err = err,
    };
    wal_reader_init(&recovery.reader, files);
    int result = recover(&recovery);
    wal_reader_deinit(&recovery.reader);
    free(recovery.before_ends);
    if (result < 0) {
        wal_close(wal);
        return result;
    }
    wal_show_bytes(wal);
    wal_show_room(wal);
    *ret_wal = wal;
    *ret_torn_bytes = recovery.torn_bytes;
    return 0;
}
