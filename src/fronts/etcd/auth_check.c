/* SPDX-License-Identifier: Apache-2.0 */
/* What callers may. No lock and no memory: a search for the session, and one for the key in each of its roles. */
#include "fronts/etcd/auth.h"
#include "fronts/etcd/etcd_impl.h"

/* The user whose session it is, or why there is none. */
static enum etcd_error find_caller(const struct auth *auth, uint64_t caller, const struct auth_user **ret_user)
{
    if (caller == AUTH_NOBODY)
        return ETCD_USER_EMPTY;
    if (caller == AUTH_UNKNOWN)
        return ETCD_PERMISSION_DENIED;
    *ret_user = auth_model_find_session(auth_model(auth), caller);
    return *ret_user ? ETCD_OK : ETCD_INVALID_TOKEN;
}

enum etcd_error auth_may_touch(struct auth *auth, uint64_t caller, enum auth_access access, struct slice key,
                               struct slice end)
{
    const struct auth_user *user;
    if (!auth_is_on(auth))
        return ETCD_OK;
    enum etcd_error error = find_caller(auth, caller, &user);
    if (error != ETCD_OK)
        return error;
    return auth_user_may(user, access, key, end) ? ETCD_OK : ETCD_PERMISSION_DENIED;
}

enum etcd_error auth_check_need(struct auth *auth, uint64_t caller, enum auth_need need)
{
    const struct auth_user *user;
    if (need == AUTH_NEEDS_NOTHING || !auth_is_on(auth))
        return ETCD_OK;
    enum etcd_error error = find_caller(auth, caller, &user);
    if (error == ETCD_OK && need == AUTH_NEEDS_ROOT && !user->is_root)
        error = ETCD_PERMISSION_DENIED;
    return error;
}

static struct auth *auth_of(const struct grpc_call *call)
{
    struct etcd *etcd = call->ctx;
    return &etcd->auth;
}

enum etcd_error etcd_may_read(const struct grpc_call *call, struct slice key, struct slice end)
{
    return auth_may_touch(auth_of(call), call->caller, AUTH_READ, key, end);
}

enum etcd_error etcd_may_write(const struct grpc_call *call, struct slice key, struct slice end)
{
    return auth_may_touch(auth_of(call), call->caller, AUTH_WRITE, key, end);
}

enum etcd_error etcd_may_ask(const struct grpc_call *call, enum auth_need need)
{
    return auth_check_need(auth_of(call), call->caller, need);
}

/* Who asks for what was there before reads it. */
enum etcd_error etcd_may_put(const struct grpc_call *call, const struct store_put *put)
{
    enum etcd_error error = etcd_may_write(call, put->key, (struct slice){0});
    if (error == ETCD_OK && put->want_prev)
        error = etcd_may_read(call, put->key, (struct slice){0});
    return error;
}

enum etcd_error etcd_may_delete(const struct grpc_call *call, const struct store_delete *del)
{
    enum etcd_error error = etcd_may_write(call, del->key, del->end);
    if (error == ETCD_OK && del->want_prev)
        error = etcd_may_read(call, del->key, del->end);
    return error;
}

static enum etcd_error may_operate(const struct grpc_call *call, const struct store_op *ops, unsigned n_ops)
{
    enum etcd_error error = ETCD_OK;
    for (unsigned i = 0; error == ETCD_OK && i < n_ops; i++) {
        const struct store_op *op = &ops[i];
        switch (op->type) {
        case STORE_OP_RANGE:
            error = etcd_may_read(call, op->range.key, op->range.end);
            break;
        case STORE_OP_PUT:
            error = etcd_may_put(call, &op->put);
            break;
        case STORE_OP_DELETE:
            error = etcd_may_delete(call, &op->del);
            break;
        case STORE_OP_TXN:
            error = etcd_may_run(call, op->txn);
            break;
        }
    }
    return error;
}

enum etcd_error etcd_may_run(const struct grpc_call *call, const struct store_txn *txn)
{
    enum etcd_error error = ETCD_OK;
    if (!auth_is_on(auth_of(call)))
        return ETCD_OK;
    for (unsigned i = 0; error == ETCD_OK && i < txn->n_compares; i++)
        error = etcd_may_read(call, txn->compares[i].key, txn->compares[i].end);
    if (error == ETCD_OK)
        error = may_operate(call, txn->success, txn->n_success);
    return error == ETCD_OK ? may_operate(call, txn->failure, txn->n_failure) : error;
}

static bool guard_allows(const struct store_guard *base, struct slice key)
{
    const struct auth_guard *guard = (const struct auth_guard *)base;
    return auth_may_touch(guard->auth, guard->caller, AUTH_WRITE, key, (struct slice){0}) == ETCD_OK;
}

const struct store_guard *auth_guard_init(struct auth_guard *guard, const struct grpc_call *call)
{
    const struct auth *auth = auth_of(call);
    const struct auth_user *user = auth_model_find_session(auth_model(auth), call->caller);
    if (!auth_is_on(auth) || (user && user->is_root))
        return NULL;
    *guard = (struct auth_guard){{guard_allows}, auth_of(call), call->caller};
    return &guard->base;
}

bool auth_access_is_on(void *ctx)
{
    return auth_is_on(ctx);
}

struct slice auth_access_user(void *ctx, const struct exchange *exchange)
{
    struct auth *auth = ctx;
    const struct auth_user *user =
        auth_is_on(auth) ? auth_model_find_session(auth_model(auth), auth_identify(auth, exchange)) : NULL;
    return user ? user->name : (struct slice){0};
}

unsigned auth_access_check(void *ctx, const struct exchange *exchange, enum access_touch touch, struct slice key,
                           struct slice end)
{
    struct auth *auth = ctx;
    if (!auth_is_on(auth))
        return 0;
    uint64_t caller = auth_identify(auth, exchange);
    enum auth_access access = touch == ACCESS_WRITE ? AUTH_WRITE : AUTH_READ;
    enum etcd_error error = touch == ACCESS_ADMIN ? auth_check_need(auth, caller, AUTH_NEEDS_ROOT)
                                                  : auth_may_touch(auth, caller, access, key, end);
    if (error == ETCD_OK)
        return 0;
    return error == ETCD_PERMISSION_DENIED ? 403 : 401;
}
