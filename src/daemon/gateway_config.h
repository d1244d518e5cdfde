/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the settings of the gateway. Main thread.
 */
#pragma once

#include "daemon/config.h"
#include "gateway/settings.h"

struct gateway_config;

/*
 * 0; -EINVAL or another -errno with place and key in err; -ENOMEM. Certificates are read. The configuration must
 * outlive the result, which points into it.
 */
int gateway_config_new(const struct config *config, struct gateway_config **ret_settings, struct err *err);
void gateway_config_free(struct gateway_config *settings);
void gateway_config_freep(struct gateway_config **settings);

const struct gateway_settings *gateway_config_settings(const struct gateway_config *settings);

/* Whether the above would do, but for files. 0; -EINVAL; -ENOMEM. */
int gateway_config_check(const struct config *config, struct err *err);
