/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration file: YAML, with one mapping level for each dot of a key.
 */
#pragma once

#include "daemon/config.h"

/* Sets config->file and what the file says. 0; -EINVAL, or -errno when it cannot be read, with the line in err. */
int config_read_file(struct config *config, const char *path, struct err *err);
