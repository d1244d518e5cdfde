/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the options of the HTTP servers. Main thread.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/endpoints.h"
#include "http/server.h"

/*
 * Loads the certificates: *ret_tls is NULL without any. 0, or -errno with the key and the file in err.
 */
int server_options_load_tls(const struct config *config, struct tls_config **ret_tls, struct err *err);

/* tls stays the caller's. */
void server_options_fill(const struct config *config, struct tls_config *tls,
                         struct http_server_options ret_options[ENDPOINT_KINDS_]);
