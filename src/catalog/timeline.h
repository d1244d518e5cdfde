/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to instances: the kinds of entries, and how an entry is a note of the store (store_note in store.h:
 * subject "service/instance" written as in a key, actor, cause = evidence, silence_ms = age of the last heartbeat).
 * Bounded by time and bytes in the store, durable, the same for every protocol.
 */
#pragma once

#include "base/slice.h"
#include "store/store.h"

/* X(name, number in the store: never changed, text) */
#define TIMELINE_KINDS(X)                                                                                              \
    X(REGISTERED, 16, "registered")                                                                                    \
    X(CHANGED, 17, "changed")           /* its record was written anew */                                              \
    X(REPLACED, 18, "replaced")         /* another incarnation took its name */                                        \
    X(DEREGISTERED, 19, "deregistered") /* by whom: actor */                                                           \
    X(EXPIRED, 20, "expired")           /* after silence_ms */                                                         \
    X(CONN_LOST, 21, "connection lost") /* gone: it did not come back within its grace; evidence: how it ended */      \
    X(CONN_BACK, 22, "connection back")                                                                                \
    X(CHECK_FAILED, 23, "check failed") /* evidence: the check's words */                                              \
    X(CHECK_PASSED, 24, "check passed")                                                                                \
    X(DRAINING, 25, "draining")                                                                                        \
    X(DRAIN_ENDED, 26, "drain ended")                                                                                  \
    X(MAINTENANCE, 27, "maintenance")                                                                                  \
    X(MAINTENANCE_ENDED, 28, "maintenance ended")                                                                      \
    X(FLAPPING, 29, "flapping")                                                                                        \
    X(STEADY, 30, "steady")                                                                                            \
    X(SUSPECTED, 31, "suspected") /* evidence: by the gateway or a probe */                                            \
    X(CLEARED, 32, "cleared")     /* no longer suspected */                                                            \
    X(HELD, 33, "held")           /* evidence: "3 of 4 lost within 5 s" */                                             \
    X(RELEASED, 34, "released")   /* a held one is let go: why */                                                      \
    X(STOPPED, 35, "stopped")     /* evidence: the source's words, "die exitCode=137" */                               \
    X(STARTED, 36, "started")                                                                                          \
    X(CONFLICT, 37, "conflict")                  /* two parties write the same instance */                             \
    X(REFUSED, 38, "refused")                    /* a change by somebody who does not own it */                        \
    X(DISCONNECTED, 39, "disconnected")          /* its connection broke; it may come back */                          \
    X(CHECK_REMOVED, 40, "removed by its check") /* gone: its check had failed for too long; evidence: its words */

enum timeline_kind {
#define X(name, number, text) TIMELINE_##name = number,
    TIMELINE_KINDS(X)
#undef X
};

/* Static; "" for a number that is none. */
struct slice timeline_text(unsigned kind);
/* The entry after which the instance is there, or is gone; else neither. */
bool timeline_is_arrival(unsigned kind);
bool timeline_is_departure(unsigned kind);
