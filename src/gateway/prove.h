/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question of the gateway's own to an instance: `OPTIONS *`, which is about the server itself, so that nothing comes
 * of it. Any response will do, errors too: it proves that somebody is there who reads and answers, which a connection
 * does not (the kernel makes it for a program that hangs).
 *
 * At most one is under way from a worker to an instance: slot->care.running. Who asks, and what follows, is in
 * suspicion.c. On the worker of the slot.
 */
#pragma once

#include "gateway/gateway_worker.h"

enum proof_kind {
    PROOF_LIFE,  /* whether it answers at all: on a new connection */
    PROOF_REUSE, /* whether it answers on a connection that was used before */
};

/*
 * The slot is open and no proof is under way there. 0: suspicion_of_proof follows, never from inside. Negative: as in
 * its result, and it does not follow.
 */
int prove_start(struct gateway_worker *worker, struct runtime_slot *slot, enum proof_kind kind, nsec_t timeout_ns);

/* suspicion_of_proof does not come. Harmless when none is under way. */
void prove_cancel(struct runtime_slot *slot);

/* When the one that is under way was begun; NSEC_NEVER: none is. */
nsec_t prove_begun_ns(const struct runtime_slot *slot);
