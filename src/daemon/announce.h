/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Telling that the process serves, and where: the log, the terminal, the service manager, the program that waits for it
 * (--ready-fd), and, by the data folder, commands that find that in use. What looks like a mistake is warned about.
 */
#pragma once

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/data_dir.h"
#include "daemon/endpoints.h"
#include "daemon/notify.h"
#include "daemon/server_options.h"
#include "fronts/system_view.h"

struct announce {
    const struct arguments *arguments;
    char *const *environment;
    const struct config *config;
    struct log *log;
    struct data_dir *data_dir; /* NULL: none */
    const struct endpoints *endpoints;
    const struct listener_tls *tls;
    const struct system_facts *facts;
    const struct notify *notify;
};

/* Once; closes the descriptor of --ready-fd. */
void announce_ready(const struct announce *announce);
