/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data folder: where the daemon keeps its state, locked against a second process. Main thread.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>

/*
 * The folder to use when none is configured: $STATE_DIRECTORY (systemd sets it), $XDG_STATE_HOME/muster,
 * $HOME/.local/state/muster, /var/lib/muster. 0, or -ENAMETOOLONG.
 */
int data_dir_choose(char *ret_path, size_t size);

struct data_dir;

/*
 * Makes the folder when it is not there (for its user only) and locks it: 0; -EBUSY with the other process named in
 * err; -ENOMEM; -errno with the reason in err.
 */
int data_dir_open(const char *path, struct data_dir **ret_dir, struct err *err);

/*
 * Writes down where the process that has the folder can be asked: addresses as libmuster takes them, separated by
 * commas. For those who find the folder locked; it is no failure when it cannot be written.
 */
void data_dir_tell(const struct data_dir *dir, const char *addresses);

/* What was told by the process that has the folder. 0; -ENOENT: nothing. */
int data_dir_ask(const char *path, char *ret_addresses, size_t size);

/* Unlocks it. NULL is fine. */
void data_dir_close(struct data_dir *dir);

const char *data_dir_path(const struct data_dir *dir);
