/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registrations, as several modes need them.
 */
#pragma once

#include "etcd.h"
#include "load.h"

/* Leases that were granted, in the order of their answers. */
struct leases {
    int64_t *ids;
    uint64_t n;
};

void leases_add(struct leases *leases, int64_t id);
void leases_deinit(struct leases *leases);

/* The parts of an operation that grants a lease and then puts a key of its own that hangs on it. */
void registration_begin(struct caller *caller, int64_t ttl);
void registration_reply(struct caller *caller, struct slice message);
bool registration_next(struct caller *caller, enum key_space space);
