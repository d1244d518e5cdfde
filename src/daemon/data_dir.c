/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock is flock(2) on the file "lock": the kernel gives it back however the process ends, so there is no stale one.
 * The process id in the file is for people, the addresses behind it for `muster store`.
 */
#include "daemon/data_dir.h"

#include "base/slice.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct data_dir {
    int lock_fd;
    char *path;
};

/* The variable's value when it is an absolute path, as its standards demand; else NULL. */
static const char *absolute_variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value == '/' ? value : NULL;
}

int data_dir_choose(char *ret_path, size_t size)
{
    const char *state = absolute_variable("STATE_DIRECTORY");
    const char *xdg = absolute_variable("XDG_STATE_HOME");
    const char *home = absolute_variable("HOME");
    int n;
    if (state) /* may name several folders, separated by colons; the first is ours */
        n = snprintf(ret_path, size, "%.*s", (int)strcspn(state, ":"), state);
    else if (xdg)
        n = snprintf(ret_path, size, "%s/muster", xdg);
    else if (home)
        n = snprintf(ret_path, size, "%s/.local/state/muster", home);
    else
        n = snprintf(ret_path, size, "/var/lib/muster");
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* Makes a folder and those it lies in. */
static int make_folders(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

void data_dir_tell(const struct data_dir *dir, const char *addresses)
{
    if (lseek(dir->lock_fd, 0, SEEK_SET) == 0 && ftruncate(dir->lock_fd, 0) == 0)
        (void)dprintf(dir->lock_fd, "%ld\n%s\n", (long)getpid(), addresses);
}

int data_dir_ask(const char *path, char *ret_addresses, size_t size)
{
    char file[PATH_MAX], text[4096];
    if ((size_t)snprintf(file, sizeof(file), "%s/lock", path) >= sizeof(file))
        return -ENOENT;
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text), 0);
    if (fd >= 0)
        close(fd);
    struct slice owner, addresses, rest = slice_split(slice_from(text, n > 0 ? (size_t)n : 0), '\n', &owner);
    (void)slice_split(rest, '\n', &addresses);
    if (slice_is_empty(addresses) || addresses.len >= size)
        return -ENOENT;
    memcpy(ret_addresses, addresses.ptr, addresses.len);
    ret_addresses[addresses.len] = '\0';
    return 0;
}

static int fail_locked(int fd, const char *path, struct err *err)
{
    char owner[32] = "";
    ssize_t n = pread(fd, owner, sizeof(owner) - 1, 0);
    owner[n > 0 ? strcspn(owner, "\n") : 0] = '\0';
    if (*owner)
        return err_set(err, -EBUSY, "the data folder %s is in use by process %s; expected a folder of its own", path,
                       owner);
    return err_set(err, -EBUSY, "the data folder %s is in use; expected a folder of its own", path);
}

static int lock(struct data_dir *dir, struct err *err)
{
    char file[PATH_MAX];
    if ((size_t)snprintf(file, sizeof(file), "%s/lock", dir->path) >= sizeof(file))
        return err_set_errno(err, -ENAMETOOLONG, "the data folder %s", dir->path);
    dir->lock_fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (dir->lock_fd < 0)
        return err_set_errno(err, -errno, "the data folder %s: cannot open %s", dir->path, file);
    if (flock(dir->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return fail_locked(dir->lock_fd, dir->path, err);
        return err_set_errno(err, -errno, "cannot lock %s", file);
    }
    char owner[32];
    int len = snprintf(owner, sizeof(owner), "%ld\n", (long)getpid());
    if (ftruncate(dir->lock_fd, 0) < 0 || pwrite(dir->lock_fd, owner, (size_t)len, 0) != len)
        return err_set_errno(err, -EIO, "cannot write %s", file);
    return 0;
}

int data_dir_open(const char *path, struct data_dir **ret_dir, struct err *err)
{
    int r = make_folders(path);
    if (r < 0)
        return err_set_errno(err, r, "cannot make the data folder %s", path);
    struct data_dir *dir = malloc(sizeof(*dir));
    if (!dir)
        return -ENOMEM;
    *dir = (struct data_dir){.lock_fd = -1, .path = slice_dup(slice_from_str(path))};
    r = dir->path ? lock(dir, err) : -ENOMEM;
    if (r < 0) {
        data_dir_close(dir);
        return r;
    }
    *ret_dir = dir;
    return 0;
}

void data_dir_close(struct data_dir *dir)
{
    if (!dir)
        return;
    if (dir->lock_fd >= 0)
        close(dir->lock_fd);
    free(dir->path);
    free(dir);
}

const char *data_dir_path(const struct data_dir *dir)
{
    return dir->path;
}
