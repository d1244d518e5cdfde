/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway makes of how instances behave: who fails is ejected for a while, who hangs is passed over, and the
 * catalogue is told, so that all who discover by it know too.
 *
 * | what was seen                                             | what follows                                    |
 * |-----------------------------------------------------------|-------------------------------------------------|
 * | a connect is refused                                      | ejected at once: nobody is there                |
 * | so many failures in a row (connect, broken, no answer)    | ejected; longer each time                       |
 * | a connection that was used before breaks without a byte   | nothing against the instance: it was the         |
 * |                                                           | connection; after several used ones are left    |
 * |                                                           | alone for a while                               |
 * | an answer                                                 | all is well                                     |
 *
 * On the worker of the slot.
 */
#pragma once

#include "gateway/cause.h"
#include "gateway/gateway_worker.h"

void suspicion_of_failure(struct gateway_worker *worker, struct runtime_slot *slot, enum cause cause);
void suspicion_of_reuse(struct gateway_worker *worker, struct runtime_slot *slot);
void suspicion_of_answer(struct gateway_worker *worker, struct runtime_slot *slot);
