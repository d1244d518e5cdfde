/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store owns the request until it has answered it, whatever the client does meanwhile: a backup that is freed
 * earlier stays until then. The file is read on the loop's thread; it was written a moment ago, so it is in memory, as
 * a rule.
 */
#include "fronts/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct backup {
    struct store_request request;
    _Atomic unsigned *n_open;
    backup_ready_fn on_ready;
    void *ctx;
    bool is_answered;
    bool is_free; /* nobody wants it any more */
};

static void release(struct backup *backup)
{
    if (backup->request.backup_fd >= 0)
        close(backup->request.backup_fd);
    atomic_fetch_sub_explicit(backup->n_open, 1, memory_order_relaxed);
    store_request_deinit(&backup->request);
    free(backup);
}

static void on_done(struct store_request *request)
{
    struct backup *backup = container_of(request, struct backup, request);
    backup->is_answered = true;
    if (request->outcome != STORE_OK)
        request->backup_fd = -1;
    if (backup->is_free)
        release(backup);
    else
        backup->on_ready(backup->ctx, request->outcome);
}

int backup_new(struct store *store, struct loop *loop, _Atomic unsigned *n_open, backup_ready_fn on_ready, void *ctx,
               struct backup **ret_backup)
{
    if (atomic_fetch_add_explicit(n_open, 1, memory_order_relaxed) >= BACKUPS_MAX) {
        atomic_fetch_sub_explicit(n_open, 1, memory_order_relaxed);
        return -EBUSY;
    }
    struct backup *backup = calloc(1, sizeof(*backup));
    if (!backup) {
        atomic_fetch_sub_explicit(n_open, 1, memory_order_relaxed);
        return -ENOMEM;
    }
    backup->request = (struct store_request){.type = STORE_BACKUP, .loop = loop, .done = on_done, .backup_fd = -1};
    backup->n_open = n_open;
    backup->on_ready = on_ready;
    backup->ctx = ctx;
    *ret_backup = backup;
    store_submit(store, &backup->request);
    return 0;
}

void backup_free(struct backup *backup)
{
    if (!backup)
        return;
    backup->is_free = true;
    if (backup->is_answered)
        release(backup);
}

uint64_t backup_bytes(const struct backup *backup)
{
    return backup->request.backup_bytes;
}

int64_t backup_revision(const struct backup *backup)
{
    return backup->request.revision;
}

int backup_read(const struct backup *backup, uint64_t offset, char *ret_bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(backup->request.backup_fd, ret_bytes, len, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        ret_bytes += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}
