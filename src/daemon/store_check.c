/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster store check`: the files one by one, then all of them as a server would load them. The two differ: a start
 * reads no more than it needs, and a damage that it does not meet today is one all the same.
 *
 * Of a running server on this machine the files are read too. They change meanwhile, and a record that is just being
 * written may look damaged: what is bad is looked at again, and counts when it is the same twice.
 */
#include "daemon/store_command.h"

#include "base/util.h"
#include "keeper/keeper.h"
#include "store/local/store_files.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

struct file_row {
    char name[64];
    bool is_snapshot;
    uint64_t n_bytes, n_records;
    int result;
    struct err what;
};

struct check {
    const struct store_arguments *arguments;
    const struct command_io *io;
    struct store_place place;
    struct loaded_store *loaded;
    struct file_row *rows;
    size_t n_rows, n_bad;
    struct file_row *before; /* a look before this one; NULL: there was none */
    size_t n_before;
    bool is_short_of_memory;
    int load_result;
    struct err problem; /* with loading it */
};

/* Whether what is wrong was not there, or another, when the file was looked at before. */
static bool is_passing(const struct check *check, const struct file_row *row)
{
    if (!check->before || !*row->what.text)
        return false;
    for (size_t i = 0; i < check->n_before; i++)
        if (strcmp(check->before[i].name, row->name) == 0 && check->before[i].result < 0)
            return strcmp(check->before[i].what.text, row->what.text) != 0;
    return true;
}

static void take_file(void *ctx, const struct store_file *file)
{
    struct check *check = ctx;
    struct file_row *rows = realloc(check->rows, (check->n_rows + 1) * sizeof(*rows));
    check->is_short_of_memory |= !rows;
    if (!rows)
        return;
    check->rows = rows;
    struct file_row *row = &rows[check->n_rows++];
    *row = (struct file_row){
        .is_snapshot = file->is_snapshot,
        .n_bytes = file->n_bytes,
        .n_records = file->n_records,
        .result = file->result,
    };
    (void)snprintf(row->name, sizeof(row->name), "%s", file->name);
    err_set(&row->what, 0, "%s", file->what);
    if (is_passing(check, row)) {
        row->result = 0;
        row->what.text[0] = '\0';
    }
    check->n_bad += row->result < 0;
}

static int check_files(struct check *check, struct wal_files *files, struct err *err)
{
    int r = store_files_check(files, take_file, check, err);
    return r == 0 && check->is_short_of_memory ? err_set(err, -ENOMEM, "out of memory") : r;
}

static int check_served_files(struct check *check, struct err *err)
{
    char path[PATH_MAX];
    struct wal_files *files;
    if ((size_t)snprintf(path, sizeof(path), "%s/store", check->place.folder) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", check->place.folder);
    int r = wal_folder_look(path, &files, err);
    if (r < 0)
        return r;
    r = check_files(check, files, err);
    if (r == 0) {
        check->before = TAKE(check->rows);
        check->n_before = check->n_rows;
        check->n_rows = check->n_bad = 0;
        r = check_files(check, files, err);
    }
    wal_folder_close(files);
    return r;
}

static bool count_note(void *ctx, const struct store_note *note)
{
    (void)note;
    ++*(int64_t *)ctx;
    return true;
}

static bool count_doc(void *ctx, struct slice name, struct slice value, int64_t version)
{
    (void)name, (void)value, (void)version;
    ++*(int64_t *)ctx;
    return true;
}

static void write_store(const struct check *check, struct writer *writer)
{
    struct keeper *keeper = loaded_store_keeper(check->loaded);
    const struct local_recovery *recovery = keeper_recovery(keeper);
    struct store *store = keeper_store(keeper);
    struct store_identity identity;
    struct store_view view;
    struct store_size size;
    int64_t n_notes = 0, n_docs = 0;
    store_identify(store, &identity);
    store_view(store, true, &view);
    store_measure(store, &size);
    store_notes(store, count_note, &n_notes);
    (void)store_docs(store, (struct slice){0}, count_doc, &n_docs);
    store_write_id(writer, "cluster_id", identity.cluster_id);
    writer_number(writer, "revision", view.revision);
    writer_number(writer, "compacted_revision", view.compacted);
    writer_number(writer, "keys", (int64_t)recovery->n_keys);
    writer_number(writer, "leases", (int64_t)recovery->n_leases);
    writer_number(writer, "documents", n_docs);
    writer_number(writer, "notes", n_notes);
    writer_number(writer, "data_bytes", (int64_t)size.data_bytes);
    writer_number(writer, "damaged_snapshots", recovery->bad_snapshots);
    if (check->arguments->repair)
        writer_number(writer, "lost_bytes", (int64_t)recovery->torn_bytes);
    else
        writer_number(writer, "torn_bytes", (int64_t)recovery->torn_bytes);
    store_release(store, &view);
}

static void write_files(const struct check *check, struct writer *writer)
{
    writer_open_list(writer, "files");
    for (size_t i = 0; i < check->n_rows; i++) {
        const struct file_row *row = &check->rows[i];
        writer_open_record(writer);
        bool is_in_folder = check->place.kind == PLACE_FOLDER || check->place.folder;
        writer_text(writer, "file", is_in_folder ? row->name : check->place.path);
        writer_text(writer, "kind", row->is_snapshot ? "snapshot" : "log");
        writer_number(writer, "size_bytes", (int64_t)row->n_bytes);
        writer_number(writer, "records", (int64_t)row->n_records);
        writer_text(writer, "state", *row->what.text ? row->what.text : "whole");
        writer_close_record(writer);
    }
    writer_close_list(writer);
}

static int report(const struct check *check)
{
    bool is_good = check->load_result == 0 && check->n_bad == 0;
    struct writer *writer = store_writer(check->arguments, check->io);
    if (writer) {
        writer_truth(writer, "good", is_good);
        if (check->load_result < 0)
            writer_text(writer, "problem", check->problem.text);
        else if (!is_good)
            writer_text(writer, "problem", "a file is damaged, though a start would not need what is lost in it");
        writer_text(writer, "store", check->place.folder ? check->place.folder : check->place.path);
        if (check->load_result == 0)
            write_store(check, writer);
        write_files(check, writer);
    }
    int code = store_writer_end(check->arguments, check->io, writer);
    return code == EXIT_OK && !is_good ? EXIT_NO : code;
}

/* 0, or -errno when nothing can be said about the store. */
static int look(struct check *check, struct err *err)
{
    bool repair = check->arguments->repair;
    if (repair && check->place.kind != PLACE_FOLDER)
        return err_set(err, -EINVAL, "--repair is for a server that does not run; %s is %s", check->place.path,
                       check->place.kind == PLACE_SERVER ? "served" : "a saved copy");
    int r = loaded_store_open(&check->place, &check->loaded, err);
    if (r == 0 && !repair)
        r = check->place.folder ? check_served_files(check, err)
                                : check_files(check, loaded_store_files(check->loaded), err);
    if (r < 0)
        return r;
    check->load_result = loaded_store_load(check->loaded, repair, &check->problem);
    if (check->load_result == -ENOMEM)
        return err_set(err, -ENOMEM, "%s", check->problem.text);
    return repair ? check_files(check, loaded_store_files(check->loaded), err) : 0; /* what is there now */
}

int store_check(const struct store_arguments *arguments, const struct command_io *io)
{
    struct check check = {.arguments = arguments, .io = io};
    struct err err;
    int r = store_place_find(&arguments->options, &check.place, &err);
    if (r == 0)
        r = look(&check, &err);
    int code = r == 0 ? report(&check) : store_fail(arguments, io, r, &err);
    loaded_store_close(check.loaded);
    free(check.rows);
    free(check.before);
    store_place_close(&check.place);
    return code;
}
