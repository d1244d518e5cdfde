/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash for tables whose keys come from peers: SipHash-1-3. Without the key nobody can choose names that all fall
 * into one chain, so a table stays fast under attack. Not for storage: the value is that of one process's key.
 */
#pragma once

#include "base/slice.h"

#include <stdint.h>

/* Secret; filled with random_system once per process or per table. */
struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_bytes(const struct hash_key *key, struct slice bytes);
/* Of two that are a name together, in this order. */
uint64_t hash_pair(const struct hash_key *key, struct slice first, struct slice second);

/* Spreads numbers, without a key: for tables that nobody but their own user could make slow. */
static inline uint64_t hash_number(uint64_t number)
{
    uint64_t hash = number * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 32;
}
