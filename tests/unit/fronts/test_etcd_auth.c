/* SPDX-License-Identifier: Apache-2.0 */
/* The service Auth: users, roles, tokens. */
#include "support/auth_kit.h"
#include "support/fault_alloc.h"

static struct etcd_call *change_password(struct etcd_kit *kit, const char *token, const char *name,
                                         const char *password)
{
    Etcdserverpb__AuthUserChangePasswordRequest request;
    etcdserverpb__auth_user_change_password_request__init(&request);
    request.name = auth_kit_text(name);
    request.password = auth_kit_text(password);
    return etcd_ask_as(kit, token, "Auth/UserChangePassword", &request.base);
}

static struct etcd_call *user_get(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthUserGetRequest request;
    etcdserverpb__auth_user_get_request__init(&request);
    request.name = auth_kit_text(name);
    return etcd_ask_as(kit, token, "Auth/UserGet", &request.base);
}

static struct etcd_call *revoke_role(struct etcd_kit *kit, const char *token, const char *user, const char *role)
{
    Etcdserverpb__AuthUserRevokeRoleRequest request;
    etcdserverpb__auth_user_revoke_role_request__init(&request);
    request.name = auth_kit_text(user);
    request.role = auth_kit_text(role);
    return etcd_ask_as(kit, token, "Auth/UserRevokeRole", &request.base);
}

static struct etcd_call *role_get(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthRoleGetRequest request;
    etcdserverpb__auth_role_get_request__init(&request);
    request.role = auth_kit_text(name);
    return etcd_ask_as(kit, token, "Auth/RoleGet", &request.base);
}

static struct etcd_call *revoke_permission(struct etcd_kit *kit, const char *token, const char *role, const char *key)
{
    Etcdserverpb__AuthRoleRevokePermissionRequest request;
    etcdserverpb__auth_role_revoke_permission_request__init(&request);
    request.role = auth_kit_text(role);
    request.key = etcd_bytes(key);
    return etcd_ask_as(kit, token, "Auth/RoleRevokePermission", &request.base);
}

static Etcdserverpb__AuthStatusResponse *status_of(struct etcd_kit *kit, const char *token)
{
    struct etcd_call *call = auth_kit_ask_empty(kit, token, "Auth/AuthStatus");
    expect_good(call);
    return etcd_hear(call, &etcdserverpb__auth_status_response__descriptor);
}

/* ------------------------------------------------------------------------------------------------ administration */

static void auth_is_off_until_root_is_there(void)
{
    struct etcd_kit *kit = etcd_kit_new();
    expect_false(status_of(kit, NULL)->enabled);
    expect_int(status_of(kit, NULL)->authrevision, 1);
    expect_error(auth_kit_authenticate(kit, "root", "r00t"), GRPC_FAILED_PRECONDITION,
                 "etcdserver: authentication is not enabled");
    expect_error(auth_kit_enable(kit, NULL), GRPC_FAILED_PRECONDITION, "etcdserver: root user does not exist");
    expect_good(auth_kit_user_add(kit, NULL, "root", "r00t"));
    expect_error(auth_kit_enable(kit, NULL), GRPC_FAILED_PRECONDITION, "etcdserver: root user does not have root role");
    expect_good(auth_kit_grant_role(kit, NULL, "root", "root"));
    expect_good(auth_kit_enable(kit, NULL));
    expect_no_user(auth_kit_enable(kit, NULL));
    const char *root = auth_kit_token_of(kit, "root", "r00t");
    expect_good(auth_kit_enable(kit, root));
    expect_true(status_of(kit, root)->enabled);
    expect_int(status_of(kit, root)->authrevision, 3);
    expect_good(auth_kit_disable(kit, root));
    expect_false(status_of(kit, NULL)->enabled);
    expect_good(auth_kit_range(kit, NULL, "k", ""));
    expect_good(auth_kit_range(kit, "anything", "k", ""));
    etcd_kit_free(kit);
}

static void each_mistake_has_its_error(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    const char *root = guarded.root;
    enum { PRECONDITION = GRPC_FAILED_PRECONDITION, ARGUMENT = GRPC_INVALID_ARGUMENT };
    expect_error(auth_kit_user_add(kit, root, "", "x"), ARGUMENT, "etcdserver: user name is empty");
    expect_error(auth_kit_user_add(kit, root, "alice", "x"), PRECONDITION, "etcdserver: user name already exists");
    expect_error(auth_kit_user_add(kit, root, "long",
                                   "73 bytes of password, of which bcrypt would look at the first 72 only ...."),
                 ARGUMENT, "etcdserver: a password has at most 72 bytes, and no zero byte");
    expect_error(user_get(kit, root, "bob"), PRECONDITION, "etcdserver: user name not found");
    expect_error(auth_kit_user_delete(kit, root, "bob"), PRECONDITION, "etcdserver: user name not found");
    expect_error(change_password(kit, root, "bob", "x"), PRECONDITION, "etcdserver: user name not found");
    expect_error(auth_kit_role_add(kit, root, ""), ARGUMENT, "etcdserver: role name is empty");
    expect_error(auth_kit_role_add(kit, root, "dev"), PRECONDITION, "etcdserver: role name already exists");
    expect_error(role_get(kit, root, "ops"), PRECONDITION, "etcdserver: role name not found");
    expect_error(auth_kit_grant_role(kit, root, "bob", "dev"), PRECONDITION, "etcdserver: user name not found");
    expect_error(auth_kit_grant_role(kit, root, "alice", "ops"), PRECONDITION, "etcdserver: role name not found");
    expect_error(revoke_role(kit, root, "alice", "ops"), PRECONDITION, "etcdserver: role is not granted to the user");
    expect_error(auth_kit_grant(kit, root, "ops", AUTHPB__PERMISSION__TYPE__READ, "a", ""), PRECONDITION,
                 "etcdserver: role name not found");
    expect_error(auth_kit_grant(kit, root, "dev", AUTHPB__PERMISSION__TYPE__READ, "b", "a"), ARGUMENT,
                 "etcdserver: invalid auth management");
    expect_error(revoke_permission(kit, root, "dev", "a"), PRECONDITION,
                 "etcdserver: permission is not granted to the role");
    Etcdserverpb__AuthRoleGrantPermissionRequest bare;
    etcdserverpb__auth_role_grant_permission_request__init(&bare);
    bare.name = auth_kit_text("dev");
    expect_error(etcd_ask_as(kit, root, "Auth/RoleGrantPermission", &bare.base), ARGUMENT,
                 "etcdserver: permission not given");
    expect_error(auth_kit_user_delete(kit, root, "root"), ARGUMENT, "etcdserver: invalid auth management");
    expect_error(revoke_role(kit, root, "root", "root"), ARGUMENT, "etcdserver: invalid auth management");
    expect_error(auth_kit_user_add(kit, root, "\xff", "x"), GRPC_INTERNAL,
                 "grpc: error unmarshalling request: the message is malformed");
    etcd_kit_free(kit);
}

static void a_wrong_password_is_like_no_user(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    static const char words[] = "etcdserver: authentication failed, invalid user ID or password";
    expect_error(auth_kit_authenticate(kit, "alice", "Secret"), GRPC_INVALID_ARGUMENT, words);
    expect_error(auth_kit_authenticate(kit, "alice", ""), GRPC_INVALID_ARGUMENT, words);
    expect_error(auth_kit_authenticate(kit, "bob", "secret"), GRPC_INVALID_ARGUMENT, words);
    expect_error(auth_kit_authenticate(kit, "", ""), GRPC_INVALID_ARGUMENT, words);
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    Authpb__UserAddOptions options = AUTHPB__USER_ADD_OPTIONS__INIT;
    request.name = auth_kit_text("cert");
    request.options = &options;
    options.no_password = true;
    expect_good(etcd_ask_as(kit, guarded.root, "Auth/UserAdd", &request.base));
    expect_error(auth_kit_authenticate(kit, "cert", ""), GRPC_INVALID_ARGUMENT, words);
    etcd_kit_free(kit);
}

static void a_hash_is_taken_as_it_is(void)
{
    struct guarded guarded = auth_kit_begin();
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    request.name = auth_kit_text("bob");
    request.hashedpassword = auth_kit_text("not base64 of a hash");
    expect_error(etcd_ask_as(guarded.kit, guarded.root, "Auth/UserAdd", &request.base), GRPC_INVALID_ARGUMENT,
                 "etcdserver: the hashed password is not a bcrypt hash in base64");
    /* of "U*U" */
    request.hashedpassword =
        auth_kit_text("JDJhJDA1JENDQ0NDQ0NDQ0NDQ0NDQ0NDQ0NDQy5FNVlQTzlrbXl1Ukd5aDBYb3VRWWI0WU1KS3Z5T2VX");
    expect_good(etcd_ask_as(guarded.kit, guarded.root, "Auth/UserAdd", &request.base));
    (void)auth_kit_token_of(guarded.kit, "bob", "U*U");
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
    struct guarded guarded = auth_kit_begin();
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        expect_no_user(auth_kit_ask_empty(guarded.kit, NULL, methods[i]));
        expect_no_token(auth_kit_ask_empty(guarded.kit, "none", methods[i]));
        expect_denied(auth_kit_ask_empty(guarded.kit, guarded.alice, methods[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(for_users); i++) {
        expect_no_user(auth_kit_ask_empty(guarded.kit, NULL, for_users[i]));
        expect_no_token(auth_kit_ask_empty(guarded.kit, "none", for_users[i]));
        expect_good(auth_kit_ask_empty(guarded.kit, guarded.alice, for_users[i]));
    }
    Etcdserverpb__AlarmRequest alarm = ETCDSERVERPB__ALARM_REQUEST__INIT;
    alarm.action = ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__ACTIVATE;
    expect_denied(etcd_ask_as(guarded.kit, guarded.alice, "Maintenance/Alarm", &alarm.base));
    expect_good(etcd_ask_as(guarded.kit, guarded.root, "Maintenance/Alarm", &alarm.base));
    etcd_kit_free(guarded.kit);
}

static void users_see_themselves(void)
{
    struct guarded guarded = auth_kit_begin();
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
    call = auth_kit_ask_empty(kit, guarded.root, "Auth/UserList");
    Etcdserverpb__AuthUserListResponse *users = etcd_hear(call, &etcdserverpb__auth_user_list_response__descriptor);
    expect_int(users->n_users, 2);
    expect_str(users->users[0], "alice");
    etcd_kit_free(kit);
}

/* While the store is slow: the second one is made again on the state that the first one left. */
static void changes_at_the_same_time_are_put_in_a_row(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    Etcdserverpb__AuthRoleAddRequest request;
    etcdserverpb__auth_role_add_request__init(&request);
    static const char *const names[] = {"one", "two", "two", "three"};
    struct etcd_call *calls[ARRAY_LEN(names)];
    fake_store_hold(kit->store, true);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        request.name = auth_kit_text(names[i]);
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
    expect_error(auth_kit_role_add(kit, guarded.root, "four"), GRPC_RESOURCE_EXHAUSTED,
                 "etcdserver: mvcc: database space exceeded");
    fake_store_refuse(kit->store, STORE_OK);
    expect_error(role_get(kit, guarded.root, "four"), GRPC_FAILED_PRECONDITION, "etcdserver: role name not found");
    etcd_kit_free(kit);
}

/* ------------------------------------------------------------------------------------------------ tokens */

static void tokens_end(void)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    expect_good(auth_kit_range(kit, guarded.alice, "a", ""));
    expect_good(change_password(kit, guarded.root, "alice", "new"));
    expect_no_token(auth_kit_range(kit, guarded.alice, "a", ""));
    const char *alice = auth_kit_token_of(kit, "alice", "new");
    expect_good(auth_kit_range(kit, alice, "a", ""));
    etcd_kit_run_for(kit, 299 * NSEC_PER_SEC);
    expect_good(auth_kit_range(kit, alice, "a", ""));
    etcd_kit_run_for(kit, 299 * NSEC_PER_SEC);
    expect_good(auth_kit_range(kit, alice, "a", ""));
    expect_no_token(auth_kit_range(kit, guarded.root, "a", ""));
    etcd_kit_run_for(kit, 300 * NSEC_PER_SEC);
    expect_no_token(auth_kit_range(kit, alice, "a", ""));
    const char *root = auth_kit_token_of(kit, "root", "r00t");
    alice = auth_kit_token_of(kit, "alice", "new");
    expect_good(auth_kit_user_delete(kit, root, "alice"));
    expect_no_token(auth_kit_range(kit, alice, "a", ""));
    expect_good(auth_kit_disable(kit, root));
    expect_good(auth_kit_enable(kit, NULL));
    expect_no_token(auth_kit_range(kit, root, "a", ""));
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
    struct guarded guarded = auth_kit_begin();
    expect_int(access_of(&guarded, NULL, ACCESS_READ, "a"), 401);
    expect_int(access_of(&guarded, "none", ACCESS_READ, "a"), 401);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_READ, "a"), 0);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_WRITE, "a"), 403);
    expect_int(access_of(&guarded, guarded.root, ACCESS_WRITE, "a"), 0);
    expect_int(access_of(&guarded, NULL, ACCESS_ADMIN, ""), 401);
    expect_int(access_of(&guarded, guarded.alice, ACCESS_ADMIN, ""), 403);
    expect_int(access_of(&guarded, guarded.root, ACCESS_ADMIN, ""), 0);
    expect_good(auth_kit_disable(guarded.kit, guarded.root));
    expect_int(access_of(&guarded, NULL, ACCESS_WRITE, "a"), 0);
    etcd_kit_free(guarded.kit);
    expect_int(access_check(&(struct access){0}, NULL, ACCESS_WRITE, SLICE_LIT("a"), (struct slice){0}), 0);
}

/* ------------------------------------------------------------------------------------------------ memory */

/* With a status, or because there was no memory for what is the connection here. */
static bool has_ended(const struct etcd_call *call)
{
    return call->status != ETCD_NO_STATUS || buf_error(&call->body) < 0;
}

/* The n-th allocation fails while a role is added and somebody logs in. True when there was none to fail. */
static bool change_with_failure(size_t n)
{
    struct guarded guarded = auth_kit_begin();
    struct etcd_kit *kit = guarded.kit;
    struct etcd_call *adding = etcd_call_prepare(kit, "Auth/RoleAdd");
    struct etcd_call *logging_in = etcd_call_prepare(kit, "Auth/Authenticate");
    etcd_call_add_field(adding, "token", guarded.root);
    fault_alloc_arm(n);
    etcd_call_open(adding);
    if (adding->status == ETCD_NO_STATUS)
        adding->exchange.app->on_body(&adding->exchange, SLICE_LIT("\0\0\0\0\x03\x0a\x01x"));
    etcd_call_open(logging_in);
    if (logging_in->status == ETCD_NO_STATUS)
        logging_in->exchange.app->on_body(&logging_in->exchange, SLICE_LIT("\0\0\0\0\x0d\x0a\x05"
                                                                           "alice\x12\x04"
                                                                           "oops"));
    while (!has_ended(adding) || !has_ended(logging_in))
        etcd_kit_run(kit);
    bool has_failed = fault_alloc_disarm();
    if (!has_failed) {
        expect_good(adding);
        expect_int(logging_in->status, GRPC_INVALID_ARGUMENT);
    }
    if (adding->status == GRPC_OK)
        expect_good(role_get(kit, guarded.root, "x"));
    expect_good(auth_kit_role_add(kit, guarded.root, "y"));
    etcd_kit_free(kit);
    return !has_failed;
}

static void lack_of_memory_fails_the_call_alone(void)
{
    size_t n = 1;
    while (!change_with_failure(n))
        n++;
    expect_true(n > 10);
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
    {"lack of memory fails the call alone", lack_of_memory_fails_the_call_alone},
    {"other front ends can ask", other_front_ends_can_ask},
};

int main(int argc, char **argv)
{
    return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
