/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a source of a test stands on: a curator and a store without a disk, on one loop in virtual time.
 */
#pragma once

#include "base/log.h"
#include "keeper/curator_priv.h"
#include "support/sim.h"

struct source_kit {
    struct rcu_domain rcu;
    struct sim *sim;
    struct loop *loop;
    struct store *store;
    struct projection *projection;
    struct curator *curator;
    struct log *log;
};

void source_kit_init(struct source_kit *kit);
/* The source has ended. */
void source_kit_deinit(struct source_kit *kit);

/* What readers see; NULL: none. */
const struct instance *source_kit_find(const struct source_kit *kit, const char *service, const char *id);

/* Somebody else's request, until it is answered. address NULL: deregister. */
void source_kit_ask(struct source_kit *kit, const char *service, const char *id, const char *address);

/* Of all that was noted, a moment from now: lines "KIND by ACTOR: EVIDENCE". */
void source_kit_expect_timeline(struct source_kit *kit, const char *expected);
