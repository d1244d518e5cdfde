/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `muster store snapshot` and `restore`. A copy is verified before it gets its name, and before anything of it is put
 * into a folder: nobody shall find out on the bad day.
 */
#include "daemon/store_command.h"

#include "base/util.h"
#include "daemon/data_dir.h"
#include "daemon/saved_store.h"
#include "keeper/keeper.h"
#include "store/local/lone_file.h"
#include "store/local/wal_segment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_standard(const struct store_arguments *arguments)
{
    return strcmp(arguments->operand, "-") == 0;
}

/* ------------------------------------------------------------------------------------------------ snapshot */

struct saving {
    int fd;
    int result; /* of writing */
};

static int write_bytes(struct saving *saving, struct slice bytes)
{
    if (saving->result == 0)
        saving->result = saved_store_write(saving->fd, bytes);
    return saving->result;
}

static int take_piece(void *ctx, const void *bytes, size_t len)
{
    return write_bytes(ctx, slice_from(bytes, len)) < 0;
}

static int take_bytes(void *ctx, struct slice bytes)
{
    return write_bytes(ctx, bytes);
}

/* Of a server that does not run. */
static int save_folder(const struct store_place *place, struct saving *saving, struct err *err)
{
    struct loaded_store *loaded = NULL;
    struct local_snapshot *snapshot;
    int r = loaded_store_open(place, &loaded, err);
    if (r == 0)
        r = loaded_store_load(loaded, false, err);
    if (r == 0) {
        struct local *local = keeper_local(loaded_store_keeper(loaded));
        nsec_t now_ns = time_now();
        local_start(local, now_ns); /* leases tell what is left of them only when they run */
        r = local_snapshot_begin(local, true, now_ns, time_wall_now() / NSEC_PER_MSEC, &snapshot);
        if (r < 0) {
            err_set(err, r, "out of memory");
        } else {
            r = local_snapshot_write_to(snapshot, take_bytes, saving, err);
            local_snapshot_end(snapshot, false);
        }
    }
    loaded_store_close(loaded);
    return r;
}

static int save(const struct store_place *place, struct saving *saving, struct err *err)
{
    if (place->kind == PLACE_FOLDER)
        return save_folder(place, saving, err);
    int result = muster_store_snapshot(place->client, take_piece, saving);
    if (result == MUSTER_STOPPED)
        return err_set_errno(err, saving->result, "writing the copy");
    return result == MUSTER_OK ? 0 : store_place_fail_client(place->client, result, err);
}

static int report_copy(const struct store_arguments *arguments, const struct command_io *io,
                       struct loaded_store *loaded, uint64_t n_bytes)
{
    struct keeper *keeper = loaded_store_keeper(loaded);
    const struct local_recovery *recovery = keeper_recovery(keeper);
    struct store_identity identity;
    store_identify(keeper_store(keeper), &identity);
    struct writer *writer = store_writer(arguments, io);
    if (writer) {
        writer_text(writer, "file", arguments->operand);
        writer_number(writer, "size_bytes", (int64_t)n_bytes);
        store_write_id(writer, "cluster_id", identity.cluster_id);
        writer_number(writer, "revision", recovery->revision);
        writer_number(writer, "keys", (int64_t)recovery->n_keys);
        writer_number(writer, "leases", (int64_t)recovery->n_leases);
    }
    return store_writer_end(arguments, io, writer);
}

/* Loads what was saved, and gives it its name. 0 or -errno. */
static int verify(const char *path, const char *name, struct loaded_store **ret_loaded, struct err *err)
{
    struct store_place place = {.kind = PLACE_FILE, .path = slice_dup(slice_from_str(path))};
    int r = place.path ? loaded_store_open(&place, ret_loaded, err) : err_set(err, -ENOMEM, "out of memory");
    if (r == 0)
        r = loaded_store_load(*ret_loaded, false, err);
    if (r == 0 && rename(path, name) < 0)
        r = err_set_errno(err, -errno, "%s", name);
    store_place_close(&place);
    return r;
}

static int save_to_file(const struct store_arguments *arguments, const struct command_io *io,
                        const struct store_place *place, struct err *err)
{
    char path[PATH_MAX];
    struct loaded_store *loaded = NULL;
    if ((size_t)snprintf(path, sizeof(path), "%s.XXXXXX", arguments->operand) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", arguments->operand);
    struct saving saving = {.fd = mkostemp(path, O_CLOEXEC)};
    if (saving.fd < 0)
        return err_set_errno(err, -errno, "%s", arguments->operand);
    int r = save(place, &saving, err);
    if (r == 0 && fsync(saving.fd) < 0)
        r = err_set_errno(err, -errno, "%s", arguments->operand);
    off_t n_bytes = lseek(saving.fd, 0, SEEK_END);
    if (r == 0)
        r = verify(path, arguments->operand, &loaded, err);
    if (r < 0)
        (void)unlink(path);
    close(saving.fd);
    int code = r == 0 ? report_copy(arguments, io, loaded, (uint64_t)n_bytes) : r;
    loaded_store_close(loaded);
    return code;
}

int store_snapshot(const struct store_arguments *arguments, const struct command_io *io)
{
    struct store_place place;
    struct err err = {""};
    int r = store_place_find(&arguments->options, &place, &err);
    if (r < 0)
        return store_fail(arguments, io, r, &err);
    if (is_standard(arguments)) {
        struct saving saving = {.fd = STDOUT_FILENO};
        r = save(&place, &saving, &err);
    } else {
        r = save_to_file(arguments, io, &place, &err);
    }
    store_place_close(&place);
    return r < 0 ? store_fail(arguments, io, r, &err) : r;
}

/* ------------------------------------------------------------------------------------------------ restore */

struct restoring {
    struct data_dir *data_dir; /* the folder that is filled */
    struct wal_files *files;
    char *folder;
    int fd; /* the copy; -1: none */
    struct lone_file copy;
};

/* Standard input may be a pipe, and a copy is read more than once. */
static int keep_input(struct err *err)
{
    char piece[64 * 1024];
    int fd = saved_store_open_nameless(err);
    for (ssize_t n; fd >= 0 && (n = read(STDIN_FILENO, piece, sizeof(piece))) != 0;) {
        int r = n < 0 ? -errno : saved_store_write(fd, slice_from(piece, (size_t)n));
        if (r < 0 && r != -EINTR) {
            close(fd);
            return err_set_errno(err, r, "keeping a copy of standard input");
        }
    }
    return fd;
}

static int open_copy(struct restoring *restoring, const struct store_arguments *arguments, struct err *err)
{
    const char *name = is_standard(arguments) ? "standard input" : arguments->operand;
    uint64_t n_bytes;
    restoring->fd = is_standard(arguments) ? keep_input(err) : open(name, O_RDONLY | O_CLOEXEC);
    if (restoring->fd < 0)
        return is_standard(arguments) ? restoring->fd : err_set_errno(err, -errno, "%s", name);
    int r = saved_store_measure(restoring->fd, name, &n_bytes, err);
    if (r == 0)
        lone_file_init(&restoring->copy, restoring->fd, n_bytes, name);
    return r;
}

static void see_name(void *ctx, const char *name)
{
    uint64_t number;
    *(bool *)ctx |= segment_name_parse(name, "log", &number) || segment_name_parse(name, "snapshot", &number) ||
                    segment_name_parse(name, "damaged", &number);
}

/* Locks it, and sees that there is no store in it. */
static int open_folder(struct restoring *restoring, const struct store_arguments *arguments, struct err *err)
{
    char path[PATH_MAX];
    bool has_files = false;
    int r = store_place_choose_folder(arguments->options.data, &restoring->folder, err);
    if (r == 0)
        r = data_dir_open(restoring->folder, &restoring->data_dir, err);
    if (r < 0)
        return r;
    if ((size_t)snprintf(path, sizeof(path), "%s/store", restoring->folder) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", restoring->folder);
    r = wal_folder_open(path, &restoring->files, err);
    if (r < 0)
        return r;
    r = restoring->files->ops->list(restoring->files->ctx, see_name, &has_files);
    if (r < 0)
        return err_set_errno(err, r, "%s", path);
    if (has_files)
        return err_set(err, -EEXIST, "there is a store in %s already; expected an empty folder", path);
    return 0;
}

/* The bytes as they are, under the name that says which record of a log would come next. */
static int copy_bytes(const struct restoring *restoring, struct wal_file *file)
{
    char piece[64 * 1024];
    const struct wal_files *to = restoring->files, *from = &restoring->copy.files;
    for (uint64_t offset = 0; offset < restoring->copy.n_bytes;) {
        ssize_t n = from->ops->read(from->ctx, NULL, offset, piece, sizeof(piece));
        struct iovec iov = {piece, n > 0 ? (size_t)n : 0};
        int r = n <= 0 ? (int)(n ? n : -EIO) : to->ops->writev(to->ctx, file, offset, &iov, 1);
        if (r < 0)
            return r;
        offset += (uint64_t)n;
    }
    return to->ops->sync(to->ctx, file);
}

static int copy_file(const struct restoring *restoring, uint64_t next_record, struct err *err)
{
    static const char unfinished[] = "snapshot.new";
    const struct wal_files *files = restoring->files;
    char name[SEGMENT_NAME_MAX];
    struct wal_file *file;
    segment_name(next_record, "snapshot", name);
    (void)files->ops->remove(files->ctx, unfinished);
    int r = files->ops->open(files->ctx, unfinished, true, &file);
    if (r == 0) {
        r = copy_bytes(restoring, file);
        files->ops->close(files->ctx, file);
    }
    if (r == 0)
        r = files->ops->rename(files->ctx, unfinished, name);
    return r < 0 ? err_set_errno(err, r, "writing to %s", files->path) : 0;
}

static void report_restored(const struct restoring *restoring, struct keeper *keeper, struct writer *writer)
{
    const struct local_recovery *recovery = keeper_recovery(keeper);
    struct store_identity identity;
    store_identify(keeper_store(keeper), &identity);
    writer_text(writer, "restored", restoring->folder);
    store_write_id(writer, "cluster_id", identity.cluster_id);
    writer_number(writer, "revision", recovery->revision);
    writer_number(writer, "keys", (int64_t)recovery->n_keys);
    writer_number(writer, "leases", (int64_t)recovery->n_leases);
}

/* Loads the copy, which shows whether it is good, copies it, and tells what it is. The exit code, or -errno. */
static int restore(struct restoring *restoring, const struct store_arguments *arguments, const struct command_io *io,
                   struct err *err)
{
    struct rcu_domain rcu;
    struct keeper *keeper = NULL;
    struct snapshot_head head;
    rcu_init(&rcu);
    struct keeper_options options = {.files = &restoring->copy.files, .rcu = &rcu};
    local_options_init(&options.local);
    int r = snapshot_read(&restoring->copy.files, LONE_FILE_NAME, NULL, NULL, &head, err);
    if (r == 0)
        r = keeper_new(&options, &keeper, err);
    if (r == 0)
        r = copy_file(restoring, head.next_record, err);
    if (r == 0) {
        struct writer *writer = store_writer(arguments, io);
        if (writer)
            report_restored(restoring, keeper, writer);
        r = store_writer_end(arguments, io, writer);
    }
    keeper_free(keeper);
    rcu_deinit(&rcu);
    return r;
}

int store_restore(const struct store_arguments *arguments, const struct command_io *io)
{
    struct restoring restoring = {.fd = -1};
    struct err err = {""};
    int r = open_copy(&restoring, arguments, &err);
    if (r == 0)
        r = open_folder(&restoring, arguments, &err);
    if (r == 0)
        r = restore(&restoring, arguments, io, &err);
    wal_folder_close(restoring.files);
    data_dir_close(restoring.data_dir);
    free(restoring.folder);
    if (restoring.fd >= 0)
        close(restoring.fd);
    return r < 0 ? store_fail(arguments, io, r, &err) : r;
}
