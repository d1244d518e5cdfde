/* SPDX-License-Identifier: Apache-2.0 */
/* The service Auth, and what it keeps callers from. */
#include "fronts/etcd/v3election.pb-c.h"
#include "fronts/etcd/v3lock.pb-c.h"
#include "support/etcd_kit.h"

static void expect_good(const struct etcd_call *call)
{
    expect_error(call, GRPC_OK, "");
}

static void expect_denied(const struct etcd_call *call)
{
    expect_error(call, GRPC_PERMISSION_DENIED, "etcdserver: permission denied");
}

static void expect_no_token(const struct etcd_call *call)
{
    expect_error(call, GRPC_UNAUTHENTICATED, "etcdserver: invalid auth token");
}

static void expect_no_user(const struct etcd_call *call)
{
    expect_error(call, GRPC_INVALID_ARGUMENT, "etcdserver: user name is empty");
}

/* protobuf-c's strings are not const. */
static char *text(const char *words)
{
    return (char *)(uintptr_t)words;
}

/* ------------------------------------------------------------------------------------------------ asking */

static struct etcd_call *auth_enable(struct etcd_kit *kit, const char *token)
{
    Etcdserverpb__AuthEnableRequest request = ETCDSERVERPB__AUTH_ENABLE_REQUEST__INIT;
    return etcd_ask_as(kit, token, "Auth/AuthEnable", &request.base);
}

static struct etcd_call *auth_disable(struct etcd_kit *kit, const char *token)
{
    Etcdserverpb__AuthDisableRequest request = ETCDSERVERPB__AUTH_DISABLE_REQUEST__INIT;
    return etcd_ask_as(kit, token, "Auth/AuthDisable", &request.base);
}

static struct etcd_call *user_add(struct etcd_kit *kit, const char *token, const char *name, const char *password)
{
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    request.name = text(name);
    request.password = text(password);
    return etcd_ask_as(kit, token, "Auth/UserAdd", &request.base);
}

static struct etcd_call *change_password(struct etcd_kit *kit, const char *token, const char *name,
                                         const char *password)
{
    Etcdserverpb__AuthUserChangePasswordRequest request;
    etcdserverpb__auth_user_change_password_request__init(&request);
    request.name = text(name);
    request.password = text(password);
    return etcd_ask_as(kit, token, "Auth/UserChangePassword", &request.base);
}

static struct etcd_call *user_delete(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthUserDeleteRequest request;
    etcdserverpb__auth_user_delete_request__init(&request);
    request.name = text(name);
    return etcd_ask_as(kit, token, "Auth/UserDelete", &request.base);
}

static struct etcd_call *user_get(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthUserGetRequest request;
    etcdserverpb__auth_user_get_request__init(&request);
    request.name = text(name);
    return etcd_ask_as(kit, token, "Auth/UserGet", &request.base);
}

static struct etcd_call *grant_role(struct etcd_kit *kit, const char *token, const char *user, const char *role)
{
    Etcdserverpb__AuthUserGrantRoleRequest request;
    etcdserverpb__auth_user_grant_role_request__init(&request);
    request.user = text(user);
    request.role = text(role);
    return etcd_ask_as(kit, token, "Auth/UserGrantRole", &request.base);
}

static struct etcd_call *revoke_role(struct etcd_kit *kit, const char *token, const char *user, const char *role)
{
    Etcdserverpb__AuthUserRevokeRoleRequest request;
    etcdserverpb__auth_user_revoke_role_request__init(&request);
    request.name = text(user);
    request.role = text(role);
    return etcd_ask_as(kit, token, "Auth/UserRevokeRole", &request.base);
}

static struct etcd_call *role_add(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthRoleAddRequest request;
    etcdserverpb__auth_role_add_request__init(&request);
    request.name = text(name);
    return etcd_ask_as(kit, token, "Auth/RoleAdd", &request.base);
}

static struct etcd_call *role_get(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthRoleGetRequest request;
    etcdserverpb__auth_role_get_request__init(&request);
    request.role = text(name);
    return etcd_ask_as(kit, token, "Auth/RoleGet", &request.base);
}

static struct etcd_call *grant(struct etcd_kit *kit, const char *token, const char *role, Authpb__Permission__Type type,
                               const char *key, const char *end)
{
    Authpb__Permission permission = AUTHPB__PERMISSION__INIT;
    Etcdserverpb__AuthRoleGrantPermissionRequest request;
    etcdserverpb__auth_role_grant_permission_request__init(&request);
    permission.permtype = type;
    permission.key = etcd_bytes(key);
    permission.range_end = etcd_bytes(end);
    request.name = text(role);
    request.perm = &permission;
    return etcd_ask_as(kit, token, "Auth/RoleGrantPermission", &request.base);
}

static struct etcd_call *revoke_permission(struct etcd_kit *kit, const char *token, const char *role, const char *key)
{
    Etcdserverpb__AuthRoleRevokePermissionRequest request;
    etcdserverpb__auth_role_revoke_permission_request__init(&request);
    request.role = text(role);
    request.key = etcd_bytes(key);
    return etcd_ask_as(kit, token, "Auth/RoleRevokePermission", &request.base);
}

static struct etcd_call *authenticate(struct etcd_kit *kit, const char *name, const char *password)
{
    Etcdserverpb__AuthenticateRequest request;
    etcdserverpb__authenticate_request__init(&request);
    request.name = text(name);
    request.password = text(password);
    return etcd_ask_as(kit, NULL, "Auth/Authenticate", &request.base);
}

/* Lives as long as the kit. */
static const char *token_of(struct etcd_kit *kit, const char *name, const char *password)
{
    struct etcd_call *call = authenticate(kit, name, password);
    expect_good(call);
    Etcdserverpb__AuthenticateResponse *answer = etcd_hear(call, &etcdserverpb__authenticate_response__descriptor);
    expect_true(strlen(answer->token) > 32);
    return answer->token;
}

static struct etcd_call *range(struct etcd_kit *kit, const char *token, const char *key, const char *end)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.range_end = etcd_bytes(end);
    return etcd_ask_as(kit, token, "KV/Range", &request.base);
}

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

/* A message in which nothing is set: enough to be refused by. */
static struct etcd_call *ask_empty(struct etcd_kit *kit, const char *token, const char *method)
{
    Etcdserverpb__HashRequest request = ETCDSERVERPB__HASH_REQUEST__INIT;
    return etcd_ask_as(kit, token, method, &request.base);
}

/* ------------------------------------------------------------------------------------------------ a guarded store */

struct guarded {
    struct etcd_kit *kit;
    const char *root, *alice; /* tokens; alice reads a to c, writes b to d */
};

static struct guarded begin(void)
{
    struct guarded guarded = {.kit = etcd_kit_new()};
    struct etcd_kit *kit = guarded.kit;
    expect_good(user_add(kit, NULL, "root", "r00t"));
    expect_good(grant_role(kit, NULL, "root", "root"));
    expect_good(user_add(kit, NULL, "alice", "secret"));
    expect_good(role_add(kit, NULL, "dev"));
    expect_good(grant(kit, NULL, "dev", AUTHPB__PERMISSION__TYPE__READ, "a", "c"));
    expect_good(grant(kit, NULL, "dev", AUTHPB__PERMISSION__TYPE__WRITE, "b", "d"));
    expect_good(grant_role(kit, NULL, "alice", "dev"));
    expect_good(auth_enable(kit, NULL));
    guarded.root = token_of(kit, "root", "r00t");
    guarded.alice = token_of(kit, "alice", "secret");
    return guarded;
}

static Etcdserverpb__AuthStatusResponse *status_of(struct etcd_kit *kit, const char *token)
{
    struct etcd_call *call = ask_empty(kit, token, "Auth/AuthStatus");
    expect_good(call);
    return etcd_hear(call, &etcdserverpb__auth_status_response__descriptor);
}

/* ------------------------------------------------------------------------------------------------ administration */

static void auth_is_off_until_root_is_there(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    expect_false(status_of(kit, NULL)->enabled);
    expect_int(status_of(kit, NULL)->authrevision, 1);
    expect_error(authenticate(kit, "root", "r00t"), GRPC_FAILED_PRECONDITION,
                 "etcdserver: authentication is not enabled");
    expect_error(auth_enable(kit, NULL), GRPC_FAILED_PRECONDITION, "etcdserver: root user does not exist");
    expect_good(user_add(kit, NULL, "root", "r00t"));
    expect_error(auth_enable(kit, NULL), GRPC_FAILED_PRECONDITION, "etcdserver: root user does not have root role");
    expect_good(grant_role(kit, NULL, "root", "root"));
    expect_good(auth_enable(kit, NULL));
    expect_no_user(auth_enable(kit, NULL));
    const char *root = token_of(kit, "root", "r00t");
    expect_good(auth_enable(kit, root));
    expect_true(status_of(kit, root)->enabled);
    expect_int(status_of(kit, root)->authrevision, 3);
    expect_good(auth_disable(kit, root));
    expect_false(status_of(kit, NULL)->enabled);
    expect_good(put(kit, NULL, "k", false, 0));
    expect_good(put(kit, "anything", "k", false, 0));
    etcd_kit_free(kit);
}

static void each_mistake_has_its_error(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    const char *root = guarded.root;
    enum { PRECONDITION = GRPC_FAILED_PRECONDITION, ARGUMENT = GRPC_INVALID_ARGUMENT };
    expect_error(user_add(kit, root, "", "x"), ARGUMENT, "etcdserver: user name is empty");
    expect_error(user_add(kit, root, "alice", "x"), PRECONDITION, "etcdserver: user name already exists");
    expect_error(
        user_add(kit, root, "long", "73 bytes of password, of which bcrypt would look at the first 72 only ...."),
        ARGUMENT, "etcdserver: a password has at most 72 bytes, and no zero byte");
    expect_error(user_get(kit, root, "bob"), PRECONDITION, "etcdserver: user name not found");
    expect_error(user_delete(kit, root, "bob"), PRECONDITION, "etcdserver: user name not found");
    expect_error(change_password(kit, root, "bob", "x"), PRECONDITION, "etcdserver: user name not found");
    expect_error(role_add(kit, root, ""), ARGUMENT, "etcdserver: role name is empty");
    expect_error(role_add(kit, root, "dev"), PRECONDITION, "etcdserver: role name already exists");
    expect_error(role_get(kit, root, "ops"), PRECONDITION, "etcdserver: role name not found");
    expect_error(grant_role(kit, root, "bob", "dev"), PRECONDITION, "etcdserver: user name not found");
    expect_error(grant_role(kit, root, "alice", "ops"), PRECONDITION, "etcdserver: role name not found");
    expect_error(revoke_role(kit, root, "alice", "ops"), PRECONDITION, "etcdserver: role is not granted to the user");
    expect_error(grant(kit, root, "ops", AUTHPB__PERMISSION__TYPE__READ, "a", ""), PRECONDITION,
                 "etcdserver: role name not found");
    expect_error(grant(kit, root, "dev", AUTHPB__PERMISSION__TYPE__READ, "b", "a"), ARGUMENT,
                 "etcdserver: invalid auth management");
    expect_error(revoke_permission(kit, root, "dev", "a"), PRECONDITION,
                 "etcdserver: permission is not granted to the role");
    Etcdserverpb__AuthRoleGrantPermissionRequest bare;
    etcdserverpb__auth_role_grant_permission_request__init(&bare);
    bare.name = text("dev");
    expect_error(etcd_ask_as(kit, root, "Auth/RoleGrantPermission", &bare.base), ARGUMENT,
                 "etcdserver: permission not given");
    expect_error(user_delete(kit, root, "root"), ARGUMENT, "etcdserver: invalid auth management");
    expect_error(revoke_role(kit, root, "root", "root"), ARGUMENT, "etcdserver: invalid auth management");
    expect_error(user_add(kit, root, "\xff", "x"), GRPC_INTERNAL,
                 "grpc: error unmarshalling request: the message is malformed");
    etcd_kit_free(kit);
}

static void a_wrong_password_is_like_no_user(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    static const char words[] = "etcdserver: authentication failed, invalid user ID or password";
    expect_error(authenticate(kit, "alice", "Secret"), GRPC_INVALID_ARGUMENT, words);
    expect_error(authenticate(kit, "alice", ""), GRPC_INVALID_ARGUMENT, words);
    expect_error(authenticate(kit, "bob", "secret"), GRPC_INVALID_ARGUMENT, words);
    expect_error(authenticate(kit, "", ""), GRPC_INVALID_ARGUMENT, words);
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    Authpb__UserAddOptions options = AUTHPB__USER_ADD_OPTIONS__INIT;
    request.name = text("cert");
    request.options = &options;
    options.no_password = true;
    expect_good(etcd_ask_as(kit, guarded.root, "Auth/UserAdd", &request.base));
    expect_error(authenticate(kit, "cert", ""), GRPC_INVALID_ARGUMENT, words);
    etcd_kit_free(kit);
}

static void a_hash_is_taken_as_it_is(void)
{
    struct guarded guarded = begin();
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    request.name = text("bob");
    request.hashedpassword = text("not base64 of a hash");
    expect_error(etcd_ask_as(guarded.kit, guarded.root, "Auth/UserAdd", &request.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: the hashed password is not a bcrypt hash in base64");
    /* of "U*U" */
    request.hashedpassword = text("JDJhJDA1JENDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQy5FNVlQTzlrbXl1Ukd5aDBYb3VRWWI0WU1KS3Z5T2VX");
    expect_good(etcd_ask_as(guarded.kit, guarded.root, "Auth/UserAdd", &request.base));
    (void)token_of(guarded.kit, "bob", "U*U");
    etcd_kit_free(guarded.kit);
}

static void only_root_administers(void)
{
    static const char *const methods[] = {
        "Auth/AuthEnable",
        "Auth/AuthDisable",
        "Auth/AuthStatus",
        "Auth/UserAdd",
        "Auth/UserList",
        "Auth/UserDelete",
        "Auth/UserChangePassword",
        "Auth/UserGrantRole",
        "Auth/UserRevokeRole",
        "Auth/RoleAdd",
        "Auth/RoleList",
        "Auth/RoleDelete",
        "Auth/RoleGrantPermission",
        "Auth/RoleRevokePermission",
        "KV/Compact",
        "Maintenance/Defragment",
        "Maintenance/Hash",
        "Maintenance/HashKV",
        "Maintenance/Snapshot",
        "Maintenance/MoveLeader",
        "Maintenance/Downgrade",
        "Cluster/MemberAdd",
        "Cluster/MemberRemove",
        "Cluster/MemberUpdate",
        "Cluster/MemberPromote",
    };
    static const char *const for_users[] = {
        "Lease/LeaseGrant", "Lease/LeaseLeases", "Cluster/MemberList", "Maintenance/Status", "Maintenance/Alarm",
    };
    struct guarded guarded = begin();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        expect_no_user(ask_empty(guarded.kit, NULL, methods[i]));
        expect_no_token(ask_empty(guarded.kit, "none", methods[i]));
        expect_denied(ask_empty(guarded.kit, guarded.alice, methods[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(for_users); i++) {
        expect_no_user(ask_empty(guarded.kit, NULL, for_users[i]));
        expect_no_token(ask_empty(guarded.kit, "none", for_users[i]));
        expect_good(ask_empty(guarded.kit, guarded.alice, for_users[i]));
    }
    Etcdserverpb__AlarmRequest alarm = ETCDSERVERPB__ALARM_REQUEST__INIT;
    alarm.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__ACTIVATE;
    expect_denied(etcd_ask_as(guarded.kit, guarded.alice, "Maintenance/Alarm", &alarm.base));
    expect_good(etcd_ask_as(guarded.kit, guarded.root, "Maintenance/Alarm", &alarm.base));
    etcd_kit_free(guarded.kit);
}

static void users_see_themselves(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    struct etcd_call *call = user_get(kit, guarded.alice, "alice");
    Etcdserverpb__AuthUserGetResponse *user = etcd_hear(call, &etcdserverpb__auth_user_get_response__descriptor);
    expect_int(user->n_roles, 1);
    expect_str(user->roles[0], "dev");
    expect_denied(user_get(kit, guarded.alice, "root"));
    call = role_get(kit, guarded.alice, "dev");
    Etcdserverpb__AuthRoleGetResponse *role = etcd_hear(call, &etcdserverpb__auth_role_get_response__descriptor);
    expect_int(role->n_perm, 2);
    expect_int(role->perm[0]->permtype, AUTHPB__PERMISSION__TYPE__READ);
    expect_data(role->perm[1]->key, "b");
    expect_data(role->perm[1]->range_end, "d");
    expect_denied(role_get(kit, guarded.alice, "root"));
    call = ask_empty(kit, guarded.root, "Auth/UserList");
    Etcdserverpb__AuthUserListResponse *users = etcd_hear(call, &etcdserverpb__auth_user_list_response__descriptor);
    expect_int(users->n_users, 2);
    expect_str(users->users[0], "alice");
    etcd_kit_free(kit);
}

/* While the store is slow: the second one is made again on the state that the first one left. */
static void changes_at_the_same_time_are_put_in_a_row(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    Etcdserverpb__AuthRoleAddRequest request;
    etcdserverpb__auth_role_add_request__init(&request);
    static const char *const names[] = {"one", "two", "two", "three"};
    struct etcd_call *calls[ARRAY_LEN(names)];
    fake_store_hold(kit->store, true);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        request.name = text(names[i]);
        calls[i] = etcd_call_prepare(kit, "Auth/RoleAdd");
        etcd_call_add_field(calls[i], "token", guarded.root);
        etcd_call_open(calls[i]);
        etcd_say(calls[i], &request.base);
        etcd_end(calls[i]);
        expect_int(calls[i]->status, ETCD_NO_STATUS);
    }
    etcd_abort(calls[3]); /* which nobody waits for */
    fake_store_hold(kit->store, false);
    etcd_kit_run(kit);
    expect_good(calls[0]);
    expect_good(calls[1]);
    expect_error(calls[2], GRPC_FAILED_PRECONDITION, "etcdserver: role name already exists");
    expect_good(role_get(kit, guarded.root, "one"));
    expect_good(role_get(kit, guarded.root, "two"));
    fake_store_refuse(kit->store, STORE_NO_SPACE);
    expect_error(role_add(kit, guarded.root, "four"), GRPC_RESOURCE_EXHAUSTED,
                 "etcdserver: mvcc: database space exceeded");
    fake_store_refuse(kit->store, STORE_OK);
    expect_error(role_get(kit, guarded.root, "four"), GRPC_FAILED_PRECONDITION, "etcdserver: role name not found");
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ tokens */

static void tokens_end(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    expect_good(range(kit, guarded.alice, "a", ""));
    expect_good(change_password(kit, guarded.root, "alice", "new"));
    expect_no_token(range(kit, guarded.alice, "a", ""));
    const char *alice = token_of(kit, "alice", "new");
    expect_good(range(kit, alice, "a", ""));
    etcd_kit_run_for(kit, 299 * NSEC_PER_SEC);
    expect_good(range(kit, alice, "a", ""));
    etcd_kit_run_for(kit, 299 * NSEC_PER_SEC);
    expect_good(range(kit, alice, "a", ""));
    expect_no_token(range(kit, guarded.root, "a", ""));
    etcd_kit_run_for(kit, 300 * NSEC_PER_SEC);
    expect_no_token(range(kit, alice, "a", ""));
    const char *root = token_of(kit, "root", "r00t");
    alice = token_of(kit, "alice", "new");
    expect_good(user_delete(kit, root, "alice"));
    expect_no_token(range(kit, alice, "a", ""));
    expect_good(auth_disable(kit, root));
    expect_good(auth_enable(kit, NULL));
    expect_no_token(range(kit, root, "a", ""));
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ keys */

static void keys_are_kept_from_who_has_no_permission(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    const char *alice = guarded.alice;
    expect_no_user(range(kit, NULL, "a", ""));
    expect_no_token(range(kit, "none", "a", ""));
    expect_error(range(kit, alice, "", ""), GRPC_INVALID_ARGUMENT, "etcdserver: key is not provided");
    expect_good(range(kit, alice, "a", "c"));
    expect_denied(range(kit, alice, "a", "d"));
    expect_denied(range(kit, alice, "x", ""));
    expect_good(range(kit, guarded.root, "x", ""));
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

/* A transaction with one put of b, beside what is asked. */
static struct etcd_call *txn(struct etcd_kit *kit, const char *token, const char *compared, const char *failing,
                             const char *nested)
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
    struct guarded guarded = begin();
    expect_good(txn(guarded.kit, guarded.alice, "a", "c", "bb"));
    expect_denied(txn(guarded.kit, guarded.alice, "x", "c", "bb"));
    expect_denied(txn(guarded.kit, guarded.alice, "a", "x", "bb"));
    expect_denied(txn(guarded.kit, guarded.alice, "a", "c", "x"));
    expect_no_user(txn(guarded.kit, NULL, "a", "c", "bb"));
    etcd_kit_free(guarded.kit);
}

static void leases_are_their_keys(void)
{
    struct guarded guarded = begin();
    struct etcd_kit *kit = guarded.kit;
    lease_grant(kit, guarded.root, 7);
    lease_grant(kit, guarded.alice, 8);
    expect_good(put(kit, guarded.root, "x", false, 7));
    expect_denied(put(kit, guarded.alice, "b", false, 7)); /* could not be revoked by her */
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
    expect_good(range(kit, guarded.root, "x", ""));
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
    struct guarded guarded = begin();
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
    expect_good(user_delete(kit, guarded.root, "alice"));
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
    struct guarded guarded = begin();
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
    struct guarded guarded = begin();
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

/* ------------------------------------------------------------------------------------------------ other ways in */

static unsigned access_of(struct guarded *guarded, const char *token, enum access_touch touch, const char *key)
{
    struct etcd_call *call = etcd_call_prepare(guarded->kit, "none");
    if (token)
        etcd_call_add_field(call, "authorization", token);
    unsigned status =
        access_check(&guarded->kit->access, &call->exchange, touch, slice_from_str(key), (struct slice){0});
    etcd_abort(call);
    return status;
}

static void other_front_ends_can_ask(void)
{
    struct guarded guarded = begin();
    expect_int(access_of(&guarded, NULL, ACCESS_READ, "a"), 401);
    expect_int(access_of(&guarded, "none", ACCESS_READ, "a"), 401);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_READ, "a"), 0);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_WRITE, "a"), 403);
    expect_int(access_of(&guarded, guarded.root, ACCESS_WRITE, "a"), 0);
    expect_int(access_of(&guarded, NULL, ACCESS_ADMIN, ""), 401);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_ADMIN, ""), 403);
    expect_int(access_of(&guarded, guarded.root, ACCESS_ADMIN, ""), 0);
    expect_good(auth_disable(guarded.kit, guarded.root));
    expect_int(access_of(&guarded, NULL, ACCESS_WRITE, "a"), 0);
    etcd_kit_free(guarded.kit);
    expect_int(access_check(&(struct access){0}, NULL, ACCESS_WRITE, SLICE_LIT("a"), (struct slice){0}), 0);
}

static const struct test_case cases[] = {
    {"auth is off until there is a root and somebody enables it", auth_is_off_until_root_is_there},
    {"each mistake of an administrator has its error", each_mistake_has_its_error},
    {"a wrong password is like no user at all", a_wrong_password_is_like_no_user},
    {"a hash is taken as it is", a_hash_is_taken_as_it_is},
    {"only root administers, and only users ask", only_root_administers},
    {"users see themselves and their roles", users_see_themselves},
    {"changes at the same time are put in a row", changes_at_the_same_time_are_put_in_a_row},
    {"tokens end with their time, the password, the user, and auth", tokens_end},
    {"keys are kept from who has no permission", keys_are_kept_from_who_has_no_permission},
    {"every part of a transaction is looked at", every_part_of_a_transaction_is_looked_at},
    {"who may touch a lease is who may touch its keys", leases_are_their_keys},
    {"keep-alives are for users", keep_alives_are_for_users},
    {"a watch that is not permitted is created and canceled", a_watch_that_is_not_permitted_is_created_and_canceled},
    {"locks and elections are keys", locks_and_elections_are_keys},
    {"other front ends can ask", other_front_ends_can_ask},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
