/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A change of users, roles or of auth itself, on its way: hash the password, if there is one; make the change on a copy
 * of the state; write the copy's document; publish it; answer. When another change came in between (the document has
 * another version) it is made again on the newer state.
 *
 *     struct auth_change *change = auth_change_new(call, message, apply);
 *     if (change)
 *         auth_change_send(change, read(change->message, &change->words));
 *
 * A method that uses it has auth_change_on_close as its on_close.
 */
#pragma once

#include "fronts/etcd/etcd_impl.h"

/* What a request says; each method reads what it has. */
struct auth_words {
    struct slice user, role;
    struct slice password, hashed_password; /* as they came */
    bool has_no_password;
    struct slice hash; /* of the password, when there is one */
    struct auth_permission permission;
};

typedef enum etcd_error (*auth_apply_fn)(struct auth_model *draft, const struct auth_words *words);

struct auth_change {
    struct grpc_call *call; /* NULL: it is gone */
    struct auth *auth;
    auth_apply_fn apply;
    struct auth_words words;
    struct auth_model *draft; /* while the store has its document */
    struct buf document;
    unsigned n_tries;
    struct store_request request;
    struct password_job job;
    char actor[ETCD_ACTOR_MAX];
    struct slice message; /* a copy; words point into it */
    char bytes[];
};

/* NULL: out of memory, and the call is refused. */
struct auth_change *auth_change_new(struct grpc_call *call, struct slice message, auth_apply_fn apply);

/* Goes on, and answers; or, when there is an error, refuses the call and is gone. */
void auth_change_send(struct auth_change *change, enum etcd_error error);
/* The same, but the hash comes first: that of words.password, or words.hashed_password as it is. */
void auth_change_send_hashed(struct auth_change *change, enum etcd_error error);

void auth_change_on_close(struct grpc_call *call, enum exchange_end end);

/* Whether names in a request are text, as the protocol wants it of strings. ETCD_OK or ETCD_MALFORMED. */
enum etcd_error auth_check_text(struct slice text);
