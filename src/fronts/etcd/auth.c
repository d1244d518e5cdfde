/* SPDX-License-Identifier: Apache-2.0 */
/* The state's life, and who calls. */
#include "fronts/etcd/auth.h"

#include "fronts/etcd/auth_document.h"
#include "fronts/etcd/etcd_impl.h"
#include "io/tls.h"

#include <errno.h>

/* ------------------------------------------------------------------------------------------------ the state */

struct loading {
    struct auth_model *model;
    int result;
    struct err *err;
};

static bool load(void *ctx, struct slice name, struct slice value, int64_t version)
{
    struct loading *loading = ctx;
    if (!slice_equal(name, AUTH_DOCUMENT_NAME))
        return true;
    loading->result = auth_document_read(value, &loading->model, loading->err);
    if (loading->result == 0)
        loading->model->version = version;
    return false;
}

int auth_reload(struct auth *auth, struct err *err)
{
    struct loading loading = {.err = err};
    int r = store_docs(auth->store, AUTH_DOCUMENT_NAME, load, &loading);
    if (r == 0)
        r = loading.result;
    if (r == 0 && !loading.model) {
        loading.model = auth_model_new();
        r = loading.model && auth_model_seal(loading.model) == ETCD_OK ? 0 : -ENOMEM;
    }
    if (r < 0) {
        auth_model_free(loading.model);
        return r;
    }
    auth_publish(auth, loading.model);
    return 0;
}

static void free_model(struct rcu_node *node)
{
    auth_model_free(container_of(node, struct auth_model, rcu));
}

void auth_publish(struct auth *auth, struct auth_model *model)
{
    pthread_mutex_lock(&auth->lock);
    struct auth_model *old = atomic_load_explicit(&auth->model, memory_order_relaxed);
    bool is_newer = !old || model->version > old->version;
    if (is_newer) {
        rcu_publish(&auth->model, model);
        atomic_store_explicit(&auth->is_on, model->is_enabled && !auth->is_ignored, memory_order_release);
    }
    pthread_mutex_unlock(&auth->lock);
    if (!is_newer)
        auth_model_free(model);
    else if (old)
        rcu_retire(auth->rcu, &old->rcu, free_model);
}

int auth_init(struct auth *auth, const struct front_env *env, struct err *err)
{
    auth->store = env->store;
    auth->rcu = env->rcu;
    auth->is_ignored = env->auth.is_ignored;
    pthread_mutex_init(&auth->lock, NULL);
    int r = auth_tokens_init(&auth->tokens, env->rcu);
    if (r == 0)
        r = passwords_new(env->auth.bcrypt_cost, &auth->passwords);
    if (r < 0)
        return err_set_errno(err, r, "auth");
    return auth_reload(auth, err);
}

void auth_deinit(struct auth *auth)
{
    if (!auth->store)
        return;
    passwords_free(auth->passwords);
    auth_tokens_deinit(&auth->tokens);
    auth_model_free(atomic_load_explicit(&auth->model, memory_order_relaxed));
    pthread_mutex_destroy(&auth->lock);
}

/* ------------------------------------------------------------------------------------------------ who calls */

/* gRPC clients send `token`, JSON ones `authorization`; the bare token either way. */
static const struct http_field *find_token(const struct exchange *exchange)
{
    const struct http_fields *fields = exchange->request->fields;
    const struct http_field *field = http_fields_get_name(fields, SLICE_LIT("token"));
    return field ? field : http_fields_get(fields, HTTP_FIELD_AUTHORIZATION);
}

uint64_t auth_identify(struct auth *auth, const struct exchange *exchange)
{
    const struct http_field *field = find_token(exchange);
    if (field) {
        uint64_t session = auth_tokens_find(&auth->tokens, field->value, loop_now(exchange_loop(exchange)));
        return session ? session : AUTH_STALE;
    }
    struct slice name = tls_peer_name(exchange_stream(exchange));
    if (slice_is_empty(name))
        return AUTH_NOBODY;
    const struct auth_user *user = auth_model_find_user(auth_model(auth), name);
    return user ? user->session : AUTH_UNKNOWN;
}

bool etcd_admit(struct grpc_call *call)
{
    struct etcd *etcd = call->ctx;
    if (!auth_is_on(&etcd->auth))
        return true;
    call->caller = auth_identify(&etcd->auth, call->exchange);
    enum etcd_error error = auth_check_need(&etcd->auth, call->caller, call->method->access);
    if (error != ETCD_OK)
        etcd_refuse(call, error);
    return error == ETCD_OK;
}
