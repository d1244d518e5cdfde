/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record is taken only with the right number and both checksums right. At a bad place the rest of the segment is
 * searched for record heads with this segment's salt: each names the offset that was durable when it was written, and
 * one that names an offset beyond the bad place proves that what stood there had been acknowledged.
 */
#include "store/local/wal_reader.h"

#include "base/crc32c.h"

#include <errno.h>
#include <stdlib.h>

enum { WINDOW_BYTES = 1024 * 1024, RECORD_ALIGNMENT = 8 };

void wal_reader_init(struct wal_reader *reader, struct wal_files *files)
{
    *reader = (struct wal_reader){.files = files};
}

static void close_file(struct wal_reader *reader)
{
    if (reader->file)
        reader->files->ops->close(reader->files->ctx, reader->file);
    reader->file = NULL;
}

void wal_reader_deinit(struct wal_reader *reader)
{
    close_file(reader);
    free(reader->window);
    reader->window = NULL;
}

/* Reads at `offset` at least `len` bytes, which the file has. */
static int fill_window(struct wal_reader *reader, uint64_t offset, size_t len)
{
    if (len > reader->window_cap) {
        size_t cap = max_size(len, WINDOW_BYTES);
        char *window = realloc(reader->window, cap);
        if (!window)
            return -ENOMEM;
        reader->window = window;
        reader->window_cap = cap;
    }
    reader->window_len = 0;
    size_t wanted = min_size(reader->window_cap, reader->file_bytes - offset);
    ssize_t got = reader->files->ops->read(reader->files->ctx, reader->file, offset, reader->window, wanted);
    if (got < 0)
        return (int)got;
    if ((size_t)got < len)
        return -EIO; /* it became shorter since it was opened */
    reader->window_offset = offset;
    reader->window_len = (size_t)got;
    return 0;
}

/* The bytes at an offset, valid until the next call; NULL when the file ends before. 0 or -errno. */
static int look_at(struct wal_reader *reader, uint64_t offset, uint64_t len, const char **ret_bytes)
{
    if (offset > reader->file_bytes || len > reader->file_bytes - offset) {
        *ret_bytes = NULL;
        return 0;
    }
    bool is_in = offset >= reader->window_offset && offset + len <= reader->window_offset + reader->window_len;
    int result = is_in ? 0 : fill_window(reader, offset, len);
    if (result < 0)
        return result;
    *ret_bytes = reader->window + (offset - reader->window_offset);
    return 0;
}

static void go_to_first(struct wal_reader *reader)
{
    reader->offset = SEGMENT_HEAD_BYTES;
    reader->number = reader->head.first_number;
}

int wal_reader_open(struct wal_reader *reader, uint64_t sequence)
{
    char name[SEGMENT_NAME_MAX];
    segment_name(sequence, "log", name);
    close_file(reader);
    reader->window_len = 0;
    int result = reader->files->ops->open(reader->files->ctx, name, false, &reader->file);
    if (result < 0)
        return result;
    result = reader->files->ops->size(reader->files->ctx, reader->file, &reader->file_bytes);
    if (result < 0)
        return result;

    const char *bytes;
    result = look_at(reader, 0, SEGMENT_HEAD_BYTES, &bytes);
    if (result < 0)
        return result;
    result = bytes ? segment_head_read(bytes, &reader->head) : -EBADMSG;
    if (result == 0 && reader->head.sequence != sequence)
        result = -EBADMSG;
    if (result < 0)
        return result;
    reader->salt = segment_salt(&reader->head);
    reader->durable_end = 0;
    go_to_first(reader);
    return 0;
}

int wal_reader_refresh(struct wal_reader *reader)
{
    int found;
    struct slice payload;
    while ((found = wal_reader_next(reader, &payload)) == WAL_FOUND_RECORD)
        continue;
    if (found < 0)
        return found;
    go_to_first(reader);
    reader->window_len = 0;
    return reader->files->ops->refresh(reader->files->ctx, reader->file, reader->durable_end);
}

int wal_reader_next(struct wal_reader *reader, struct slice *ret_payload)
{
    const char *bytes;
    int result = look_at(reader, reader->offset, SEGMENT_RECORD_HEAD_BYTES, &bytes);
    if (result < 0)
        return result;
    struct segment_record record;
    if (!bytes || !segment_record_read(reader->salt, bytes, &record) || record.number != reader->number)
        return WAL_FOUND_BAD;
    if (record.durable_end > reader->durable_end)
        reader->durable_end = record.durable_end;
    if (record.kind == SEGMENT_END)
        return WAL_FOUND_END;

    uint64_t record_bytes = segment_record_bytes(record.length);
    result = look_at(reader, reader->offset, record_bytes, &bytes);
    if (result < 0)
        return result;
    if (!bytes)
        return WAL_FOUND_BAD;
    struct slice payload = slice_from(bytes + SEGMENT_RECORD_HEAD_BYTES, record.length);
    if (crc32c(reader->salt, payload) != record.payload_crc)
        return WAL_FOUND_BAD;
    reader->offset += record_bytes;
    reader->number++;
    *ret_payload = payload;
    return WAL_FOUND_RECORD;
}

int wal_reader_look_behind(struct wal_reader *reader, struct wal_behind *ret_behind)
{
    struct wal_behind behind = {.torn_bytes = 1};
    for (uint64_t offset = reader->offset;; offset += RECORD_ALIGNMENT) {
        const char *bytes;
        int result = look_at(reader, offset, SEGMENT_RECORD_HEAD_BYTES, &bytes);
        if (result < 0)
            return result;
        if (!bytes)
            break;
        struct segment_record record;
        if (!segment_record_read(reader->salt, bytes, &record))
            continue;
        behind.was_durable |= record.durable_end > reader->offset;
        uint64_t end = record.kind == SEGMENT_END ? offset : offset + segment_record_bytes(record.length);
        end = end < reader->file_bytes ? end : reader->file_bytes;
        if (end > reader->offset && end - reader->offset > behind.torn_bytes)
            behind.torn_bytes = end - reader->offset;
    }
    *ret_behind = behind;
    return 0;
}
