/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the configuration to the options of the HTTP servers. Main thread.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/endpoints.h"
#include "http/server.h"

/* What each kind of listeners speaks TLS with; NULL: it does not. References. */
struct listener_tls {
    struct tls_config *registry, *gateway;
};

/*
 * Loads the certificates. 0, or -errno with the key and the file in err; then nothing is held.
 */
int server_options_load_tls(const struct config *config, struct listener_tls *ret_tls, struct err *err);
void listener_tls_deinit(struct listener_tls *tls);

/* tls stays the caller's. */
void server_options_fill(const struct config *config, const struct listener_tls *tls,
                         struct http_server_options ret_options[ENDPOINT_KINDS_]);
