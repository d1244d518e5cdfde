/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP/1.1 request and its answer on one connection, which is closed afterwards.
 */
#pragma once

#include "base/buf.h"
#include "client/conn.h"

/*
 * GET path. 0 with the answer's status and body (appended to `body`, whose limit holds); -EPROTO when the answer is no
 * HTTP, -ECONNRESET when it ends in the middle, -EMSGSIZE when it is longer than the limit, -ENOMEM, -ETIMEDOUT,
 * -errno.
 */
int http_get(struct conn *conn, const char *host, const char *path, struct buf *body, unsigned *ret_status,
             struct err *err);
