/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What those stand on that register or follow the catalogue: a curator and a store without a disk, on one loop in
 * virtual time.
 */
#pragma once

#include "base/log.h"
#include "keeper/curator_priv.h"
#include "support/sim.h"

struct registry_kit {
    struct rcu_domain rcu;
    struct sim *sim;
    struct loop *loop;
    struct store *store;
    struct projection *projection;
    struct curator *curator;
    struct log *log;
};

/* holds: instances that go in a mass are held. */
void registry_kit_init(struct registry_kit *kit, bool holds);
/* Who stood on it has ended. */
void registry_kit_deinit(struct registry_kit *kit);

/* What readers see; NULL: none. */
const struct instance *registry_kit_find(const struct registry_kit *kit, const char *service, const char *id);

/* Somebody else's request, until it is answered. address NULL: deregister. */
void registry_kit_ask(struct registry_kit *kit, const char *service, const char *id, const char *address);

/* Of all that was noted, a moment from now: lines "KIND by ACTOR: EVIDENCE". */
void registry_kit_expect_timeline(struct registry_kit *kit, const char *expected);
