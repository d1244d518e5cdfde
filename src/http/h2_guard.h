/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much nonsense one HTTP/2 connection may still make: one account for everything that costs us work and brings the
 * peer nothing (rapid resets, resets that it provokes from us, floods of control frames).
 *
 * The account holds points. An offence takes its price, useful frames and time give back, never beyond the start. A
 * client that works keeps it full whatever its habits (some ping with every message); one that only makes noise
 * empties it in well under a second. Pure: time comes in by argument.
 */
#pragma once

#include "base/time.h"

#include <stdbool.h>
#include <stdint.h>

enum h2_offence {
    H2_PEER_RESET,     /* the peer reset an exchange right after it began */
    H2_PROVOKED_RESET, /* we had to reset a stream for what the peer did */
    H2_SETTINGS,
    H2_PING,
    H2_PRIORITY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION,
    H2_EMPTY_DATA,
    H2_USELESS, /* a frame that changes nothing: of an unknown kind, for a stream that is gone, an answer to nothing */
    H2_OFFENCES_
};

struct h2_guard {
    int32_t points;
    nsec_t refilled_ns;
};

void h2_guard_init(struct h2_guard *guard, nsec_t now_ns);

/* False when the account is empty: the connection should be ended. */
bool h2_guard_charge(struct h2_guard *guard, enum h2_offence offence, nsec_t now_ns);

/* A frame of use came or went: data with bytes in it, or a complete answer. */
void h2_guard_credit(struct h2_guard *guard);
