/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often one client address may ask: so many requests per second, and so many at once. One table for all workers, so
 * that the limit holds however a client's connections are spread over them; of fixed size, whoever asks.
 *
 * IPv6 clients are counted by their /64, which is what one of them has at least. Unix sockets have no limit.
 */
#pragma once

#include "base/hash.h"
#include "base/time.h"
#include "io/addr.h"

struct throttle;

/* 0 or -ENOMEM. */
int throttle_new(const struct hash_key *key, struct throttle **ret_throttle);
/* Accepts NULL. */
void throttle_free(struct throttle *throttle);

struct throttle_limit {
    unsigned rate;  /* per second, not 0 */
    unsigned burst; /* at once, not 0 */
};

/* Whether it may be served; if so it is counted. Any thread, without locks. */
bool throttle_admit(struct throttle *throttle, const struct peer *peer, const struct throttle_limit *limit,
                    nsec_t now_ns);
