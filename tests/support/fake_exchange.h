/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An exchange without a connection: holds the request that the test gives it, and keeps the answer. For handlers that
 * answer in on_request.
 */
#pragma once

#include "base/buf.h"
#include "http/exchange.h"

#define FAKE_HEADERS_MAX 8

struct fake_exchange {
    struct exchange exchange;
    struct http_request request;
    unsigned n_answers;
    unsigned status;
    unsigned n_headers;
    struct buf names[FAKE_HEADERS_MAX], values[FAKE_HEADERS_MAX];
    struct buf body;
};

/* One at a time: forgets the answer before. `fake` is zeroed before its first use. */
void fake_exchange_ask(struct fake_exchange *fake, const struct exchange_handler *handler, enum http_method method,
                       const char *path);
void fake_exchange_deinit(struct fake_exchange *fake);

/* The value of a header of the answer; an empty slice when it has none. */
struct slice fake_exchange_header(const struct fake_exchange *fake, const char *name);
