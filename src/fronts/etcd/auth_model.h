/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Users, roles and what they may: one state of etcd's auth. Pure: no store, no clock, no thread.
 *
 * A model is a draft while one thread changes it; sealed, it never changes again and any thread may ask it. A change is
 * made on a copy, so that who still reads the old state is not disturbed:
 *
 *     error = auth_model_copy(current, &draft);
 *     error = auth_model_add_role(draft, name);
 *     error = auth_model_seal(draft);
 *
 * All that can go wrong is told in etcd's words (errors.h); ETCD_TOO_MANY_REQUESTS is missing memory.
 */
#pragma once

#include "base/arena.h"
#include "base/rcu.h"
#include "fronts/etcd/errors.h"

/* Numbers are the protocol's. */
enum auth_access { AUTH_READ, AUTH_WRITE, AUTH_READ_WRITE };

/* For the keys that key and end mean as in store_range. */
struct auth_permission {
    enum auth_access access;
    struct slice key, end;
};

/* From begin to before end; an empty end is none. */
struct auth_range {
    struct slice begin, end;
};

/* In order, with gaps in between. */
struct auth_ranges {
    struct auth_range *all;
    size_t n;
};

struct auth_role {
    struct slice name; /* first, as in auth_user */
    struct auth_permission *permissions;
    size_t n_permissions;
    struct auth_ranges ranges[2]; /* by AUTH_READ, AUTH_WRITE; made by auth_model_seal */
};

struct auth_user {
    struct slice name; /* first */
    struct slice hash; /* of the password */
    bool has_no_password;
    /*
     * What tokens and open calls name the user by, never used twice. It changes with the password and when auth is
     * switched off, and thereby all that was admitted before is nobody's any more.
     */
    uint64_t session;
    struct slice *roles; /* names, in order */
    size_t n_roles;
    /* by auth_model_seal */
    bool is_root;                   /* has the role root, and may everything */
    const struct auth_role **known; /* those of its roles that there are: root need not be */
    size_t n_known;
};

struct auth_model {
    struct rcu_node rcu; /* the owner's */
    int64_t version;     /* the owner's: of the document that it came from */
    bool is_enabled;
    bool is_changed;   /* by what was done to the draft since it was copied */
    uint64_t revision; /* from 1, which clients see */
    uint64_t last_session;
    struct auth_user *users; /* in order of name, as all here */
    struct auth_role *roles;
    size_t n_users, n_roles;
    const struct auth_user **by_session; /* made by auth_model_seal */
    struct arena arena;
};

/* Disabled, with nobody in it; a draft. NULL when out of memory. */
struct auth_model *auth_model_new(void);
void auth_model_free(struct auth_model *model);

/* A draft that is the same. */
enum etcd_error auth_model_copy(const struct auth_model *model, struct auth_model **ret_draft);
/* Makes what questions are answered from. */
enum etcd_error auth_model_seal(struct auth_model *draft);

/* ------------------------------------------------------------------------------------------------ questions */

const struct auth_user *auth_model_find_user(const struct auth_model *model, struct slice name);
const struct auth_role *auth_model_find_role(const struct auth_model *model, struct slice name);
/* Sealed models only, as auth_user_may. */
const struct auth_user *auth_model_find_session(const struct auth_model *model, uint64_t session);

bool auth_user_has_role(const struct auth_user *user, struct slice role);
/* Whether the user's roles together cover all the keys that key and end mean (as in store_range). READ or WRITE. */
bool auth_user_may(const struct auth_user *user, enum auth_access access, struct slice key, struct slice end);

/* ------------------------------------------------------------------------------------------------ changes */

/*
 * What is given is copied. After an error the draft is as it was. What is so already is no error, and no change. The
 * root user and the root role cannot be taken away while auth is enabled.
 */
enum etcd_error auth_model_enable(struct auth_model *draft);
enum etcd_error auth_model_disable(struct auth_model *draft);

enum etcd_error auth_model_add_user(struct auth_model *draft, struct slice name, struct slice hash,
                                    bool has_no_password);
enum etcd_error auth_model_delete_user(struct auth_model *draft, struct slice name);
/* Of a user that has none it stays none. */
enum etcd_error auth_model_set_password(struct auth_model *draft, struct slice name, struct slice hash);
enum etcd_error auth_model_grant_role(struct auth_model *draft, struct slice name, struct slice role);
enum etcd_error auth_model_revoke_role(struct auth_model *draft, struct slice name, struct slice role);

enum etcd_error auth_model_add_role(struct auth_model *draft, struct slice name);
/* Users lose it. */
enum etcd_error auth_model_delete_role(struct auth_model *draft, struct slice name);
/* One for the same keys is replaced. */
enum etcd_error auth_model_grant_permission(struct auth_model *draft, struct slice name,
                                            const struct auth_permission *permission);
enum etcd_error auth_model_revoke_permission(struct auth_model *draft, struct slice name, struct slice key,
                                             struct slice end);

/* Whether key and end mean any keys at all. */
bool auth_permission_is_valid(const struct auth_permission *permission);
