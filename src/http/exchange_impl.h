/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For those who implement exchanges (HTTP/1.1, HTTP/2, the simulated one of the tests): the calls of exchange.h, as a
 * table. Front ends never include this.
 */
#pragma once

#include "http/exchange.h"
#include "io/pipes.h"

struct exchange_ops {
    void (*respond)(struct exchange *exchange, unsigned status, const struct header *headers, unsigned n_headers,
                    struct slice body);
    int (*begin)(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                 const struct header *headers, unsigned n_headers, uint64_t content_length);
    void (*inform)(struct exchange *exchange, unsigned status, const struct header_carry *carry,
                   const struct header *headers, unsigned n_headers);
    void (*hold_continue)(struct exchange *exchange);
    int (*switch_over)(struct exchange *exchange, const struct header_carry *carry, const struct header *headers,
                       unsigned n_headers, const struct tunnel *tunnel);
    int (*write)(struct exchange *exchange, struct slice bytes);
    void (*end)(struct exchange *exchange, const struct header *trailers, unsigned n_trailers);
    void (*abort)(struct exchange *exchange);
    void (*pause)(struct exchange *exchange, bool paused);
    void (*set_idle_timeout)(struct exchange *exchange, nsec_t timeout_ns);
    struct loop *(*loop)(const struct exchange *exchange);
    const struct peer *(*peer)(const struct exchange *exchange);
    struct stream *(*stream)(const struct exchange *exchange);
    /*
     * For pour.c; NULL where it is not possible. Where pipes are to be taken from, NULL: not this answer. Then: empties
     * the pipe towards the client, as stream_send; on_drain comes when it could not all be sent.
     */
    struct pipes *(*pour_begin)(struct exchange *exchange);
    ssize_t (*pour)(struct exchange *exchange, struct pipe *pipe);
};
