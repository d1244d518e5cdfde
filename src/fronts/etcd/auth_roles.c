/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the service Auth that are about roles. */
#include "fronts/etcd/auth_change.h"
#include "fronts/etcd/auth_document.h"

/* ------------------------------------------------------------------------------------------------ reading */

static enum etcd_error read_role(struct slice message, struct auth_words *ret_words)
{
    static const struct pb_member members[] = {[1] = PB_MEMBER(struct auth_words, role, PB_BYTES)};
    if (pb_read(message, members, ARRAY_LEN(members), ret_words) < 0)
        return ETCD_MALFORMED;
    return auth_check_text(ret_words->role);
}

static enum etcd_error read_grant(struct slice message, struct auth_words *ret_words)
{
    struct grant {
        struct auth_words words;
        struct slice permission;
    } grant = {0};
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct grant, words.role, PB_BYTES),
        [2] = PB_MEMBER(struct grant, permission, PB_BYTES),
    };
    if (pb_read(message, members, ARRAY_LEN(members), &grant) < 0 ||
        auth_document_read_permission(grant.permission, &grant.words.permission) < 0)
        return ETCD_MALFORMED;
    *ret_words = grant.words;
    if (!grant.permission.ptr) /* even an empty one lies somewhere */
        return ETCD_NO_PERMISSION_GIVEN;
    if ((unsigned)grant.words.permission.access > AUTH_READ_WRITE)
        return ETCD_INVALID_AUTH_MGMT;
    return auth_check_text(ret_words->role);
}

static enum etcd_error read_revoke(struct slice message, struct auth_words *ret_words)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_words, role, PB_BYTES),
        [2] = PB_MEMBER(struct auth_words, permission.key, PB_BYTES),
        [3] = PB_MEMBER(struct auth_words, permission.end, PB_BYTES),
    };
    if (pb_read(message, members, ARRAY_LEN(members), ret_words) < 0)
        return ETCD_MALFORMED;
    return auth_check_text(ret_words->role);
}

/* ------------------------------------------------------------------------------------------------ changing */

static enum etcd_error add_role(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_add_role(draft, words->role);
}

void etcd_on_role_add(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, add_role);
    if (change)
        auth_change_send(change, read_role(change->message, &change->words));
}

static enum etcd_error delete_role(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_delete_role(draft, words->role);
}

void etcd_on_role_delete(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, delete_role);
    if (change)
        auth_change_send(change, read_role(change->message, &change->words));
}

static enum etcd_error grant_permission(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_grant_permission(draft, words->role, &words->permission);
}

void etcd_on_role_grant_permission(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, grant_permission);
    if (change)
        auth_change_send(change, read_grant(change->message, &change->words));
}

static enum etcd_error revoke_permission(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_revoke_permission(draft, words->role, words->permission.key, words->permission.end);
}

void etcd_on_role_revoke_permission(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, revoke_permission);
    if (change)
        auth_change_send(change, read_revoke(change->message, &change->words));
}

/* ------------------------------------------------------------------------------------------------ asking */

/* Everybody may ask after the roles that they have. */
static enum etcd_error may_see(const struct grpc_call *call, struct slice role)
{
    const struct etcd *etcd = call->ctx;
    const struct auth_user *caller = auth_model_find_session(auth_model(&etcd->auth), call->caller);
    return caller && auth_user_has_role(caller, role) ? ETCD_OK : etcd_may_ask(call, AUTH_NEEDS_ROOT);
}

void etcd_on_role_get(struct grpc_call *call, struct slice message)
{
    const struct etcd *etcd = call->ctx;
    struct auth_words words = {0};
    enum etcd_error error = read_role(message, &words);
    if (error == ETCD_OK)
        error = may_see(call, words.role);
    const struct auth_role *role = auth_model_find_role(auth_model(&etcd->auth), words.role);
    if (error == ETCD_OK && !role)
        error = ETCD_ROLE_NOT_FOUND;
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    for (size_t i = 0; i < role->n_permissions; i++)
        auth_document_add_permission(answer, 2, &role->permissions[i]);
    etcd_answer_end(call, answer);
}

void etcd_on_role_list(struct grpc_call *call, struct slice message)
{
    (void)message;
    const struct etcd *etcd = call->ctx;
    const struct auth_model *model = auth_model(&etcd->auth);
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    for (size_t i = 0; i < model->n_roles; i++)
        pb_add_element(answer, 2, model->roles[i].name);
    etcd_answer_end(call, answer);
}
