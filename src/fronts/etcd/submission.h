/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call on its way through the store: owns a copy of its message, the request made from it, and the way back. The call
 * may be gone before the store has answered; the submission then ends alone.
 *
 *     struct submission *submission = submission_new(call, message, add_answer);
 *     if (submission)
 *         submission_send(submission, read(submission->message, &submission->request…));
 *
 * While auth is on, transactions and the keys of leases are checked here; the rest is the method's to check.
 *
 * A method that uses it has submission_on_close as its on_close.
 */
#pragma once

#include "fronts/etcd/etcd_impl.h"

#include <stdalign.h>

/* Enough for the result of a lone put that does not ask for the previous pair. */
#define SUBMISSION_RESULTS_BYTES 64

struct submission;

/* Adds what follows the header of a good answer. */
typedef void (*submission_answer_fn)(struct buf *answer, const struct submission *submission);

/* What the store did, though done well, may be no good answer: ETCD_OK, or what is wrong. */
typedef enum etcd_error (*submission_judge_fn)(const struct submission *submission);

struct submission {
    struct grpc_call *call; /* NULL: it is gone */
    submission_answer_fn add_answer;
    submission_judge_fn judge;                                     /* NULL: it is good */
    void (*refuse)(struct grpc_call *call, enum etcd_error error); /* etcd_refuse, unless it is set */
    struct store_request request;
    alignas(max_align_t) char results[SUBMISSION_RESULTS_BYTES]; /* lent to the request's arena */
    struct arena arena;                                          /* parts of a transaction */
    struct store_op op;                                          /* of a lone operation */
    struct store_compare compare;                                /* … and what it depends on */
    struct auth_guard guard;                                     /* while auth is on */
    bool wants_keys;                                             /* LeaseTimeToLive */
    struct slice message;                                        /* behind the struct, as is the actor's name */
    char bytes[];
};

/* With request.type to be set. NULL: out of memory, and the call is refused. */
struct submission *submission_new(struct grpc_call *call, struct slice message, submission_answer_fn add_answer);

/* Submits; or, when there is an error, refuses the call and is gone. */
void submission_send(struct submission *submission, enum etcd_error error);

void submission_on_close(struct grpc_call *call, enum exchange_end end);
