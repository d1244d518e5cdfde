/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is noted of a request on its way, and what becomes of that at its end: it is counted (tally.h, edges.h),
 * recorded (passage.h) and logged (access_line.h). relay.c and attempt.c call this where something has happened.
 * Whatever is missing here for want of memory, the request goes its way.
 */
#pragma once

#include "gateway/access_line.h"
#include "gateway/passage.h"
#include "io/addr.h"

struct attempt;
struct gateway_worker;
struct relay;

/* Of one request; the relay's. Set by account_open. */
struct account {
    struct peer client; /* who asks (origin.h) */
    uint8_t n_target, n_caller, n_instance;
    char target[PASSAGE_TARGET_MAX];
    struct passage_trail trail;
    char caller[PASSAGE_CALLER_MAX];     /* by a certificate that was verified */
    char instance[PASSAGE_INSTANCE_MAX]; /* that answered, else the last that failed */
    struct access_line line;
};

/* A request has come; its head is there. False: its client asks too often (throttle.h). */
bool account_open(struct relay *relay);
/* An instance was picked: in the turn of the pick. */
void account_attempt(struct attempt *attempt, const struct pick_result *pick);
/* The attempt has failed, has its answer, or is given up. Before its slot is left. */
void account_attempt_end(struct attempt *attempt, enum cause cause);
/* An instance gets nothing for a while. On the worker that found it. */
void account_ejection(struct gateway_worker *worker, struct runtime *runtime);
/* It closed a connection that was idle. On the slot's worker. */
void account_idle_closed(struct runtime_slot *slot);
/* All is over; before the relay lets its service go. */
void account_close(struct relay *relay);
