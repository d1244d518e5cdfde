/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a model and its questions; changes are in auth_model_change.c.
 *
 * Permissions of a role are merged into ranges once per role, not once per user, so a model takes no more memory than
 * its definitions times a constant. A question goes from range to range over the user's roles until the last key is
 * reached; for one key that is one search per role.
 */
#include "fronts/etcd/auth_model.h"

#include "fronts/etcd/auth_model_impl.h"

#include <stdlib.h>

struct auth_model *auth_model_new(void)
{
    struct auth_model *model = calloc(1, sizeof(*model));
    if (model)
        model->revision = 1;
    return model;
}

void auth_model_free(struct auth_model *model)
{
    if (!model)
        return;
    arena_deinit(&model->arena);
    free(model);
}

size_t auth_model_search(const void *items, size_t n, size_t size, struct slice name)
{
    size_t from = 0, to = n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct slice *here = (const void *)((const char *)items + middle * size);
        if (slice_compare(*here, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* NULL when there is none of that name. */
static const void *find(const void *items, size_t n, size_t size, struct slice name)
{
    size_t at = auth_model_search(items, n, size, name);
    const struct slice *here = at < n ? (const void *)((const char *)items + at * size) : NULL;
    return here && slice_equal(*here, name) ? here : NULL;
}

const struct auth_user *auth_model_find_user(const struct auth_model *model, struct slice name)
{
    return find(model->users, model->n_users, sizeof(model->users[0]), name);
}

const struct auth_role *auth_model_find_role(const struct auth_model *model, struct slice name)
{
    return find(model->roles, model->n_roles, sizeof(model->roles[0]), name);
}

bool auth_user_has_role(const struct auth_user *user, struct slice role)
{
    return find(user->roles, user->n_roles, sizeof(user->roles[0]), role) != NULL;
}

const struct auth_user *auth_model_find_session(const struct auth_model *model, uint64_t session)
{
    size_t from = 0, to = model->n_users;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (model->by_session[middle]->session < session)
            from = middle + 1;
        else
            to = middle;
    }
    return from < model->n_users && model->by_session[from]->session == session ? model->by_session[from] : NULL;
}

/* ------------------------------------------------------------------------------------------------ copying */

static int copy_user(struct arena *arena, const struct auth_user *user, struct auth_user *ret_user)
{
    ret_user->has_no_password = user->has_no_password;
    ret_user->session = user->session;
    ret_user->n_roles = user->n_roles;
    ret_user->roles = arena_alloc(arena, user->n_roles * sizeof(user->roles[0]));
    int r = ret_user->roles ? arena_copy(arena, user->name, &ret_user->name) : -1;
    if (r == 0)
        r = arena_copy(arena, user->hash, &ret_user->hash);
    for (size_t i = 0; r == 0 && i < user->n_roles; i++)
        r = arena_copy(arena, user->roles[i], &ret_user->roles[i]);
    return r;
}

static int copy_role(struct arena *arena, const struct auth_role *role, struct auth_role *ret_role)
{
    ret_role->n_permissions = role->n_permissions;
    ret_role->permissions = arena_alloc(arena, role->n_permissions * sizeof(role->permissions[0]));
    int r = ret_role->permissions ? arena_copy(arena, role->name, &ret_role->name) : -1;
    for (size_t i = 0; r == 0 && i < role->n_permissions; i++)
        r = auth_permission_copy(arena, &role->permissions[i], &ret_role->permissions[i]);
    return r;
}

int auth_permission_copy(struct arena *arena, const struct auth_permission *permission,
                         struct auth_permission *ret_permission)
{
    ret_permission->access = permission->access;
    int r = arena_copy(arena, permission->key, &ret_permission->key);
    return r < 0 ? r : arena_copy(arena, permission->end, &ret_permission->end);
}

static int copy_into(struct auth_model *draft, const struct auth_model *model)
{
    draft->version = model->version;
    draft->is_enabled = model->is_enabled;
    draft->revision = model->revision;
    draft->last_session = model->last_session;
    draft->n_users = model->n_users;
    draft->n_roles = model->n_roles;
    draft->users = arena_alloc(&draft->arena, model->n_users * sizeof(model->users[0]));
    draft->roles = arena_alloc(&draft->arena, model->n_roles * sizeof(model->roles[0]));
    int r = draft->users && draft->roles ? 0 : -1;
    for (size_t i = 0; r == 0 && i < model->n_users; i++)
        r = copy_user(&draft->arena, &model->users[i], &draft->users[i]);
    for (size_t i = 0; r == 0 && i < model->n_roles; i++)
        r = copy_role(&draft->arena, &model->roles[i], &draft->roles[i]);
    return r;
}

enum etcd_error auth_model_copy(const struct auth_model *model, struct auth_model **ret_draft)
{
    struct auth_model *draft = auth_model_new();
    if (!draft || copy_into(draft, model) < 0) {
        auth_model_free(draft);
        return ETCD_TOO_MANY_REQUESTS;
    }
    *ret_draft = draft;
    return ETCD_OK;
}

/* ------------------------------------------------------------------------------------------------ sealing */

static int compare_begins(const void *a, const void *b)
{
    return slice_compare(((const struct auth_range *)a)->begin, ((const struct auth_range *)b)->begin);
}

/* Of a range with that limit; an empty one is none. */
static bool ends_before(struct slice limit, struct slice place)
{
    return !slice_is_empty(limit) && slice_compare(limit, place) < 0;
}

static bool is_farther(struct slice end, struct slice than)
{
    return !slice_is_empty(than) && (slice_is_empty(end) || ends_before(than, end));
}

/* The least key behind one key ends what has only that one. 0 or negative. */
static int range_of(struct arena *arena, const struct auth_permission *permission, struct auth_range *ret_range)
{
    ret_range->begin = permission->key;
    ret_range->end = store_range_is_open(permission->end) ? (struct slice){0} : permission->end;
    if (!slice_is_empty(permission->end))
        return 0;
    char *end = arena_alloc(arena, permission->key.len + 1);
    if (!end)
        return -1;
    memcpy(end, permission->key.ptr, permission->key.len);
    ret_range->end = slice_from(end, permission->key.len + 1);
    return 0;
}

/* Those that touch become one. */
static void merge(struct auth_ranges *ranges)
{
    size_t n = 0;
    qsort(ranges->all, ranges->n, sizeof(ranges->all[0]), compare_begins);
    for (size_t i = 0; i < ranges->n; i++) {
        const struct auth_range *next = &ranges->all[i];
        struct auth_range *last = n > 0 ? &ranges->all[n - 1] : NULL;
        if (!last || ends_before(last->end, next->begin))
            ranges->all[n++] = *next;
        else if (is_farther(next->end, last->end))
            last->end = next->end;
    }
    ranges->n = n;
}

static int seal_role(struct arena *arena, struct auth_role *role)
{
    for (enum auth_access access = AUTH_READ; access <= AUTH_WRITE; access++) {
        struct auth_ranges *ranges = &role->ranges[access];
        ranges->n = 0;
        ranges->all = arena_alloc(arena, role->n_permissions * sizeof(ranges->all[0]));
        if (!ranges->all)
            return -1;
        for (size_t i = 0; i < role->n_permissions; i++) {
            const struct auth_permission *permission = &role->permissions[i];
            if (permission->access != access && permission->access != AUTH_READ_WRITE)
                continue;
            if (range_of(arena, permission, &ranges->all[ranges->n++]) < 0)
                return -1;
        }
        merge(ranges);
    }
    return 0;
}

static int seal_user(struct auth_model *draft, struct auth_user *user)
{
    user->is_root = auth_user_has_role(user, AUTH_ROOT);
    user->n_known = 0;
    user->known = arena_alloc(&draft->arena, user->n_roles * sizeof(user->known[0]));
    if (!user->known)
        return -1;
    for (size_t i = 0; i < user->n_roles; i++) {
        const struct auth_role *role = auth_model_find_role(draft, user->roles[i]);
        if (role)
            user->known[user->n_known++] = role;
    }
    return 0;
}

static int compare_sessions(const void *a, const void *b)
{
    uint64_t left = (*(const struct auth_user *const *)a)->session;
    uint64_t right = (*(const struct auth_user *const *)b)->session;
    return (left > right) - (left < right);
}

enum etcd_error auth_model_seal(struct auth_model *draft)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < draft->n_roles; i++)
        r = seal_role(&draft->arena, &draft->roles[i]);
    for (size_t i = 0; r == 0 && i < draft->n_users; i++)
        r = seal_user(draft, &draft->users[i]);
    draft->by_session = arena_alloc(&draft->arena, draft->n_users * sizeof(draft->by_session[0]));
    if (r < 0 || !draft->by_session)
        return ETCD_TOO_MANY_REQUESTS;
    for (size_t i = 0; i < draft->n_users; i++)
        draft->by_session[i] = &draft->users[i];
    qsort(draft->by_session, draft->n_users, sizeof(draft->by_session[0]), compare_sessions);
    return ETCD_OK;
}

/* ------------------------------------------------------------------------------------------------ may they? */

/* The range that has the key; NULL: none has. */
static const struct auth_range *range_with(const struct auth_ranges *ranges, struct slice key)
{
    size_t from = 0, to = ranges->n; /* the first that begins behind the key */
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (slice_compare(ranges->all[middle].begin, key) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    const struct auth_range *range = from > 0 ? &ranges->all[from - 1] : NULL;
    bool has_it = range && (slice_is_empty(range->end) || slice_compare(key, range->end) < 0);
    return has_it ? range : NULL;
}

/* Where the roles' ranges that have the key end, at the farthest; an empty end is none. False: none has it. */
static bool reach(const struct auth_user *user, enum auth_access access, struct slice key, struct slice *ret_end)
{
    bool is_found = false;
    for (size_t i = 0; i < user->n_known; i++) {
        const struct auth_range *range = range_with(&user->known[i]->ranges[access], key);
        if (!range)
            continue;
        if (!is_found || is_farther(range->end, *ret_end))
            *ret_end = range->end;
        is_found = true;
    }
    return is_found;
}

bool auth_user_may(const struct auth_user *user, enum auth_access access, struct slice key, struct slice end)
{
    if (user->is_root)
        return true;
    struct slice reached;
    while (reach(user, access, key, &reached)) {
        if (slice_is_empty(end) || slice_is_empty(reached))
            return true;
        if (!store_range_is_open(end) && !ends_before(reached, end))
            return true;
        key = reached;
    }
    return false;
}
