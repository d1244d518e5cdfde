/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store in front of another one in which things go wrong as a test plans it: what is written against struct store can
 * be shown every outcome it may meet, at the request where it hurts.
 *
 *     struct store *store;
 *     fault_store_new(inner, &store);
 *     fault_store_add(store, &(struct fault){.kind = FAULT_REFUSE, .request_type = STORE_TXN, .skip = 2, .times = 1,
 *                                            .outcome = STORE_NO_SPACE});     the third transaction fails
 *
 * The plan is made while nothing is under way; then the store may be used by as many threads as the inner one.
 */
#pragma once

#include "store/store.h"

#define FAULTS_MAX          16
#define FAULT_EVERY_REQUEST (-1)

enum fault_kind {
    FAULT_REFUSE, /* a request is not handed on, but answered with the outcome */
    FAULT_LOSE,   /* it is done, but the answer is lost, and the outcome is told instead */
    FAULT_DELAY,  /* it is done, and answered n_turns of its loop later */
    FAULT_RANGE,  /* a read gives the outcome (or -errno) and no key */
    FAULT_TOUCH,  /* a heartbeat does not reach its lease, as if that were dead */
    FAULT_COMMIT, /* a commit is not to be had, as if it were compacted */
};

/* What matches goes well `skip` times and then wrong `times` times. */
struct fault {
    enum fault_kind kind;
    int request_type;     /* REFUSE, LOSE, DELAY: store_request.type, or FAULT_EVERY_REQUEST */
    unsigned skip, times; /* times 0: from then on */
    int outcome;
    unsigned n_turns;
};

/* 0 or -ENOMEM. The inner store stays the caller's and outlives it. */
int fault_store_new(struct store *inner, struct store **ret_store);
/* No request may be under way. */
void fault_store_free(struct store *store);

/* At most FAULTS_MAX; where several match at once, the first one added is the one that happens. */
void fault_store_add(struct store *store, const struct fault *fault);
void fault_store_clear(struct store *store);
/* How many things went wrong since the last clear. */
unsigned fault_store_hits(const struct store *store);
