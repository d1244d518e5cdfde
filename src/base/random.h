/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers for choices (balancing, jitter, tests): xoshiro256**, fast and evenly spread, but predictable to one
 * who sees its output. Keys and identifiers that a peer must not guess come from random_system.
 *
 * A generator belongs to one thread. The same seed gives the same numbers on every machine, so that a test prints its
 * seed and can be repeated.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_init(struct random *rng, uint64_t seed);

/* Seeded by the kernel. 0, or the negative errno of getrandom(2). */
int random_init_system(struct random *rng);

uint64_t random_u64(struct random *rng);

/* Evenly from 0 to bound - 1; bound must not be 0. */
uint64_t random_below(struct random *rng, uint64_t bound);

/* Bytes fit for keys, from the kernel. 0, or the negative errno of getrandom(2). Any thread. */
int random_system(void *ret_bytes, size_t len);
