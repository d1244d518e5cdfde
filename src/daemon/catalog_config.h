/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the options of the catalogue. Main thread.
 */
#pragma once

#include "catalog/catalog.h"
#include "daemon/config.h"

/*
 * The rules for foreign keys; *ret_projection is the caller's to free. 0; -EINVAL with the rule in words; -ENOMEM.
 */
int catalog_config_projection(const struct config *config, struct projection **ret_projection, struct err *err);

/* All but the projection. */
void catalog_config_fill(const struct config *config, struct catalog_options *ret_options);
