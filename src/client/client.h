/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client behind the handle of muster.h, and how its calls ask the server.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "client/conn.h"
#include "client/http.h"
#include "muster.h"

#define CLIENT_ADDRESSES_MAX 16

struct muster_client {
    struct err error;   /* of the last call */
    int options_result; /* MUSTER_OK, or what every call returns because the options are not usable */
    struct err options_error;
    nsec_t timeout_ns;
    char *ca_file, *cert_file, *key_file;
    char *token; /* NULL: none */
    unsigned n_addresses;
    struct address addresses[CLIENT_ADDRESSES_MAX];
};

/*
 * Asks the first address that takes the connection, by a method without a body. A muster_result; when it is not
 * MUSTER_OK client->error says why. -ECANCELED from on_body is MUSTER_STOPPED.
 */
int client_ask(struct muster_client *client, const char *method, const char *path, http_body_fn on_body, void *ctx,
               unsigned *ret_status);

/* The same, with the answer's body appended to `body`, whose limit holds. */
int client_ask_all(struct muster_client *client, const char *method, const char *path, struct buf *body,
                   unsigned *ret_status);

/* Sets the error of the call and gives `result` back. */
int client_fail(struct muster_client *client, int result, const char *fmt, ...) PRINTF_LIKE(3, 4);
