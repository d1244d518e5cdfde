/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway makes of how instances behave: who fails is ejected for a while, who hangs is passed over, and the
 * catalogue is told, so that all who discover by it know too.
 *
 * | what was seen                                             | what follows                                    |
 * |-----------------------------------------------------------|-------------------------------------------------|
 * | a connect is refused                                      | ejected at once, until somebody is there        |
 * | so many failures in a row (connect, broken, no answer)    | ejected; longer each time                       |
 * | a request waits too long, and nothing was answered since  | passed over, and asked whether it lives; if it  |
 * | it was sent                                               | does not say so soon, it is frozen: its         |
 * |                                                           | requests are hedged                             |
 * | a connection that was used before breaks without a byte   | nothing: it was the connection (reuse.h)        |
 * | anything is answered                                      | all is well                                     |
 *
 * Trouble ends with a proof (prove.h): one question instead of many requests. With settings.prove off it ends with its
 * time, and a request is the trial.
 *
 * One worker looks after the trouble of an instance (slot->care.is_owner), whoever saw it: it asks for proofs and tells
 * the catalogue again and again, which else forgets.
 *
 * On the worker of the slot.
 */
#pragma once

#include "gateway/cause.h"
#include "gateway/gateway_worker.h"
#include "gateway/prove.h"

void suspicion_of_failure(struct gateway_worker *worker, struct runtime_slot *slot, enum cause cause);
/* Bytes have come. */
void suspicion_of_answer(struct gateway_worker *worker, struct runtime_slot *slot);
void suspicion_of_proof(struct gateway_worker *worker, struct runtime_slot *slot, enum proof_kind kind, int result);

/* Something waits at it for too long, and it says nothing to anybody. */
void suspicion_of_stall(struct gateway_worker *worker, struct runtime_slot *slot);
/* Whether requests that wait there are to be sent to others: it was asked, and has not answered either. */
bool suspicion_is_frozen(struct gateway_worker *worker, const struct runtime_slot *slot);
/* It is asked whether it lives, unless it was a while ago. */
void suspicion_doubt(struct gateway_worker *worker, struct runtime_slot *slot);

/* A request goes to it; it may be the trial after an ejection. */
void suspicion_of_request(struct gateway_worker *worker, struct runtime_slot *slot);
/* It would be good to know whether it answers twice on a connection. */
void suspicion_wants_reuse(struct gateway_worker *worker, struct runtime_slot *slot);

/* Does what is due for instances in trouble. When it wants to be called again; NSEC_NEVER: nothing is left to do. */
nsec_t suspicion_watch(struct gateway_worker *worker);

/* The slot is about to be closed. */
void suspicion_forget(struct runtime_slot *slot);
