/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real folder. Its descriptor serves three ends: names are opened relative to it, it is synced after a rename, and
 * a lock on it keeps a second process out; the kernel drops the lock however the process ends.
 */
#include "store/local/wal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { IOV_AT_ONCE = 64, ZEROES_BYTES = 64 * 1024 };

/* Who reads so much at once will read on: the disk is told, to be at work while what was read is. */
enum { READ_ON_BYTES = 128 * 1024 };

struct wal_folder {
    struct wal_files files;
    int fd;
    char path[];
};

struct wal_file {
    int fd;
};

static int last_error(void)
{
    return -errno;
}

static int folder_open_file(void *ctx, const char *name, bool create, struct wal_file **ret_file)
{
    struct wal_folder *folder = ctx;
    struct wal_file *file = malloc(sizeof(*file));
    if (!file)
        return -ENOMEM;
    file->fd = openat(folder->fd, name, O_RDWR | O_CLOEXEC | (create ? O_CREAT | O_EXCL : 0), 0600);
    if (file->fd < 0) {
        int result = last_error();
        free(file);
        return result;
    }
    *ret_file = file;
    return 0;
}

static void folder_close_file(void *ctx, struct wal_file *file)
{
    (void)ctx;
    if (!file)
        return;
    close(file->fd);
    free(file);
}

/* Copies up to IOV_AT_ONCE pieces of the iovecs, without the first `skip` bytes of the first; gives their number. */
static int cut_iov(const struct iovec *iov, int n_iov, size_t skip, struct iovec ret_cut[IOV_AT_ONCE])
{
    int n = n_iov < IOV_AT_ONCE ? n_iov : IOV_AT_ONCE;
    memcpy(ret_cut, iov, (size_t)n * sizeof(*iov));
    ret_cut[0].iov_base = (char *)iov[0].iov_base + skip;
    ret_cut[0].iov_len -= skip;
    return n;
}

/* The kernel may take a part only, and no more than so many pieces at a time. */
static int folder_writev(void *ctx, struct wal_file *file, uint64_t offset, const struct iovec *iov, int n_iov)
{
    (void)ctx;
    size_t skip = 0;
    while (n_iov > 0) {
        struct iovec cut[IOV_AT_ONCE];
        int n = cut_iov(iov, n_iov, skip, cut);
        ssize_t written = pwritev(file->fd, cut, n, (off_t)offset);
        if (written < 0 && errno != EINTR)
            return last_error();
        if (written < 0)
            continue;
        offset += (uint64_t)written;
        skip += (size_t)written;
        while (n_iov > 0 && skip >= iov->iov_len) {
            skip -= iov->iov_len;
            iov++;
            n_iov--;
        }
    }
    return 0;
}

static ssize_t folder_read(void *ctx, struct wal_file *file, uint64_t offset, void *ret_bytes, size_t len)
{
    (void)ctx;
    size_t n = 0;
    while (n < len) {
        ssize_t got = pread(file->fd, (char *)ret_bytes + n, len - n, (off_t)(offset + n));
        if (got < 0 && errno != EINTR)
            return last_error();
        if (got == 0)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    if (n >= READ_ON_BYTES)
        (void)posix_fadvise(file->fd, (off_t)(offset + n), (off_t)n, POSIX_FADV_WILLNEED);
    return (ssize_t)n;
}

static int folder_sync(void *ctx, struct wal_file *file)
{
    (void)ctx;
    return fdatasync(file->fd) < 0 ? last_error() : 0;
}

static int folder_refresh(void *ctx, struct wal_file *file, uint64_t offset)
{
    struct wal_folder *folder = ctx;
    if (fdatasync(file->fd) < 0 || fsync(folder->fd) < 0)
        return last_error();
    /* Only whole pages are dropped. */
    uint64_t page = offset - offset % (uint64_t)sysconf(_SC_PAGESIZE);
    return -posix_fadvise(file->fd, (off_t)page, 0, POSIX_FADV_DONTNEED);
}

/*
 * Reserving alone is not enough: the first write to a reserved block changes the file's metadata (the block is no
 * longer an unwritten one), which makes its sync wait for the file system's journal as well.
 */
static int folder_allocate(void *ctx, struct wal_file *file, uint64_t offset, uint64_t bytes)
{
    static const char zeroes[ZEROES_BYTES];
    int reserved = posix_fallocate(file->fd, (off_t)offset, (off_t)bytes);
    if (reserved != 0)
        return reserved == EDQUOT || reserved == EFBIG ? -ENOSPC : -reserved;

    struct iovec iov[IOV_AT_ONCE];
    for (uint64_t end = offset + bytes; offset < end;) {
        int n = 0;
        for (uint64_t at = offset; n < IOV_AT_ONCE && at < end; n++, at += ZEROES_BYTES)
            iov[n] = (struct iovec){(char *)(uintptr_t)zeroes, min_size(ZEROES_BYTES, end - at)};
        int result = folder_writev(ctx, file, offset, iov, n);
        if (result < 0)
            return result == -ENOSPC ? -EIO : result;
        offset += (uint64_t)n * ZEROES_BYTES;
    }
    int result = folder_sync(ctx, file);
    return result == -ENOSPC ? -EIO : result;
}

static int folder_size(void *ctx, struct wal_file *file, uint64_t *ret_bytes)
{
    (void)ctx;
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return last_error();
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

static int folder_rename(void *ctx, const char *from, const char *to)
{
    struct wal_folder *folder = ctx;
    if (renameat(folder->fd, from, folder->fd, to) < 0 || fsync(folder->fd) < 0)
        return last_error();
    return 0;
}

static int folder_remove(void *ctx, const char *name)
{
    struct wal_folder *folder = ctx;
    return unlinkat(folder->fd, name, 0) < 0 ? last_error() : 0;
}

static int folder_free_bytes(void *ctx, uint64_t *ret_bytes)
{
    struct wal_folder *folder = ctx;
    struct statvfs disk;
    if (fstatvfs(folder->fd, &disk) < 0)
        return last_error();
    *ret_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    return 0;
}

static int folder_list(void *ctx, void (*on_name)(void *list_ctx, const char *name), void *list_ctx)
{
    struct wal_folder *folder = ctx;
    int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int result = last_error();
        close(fd);
        return result;
    }
    errno = 0;
    for (struct dirent *entry; (entry = readdir(dir)); errno = 0)
        on_name(list_ctx, entry->d_name);
    int result = last_error();
    closedir(dir);
    return result;
}

static const struct wal_files_ops folder_ops = {
    .open = folder_open_file,
    .close = folder_close_file,
    .writev = folder_writev,
    .read = folder_read,
    .sync = folder_sync,
    .refresh = folder_refresh,
    .allocate = folder_allocate,
    .size = folder_size,
    .rename = folder_rename,
    .remove = folder_remove,
    .free_bytes = folder_free_bytes,
    .list = folder_list,
};

/* A new folder is as durable as what is in it only when its entry in the folder above is on the disk. */
static int make_folder(const char *path)
{
    if (mkdir(path, 0700) < 0)
        return errno == EEXIST ? 0 : last_error();
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int above = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = above < 0 || fsync(above) < 0 ? last_error() : 0;
    if (above >= 0)
        close(above);
    if (fd >= 0)
        close(fd);
    return result;
}

static int lock(int fd, const char *path, struct err *err)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int result = last_error();
    if (result == -EWOULDBLOCK)
        return err_set(err, -EBUSY, "the store in %s is in use by another process", path);
    return err_set_errno(err, result, "the store's folder %s cannot be locked", path);
}

int wal_folder_look(const char *path, struct wal_files **ret_files, struct err *err)
{
    size_t path_bytes = strlen(path) + 1;
    struct wal_folder *folder = malloc(sizeof(*folder) + path_bytes);
    if (!folder)
        return err_set(err, -ENOMEM, "no memory to open the store's folder %s", path);
    folder->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder->fd < 0) {
        int result = last_error();
        free(folder);
        return err_set_errno(err, result, "the store's folder %s cannot be opened", path);
    }
    memcpy(folder->path, path, path_bytes);
    folder->files = (struct wal_files){.ops = &folder_ops, .ctx = folder, .path = folder->path};
    *ret_files = &folder->files;
    return 0;
}

int wal_folder_open(const char *path, struct wal_files **ret_files, struct err *err)
{
    struct wal_files *files = NULL;
    int result = make_folder(path);
    if (result < 0)
        return err_set_errno(err, result, "the store's folder %s cannot be made", path);
    result = wal_folder_look(path, &files, err);
    if (!files)
        return result;
    result = lock(container_of(files, struct wal_folder, files)->fd, path, err);
    if (result < 0) {
        wal_folder_close(files);
        return result;
    }
    *ret_files = files;
    return 0;
}

void wal_folder_close(struct wal_files *files)
{
    if (!files)
        return;
    struct wal_folder *folder = container_of(files, struct wal_folder, files);
    close(folder->fd);
    free(folder);
}
