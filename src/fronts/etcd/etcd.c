/* SPDX-License-Identifier: Apache-2.0 */
/* The table of methods, and the instance's life. */
#include "fronts/etcd/etcd.h"

#include "base/utf8.h"
#include "fronts/etcd/ticket.h"
#include "fronts/etcd/watch.h"

#include <errno.h>
#include <stdlib.h>

#define METHOD(name, handler) METHOD_OF(name, handler, NULL, submission_on_close)
#define METHOD_OF(name, handler, open, close)                                                                          \
    {                                                                                                                  \
        .path = SLICE_LIT("/" name), .on_open = (open), .on_message = (handler), .on_close = (close)                   \
    }

/* The most frequent first: they are searched in this order. */
static const struct grpc_method methods[] = {
    {
        .path = SLICE_LIT("/etcdserverpb.Lease/LeaseKeepAlive"),
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
    METHOD("etcdserverpb.KV/Range", etcd_on_range),
    METHOD("etcdserverpb.KV/Put", etcd_on_put),
    METHOD("etcdserverpb.KV/Txn", etcd_on_txn),
    METHOD("etcdserverpb.KV/DeleteRange", etcd_on_delete_range),
    METHOD("etcdserverpb.Lease/LeaseGrant", etcd_on_lease_grant),
    METHOD("etcdserverpb.Lease/LeaseRevoke", etcd_on_lease_revoke),
    METHOD("etcdserverpb.Lease/LeaseTimeToLive", etcd_on_lease_time_to_live),
    METHOD("etcdserverpb.Lease/LeaseLeases", etcd_on_lease_leases),
    METHOD("etcdserverpb.KV/Compact", etcd_on_compact),
    METHOD_OF("etcdserverpb.Cluster/MemberList", etcd_on_member_list, etcd_on_member_open, etcd_on_member_close),
    METHOD("etcdserverpb.Cluster/MemberAdd", etcd_on_member_add),
    METHOD("etcdserverpb.Cluster/MemberRemove", etcd_on_member_remove),
    METHOD("etcdserverpb.Cluster/MemberUpdate", etcd_on_member_update),
    METHOD("etcdserverpb.Cluster/MemberPromote", etcd_on_member_promote),
    METHOD("etcdserverpb.Maintenance/Status", etcd_on_status),
    METHOD("etcdserverpb.Maintenance/Alarm", etcd_on_alarm),
    METHOD("etcdserverpb.Maintenance/Defragment", etcd_on_defragment),
    METHOD_OF("etcdserverpb.Maintenance/Hash", etcd_on_hash, NULL, etcd_on_hash_close),
    METHOD_OF("etcdserverpb.Maintenance/HashKV", etcd_on_hash_kv, NULL, etcd_on_hash_close),
    {
        .path = SLICE_LIT("/etcdserverpb.Maintenance/Snapshot"),
        .server_streams = true,
        .on_message = etcd_on_snapshot,
        .on_drain = etcd_on_snapshot_drain,
        .on_close = etcd_on_snapshot_close,
    },
    METHOD("etcdserverpb.Maintenance/MoveLeader", etcd_on_move_leader),
    METHOD("etcdserverpb.Maintenance/Downgrade", etcd_on_downgrade),
    METHOD_OF("v3lockpb.Lock/Lock", etcd_on_lock, NULL, ticket_on_close),
    METHOD("v3lockpb.Lock/Unlock", etcd_on_unlock),
    METHOD_OF("v3electionpb.Election/Campaign", etcd_on_campaign, NULL, ticket_on_close),
    METHOD("v3electionpb.Election/Proclaim", etcd_on_proclaim),
    METHOD("v3electionpb.Election/Resign", etcd_on_resign),
    METHOD("v3electionpb.Election/Leader", etcd_on_leader),
    {
        .path = SLICE_LIT("/v3electionpb.Election/Observe"),
        .server_streams = true,
        .on_message = etcd_on_observe,
        .on_drain = etcd_on_observe_drain,
        .on_close = etcd_on_observe_close,
    },
};

const struct grpc_service etcd_service = {methods, ARRAY_LEN(methods), ETCD_MESSAGE_MAX};

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
    struct etcd_worker *worker = atomic_load_explicit(&etcd->workers, memory_order_acquire);
    while (worker) {
        struct etcd_worker *next = worker->next;
        etcd_worker_free(worker);
        worker = next;
    }
    buf_deinit(&etcd->header);
    free(etcd);
}

static int create(const struct front_env *env, void **ret_instance, struct err *err)
{
    (void)err;
    struct etcd *etcd = calloc(1, sizeof(*etcd));
    if (!etcd)
        return -ENOMEM;
    etcd->store = env->store;
    etcd->system = env->system;
    if (env->store)
        store_identify(env->store, &etcd->identity);
    if (etcd_header_init(&etcd->header, &etcd->identity) < 0) {
        destroy(etcd);
        return -ENOMEM;
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
