/* SPDX-License-Identifier: Apache-2.0 */
/* The methods of the service Auth that are about users. */
#include "fronts/etcd/auth_change.h"

/* ------------------------------------------------------------------------------------------------ reading */

static enum etcd_error check_names(const struct auth_words *words)
{
    enum etcd_error error = auth_check_text(words->user);
    return error == ETCD_OK ? auth_check_text(words->role) : error;
}

static enum etcd_error read_user(struct slice message, struct auth_words *ret_words)
{
    static const struct pb_member members[] = {[1] = PB_MEMBER(struct auth_words, user, PB_BYTES)};
    if (pb_read(message, members, ARRAY_LEN(members), ret_words) < 0)
        return ETCD_MALFORMED;
    return check_names(ret_words);
}

/* UserGrantRole, UserRevokeRole. */
static enum etcd_error read_user_and_role(struct slice message, struct auth_words *ret_words)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_words, user, PB_BYTES),
        [2] = PB_MEMBER(struct auth_words, role, PB_BYTES),
    };
    if (pb_read(message, members, ARRAY_LEN(members), ret_words) < 0)
        return ETCD_MALFORMED;
    return check_names(ret_words);
}

static enum etcd_error read_new_user(struct slice message, struct auth_words *ret_words)
{
    struct new_user {
        struct auth_words words;
        struct slice options;
    } user = {0};
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct new_user, words.user, PB_BYTES),
        [2] = PB_MEMBER(struct new_user, words.password, PB_BYTES),
        [3] = PB_MEMBER(struct new_user, options, PB_BYTES),
        [4] = PB_MEMBER(struct new_user, words.hashed_password, PB_BYTES),
    };
    static const struct pb_member option_members[] = {
        [1] = PB_MEMBER(struct auth_words, has_no_password, PB_BOOL),
    };
    if (pb_read(message, members, ARRAY_LEN(members), &user) < 0 ||
        pb_read(user.options, option_members, ARRAY_LEN(option_members), &user.words) < 0)
        return ETCD_MALFORMED;
    *ret_words = user.words;
    return slice_is_empty(user.words.user) ? ETCD_USER_EMPTY : check_names(ret_words);
}

static enum etcd_error read_new_password(struct slice message, struct auth_words *ret_words)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_words, user, PB_BYTES),
        [2] = PB_MEMBER(struct auth_words, password, PB_BYTES),
        [3] = PB_MEMBER(struct auth_words, hashed_password, PB_BYTES),
    };
    if (pb_read(message, members, ARRAY_LEN(members), ret_words) < 0)
        return ETCD_MALFORMED;
    return check_names(ret_words);
}

/* ------------------------------------------------------------------------------------------------ changing */

static enum etcd_error add_user(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_add_user(draft, words->user, words->hash, words->has_no_password);
}

void etcd_on_user_add(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, add_user);
    if (change)
        auth_change_send_hashed(change, read_new_user(change->message, &change->words));
}

static enum etcd_error set_password(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_set_password(draft, words->user, words->hash);
}

void etcd_on_user_change_password(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, set_password);
    if (change)
        auth_change_send_hashed(change, read_new_password(change->message, &change->words));
}

static enum etcd_error delete_user(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_delete_user(draft, words->user);
}

void etcd_on_user_delete(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, delete_user);
    if (change)
        auth_change_send(change, read_user(change->message, &change->words));
}

static enum etcd_error grant_role(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_grant_role(draft, words->user, words->role);
}

void etcd_on_user_grant_role(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, grant_role);
    if (change)
        auth_change_send(change, read_user_and_role(change->message, &change->words));
}

static enum etcd_error revoke_role(struct auth_model *draft, const struct auth_words *words)
{
    return auth_model_revoke_role(draft, words->user, words->role);
}

void etcd_on_user_revoke_role(struct grpc_call *call, struct slice message)
{
    struct auth_change *change = auth_change_new(call, message, revoke_role);
    if (change)
        auth_change_send(change, read_user_and_role(change->message, &change->words));
}

/* ------------------------------------------------------------------------------------------------ asking */

/* Everybody may ask after themselves. */
static enum etcd_error may_see(const struct grpc_call *call, struct slice name)
{
    const struct etcd *etcd = call->ctx;
    const struct auth_model *model = auth_model(&etcd->auth);
    const struct auth_user *caller = auth_model_find_session(model, call->caller);
    return caller && slice_equal(caller->name, name) ? ETCD_OK : etcd_may_ask(call, AUTH_NEEDS_ROOT);
}

void etcd_on_user_get(struct grpc_call *call, struct slice message)
{
    const struct etcd *etcd = call->ctx;
    struct auth_words words = {0};
    enum etcd_error error = read_user(message, &words);
    if (error == ETCD_OK)
        error = may_see(call, words.user);
    const struct auth_user *user = auth_model_find_user(auth_model(&etcd->auth), words.user);
    if (error == ETCD_OK && !user)
        error = ETCD_USER_NOT_FOUND;
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    for (size_t i = 0; i < user->n_roles; i++)
        pb_add_element(answer, 2, user->roles[i]);
    etcd_answer_end(call, answer);
}

void etcd_on_user_list(struct grpc_call *call, struct slice message)
{
    (void)message;
    const struct etcd *etcd = call->ctx;
    const struct auth_model *model = auth_model(&etcd->auth);
    struct buf *answer = etcd_answer_begin(call, etcd_revision(etcd));
    if (!answer)
        return;
    for (size_t i = 0; i < model->n_users; i++)
        pb_add_element(answer, 2, model->users[i].name);
    etcd_answer_end(call, answer);
}
