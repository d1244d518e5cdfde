/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a snapshot. Entries are collected in one buffer, in front of which the frame's head has its place, so a frame
 * is one write.
 */
#include "store/local/snapshot.h"

#include "base/random.h"
#include "store/local/snapshot_format.h"
#include "store/local/wal_segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* What it is called until it is whole. */
#define UNFINISHED "snapshot.new"

enum { KEPT = 2 };

struct snapshot_writer {
    struct wal_files *files; /* NULL: the bytes go to the sink */
    struct wal_file *file;
    snapshot_sink_fn sink;
    void *sink_ctx;
    uint64_t next_record;
    uint32_t salt;
    uint64_t offset, synced;
    struct buf frame; /* head and entries */
    uint32_t n_entries;
    uint64_t n_all_entries, n_frames;
};

static int told(const struct snapshot_writer *writer, int result, struct err *err)
{
    if (!writer->files)
        return err_set_errno(err, result, "writing a snapshot failed");
    if (result == -ENOSPC)
        return err_set(err, result, "the disk of %s is full: no snapshot was written", writer->files->path);
    return err_set_errno(err, result, "writing a snapshot to %s failed", writer->files->path);
}

static int write_bytes(struct snapshot_writer *writer, struct slice bytes)
{
    if (!writer->files)
        return writer->sink(writer->sink_ctx, bytes);
    struct iovec iov = {(char *)(uintptr_t)bytes.ptr, bytes.len};
    int result = writer->files->ops->writev(writer->files->ctx, writer->file, writer->offset, &iov, 1);
    if (result < 0)
        return result;
    writer->offset += bytes.len;
    if (writer->offset - writer->synced < SNAPSHOT_SYNC_BYTES)
        return 0;
    writer->synced = writer->offset;
    return writer->files->ops->sync(writer->files->ctx, writer->file);
}

/* An empty frame: nothing but the place of its head. */
static int begin_frame(struct snapshot_writer *writer)
{
    char *head;
    buf_reset(&writer->frame);
    writer->n_entries = 0;
    int result = buf_reserve(&writer->frame, SNAPSHOT_FRAME_HEAD_BYTES, &head);
    if (result == 0)
        buf_commit(&writer->frame, SNAPSHOT_FRAME_HEAD_BYTES);
    return result;
}

static int end_frame(struct snapshot_writer *writer, enum snapshot_frame_kind kind)
{
    if (buf_error(&writer->frame) < 0)
        return buf_error(&writer->frame);
    struct slice payload = slice_skip(buf_slice(&writer->frame), SNAPSHOT_FRAME_HEAD_BYTES);
    struct snapshot_frame frame = {
        .kind = kind,
        .length = (uint32_t)payload.len,
        .n_entries = writer->n_entries,
        .index = writer->n_frames++,
    };
    snapshot_frame_write(writer->salt, &frame, payload, writer->frame.ptr);
    writer->n_all_entries += writer->n_entries;
    int result = write_bytes(writer, buf_slice(&writer->frame));
    return result < 0 ? result : begin_frame(writer);
}

static void writer_free(struct snapshot_writer *writer)
{
    if (writer->file)
        writer->files->ops->close(writer->files->ctx, writer->file);
    buf_deinit(&writer->frame);
    free(writer);
}

static int open_file(struct snapshot_writer *writer)
{
    struct wal_files *files = writer->files;
    (void)files->ops->remove(files->ctx, UNFINISHED); /* of one that was not finished */
    return files->ops->open(files->ctx, UNFINISHED, true, &writer->file);
}

static int begin_file(struct snapshot_writer *writer, const struct snapshot_head *head)
{
    uint64_t random;
    int result = random_system(&random, sizeof(random));
    if (result == 0 && writer->files)
        result = open_file(writer);
    if (result < 0)
        return result;
    char bytes[SNAPSHOT_HEAD_BYTES];
    writer->salt = snapshot_head_write(head, random, bytes);
    result = write_bytes(writer, slice_from(bytes, sizeof(bytes)));
    return result < 0 ? result : begin_frame(writer);
}

/* Where it goes to is copied from `place`. */
static int writer_open(const struct snapshot_writer *place, const struct snapshot_head *head,
                       struct snapshot_writer **ret_writer, struct err *err)
{
    struct snapshot_writer *writer = calloc(1, sizeof(*writer));
    if (!writer)
        return err_set(err, -ENOMEM, "no memory to write a snapshot");
    *writer = *place;
    writer->next_record = head->next_record;
    writer->frame.limit = SNAPSHOT_FRAME_HEAD_BYTES + SNAPSHOT_FRAME_BYTES_MAX;
    int result = begin_file(writer, head);
    if (result < 0) {
        told(writer, result, err);
        snapshot_writer_abort(writer);
        return result;
    }
    *ret_writer = writer;
    return 0;
}

int snapshot_writer_open(struct wal_files *files, const struct snapshot_head *head, struct snapshot_writer **ret_writer,
                         struct err *err)
{
    return writer_open(&(struct snapshot_writer){.files = files}, head, ret_writer, err);
}

int snapshot_writer_open_sink(snapshot_sink_fn sink, void *ctx, const struct snapshot_head *head,
                              struct snapshot_writer **ret_writer, struct err *err)
{
    return writer_open(&(struct snapshot_writer){.sink = sink, .sink_ctx = ctx}, head, ret_writer, err);
}

int snapshot_writer_add(struct snapshot_writer *writer, const struct record_entry *entry, struct err *err)
{
    record_write(&writer->frame, entry);
    writer->n_entries++;
    int result = buf_error(&writer->frame);
    if (result == 0 && writer->frame.len >= SNAPSHOT_FRAME_BYTES)
        result = end_frame(writer, SNAPSHOT_ENTRIES);
    return result < 0 ? told(writer, result, err) : 0;
}

uint64_t snapshot_writer_bytes(const struct snapshot_writer *writer)
{
    return writer->offset;
}

static int end_file(struct snapshot_writer *writer)
{
    int result = writer->n_entries > 0 ? end_frame(writer, SNAPSHOT_ENTRIES) : 0;
    if (result < 0)
        return result;
    char bytes[SNAPSHOT_END_BYTES];
    snapshot_end_write(writer->n_all_entries, writer->n_frames, bytes);
    buf_append(&writer->frame, slice_from(bytes, sizeof(bytes)));
    result = end_frame(writer, SNAPSHOT_END);
    if (result < 0 || !writer->files)
        return result;
    result = writer->files->ops->sync(writer->files->ctx, writer->file);
    if (result < 0)
        return result;
    char name[SEGMENT_NAME_MAX];
    segment_name(writer->next_record, "snapshot", name);
    return writer->files->ops->rename(writer->files->ctx, UNFINISHED, name);
}

/* ------------------------------------------------------------------------------------------------ the older ones */

struct newest {
    uint64_t numbers[KEPT]; /* the newest first */
    unsigned n;
};

static void find_newest(void *ctx, const char *name)
{
    struct newest *newest = ctx;
    uint64_t number;
    if (!segment_name_parse(name, "snapshot", &number))
        return;
    unsigned at = 0;
    while (at < newest->n && newest->numbers[at] > number)
        at++;
    if (at == KEPT)
        return;
    newest->n += newest->n < KEPT;
    memmove(&newest->numbers[at + 1], &newest->numbers[at], (newest->n - at - 1) * sizeof(newest->numbers[0]));
    newest->numbers[at] = number;
}

struct removal {
    struct wal_files *files;
    uint64_t below;
};

static void remove_older(void *ctx, const char *name)
{
    struct removal *removal = ctx;
    uint64_t number;
    if (segment_name_parse(name, "snapshot", &number) && number < removal->below)
        (void)removal->files->ops->remove(removal->files->ctx, name);
}

void snapshot_drop_below(struct wal_files *files, uint64_t number)
{
    struct removal removal = {files, number};
    (void)files->ops->list(files->ctx, remove_older, &removal);
}

/* One that cannot be removed now will be after the next snapshot. */
static void prune(struct wal_files *files)
{
    struct newest newest = {.n = 0};
    if (files->ops->list(files->ctx, find_newest, &newest) < 0 || newest.n < KEPT)
        return;
    snapshot_drop_below(files, newest.numbers[KEPT - 1]);
}

int snapshot_writer_finish(struct snapshot_writer *writer, struct err *err)
{
    int result = end_file(writer);
    if (result < 0) {
        told(writer, result, err);
        snapshot_writer_abort(writer);
        return result;
    }
    if (writer->files)
        prune(writer->files);
    writer_free(writer);
    return 0;
}

void snapshot_writer_abort(struct snapshot_writer *writer)
{
    if (!writer)
        return;
    struct wal_files *files = writer->files;
    writer_free(writer);
    if (files)
        (void)files->ops->remove(files->ctx, UNFINISHED);
}
