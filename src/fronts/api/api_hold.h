/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registration that lasts as long as its connection. Its session is in the record: whoever registers the same
 * instance with the same session takes it over, as the same incarnation. When the connection of the last one ends, the
 * instance is DISCONNECTED at once and goes after its grace, unless its session is back by then. The lease below it is
 * renewed by us while the connection lasts, so a restart of the server leaves its client the TTL to come back.
 */
#pragma once

#include "fronts/api/api_impl.h"

/* A text nobody can guess, as long-lived as the change. False: answered. */
bool api_hold_pick_session(struct change *change, struct slice *ret_session);

/* In the answer of a registration that was done, also when the client has gone meanwhile: the stream begins. */
void api_hold_begin(struct api *api, struct change *change, int64_t grace_ms);
