/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paths under which etcd serves its methods to clients that speak JSON, each with the types of its messages: the
 * only place where the descriptors of the .proto files are used.
 */
#include "fronts/etcd/etcd_impl.h"
#include "fronts/etcd/rpc.pb-c.h"
#include "fronts/etcd/v3election.pb-c.h"
#include "fronts/etcd/v3lock.pb-c.h"
#include "http/grpc_json.h"

#define ROUTE_OF(path, method, request, answer)                                                                        \
    {                                                                                                                  \
        SLICE_LIT(path), SLICE_LIT("/" method), &request##__descriptor, &answer##__descriptor                          \
    }
#define ROUTE(path, name, type)                                                                                        \
    ROUTE_OF(path, "etcdserverpb." name, etcdserverpb__##type##_request, etcdserverpb__##type##_response)
#define LOCK(path, name, type)                                                                                         \
    ROUTE_OF(path, "v3lockpb.Lock/" name, v3lockpb__##type##_request, v3lockpb__##type##_response)
#define ELECTION(path, name, type)                                                                                     \
    ROUTE_OF(path, "v3electionpb.Election/" name, v3electionpb__##type##_request, v3electionpb__##type##_response)

#define AUTH(path, name, type)                                                                                         \
    ROUTE_OF(path, "etcdserverpb.Auth/" name, etcdserverpb__auth_##type##_request, etcdserverpb__auth_##type##_response)

static const struct grpc_json_route routes[] = {
    ROUTE("kv/range", "KV/Range", range),
    ROUTE("kv/put", "KV/Put", put),
    ROUTE("kv/deleterange", "KV/DeleteRange", delete_range),
    ROUTE("kv/txn", "KV/Txn", txn),
    ROUTE("kv/compaction", "KV/Compact", compaction),
    ROUTE("watch", "Watch/Watch", watch),
    ROUTE("lease/grant", "Lease/LeaseGrant", lease_grant),
    ROUTE("lease/revoke", "Lease/LeaseRevoke", lease_revoke),
    ROUTE("lease/keepalive", "Lease/LeaseKeepAlive", lease_keep_alive),
    ROUTE("lease/timetolive", "Lease/LeaseTimeToLive", lease_time_to_live),
    ROUTE("lease/leases", "Lease/LeaseLeases", lease_leases),
    /* older names of the same */
    ROUTE("kv/lease/revoke", "Lease/LeaseRevoke", lease_revoke),
    ROUTE("kv/lease/timetolive", "Lease/LeaseTimeToLive", lease_time_to_live),
    ROUTE("kv/lease/leases", "Lease/LeaseLeases", lease_leases),
    ROUTE("cluster/member/add", "Cluster/MemberAdd", member_add),
    ROUTE("cluster/member/remove", "Cluster/MemberRemove", member_remove),
    ROUTE("cluster/member/update", "Cluster/MemberUpdate", member_update),
    ROUTE("cluster/member/list", "Cluster/MemberList", member_list),
    ROUTE("cluster/member/promote", "Cluster/MemberPromote", member_promote),
    ROUTE("maintenance/alarm", "Maintenance/Alarm", alarm),
    ROUTE("maintenance/status", "Maintenance/Status", status),
    ROUTE("maintenance/defragment", "Maintenance/Defragment", defragment),
    ROUTE("maintenance/hash", "Maintenance/Hash", hash),
    ROUTE_OF("maintenance/hashkv", "etcdserverpb.Maintenance/HashKV", etcdserverpb__hash_kvrequest,
             etcdserverpb__hash_kvresponse),
    ROUTE("maintenance/snapshot", "Maintenance/Snapshot", snapshot),
    ROUTE("maintenance/transfer-leadership", "Maintenance/MoveLeader", move_leader),
    ROUTE("maintenance/downgrade", "Maintenance/Downgrade", downgrade),
    LOCK("lock/lock", "Lock", lock),
    LOCK("lock/unlock", "Unlock", unlock),
    ELECTION("election/campaign", "Campaign", campaign),
    ELECTION("election/proclaim", "Proclaim", proclaim),
    ELECTION("election/leader", "Leader", leader),
    ELECTION("election/observe", "Observe", leader),
    ELECTION("election/resign", "Resign", resign),
    AUTH("auth/enable", "AuthEnable", enable),
    AUTH("auth/disable", "AuthDisable", disable),
    AUTH("auth/status", "AuthStatus", status),
    ROUTE("auth/authenticate", "Auth/Authenticate", authenticate),
    AUTH("auth/user/add", "UserAdd", user_add),
    AUTH("auth/user/get", "UserGet", user_get),
    AUTH("auth/user/list", "UserList", user_list),
    AUTH("auth/user/delete", "UserDelete", user_delete),
    AUTH("auth/user/changepw", "UserChangePassword", user_change_password),
    AUTH("auth/user/grant", "UserGrantRole", user_grant_role),
    AUTH("auth/user/revoke", "UserRevokeRole", user_revoke_role),
    AUTH("auth/role/add", "RoleAdd", role_add),
    AUTH("auth/role/get", "RoleGet", role_get),
    AUTH("auth/role/list", "RoleList", role_list),
    AUTH("auth/role/delete", "RoleDelete", role_delete),
    AUTH("auth/role/grant", "RoleGrantPermission", role_grant_permission),
    AUTH("auth/role/revoke", "RoleRevokePermission", role_revoke_permission),
};

static const struct grpc_json_service service = {&etcd_service, routes, ARRAY_LEN(routes)};

/* "/v3/kv/range" without its first part. */
static struct slice without_version(struct slice path)
{
    struct slice version;
    return slice_split(slice_skip(path, 1), '/', &version);
}

void etcd_on_json(void *instance, struct exchange *exchange)
{
    const struct etcd *etcd = instance;
    if (etcd->store)
        grpc_json_serve(&service, instance, without_version(exchange->request->path), exchange);
    else
        exchange_respond_text(exchange, 503, "this process keeps no store\n");
}
