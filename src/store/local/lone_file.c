/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever would change the folder says that it is read-only. */
#include "store/local/lone_file.h"

#include <errno.h>
#include <unistd.h>

/* There is one file, and nothing to be remembered of who has it open. */
static struct wal_file *as_file(struct lone_file *lone)
{
    return (struct wal_file *)(void *)lone;
}

static int lone_open(void *ctx, const char *name, bool create, struct wal_file **ret_file)
{
    if (create)
        return -EROFS;
    if (strcmp(name, LONE_FILE_NAME) != 0)
        return -ENOENT;
    *ret_file = as_file(ctx);
    return 0;
}

static void lone_close(void *ctx, struct wal_file *file)
{
    (void)ctx, (void)file;
}

static int lone_writev(void *ctx, struct wal_file *file, uint64_t offset, const struct iovec *iov, int n_iov)
{
    (void)ctx, (void)file, (void)offset, (void)iov, (void)n_iov;
    return -EROFS;
}

static ssize_t lone_read(void *ctx, struct wal_file *file, uint64_t offset, void *ret_bytes, size_t len)
{
    (void)file;
    const struct lone_file *lone = ctx;
    size_t n = 0;
    len = offset < lone->n_bytes ? (size_t)min_size(len, lone->n_bytes - offset) : 0;
    while (n < len) {
        ssize_t got = pread(lone->fd, (char *)ret_bytes + n, len - n, (off_t)(offset + n));
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)n;
}

static int lone_sync(void *ctx, struct wal_file *file)
{
    (void)ctx, (void)file;
    return 0;
}

static int lone_refresh(void *ctx, struct wal_file *file, uint64_t offset)
{
    (void)ctx, (void)file, (void)offset;
    return 0;
}

static int lone_allocate(void *ctx, struct wal_file *file, uint64_t offset, uint64_t bytes)
{
    (void)ctx, (void)file, (void)offset, (void)bytes;
    return -EROFS;
}

static int lone_size(void *ctx, struct wal_file *file, uint64_t *ret_bytes)
{
    (void)file;
    *ret_bytes = ((const struct lone_file *)ctx)->n_bytes;
    return 0;
}

static int lone_rename(void *ctx, const char *from, const char *to)
{
    (void)ctx, (void)from, (void)to;
    return -EROFS;
}

static int lone_remove(void *ctx, const char *name)
{
    (void)ctx, (void)name;
    return -EROFS;
}

static int lone_free_bytes(void *ctx, uint64_t *ret_bytes)
{
    (void)ctx, (void)ret_bytes;
    return -EROFS;
}

static int lone_list(void *ctx, void (*on_name)(void *list_ctx, const char *name), void *list_ctx)
{
    (void)ctx;
    on_name(list_ctx, LONE_FILE_NAME);
    return 0;
}

void lone_file_init(struct lone_file *lone, int fd, uint64_t n_bytes, const char *path)
{
    static const struct wal_files_ops ops = {
        .open = lone_open,
        .close = lone_close,
        .writev = lone_writev,
        .read = lone_read,
        .sync = lone_sync,
        .refresh = lone_refresh,
        .allocate = lone_allocate,
        .size = lone_size,
        .rename = lone_rename,
        .remove = lone_remove,
        .free_bytes = lone_free_bytes,
        .list = lone_list,
    };
    *lone = (struct lone_file){.files = {.ops = &ops, .ctx = lone, .path = path}, .fd = fd, .n_bytes = n_bytes};
}
