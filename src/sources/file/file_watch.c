/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch is on an inode, not on a path. So what was armed is good only as long as the path leads to the same folders:
 * whenever the name of one of them changes in the one above, or a watch is lost, all is thrown away and armed anew,
 * which is cheap enough for what happens that seldom.
 */
#include "sources/file/file_watch.h"

#include "base/util.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVENTS_BYTES 16384
#define READS_MAX    16 /* in one turn of the loop */

/* Names come and go; and in the folder of the files, writers finish. */
#define NAMES_MASK (IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE)
#define FILES_MASK (NAMES_MASK | IN_CLOSE_WRITE | IN_ATTRIB)
#define WHOLE_MASK (IN_MOVED_TO | IN_CLOSE_WRITE)
/* The watch itself is of no use any more. */
#define LOST_MASK (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

/* ------------------------------------------------------------------------------------------------ arming */

/* Whether the part is the path's last one. */
static bool is_last(struct slice path, struct slice part)
{
    return part.ptr + part.len == path.ptr + path.len;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* A folder that cannot be watched because it is not there, or is none, has one above it that can. 0 or -errno. */
static int add_folder(struct file_watch *watch, const char *folder, struct slice next, uint32_t mask)
{
    int wd =
        inotify_add_watch(watch->source.fd, folder, mask | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD);
    if (wd < 0)
        return errno == ENOSPC || errno == ENOMEM ? -errno : 0;
    watch->folders[watch->n_folders].wd = wd;
    watch->folders[watch->n_folders++].next = next;
    return 0;
}

/* The part of the path from `at` on, up to the next slash. */
static struct slice part_at(struct slice path, size_t at)
{
    struct slice part;
    (void)slice_split(slice_skip(path, at), '/', &part);
    return part;
}

/*
 * Each folder on the way, and the path itself if it is one: in this order, so that it is not missed when it becomes one
 * meanwhile. 0 or -errno.
 */
static int add_folders(struct file_watch *watch)
{
    struct slice path = slice_from_str(watch->path);
    int r = 0;
    for (size_t at = 0; r == 0 && at < path.len && watch->n_folders < FILE_WATCH_DEPTH_MAX - 1;) {
        char folder[PATH_MAX];
        struct slice next = part_at(path, at);
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)at, path.ptr);
        if (next.len > 0)
            r = add_folder(watch, at > 0 ? folder : ".", next, is_last(path, next) ? FILES_MASK : NAMES_MASK);
        at += next.len + 1;
    }
    unsigned n = watch->n_folders;
    if (r == 0)
        r = add_folder(watch, watch->path, (struct slice){0}, FILES_MASK);
    watch->is_folder = watch->n_folders > n;
    return r;
}

static void on_ready(struct loop_source *source, uint32_t events);

int file_watch_arm(struct file_watch *watch)
{
    file_watch_disarm(watch);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0)
        return -errno;
    watch->source = (struct loop_source){.fd = fd, .on_ready = on_ready};
    int r = add_folders(watch);
    if (r == 0)
        r = loop_add(watch->loop, &watch->source, EPOLLIN);
    if (r < 0)
        close(fd);
    watch->is_armed = r == 0;
    return r;
}

void file_watch_disarm(struct file_watch *watch)
{
    watch->n_folders = 0;
    if (!watch->is_armed)
        return;
    loop_remove(watch->loop, &watch->source);
    close(watch->source.fd);
    watch->is_armed = false;
}

/* ------------------------------------------------------------------------------------------------ events */

struct burst {
    bool is_about_us, is_elsewhere;
};

/* In one of the folders. */
static void take_name(struct file_watch *watch, struct slice next, const struct inotify_event *event,
                      struct burst *burst)
{
    bool is_next = slice_equal_str(next, event->name);
    bool is_beside = next.len > 0 && is_last(slice_from_str(watch->path), next) && !watch->is_folder;
    if (next.len == 0 || is_beside) {
        burst->is_about_us = true;
        watch->events->on_name(watch, event->name, event->mask & WHOLE_MASK);
        burst->is_elsewhere |= is_next && is_folder(watch->path); /* which it was not */
    } else {
        burst->is_elsewhere |= is_next;
    }
}

static void take_event(struct file_watch *watch, const struct inotify_event *event, struct burst *burst)
{
    if (event->mask & (LOST_MASK | IN_Q_OVERFLOW))
        burst->is_elsewhere = true;
    for (unsigned i = 0; i < watch->n_folders && event->len > 0; i++)
        if (watch->folders[i].wd == event->wd)
            take_name(watch, watch->folders[i].next, event, burst);
}

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct file_watch *watch = container_of(source, struct file_watch, source);
    _Alignas(struct inotify_event) char bytes[EVENTS_BYTES];
    struct burst burst = {false, false};
    ssize_t n = 1;
    (void)events;
    for (unsigned i = 0; i < READS_MAX && n > 0; i++) {
        n = read(source->fd, bytes, sizeof(bytes));
        for (const char *at = bytes; at < bytes + n;) {
            const struct inotify_event *event = (const void *)at;
            take_event(watch, event, &burst);
            at += sizeof(*event) + event->len;
        }
    }
    if (burst.is_about_us || burst.is_elsewhere)
        watch->events->on_change(watch, burst.is_elsewhere);
}
