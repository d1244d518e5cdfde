/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots, written by a thread of their own from a view, one at a time: the store's own, when enough was logged since
 * the last one or the disk is nearly full (local_space.c), and backups for whoever asked. All who wait
 * when a backup is begun get that one.
 *
 * A backup is a file in the store's folder whose name is gone before anything is written: it goes when the last
 * descriptor does, however the process ends.
 */
#include "base/assert.h"
#include "keeper/keeper_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define BACKUP_NAME "backup.new"

/* Where processors are few, those who wait for an answer come first: a tenth of the time of a busy one is left. */
#define NICENESS 10

static bool is_backup(const struct keeper *keeper)
{
    return keeper->served_backups != NULL;
}

/* ------------------------------------------------------------------------------------------------ writing */

/* snapshot_sink_fn */
static int write_backup(void *ctx, struct slice bytes)
{
    struct keeper *keeper = ctx;
    uint64_t before = keeper->backup_bytes;
    while (!slice_is_empty(bytes)) {
        if (atomic_load_explicit(&keeper->backup_is_canceled, memory_order_relaxed))
            return -ECANCELED;
        ssize_t n = write(keeper->backup_fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        keeper->backup_bytes += (uint64_t)n;
        bytes = slice_skip(bytes, (size_t)n);
    }
    bool is_due = before / SNAPSHOT_SYNC_BYTES < keeper->backup_bytes / SNAPSHOT_SYNC_BYTES;
    return is_due && fdatasync(keeper->backup_fd) < 0 ? -errno : 0;
}

static int open_backup(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s/" BACKUP_NAME, folder) >= sizeof(path))
        return err_set_errno(err, -ENAMETOOLONG, "%s", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, -errno, "%s", path);
    (void)unlink(path);
    return fd;
}

static int make_backup(struct keeper *keeper)
{
    keeper->backup_bytes = 0;
    keeper->backup_fd = open_backup(keeper->files->path, &keeper->snapshot_err);
    if (keeper->backup_fd < 0)
        return keeper->backup_fd;
    return local_snapshot_write_to(keeper->snapshot, write_backup, keeper, &keeper->snapshot_err);
}

static void *snapshot_main(void *arg)
{
    struct keeper *keeper = arg;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* in Linux that of the thread */
    keeper->snapshot_result =
        is_backup(keeper) ? make_backup(keeper) : local_snapshot_write(keeper->snapshot, &keeper->snapshot_err);
    loop_post(keeper->loop, &keeper->snapshot_mail);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ the keeper's half */

static void answer_backups(struct keeper *keeper, enum store_outcome outcome, int64_t revision)
{
    while (keeper->served_backups) {
        struct store_request *request = keeper->served_backups;
        keeper->served_backups = request->next;
        request->outcome = outcome;
        request->revision = revision;
        request->backup_bytes = keeper->backup_bytes;
        request->backup_fd = outcome == STORE_OK ? fcntl(keeper->backup_fd, F_DUPFD_CLOEXEC, 0) : -1;
        if (outcome == STORE_OK && request->backup_fd < 0)
            request->outcome = STORE_BACKUP_FAILED;
        keeper_answer(request);
    }
    if (keeper->backup_fd >= 0)
        close(keeper->backup_fd);
    keeper->backup_fd = -1;
}

static enum store_outcome backup_outcome(int result)
{
    switch (result) {
    case 0:
        return STORE_OK;
    case -ENOSPC:
        return STORE_NO_SPACE;
    case -ENOMEM:
        return STORE_OUT_OF_MEMORY;
    case -ECANCELED:
        return STORE_STOPPED;
    default:
        return STORE_BACKUP_FAILED;
    }
}

void keeper_add_backup(struct keeper *keeper, struct store_request *request)
{
    request->next = keeper->waiting_backups;
    keeper->waiting_backups = request;
}

bool keeper_wants_snapshot(const struct keeper *keeper)
{
    bool is_wanted = keeper->waiting_backups || local_wants_snapshot(keeper->local);
    return is_wanted && !keeper->snapshot && !keeper->is_stopping;
}

void keeper_begin_snapshot(struct keeper *keeper)
{
    ASSERT(keeper->log_state == LOG_RESTS && !keeper->snapshot);
    keeper->served_backups = TAKE(keeper->waiting_backups);
    int result = local_snapshot_begin(keeper->local, is_backup(keeper), loop_now(keeper->loop), keeper_wall_ms(keeper),
                                      &keeper->snapshot);
    if (result == 0 && pthread_create(&keeper->snapshot_thread, NULL, snapshot_main, keeper) != 0) {
        local_snapshot_end(TAKE(keeper->snapshot), false);
        result = -ENOMEM;
    }
    if (result < 0) /* the store's own is tried again */
        answer_backups(keeper, STORE_OUT_OF_MEMORY, 0);
}

void keeper_end_snapshot(struct keeper *keeper)
{
    pthread_join(keeper->snapshot_thread, NULL);
    int result = keeper->snapshot_result;
    bool was_backup = is_backup(keeper);
    if (result < 0 && result != -ECANCELED)
        log_error(keeper->log, "a snapshot could not be written", log_text("for", was_backup ? "backup" : "restart"),
                  log_text("reason", keeper->snapshot_err.text));
    answer_backups(keeper, backup_outcome(result), local_snapshot_revision(keeper->snapshot));
    local_snapshot_end(TAKE(keeper->snapshot), !was_backup && result == 0);
    keeper->n_early_snapshots += !was_backup && result == 0 && local_is_short(keeper->local);
    keeper->snapshot_done = false;
}
