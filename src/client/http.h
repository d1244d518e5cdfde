/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/1.1 request and its answer on one connection, which is closed afterwards.
 */
#pragma once

#include "base/buf.h"
#include "client/conn.h"

/* Takes a piece of an answer's body. 0, or -errno with words: the call ends with it. */
typedef int (*http_body_fn)(void *ctx, unsigned status, struct slice piece, struct err *err);

struct http_question {
    const char *method, *host, *path;
    const char *token; /* NULL: none */
};

/*
 * Asks, without a body. 0 with the answer's status, its body given to on_body; -EPROTO when the answer is
 * no HTTP, -ECONNRESET when it ends in the middle, -ENOMEM, -ETIMEDOUT, -errno.
 */
int http_ask(struct conn *conn, const struct http_question *question, http_body_fn on_body, void *ctx,
             unsigned *ret_status, struct err *err);
