/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods, and the instance's life. */
#include "fronts/etcd/etcd.h"

#include "base/utf8.h"
#include "fronts/etcd/auth_change.h"
#include "fronts/etcd/ticket.h"
#include "fronts/etcd/watch.h"

#include <errno.h>
#include <stdlib.h>

#define METHOD(name, needs, handler) METHOD_OF(name, needs, handler, NULL, submission_on_close)
#define CHANGE(name, handler)        METHOD_OF(name, ROOT, handler, NULL, auth_change_on_close)
#define METHOD_OF(name, needs, handler, open, close)                                                                   \
    {                                                                                                                  \
        .path = SLICE_LIT("/" name), .access = AUTH_NEEDS_##needs, .on_open = (open), .on_message = (handler),         \
        .on_close = (close)                                                                                            \
    }

/* The most frequent first: they are searched in this order. */
static const struct grpc_method methods[] = {
    {
        .path = SLICE_LIT("/etcdserverpb.Lease/LeaseKeepAlive"),
        .access = AUTH_NEEDS_USER,
        .client_streams = true,
        .server_streams = true,
        .on_open = etcd_on_keep_alive_open,
        .on_message = etcd_on_keep_alive,
        .on_end = etcd_on_keep_alive_end,
        .on_drain = etcd_on_keep_alive_drain,
        .on_close = etcd_on_keep_alive_close,
    },
    {
        .path = SLICE_LIT("/etcdserverpb.Watch/Watch"),
        .client_streams = true,
        .server_streams = true,
        .on_open = watch_on_open,
        .on_message = watch_on_message,
        .on_drain = watch_on_drain,
        .on_close = watch_on_close,
    },
    METHOD("etcdserverpb.KV/Range", NOTHING, etcd_on_range),
    METHOD("etcdserverpb.KV/Put", NOTHING, etcd_on_put),
    METHOD("etcdserverpb.KV/Txn", NOTHING, etcd_on_txn),
    METHOD("etcdserverpb.KV/DeleteRange", NOTHING, etcd_on_delete_range),
    METHOD("etcdserverpb.Lease/LeaseGrant", USER, etcd_on_lease_grant),
    METHOD("etcdserverpb.Lease/LeaseRevoke", USER, etcd_on_lease_revoke),
    METHOD("etcdserverpb.Lease/LeaseTimeToLive", USER, etcd_on_lease_time_to_live),
    METHOD("etcdserverpb.Lease/LeaseLeases", USER, etcd_on_lease_leases),
    METHOD("etcdserverpb.KV/Compact", ROOT, etcd_on_compact),
    METHOD_OF("etcdserverpb.Cluster/MemberList", USER, etcd_on_member_list, etcd_on_member_open, etcd_on_member_close),
    METHOD("etcdserverpb.Cluster/MemberAdd", ROOT, etcd_on_member_add),
    METHOD("etcdserverpb.Cluster/MemberRemove", ROOT, etcd_on_member_remove),
    METHOD("etcdserverpb.Cluster/MemberUpdate", ROOT, etcd_on_member_update),
    METHOD("etcdserverpb.Cluster/MemberPromote", ROOT, etcd_on_member_promote),
    METHOD("etcdserverpb.Maintenance/Status", USER, etcd_on_status),
    METHOD("etcdserverpb.Maintenance/Alarm", USER, etcd_on_alarm),
    METHOD("etcdserverpb.Maintenance/Defragment", ROOT, etcd_on_defragment),
    METHOD_OF("etcdserverpb.Maintenance/Hash", ROOT, etcd_on_hash, NULL, etcd_on_hash_close),
    METHOD_OF("etcdserverpb.Maintenance/HashKV", ROOT, etcd_on_hash_kv, NULL, etcd_on_hash_close),
    {
        .path = SLICE_LIT("/etcdserverpb.Maintenance/Snapshot"),
        .access = AUTH_NEEDS_ROOT,
        .server_streams = true,
        .on_message = etcd_on_snapshot,
        .on_drain = etcd_on_snapshot_drain,
        .on_close = etcd_on_snapshot_close,
    },
    METHOD("etcdserverpb.Maintenance/MoveLeader", ROOT, etcd_on_move_leader),
    METHOD("etcdserverpb.Maintenance/Downgrade", ROOT, etcd_on_downgrade),
    METHOD_OF("v3lockpb.Lock/Lock", NOTHING, etcd_on_lock, NULL, ticket_on_close),
    METHOD("v3lockpb.Lock/Unlock", NOTHING, etcd_on_unlock),
    METHOD_OF("v3electionpb.Election/Campaign", NOTHING, etcd_on_campaign, NULL, ticket_on_close),
    METHOD("v3electionpb.Election/Proclaim", NOTHING, etcd_on_proclaim),
    METHOD("v3electionpb.Election/Resign", NOTHING, etcd_on_resign),
    METHOD("v3electionpb.Election/Leader", NOTHING, etcd_on_leader),
    {
        .path = SLICE_LIT("/v3electionpb.Election/Observe"),
        .server_streams = true,
        .on_message = etcd_on_observe,
        .on_drain = etcd_on_observe_drain,
        .on_close = etcd_on_observe_close,
    },
    METHOD_OF("etcdserverpb.Auth/Authenticate", NOTHING, etcd_on_authenticate, NULL, etcd_on_authenticate_close),
    METHOD_OF("etcdserverpb.Auth/AuthStatus", ROOT, etcd_on_auth_status, NULL, NULL),
    METHOD_OF("etcdserverpb.Auth/UserGet", USER, etcd_on_user_get, NULL, NULL),
    METHOD_OF("etcdserverpb.Auth/UserList", ROOT, etcd_on_user_list, NULL, NULL),
    METHOD_OF("etcdserverpb.Auth/RoleGet", USER, etcd_on_role_get, NULL, NULL),
    METHOD_OF("etcdserverpb.Auth/RoleList", ROOT, etcd_on_role_list, NULL, NULL),
    CHANGE("etcdserverpb.Auth/AuthEnable", etcd_on_auth_enable),
    CHANGE("etcdserverpb.Auth/AuthDisable", etcd_on_auth_disable),
    CHANGE("etcdserverpb.Auth/UserAdd", etcd_on_user_add),
    CHANGE("etcdserverpb.Auth/UserDelete", etcd_on_user_delete),
    CHANGE("etcdserverpb.Auth/UserChangePassword", etcd_on_user_change_password),
    CHANGE("etcdserverpb.Auth/UserGrantRole", etcd_on_user_grant_role),
    CHANGE("etcdserverpb.Auth/UserRevokeRole", etcd_on_user_revoke_role),
    CHANGE("etcdserverpb.Auth/RoleAdd", etcd_on_role_add),
    CHANGE("etcdserverpb.Auth/RoleDelete", etcd_on_role_delete),
    CHANGE("etcdserverpb.Auth/RoleGrantPermission", etcd_on_role_grant_permission),
    CHANGE("etcdserverpb.Auth/RoleRevokePermission", etcd_on_role_revoke_permission),
};

const struct grpc_service etcd_service = {methods, ARRAY_LEN(methods), ETCD_MESSAGE_MAX, etcd_admit};

/* Which version of the API a client says it speaks does not matter, but it must be a text. */
static bool has_good_version(const struct exchange *exchange)
{
    const struct http_field *version = http_fields_get_name(exchange->request->fields, SLICE_LIT("client-api-version"));
    return !version || utf8_is_valid(version->value);
}

static void on_request(void *instance, struct exchange *exchange)
{
    const struct etcd *etcd = instance;
    if (!etcd->store)
        exchange_respond_text(exchange, 503, "this process keeps no store\n");
    else if (!has_good_version(exchange))
        grpc_refuse(exchange, etcd_error_status(ETCD_INVALID_VERSION), etcd_error_text(ETCD_INVALID_VERSION));
    else
        grpc_serve(&etcd_service, instance, exchange);
}

/* grpc.c answers other methods itself, in the words that gRPC's clients know. */
static const struct front_path paths[] = {
    {SLICE_LIT("/etcdserverpb.KV/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/etcdserverpb.Watch/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/etcdserverpb.Lease/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/etcdserverpb.Cluster/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/etcdserverpb.Maintenance/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/etcdserverpb.Auth/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/v3lockpb.Lock/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/v3electionpb.Election/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), on_request},
    {SLICE_LIT("/v3/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), etcd_on_json},
    {SLICE_LIT("/v3beta/"), FRONT_PREFIX, FRONT_METHOD(HTTP_METHOD_POST), etcd_on_json},
};

static void stop(void *instance)
{
    struct etcd *etcd = instance;
    atomic_store_explicit(&etcd->is_stopping, true, memory_order_release);
    struct etcd_worker *worker = atomic_load_explicit(&etcd->workers, memory_order_acquire);
    for (; worker; worker = worker->next)
        loop_post(worker->loop, &worker->stop_mail);
}

static void destroy(void *instance)
{
    struct etcd *etcd = instance;
    auth_deinit(&etcd->auth); /* first: passwords that are being hashed end in mail to the loops */
    struct etcd_worker *worker = atomic_load_explicit(&etcd->workers, memory_order_acquire);
    while (worker) {
        struct etcd_worker *next = worker->next;
        etcd_worker_free(worker);
        worker = next;
    }
    buf_deinit(&etcd->header);
    free(etcd);
}

static int open_store(struct etcd *etcd, const struct front_env *env, struct err *err)
{
    store_identify(env->store, &etcd->identity);
    if (etcd_header_init(&etcd->header, &etcd->identity) < 0)
        return err_set_errno(err, -ENOMEM, "etcd");
    int r = auth_init(&etcd->auth, env, err);
    if (r == 0 && env->access)
        *env->access = (struct access){auth_access_check, &etcd->auth, auth_access_user, auth_access_is_on};
    return r;
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    struct etcd *etcd = calloc(1, sizeof(*etcd));
    if (!etcd)
        return err_set_errno(err, -ENOMEM, "etcd");
    etcd->store = env->store;
    etcd->system = env->system;
    int r = env->store ? open_store(etcd, env, err) : 0;
    if (r < 0) {
        destroy(etcd);
        return r;
    }
    *ret_instance = etcd;
    return 0;
}

const struct front etcd_front = {
    .name = "etcd",
    .speaks = "etcd v3 over gRPC and JSON",
    .paths = paths,
    .n_paths = ARRAY_LEN(paths),
    .create = create,
    .stop = stop,
    .destroy = destroy,
};
