/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a request may go to an instance on a connection that was used before: the instance may be closing it just
 * now, and then nobody knows whether it has seen the request.
 *
 * | what was seen                                          | what follows                                           |
 * |--------------------------------------------------------|--------------------------------------------------------|
 * | nothing yet                                            | what may be repeated goes; a proof would help the rest |
 * | an answer on a connection that was used before         | it is proven                                           |
 * | one that had been idle is closed, or it says when it   | they are left alone well before that                   |
 * | will be                                                |                                                        |
 * | one is closed right behind an answer, without a word;  | in doubt, whatever else is seen: what must not be      |
 * | or breaks under a request, without a byte              | repeated has new ones; longer each time                |
 * | several in a row break under requests                  | all have new ones for a while                          |
 * | it refuses connections: nobody is there                | nothing of the above, which was of a former program    |
 *
 * What is known is the runtime's, so all workers know it; breaks in a row each of them counts for itself. On the worker
 * of the slot.
 */
#pragma once

#include "gateway/runtime.h"

/* The longest that a connection may have been idle; 0: only a new one will do. */
nsec_t reuse_idle_max(const struct runtime_slot *slot, bool may_repeat, nsec_t now_ns);

/* It is neither proven nor in doubt. */
bool reuse_is_open(const struct runtime *runtime, nsec_t now_ns);

/* It has answered on a connection that was used before, and had been idle for so long. */
void reuse_of_answer(struct runtime_slot *slot, nsec_t idle_ns, nsec_t now_ns);
/* A connection that was used before has broken under a request. */
void reuse_of_break(struct runtime_slot *slot, nsec_t now_ns);
/* It has closed a connection so long after its answer. */
void reuse_of_end(struct runtime_slot *slot, nsec_t idle_ns, nsec_t now_ns);
/* It says that it closes connections when they were idle for so long. */
void reuse_of_promise(struct runtime_slot *slot, nsec_t idle_ns);
/* Nobody is there: who comes back is another program. */
void reuse_of_refusal(struct runtime *runtime, nsec_t now_ns);
/* What it said to PROOF_REUSE (prove.h). */
void reuse_of_proof(struct runtime_slot *slot, int result, nsec_t now_ns);
