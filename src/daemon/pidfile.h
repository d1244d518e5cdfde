/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file with the process id in it, for scripts. It is no lock: the data folder has one.
 */
#pragma once

#include "base/err.h"

/* Writes it anew: 0, or -errno with the reason in err. */
int pidfile_write(const char *path, struct err *err);

/* Removes it when it still names this process. */
void pidfile_remove(const char *path);
