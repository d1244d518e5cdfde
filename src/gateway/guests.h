/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections each client address has at the gateway's listeners. One table for all workers, so that a limit
 * holds however a client's connections are spread over them.
 *
 * Everybody is counted, whoever has a limit: so that one which is set later, or a proxy that is trusted no more, finds
 * the right numbers. IPv6 clients are counted by their /64, which is what one of them has at least; Unix sockets are
 * not.
 */
#pragma once

#include "base/hash.h"
#include "io/addr.h"

struct guests;

/* 0 or -ENOMEM. */
int guests_new(const struct hash_key *key, struct guests **ret_guests);
/* All have left. Accepts NULL. */
void guests_free(struct guests *guests);

/*
 * Any thread. Counts one more connection of that address, until guests_leave is called for it: 0. GUESTS_FULL: it has
 * n_max already, and n_max is not 0. -ENOMEM.
 */
enum { GUESTS_FULL = 1 };
int guests_enter(struct guests *guests, const struct peer *peer, unsigned n_max);
void guests_leave(struct guests *guests, const struct peer *peer);
