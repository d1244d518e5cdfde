/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standing in line for a name, which is what Lock and Campaign have in common. A ticket is a key under the name,
 * "name/" and the lease in hex, attached to that lease; its turn has come when no older key is left under the name.
 * The same keys are used by clients that do all this themselves, so both kinds stand in one line.
 *
 * The call is answered when the turn has come. A client that goes away before then loses its place.
 */
#pragma once

#include "fronts/etcd/await.h"
#include "fronts/etcd/submission.h"

struct ticket;

/* Adds what follows the header of the answer. */
typedef void (*ticket_answer_fn)(struct buf *answer, const struct ticket *ticket);

struct ticket_request {
    struct slice name, value;
    int64_t lease;        /* 0: the store grants one, of a minute */
    bool sets_value;      /* of a ticket that is there already, too */
    enum etcd_error lost; /* what it is called when the key has gone, with its lease, before the turn came */
    ticket_answer_fn add_answer;
};

/* Takes the call over; its on_close is ticket_on_close. */
void ticket_take(struct grpc_call *call, const struct ticket_request *request);
void ticket_on_close(struct grpc_call *call, enum exchange_end end);

struct slice ticket_name(const struct ticket *ticket);
struct slice ticket_key(const struct ticket *ticket);
int64_t ticket_lease(const struct ticket *ticket);
/* Its create revision: the place in the line. */
int64_t ticket_place(const struct ticket *ticket);

/* Where the keys under a name begin and end. 0 or the buf's error. */
int ticket_range(struct slice name, struct buf *begin, struct buf *end);
