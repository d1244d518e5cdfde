/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/notify.h"

#include "base/slice.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_open(struct notify *notify)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    notify->fd = -1;
    if (!path || (*path != '/' && *path != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    size_t len = strlen(path);
    memcpy(address.sun_path, path, len);
    if (*path == '@') /* an abstract name */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)(const void *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0) {
        close(fd);
        return;
    }
    notify->fd = fd;
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void notify_send(const struct notify *notify, const char *fmt, ...)
{
    char text[512];
    if (notify->fd < 0)
        return;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    if (n > 0)
        (void)send(notify->fd, text, min_size((size_t)n, sizeof(text) - 1), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool read_number(const char *name, uint64_t *ret_value)
{
    const char *text = getenv(name);
    return text && slice_parse_u64(slice_from_str(text), ret_value) == 0;
}

nsec_t notify_watchdog_interval(void)
{
    uint64_t usec, pid;
    if (!read_number("WATCHDOG_USEC", &usec) || usec == 0 || usec > INT64_MAX / 1000)
        return 0;
    if (read_number("WATCHDOG_PID", &pid) && pid != (uint64_t)getpid())
        return 0;
    return (nsec_t)usec * NSEC_PER_USEC;
}
