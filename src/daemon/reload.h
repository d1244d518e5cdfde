/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: reads the configuration again and applies what can be changed while serving. Main thread.
 */
#pragma once

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/endpoints.h"
#include "daemon/stations.h"
#include "gateway/gateway.h"

struct reload {
    const struct arguments *arguments;
    char *const *environment;
    struct log *log;
    struct endpoints *endpoints;
    struct stations *stations;
    struct planner *planner; /* NULL: there is no gateway */
    struct gateway *gateway; /* the same */
};

/*
 * On success *config is replaced by what is in force from now on; the log says of each changed key whether it was
 * applied or waits for a restart. Certificates are read again in any case. When anything is wrong, everything stays as
 * it is and the log says what was wrong.
 */
void reload_config(const struct reload *reload, struct config **config);
