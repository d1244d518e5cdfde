/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that passes requests on: all of them to one server, head, body, trailers and all, over the connections of
 * one place of a pool. For tests of what a relay is made of.
 */
#pragma once

#include "http/pool.h"
#include "http/server.h"

struct relay_kit {
    struct pool *pool;
    struct pool_place *place;
    struct exchange_handler handler;
    struct pool_want want;
    bool pours; /* large bodies go through pipes */

    /* What was seen. */
    unsigned n_running, n_done, n_failed, n_poured;
    uint64_t n_body_bytes; /* of responses */
    struct tunnel_result tunnelled;
};

/* The pool's connections are made by `connect`. */
void relay_kit_init(struct relay_kit *kit, struct loop *loop, const struct pool_options *options,
                    const struct addr *addr);
/* No request may run. */
void relay_kit_deinit(struct relay_kit *kit);
