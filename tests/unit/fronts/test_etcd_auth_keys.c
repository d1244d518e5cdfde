/* SPDX-License-Identifier: Apache-2.0 */
/* What auth keeps callers from. */
#include "fronts/etcd/v3election.pb-c.h"
#include "fronts/etcd/v3lock.pb-c.h"
#include "support/auth_kit.h"

static struct etcd_call *put(struct etcd_kit *kit, const char *token, const char *key, bool with_prev, int64_t lease)
{
    Etcdserverpb__PutRequest request = ETCDSERVERPB__PUT_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.prev_kv = with_prev;
    request.lease = lease;
    return etcd_ask_as(kit, token, "KV/Put", &request.base);
}

static struct etcd_call *delete_range(struct etcd_kit *kit, const char *token, const char *key, const char *end,
                                      bool with_prev)
{
    Etcdserverpb__DeleteRangeRequest request = ETCDSERVERPB__DELETE_RANGE_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.range_end = etcd_bytes(end);
    request.prev_kv = with_prev;
    return etcd_ask_as(kit, token, "KV/DeleteRange", &request.base);
}

static void lease_grant(struct etcd_kit *kit, const char *token, int64_t id)
{
    Etcdserverpb__LeaseGrantRequest request = ETCDSERVERPB__LEASE_GRANT_REQUEST__INIT;
    request.id = id;
    request.ttl = 100;
    expect_good(etcd_ask_as(kit, token, "Lease/LeaseGrant", &request.base));
}

static struct etcd_call *lease_revoke(struct etcd_kit *kit, const char *token, int64_t id)
{
    Etcdserverpb__LeaseRevokeRequest request = ETCDSERVERPB__LEASE_REVOKE_REQUEST__INIT;
    request.id = id;
    return etcd_ask_as(kit, token, "Lease/LeaseRevoke", &request.base);
}

static struct etcd_call *time_to_live(struct etcd_kit *kit, const char *token, int64_t id, bool with_keys)
{
    Etcdserverpb__LeaseTimeToLiveRequest request = ETCDSERVERPB__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    request.id = id;
    request.keys = with_keys;
    return etcd_ask_as(kit, token, "Lease/LeaseTimeToLive", &request.base);
}

/* ------------------------------------------------------------------------------------------------ keys */

static void keys_are_kept_from_who_has_no_permission(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    const char *alice = guarded.alice;
    expect_no_user(auth_kit_range(kit, NULL, "a", ""));
    expect_no_token(auth_kit_range(kit, "none", "a", ""));
    expect_error(auth_kit_range(kit, alice, "", ""), GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided");
    expect_good(auth_kit_range(kit, alice, "a", "c"));
    expect_denied(auth_kit_range(kit, alice, "a", "d"));
    expect_denied(auth_kit_range(kit, alice, "x", ""));
    expect_good(auth_kit_range(kit, guarded.root, "x", ""));
    expect_denied(put(kit, alice, "a", false, 0));
    expect_good(put(kit, alice, "b", true, 0));
    expect_good(put(kit, alice, "cc", false, 0));
    expect_denied(put(kit, alice, "cc", true, 0));
    expect_good(delete_range(kit, alice, "b", "d", false));
    expect_denied(delete_range(kit, alice, "b", "d", true));
    expect_denied(delete_range(kit, alice, "b", "e", false));
    expect_good(put(kit, guarded.root, "x", true, 0));
    etcd_kit_free(kit);
}

/* A transaction with one put of b, beside what is asked; the nested put is the one with the lease. */
static struct etcd_call *txn(struct etcd_kit *kit, const char *token, const char *compared, const char *failing,
                             const char *nested, int64_t lease)
{
    Etcdserverpb__Compare compare = ETCDSERVERPB__COMPARE__INIT;
    Etcdserverpb__Compare *compares[] = {&compare};
    Etcdserverpb__PutRequest good = ETCDSERVERPB__PUT_REQUEST__INIT, bad = good, deep = good;
    Etcdserverpb__RequestOp ops[4] = {ETCDSERVERPB__REQUEST_OP__INIT, ETCDSERVERPB__REQUEST_OP__INIT,
                                      ETCDSERVERPB__REQUEST_OP__INIT, ETCDSERVERPB__REQUEST_OP__INIT};
    Etcdserverpb__TxnRequest inner = ETCDSERVERPB__TXN_REQUEST__INIT, request = inner;
    Etcdserverpb__RequestOp *success[] = {&ops[0], &ops[1]}, *failure[] = {&ops[2]}, *inside[] = {&ops[3]};
    compare.key = etcd_bytes(compared);
    compare.target_union_case = ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION;
    good.key = etcd_bytes("b");
    bad.key = etcd_bytes(failing);
    deep.key = etcd_bytes(nested);
    deep.lease = lease;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        ops[i].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
    ops[0].request_put = &good;
    ops[1].request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN;
    ops[1].request_txn = &inner;
    ops[2].request_put = &bad;
    ops[3].request_put = &deep;
    inner.n_failure = 1;
    inner.failure = inside;
    request.n_compare = 1;
    request.compare = compares;
    request.n_success = 2;
    request.success = success;
    request.n_failure = 1;
    request.failure = failure;
    return etcd_ask_as(kit, token, "KV/Txn", &request.base);
}

static void every_part_of_a_transaction_is_looked_at(void)
{
    struct guarded guarded = auth_kit_begin();
    expect_good(txn(guarded.kit, guarded.alice, "a", "c", "bb", 0));
    expect_denied(txn(guarded.kit, guarded.alice, "x", "c", "bb", 0));
    expect_denied(txn(guarded.kit, guarded.alice, "a", "x", "bb", 0));
    expect_denied(txn(guarded.kit, guarded.alice, "a", "c", "x", 0));
    expect_no_user(txn(guarded.kit, NULL, "a", "c", "bb", 0));
    etcd_kit_free(guarded.kit);
}

static void leases_are_their_keys(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    lease_grant(kit, guarded.root, 7);
    lease_grant(kit, guarded.alice, 8);
    expect_good(put(kit, guarded.root, "x", false, 7));
    expect_denied(put(kit, guarded.alice, "b", false, 7)); /* could not be revoked by her */
    expect_denied(txn(kit, guarded.alice, "a", "c", "bb", 7));
    expect_good(txn(kit, guarded.alice, "a", "c", "bb", 8));
    expect_denied(lease_revoke(kit, guarded.alice, 7));
    expect_denied(time_to_live(kit, guarded.alice, 7, true));
    expect_good(time_to_live(kit, guarded.alice, 7, false));
    expect_good(put(kit, guarded.alice, "b", false, 8));
    expect_good(time_to_live(kit, guarded.alice, 8, true));
    expect_good(put(kit, guarded.alice, "c", false, 8)); /* which she may write, but not read */
    expect_denied(time_to_live(kit, guarded.alice, 8, true));
    expect_no_user(lease_revoke(kit, NULL, 8));
    expect_good(lease_revoke(kit, guarded.alice, 8));
    expect_error(lease_revoke(kit, guarded.alice, 404), GRPC_NOT_FOUND, "etcdserver: requested lease not found");
    expect_good(auth_kit_range(kit, guarded.root, "x", ""));
    expect_good(lease_revoke(kit, guarded.root, 7));
    etcd_kit_free(kit);
}

static struct etcd_call *open_as(struct etcd_kit *kit, const char *token, const char *method)
{
    struct etcd_call *call = etcd_call_prepare(kit, method);
    if (token)
        etcd_call_add_field(call, "token", token);
    etcd_call_open(call);
    return call;
}

static void keep_alives_are_for_users(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    Etcdserverpb__LeaseKeepAliveRequest request = ETCDSERVERPB__LEASE_KEEP_ALIVE_REQUEST__INIT;
    expect_no_user(open_as(kit, NULL, "Lease/LeaseKeepAlive"));
    lease_grant(kit, guarded.root, 7);
    struct etcd_call *call = open_as(kit, guarded.alice, "Lease/LeaseKeepAlive");
    request.id = 7;
    etcd_say(call, &request.base);
    Etcdserverpb__LeaseKeepAliveResponse *answer =
        etcd_hear(call, &etcdserverpb__lease_keep_alive_response__descriptor);
    expect_int(answer->ttl, 100);
    expect_good(auth_kit_user_delete(kit, guarded.root, "alice"));
    etcd_say(call, &request.base);
    expect_no_token(call);
    etcd_kit_free(kit);
}

static Etcdserverpb__WatchResponse *watch(struct etcd_call *call, const char *key, const char *end)
{
    Etcdserverpb__WatchCreateRequest create = ETCDSERVERPB__WATCH_CREATE_REQUEST__INIT;
    Etcdserverpb__WatchRequest request = ETCDSERVERPB__WATCH_REQUEST__INIT;
    create.key = etcd_bytes(key);
    create.range_end = etcd_bytes(end);
    request.request_union_case = ETCDSERVERPB__WATCH_REQUEST__REQUEST_UNION_CREATE_REQUEST;
    request.create_request = &create;
    etcd_say(call, &request.base);
    return etcd_hear(call, &etcdserverpb__watch_response__descriptor);
}

static void expect_refused(const Etcdserverpb__WatchResponse *answer, const char *reason)
{
    expect_true(answer->created);
    expect_true(answer->canceled);
    expect_int(answer->watch_id, -1);
    expect_str(answer->cancel_reason, reason);
}

static void a_watch_that_is_not_permitted_is_created_and_canceled(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    struct etcd_call *call = open_as(kit, guarded.alice, "Watch/Watch");
    expect_false(watch(call, "a", "c")->canceled);
    expect_refused(watch(call, "a", "d"), "rpc error: code = PermissionDenied desc = etcdserver: permission denied");
    expect_refused(watch(open_as(kit, "none", "Watch/Watch"), "a", ""),
                   "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token");
    expect_refused(watch(open_as(kit, NULL, "Watch/Watch"), "a", ""),
                   "rpc error: code = InvalidArgument desc = etcdserver: user name is empty");
    expect_int(call->status, ETCD_NO_STATUS); /* the stream goes on */
    etcd_kit_free(kit);
}

static void locks_and_elections_are_keys(void)
{
    static const char denied[] = "etcdserver: permission denied";
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    V3lockpb__LockRequest lock = V3LOCKPB__LOCK_REQUEST__INIT;
    V3lockpb__UnlockRequest unlock = V3LOCKPB__UNLOCK_REQUEST__INIT;
    V3electionpb__LeaderRequest leader = V3ELECTIONPB__LEADER_REQUEST__INIT;
    V3electionpb__CampaignRequest campaign = V3ELECTIONPB__CAMPAIGN_REQUEST__INIT;
    V3electionpb__LeaderKey key = V3ELECTIONPB__LEADER_KEY__INIT;
    V3electionpb__ProclaimRequest proclaim = V3ELECTIONPB__PROCLAIM_REQUEST__INIT;
    lock.name = campaign.name = leader.name = etcd_bytes("x");
    unlock.key = key.key = etcd_bytes("x/1");
    proclaim.leader = &key;
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3lockpb.Lock/Lock", &lock.base), GRPC_UNKNOWN, denied);
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3lockpb.Lock/Unlock", &unlock.base), GRPC_UNKNOWN, denied);
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3electionpb.Election/Campaign", &campaign.base), GRPC_UNKNOWN,
                 denied);
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3electionpb.Election/Proclaim", &proclaim.base), GRPC_UNKNOWN,
                 denied);
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3electionpb.Election/Leader", &leader.base), GRPC_UNKNOWN, denied);
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3electionpb.Election/Observe", &leader.base), GRPC_UNKNOWN, denied);
    lock.name = etcd_bytes("b");
    expect_good(etcd_ask_as(kit, guarded.alice, "/v3lockpb.Lock/Lock", &lock.base));
    lock.name = etcd_bytes("c"); /* may be written, but not read */
    expect_error(etcd_ask_as(kit, guarded.alice, "/v3lockpb.Lock/Lock", &lock.base), GRPC_UNKNOWN, denied);
    expect_error(etcd_ask_as(kit, NULL, "/v3lockpb.Lock/Lock", &lock.base), GRPC_UNKNOWN,
                 "etcdserver: user name is empty");
    etcd_kit_free(kit);
}

static void expect_actor(struct etcd_kit *kit, int64_t revision, const char *actor)
{
    struct store_view view;
    struct store_note why;
    store_view(kit->store, false, &view);
    store_commit_why(store_commit(kit->store, &view, revision), &why);
    expect_slice(why.actor, actor);
}

static void changes_are_remembered_with_their_user(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    static const char name[] = "a name of more than sixty-four bytes, the last of which is in h\xc3\xa4lf";
    expect_good(put(kit, guarded.alice, "b", false, 0));
    expect_actor(kit, 2, "etcd 10.0.0.7:4711 as alice");
    expect_good(put(kit, guarded.root, "b", false, 0));
    expect_actor(kit, 3, "etcd 10.0.0.7:4711 as root");
    expect_good(auth_kit_user_add(kit, guarded.root, name, "x"));
    expect_good(auth_kit_grant_role(kit, guarded.root, name, "root"));
    expect_good(put(kit, auth_kit_token_of(kit, name, "x"), "b", false, 0));
    expect_actor(kit, 4, "etcd 10.0.0.7:4711 as a name of more than sixty-four bytes, the last of which is in h");
    expect_good(auth_kit_disable(kit, guarded.root));
    expect_good(put(kit, guarded.root, "b", false, 0));
    expect_actor(kit, 5, "etcd 10.0.0.7:4711");
    etcd_kit_free(kit);
}

static const struct test_case cases[] = {
    {"keys are kept from who has no permission", keys_are_kept_from_who_has_no_permission},
    {"every part of a transaction is looked at", every_part_of_a_transaction_is_looked_at},
    {"who may touch a lease is who may touch its keys", leases_are_their_keys},
    {"keep-alives are for users", keep_alives_are_for_users},
    {"a watch that is not permitted is created and canceled", a_watch_that_is_not_permitted_is_created_and_canceled},
    {"changes are remembered with their user", changes_are_remembered_with_their_user},
    {"locks and elections are keys", locks_and_elections_are_keys},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
