/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of a draft. Lists are short and changes rare: each makes a new list in the draft's arena, and what it leaves
 * behind goes with the draft, as the next copy takes only what is in use.
 */
#include "base/util.h"
#include "fronts/etcd/auth_model_impl.h"

static struct auth_user *find_user(struct auth_model *draft, struct slice name)
{
    size_t at = auth_model_search(draft->users, draft->n_users, sizeof(draft->users[0]), name);
    return at < draft->n_users && slice_equal(draft->users[at].name, name) ? &draft->users[at] : NULL;
}

static struct auth_role *find_role(struct auth_model *draft, struct slice name)
{
    size_t at = auth_model_search(draft->roles, draft->n_roles, sizeof(draft->roles[0]), name);
    return at < draft->n_roles && slice_equal(draft->roles[at].name, name) ? &draft->roles[at] : NULL;
}

/* The list with a zeroed item at `at`; NULL when out of memory. */
static void *with_gap(struct arena *arena, const void *items, size_t n, size_t size, size_t at)
{
    char *list = arena_alloc(arena, (n + 1) * size);
    if (list && n > 0) {
        memcpy(list, items, at * size);
        memcpy(list + (at + 1) * size, (const char *)items + at * size, (n - at) * size);
    }
    return list;
}

static void remove_at(void *items, size_t *n, size_t size, size_t at)
{
    char *hole = (char *)items + at * size;
    memmove(hole, hole + size, (*n - at - 1) * size);
    (*n)--;
}

static enum etcd_error changed(struct auth_model *draft)
{
    draft->is_changed = true;
    draft->revision++;
    return ETCD_OK;
}

/* ------------------------------------------------------------------------------------------------ on and off */

enum etcd_error auth_model_enable(struct auth_model *draft)
{
    if (draft->is_enabled)
        return ETCD_OK;
    const struct auth_user *root = auth_model_find_user(draft, AUTH_ROOT);
    if (!root)
        return ETCD_NO_ROOT_USER;
    if (!auth_user_has_role(root, AUTH_ROOT))
        return ETCD_NO_ROOT_ROLE;
    draft->is_enabled = true;
    draft->is_changed = true; /* but the revision is what it was, as with etcd */
    return ETCD_OK;
}

enum etcd_error auth_model_disable(struct auth_model *draft)
{
    if (!draft->is_enabled)
        return ETCD_OK;
    draft->is_enabled = false;
    for (size_t i = 0; i < draft->n_users; i++)
        draft->users[i].session = ++draft->last_session;
    return changed(draft);
}

/* ------------------------------------------------------------------------------------------------ users */

enum etcd_error auth_model_add_user(struct auth_model *draft, struct slice name, struct slice hash,
                                    bool has_no_password)
{
    if (slice_is_empty(name))
        return ETCD_USER_EMPTY;
    if (find_user(draft, name))
        return ETCD_USER_EXISTS;
    struct auth_user user = {.has_no_password = has_no_password};
    size_t at = auth_model_search(draft->users, draft->n_users, sizeof(draft->users[0]), name);
    struct auth_user *users = with_gap(&draft->arena, draft->users, draft->n_users, sizeof(draft->users[0]), at);
    if (!users || arena_copy(&draft->arena, name, &user.name) < 0 || arena_copy(&draft->arena, hash, &user.hash) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    user.session = ++draft->last_session;
    users[at] = user;
    draft->users = users;
    draft->n_users++;
    return changed(draft);
}

enum etcd_error auth_model_delete_user(struct auth_model *draft, struct slice name)
{
    if (draft->is_enabled && slice_equal(name, AUTH_ROOT))
        return ETCD_INVALID_AUTH_MGMT;
    const struct auth_user *user = find_user(draft, name);
    if (!user)
        return ETCD_USER_NOT_FOUND;
    remove_at(draft->users, &draft->n_users, sizeof(*user), (size_t)(user - draft->users));
    return changed(draft);
}

enum etcd_error auth_model_set_password(struct auth_model *draft, struct slice name, struct slice hash)
{
    struct auth_user *user = find_user(draft, name);
    if (!user)
        return ETCD_USER_NOT_FOUND;
    struct slice copy = {0};
    if (!user->has_no_password && arena_copy(&draft->arena, hash, &copy) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    user->hash = copy;
    user->session = ++draft->last_session;
    return changed(draft);
}

enum etcd_error auth_model_grant_role(struct auth_model *draft, struct slice name, struct slice role)
{
    struct auth_user *user = find_user(draft, name);
    if (!user)
        return ETCD_USER_NOT_FOUND;
    if (!slice_equal(role, AUTH_ROOT) && !find_role(draft, role))
        return ETCD_ROLE_NOT_FOUND;
    if (auth_user_has_role(user, role))
        return ETCD_OK;
    struct slice copy;
    size_t at = auth_model_search(user->roles, user->n_roles, sizeof(user->roles[0]), role);
    struct slice *roles = with_gap(&draft->arena, user->roles, user->n_roles, sizeof(user->roles[0]), at);
    if (!roles || arena_copy(&draft->arena, role, &copy) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    roles[at] = copy;
    user->roles = roles;
    user->n_roles++;
    return changed(draft);
}

static void drop_role(struct auth_user *user, struct slice role)
{
    size_t at = auth_model_search(user->roles, user->n_roles, sizeof(user->roles[0]), role);
    if (at < user->n_roles && slice_equal(user->roles[at], role))
        remove_at(user->roles, &user->n_roles, sizeof(user->roles[0]), at);
}

enum etcd_error auth_model_revoke_role(struct auth_model *draft, struct slice name, struct slice role)
{
    if (draft->is_enabled && slice_equal(name, AUTH_ROOT) && slice_equal(role, AUTH_ROOT))
        return ETCD_INVALID_AUTH_MGMT;
    struct auth_user *user = find_user(draft, name);
    if (!user)
        return ETCD_USER_NOT_FOUND;
    if (!auth_user_has_role(user, role))
        return ETCD_ROLE_NOT_GRANTED;
    drop_role(user, role);
    return changed(draft);
}

/* ------------------------------------------------------------------------------------------------ roles */

enum etcd_error auth_model_add_role(struct auth_model *draft, struct slice name)
{
    if (slice_is_empty(name))
        return ETCD_ROLE_EMPTY;
    if (find_role(draft, name))
        return ETCD_ROLE_EXISTS;
    struct auth_role role = {0};
    size_t at = auth_model_search(draft->roles, draft->n_roles, sizeof(draft->roles[0]), name);
    struct auth_role *roles = with_gap(&draft->arena, draft->roles, draft->n_roles, sizeof(draft->roles[0]), at);
    if (!roles || arena_copy(&draft->arena, name, &role.name) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    roles[at] = role;
    draft->roles = roles;
    draft->n_roles++;
    return changed(draft);
}

enum etcd_error auth_model_delete_role(struct auth_model *draft, struct slice name)
{
    if (draft->is_enabled && slice_equal(name, AUTH_ROOT))
        return ETCD_INVALID_AUTH_MGMT;
    const struct auth_role *role = find_role(draft, name);
    if (!role)
        return ETCD_ROLE_NOT_FOUND;
    remove_at(draft->roles, &draft->n_roles, sizeof(*role), (size_t)(role - draft->roles));
    for (size_t i = 0; i < draft->n_users; i++)
        drop_role(&draft->users[i], name);
    return changed(draft);
}

bool auth_permission_is_valid(const struct auth_permission *permission)
{
    struct slice key = permission->key, end = permission->end;
    if (slice_is_empty(key))
        return false;
    return slice_is_empty(end) || store_range_is_open(end) || slice_compare(key, end) < 0;
}

/* In order of key, then end; a list of the protocol shows them so. */
static size_t search_permission(const struct auth_role *role, struct slice key, struct slice end, bool *ret_found)
{
    size_t at = 0;
    int order = -1;
    for (; at < role->n_permissions; at++) {
        const struct auth_permission *here = &role->permissions[at];
        order = slice_compare(here->key, key);
        if (order == 0)
            order = slice_compare(here->end, end);
        if (order >= 0)
            break;
    }
    *ret_found = at < role->n_permissions && order == 0;
    return at;
}

enum etcd_error auth_model_grant_permission(struct auth_model *draft, struct slice name,
                                            const struct auth_permission *permission)
{
    if (!auth_permission_is_valid(permission))
        return ETCD_INVALID_AUTH_MGMT;
    struct auth_role *role = find_role(draft, name);
    if (!role)
        return ETCD_ROLE_NOT_FOUND;
    bool is_there;
    size_t at = search_permission(role, permission->key, permission->end, &is_there);
    if (is_there) {
        role->permissions[at].access = permission->access;
        return changed(draft);
    }
    struct auth_permission copy;
    struct auth_permission *list =
        with_gap(&draft->arena, role->permissions, role->n_permissions, sizeof(*permission), at);
    if (!list || auth_permission_copy(&draft->arena, permission, &copy) < 0)
        return ETCD_TOO_MANY_REQUESTS;
    list[at] = copy;
    role->permissions = list;
    role->n_permissions++;
    return changed(draft);
}

enum etcd_error auth_model_revoke_permission(struct auth_model *draft, struct slice name, struct slice key,
                                             struct slice end)
{
    struct auth_role *role = find_role(draft, name);
    if (!role)
        return ETCD_ROLE_NOT_FOUND;
    bool is_there;
    size_t at = search_permission(role, key, end, &is_there);
    if (!is_there)
        return ETCD_PERMISSION_NOT_GRANTED;
    remove_at(role->permissions, &role->n_permissions, sizeof(role->permissions[0]), at);
    return changed(draft);
}
