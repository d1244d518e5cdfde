/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment ends where the head of the next one says; the last one at its END, or where a record was torn. What is rot
 * and what was never acknowledged is judged as at a start (wal_open.c).
 */
#include "store/local/store_files.h"

#include "base/array.h"
#include "store/local/snapshot.h"
#include "store/local/wal_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct names {
    uint64_t *numbers;
    size_t n, room;
    const char *suffix;
    int result;
};

struct checking {
    struct wal_files *files;
    store_file_fn fn;
    void *ctx;
};

static void take_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    uint64_t number;
    if (!segment_name_parse(name, names->suffix, &number) || names->result < 0)
        return;
    uint64_t *numbers = array_grow(names->numbers, names->n, &names->room, sizeof(*numbers));
    if (!numbers) {
        names->result = -ENOMEM;
        return;
    }
    names->numbers = numbers;
    names->numbers[names->n++] = number;
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int list_names(struct wal_files *files, const char *suffix, struct names *ret_names, struct err *err)
{
    *ret_names = (struct names){.suffix = suffix};
    int result = files->ops->list(files->ctx, take_name, ret_names);
    if (result == 0)
        result = ret_names->result;
    if (result < 0) {
        free(ret_names->numbers);
        return err_set_errno(err, result, "the files in %s cannot be listed", files->path);
    }
    if (ret_names->n > 0)
        qsort(ret_names->numbers, ret_names->n, sizeof(ret_names->numbers[0]), compare_numbers);
    return 0;
}

static uint64_t file_bytes(struct wal_files *files, const char *name)
{
    struct wal_file *file;
    uint64_t bytes = 0;
    if (files->ops->open(files->ctx, name, false, &file) < 0)
        return 0;
    (void)files->ops->size(files->ctx, file, &bytes);
    files->ops->close(files->ctx, file);
    return bytes;
}

/* ------------------------------------------------------------------------------------------------ snapshots */

static void check_snapshot(const struct checking *checking, uint64_t number)
{
    char name[SEGMENT_NAME_MAX];
    struct snapshot_head head;
    struct err err = {""};
    segment_name(number, "snapshot", name);
    struct store_file file = {.name = name, .is_snapshot = true, .first = number, .what = err.text};
    file.n_bytes = file_bytes(checking->files, name);
    file.result = snapshot_read(checking->files, name, NULL, NULL, &head, &err);
    checking->fn(checking->ctx, &file);
}

/* ------------------------------------------------------------------------------------------------ the log */

/* Where the segment behind this one says that it ends; UINT64_MAX: there is none, or its head is damaged. */
static uint64_t find_end(struct wal_reader *reader, const struct names *names, size_t index)
{
    bool has_next = index + 1 < names->n && names->numbers[index + 1] == names->numbers[index] + 1;
    if (!has_next || wal_reader_open(reader, names->numbers[index + 1]) < 0)
        return UINT64_MAX;
    return reader->head.before_end;
}

/* At a place that is no record: whether that is a good end. */
static int judge_end(struct wal_reader *reader, int found, uint64_t end, struct err *err)
{
    if (found == WAL_FOUND_END && end == UINT64_MAX)
        return 0;
    if (end != UINT64_MAX)
        return err_set(err, -EBADMSG, "damaged at offset %" PRIu64 ": the next segment proves that records stood there",
                       reader->offset);
    struct wal_behind behind;
    int result = wal_reader_look_behind(reader, &behind);
    if (result < 0)
        return err_set_errno(err, result, "cannot be read");
    if (behind.was_durable)
        return err_set(err, -EBADMSG, "damaged at offset %" PRIu64 ": a later record proves that one stood there",
                       reader->offset);
    return err_set(err, 0, "torn at offset %" PRIu64 ", by a crash: what is behind was never answered", reader->offset);
}

static int read_records(struct wal_reader *reader, uint64_t end, uint64_t *ret_n_records, struct err *err)
{
    for (*ret_n_records = 0; reader->offset < end; ++*ret_n_records) {
        struct slice payload;
        int found = wal_reader_next(reader, &payload);
        if (found < 0)
            return err_set_errno(err, found, "cannot be read");
        if (found != WAL_FOUND_RECORD)
            return judge_end(reader, found, end, err);
    }
    if (reader->offset > end)
        return err_set(err, -EBADMSG, "damaged before offset %" PRIu64 ": the next segment says that it ends there",
                       end);
    return 0;
}

static void check_segment(const struct checking *checking, struct wal_reader *reader, const struct names *names,
                          size_t index)
{
    char name[SEGMENT_NAME_MAX];
    struct err err = {""};
    segment_name(names->numbers[index], "log", name);
    struct store_file file = {.name = name, .what = err.text};
    uint64_t end = find_end(reader, names, index);
    file.result = wal_reader_open(reader, names->numbers[index]);
    file.n_bytes = reader->file_bytes;
    if (file.result == 0) {
        file.first = reader->head.first_number;
        file.result = read_records(reader, end, &file.n_records, &err);
    } else if (file.result == -EBADMSG) {
        err_set(&err, 0, "damaged at offset 0: its head is unreadable");
    } else if (file.result == -ENOTSUP) {
        err_set(&err, 0, "written by a newer version of muster");
    } else {
        err_set_errno(&err, file.result, "cannot be read");
    }
    checking->fn(checking->ctx, &file);
}

int store_files_check(struct wal_files *files, store_file_fn fn, void *ctx, struct err *err)
{
    const struct checking checking = {files, fn, ctx};
    struct names names;
    int result = list_names(files, "snapshot", &names, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < names.n; i++)
        check_snapshot(&checking, names.numbers[i]);
    free(names.numbers);

    result = list_names(files, "log", &names, err);
    if (result < 0)
        return result;
    struct wal_reader reader;
    wal_reader_init(&reader, files);
    for (size_t i = 0; i < names.n; i++)
        check_segment(&checking, &reader, &names, i);
    wal_reader_deinit(&reader);
    free(names.numbers);
    return 0;
}
