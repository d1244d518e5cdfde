/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int pidfile_write(const char *path, struct err *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set_errno(err, -errno, "pidfile %s", path);
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    int r = 0;
    if (fchmod(fd, 0644) < 0 || write(fd, text, (size_t)len) != len) /* whatever the umask */
        r = err_set_errno(err, -errno, "pidfile %s", path);
    close(fd);
    return r;
}

void pidfile_remove(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n > 0 && strtol(text, NULL, 10) == (long)getpid())
        unlink(path);
}
