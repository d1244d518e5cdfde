/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authenticate: a password for a token. A name that is no user's takes as long as a wrong password, so that nobody can
 * find out names.
 */
#include "fronts/etcd/auth_change.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

struct login {
    struct grpc_call *call; /* NULL: it is gone */
    struct auth *auth;
    uint64_t session; /* AUTH_NOBODY: no such user, or one without a password */
    struct password_job job;
};

/* Only to a user who still has the password that was checked. */
static enum etcd_error issue(const struct login *login, char text[AUTH_TOKEN_TEXT_MAX])
{
    struct auth *auth = login->auth;
    if (login->job.result == PASSWORD_FAILED)
        return ETCD_TOO_MANY_REQUESTS;
    if (login->job.result != PASSWORD_IS_GOOD || login->session == AUTH_NOBODY)
        return ETCD_AUTH_FAILED;
    if (!auth_is_on(auth))
        return ETCD_AUTH_NOT_ENABLED;
    if (!auth_model_find_session(auth_model(auth), login->session))
        return ETCD_AUTH_OLD_REVISION;
    int r = auth_tokens_issue(&auth->tokens, login->session, loop_now(login->job.loop), text);
    return r < 0 ? ETCD_TOO_MANY_REQUESTS : ETCD_OK;
}

static void answer(struct grpc_call *call, const struct login *login)
{
    char text[AUTH_TOKEN_TEXT_MAX];
    enum etcd_error error = issue(login, text);
    if (error != ETCD_OK) {
        etcd_refuse(call, error);
        return;
    }
    struct buf *buf = etcd_answer_begin(call, etcd_revision(call->ctx));
    if (!buf)
        return;
    pb_add_str(buf, 2, text);
    etcd_answer_end(call, buf);
}

static void on_checked(struct password_job *job)
{
    struct login *login = container_of(job, struct login, job);
    struct grpc_call *call = login->call;
    if (call) {
        call->state = NULL;
        if (!call->is_finished)
            answer(call, login);
    }
    free(login);
}

/* Whose password is to be checked, against what. */
static void set_hash(struct login *login, struct slice name)
{
    const struct auth_user *user = auth_model_find_user(auth_model(login->auth), name);
    if (!user || user->has_no_password || user->hash.len >= sizeof(login->job.hash)) {
        passwords_decoy(login->auth->passwords, login->job.hash);
        return;
    }
    login->session = user->session;
    memcpy(login->job.hash, user->hash.ptr, user->hash.len);
}

static int begin(struct grpc_call *call, struct slice name, struct slice password)
{
    struct etcd *etcd = call->ctx;
    struct login *login = calloc(1, sizeof(*login));
    if (!login)
        return -ENOMEM;
    login->call = call;
    login->auth = &etcd->auth;
    login->job.loop = exchange_loop(call->exchange);
    login->job.done = on_checked;
    login->job.is_check = true;
    set_hash(login, name);
    call->state = login;
    int r = passwords_submit(login->auth->passwords, &login->job, password);
    if (r < 0) {
        call->state = NULL;
        free(login);
    }
    return r;
}

void etcd_on_authenticate(struct grpc_call *call, struct slice message)
{
    static const struct pb_member members[] = {
        [1] = PB_MEMBER(struct auth_words, user, PB_BYTES),
        [2] = PB_MEMBER(struct auth_words, password, PB_BYTES),
    };
    const struct etcd *etcd = call->ctx;
    struct auth_words words = {0};
    if (pb_read(message, members, ARRAY_LEN(members), &words) < 0)
        etcd_refuse(call, ETCD_MALFORMED);
    else if (!auth_is_on(&etcd->auth))
        etcd_refuse(call, ETCD_AUTH_NOT_ENABLED);
    else if (!password_is_usable(words.password))
        etcd_refuse(call, ETCD_AUTH_FAILED);
    else if (begin(call, words.user, words.password) < 0)
        etcd_refuse(call, ETCD_TOO_MANY_REQUESTS);
}

void etcd_on_authenticate_close(struct grpc_call *call, enum exchange_end end)
{
    (void)end;
    struct login *login = call->state;
    if (login)
        login->call = NULL;
}
