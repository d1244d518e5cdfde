/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks how much, by address: so that a registry that is busy can say who makes it so. For each worker a table of
 * bounded size, in which those who talk most stay; what somebody did counts less and less as minutes pass.
 *
 * Each worker counts in its own slot, without a lock; any thread asks. Who is told of may be a moment behind.
 */
#pragma once

#include "base/time.h"
#include "io/addr.h"

/* Those who are told of at most. */
#define TALKERS_TOP_MAX 50

struct talkers;

struct talker {
    struct peer peer;             /* without a port */
    uint64_t n_requests, n_bytes; /* answered, sent; since it is known here */
    uint64_t requests_per_minute, bytes_per_minute;
};

/* 0, -ENOMEM, or the negative errno of getrandom(2). */
int talkers_new(unsigned n_slots, struct talkers **ret_talkers);
void talkers_free(struct talkers *talkers); /* accepts NULL */

void talkers_count(struct talkers *talkers, unsigned slot, const struct peer *peer, unsigned n_requests,
                   uint64_t n_bytes, nsec_t now_ns);

/* Writes those who talked most in the last minute, the first one first. Gives their number, or -ENOMEM. */
int talkers_top(struct talkers *talkers, nsec_t now_ns, struct talker ret_top[TALKERS_TOP_MAX]);
