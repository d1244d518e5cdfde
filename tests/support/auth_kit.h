/* SPDX-License-Identifier: Apache-2.0 */
/* The etcd front end with users, for tests of auth. Calls have ended when these return, and live as long as the kit. */
#pragma once

#include "support/etcd_kit.h"

/* Auth is on, with root and alice, who reads a to c and writes b to d. */
struct guarded {
    struct etcd_kit *kit;
    const char *root, *alice; /* their tokens */
};

struct guarded auth_kit_begin(void);

/* protobuf-c's strings are not const. */
char *auth_kit_text(const char *words);

/* How the call ended. */
void expect_good(const struct etcd_call *call);
void expect_denied(const struct etcd_call *call);
void expect_no_token(const struct etcd_call *call);
void expect_no_user(const struct etcd_call *call);

/* Requests by one who shows a token, or none (NULL). */
struct etcd_call *auth_kit_enable(struct etcd_kit *kit, const char *token);
struct etcd_call *auth_kit_disable(struct etcd_kit *kit, const char *token);
struct etcd_call *auth_kit_user_add(struct etcd_kit *kit, const char *token, const char *name, const char *password);
struct etcd_call *auth_kit_user_delete(struct etcd_kit *kit, const char *token, const char *name);
struct etcd_call *auth_kit_grant_role(struct etcd_kit *kit, const char *token, const char *user, const char *role);
struct etcd_call *auth_kit_role_add(struct etcd_kit *kit, const char *token, const char *name);
struct etcd_call *auth_kit_grant(struct etcd_kit *kit, const char *token, const char *role,
                                 Authpb__Permission__Type type, const char *key, const char *end);
struct etcd_call *auth_kit_range(struct etcd_kit *kit, const char *token, const char *key, const char *end);
/* A message in which nothing is set: enough to be refused by. */
struct etcd_call *auth_kit_ask_empty(struct etcd_kit *kit, const char *token, const char *method);

struct etcd_call *auth_kit_authenticate(struct etcd_kit *kit, const char *name, const char *password);
const char *auth_kit_token_of(struct etcd_kit *kit, const char *name, const char *password);
