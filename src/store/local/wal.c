/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to the log. A record and the END behind it go out in one write, over the END of the record before, then one
 * fdatasync. Two attempts at most: when the first leaves the segment in doubt, the second begins a new one.
 *
 * Relaxed, records are also kept in memory until a sync, since a failed sync leaves no other copy that can be trusted.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "store/local/wal_priv.h"

#include <stdlib.h>

enum { ATTEMPTS = 2 };

/* Relaxed: more than this is not kept in memory (and not risked), but synced at once. */
enum { UNSYNCED_BYTES_MAX = 4 * 1024 * 1024 };

/* One record on its way out. */
struct outgoing {
    const struct iovec *iov;
    int n_iov;
    uint32_t length;
};

uint64_t wal_next(const struct wal *wal)
{
    return wal->next;
}

uint64_t wal_room(const struct wal *wal)
{
    return atomic_load_explicit(&wal->room, memory_order_acquire);
}

uint64_t wal_bytes(const struct wal *wal)
{
    return atomic_load_explicit(&wal->bytes, memory_order_relaxed);
}

uint64_t wal_n_syncs(const struct wal *wal)
{
    return atomic_load_explicit(&wal->n_syncs, memory_order_relaxed);
}

uint64_t wal_record_bytes(uint64_t length)
{
    return segment_record_bytes(length);
}

/* ------------------------------------------------------------------------------------------------ when it fails */

/* A write or sync failed, for whatever reason: what the segment holds behind its durable end is anybody's guess. */
static int seal_in_doubt(struct wal *wal, int result)
{
    wal_seal(wal);
    return wal_is_harmless(result) ? -EIO : result;
}

static int give_up(struct wal *wal, int result, struct err *err)
{
    err_set_errno(&wal->why, result,
                  "writing the log in %s failed, and so did going on in a new file; no changes until the next start",
                  wal->files->path);
    wal->is_read_only = true;
    wal_seal(wal);
    return err_set(err, -EROFS, "%s", wal->why.text);
}

/* ------------------------------------------------------------------------------------------------ syncing */

static int sync_file(struct wal *wal)
{
    atomic_fetch_add_explicit(&wal->n_syncs, 1, memory_order_relaxed);
    int result = wal->files->ops->sync(wal->files->ctx, wal->file);
    if (result < 0)
        return seal_in_doubt(wal, result);
    wal->durable_end = wal->end;
    wal->durable_next = wal->next;
    buf_reset(&wal->unsynced);
    return 0;
}

/* Makes durable what is not, in the segment, or when that is sealed, in a new one. */
static int sync_once(struct wal *wal, struct err *err)
{
    if (wal->file)
        return sync_file(wal);
    int result = wal_make_room(wal, segment_record_bytes(0), err);
    return result < 0 ? result : wal_begin_part(wal, err);
}

int wal_sync(struct wal *wal, struct err *err)
{
    int result = 0;
    for (int attempt = 0; attempt < ATTEMPTS && wal->durable_next < wal->next; attempt++) {
        if (wal->is_read_only)
            return err_set(err, -EROFS, "%s", wal->why.text);
        result = sync_once(wal, err);
        if (wal_is_harmless(result))
            return result;
    }
    return result < 0 ? give_up(wal, result, err) : 0;
}

int wal_sync_if_due(struct wal *wal, nsec_t now_ns, struct err *err)
{
    if (wal->durable_next < wal->next && now_ns - wal->synced_ns < wal->options.relaxed_ms * NSEC_PER_MSEC)
        return 0;
    int result = wal_sync(wal, err);
    if (result == 0)
        wal->synced_ns = now_ns;
    return result;
}

bool wal_is_durable(const struct wal *wal)
{
    return wal->durable_next == wal->next;
}

/* ------------------------------------------------------------------------------------------------ appending */

/* Sees to it that the last segment has room for so many bytes. */
static int make_place(struct wal *wal, uint64_t bytes, struct err *err)
{
    int result = wal_make_room(wal, bytes, err);
    if (result < 0 || wal_rest(wal) >= bytes)
        return result;
    if (wal->file && wal->durable_next < wal->next) {
        result = sync_file(wal);
        if (result < 0)
            return result;
    }
    return wal_begin_part(wal, err);
}

/* What stands behind the record proper: END, and zeroes to the end of the page. */
enum { PIECES_BEHIND = 2 };

static struct iovec zeroes(size_t n)
{
    static const char page[SEGMENT_PAGE_BYTES];
    return (struct iovec){(char *)(uintptr_t)page, n};
}

/* The pieces of the record as they go to the file: head, payload, padding, and PIECES_BEHIND; gives their number. */
static int lay_out(struct wal *wal, const struct outgoing *record, char heads[2][SEGMENT_RECORD_HEAD_BYTES])
{
    uint64_t bytes = segment_record_bytes(record->length);
    uint32_t crc = wal->salt;
    for (int i = 0; i < record->n_iov; i++) {
        wal->iov[1 + i] = record->iov[i];
        crc = crc32c(crc, slice_from(record->iov[i].iov_base, record->iov[i].iov_len));
    }
    struct segment_record head = {SEGMENT_RECORD, record->length, crc, wal->next, wal->durable_end};
    struct segment_record end = {SEGMENT_END, .number = wal->next + 1, .durable_end = wal->durable_end};
    segment_record_write(wal->salt, &head, heads[0]);
    segment_record_write(wal->salt, &end, heads[1]);

    int n = 1 + record->n_iov;
    wal->iov[0] = (struct iovec){heads[0], SEGMENT_RECORD_HEAD_BYTES};
    wal->iov[n++] = zeroes(bytes - SEGMENT_RECORD_HEAD_BYTES - record->length);
    wal->iov[n++] = (struct iovec){heads[1], SEGMENT_END_BYTES};
    wal->iov[n++] = zeroes(-(wal->end + bytes + SEGMENT_END_BYTES) % SEGMENT_PAGE_BYTES);
    return n;
}

/* Relaxed: keeps a record that was laid out. False: it must be synced now. */
static bool keep_unsynced(struct wal *wal, int n_iov, uint64_t bytes)
{
    char *to;
    if (!wal->options.relaxed || wal->unsynced.len + bytes > UNSYNCED_BYTES_MAX ||
        buf_reserve(&wal->unsynced, bytes, &to) < 0)
        return false;
    for (int i = 0; i < n_iov - PIECES_BEHIND; i++) {
        if (wal->iov[i].iov_len == 0)
            continue;
        memcpy(to, wal->iov[i].iov_base, wal->iov[i].iov_len);
        to += wal->iov[i].iov_len;
    }
    buf_commit(&wal->unsynced, bytes);
    return true;
}

static int append_once(struct wal *wal, const struct outgoing *record, struct err *err)
{
    uint64_t bytes = segment_record_bytes(record->length);
    int result = make_place(wal, bytes, err);
    if (result < 0)
        return result;
    ASSERT(wal->file && wal_rest(wal) >= bytes);

    char heads[2][SEGMENT_RECORD_HEAD_BYTES];
    int n_iov = lay_out(wal, record, heads);
    result = wal->files->ops->writev(wal->files->ctx, wal->file, wal->end, wal->iov, n_iov);
    if (result < 0)
        return seal_in_doubt(wal, result);
    if (!keep_unsynced(wal, n_iov, bytes)) {
        atomic_fetch_add_explicit(&wal->n_syncs, 1, memory_order_relaxed);
        result = wal->files->ops->sync(wal->files->ctx, wal->file);
        if (result < 0)
            return seal_in_doubt(wal, result);
        wal->durable_end = wal->end + bytes;
        wal->durable_next = wal->next + 1;
        buf_reset(&wal->unsynced);
    }
    wal->end += bytes;
    wal->next++;
    wal_show_room(wal);
    return 0;
}

static int reserve_iov(struct wal *wal, size_t n)
{
    if (n <= wal->iov_cap)
        return 0;
    struct iovec *iov = realloc(wal->iov, 2 * n * sizeof(*iov));
    if (!iov)
        return -ENOMEM;
    wal->iov = iov;
    wal->iov_cap = 2 * n;
    return 0;
}

int wal_append(struct wal *wal, const struct iovec *iov, int n_iov, struct err *err)
{
    size_t length = 0;
    for (int i = 0; i < n_iov; i++)
        length += iov[i].iov_len;
    if (length > WAL_RECORD_BYTES_MAX)
        return err_set(err, -EMSGSIZE, "a log record of %zu bytes is too long", length);
    if (wal->is_read_only)
        return err_set(err, -EROFS, "%s", wal->why.text);
    if (reserve_iov(wal, (size_t)n_iov + 2 + PIECES_BEHIND) < 0)
        return err_set(err, -ENOMEM, "no memory to write to the log");

    struct outgoing record = {iov, n_iov, (uint32_t)length};
    int result = -EIO;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        result = append_once(wal, &record, err);
        if (result == 0 || (attempt == 0 && wal_is_harmless(result)))
            return result;
    }
    return give_up(wal, result, err);
}

/* ------------------------------------------------------------------------------------------------ closing */

/* An END that names itself as durable: with it, damage to the last record shows at the next start. */
static void mark_durable(struct wal *wal)
{
    char bytes[SEGMENT_END_BYTES];
    struct segment_record end = {SEGMENT_END, .number = wal->next, .durable_end = wal->end};
    segment_record_write(wal->salt, &end, bytes);
    struct iovec iov = {bytes, sizeof(bytes)};
    if (wal->files->ops->writev(wal->files->ctx, wal->file, wal->end, &iov, 1) == 0)
        (void)wal->files->ops->sync(wal->files->ctx, wal->file);
}

void wal_close(struct wal *wal)
{
    if (!wal)
        return;
    if (wal_sync(wal, NULL) == 0 && wal->file)
        mark_durable(wal);
    if (wal->file)
        wal->files->ops->close(wal->files->ctx, wal->file);
    buf_deinit(&wal->unsynced);
    free(wal->iov);
    free(wal->parts);
    free(wal);
}
