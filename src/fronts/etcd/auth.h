/* SPDX-License-Identifier: Apache-2.0 */
/*
 * etcd's auth: who calls, and what they may. Off until somebody calls AuthEnable; while it is off, a call pays one load
 * and one branch.
 *
 * The state is one model (auth_model.h), which all workers read without locks. It is kept in the store as one document
 * and replaced as a whole when a change of that document is durable; changes that come at the same time are put in a
 * row by the document's version (auth_change.h).
 *
 * Who calls is found out once, when a call begins (etcd_admit): from its token, else from the client's certificate. It
 * is a number in the call: a user's session, which fits nobody any more once the user has another password or is gone.
 */
#pragma once

#include "fronts/etcd/auth_model.h"
#include "fronts/etcd/auth_passwords.h"
#include "fronts/etcd/auth_tokens.h"
#include "fronts/front.h"

/* grpc_call.caller; sessions are numbers in between. */
#define AUTH_NOBODY  0                /* shows no token and no certificate */
#define AUTH_STALE   UINT64_MAX       /* … a token that is none, or not any more */
#define AUTH_UNKNOWN (UINT64_MAX - 1) /* … a certificate whose name is no user's */

/* What a method asks of its caller before anything else: grpc_method.access. */
enum auth_need {
    AUTH_NEEDS_NOTHING, /* the method itself looks, or anybody may */
    AUTH_NEEDS_USER,    /* any user */
    AUTH_NEEDS_ROOT,    /* one with the role root */
};

struct auth {
    _Atomic bool is_on;
    bool is_ignored; /* is_on stays false, whatever the model says */
    _Atomic(struct auth_model *) model;
    struct store *store;
    struct rcu_domain *rcu;
    pthread_mutex_t lock; /* of those who publish a model */
    struct auth_tokens tokens;
    struct passwords *passwords;
};

/* Reads the document. 0, or -errno with words. Main thread, before the workers start. */
int auth_init(struct auth *auth, const struct front_env *env, struct err *err);
/* When the workers have stopped. Accepts what is zeroed. */
void auth_deinit(struct auth *auth);

static inline bool auth_is_on(const struct auth *auth)
{
    return atomic_load_explicit(&auth->is_on, memory_order_acquire);
}

/* The state of now, for this turn. */
static inline const struct auth_model *auth_model(const struct auth *auth)
{
    return rcu_read(&auth->model);
}

/* From now on this is the state, unless there is a newer one already. Takes the model over. */
void auth_publish(struct auth *auth, struct auth_model *model);
/* Publishes what the store has. 0 or -errno. */
int auth_reload(struct auth *auth, struct err *err);

/* ------------------------------------------------------------------------------------------------ who calls */

/* As grpc_service.admit, for calls whose ctx is a struct etcd. */
bool etcd_admit(struct grpc_call *call);

/* The token, or else the certificate, as grpc_call.caller says it. In on_request only. */
uint64_t auth_identify(struct auth *auth, const struct exchange *exchange);

/* ------------------------------------------------------------------------------------------------ may they? */

/*
 * ETCD_OK, or why the caller may not. All give ETCD_OK while auth is off. Keys are as in store_range. They are answered
 * from the state of now, so a call that goes on for long asks each time.
 */
enum etcd_error auth_may_touch(struct auth *auth, uint64_t caller, enum auth_access access, struct slice key,
                               struct slice end);
enum etcd_error auth_check_need(struct auth *auth, uint64_t caller, enum auth_need need);

enum etcd_error etcd_may_read(const struct grpc_call *call, struct slice key, struct slice end);
enum etcd_error etcd_may_write(const struct grpc_call *call, struct slice key, struct slice end);
enum etcd_error etcd_may_put(const struct grpc_call *call, const struct store_put *put);
enum etcd_error etcd_may_delete(const struct grpc_call *call, const struct store_delete *del);
/* Compares and operations of all branches, whichever will be taken. */
enum etcd_error etcd_may_run(const struct grpc_call *call, const struct store_txn *txn);
/* A method that has AUTH_NEEDS_USER or AUTH_NEEDS_ROOT for some requests only. */
enum etcd_error etcd_may_ask(const struct grpc_call *call, enum auth_need need);

/*
 * For the keys of leases, which only the store knows: the caller must be allowed to write them. NULL: no need to ask,
 * as auth is off or the caller may everything.
 */
struct auth_guard {
    struct store_guard base; /* first */
    struct auth *auth;
    uint64_t caller;
};

const struct store_guard *auth_guard_init(struct auth_guard *guard, const struct grpc_call *call);

/* For the other front ends: struct access. */
bool auth_access_is_on(void *ctx);
struct slice auth_access_user(void *ctx, const struct exchange *exchange);
unsigned auth_access_check(void *ctx, const struct exchange *exchange, enum access_touch touch, struct slice key,
                           struct slice end);
