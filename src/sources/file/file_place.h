/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One path that is followed, and the files that it has: itself, or those of the folder that it is whose names end with
 * .yaml, .yml or .json. Each file for itself has the entries that were read last without a fault.
 *
 * A file is read when it is complete: at the start; when its writer has closed it or moved it into its place; when a
 * symbolic link leads elsewhere. Else, and when it is gone, only when it has been the same for a moment: what editors
 * do on the way, and what is being copied, is not taken for a change.
 *
 * All on the scout's loop, but for file_place_get_state.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "sources/file/file_entries.h"
#include "sources/file/file_watch.h"

#include <pthread.h>
#include <sys/stat.h>

#define FILE_PLACE_FILES_MAX 1000

/* What a file was like when it was looked at. All zero: it was not there. */
struct file_stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct file_item {
    struct list link; /* of its place, by name */
    char *path;
    bool is_whole;          /* its writer has finished */
    bool is_fresh;          /* read since the owner took note of it */
    struct file_stamp seen; /* the last look, … */
    nsec_t seen_ns;         /* … and the first that saw it so */
    struct file_stamp read;
    struct file_entries entries; /* that are in force */
    struct err trouble;          /* why they may not be what the file says; "": they are */
};

struct file_place_state {
    bool is_followed; /* else it is looked at now and then */
    unsigned n_files, n_broken;
    int64_t success_ms; /* wall clock: when all of it was well last; 0: never yet */
    char trouble[ERR_TEXT_MAX];
};

struct file_place;

/* Embedded in its owner, zeroed but for the owner's. */
struct file_place {
    /* the owner's */
    const char *path;
    struct loop *loop;
    struct log *log;
    nsec_t settle_ns;
    void (*on_change)(struct file_place *place); /* entries are others than before; from file_place_look, and later */
    /* its own */
    struct file_watch watch;
    struct timer settle;
    struct list files;
    unsigned n_files;
    struct err trouble; /* with the path itself */
    pthread_mutex_t lock;
    struct file_place_state state; /* under the lock */
};

void file_place_init(struct file_place *place);
/* Stopped. */
void file_place_deinit(struct file_place *place);

/* Watches anew and looks. is_start: what is there is taken as it is. */
void file_place_look(struct file_place *place, bool is_start);
void file_place_stop(struct file_place *place);

/* Whether something of it could not be read, so that it may have more than its entries say. */
bool file_place_is_broken(const struct file_place *place);

/* Any thread. */
void file_place_get_state(struct file_place *place, struct file_place_state *ret_state);
