/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells that something may have changed about a path, which is that of a file or of a folder with files: by inotify, on
 * the folder that has the files and on all above it. So a path that does not exist yet is watched too, and one whose
 * symbolic links are put elsewhere.
 *
 * What is told are hints: the owner looks by itself. On one loop.
 */
#pragma once

#include "base/slice.h"
#include "io/loop.h"

#define FILE_WATCH_DEPTH_MAX 64 /* folders of a path */

struct file_watch;

struct file_watch_events {
    /* Something happened to this name in the folder of the files. is_whole: a writer has just finished it. */
    void (*on_name)(struct file_watch *watch, const char *name, bool is_whole);
    /* After these, once per burst. is_elsewhere: the way to the files is another one; it must be armed again. */
    void (*on_change)(struct file_watch *watch, bool is_elsewhere);
};

/* Embedded in its owner; zeroed but for the owner's. */
struct file_watch {
    /* the owner's */
    const char *path;
    struct loop *loop;
    const struct file_watch_events *events;
    /* its own */
    struct loop_source source;
    bool is_armed;
    bool is_folder; /* the path: its files are in it; else it is one beside others */
    struct {
        int wd;
        struct slice next; /* of the path, the part that follows; empty: it is the path itself */
    } folders[FILE_WATCH_DEPTH_MAX];
    unsigned n_folders;
};

/*
 * From now on changes are told; to be called before looking. Also again, at any time but in on_name. 0, or the -errno
 * of inotify (-EMFILE, -ENOSPC: the system's limits): then it is not armed.
 */
int file_watch_arm(struct file_watch *watch);
/* Harmless when it is not armed. */
void file_watch_disarm(struct file_watch *watch);
