/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists are counted before they are read, so that each is allocated once and takes no more than the bytes that came in
 * times a constant.
 */
#include "fronts/etcd/auth_document.h"

#include "fronts/etcd/auth_model_impl.h"
#include "wire/pb.h"

#include <errno.h>

#define FORMAT 1

/* ------------------------------------------------------------------------------------------------ writing */

void auth_document_add_permission(struct buf *bytes, uint32_t number, const struct auth_permission *permission)
{
    size_t begin = pb_begin(bytes, number);
    pb_add_uint(bytes, 1, permission->access);
    pb_add_bytes(bytes, 2, permission->key);
    pb_add_bytes(bytes, 3, permission->end);
    pb_end(bytes, begin);
}

static void add_user(struct buf *bytes, const struct auth_user *user)
{
    size_t begin = pb_begin(bytes, 5);
    pb_add_bytes(bytes, 1, user->name);
    pb_add_bytes(bytes, 2, user->hash);
    pb_add_bool(bytes, 3, user->has_no_password);
    pb_add_uint(bytes, 4, user->session);
    for (size_t i = 0; i < user->n_roles; i++)
        pb_add_element(bytes, 5, user->roles[i]);
    pb_end(bytes, begin);
}

static void add_role(struct buf *bytes, const struct auth_role *role)
{
    size_t begin = pb_begin(bytes, 6);
    pb_add_bytes(bytes, 1, role->name);
    for (size_t i = 0; i < role->n_permissions; i++)
        auth_document_add_permission(bytes, 2, &role->permissions[i]);
    pb_end(bytes, begin);
}

int auth_document_write(const struct auth_model *model, struct buf *bytes)
{
    pb_add_uint(bytes, 1, FORMAT);
    pb_add_bool(bytes, 2, model->is_enabled);
    pb_add_uint(bytes, 3, model->revision);
    pb_add_uint(bytes, 4, model->last_session);
    for (size_t i = 0; i < model->n_users; i++)
        add_user(bytes, &model->users[i]);
    for (size_t i = 0; i < model->n_roles; i++)
        add_role(bytes, &model->roles[i]);
    return buf_error(bytes);
}

/* ------------------------------------------------------------------------------------------------ reading */

/* How often the field is there; all of them are bytes. 0 or -EBADMSG. */
static int count(struct slice bytes, uint32_t number, size_t *ret_n)
{
    struct pb_field field;
    size_t n = 0;
    int r;
    while ((r = pb_next(&bytes, &field)) > 0) {
        if (field.number != number)
            continue;
        if (!field.is_bytes)
            return -EBADMSG;
        n++;
    }
    *ret_n = n;
    return r;
}

/* Gives the next field of that number; count() has found it to be there. */
static struct slice next_element(struct slice *bytes, uint32_t number)
{
    struct pb_field field = {0};
    while (pb_next(bytes, &field) > 0 && field.number != number)
        ;
    return field.bytes;
}

/* Names in a list are there and ascend. */
static bool follows(struct slice name, const struct slice *previous)
{
    return !slice_is_empty(name) && (!previous || slice_compare(*previous, name) < 0);
}

static int read_user(struct auth_model *model, struct slice bytes, struct auth_user *user)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_user, name, PB_BYTES),
        [2] = PB_MEMBER(struct auth_user, hash, PB_BYTES),
        [3] = PB_MEMBER(struct auth_user, has_no_password, PB_BOOL),
        [4] = PB_MEMBER(struct auth_user, session, PB_INT64),
    };
    int r = pb_read(bytes, members, ARRAY_LEN(members), user);
    if (r == 0)
        r = count(bytes, 5, &user->n_roles);
    if (r < 0)
        return r;
    if (user->session == 0 || user->session > model->last_session)
        return -EBADMSG;
    user->roles = arena_alloc(&model->arena, user->n_roles * sizeof(user->roles[0]));
    if (!user->roles)
        return -ENOMEM;
    for (size_t i = 0; i < user->n_roles; i++) {
        user->roles[i] = next_element(&bytes, 5);
        if (!follows(user->roles[i], i > 0 ? &user->roles[i - 1] : NULL))
            return -EBADMSG;
    }
    return 0;
}

int auth_document_read_permission(struct slice bytes, struct auth_permission *permission)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_permission, access, PB_INT32),
        [2] = PB_MEMBER(struct auth_permission, key, PB_BYTES),
        [3] = PB_MEMBER(struct auth_permission, end, PB_BYTES),
    };
    return pb_read(bytes, members, ARRAY_LEN(members), permission);
}

static int read_permission(struct slice bytes, struct auth_permission *ret_permission)
{
    int r = auth_document_read_permission(bytes, ret_permission);
    if (r < 0)
        return r;
    bool is_good = (unsigned)ret_permission->access <= AUTH_READ_WRITE && auth_permission_is_valid(ret_permission);
    return is_good ? 0 : -EBADMSG;
}

static bool permission_follows(const struct auth_permission *permission, const struct auth_permission *previous)
{
    int order = slice_compare(previous->key, permission->key);
    return order < 0 || (order == 0 && slice_compare(previous->end, permission->end) < 0);
}

static int read_role(struct auth_model *model, struct slice bytes, struct auth_role *role)
{
    static const struct pb_member members[] = {[1] = PB_MEMBER(struct auth_role, name, PB_BYTES)};
    int r = pb_read(bytes, members, ARRAY_LEN(members), role);
    if (r == 0)
        r = count(bytes, 2, &role->n_permissions);
    if (r < 0)
        return r;
    role->permissions = arena_alloc(&model->arena, role->n_permissions * sizeof(role->permissions[0]));
    if (!role->permissions)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < role->n_permissions; i++) {
        r = read_permission(next_element(&bytes, 2), &role->permissions[i]);
        if (r == 0 && i > 0 && !permission_follows(&role->permissions[i], &role->permissions[i - 1]))
            r = -EBADMSG;
    }
    return r;
}

static int read_users(struct auth_model *model, struct slice bytes)
{
    int r = count(bytes, 5, &model->n_users);
    if (r < 0)
        return r;
    model->users = arena_alloc(&model->arena, model->n_users * sizeof(model->users[0]));
    if (!model->users)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < model->n_users; i++) {
        r = read_user(model, next_element(&bytes, 5), &model->users[i]);
        if (r == 0 && !follows(model->users[i].name, i > 0 ? &model->users[i - 1].name : NULL))
            r = -EBADMSG;
    }
    return r;
}

static int read_roles(struct auth_model *model, struct slice bytes)
{
    int r = count(bytes, 6, &model->n_roles);
    if (r < 0)
        return r;
    model->roles = arena_alloc(&model->arena, model->n_roles * sizeof(model->roles[0]));
    if (!model->roles)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < model->n_roles; i++) {
        r = read_role(model, next_element(&bytes, 6), &model->roles[i]);
        if (r == 0 && !follows(model->roles[i].name, i > 0 ? &model->roles[i - 1].name : NULL))
            r = -EBADMSG;
    }
    return r;
}

/* Each is somebody's alone. */
static int check_sessions(const struct auth_model *model)
{
    for (size_t i = 1; i < model->n_users; i++) {
        if (model->by_session[i]->session == model->by_session[i - 1]->session)
            return -EBADMSG;
    }
    return 0;
}

/* The model's slices lie in its own copy of the bytes. */
static int read_into(struct auth_model *model, struct slice bytes, uint64_t *ret_format)
{
    struct head {
        uint64_t format;
        bool is_enabled;
        uint64_t revision, last_session;
    } head = {0};
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct head, format, PB_INT64),
        [2] = PB_MEMBER(struct head, is_enabled, PB_BOOL),
        [3] = PB_MEMBER(struct head, revision, PB_INT64),
        [4] = PB_MEMBER(struct head, last_session, PB_INT64),
    };
    if (arena_copy(&model->arena, bytes, &bytes) < 0)
        return -ENOMEM;
    int r = pb_read(bytes, members, ARRAY_LEN(members), &head);
    *ret_format = head.format;
    if (r == 0 && (head.format != FORMAT || head.revision == 0))
        r = -EBADMSG;
    model->is_enabled = head.is_enabled;
    model->revision = head.revision;
    model->last_session = head.last_session;
    if (r == 0)
        r = read_users(model, bytes);
    if (r == 0)
        r = read_roles(model, bytes);
    if (r == 0 && auth_model_seal(model) != ETCD_OK)
        r = -ENOMEM;
    return r == 0 ? check_sessions(model) : r;
}

int auth_document_read(struct slice bytes, struct auth_model **ret_model, struct err *err)
{
    struct auth_model *model = auth_model_new();
    uint64_t format = 0;
    int r = model ? read_into(model, bytes, &format) : -ENOMEM;
    if (r == 0) {
        *ret_model = model;
        return 0;
    }
    auth_model_free(model);
    if (r == -ENOMEM)
        return err_set_errno(err, r, "users and roles");
    if (format > FORMAT)
        return err_set(err, r, "users and roles were written by a newer muster: format %llu, and %d is known here",
                       (unsigned long long)format, FORMAT);
    return err_set(err, r, "the users and roles that the store keeps are damaged");
}
