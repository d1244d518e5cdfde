/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the store is that a command is about: in the data folder of a server that does not run, with a running server,
 * or in a file that was saved. The user names one, or none:
 *
 *     --file FILE                     that file
 *     --address LIST                  the server there
 *     --data DIR, else $MUSTER_DATA   that data folder; when a server has it, that server
 *     $MUSTER_ADDR                    the server there
 *     nothing                         the data folder that `muster serve` chooses, or the server that has it
 *
 * Whatever it is, a place can be loaded into memory: a server is asked for a copy. Main thread.
 */
#pragma once

#include "base/err.h"
#include "muster.h"
#include "store/local/wal_files.h"

struct store_options {
    const char *data, *file;      /* NULL: not given */
    struct muster_options server; /* addresses NULL: not given */
};

struct store_place {
    enum { PLACE_FOLDER, PLACE_SERVER, PLACE_FILE } kind;
    char *path;                   /* FOLDER: the data folder; FILE: the file; SERVER: its addresses */
    struct data_dir *data_dir;    /* FOLDER: locked */
    struct muster_client *client; /* SERVER */
    char *folder;                 /* SERVER: the data folder that it has, when that is how it was found; else NULL */
};

/*
 * 0; -ENOENT: there is no store; -EBUSY: a process has the folder and does not say where it can be asked; -errno; each
 * with words. What is found is closed by store_place_close.
 */
int store_place_find(const struct store_options *options, struct store_place *ret_place, struct err *err);
void store_place_close(struct store_place *place);

/* The data folder that the options name, else the one that `muster serve` chooses; freed by the caller. 0 or -errno. */
int store_place_choose_folder(const char *data, char **ret_path, struct err *err);

/* A result of libmuster's as -errno, with its words. -EHOSTUNREACH: no server is there. */
int store_place_fail_client(const struct muster_client *client, int result, struct err *err);

/* ------------------------------------------------------------------------------------------------ loaded */

/* A store in memory. */
struct loaded_store;

/*
 * Gets at the files of the place: those of the folder, the file, or a copy that the server was asked for. The place
 * must outlive it. 0 or -errno with words.
 */
int loaded_store_open(const struct store_place *place, struct loaded_store **ret_loaded, struct err *err);
/* NULL is fine. */
void loaded_store_close(struct loaded_store *loaded);

struct wal_files *loaded_store_files(struct loaded_store *loaded);

/* Reads them into memory, perhaps with repairing them: as keeper_new. The keeper is not started. */
int loaded_store_load(struct loaded_store *loaded, bool repair, struct err *err);
struct keeper *loaded_store_keeper(struct loaded_store *loaded);
