/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder is looked for before it is locked, since locking makes what is not there. A locked one has a server, which
 * has written its addresses into the lock.
 */
#include "daemon/store_place.h"

#include "base/rcu.h"
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

#define ADDRESSES_MAX 4096
#define NOTES_BYTES   ((uint64_t)1 << 40)

/* ------------------------------------------------------------------------------------------------ finding */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool has_store(const char *folder)
{
    char path[PATH_MAX];
    return (size_t)snprintf(path, sizeof(path), "%s/store", folder) < sizeof(path) && is_folder(path);
}

/* "DIR/store" is taken for DIR: messages about files name the folder that they lie in. */
static void strip_store(char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    char *last = strrchr(path, '/');
    if (!last || last == path || strcmp(last, "/store") != 0 || has_store(path))
        return;
    *last = '\0';
    if (!has_store(path))
        *last = '/';
}

int store_place_choose_folder(const char *data, char **ret_path, struct err *err)
{
    char chosen[PATH_MAX];
    if (!data)
        data = variable("MUSTER_DATA");
    if (!data) {
        int r = data_dir_choose(chosen, sizeof(chosen));
        if (r < 0)
            return err_set_errno(err, r, "the data folder");
        data = chosen;
    }
    char *path = slice_dup(slice_from_str(data));
    if (!path)
        return err_set(err, -ENOMEM, "out of memory");
    strip_store(path);
    *ret_path = path;
    return 0;
}

static int open_server(const struct store_options *options, const char *addresses, struct store_place *place,
                       struct err *err)
{
    struct muster_options server = options->server;
    server.addresses = addresses;
    place->kind = PLACE_SERVER;
    place->folder = TAKE(place->path);
    place->path = slice_dup(slice_from_str(addresses));
    if (!place->path || muster_client_new(&server, &place->client) != MUSTER_OK)
        return err_set(err, -ENOMEM, "out of memory");
    return 0;
}

static int open_folder(const struct store_options *options, struct store_place *place, struct err *err)
{
    char addresses[ADDRESSES_MAX];
    if (!has_store(place->path))
        return err_set(err, -ENOENT, "there is no store in %s; expected a data folder (--data) or a server (--address)",
                       place->path);
    int r = data_dir_open(place->path, &place->data_dir, err);
    if (r == -EBUSY && data_dir_ask(place->path, addresses, sizeof(addresses)) == 0)
        return open_server(options, addresses, place, err);
    return r;
}

static int find(const struct store_options *options, struct store_place *place, struct err *err)
{
    if (options->file) {
        place->kind = PLACE_FILE;
        place->path = slice_dup(slice_from_str(options->file));
        return place->path ? 0 : err_set(err, -ENOMEM, "out of memory");
    }
    if (options->server.addresses)
        return open_server(options, options->server.addresses, place, err);
    if (!options->data && !variable("MUSTER_DATA") && variable("MUSTER_ADDR"))
        return open_server(options, variable("MUSTER_ADDR"), place, err);
    place->kind = PLACE_FOLDER;
    int r = store_place_choose_folder(options->data, &place->path, err);
    return r < 0 ? r : open_folder(options, place, err);
}

int store_place_find(const struct store_options *options, struct store_place *ret_place, struct err *err)
{
    struct store_place place = {.path = NULL};
    int r = find(options, &place, err);
    if (r < 0)
        store_place_close(&place);
    else
        *ret_place = place;
    return r;
}

void store_place_close(struct store_place *place)
{
    data_dir_close(place->data_dir);
    muster_client_free(place->client);
    free(place->path);
    free(place->folder);
    *place = (struct store_place){.path = NULL};
}

int store_place_fail_client(const struct muster_client *client, int result, struct err *err)
{
    int error = result == MUSTER_UNREACHABLE     ? -EHOSTUNREACH
                : result == MUSTER_BAD_OPTIONS   ? -EINVAL
                : result == MUSTER_OUT_OF_MEMORY ? -ENOMEM
                                                 : -EIO;
    return err_set(err, error, "%s", muster_error(client));
}

/* ------------------------------------------------------------------------------------------------ loading */

struct loaded_store {
    struct rcu_domain rcu;
    struct wal_files *folder; /* of a FOLDER */
    struct lone_file lone;    /* else */
    int fd;                   /* of the file or the copy; -1: none */
    struct keeper *keeper;
};

static int take_piece(void *ctx, const void *bytes, size_t len)
{
    return saved_store_write(*(int *)ctx, slice_from(bytes, len)) < 0;
}

static int fetch_copy(const struct store_place *place, struct loaded_store *loaded, struct err *err)
{
    loaded->fd = saved_store_open_nameless(err);
    if (loaded->fd < 0)
        return loaded->fd;
    int result = muster_store_snapshot(place->client, take_piece, &loaded->fd);
    if (result == MUSTER_STOPPED)
        return err_set(err, -EIO, "there is no room for a copy of the store in $TMPDIR");
    return result == MUSTER_OK ? 0 : store_place_fail_client(place->client, result, err);
}

static int open_lone(const struct store_place *place, struct loaded_store *loaded, struct err *err)
{
    uint64_t n_bytes;
    if (place->kind == PLACE_FILE)
        loaded->fd = open(place->path, O_RDONLY | O_CLOEXEC);
    int r = place->kind == PLACE_SERVER ? fetch_copy(place, loaded, err) : 0;
    if (r == 0 && loaded->fd < 0)
        r = err_set_errno(err, -errno, "%s", place->path);
    if (r == 0)
        r = saved_store_measure(loaded->fd, place->path, &n_bytes, err);
    if (r == 0)
        lone_file_init(&loaded->lone, loaded->fd, n_bytes, place->path);
    return r;
}

static void see_name(void *ctx, const char *name)
{
    uint64_t number;
    *(bool *)ctx |= segment_name_parse(name, "log", &number) || segment_name_parse(name, "snapshot", &number);
}

/* One with nothing in it would become a new store when it is loaded. */
static int check_folder(struct wal_files *files, struct err *err)
{
    bool has_files = false;
    int r = files->ops->list(files->ctx, see_name, &has_files);
    if (r < 0)
        return err_set_errno(err, r, "%s", files->path);
    return has_files ? 0 : err_set(err, -ENOENT, "there is no store in %s", files->path);
}

static int open_files(const struct store_place *place, struct loaded_store *loaded, struct err *err)
{
    char path[PATH_MAX];
    if (place->kind != PLACE_FOLDER)
        return open_lone(place, loaded, err);
    if ((size_t)snprintf(path, sizeof(path), "%s/store", place->path) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", place->path);
    int r = wal_folder_open(path, &loaded->folder, err);
    return r < 0 ? r : check_folder(loaded->folder, err);
}

int loaded_store_open(const struct store_place *place, struct loaded_store **ret_loaded, struct err *err)
{
    struct loaded_store *loaded = calloc(1, sizeof(*loaded));
    if (!loaded)
        return err_set(err, -ENOMEM, "out of memory");
    rcu_init(&loaded->rcu);
    loaded->fd = -1;
    int r = open_files(place, loaded, err);
    if (r < 0)
        loaded_store_close(loaded);
    else
        *ret_loaded = loaded;
    return r;
}

void loaded_store_close(struct loaded_store *loaded)
{
    if (!loaded)
        return;
    keeper_free(loaded->keeper);
    wal_folder_close(loaded->folder);
    if (loaded->fd >= 0)
        close(loaded->fd);
    rcu_deinit(&loaded->rcu);
    free(loaded);
}

struct wal_files *loaded_store_files(struct loaded_store *loaded)
{
    return loaded->folder ? loaded->folder : &loaded->lone.files;
}

int loaded_store_load(struct loaded_store *loaded, bool repair, struct err *err)
{
    struct keeper_options options = {.files = loaded_store_files(loaded), .rcu = &loaded->rcu};
    local_options_init(&options.local);
    options.local.wal.repair = repair;
    /* What is kept, and for how long, is the server's to decide. */
    options.local.history_ms = INT64_MAX;
    options.local.history_bytes = options.local.snapshot_bytes = UINT64_MAX;
    options.local.notes_bytes = options.local.timeline_bytes = NOTES_BYTES;
    return keeper_new(&options, &loaded->keeper, err);
}

struct keeper *loaded_store_keeper(struct loaded_store *loaded)
{
    return loaded->keeper;
}
