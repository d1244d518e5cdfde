/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a snapshot: twice. The first pass checks every frame and the counts, the second one gives the entries, so
 * that whoever builds a state from them never has half of one to undo. Checking is cheap beside building.
 */
#include "store/local/snapshot_format.h"
#include "store/local/wal_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct snapshot_reader {
    struct wal_files *files;
    const char *name;
    struct wal_file *file;
    uint64_t file_bytes;
    struct snapshot_head head;
    uint32_t salt;
    uint64_t offset;
    char *bytes; /* of the frame in hand */
    size_t cap;
    uint64_t n_entries, n_frames; /* so far */
    bool is_ended;
};

static int read_exactly(struct snapshot_reader *reader, size_t len, char *ret_bytes)
{
    if (len > reader->file_bytes - reader->offset)
        return -EBADMSG;
    ssize_t got = reader->files->ops->read(reader->files->ctx, reader->file, reader->offset, ret_bytes, len);
    if (got < 0)
        return (int)got;
    return (size_t)got < len ? -EBADMSG : 0;
}

static int open_file(struct snapshot_reader *reader)
{
    int result = reader->files->ops->open(reader->files->ctx, reader->name, false, &reader->file);
    return result < 0 ? result : reader->files->ops->size(reader->files->ctx, reader->file, &reader->file_bytes);
}

static int read_head(struct snapshot_reader *reader)
{
    char bytes[SNAPSHOT_HEAD_BYTES];
    reader->offset = reader->n_entries = reader->n_frames = 0;
    reader->is_ended = false;
    int result = read_exactly(reader, sizeof(bytes), bytes);
    if (result == 0)
        result = snapshot_head_read(bytes, &reader->head, &reader->salt);
    if (result == 0)
        reader->offset = sizeof(bytes);
    return result;
}

static int reserve(struct snapshot_reader *reader, size_t len)
{
    if (len <= reader->cap)
        return 0;
    size_t cap = max_size(len, 2 * SNAPSHOT_FRAME_BYTES);
    char *bytes = realloc(reader->bytes, cap);
    if (!bytes)
        return -ENOMEM;
    reader->bytes = bytes;
    reader->cap = cap;
    return 0;
}

/* Nothing but zeroes, and few of them, is left of the file. */
static int check_padding(struct snapshot_reader *reader)
{
    char bytes[SNAPSHOT_PADDING_MAX];
    size_t len = (size_t)min_size(reader->file_bytes - reader->offset, sizeof(bytes) + 1);
    if (len > sizeof(bytes))
        return -EBADMSG;
    int result = read_exactly(reader, len, bytes);
    for (size_t i = 0; result == 0 && i < len; i++)
        result = bytes[i] == 0 ? 0 : -EBADMSG;
    return result;
}

/* The end frame must count what was read and be the last thing there is, but for padding. */
static int check_end(struct snapshot_reader *reader, struct slice payload)
{
    uint64_t n_entries, n_frames;
    snapshot_end_read(payload.ptr, &n_entries, &n_frames);
    if (n_entries != reader->n_entries || n_frames != reader->n_frames)
        return -EBADMSG;
    return check_padding(reader);
}

/* Reads the next frame; an end frame sets is_ended. The payload is valid until the next call. */
static int next_frame(struct snapshot_reader *reader, struct snapshot_frame *ret_frame, struct slice *ret_payload)
{
    char head[SNAPSHOT_FRAME_HEAD_BYTES];
    struct snapshot_frame frame;
    int result = read_exactly(reader, sizeof(head), head);
    if (result < 0)
        return result;
    if (!snapshot_frame_read(head, &frame) || frame.index != reader->n_frames ||
        frame.length > reader->file_bytes - reader->offset - sizeof(head))
        return -EBADMSG;
    result = reserve(reader, frame.length);
    if (result < 0)
        return result;
    reader->offset += sizeof(head);
    result = read_exactly(reader, frame.length, reader->bytes);
    struct slice payload = slice_from(reader->bytes, frame.length);
    if (result == 0 && snapshot_frame_crc(reader->salt, head, payload) != frame.crc)
        result = -EBADMSG;
    if (result < 0) {
        reader->offset -= sizeof(head); /* where the damage is */
        return result;
    }
    reader->offset += frame.length;
    if (frame.kind == SNAPSHOT_END) {
        result = check_end(reader, payload);
        reader->is_ended = true;
        return result;
    }
    reader->n_frames++;
    reader->n_entries += frame.n_entries;
    *ret_frame = frame;
    *ret_payload = payload;
    return 0;
}

static int told(const struct snapshot_reader *reader, int result, struct err *err)
{
    const char *path = reader->files->path;
    if (result == -EBADMSG)
        return err_set(err, result, "%s/%s is damaged at offset %" PRIu64, path, reader->name, reader->offset);
    if (result == -ENOTSUP)
        return err_set(err, result, "%s/%s was written by a newer version of muster", path, reader->name);
    return err_set_errno(err, result, "%s/%s cannot be read", path, reader->name);
}

static int check_frames(struct snapshot_reader *reader)
{
    int result = read_head(reader);
    while (result == 0 && !reader->is_ended) {
        struct snapshot_frame frame;
        struct slice payload;
        result = next_frame(reader, &frame, &payload);
    }
    return result;
}

static int give_frame(struct snapshot_reader *reader, const struct snapshot_frame *frame, struct slice payload,
                      snapshot_entry_fn on_entry, void *ctx, struct err *err)
{
    for (uint32_t i = 0; i < frame->n_entries; i++) {
        struct record_entry entry;
        if (record_read(&payload, &entry) < 0)
            return told(reader, -EBADMSG, err);
        int result = on_entry(ctx, &entry, err);
        if (result < 0)
            return result;
    }
    return payload.len == 0 ? 0 : told(reader, -EBADMSG, err);
}

static int give_entries(struct snapshot_reader *reader, snapshot_entry_fn on_entry, void *ctx, struct err *err)
{
    int result = read_head(reader);
    while (result == 0) {
        struct snapshot_frame frame;
        struct slice payload;
        result = next_frame(reader, &frame, &payload);
        if (result < 0 || reader->is_ended)
            break;
        result = give_frame(reader, &frame, payload, on_entry, ctx, err);
        if (result < 0)
            return result;
    }
    return result < 0 ? told(reader, result, err) : 0;
}

/* ret_is_whole, always written: nothing was wrong with the file itself. */
static int read_file(struct wal_files *files, const char *name, snapshot_entry_fn on_entry, void *ctx,
                     struct snapshot_head *ret_head, bool *ret_is_whole, struct err *err)
{
    struct snapshot_reader reader = {.files = files, .name = name};
    int result = open_file(&reader);
    if (result == 0)
        result = check_frames(&reader);
    *ret_is_whole = result == 0;
    if (result < 0)
        told(&reader, result, err);
    else if (on_entry)
        result = give_entries(&reader, on_entry, ctx, err);
    if (result == 0)
        *ret_head = reader.head;
    if (reader.file)
        files->ops->close(files->ctx, reader.file);
    free(reader.bytes);
    return result;
}

int snapshot_read(struct wal_files *files, const char *name, snapshot_entry_fn on_entry, void *ctx,
                  struct snapshot_head *ret_head, struct err *err)
{
    bool is_whole;
    return read_file(files, name, on_entry, ctx, ret_head, &is_whole, err);
}

/* ------------------------------------------------------------------------------------------------ their size */

struct measuring {
    struct wal_files *files;
    uint64_t bytes;
};

static void measure_file(void *ctx, const char *name)
{
    struct measuring *measuring = ctx;
    struct wal_files *files = measuring->files;
    struct wal_file *file;
    uint64_t number, bytes;
    if (!segment_name_parse(name, "snapshot", &number) || files->ops->open(files->ctx, name, false, &file) < 0)
        return;
    if (files->ops->size(files->ctx, file, &bytes) == 0)
        measuring->bytes += bytes;
    files->ops->close(files->ctx, file);
}

uint64_t snapshot_disk_bytes(struct wal_files *files)
{
    struct measuring measuring = {.files = files};
    (void)files->ops->list(files->ctx, measure_file, &measuring);
    return measuring.bytes;
}

/* ------------------------------------------------------------------------------------------------ the newest one */

/* The highest number below a limit. */
struct search {
    uint64_t below;
    uint64_t number;
    bool is_found;
};

static void on_name(void *ctx, const char *name)
{
    struct search *search = ctx;
    uint64_t number;
    if (segment_name_parse(name, "snapshot", &number) && number < search->below &&
        (!search->is_found || number > search->number)) {
        search->number = number;
        search->is_found = true;
    }
}

int snapshot_load(struct wal_files *files, snapshot_entry_fn on_entry, void *ctx, struct snapshot_head *ret_head,
                  unsigned *ret_skipped, struct err *err)
{
    unsigned n_skipped = 0;
    for (uint64_t below = UINT64_MAX;; n_skipped++) {
        struct search search = {.below = below};
        int result = files->ops->list(files->ctx, on_name, &search);
        if (result < 0)
            return err_set_errno(err, result, "the files in %s cannot be listed", files->path);
        if (!search.is_found)
            break;
        char name[SEGMENT_NAME_MAX];
        segment_name(search.number, "snapshot", name);
        bool is_whole;
        result = read_file(files, name, on_entry, ctx, ret_head, &is_whole, err);
        if (!is_whole && (result == -EBADMSG || result == -EIO)) {
            below = search.number;
            continue;
        }
        *ret_skipped = n_skipped;
        return result;
    }
    if (n_skipped == 0)
        return err_set(err, -ENOENT, "there is no snapshot in %s", files->path);
    return err_wrap(err, -EBADMSG, "every snapshot in %s is damaged; the oldest", files->path);
}
