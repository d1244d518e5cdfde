/* SPDX-License-Identifier: Apache-2.0 */
#include "support/auth_kit.h"

char *auth_kit_text(const char *words)
{
    return (char *)(uintptr_t)words;
}

void expect_good(const struct etcd_call *call)
{
    expect_error(call, GRPC_OK, "");
}

void expect_denied(const struct etcd_call *call)
{
    expect_error(call, GRPC_PERMISSION_DENIED, "etcdserver: permission denied");
}

void expect_no_token(const struct etcd_call *call)
{
    expect_error(call, GRPC_UNAUTHENTICATED, "etcdserver: invalid auth token");
}

void expect_no_user(const struct etcd_call *call)
{
    expect_error(call, GRPC_INVALID_ARGUMENT, "etcdserver: user name is empty");
}

struct etcd_call *auth_kit_enable(struct etcd_kit *kit, const char *token)
{
    Etcdserverpb__AuthEnableRequest request = ETCDSERVERPB__AUTH_ENABLE_REQUEST__INIT;
    return etcd_ask_as(kit, token, "Auth/AuthEnable", &request.base);
}

struct etcd_call *auth_kit_disable(struct etcd_kit *kit, const char *token)
{
    Etcdserverpb__AuthDisableRequest request = ETCDSERVERPB__AUTH_DISABLE_REQUEST__INIT;
    return etcd_ask_as(kit, token, "Auth/AuthDisable", &request.base);
}

struct etcd_call *auth_kit_user_add(struct etcd_kit *kit, const char *token, const char *name, const char *password)
{
    Etcdserverpb__AuthUserAddRequest request;
    etcdserverpb__auth_user_add_request__init(&request);
    request.name = auth_kit_text(name);
    request.password = auth_kit_text(password);
    return etcd_ask_as(kit, token, "Auth/UserAdd", &request.base);
}

struct etcd_call *auth_kit_user_delete(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthUserDeleteRequest request;
    etcdserverpb__auth_user_delete_request__init(&request);
    request.name = auth_kit_text(name);
    return etcd_ask_as(kit, token, "Auth/UserDelete", &request.base);
}

struct etcd_call *auth_kit_grant_role(struct etcd_kit *kit, const char *token, const char *user, const char *role)
{
    Etcdserverpb__AuthUserGrantRoleRequest request;
    etcdserverpb__auth_user_grant_role_request__init(&request);
    request.user = auth_kit_text(user);
    request.role = auth_kit_text(role);
    return etcd_ask_as(kit, token, "Auth/UserGrantRole", &request.base);
}

struct etcd_call *auth_kit_role_add(struct etcd_kit *kit, const char *token, const char *name)
{
    Etcdserverpb__AuthRoleAddRequest request;
    etcdserverpb__auth_role_add_request__init(&request);
    request.name = auth_kit_text(name);
    return etcd_ask_as(kit, token, "Auth/RoleAdd", &request.base);
}

struct etcd_call *auth_kit_grant(struct etcd_kit *kit, const char *token, const char *role,
                                 Authpb__Permission__Type type, const char *key, const char *end)
{
    Authpb__Permission permission = AUTHPB__PERMISSION__INIT;
    Etcdserverpb__AuthRoleGrantPermissionRequest request;
    etcdserverpb__auth_role_grant_permission_request__init(&request);
    permission.permtype = type;
    permission.key = etcd_bytes(key);
    permission.range_end = etcd_bytes(end);
    request.name = auth_kit_text(role);
    request.perm = &permission;
    return etcd_ask_as(kit, token, "Auth/RoleGrantPermission", &request.base);
}

struct etcd_call *auth_kit_authenticate(struct etcd_kit *kit, const char *name, const char *password)
{
    Etcdserverpb__AuthenticateRequest request;
    etcdserverpb__authenticate_request__init(&request);
    request.name = auth_kit_text(name);
    request.password = auth_kit_text(password);
    return etcd_ask_as(kit, NULL, "Auth/Authenticate", &request.base);
}

const char *auth_kit_token_of(struct etcd_kit *kit, const char *name, const char *password)
{
    struct etcd_call *call = auth_kit_authenticate(kit, name, password);
    expect_good(call);
    Etcdserverpb__AuthenticateResponse *answer = etcd_hear(call, &etcdserverpb__authenticate_response__descriptor);
    expect_true(strlen(answer->token) > 32);
    return answer->token;
}

struct etcd_call *auth_kit_range(struct etcd_kit *kit, const char *token, const char *key, const char *end)
{
    Etcdserverpb__RangeRequest request = ETCDSERVERPB__RANGE_REQUEST__INIT;
    request.key = etcd_bytes(key);
    request.range_end = etcd_bytes(end);
    return etcd_ask_as(kit, token, "KV/Range", &request.base);
}

struct etcd_call *auth_kit_ask_empty(struct etcd_kit *kit, const char *token, const char *method)
{
    Etcdserverpb__HashRequest request = ETCDSERVERPB__HASH_REQUEST__INIT;
    return etcd_ask_as(kit, token, method, &request.base);
}

struct guarded auth_kit_begin(void)
{
    struct guarded guarded = {.kit = etcd_kit_new()};
    struct etcd_kit *kit = guarded.kit;
    expect_good(auth_kit_user_add(kit, NULL, "root", "r00t"));
    expect_good(auth_kit_grant_role(kit, NULL, "root", "root"));
    expect_good(auth_kit_user_add(kit, NULL, "alice", "secret"));
    expect_good(auth_kit_role_add(kit, NULL, "dev"));
    expect_good(auth_kit_grant(kit, NULL, "dev", AUTHPB__PERMISSION__TYPE__READ, "a", "c"));
    expect_good(auth_kit_grant(kit, NULL, "dev", AUTHPB__PERMISSION__TYPE__WRITE, "b", "d"));
    expect_good(auth_kit_grant_role(kit, NULL, "alice", "dev"));
    expect_good(auth_kit_enable(kit, NULL));
    guarded.root = auth_kit_token_of(kit, "root", "r00t");
    guarded.alice = auth_kit_token_of(kit, "alice", "secret");
    return guarded;
}
